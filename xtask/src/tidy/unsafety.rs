//! `unsafe` stands in named files only, and each use says why it is sound.

use super::{Findings, Source};

/// File and what has no safe form there.
const ALLOWED: [(&str, &str); 9] = [
    ("crates/cli/src/allocator.rs", "the allocator, a library in C"),
    ("crates/crypto/tests/it/memory.rs", "the test allocator that searches freed blocks"),
    ("crates/crypto/src/memory.rs", "locked pages: mmap, mlock, madvise, prctl"),
    ("crates/server/src/backup/system.rs", "gettid, setpriority, renameat2"),
    ("crates/server/src/files.rs", "geteuid"),
    ("crates/server/src/serve.rs", "umask"),
    ("crates/storage/src/sqlite/folder.rs", "geteuid"),
    ("crates/storage/src/sqlite/rest.rs", "malloc_trim"),
    ("crates/storage/tests/it/disk.rs", "a failing disk as a layer under SQLite"),
];
/// Lines above a use in which its reason may stand.
const REASON_LINES: usize = 6;

pub(super) fn check(sources: &[Source], found: &mut Findings) {
    for source in sources.iter().filter(|s| s.name.ends_with(".rs")) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| uses(line)) {
            if !ALLOWED.iter().any(|(file, _)| *file == source.name) {
                found.hard.push(format!("{}:{}: unsafe code; its file is not on the list", source.name, at + 1));
            }
            let above = lines.iter().take(at + 1).rev().take(REASON_LINES + 1);
            if !above.into_iter().any(|line| line.contains("SAFETY:")) {
                found.hard.push(format!("{}:{}: no `SAFETY:` note above", source.name, at + 1));
            }
        }
    }
    for (file, _) in ALLOWED.iter().filter(|(file, _)| !sources.iter().any(|s| s.name == *file)) {
        found.hard.push(format!("{file} is on the list of unsafe code and does not exist"));
    }
}

/// Whether a line of code opens something unsafe.
fn uses(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let keyword = concat!("unsa", "fe");
    [" {", " fn ", " impl ", " extern "].iter().any(|next| {
        code.match_indices(&format!("{keyword}{next}")).any(|(at, _)| {
            code.split_at(at).0.chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Findings, Source, check, uses};

    #[test]
    fn uses_are_told_from_words() {
        let opens = concat!("let x = unsa", "fe { f() };");
        assert!(uses(opens));
        assert!(!uses(concat!("// unsa", "fe { in a comment }")));
        assert!(!uses(concat!("#[expect(unsa", "fe_code, reason = \"x\")]")));
    }

    #[test]
    fn a_use_needs_a_listed_file_and_a_reason() {
        let mut found = Findings::default();
        let text = concat!("fn a() {\n    unsa", "fe { f() }\n}\n").to_owned();
        check(&[Source { name: "x.rs".into(), text }], &mut found);
        assert_eq!(found.hard.iter().filter(|l| l.starts_with("x.rs")).count(), 2);
    }
}
