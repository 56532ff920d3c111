//! The commented sample, generated from the table of keys.

use super::KEYS;
use super::tree::SECTIONS;
use std::fmt::Write;

/// A file with every key, its default commented out, and what it means.
#[must_use]
pub fn sample() -> String {
    let mut out = String::from(
        "# Aumbry. Every key may also be given as AUMBRY_<SECTION>__<KEY>; a flag beats the\n\
         # environment, the environment this file, this file the default. Durations carry their\n\
         # unit: \"90s\", \"15m\", \"24h\", \"30d\". Unknown keys are refused.\n",
    );
    for (section, about) in SECTIONS {
        let _ = write!(out, "\n#{about}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == *section) {
            for line in key.about.lines() {
                let _ = writeln!(out, "#{line}");
            }
            let range = key.range.map(|(low, high)| format!(", {low} to {high}")).unwrap_or_default();
            let _ = writeln!(out, "# ({}{range})\n#{} = {}", key.kind, key.name, shown(key.kind, key.default));
        }
    }
    out
}

/// A default as it would stand in a file.
fn shown(kind: &str, default: &str) -> String {
    match kind {
        "number" | "true or false" => default.to_owned(),
        "list" => {
            let items: Vec<String> =
                default.split(',').map(str::trim).filter(|item| !item.is_empty()).map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
        _ => quoted(default),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}
