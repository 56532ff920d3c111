//! Text that came from outside: cut when stored, escaped when shown.

use std::fmt::Write;

/// Cuts `text` to at most `max` bytes at a character boundary; length and hash of the whole stand for the rest.
pub(super) fn cut(text: &mut String, max: usize) {
    if text.len() <= max {
        return;
    }
    let (size, hash) = (text.len(), crypto::sha256(text.as_bytes()));
    text.truncate(text.floor_char_boundary(max));
    text.shrink_to(max.saturating_add(64));
    let _ = write!(text, "…[{size} bytes, sha256 ");
    for byte in hash.iter().take(8) {
        let _ = write!(text, "{byte:02x}");
    }
    text.push(']');
}

/// Escapes what could forge a line or drive a terminal: controls, line and paragraph separators, characters that
/// turn the direction or have no width, and the backslash itself. The rest stays as it is.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_with_length_and_hash() {
        let mut text = "é".repeat(5 << 20);
        cut(&mut text, 7);
        assert!(text.starts_with("ééé…[10485760 bytes, sha256 "), "{text}");
        assert!(text.len() < 80 && text.capacity() < 200);
        let mut fits = "é".repeat(4);
        cut(&mut fits, 8);
        assert_eq!(fits, "éééé");
    }

    #[test]
    fn nothing_shown_can_start_a_line_or_an_escape() {
        let shown = shown("a\n{\"x\":1}\u{1b}[31m\u{2028}\u{202e}\\é\0");
        assert_eq!(shown, "a\\n{\"x\":1}\\u{1b}[31m\\u{2028}\\u{202e}\\\\é\\u{0}");
        assert_eq!(shown.lines().count(), 1);
    }
}
