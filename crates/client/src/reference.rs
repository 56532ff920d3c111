//! References as a caller writes them.

use api::Class;
use structured::Reference;

use crate::{Error, check_path};

/// Parses a reference, or a plain path with an optional `?version=` and `#field` behind it.
///
/// Errors: `Invalid`, code `reference.invalid` or `path.invalid`; never repeats the text.
pub fn reference(text: &str) -> Result<Reference, Error> {
    let found = Reference::parse_or_path(text).map_err(|why| {
        let hint = "write it as aumbry://tenant/path?version=3#field; tenant, version and field may be left out";
        Error::local(Class::Invalid, "reference.invalid", format!("the reference cannot be read: {why}"), hint)
    })?;
    check_path(&found.path)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_01_references_to_what_is_no_path_are_refused() {
        for bad in [
            "aumbry:///a/../b",
            "aumbry:///a//b",
            "aumbry:///%2e%2e/b",
            "aumbry:///a%00",
            "aumbry:///",
            "aumbry://t/",
            "a/../b",
            "a//b",
        ] {
            assert_eq!(&*reference(bad).unwrap_err().code, "path.invalid", "{bad}");
        }
        assert_eq!(&*reference("aumbry:///a?version=0").unwrap_err().code, "reference.invalid");
        assert_eq!(reference("db/password?version=2").unwrap().version, Some(2));
    }
}
