//! Secret values on the wire: read without copies, written by one function.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::secret::{SecretBuffer, SecretBytes, SecretText};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// How the bytes of a value stand in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// A JSON string holding UTF-8 text; the default for strings.
    Utf8,
    /// A JSON string holding standard base64 with padding.
    Base64,
    /// Any JSON value, kept as the text that was sent; the default for everything but strings.
    Json,
}

/// A secret value as it stands in a JSON message.
///
/// Reading it copies the value once, out of the request body, and never through a scratch buffer.
/// Never printed: `Debug` shows the type only.
pub enum Value {
    /// A JSON string, unescaped.
    Text(SecretText),
    /// Any other JSON value, as the text that was sent.
    Json(SecretText),
}

/// Why a value cannot be taken; never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadValue {
    /// `encoding` is `base64` and the value is not.
    NotBase64,
    /// `encoding` is `utf8` or `base64` and the value is not a JSON string.
    NotText,
    /// The bytes are not JSON, though they are said to be.
    NotJson,
}

impl std::fmt::Display for BadValue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::NotBase64 => "value is not standard base64",
            Self::NotText => "value is not a JSON string, as its encoding asks",
            Self::NotJson => "value is not JSON",
        })
    }
}

impl std::error::Error for BadValue {}

impl Value {
    /// Puts bytes into the form `encoding` asks for; text is taken over without a copy.
    ///
    /// Errors: [`BadValue::NotText`] when the bytes are not UTF-8, [`BadValue::NotJson`] when they are not JSON.
    pub fn from_bytes(bytes: SecretBytes, encoding: Encoding) -> Result<Self, BadValue> {
        match encoding {
            Encoding::Base64 => Ok(Self::Text(SecretText::new(STANDARD.encode(bytes.expose())))),
            Encoding::Utf8 => bytes.into_text().map(Self::Text).map_err(|_| BadValue::NotText),
            Encoding::Json => {
                let text = bytes.into_text().map_err(|_| BadValue::NotJson)?;
                serde_json::from_str::<&RawValue>(text.expose()).map_err(|_| BadValue::NotJson)?;
                Ok(Self::Json(text))
            }
        }
    }

    /// Gives the bytes to keep and the encoding they are in; without `encoding` strings are `utf8`, the rest `json`.
    ///
    /// Errors: [`BadValue`] when the value does not have the form asked for.
    pub fn into_bytes(self, encoding: Option<Encoding>) -> Result<(SecretBytes, Encoding), BadValue> {
        match (self, encoding) {
            (Self::Text(text), None | Some(Encoding::Utf8)) => Ok((text.into_bytes(), Encoding::Utf8)),
            (Self::Text(text), Some(Encoding::Base64)) => {
                let mut bytes = Vec::with_capacity(text.expose().len());
                let decoded = STANDARD.decode_vec(text.expose(), &mut bytes);
                let bytes = SecretBytes::new(bytes);
                decoded.map(|()| (bytes, Encoding::Base64)).map_err(|_| BadValue::NotBase64)
            }
            (Self::Text(text), Some(Encoding::Json)) => {
                Ok((encode(&Quoted(&text)).map_err(|_| BadValue::NotJson)?, Encoding::Json))
            }
            (Self::Json(text), None | Some(Encoding::Json)) => Ok((text.into_bytes(), Encoding::Json)),
            (Self::Json(_), Some(Encoding::Utf8 | Encoding::Base64)) => Err(BadValue::NotText),
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Value")
    }
}

/// Writes a secret into a message: the only way a secret of this crate leaves it.
///
/// As [`reveal`], for what may be absent.
pub fn reveal_some<S: Serializer>(secret: &Option<SecretText>, out: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => reveal(secret, out),
        None => out.serialize_none(),
    }
}

/// For `#[serde(serialize_with = "reveal")]`. Use [`encode`] for the message, so that no copy stays behind.
pub fn reveal<S: Serializer>(secret: &SecretText, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(secret.expose())
}

/// Serialises a message into wiped memory: when the buffer grows or is dropped, what it held is erased.
///
/// Errors: those of the message's own `Serialize`.
pub fn encode<T: Serialize>(message: &T) -> Result<SecretBytes, serde_json::Error> {
    let mut buffer = SecretBuffer::with_capacity(FIRST_BYTES);
    serde_json::to_writer(&mut buffer, message)?;
    Ok(buffer.finish())
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => reveal(text, out),
            Self::Json(text) => serde_json::from_str::<&RawValue>(text.expose())
                .map_err(|_| S::Error::custom(BadValue::NotJson))?
                .serialize(out),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(input)?.get();
        match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inner) => unescape(inner).map(Self::Text).ok_or_else(|| D::Error::custom("value is not valid text")),
            None => Ok(Self::Json(SecretText::new(raw.to_owned()))),
        }
    }
}

/// Capacity to start with; a message with a small secret fits.
const FIRST_BYTES: usize = 2048;

struct Quoted<'a>(&'a SecretText);

impl Serialize for Quoted<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        reveal(self.0, out)
    }
}

/// Resolves the escapes of a JSON string's inside, already known to be well formed, in one allocation.
fn unescape(inner: &str) -> Option<SecretText> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.push_str(plain);
        let (mark, after) = tail.split_at_checked(1)?;
        rest = after;
        out.push(match mark {
            "\"" => '"',
            "\\" => '\\',
            "/" => '/',
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (first, after) = hex4(rest)?;
                rest = after;
                if (0xD800..0xDC00).contains(&first) {
                    let (second, after) = hex4(rest.strip_prefix("\\u")?)?;
                    rest = after;
                    char::decode_utf16([first, second]).next()?.ok()?
                } else {
                    char::from_u32(u32::from(first))?
                }
            }
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(SecretText::new(out))
}

fn hex4(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn bytes_of(json: &str, encoding: Option<Encoding>) -> Result<(Vec<u8>, Encoding), BadValue> {
        read(json).into_bytes(encoding).map(|(bytes, encoding)| (bytes.expose().to_vec(), encoding))
    }

    #[test]
    fn a_string_is_text_and_anything_else_is_json() {
        assert_eq!(bytes_of(r#""hunter2""#, None), Ok((b"hunter2".to_vec(), Encoding::Utf8)));
        assert_eq!(bytes_of(r#"{"a": [1, 2]}"#, None), Ok((br#"{"a": [1, 2]}"#.to_vec(), Encoding::Json)));
        assert_eq!(bytes_of("null", None), Ok((b"null".to_vec(), Encoding::Json)));
        assert_eq!(bytes_of(r#""AAEC""#, Some(Encoding::Base64)), Ok((vec![0, 1, 2], Encoding::Base64)));
        assert_eq!(bytes_of(r#""a\"b""#, Some(Encoding::Json)), Ok((br#""a\"b""#.to_vec(), Encoding::Json)));
    }

    #[test]
    fn a_value_of_the_wrong_form_is_refused() {
        assert_eq!(bytes_of(r#""AA=C""#, Some(Encoding::Base64)), Err(BadValue::NotBase64));
        assert_eq!(bytes_of("{}", Some(Encoding::Utf8)), Err(BadValue::NotText));
        assert_eq!(Value::from_bytes(SecretBytes::new(vec![0xff]), Encoding::Utf8).unwrap_err(), BadValue::NotText);
        assert_eq!(Value::from_bytes(SecretBytes::new(b"{".to_vec()), Encoding::Json).unwrap_err(), BadValue::NotJson);
    }

    #[test]
    fn escapes_read_as_serde_json_reads_them() {
        for json in [
            r#""""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u00e9\u20AC""#,
            r#""\ud83d\ude00 tail""#,
            r#""é\u0000€""#,
            r#""a\\""#,
        ] {
            let wanted: String = serde_json::from_str(json).unwrap();
            assert_eq!(bytes_of(json, None).unwrap().0, wanted.as_bytes(), "{json}");
        }
        for json in [r#""\ud83d""#, r#""\ud83dx""#, r#""\udc00""#, r#""\ud83d\u0041""#] {
            assert!(serde_json::from_str::<Value>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_value_that_is_written_reads_back() {
        let long = "line\n\u{1}\"é".repeat(4000);
        for (bytes, encoding) in [
            (b"plain".to_vec(), Encoding::Utf8),
            (long.into_bytes(), Encoding::Utf8),
            (vec![0, 255, 10], Encoding::Base64),
            (br#"{"k": "v"}"#.to_vec(), Encoding::Json),
        ] {
            let value = Value::from_bytes(SecretBytes::new(bytes.clone()), encoding).unwrap();
            let message = encode(&value).unwrap();
            let back: Value = serde_json::from_slice(message.expose()).unwrap();
            let (read, _) = back.into_bytes(Some(encoding)).unwrap();
            assert_eq!(read.expose(), bytes);
        }
    }

    #[test]
    fn leak_02_debug_of_a_value_shows_the_type_only() {
        let value = read(r#""canary-7f3a""#);
        assert_eq!(format!("{value:?} {value:#?}"), "Value Value");
    }

    #[test]
    fn leak_01_a_refused_value_is_not_in_the_message() {
        let refused = serde_json::from_str::<Value>(r#""canary\ud83d""#).unwrap_err().to_string();
        assert!(!refused.contains("canary"), "{refused}");
    }
}
