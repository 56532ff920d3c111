//! Writing many secrets, all or none.

use super::batch::{self, about};
use super::quota;
use super::read::find;
use super::write::seal;
use crate::authenticate::damaged;
use crate::grant::{Authorized, bug};
use crate::limits::IMPORT_BYTES_MAX;
use crypto::SecretBytes;
use ledger::code::SECRET_LIMIT;
use ledger::{Command, Path, Position, Refusal};
use secrets::command::{MetadataEdit, Put, PutNew};
use secrets::{Encoding, Reply, limits};

/// What to do where a secret is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnConflict {
    /// Write nothing at all.
    Fail,
    /// Leave that secret as it is.
    Skip,
    /// Write a new version of it.
    Overwrite,
}

/// A value to be written under the path that stands at its place in the act.
#[derive(Debug)]
pub struct NewItem {
    /// The value.
    pub value: SecretBytes,
    /// How it was given.
    pub encoding: Encoding,
    /// Metadata to change with it.
    pub edit: MetadataEdit,
}

/// What became of an item, or would become of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallen {
    /// This version was written; in a check none was.
    Written(Option<u64>),
    /// A secret was there and stays as it is.
    Skipped,
    /// A secret is there: the import would be refused. In a check only.
    Conflict,
}

/// One item of an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportedItem {
    /// Full path.
    pub path: Path,
    /// What became of it.
    pub fallen: Fallen,
}

/// What an import did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// Its items, in the order given.
    pub items: Vec<ImportedItem>,
    /// Its last entry; `None` when nothing was written.
    pub position: Option<Position>,
    /// Whether this is the kept answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// Writes all items in one commit, or none of them.
///
/// Errors: as a put of each, with the item's place and path; `secret.version_conflict` where a secret is there and that shall
/// fail; `secret.limit`, `ledger.too_large` for more than one commit takes (nothing happened).
pub async fn import(grant: Authorized, items: Vec<NewItem>, on_conflict: OnConflict) -> Result<Imported, Refusal> {
    let paths = checked(&grant, &items)?;
    grant.insists((on_conflict != OnConflict::Overwrite).then_some(0))?;
    quota::room_for(&grant, &paths).await?;
    let mut commands: Vec<(Path, Box<dyn Command>)> = Vec::with_capacity(items.len());
    for (path, item) in paths.iter().zip(items) {
        let fresh = seal(&grant, &item.value).await?;
        let cas = (on_conflict == OnConflict::Fail).then_some(0);
        let put = Put { path: path.clone(), fresh, encoding: item.encoding, cas, edit: item.edit };
        let command: Box<dyn Command> = match on_conflict {
            OnConflict::Skip => Box::new(PutNew(put)),
            OnConflict::Fail | OnConflict::Overwrite => Box::new(put),
        };
        commands.push((path.clone(), command));
    }
    let receipt = batch::submit(&grant, Vec::new(), commands).await?;
    let mut done = Vec::with_capacity(paths.len());
    for (path, reply) in paths.into_iter().zip(receipt.replies.iter().skip(1)) {
        let reply = Reply::decode(reply.expose()).map_err(damaged)?;
        let fallen = reply.versions.first().map_or(Fallen::Skipped, |version| Fallen::Written(Some(*version)));
        done.push(ImportedItem { path, fallen });
    }
    let written = done.iter().filter_map(|item| match item.fallen {
        Fallen::Written(version) => Some((item.path.as_str().to_owned(), version)),
        _ => None,
    });
    grant.note_subjects(written.collect());
    Ok(Imported { items: done, position: receipt.position, replayed: receipt.replayed })
}

/// Says what [`import`] would do, and writes nothing. Errors: as [`import`], but a secret that is there is told, not refused.
pub async fn import_check(
    grant: Authorized,
    items: Vec<NewItem>,
    on_conflict: OnConflict,
) -> Result<Imported, Refusal> {
    let paths = checked(&grant, &items)?;
    let mut found = Vec::with_capacity(paths.len());
    for path in paths {
        let fallen = match (find(&grant, &path).await?, on_conflict) {
            (None, _) | (Some(_), OnConflict::Overwrite) => Fallen::Written(None),
            (Some(_), OnConflict::Skip) => Fallen::Skipped,
            (Some(_), OnConflict::Fail) => Fallen::Conflict,
        };
        found.push(ImportedItem { path, fallen });
    }
    Ok(Imported { items: found, position: None, replayed: false })
}

/// The paths of the act, once every item is within its limits.
fn checked(grant: &Authorized, items: &[NewItem]) -> Result<Vec<Path>, Refusal> {
    let paths = grant.paths()?.to_vec();
    if paths.len() != items.len() {
        return Err(bug("an import whose paths are not those of its items"));
    }
    let mut bytes = 0usize;
    for (index, (path, item)) in paths.iter().zip(items).enumerate() {
        bytes = bytes.saturating_add(item.value.len());
        let too_much =
            || Refusal::new(&SECRET_LIMIT, format!("the values together are longer than {IMPORT_BYTES_MAX} bytes"));
        let fits = limits::check_value(item.value.len())
            .and_then(|()| item.edit.check(grant.now()))
            .and_then(|()| if bytes > IMPORT_BYTES_MAX { Err(too_much()) } else { Ok(()) });
        fits.map_err(|refusal| {
            grant.note_subject(index);
            about(index, path, refusal)
        })?;
    }
    Ok(paths)
}
