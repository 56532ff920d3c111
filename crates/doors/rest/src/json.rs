//! JSON bodies: bounds and duplicate keys are checked in one pass without building anything, then serde reads.

use crate::limits::{BATCH_VALUES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX};
use app::Refusal;
use app::code::REQUEST_INVALID;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashSet;

/// Reads a body of this type.
///
/// Errors: `request.invalid`, naming the field's path and never what was sent. Time and memory are linear in the
/// body; depth is bounded before anything recurses.
pub(crate) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Refusal> {
    read_object(body, JSON_VALUES_MAX)
}

/// As [`read`], for a body that holds many secrets.
pub(crate) fn read_batch<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Refusal> {
    read_object(body, BATCH_VALUES_MAX)
}

fn read_object<'de, T: Deserialize<'de>>(body: &'de [u8], values_max: usize) -> Result<T, Refusal> {
    // Serde would also take a list of a struct's fields in their order: a second spelling of every body.
    if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(wrong("the body is not a JSON object"));
    }
    read_any(body, values_max)
}

/// As [`read`], for any value.
fn read_any<'de, T: Deserialize<'de>>(body: &'de [u8], values_max: usize) -> Result<T, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_bad| wrong("the body is not UTF-8"))?;
    let mut scan = Scan { text: body, at: 0, values: 0, values_max, open: Vec::new() };
    scan.document().map_err(|problem| wrong(&scan.told(problem)))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    T::deserialize(&mut reader).map_err(|error| {
        let stop = offset_of(body, error.line(), error.column());
        let mut scan = Scan { text: body.get(..stop).unwrap_or(body), at: 0, values: 0, values_max, open: Vec::new() };
        let _cut = scan.document();
        wrong(&scan.told("does not have the form this route needs"))
    })
}

fn wrong(why: &str) -> Refusal {
    Refusal::new(&REQUEST_INVALID, why.to_owned())
}

/// Byte offset of a line and column as serde_json counts them.
fn offset_of(body: &[u8], line: usize, column: usize) -> usize {
    let before: usize = body.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    before.saturating_add(column).min(body.len())
}

/// A container that is open at the place the scan has reached.
enum Open<'a> {
    Array,
    Object { seen: Seen<'a>, at: Option<Cow<'a, [u8]>> },
}

/// Keys of one object: a list while it is short, then a set.
#[derive(Default)]
struct Seen<'a> {
    few: Vec<Cow<'a, [u8]>>,
    many: HashSet<Cow<'a, [u8]>>,
}

impl<'a> Seen<'a> {
    /// Whether the key is new.
    fn add(&mut self, key: Cow<'a, [u8]>) -> bool {
        const FEW: usize = 16;
        if self.few.len() < FEW {
            let new = !self.few.contains(&key);
            self.few.push(key);
            return new;
        }
        !self.few.contains(&key) && self.many.insert(key)
    }
}

/// One pass over a document (RFC 8259) that builds nothing but the keys of open objects.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    values: usize,
    values_max: usize,
    open: Vec<Open<'a>>,
}

type Step<T> = Result<T, &'static str>;

const TOO_MANY: &str = "has more than 10,000 values";
const TOO_MANY_OF_A_BATCH: &str = "has more than 100,000 values";
const MALFORMED: &str = "is not well-formed JSON";

impl<'a> Scan<'a> {
    fn document(&mut self) -> Step<()> {
        self.value()?;
        while !self.open.is_empty() {
            self.next_in_container()?;
        }
        self.blank();
        if self.at == self.text.len() { Ok(()) } else { Err("has something after its end") }
    }

    /// One value, or the opening of a container.
    fn value(&mut self) -> Step<()> {
        self.blank();
        self.values += 1;
        if self.values > self.values_max {
            return Err(if self.values_max == JSON_VALUES_MAX { TOO_MANY } else { TOO_MANY_OF_A_BATCH });
        }
        match self.peek() {
            Some(b'{') => self.enter(Open::Object { seen: Seen::default(), at: None }),
            Some(b'[') => self.enter(Open::Array),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(MALFORMED),
        }
    }

    fn enter(&mut self, container: Open<'a>) -> Step<()> {
        if self.open.len() >= JSON_DEPTH_MAX {
            return Err("is nested deeper than 64");
        }
        self.at += 1;
        let end = if matches!(container, Open::Array) { b']' } else { b'}' };
        self.open.push(container);
        self.blank();
        if self.peek() == Some(end) {
            self.at += 1;
            self.open.pop();
            return Ok(());
        }
        self.member()
    }

    /// After a member: a comma and the next one, or the end of the container.
    fn next_in_container(&mut self) -> Step<()> {
        self.blank();
        let end = if matches!(self.open.last(), Some(Open::Array)) { b']' } else { b'}' };
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.member()
            }
            Some(byte) if byte == end => {
                self.at += 1;
                self.open.pop();
                Ok(())
            }
            _ => Err(MALFORMED),
        }
    }

    fn member(&mut self) -> Step<()> {
        self.blank();
        if matches!(self.open.last(), Some(Open::Object { .. })) {
            let key = self.key()?;
            if let Some(Open::Object { seen, at }) = self.open.last_mut() {
                *at = Some(key.clone());
                if !seen.add(key) {
                    return Err("stands twice");
                }
            }
            self.blank();
            if self.peek() != Some(b':') {
                return Err(MALFORMED);
            }
            self.at += 1;
        }
        self.value()
    }

    /// A key as it is meant: escapes resolved, so that two spellings of one key are one.
    fn key(&mut self) -> Step<Cow<'a, [u8]>> {
        let start = self.at;
        let escaped = self.string()?;
        let quoted = self.text.get(start..self.at).ok_or(MALFORMED)?;
        if escaped {
            let meant: String = serde_json::from_slice(quoted).map_err(|_bad| MALFORMED)?;
            return Ok(Cow::Owned(meant.into_bytes()));
        }
        quoted.get(1..quoted.len().saturating_sub(1)).map(Cow::Borrowed).ok_or(MALFORMED)
    }

    /// Skips a string; tells whether it has escapes.
    fn string(&mut self) -> Step<bool> {
        if self.peek() != Some(b'"') {
            return Err(MALFORMED);
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).ok_or(MALFORMED)?;
            let plain = memchr::memchr2(b'"', b'\\', rest).ok_or(MALFORMED)?;
            // Folded, not sought: a pass without a branch is a few bytes a cycle.
            let controls = rest.iter().take(plain).fold(false, |found, byte| found | (*byte < 0x20));
            if controls {
                return Err(MALFORMED);
            }
            self.at += plain;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Ok(escaped);
            }
            escaped = true;
            self.at += 2;
        }
    }

    fn number(&mut self) -> Step<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        let zero = self.text.get(self.at - whole) == Some(&b'0');
        if whole == 0 || (zero && whole > 1) {
            return Err(MALFORMED);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(MALFORMED);
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(MALFORMED);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &[u8]) -> Step<()> {
        let end = self.at + word.len();
        if self.text.get(self.at..end) != Some(word) {
            return Err(MALFORMED);
        }
        self.at = end;
        Ok(())
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// A sentence about the place reached: the path of keys that look like field names, otherwise "the body".
    fn told(&self, problem: &str) -> String {
        let plain = |key: &[u8]| {
            key.len() <= 32 && !key.is_empty() && key.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
        };
        let mut path = Vec::new();
        for open in &self.open {
            match open {
                Open::Object { at: Some(key), .. } if plain(key) => path.push(String::from_utf8_lossy(key)),
                _ => break,
            }
        }
        if path.is_empty() {
            format!("the body {problem}")
        } else {
            format!("`{}` in the body {problem}", path.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::secret::{PutSecret, Rollback};
    use serde::de::IgnoredAny;

    fn problem(body: &str) -> Option<String> {
        read_any::<IgnoredAny>(body.as_bytes(), JSON_VALUES_MAX).err().map(|refusal| refusal.detail)
    }

    #[test]
    fn http_03_depth_is_bounded_before_anything_recurses() {
        for open in ["[", "{\"a\":"] {
            let told = problem(&open.repeat(10_000)).unwrap();
            assert!(told.contains("deeper than 64"), "{told}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!((problem(&nested(64)), problem(&nested(65)).is_some()), (None, true));
    }

    #[test]
    fn http_04_values_are_counted() {
        let list = |count: usize| format!("[{}]", vec!["\"\""; count].join(","));
        assert_eq!(problem(&list(9_999)), None);
        assert!(problem(&list(10_000)).unwrap().contains("10,000"));
        assert!(problem(&list(300_000)).unwrap().contains("10,000"));
    }

    #[test]
    fn http_06_duplicate_keys_are_refused_in_every_spelling_and_at_every_depth() {
        let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
        for (body, twice) in [
            (r#"{"ttl":"1h","ttl":"999h"}"#.to_owned(), true),
            (r#"{"ttl":"1h","\u0074tl":"999h"}"#.to_owned(), true),
            (r#"{"a":{"b":1,"b":2}}"#.to_owned(), true),
            (r#"[{"a":1},{"a":1}]"#.to_owned(), false),
            (r#"{"a":{"a":{"a":1}}}"#.to_owned(), false),
            (format!("{{{}}}", many.join(",")), false),
            (format!("{{{},\"k99\":2}}", many.join(",")), true),
            (format!("{{{},\"k3\":2}}", many.join(",")), true),
        ] {
            assert_eq!(problem(&body).is_some_and(|told| told.contains("twice")), twice, "{body}");
        }
    }

    #[test]
    fn only_well_formed_json_passes_as_serde_json_sees_it() {
        for body in [
            "",
            " ",
            "nul",
            "NaN",
            "Infinity",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "'a'",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "{\"a\" 1}",
            "\"\t\"",
            "\"",
            "\"\\",
            "[",
            "{",
            "1 2",
            "[]]",
            "\u{feff}1",
            "tru",
            "{\"a\"}",
            "[,1]",
            "1",
            "-0",
            "1e400",
            "1.5e-3",
            "\"\\u0041\"",
            "[]",
            "{}",
            " [1 , {\"a\" : null}]\n",
            "\"\\x\"",
            "\"\\ud800\"",
        ] {
            let reference = serde_json::from_str::<serde_json::Value>(body).is_ok();
            let ours = read_any::<serde_json::Value>(body.as_bytes(), JSON_VALUES_MAX).is_ok();
            assert_eq!(ours, reference, "{body:?}");
        }
    }

    #[test]
    fn a_body_has_one_spelling_an_object() {
        for body in [r#"["a",1]"#, "\"a\"", "1", "null", " [\"a\"]"] {
            assert!(read::<Rollback>(body.as_bytes()).is_err(), "{body}");
        }
        assert!(read::<Rollback>(b" \n{\"path\":\"a\",\"version\":1}").is_ok());
    }

    #[test]
    fn http_07_numbers_are_taken_as_they_are_or_refused() {
        for bad in ["1e400", "-0", "-1", "1.5", "1.0", "18446744073709551616", "\"5\"", "true", "null0"] {
            let body = format!(r#"{{"path":"a","version":{bad}}}"#);
            assert!(read::<Rollback>(body.as_bytes()).is_err(), "{bad}");
        }
        let largest = format!(r#"{{"path":"a","version":{}}}"#, u64::MAX);
        assert_eq!(read::<Rollback>(largest.as_bytes()).unwrap().version, Some(u64::MAX));
    }

    #[test]
    fn leak_01_a_refused_body_names_the_field_and_nothing_that_was_sent() {
        for (body, field) in [
            (r#"{"value":"canary""#, "the body"),
            (r#"{"value":"canary-\ud800"}"#, "the body"),
            (r#"{"value":"x","cas":"canary"}"#, "`cas`"),
            (r#"{"value":"x","CANARY":"canary"}"#, "the body"),
            (r#"{"value":"x","unknown":"canary"}"#, "`unknown`"),
            (r#"{"value":"x","labels":{"a":["canary"]}}"#, "`labels"),
            (r#"{"value":"x","labels":"canary"}"#, "`labels`"),
            ("{\n \"value\": \"x\",\n \"cas\": \"canary\"\n}", "`cas`"),
            ("canary", "the body"),
        ] {
            let told = read::<PutSecret>(body.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(field) && !told.to_lowercase().contains("canary"), "{body}: {told}");
        }
    }

    #[test]
    fn http_03_refusing_is_linear_in_the_body() {
        let keys: Vec<String> = (0..9_990).map(|n| format!("\"key{n}\":0")).collect();
        assert_eq!(problem(&format!("{{{}}}", keys.join(","))), None);
        assert!(problem(&format!("\"{}", "\\\\".repeat(1 << 20))).is_some());
    }
}
