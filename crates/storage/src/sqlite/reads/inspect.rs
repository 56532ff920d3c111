//! Opening a store that nobody serves, to read it and leave every file as it is.

use super::Readers;
use crate::sqlite::fault::OpenError;
use crate::sqlite::file;
use crate::sqlite::folder::{Folder, Found};
use crate::sqlite::layout::DbFile;
use crate::sqlite::reserve::Reserve;
use crate::sqlite::{Health, Sqlite};
use std::path::Path;
use std::sync::Arc;

impl Sqlite {
    /// Opens the store of a folder for reading and leaves every file as it is, also after a crash; refuses all writes.
    ///
    /// Refuses what [`Sqlite::open`] refuses. A missing `records.db` reads as an empty one, and [`Sqlite::lacks_records`]
    /// tells.
    pub fn inspect(folder: &Path) -> Result<Sqlite, OpenError> {
        let held = Folder::visit(folder)?;
        if held.look()? == Found::Nothing {
            return Err(OpenError::Absent(format!("`{}` is empty", folder.display())));
        }
        file::recognise(&held, DbFile::Ledger)?;
        let id = file::still_id_of(&held, DbFile::Ledger)?;
        if held.marker()?.is_some_and(|marked| marked != id) {
            return Err(OpenError::Foreign("`ledger.db` is of another store".into()));
        }
        if held.has(DbFile::Records) {
            file::recognise(&held, DbFile::Records)?;
            if file::still_id_of(&held, DbFile::Records)? != id {
                return Err(OpenError::Foreign("`records.db` is of another store".into()));
            }
        }
        Ok(Sqlite {
            health: Arc::new(Health::default()),
            ledger: Readers::still(DbFile::Ledger, held.file(DbFile::Ledger)),
            records: Readers::still(DbFile::Records, held.file(DbFile::Records)),
            commits: None,
            folds: None,
            threads: Vec::new(),
            reserve: Arc::new(Reserve::new(held.path("reserve"), 0)),
            lacks_records: !held.has(DbFile::Records),
            _folder: held,
        })
    }
}
