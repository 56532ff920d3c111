//! `aumbry openapi`: the document of the native API, as the code makes it.

use crate::{exit, fault, output};

/// Prints it.
pub(crate) fn run() -> fault::Outcome {
    let document = server::openapi();
    output::write(document.trim_end().as_bytes())?;
    output::write(b"\n")?;
    Ok(exit::OK)
}
