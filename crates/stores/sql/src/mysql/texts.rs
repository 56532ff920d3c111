//! Texts of statements with many rows. Their sizes are few, so that a server prepares few of them.

use crate::rows::Row;

/// Sizes of statements with many rows or keys.
const SIZES: [usize; 7] = [4096, 1024, 256, 64, 16, 4, 1];

/// The least size that holds so many keys; what is too much is filled with one of them again.
pub(super) fn size_for(keys: usize) -> usize {
    SIZES.into_iter().rev().find(|size| *size >= keys).unwrap_or(keys)
}

/// Placeholders for so many things.
pub(super) fn places(one: &str, count: usize) -> String {
    vec![one; count].join(",")
}

/// An insert of so many rows.
pub(super) fn insert(rows: usize) -> String {
    format!("INSERT INTO aumbry_rows (shard, kind, rest, value) VALUES {}", places("(?,?,?,?)", rows))
}

/// Rows cut into parts of those sizes, up to 256 rows and about `bytes` bytes.
pub(super) fn parts(mut rows: &[Row], bytes: usize) -> Vec<&[Row]> {
    let mut parts = Vec::new();
    while !rows.is_empty() {
        let fits = |size: usize| {
            rows.get(..size).filter(|part| {
                size == 1
                    || part.iter().map(|row| row.value.len().saturating_add(row.rest.len())).sum::<usize>() <= bytes
            })
        };
        let part = SIZES.into_iter().filter(|size| *size <= 256).find_map(fits).unwrap_or(rows);
        parts.push(part);
        rows = rows.get(part.len()..).unwrap_or_default();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: usize) -> Row {
        Row { shard: 0, kind: 6, rest: Vec::new(), value: vec![0; bytes].into() }
    }

    #[test]
    fn rows_are_cut_into_few_sizes_and_large_ones_stand_alone() {
        let all: Vec<Row> = (0..300).map(|_| row(10)).collect();
        let sizes = |rows: &[Row]| parts(rows, 1000).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&all), [64, 64, 64, 64, 16, 16, 4, 4, 4]);
        assert_eq!(sizes(&[row(5000), row(400), row(400), row(400), row(5000)]), [1, 1, 1, 1, 1]);
        assert!(sizes(&[]).is_empty());
        assert_eq!([size_for(1), size_for(2), size_for(17), size_for(4096)], [1, 4, 64, 4096]);
    }
}
