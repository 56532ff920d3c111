//! Links between the pages of the repository point at something.

use std::path::Path;

use super::{Findings, Source};
use crate::tree::root;

pub(super) fn check(sources: &[Source], found: &mut Findings) {
    for source in sources.iter().filter(|s| s.name.ends_with(".md")) {
        let folder = Path::new(&source.name).parent().unwrap_or(Path::new(""));
        for target in targets(&source.text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !root().join(folder).join(file).exists() {
                found.hard.push(format!("{}: the link to `{target}` leads nowhere", source.name));
            }
        }
    }
}

/// Relative targets of `[text](target)` outside code.
fn targets(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut all = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        }
        for part in line.split("](").skip(1).filter(|_| !inside) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                all.push(target);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn only_links_inside_the_repository_are_followed() {
        let text = "[a](docs/x.md#y) [b](https://example.org)\n```\n[c](no.md)\n```\n[d](e.md)";
        assert_eq!(targets(text), ["docs/x.md#y", "e.md"]);
    }
}
