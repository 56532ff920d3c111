//! Bounds on a policy's text before Cedar parses it.
//!
//! Cedar's parser and its trees recurse with the nesting of the text. A pass over the characters bounds the
//! nesting, so that no text can exhaust the stack that checking is given.

use crate::limits::{POLICY_BYTES_MAX, POLICY_DEPTH_MAX, POLICY_OPERATORS_MAX, POLICY_STATEMENTS_MAX};

/// What is wrong with a text, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misshapen {
    pub(super) line: usize,
    pub(super) why: String,
}

/// Checks size, nesting and number of statements.
pub(super) fn check(text: &str) -> Result<(), Misshapen> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Misshapen { line: 1, why: format!("the text is longer than {POLICY_BYTES_MAX} bytes") });
    }
    let mut scan = Scan { line: 1, ..Scan::default() };
    let mut characters = text.chars().peekable();
    let mut word = String::new();
    while let Some(c) = characters.next() {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        scan.word(&word)?;
        word.clear();
        match c {
            '\n' => scan.line = scan.line.saturating_add(1),
            '"' => {
                while let Some(inner) = characters.next() {
                    match inner {
                        '\\' => {
                            characters.next();
                        }
                        '\n' => scan.line = scan.line.saturating_add(1),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if characters.peek() == Some(&'/') => while characters.next_if(|c| *c != '\n').is_some() {},
            '(' | '[' | '{' => scan.open()?,
            ')' | ']' | '}' => scan.depth = scan.depth.saturating_sub(1),
            ';' => scan.end()?,
            '&' | '|' => {
                characters.next_if_eq(&c);
                scan.operator()?;
            }
            '+' | '-' | '*' | '.' | '!' => scan.operator()?,
            _ => {}
        }
    }
    scan.word(&word)
}

#[derive(Default)]
struct Scan {
    line: usize,
    depth: usize,
    branches: usize,
    operators: usize,
    statements: usize,
}

impl Scan {
    fn fail<T>(&self, why: String) -> Result<T, Misshapen> {
        Err(Misshapen { line: self.line, why })
    }

    fn word(&mut self, word: &str) -> Result<(), Misshapen> {
        if word == "if" {
            self.branches = self.branches.saturating_add(1);
            return self.nested();
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Misshapen> {
        self.depth = self.depth.saturating_add(1);
        self.nested()
    }

    fn nested(&self) -> Result<(), Misshapen> {
        if self.depth.saturating_add(self.branches) > POLICY_DEPTH_MAX {
            return self.fail(format!("more than {POLICY_DEPTH_MAX} nested brackets and `if`s in one statement"));
        }
        Ok(())
    }

    fn operator(&mut self) -> Result<(), Misshapen> {
        self.operators = self.operators.saturating_add(1);
        if self.operators > POLICY_OPERATORS_MAX {
            return self.fail(format!("more than {POLICY_OPERATORS_MAX} operators in one statement; split it"));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Misshapen> {
        self.statements = self.statements.saturating_add(1);
        self.operators = 0;
        self.branches = 0;
        if self.statements > POLICY_STATEMENTS_MAX {
            return self.fail(format!("more than {POLICY_STATEMENTS_MAX} statements under one name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_and_one_past() {
        let nested = |n: usize| {
            format!("permit(principal, action, resource) when {{ {}true{} }};", "(".repeat(n), ")".repeat(n))
        };
        assert!(check(&nested(POLICY_DEPTH_MAX - 1)).is_ok());
        assert!(check(&nested(POLICY_DEPTH_MAX)).is_err());
        let statements = |n: usize| "permit(principal, action, resource);\n".repeat(n);
        assert!(check(&statements(POLICY_STATEMENTS_MAX)).is_ok());
        assert_eq!(check(&statements(POLICY_STATEMENTS_MAX + 1)).unwrap_err().line, POLICY_STATEMENTS_MAX + 1);
        let chained =
            |n: usize| format!("permit(principal, action, resource) when {{ true{} }};", " && true".repeat(n));
        assert!(check(&chained(POLICY_OPERATORS_MAX)).is_ok());
        assert!(check(&chained(POLICY_OPERATORS_MAX + 1)).is_err());
        assert!(check(&"x".repeat(POLICY_BYTES_MAX)).is_ok());
        assert!(check(&"x".repeat(POLICY_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn strings_and_comments_do_not_count() {
        let brackets = "(".repeat(100);
        assert!(
            check(&format!("// {brackets}\npermit(principal, action, resource == Secret::\"\\\"{brackets}\");"))
                .is_ok()
        );
        assert!(check(&"if x then ".repeat(100)).is_err());
    }
}
