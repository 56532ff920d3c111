//! References: text that stands for a secret, `aumbry://tenant/path?version=3#field`.

use std::fmt;
use std::str::FromStr;

/// Why a text is no reference; never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadReference(&'static str);

impl fmt::Display for BadReference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadReference {}

/// What a reference points at. Whether the path is in its canonical form is for whoever looks it up.
///
/// `aumbry://<tenant>/<path>` with `?version=<n>` for one version and `#<field>` for one field of a JSON object;
/// an empty tenant is the caller's own. Characters that would end a part are percent-encoded, and so is `%`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Tenant; the caller's own when absent.
    pub tenant: Option<String>,
    /// Path of the secret.
    pub path: String,
    /// Version; the current one when absent.
    pub version: Option<u64>,
    /// Field of the JSON object that the value is; the whole value when absent.
    pub field: Option<String>,
}

impl Reference {
    /// Whether this text means to be a reference.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Parses a reference, or a plain path with an optional `?version=` and `#field` behind it.
    pub fn parse_or_path(text: &str) -> Result<Self, BadReference> {
        match text.strip_prefix(SCHEME) {
            Some(_) => text.parse(),
            None => build(None, text),
        }
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| bad("it does not start with aumbry://"))?;
        let (tenant, rest) = rest.split_once('/').ok_or_else(|| bad("it has no path"))?;
        if tenant.contains(['?', '#', '@', ':']) {
            return Err(bad("its tenant holds `?`, `#`, `@` or `:`"));
        }
        let tenant = decode(tenant)?;
        build(Some(tenant).filter(|tenant| !tenant.is_empty()), rest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(SCHEME)?;
        encode(self.tenant.as_deref().unwrap_or_default(), false, out)?;
        out.write_str("/")?;
        encode(&self.path, true, out)?;
        if let Some(version) = self.version {
            write!(out, "?version={version}")?;
        }
        if let Some(field) = &self.field {
            out.write_str("#")?;
            encode(field, false, out)?;
        }
        Ok(())
    }
}

fn build(tenant: Option<String>, rest: &str) -> Result<Reference, BadReference> {
    let (rest, field) = match rest.split_once('#') {
        Some((rest, field)) => (rest, Some(decode(field)?)),
        None => (rest, None),
    };
    if field.as_deref() == Some("") {
        return Err(bad("its field has no name"));
    }
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let version = query.map(version).transpose()?;
    let path = decode(path)?;
    Ok(Reference { tenant, path, version, field })
}

fn version(query: &str) -> Result<u64, BadReference> {
    let digits = query.strip_prefix("version=").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| *number > 0);
    number.ok_or_else(|| bad("what follows `?` is not version=<number from 1>"))
}

/// Decodes percent escapes once. A decoded slash or percent sign is no part of any name.
fn decode(text: &str) -> Result<String, BadReference> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(|| bad("it has a `%` without two hex digits"))?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match byte {
            Some(b'/' | b'%') | None => return Err(bad("it has a percent escape that no name holds")),
            Some(byte) => bytes.push(byte),
        }
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| bad("its percent escapes are not UTF-8"))
}

fn encode(text: &str, slashes: bool, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        if matches!(c, '?' | '#' | '%' | '@' | ':') || c.is_whitespace() || (c == '/' && !slashes) {
            let mut utf8 = [0; 4];
            c.encode_utf8(&mut utf8).bytes().try_for_each(|byte| write!(out, "%{byte:02X}"))?;
        } else {
            fmt::Write::write_char(out, c)?;
        }
    }
    Ok(())
}

fn bad(why: &'static str) -> BadReference {
    BadReference(why)
}

const SCHEME: &str = "aumbry://";

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(tenant: &str, path: &str, version: u64, field: &str) -> Reference {
        Reference {
            tenant: Some(tenant.to_owned()).filter(|t| !t.is_empty()),
            path: path.to_owned(),
            version: Some(version).filter(|v| *v > 0),
            field: Some(field.to_owned()).filter(|f| !f.is_empty()),
        }
    }

    #[test]
    fn each_part_may_be_left_out() {
        for (text, wanted) in [
            ("aumbry://acme/db/password?version=3#user", reference("acme", "db/password", 3, "user")),
            ("aumbry://acme/db/password", reference("acme", "db/password", 0, "")),
            ("aumbry:///db/password", reference("", "db/password", 0, "")),
            ("aumbry:///a#x.y", reference("", "a", 0, "x.y")),
            ("aumbry:///what%3F/100%23?version=1", reference("", "what?/100#", 1, "")),
        ] {
            assert_eq!(text.parse(), Ok(wanted), "{text}");
        }
        assert_eq!(Reference::parse_or_path("db/password?version=2"), Ok(reference("", "db/password", 2, "")));
    }

    #[test]
    fn path_09_what_is_written_reads_back() {
        for wanted in [
            reference("acme", "db/password", 3, "user"),
            reference("", "what?/100#", 1, "a b"),
            reference("t@x", "ä €/b:c", 0, "é?"),
        ] {
            assert_eq!(wanted.to_string().parse(), Ok(wanted.clone()), "{wanted}");
        }
    }

    #[test]
    fn path_01_references_that_are_not_canonical_are_refused() {
        for bad in [
            "aumbry://",
            "aumbry://t",
            "aumbry:///a%2fb",
            "aumbry:///a%252fb",
            "aumbry:///a%",
            "aumbry:///a%zz",
            "aumbry:///a%+1",
            "aumbry:///a?version=0",
            "aumbry:///a?version=",
            "aumbry:///a?version=-1",
            "aumbry:///a?x=1",
            "aumbry:///a?version=1&version=2",
            "aumbry:///a#",
            "aumbry:///%ff",
            "AUMBRY:///a",
            "aumbry://user@t/a",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
