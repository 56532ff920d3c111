//! Canonical names of secrets. Parsed once at the edge; refused, never repaired.

use crate::code::{self, Refusal};
use std::fmt;

/// Most segments in a path.
pub const SEGMENTS_MAX: usize = 32;
/// Most bytes in one segment.
pub const SEGMENT_BYTES_MAX: usize = 255;
/// Most bytes in a path, slashes included.
pub const PATH_BYTES_MAX: usize = 1024;

/// A secret's canonical name in its tenant: 1 to 32 segments of 1 to 255 bytes, 1,024 in all, NFC.
///
/// No control, bidirectional or zero-width characters, no `%`, no `\`, no segment `.` or `..`; a segment
/// that begins with `~` is the escape form `~` + base64url. Case-sensitive. Exactly one text parses to a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    text: Box<str>,
}

impl Path {
    /// Reads a path. Errors: `path.invalid`, naming the rule broken and the segment's position, never its text.
    pub fn parse(text: &str) -> Result<Path, Refusal> {
        if text.is_empty() {
            return Err(invalid("the path is empty"));
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(invalid(format!("the path is longer than {PATH_BYTES_MAX} bytes")));
        }
        let mut count = 0usize;
        for (index, segment) in text.split('/').enumerate() {
            check_segment(segment).map_err(|why| invalid(format!("segment {} {why}", index.saturating_add(1))))?;
            count = count.saturating_add(1);
        }
        if count > SEGMENTS_MAX {
            return Err(invalid(format!("the path has more than {SEGMENTS_MAX} segments")));
        }
        Ok(Path { text: text.into() })
    }

    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments, first to last.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.text.split('/')
    }

    /// Its last segment.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or(&self.text)
    }

    /// The folders above it, nearest last, each as text: `a/b/c` gives `a`, `a/b`.
    pub fn folders(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.match_indices('/').filter_map(|(at, _)| self.text.get(..at))
    }

    /// The folder that holds it; `None` at the top.
    pub fn parent(&self) -> Option<Prefix> {
        self.text.rfind('/').and_then(|at| self.text.get(..at)).map(|text| Prefix { text: text.into() })
    }

    /// Whether it lies below this folder.
    pub fn is_below(&self, folder: &Prefix) -> bool {
        folder.text.is_empty() || self.text.strip_prefix(&*folder.text).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A folder: the empty text for the top, otherwise whole segments as in a [`Path`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Prefix {
    text: Box<str>,
}

impl Prefix {
    /// Reads a folder; one trailing slash is the written form of "folder" and is taken off. Errors: `path.invalid`.
    pub fn parse(text: &str) -> Result<Prefix, Refusal> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        if bare.is_empty() && text.is_empty() {
            return Ok(Prefix::default());
        }
        Ok(Prefix { text: Path::parse(bare)?.text })
    }

    /// The folder as text without a trailing slash; empty at the top.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments; none at the top.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.text.split('/').filter(|segment| !segment.is_empty())
    }

    /// The path of a child. Errors: `path.invalid` when the name or the whole breaks a bound.
    pub fn join(&self, name: &str) -> Result<Path, Refusal> {
        if self.text.is_empty() { Path::parse(name) } else { Path::parse(&format!("{}/{name}", self.text)) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({:?})", self.text)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({:?})", self.text)
    }
}

impl std::str::FromStr for Path {
    type Err = Refusal;
    fn from_str(text: &str) -> Result<Path, Refusal> {
        Path::parse(text)
    }
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(&code::PATH_INVALID, detail)
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("is empty");
    }
    if segment.len() > SEGMENT_BYTES_MAX {
        return Err("is longer than 255 bytes");
    }
    if segment == "." || segment == ".." {
        return Err("is `.` or `..`");
    }
    if let Some(escape) = segment.strip_prefix('~') {
        let plain = !escape.is_empty() && escape.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        return if plain { Ok(()) } else { Err("begins with `~` but is not an escaped name") };
    }
    if segment.is_ascii() {
        return match segment.bytes().find(|b| b.is_ascii_control() || matches!(b, b'%' | b'\\')) {
            Some(_) => Err("holds `%`, `\\` or a control character"),
            None => Ok(()),
        };
    }
    if segment.chars().any(forbidden) {
        return Err("holds a control, bidirectional, zero-width or other invisible character, `%` or `\\`");
    }
    if !unicode_normalization::is_nfc(segment) {
        return Err("is not in Unicode normal form C");
    }
    Ok(())
}

/// Control, format, separator and private characters, which look like nothing or like something else.
fn forbidden(c: char) -> bool {
    matches!(c,
        '%' | '\\'
        | '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{ffff}' | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_01_dots_and_percent_are_refused() {
        for bad in ["a/../b", "a/./b", "%2e%2e", "%252e%252e", "\\..\\", ".", "..", "a/.."] {
            assert_eq!(Path::parse(bad).unwrap_err().code.name, "path.invalid", "{bad}");
        }
        assert!(Path::parse("..;/x").is_ok_and(|p| p.segments().count() == 2), "`..;` is an ordinary name here");
    }

    #[test]
    fn path_02_empty_segments_are_refused() {
        for bad in ["", "/", "a//b", "a/", "/a", "//a"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn path_04_invisible_characters_are_refused() {
        for c in ['\0', '\r', '\n', '\t', '\u{7f}', '\u{2028}', '\u{202e}', '\u{200d}', '\u{feff}', '\u{ad}'] {
            assert!(Path::parse(&format!("a{c}b")).is_err(), "{c:?}");
        }
    }

    #[test]
    fn path_05_only_nfc_and_case_sensitive() {
        assert!(Path::parse("caf\u{e9}").is_ok());
        assert!(Path::parse("cafe\u{301}").is_err());
        assert_ne!(Path::parse("A").unwrap(), Path::parse("a").unwrap());
    }

    #[test]
    fn path_06_limits_hold_at_and_one_past() {
        assert!(Path::parse(&"a".repeat(255)).is_ok());
        assert!(Path::parse(&"a".repeat(256)).is_err());
        assert!(Path::parse(&vec!["a"; 32].join("/")).is_ok());
        assert!(Path::parse(&vec!["a"; 33].join("/")).is_err());
        let long = vec!["a".repeat(204); 5].join("/");
        assert_eq!(long.len(), 1024);
        assert!(Path::parse(&long).is_ok());
        assert!(Path::parse(&format!("{long}a")).is_err());
    }

    #[test]
    fn prefix_takes_whole_segments() {
        let folder = Prefix::parse("a/b/").unwrap();
        assert!(Path::parse("a/b/c").unwrap().is_below(&folder));
        assert!(!Path::parse("a/bc").unwrap().is_below(&folder));
        assert!(!Path::parse("a/b").unwrap().is_below(&folder));
        assert!(Prefix::parse("/").is_err());
        assert!(Prefix::parse("a//").is_err());
        assert_eq!(Path::parse("a/b/c").unwrap().folders().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    proptest::proptest! {
        #[test]
        fn path_09_parse_of_render_is_the_same_path(text in "\\PC{0,40}") {
            if let Ok(path) = Path::parse(&text) {
                assert_eq!(path.as_str(), text);
                assert_eq!(Path::parse(path.as_str()).unwrap(), path);
                assert_eq!(path.segments().collect::<Vec<_>>().join("/"), text);
            }
        }
    }
}
