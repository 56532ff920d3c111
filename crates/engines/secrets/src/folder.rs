//! The record of a folder: it exists while something is in it.

use crate::codec;
use ledger::{Damaged, Path, RecordKind, RecordName};
use serde::{Deserialize, Serialize};

/// A folder with the number of things directly in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Folder {
    /// Full path, without a trailing slash.
    pub path: String,
    /// Secrets and folders directly in it; at least 1.
    pub children: u64,
}

#[derive(Serialize, Deserialize)]
enum Versioned {
    V1(Folder),
}

impl Folder {
    /// Reads a record.
    pub fn decode(record: &[u8]) -> Result<Folder, Damaged> {
        let Versioned::V1(folder) = codec::decode("record of a folder", record)?;
        Ok(folder)
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        codec::encode(&Versioned::V1(self))
    }
}

/// Name of a folder's record.
pub fn folder_name(folder: &str) -> RecordName {
    RecordName::new(RecordKind::FOLDER, folder.split('/'))
}

/// Names of the folders above a secret, nearest first.
pub(crate) fn above(path: &Path) -> Vec<RecordName> {
    path.folders().rev().map(folder_name).collect()
}

/// How many of the nearest folders gain a child when a secret is created: up to the first that exists.
pub(crate) fn gaining(folders: &[Option<&[u8]>]) -> usize {
    folders.iter().position(Option::is_some).map_or(folders.len(), |at| at.saturating_add(1))
}

/// How many of the nearest folders lose a child when a secret goes: up to the first that keeps another.
pub(crate) fn losing(folders: &[Option<&[u8]>]) -> Result<usize, Damaged> {
    for (at, record) in folders.iter().enumerate() {
        let record = record.ok_or_else(|| Damaged("folder of a secret is missing".into()))?;
        if Folder::decode(record)?.children > 1 {
            return Ok(at.saturating_add(1));
        }
    }
    Ok(folders.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(children: u64) -> Vec<u8> {
        Folder { path: "a".into(), children }.encode()
    }

    #[test]
    fn a_create_reaches_up_to_the_first_folder_that_exists() {
        let there = folder(3);
        assert_eq!(gaining(&[]), 0);
        assert_eq!(gaining(&[None, None]), 2);
        assert_eq!(gaining(&[Some(&there), None]), 1);
        assert_eq!(gaining(&[None, Some(&there), Some(&there)]), 2);
    }

    #[test]
    fn a_purge_reaches_up_to_the_first_folder_that_stays() {
        let (last, more) = (folder(1), folder(2));
        assert_eq!(losing(&[]), Ok(0));
        assert_eq!(losing(&[Some(&more), Some(&last)]), Ok(1));
        assert_eq!(losing(&[Some(&last), Some(&more)]), Ok(2));
        assert_eq!(losing(&[Some(&last), Some(&last)]), Ok(2));
        assert!(losing(&[None]).is_err());
    }
}
