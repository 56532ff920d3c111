//! The kinds of values a key may have, and how each is read from a file or from text.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A value as it was written, before its key gives it a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// Text in a file.
    Text(String),
    /// A bare number in a file, digits as written.
    Number(String),
    /// `true` or `false` in a file.
    Flag(bool),
    /// A list of texts in a file.
    List(Vec<String>),
    /// From a flag, the environment or a default: text that stands for any kind.
    Loose(String),
    /// Anything else, by the name of its kind.
    Other(&'static str),
}

/// A kind of value.
pub trait Setting: Sized {
    /// How the kind is called in the sample and in messages.
    const KIND: &'static str;

    /// Reads a value. The error says what is wanted and never repeats what was given.
    fn read(raw: &Raw) -> Result<Self, String>;
}

/// Reads a value and checks that it lies in `low..=high`, both written as text.
pub(crate) fn bounded<T: Setting + PartialOrd>(raw: &Raw, low: &str, high: &str) -> Result<T, String> {
    let value = T::read(raw)?;
    let edge = |text: &str| T::read(&Raw::Loose(text.to_owned()));
    if value < edge(low)? || value > edge(high)? {
        return Err(format!("must lie between {low} and {high}"));
    }
    Ok(value)
}

/// A length of time with its unit: `90s`, `15m`, `24h`, `30d`, `250ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let wanted = || "wants a duration with its unit, such as \"90s\", \"15m\", \"24h\" or \"30d\"".to_owned();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wanted)?;
        let number: u64 = number.parse().map_err(|_bad| wanted())?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wanted()),
        };
        number.checked_mul(unit_ms).map(|ms| Span(Duration::from_millis(ms))).ok_or_else(wanted)
    }
}

impl Setting for Span {
    const KIND: &'static str = "duration";

    fn read(raw: &Raw) -> Result<Span, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => text.parse(),
            Raw::Number(_) => Err("a bare number has no unit; write \"90s\", \"15m\", \"24h\" or \"30d\"".to_owned()),
            other => Err(wrong("a duration", other)),
        }
    }
}

/// How long something is kept: a length of time, or `none` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// At least this long.
    For(Duration),
    /// For ever.
    Always,
}

impl Setting for Keep {
    const KIND: &'static str = "duration or none";

    fn read(raw: &Raw) -> Result<Keep, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) if text == "none" => Ok(Keep::Always),
            Raw::Other(_) | Raw::Flag(_) | Raw::List(_) => Err(wrong("a duration, or \"none\" to keep for ever", raw)),
            other => match Span::read(other) {
                Ok(Span(span)) => Ok(Keep::For(span)),
                Err(problem) => Err(format!("{problem}, or \"none\" to keep for ever")),
            },
        }
    }
}

/// A number of bytes with its unit: `512KiB`, `48MiB`, `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Setting for Size {
    const KIND: &'static str = "size";

    fn read(raw: &Raw) -> Result<Size, String> {
        let wanted = || "wants a size with its unit, such as \"512KiB\", \"48MiB\" or \"2GiB\"".to_owned();
        let (Raw::Text(text) | Raw::Loose(text)) = raw else { return Err(wanted()) };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(wanted)?;
        let number: u64 = number.parse().map_err(|_bad| wanted())?;
        let unit: u64 = match unit {
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wanted()),
        };
        number.checked_mul(unit).map(Size).ok_or_else(wanted)
    }
}

/// A path in the file system, or nothing: the default is then worked out at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(pub Option<PathBuf>);

impl Setting for Location {
    const KIND: &'static str = "path";

    fn read(raw: &Raw) -> Result<Location, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) if text.contains('\0') => Err("a path has no zero byte".to_owned()),
            Raw::Text(text) | Raw::Loose(text) => Ok(Location((!text.is_empty()).then(|| PathBuf::from(text)))),
            other => Err(wrong("a path", other)),
        }
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(raw: &Raw) -> Result<String, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => Ok(text.clone()),
            other => Err(wrong("text", other)),
        }
    }
}

impl Setting for u64 {
    const KIND: &'static str = "number";

    fn read(raw: &Raw) -> Result<u64, String> {
        match raw {
            Raw::Number(digits) | Raw::Loose(digits) => {
                digits.parse().map_err(|_bad| "wants a whole number".to_owned())
            }
            other => Err(wrong("a whole number", other)),
        }
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(raw: &Raw) -> Result<bool, String> {
        match raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Loose(text) => text.parse().map_err(|_bad| "wants true or false".to_owned()),
            other => Err(wrong("true or false", other)),
        }
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "address:port";

    fn read(raw: &Raw) -> Result<SocketAddr, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => {
                text.parse().map_err(|_bad| "wants an address and port, such as \"127.0.0.1:7480\"".to_owned())
            }
            other => Err(wrong("an address and port", other)),
        }
    }
}

/// One of a closed set of words.
pub trait Choice: Sized + Copy + 'static {
    /// The words and what they stand for.
    const WORDS: &'static [(&'static str, Self)];
}

impl<T: Choice> Setting for T {
    const KIND: &'static str = "word";

    fn read(raw: &Raw) -> Result<T, String> {
        let known = || {
            let words: Vec<String> = T::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            format!("wants one of {}", words.join(", "))
        };
        match raw {
            Raw::Text(text) | Raw::Loose(text) => {
                T::WORDS.iter().find(|(word, _)| word == text).map(|(_, value)| *value).ok_or_else(known)
            }
            _ => Err(known()),
        }
    }
}

/// A list; in the environment its items are separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: FromStr<Err: Display>> Setting for List<T> {
    const KIND: &'static str = "list";

    fn read(raw: &Raw) -> Result<List<T>, String> {
        let item = |text: &str| text.parse().map_err(|why: T::Err| format!("has an item that is wrong: {why}"));
        match raw {
            Raw::List(items) => items.iter().map(|text| item(text)).collect::<Result<_, _>>().map(List),
            Raw::Loose(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts.map(item).collect::<Result<_, _>>().map(List)
            }
            other => Err(wrong("a list of texts", other)),
        }
    }
}

pub(super) fn wrong(wanted: &str, given: &Raw) -> String {
    let kind = match given {
        Raw::Text(_) | Raw::Loose(_) => "text",
        Raw::Number(_) => "a bare number",
        Raw::Flag(_) => "true or false",
        Raw::List(_) => "a list",
        Raw::Other(kind) => kind,
    };
    format!("wants {wanted}, not {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit() {
        for (text, wanted) in
            [("90s", Some(90_000)), ("15m", Some(900_000)), ("30d", Some(2_592_000_000)), ("250ms", Some(250))]
                .into_iter()
                .chain([("90", None), ("", None), ("s", None), ("1h30m", None), ("-1s", None), ("1.5h", None)])
                .chain([("99999999999999999999s", None), ("1 s", None), ("18446744073709551615d", None)])
        {
            let read = Span::read(&Raw::Loose(text.to_owned())).ok().map(|span| span.0.as_millis());
            assert_eq!(read, wanted, "{text}");
        }
        assert!(Span::read(&Raw::Number("90".to_owned())).unwrap_err().contains("unit"));
    }

    #[test]
    fn keeping_for_ever_is_more_than_any_time_and_a_size_needs_its_unit() {
        let keep = |text: &str| bounded::<Keep>(&Raw::Text(text.to_owned()), "1h", "none").ok();
        assert_eq!((keep("none"), keep("1h")), (Some(Keep::Always), Some(Keep::For(Duration::from_secs(3600)))));
        assert_eq!([keep("59m"), keep(""), keep("0s"), keep("never"), keep("30")], [None; 5]);
        let size = |text: &str| Size::read(&Raw::Loose(text.to_owned())).ok().map(|size| size.0);
        assert_eq!([size("1KiB"), size("48MiB"), size("2GiB")], [Some(1024), Some(48 << 20), Some(2 << 30)]);
        assert_eq!([size("48"), size("48MB"), size("-1MiB"), size("99999999999999GiB"), size("")], [None; 5]);
    }

    #[test]
    fn a_bound_includes_its_edges() {
        let read = |text: &str| bounded::<u64>(&Raw::Number(text.to_owned()), "1", "10").is_ok();
        assert_eq!([read("0"), read("1"), read("10"), read("11")], [false, true, true, false]);
    }
}
