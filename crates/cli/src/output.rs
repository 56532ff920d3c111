//! Standard output: tables for people, tab-separated lines for pipes, JSON where asked for.

use std::io::{IsTerminal as _, Write as _};

use client::Error;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::{escape, fault};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether JSON was asked for.
    pub(crate) json: bool,
}

impl Output {
    /// Whether a person looks at standard output.
    pub(crate) fn terminal(self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Prints an answer: as JSON, or what `human` makes of it.
    pub(crate) fn answer<T: Serialize>(self, answer: &T, human: impl FnOnce(&T) -> String) -> Result<(), Error> {
        if self.json {
            let mut text =
                serde_json::to_vec_pretty(answer).map_err(|_| fault::invalid("the answer is no JSON", ""))?;
            text.push(b'\n');
            return write(&text);
        }
        let mut text = human(answer);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        write(text.as_bytes())
    }

    /// Prints rows: as JSON the whole answer, for people a table, into a pipe lines with tabs and no head.
    pub(crate) fn rows<T: Serialize>(
        self,
        answer: &T,
        head: &[&str],
        rows: impl FnOnce(&T) -> Vec<Vec<String>>,
    ) -> Result<(), Error> {
        let terminal = self.terminal();
        self.answer(answer, |answer| {
            let rows = rows(answer);
            if terminal { table(head, &rows) } else { lines(&rows) }
        })
    }
}

/// Writes bytes to standard output, all of them or an error.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| fault::local("standard output", &error))
}

/// Writes one line for people to standard error; a failure there is nobody's business.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", escape::text(line));
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "nothing to show".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::text(cell).into_owned()));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn lines(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| row.iter().map(|cell| escape::text(cell)).collect::<Vec<_>>().join("\t") + "\n";
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_break_a_line_or_move_the_cursor() {
        let rows = vec![vec!["a\tb".to_owned(), "c\u{1b}[1m\nd".to_owned()]];
        assert_eq!(lines(&rows), "a\\tb\tc\\u{1b}[1m\\nd\n");
        assert!(table(&["x", "y"], &rows).contains("c\\u{1b}[1m\\nd"));
    }
}
