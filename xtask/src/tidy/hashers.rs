//! Maps whose keys come from outside must not be made slow by whoever knows the hash: its key is random for each process.
//!
//! The standard library's default is so, and the concurrent map in use takes that default. What is looked for is every
//! way to say otherwise.

use super::{Findings, Source};

/// Ways to a hash with a fixed key or none; split so that this file does not find itself.
const FIXED: [&str; 11] = [
    concat!("Default", "Hasher::new"),
    concat!("Default", "Hasher::default"),
    concat!("BuildHasher", "Default"),
    concat!("Sip", "Hasher"),
    concat!("Fx", "Hash"),
    concat!("Fx", "Build"),
    concat!("Fnv", "Hash"),
    concat!("a", "hash::"),
    concat!("fold", "hash::fast"),
    concat!("with_", "seed"),
    concat!("Xx", "Hash"),
];

pub(super) fn check(sources: &[Source], found: &mut Findings) {
    for source in sources.iter().filter(|source| source.name.ends_with(".rs") && source.name.starts_with("crates/")) {
        for (at, line) in source.text.lines().enumerate() {
            for word in FIXED.iter().filter(|word| line.contains(**word)) {
                let place = format!("{}:{}", source.name, at + 1);
                found.hard.push(format!("{place}: `{word}`: a map takes the default hash, whose key is random"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};
    use std::process::Command;

    use super::{FIXED, Findings, Source, check};
    use crate::tree::{files, read};

    fn hits(name: &str, text: &str) -> usize {
        let mut found = Findings::default();
        check(&[Source { name: name.into(), text: text.into() }], &mut found);
        found.hard.len()
    }

    #[test]
    fn leak_14_no_map_has_a_hash_with_a_fixed_key() {
        let names = files().unwrap();
        let texts = names.into_iter().filter_map(|name| Some((read(&name).ok()?, name)));
        assert_eq!(texts.map(|(text, name)| hits(&name, &text)).sum::<usize>(), 0);
        for word in FIXED {
            assert_eq!(hits("crates/x/src/a.rs", &format!("let map = {word}(0);")), 1, "control: {word} is found");
        }
        assert_eq!(hits("docs/a.md", &format!("about {}", FIXED[2])), 0);
    }

    /// What the other process prints.
    const OWN: &str = "one text hashed: ";
    /// Set for it.
    const OTHER: &str = "AUMBRY_HASHES_FOR_ANOTHER";

    #[test]
    fn leak_14_two_processes_hash_one_text_differently() {
        let own = RandomState::new().hash_one("one text");
        println!("{OWN}{own}");
        if std::env::var_os(OTHER).is_some() {
            return;
        }
        let name = "tidy::hashers::tests::leak_14_two_processes_hash_one_text_differently";
        let mut other = Command::new(std::env::current_exe().unwrap());
        let other = other.args(["--exact", name, "--nocapture"]).env(OTHER, "1").output().unwrap();
        let told = String::from_utf8(other.stdout).unwrap();
        let told: u64 = told.split_once(OWN).unwrap().1.lines().next().unwrap().parse().unwrap();
        assert_ne!(told, own);
    }
}
