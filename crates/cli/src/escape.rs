//! Makes text safe for a terminal: what would move, colour, hide or reorder is shown as an escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Text with every character that a terminal would act on written out.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().saturating_mul(2));
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if acts(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Bytes as text: what is not UTF-8 is written as `\x` and two digits.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&text(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// Control characters of both sets, line and paragraph separators, bidirectional controls, invisible characters.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_02_what_a_terminal_would_act_on_is_escaped() {
        for (raw, shown) in [
            ("plain é € 😀", "plain é € 😀"),
            ("\u{1b}[2J\u{1b}]0;t\u{7}", "\\u{1b}[2J\\u{1b}]0;t\\u{7}"),
            ("\u{1b}]52;c;aGk=\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("two\nlines\r\tend", "two\\nlines\\r\\tend"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b\u{200d}c\u{2066}", "a\\u{202e}b\\u{200d}c\\u{2066}"),
            ("\0\u{7f}", "\\u{0}\\u{7f}"),
        ] {
            assert_eq!(text(raw), shown);
        }
    }

    #[test]
    fn cli_02_bytes_that_are_no_text_are_escaped() {
        assert_eq!(bytes(b"ok \xff\xfe\x1b end"), "ok \\xff\\xfe\\u{1b} end");
    }
}
