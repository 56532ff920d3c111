//! Standard output: tables for people, tab-separated lines for pipes, JSON where asked for.

use std::io::{IsTerminal as _, Write as _};

use client::Error;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
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
            if terminal { table(head, &rows, width()) } else { lines(&rows) }
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

/// Columns of the terminal, where it says how many.
fn width() -> Option<u16> {
    console::Term::stdout().size_checked().map(|(_, columns)| columns)
}

/// A table no wider than `width`: what is too long goes on in the next line of its cell.
fn table(head: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
    if rows.is_empty() {
        return "nothing to show".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().map(|name| name.to_uppercase()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        keep_whole(&mut table, head, rows, width);
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::text(cell).into_owned()));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Breaks the last column only, if that leaves it room: names and times are to be copied whole.
fn keep_whole(table: &mut Table, head: &[&str], rows: &[Vec<String>], width: u16) {
    let first = head.len().saturating_sub(1);
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at)).map(|cell| cell.chars().count());
    let whole = head.iter().take(first).enumerate().map(|(at, name)| cells(at).fold(name.len(), usize::max));
    let taken = whole.fold(0, |all: usize, width| all.saturating_add(width).saturating_add(2));
    if taken.saturating_add(LAST_COLUMN_MIN) <= usize::from(width) {
        table.column_iter_mut().take(first).for_each(|column| {
            column.set_constraint(ColumnConstraint::ContentWidth);
        });
    }
}

const LAST_COLUMN_MIN: usize = 12;

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
        assert!(table(&["x", "y"], &rows, None).contains("c\\u{1b}[1m\\nd"));
    }

    #[test]
    fn a_table_is_no_wider_than_the_terminal() {
        let labels = "team=payments tier=1 owner=somebody-with-a-long-name region=north";
        let row = ["db/production/password", "12", "live", "2026-11-22T06:54:55.403Z", labels];
        let rows = vec![row.map(str::to_owned).to_vec()];
        for width in [60, 80, 120] {
            let shown = table(&["path", "version", "state", "changed", "labels"], &rows, Some(width));
            assert!(shown.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{shown}");
            let whole = row.iter().take(4).all(|cell| shown.contains(cell));
            assert!(whole || width < 80, "{width}:\n{shown}");
        }
        assert_eq!(table(&["path"], &rows, None).lines().count(), 2);
    }
}
