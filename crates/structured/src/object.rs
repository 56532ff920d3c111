//! Objects as their members, in order, each value as it was written.

use std::borrow::Cow;
use std::fmt;

use crypto::{SecretBuffer, SecretBytes};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Unfit;

/// Members of an object; of a name that stands twice the last one, as every reader of JSON takes it.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a document that is an object; `None` for anything else.
    pub(crate) fn read(document: &'a [u8]) -> Option<Members<'a>> {
        serde_json::from_slice(document).ok()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut all: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut places = std::collections::HashMap::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    match places.get(&name).and_then(|place: &usize| all.get_mut(*place)) {
                        Some((_, earlier)) => *earlier = value,
                        None => {
                            places.insert(name.clone(), all.len());
                            all.push((name, value));
                        }
                    }
                }
                Ok(Members(all))
            }
        }
        input.deserialize_map(Reader)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object of texts, in this order. The names are ours; each stands once.
pub fn object(fields: &[(&str, &[u8])]) -> Option<SecretBytes> {
    let mut out = SecretBuffer::with_capacity(fields.iter().map(|(_, text)| text.len().saturating_add(64)).sum());
    for (index, (name, text)) in fields.iter().enumerate() {
        out.extend(if index == 0 { b"{" } else { b"," });
        serde_json::to_writer(&mut out, name).ok()?;
        out.extend(b":");
        serde_json::to_writer(&mut out, std::str::from_utf8(text).ok()?).ok()?;
    }
    out.extend(if fields.is_empty() { b"{}" } else { b"}" });
    Some(out.finish())
}

/// A field of a document.
#[derive(Debug)]
pub enum Picked {
    /// The content of a string.
    Text(SecretBytes),
    /// The JSON text of anything else.
    Json(SecretBytes),
}

impl Picked {
    /// The bytes, whatever they are.
    pub fn into_bytes(self) -> SecretBytes {
        match self {
            Self::Text(bytes) | Self::Json(bytes) => bytes,
        }
    }
}

/// Picks a field of an object: a string's content, or the JSON text of anything else.
///
/// Errors: [`Unfit::NotAnObject`], [`Unfit::NoField`].
pub fn pick(document: &[u8], field: &str) -> Result<Picked, Unfit> {
    let members = Members::read(document).ok_or(Unfit::NotAnObject)?;
    let raw = members.get(field).ok_or(Unfit::NoField)?.get();
    if !raw.starts_with('"') {
        return Ok(Picked::Json(SecretBytes::from_slice(raw.as_bytes())));
    }
    let text: crypto::SecretText = serde_json::from_str(raw).map_err(|_| Unfit::NotAnObject)?;
    Ok(Picked::Text(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_an_object() {
        let made = object(&[("a", b"x\"\n"), ("b", "\u{e9}".as_bytes())]).unwrap();
        assert_eq!(made.expose(), "{\"a\":\"x\\\"\\n\",\"b\":\"\u{e9}\"}".as_bytes());
        assert_eq!(object(&[]).unwrap().expose(), b"{}");
        assert!(object(&[("a", b"\xff")]).is_none());
    }

    #[test]
    fn a_string_gives_its_content_and_anything_else_its_json() {
        let value = br#"{"user":"app\n","port":5432,"tags":["a", "b"],"port":5433}"#;
        for (field, wanted) in [("user", "app\n"), ("port", "5433"), ("tags", r#"["a", "b"]"#)] {
            assert_eq!(pick(value, field).unwrap().into_bytes().expose(), wanted.as_bytes());
        }
        assert!(matches!(pick(value, "port"), Ok(Picked::Json(_))));
        assert_eq!(pick(value, "none").unwrap_err(), Unfit::NoField);
        for other in [&b"canary"[..], b"[]", b"1", b"{", b"\xff", b"", br#"{"a":"\ud800"}"#] {
            assert_eq!(pick(other, "a").unwrap_err(), Unfit::NotAnObject);
        }
    }
}
