//! Paths before they become a URL.
//!
//! URL libraries resolve `..` and drop empty segments in silence; a path is therefore refused here when it
//! would not arrive as it was written. The full grammar is the server's.

use api::Class;

use crate::Error;

/// Checks that a path arrives at the server as written.
///
/// Errors: `Invalid`, code `path.invalid`; nothing was sent.
pub fn check(path: &str) -> Result<(), Error> {
    let fits = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.len() <= SEGMENT_BYTES_MAX
            && !segment.chars().any(|c| c.is_control() || matches!(c, '%' | '\\'))
    };
    if path.len() <= PATH_BYTES_MAX && path.split('/').count() <= SEGMENTS_MAX && path.split('/').all(fits) {
        Ok(())
    } else {
        Err(Error::local(
            Class::Invalid,
            "path.invalid",
            "the path is not in its canonical form",
            "write 1 to 32 segments split by `/`, without `.`, `..`, `%`, `\\` or control characters",
        ))
    }
}

/// Checks a name that is one segment of a route, such as a policy's.
///
/// Errors: as [`check`], also for a slash inside.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    check(name)?;
    if name.contains('/') {
        return Err(Error::local(
            Class::Invalid,
            "name.invalid",
            "the name holds a slash",
            "use a name without slashes",
        ));
    }
    Ok(())
}

const PATH_BYTES_MAX: usize = 1024;
const SEGMENT_BYTES_MAX: usize = 255;
const SEGMENTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_01_and_02_paths_that_a_url_would_rewrite_are_refused() {
        for bad in
            ["a/../b", "a/./b", "..", ".", "a//b", "/a", "a/", "", "%2e%2e", "a%2Fb", "\\..\\", "a\nb", "a\u{7f}b"]
        {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "a/b", "db/password", "a..b", "ä/€", "~x", "a b/c?d#e"] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn path_06_paths_past_the_limits_are_refused() {
        assert!(check(&"a".repeat(255)).is_ok());
        assert!(check(&"a".repeat(256)).is_err());
        assert!(check(&vec!["a"; 32].join("/")).is_ok());
        assert!(check(&vec!["a"; 33].join("/")).is_err());
        assert!(check(&vec!["a".repeat(255); 5].join("/")).is_err());
    }

    #[test]
    fn a_name_is_one_segment() {
        assert!(check_name("readers").is_ok());
        assert!(check_name("a/b").is_err());
    }
}
