//! References in a document, and the document with something in their places.

use std::borrow::Cow;
use std::ops::Range;

use crypto::{SecretBuffer, SecretBytes};
use serde_json::value::RawValue;

use crate::{Reference, Unfit};

/// A place of a document where a reference stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What it points at.
    pub reference: Reference,
    /// Where, in bytes: the whole document, or a JSON string with its quotes.
    place: Range<usize>,
    /// Whether the document is the reference.
    whole: bool,
}

impl Slot {
    /// Whether the document is nothing but the reference.
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// What comes into a slot.
#[derive(Debug)]
pub enum Filling {
    /// Text, which is quoted inside a JSON document.
    Text(SecretBytes),
    /// JSON, which stands there as it is.
    Json(SecretBytes),
    /// Other bytes, which fit only where the document is nothing but the reference.
    Bytes(SecretBytes),
}

impl Filling {
    /// Its bytes.
    pub fn bytes(&self) -> &SecretBytes {
        match self {
            Self::Text(bytes) | Self::Json(bytes) | Self::Bytes(bytes) => bytes,
        }
    }
}

/// The references in a document, in order: the whole of it, or strings of a JSON object or array at any depth. A reference
/// inside a longer text is text.
///
/// Errors: [`Unfit::Reference`] for a text that begins as one and is none. Linear in the document; never recurses.
pub fn slots(document: &[u8]) -> Result<Vec<Slot>, Unfit> {
    let Ok(text) = std::str::from_utf8(document) else { return Ok(Vec::new()) };
    if Reference::is_meant(text) {
        let reference = text.parse().map_err(Unfit::Reference)?;
        return Ok(vec![Slot { reference, place: 0..document.len(), whole: true }]);
    }
    let structured = text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<&RawValue>(text).is_ok();
    let mut found = Vec::new();
    let mut rest = if structured { 0 } else { document.len() };
    while let Some(place) = next_string(document, rest) {
        rest = place.end;
        let is_name = document.iter().skip(rest).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
        let Some(raw) = text.get(place.clone()).filter(|_| !is_name) else { continue };
        let Ok(content) = serde_json::from_str::<Content<'_>>(raw) else { continue };
        if Reference::is_meant(&content.0) {
            found.push(Slot { reference: content.0.parse().map_err(Unfit::Reference)?, place, whole: false });
        }
    }
    Ok(found)
}

#[derive(serde::Deserialize)]
struct Content<'a>(#[serde(borrow)] Cow<'a, str>);

/// The next JSON string at or after a byte, with its quotes. The text is known to be JSON.
fn next_string(text: &[u8], from: usize) -> Option<Range<usize>> {
    let begin = text.iter().skip(from).position(|byte| *byte == b'"')?.saturating_add(from);
    let mut at = begin.saturating_add(1);
    loop {
        match text.get(at)? {
            b'"' => return Some(begin..at.saturating_add(1)),
            b'\\' => at = at.saturating_add(2),
            _ => at = at.saturating_add(1),
        }
    }
}

/// The document with its slots filled, in their order. `None` when bytes that are no text would come into JSON.
pub fn fill(document: &[u8], slots: &[Slot], fillings: &[Filling]) -> Option<SecretBytes> {
    let mut out = SecretBuffer::with_capacity(document.len().saturating_mul(2));
    let mut done = 0;
    for (slot, filling) in slots.iter().zip(fillings) {
        out.extend(document.get(done..slot.place.start)?);
        done = slot.place.end;
        match filling {
            _ if slot.whole => out.extend(filling.bytes().expose()),
            Filling::Json(json) => out.extend(json.expose()),
            Filling::Text(text) => serde_json::to_writer(&mut out, std::str::from_utf8(text.expose()).ok()?).ok()?,
            Filling::Bytes(_) => return None,
        }
    }
    out.extend(document.get(done..)?);
    Some(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(document: &str) -> Vec<String> {
        slots(document.as_bytes()).unwrap().into_iter().map(|slot| slot.reference.path).collect()
    }

    #[test]
    fn references_are_whole_values_or_whole_strings_of_a_document() {
        for (document, wanted) in [
            ("aumbry:///a", &["a"][..]),
            (r#"{"x":"aumbry:///a","y":["aumbry:///b#f", 1]}"#, &["a", "b"]),
            (r#" [ {"x" : "\u0061umbry:\/\/\/a" } ] "#, &["a"]),
            (r#"{"aumbry:///name" : "x"}"#, &[]),
            (r#"{"x":"see aumbry:///a"}"#, &[]),
            ("see aumbry:///a", &[]),
            (r#"{"x":"aumbry:///a""#, &[]),
            (r#""aumbry:///a""#, &[]),
            (r#"{"a\\\"":"\\","b":"aumbry:///a"}"#, &["a"]),
            ("", &[]),
        ] {
            assert_eq!(paths(document), wanted, "{document}");
        }
        for bad in ["aumbry://", r#"{"x":"aumbry:///canary?version=0"}"#] {
            let refused = slots(bad.as_bytes()).unwrap_err();
            assert!(!refused.to_string().contains("canary"), "{refused}");
        }
        assert!(slots(b"\xff").unwrap().is_empty());
        let deep = format!("{}\"aumbry:///a\"{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(paths(&deep), ["a"]);
    }

    #[test]
    fn what_fills_a_slot_stands_as_text_or_as_json() {
        let bytes = |text: &str| SecretBytes::from_slice(text.as_bytes());
        let document = br#"{"x":"aumbry:///a", "y": "aumbry:///b"}"#;
        let found = slots(document).unwrap();
        let filled = fill(document, &found, &[Filling::Text(bytes("q\"\n")), Filling::Json(bytes("[1]"))]).unwrap();
        assert_eq!(filled.expose(), br#"{"x":"q\"\n", "y": [1]}"#);
        let raw = [Filling::Text(bytes("")), Filling::Bytes(SecretBytes::from_slice(b"\xff"))];
        assert!(fill(document, &found, &raw).is_none());
        let whole = slots(b"aumbry:///a").unwrap();
        assert_eq!(fill(b"aumbry:///a", &whole, &raw[1..]).unwrap().expose(), b"\xff");
    }
}
