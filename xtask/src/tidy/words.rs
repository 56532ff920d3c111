//! Words that must not stay in the tree: unfinished work, skipped tests, paths of one person's machine.

use super::{Findings, Source};

/// Word and what to do instead; split so that this file does not find itself.
const FORBIDDEN: [(&str, &str); 12] = [
    (concat!("TO", "DO"), "do it, or open an issue"),
    (concat!("FIX", "ME"), "fix it, or open an issue"),
    (concat!("XX", "X:"), "say what is wrong and under which condition it can go"),
    (concat!("todo", "!("), "land it finished"),
    (concat!("unimplemented", "!("), "land it finished"),
    (concat!("#[ign", "ore"), "assert what happens today instead of skipping"),
    (concat!("dbg", "!("), "remove it"),
    (concat!("/wo", "rk/"), "no path of one machine"),
    (concat!("/ro", "ot/"), "no path of one machine"),
    (concat!("C:\\Us", "ers"), "no path of one machine"),
    (concat!("<<<<", "<<< "), "finish the merge"),
    (concat!(">>>>", ">>> "), "finish the merge"),
];

pub(super) fn check(sources: &[Source], found: &mut Findings) {
    for source in sources.iter().filter(|s| ours(&s.name)) {
        for (at, line) in source.text.lines().enumerate() {
            for (word, instead) in FORBIDDEN.iter().filter(|(word, _)| has(line, word)) {
                found.hard.push(format!("{}:{}: `{word}`: {instead}", source.name, at + 1));
            }
        }
    }
}

fn ours(name: &str) -> bool {
    !(name == "Cargo.lock" || name.contains("/vectors/") || name.ends_with(".json"))
}

/// Words of letters match whole words only (`MASTODON` and base64 text are no unfinished work).
fn has(line: &str, word: &str) -> bool {
    let letters = word.chars().all(char::is_alphabetic);
    line.match_indices(word).any(|(at, _)| {
        let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let (before, rest) = line.split_at(at);
        !letters || alone(before.chars().next_back()) && alone(rest.chars().nth(word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::{Findings, Source, check};

    fn hits(text: &str) -> usize {
        let mut found = Findings::default();
        check(&[Source { name: "a.rs".into(), text: text.into() }], &mut found);
        found.hard.len()
    }

    #[test]
    fn unfinished_work_is_found_and_ordinary_words_are_not() {
        assert_eq!(hits(&format!("// {}: later", concat!("TO", "DO"))), 1);
        assert_eq!(hits(&format!("let key = \"{}RESQ\";", concat!("TO", "DO"))), 0);
        assert_eq!(hits(&format!("    {}", concat!("todo", "!()"))), 1);
        assert_eq!(hits("a path like /var/lib/aumbry"), 0);
    }
}
