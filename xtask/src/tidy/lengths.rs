//! Lengths of files and functions.

use super::{Findings, Source};

const FILE_LINES: usize = 500;
const FILE_LINES_NEVER: usize = 900;
const FUNCTION_LINES: usize = 70;
const FUNCTION_LINES_NEVER: usize = 150;
const MEDIAN_FILE_LINES: usize = 250;
const ARCHITECTURE_LINES: usize = 300;

pub(super) fn check(sources: &[Source], found: &mut Findings) {
    let mut all = Vec::new();
    let mut longest = 0;
    for source in sources.iter().filter(|s| s.name.ends_with(".rs")) {
        let lines = without_tests(&source.text).lines().count();
        all.push(lines);
        over(lines, FILE_LINES, FILE_LINES_NEVER, &source.name, found);
        for (name, lines) in functions(&source.text) {
            longest = longest.max(lines);
            over(lines, FUNCTION_LINES, FUNCTION_LINES_NEVER, &format!("{}, fn {name}", source.name), found);
        }
    }
    for source in sources.iter().filter(|s| s.name == "ARCHITECTURE.md") {
        over(source.text.lines().count(), ARCHITECTURE_LINES, ARCHITECTURE_LINES, &source.name, found);
    }
    all.sort_unstable();
    let at = |share: usize| all.get(all.len() * share / 100).copied().unwrap_or_default();
    let (median, tenth) = (at(50), at(90));
    found.facts.push(format!("file lines: median {median}, 90th percentile {tenth}; longest function {longest}"));
    if median > MEDIAN_FILE_LINES {
        found.soft.push(format!("the median file: {median} lines, aim {MEDIAN_FILE_LINES}"));
    }
}

fn over(lines: usize, good: usize, never: usize, what: &str, found: &mut Findings) {
    if lines > never {
        found.hard.push(format!("{what}: {lines} lines, never more than {never}"));
    } else if lines > good {
        found.soft.push(format!("{what}: {lines} lines, good is {good}"));
    }
}

/// The text up to the tests that stand in the same file.
fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod ").map_or(text, |(code, _)| code)
}

/// Names and line counts of functions. Knows rustfmt's layout only: a body closes at the indent of its `fn`.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = declared(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let rest = lines.iter().skip(at).enumerate();
        let closes =
            |l: &str| l.len() - l.trim_start().len() == indent && (l.trim() == "}" || l.trim_end().ends_with(';'));
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        let length = if one_line { 1 } else { rest.skip(1).find(|(_, l)| closes(l)).map_or(1, |(n, _)| n + 1) };
        all.push((name, length));
    }
    all
}

fn declared(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        if let Some(rest) = words.strip_prefix("fn ") {
            return rest.split(['(', '<']).next();
        }
        let modifiers = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "extern \"C\" "];
        words = modifiers.iter().find_map(|m| words.strip_prefix(m))?;
    }
}

#[cfg(test)]
mod tests {
    use super::{functions, without_tests};

    #[test]
    fn functions_are_measured_from_signature_to_closing_brace() {
        let text = "impl X {\n    pub(crate) async fn long<T>(\n        a: T,\n    ) {\n        if a {\n        }\n    }\n}\nfn short() {}\n";
        assert_eq!(functions(text), [("long", 6), ("short", 1)]);
    }

    #[test]
    fn tests_in_the_same_file_do_not_count() {
        assert_eq!(without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n"), "fn a() {}\n");
    }
}
