//! `cargo xtask tidy`: rules about files that no compiler checks. Hard rules fail, soft ones are reported.

mod cases;
mod deploy;
mod hashers;
mod lengths;
mod links;
mod manifests;
mod unsafety;
mod words;

use crate::shell::Outcome;
use crate::tree::{files, read};

/// What the rules found.
#[derive(Default)]
pub(crate) struct Findings {
    /// Broken hard rules.
    hard: Vec<String>,
    /// Passed bounds that somebody should look at.
    soft: Vec<String>,
    /// One line of figures for each rule.
    facts: Vec<String>,
}

/// A text file of the tree.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
}

/// Runs every rule over the tree.
pub(crate) fn run() -> Outcome {
    let names = files()?;
    let sources: Vec<Source> =
        names.iter().filter_map(|name| read(name).ok().map(|text| Source { name: name.clone(), text })).collect();
    let mut found = Findings::default();
    words::check(&sources, &mut found);
    lengths::check(&sources, &mut found);
    manifests::check(&mut found)?;
    unsafety::check(&sources, &mut found);
    hashers::check(&sources, &mut found);
    links::check(&sources, &mut found);
    cases::check(&sources, &mut found)?;
    deploy::check(&mut found)?;
    for line in &found.soft {
        println!("tidy: look at {line}");
    }
    for line in &found.facts {
        println!("tidy: {line}");
    }
    if found.hard.is_empty() {
        println!("tidy: {} files, nothing wrong", names.len());
        return Ok(());
    }
    Err(format!("{} rules are broken\n  {}", found.hard.len(), found.hard.join("\n  ")))
}
