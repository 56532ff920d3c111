//! Files of environment variables: `NAME=value` lines, `export` and quotes allowed, nothing is expanded.

use client::Error;
use crypto::secret::SecretText;

use crate::fault;
use crate::inject::name;

/// Reads the lines of an env file.
///
/// `#` begins a comment on a line of its own or behind a blank after an unquoted value. Single quotes keep
/// everything; double quotes know `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. A quoted value may go over several lines.
///
/// Errors: `Invalid`, naming the line and never what stands in it.
pub(crate) fn parse(text: &str, file: &str) -> Result<Vec<(String, String)>, Error> {
    // In one piece, unlike `replace`, which leaves what it outgrows behind.
    let lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(text).split("\r\n").collect();
    let text = SecretText::new(lines.join("\n"));
    let mut found = Vec::new();
    let (mut rest, mut number) = (text.expose(), 1usize);
    while !rest.is_empty() {
        let at = || format!("`{file}` line {number}");
        let hint = "write NAME=value, one a line; quote values with blanks, `#` or several lines";
        let (line, mut after) = rest.split_once('\n').unwrap_or((rest, ""));
        let plain = line.trim();
        if !plain.is_empty() && !plain.starts_with('#') {
            let (name, value) =
                line.split_once('=').ok_or_else(|| fault::invalid(at() + " is not NAME=value", hint))?;
            let name = name.trim();
            let name = name.strip_prefix("export ").map_or(name, str::trim_start);
            name::check(name).map_err(|_| fault::invalid(at() + " has a name that is none", hint))?;
            let value = match value.trim_start().chars().next() {
                Some(quote @ ('\'' | '"')) => {
                    let open = || fault::invalid(at() + " has a quote that is not closed", hint);
                    let (_, inner) = rest.split_once(quote).ok_or_else(open)?;
                    let (value, tail) = quoted(inner, quote).ok_or_else(open)?;
                    let (same_line, next) = tail.split_once('\n').unwrap_or((tail, ""));
                    if !comment(same_line) {
                        return Err(fault::invalid(at() + " goes on after its value", hint));
                    }
                    after = next;
                    value
                }
                _ => unquoted(value.trim()).to_owned(),
            };
            found.push((name.to_owned(), value));
        }
        let gone = rest.get(..rest.len().saturating_sub(after.len())).unwrap_or_default();
        number = number.saturating_add(gone.matches('\n').count());
        rest = after;
    }
    Ok(found)
}

/// Up to a comment.
fn unquoted(text: &str) -> &str {
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim_end()
}

/// What stands in quotes, and what comes behind them.
fn quoted(inner: &str, quote: char) -> Option<(String, &str)> {
    let escapes = quote == '"';
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == quote && !escaped;
        escaped = escapes && c == '\\' && !escaped;
        ends
    })?;
    let (within, behind) = (inner.get(..end)?, inner.get(end.saturating_add(1)..)?);
    // Never grows: that would leave pieces of the value behind.
    let mut value = String::with_capacity(within.len());
    let mut chars = within.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if escapes => match chars.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    Some((value, behind))
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
        let pem = "-----BEGIN-----\nAbc=\n-----END-----";
        let text = format!("A='{pem}' # key\r\nB=\"{pem}\n\"\nC=x\n");
        let wanted = [("A", pem.to_owned()), ("B", format!("{pem}\n")), ("C", "x".to_owned())];
        assert_eq!(parse(&text, "f").unwrap(), wanted.map(|(name, value)| (name.to_owned(), value)));
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
            "A='x\ncanary' canary",
        ] {
            let refused = parse(&format!("OK=1\n{bad}"), "f").unwrap_err();
            assert!(refused.detail.contains("line 2") && !refused.detail.contains("canary"), "{refused}");
        }
    }
}
