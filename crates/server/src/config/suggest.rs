//! What somebody who mistyped a key probably meant.

use super::KEYS;

/// Says that a key is unknown and which one is nearest.
pub(crate) fn unknown(key: &str) -> String {
    let last = |full: &str| full.rsplit('.').next().unwrap_or_default().to_owned();
    let near = KEYS.iter().map(|known| known.full()).min_by_key(|known| {
        let whole = distance(known, key);
        if last(known) == last(key) { whole.min(2) } else { whole }
    });
    match near.filter(|known| distance(known, key) <= known.len() / 2 || last(known) == last(key)) {
        Some(known) => format!("is no key; did you mean `{known}`?"),
        None => "is no key; `aumbry serve --sample-config` lists them all".to_owned(),
    }
}

/// Whether some key lies below this table.
pub(crate) fn leads_somewhere(table: &str) -> bool {
    KEYS.iter().any(|known| known.full().strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
}

/// Levenshtein's distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.bytes().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        for (cell, r) in row.iter_mut().skip(1).zip(right.bytes()) {
            let best = (corner + usize::from(l != r)).min(*cell + 1).min(before + 1);
            corner = *cell;
            *cell = best;
            before = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), edits, "{left} {right}");
        }
    }
}
