//! Files of environment variables: `NAME=value` lines, `export` and quotes allowed, nothing is expanded.

use client::Error;

use crate::fault;
use crate::inject::name;

/// Reads the lines of an env file.
///
/// `#` begins a comment on a line of its own or behind a blank after an unquoted value. Single quotes keep
/// everything; double quotes know `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. A value ends with its line.
///
/// Errors: `Invalid`, naming the line and never what stands in it.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = || format!("`{file}` line {}", index.saturating_add(1));
        let hint = "write NAME=value, one a line; quote values with blanks or `#`";
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = line.split_once('=').ok_or_else(|| fault::invalid(at() + " is not NAME=value", hint))?;
        let name = name.trim_end();
        name::check(name).map_err(|_| fault::invalid(at() + " has a name that is none", hint))?;
        let value =
            unquote(value.trim()).ok_or_else(|| fault::invalid(at() + " has a quote that is not closed", hint))?;
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

fn unquote(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, tail) = rest.split_once('\'')?;
        return comment(tail).then(|| value.to_owned());
    }
    if let Some(rest) = text.strip_prefix('"') {
        return double_quoted(rest);
    }
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text.get(..end).map(|value| value.trim_end().to_owned())
}

fn double_quoted(rest: &str) -> Option<String> {
    let mut value = String::with_capacity(rest.len());
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    comment(chars.as_str()).then_some(value)
}

/// Whether nothing but a comment follows.
fn comment(tail: &str) -> bool {
    let tail = tail.trim_start();
    tail.is_empty() || tail.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_meant() {
        for (line, value) in [
            ("A=plain", "plain"),
            ("export A=plain", "plain"),
            ("  A = spaced  ", "spaced"),
            ("A=", ""),
            ("A=x # comment", "x"),
            ("A=x#y", "x#y"),
            ("A='a # \"b\" $C' # comment", "a # \"b\" $C"),
            (r#"A="line\nquote\"dollar\$ back\\slash \x""#, "line\nquote\"dollar$ back\\slash \\x"),
            ("A=aumbry://t/db/password?version=3#user", "aumbry://t/db/password?version=3#user"),
            ("A=$HOME", "$HOME"),
        ] {
            assert_eq!(parse(line, "f").unwrap(), [("A".to_owned(), value.to_owned())], "{line}");
        }
        assert_eq!(parse("\u{feff}# only\n\n  # comments\n", "f").unwrap(), []);
    }

    #[test]
    fn leak_01_a_line_that_cannot_be_read_is_named_and_not_shown() {
        for bad in [
            "canary",
            "1A=canary",
            "A='canary",
            "A=\"canary",
            "A=\"canary\" canary",
            "A='x' canary",
            "BASH_FUNC_x%%=canary",
        ] {
            let refused = parse(&format!("OK=1\n{bad}"), "f").unwrap_err();
            assert!(refused.detail.contains("line 2") && !refused.detail.contains("canary"), "{refused}");
        }
    }
}
