//! Values and answers that a person or a pipe gives.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use client::Error;
use crypto::secret::{SecretBytes, SecretText};

use crate::fault;

/// Reads standard input to its end, at most `bytes_max`, without leaving copies behind.
pub(crate) fn stdin(bytes_max: usize) -> Result<SecretBytes, Error> {
    collect(&mut std::io::stdin().lock(), bytes_max, bytes_max, "standard input")
}

/// Reads a file, at most `bytes_max`.
pub(crate) fn file(path: &Path, bytes_max: usize) -> Result<SecretBytes, Error> {
    let shown = format!("`{}`", path.display());
    let mut file =
        std::fs::File::open(path).map_err(|error| fault::local(&format!("{shown} cannot be read"), &error))?;
    // As long as it is now; one that grows meanwhile is read to its end all the same, up to the limit.
    let length = file.metadata().ok().and_then(|about| usize::try_from(about.len()).ok()).filter(|length| *length > 0);
    collect(&mut file, length.unwrap_or(UNKNOWN_BYTES), bytes_max, &shown)
}

/// What is reserved for a pipe, whose length nobody knows.
const UNKNOWN_BYTES: usize = 14 * 1024 * 1024;

/// Whether a person can be asked.
pub(crate) fn interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks for a secret without showing it.
pub(crate) fn hidden(prompt: &str) -> Result<SecretText, Error> {
    let answer = rpassword::prompt_password(prompt).map(SecretText::new);
    answer.map_err(|error| fault::local("the terminal cannot be asked", &error))
}

/// Asks a person to repeat `word` before something that cannot be undone.
///
/// Errors: `Invalid` when the answer differs or nobody can be asked.
pub(crate) fn confirm(what: &str, word: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !interactive() {
        return Err(fault::invalid(format!("{what} cannot be undone"), "add --yes if you mean it"));
    }
    let prompt = format!("{what} cannot be undone. Type `{word}` to go on: ");
    let _ = std::io::stderr().write_all(crate::escape::text(&prompt).as_bytes());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && answer.trim_end_matches('\n') == word {
        return Ok(());
    }
    Err(fault::invalid("nothing was done: the answer was another", "type it exactly, or add --yes"))
}

fn collect(from: &mut impl std::io::Read, expected: usize, bytes_max: usize, what: &str) -> Result<SecretBytes, Error> {
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    // One allocation from the start, so that a growing buffer leaves nothing behind.
    let mut bytes = Vec::with_capacity(expected.min(bytes_max).saturating_add(64));
    let read = from.take(limit).read_to_end(&mut bytes);
    let bytes = SecretBytes::new(bytes);
    read.map_err(|error| fault::local(&format!("{what} cannot be read"), &error))?;
    if bytes.len() > bytes_max {
        let hint = "make it shorter, or split it; that is the most that is taken";
        return Err(fault::invalid(format!("{what} holds more than {bytes_max} bytes"), hint));
    }
    Ok(SecretBytes::from_slice(bytes.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_read_up_to_the_limit_and_refused_one_past_it() {
        assert_eq!(collect(&mut [7_u8; 10].as_slice(), 10, 10, "x").unwrap().len(), 10);
        assert!(collect(&mut [7_u8; 11].as_slice(), 10, 10, "x").is_err());
    }

    #[test]
    fn without_a_person_only_yes_confirms() {
        assert!(confirm("this", "word", true).is_ok());
        if !interactive() {
            assert_eq!(confirm("this", "word", false).unwrap_err().class, api::Class::Invalid);
        }
    }
}
