//! Path and query as sent, decoded exactly once.

use app::Refusal;
use app::code::{PATH_INVALID, REQUEST_INVALID};
use std::borrow::Cow;

/// Decodes percent-encoding once. `+` stays a plus: in a path it is one, and our queries are not forms.
///
/// Errors: a `%` without two hex digits, a decoded `/` (it would move the borders between segments), or
/// bytes that are not UTF-8. Never repairs.
pub(crate) fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let wrong = |why: &str| Refusal::new(&PATH_INVALID, why.to_owned());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
        let (high, low) = digits.ok_or_else(|| wrong("a percent sign is not followed by two hex digits"))?;
        match high << 4 | low {
            b'/' => return Err(wrong("an encoded slash is not allowed; names may not hold slashes")),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_bad| wrong("the path is not UTF-8"))
}

/// Decodes a value of a query: as a path, but a slash is allowed.
pub(crate) fn decoded_value(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let wrong = || Refusal::new(&REQUEST_INVALID, "the query is not percent-encoded UTF-8");
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = bytes.next().and_then(hex).zip(bytes.next().and_then(hex)).ok_or_else(wrong)?;
        out.push(high << 4 | low);
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_bad| wrong())
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_03_percent_is_decoded_exactly_once_and_never_to_a_slash() {
        for (text, wanted) in [
            ("a/b", Some("a/b")),
            ("a%20b", Some("a b")),
            ("caf%C3%A9", Some("café")),
            ("%252e", Some("%2e")),
            ("a+b", Some("a+b")),
            ("a%2Fb", None),
            ("a%2fb", None),
            ("a%", None),
            ("a%4", None),
            ("a%zz", None),
        ] {
            assert_eq!(decoded(text).ok().as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn path_08_invalid_or_overlong_utf_8_is_refused() {
        for text in ["%ff", "%c0%ae", "%c0%af", "%e0%80%af", "%ed%a0%80", "%f8%88%80%80%80"] {
            assert!(decoded(text).is_err() && decoded_value(text).is_err(), "{text}");
        }
    }
}
