//! Changing secrets.

use super::read::{About, describe, load, open};
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done};
use crate::password_policy;
use crate::reply::Changed;
use crypto::{SecretBytes, WallMs, sha256};
use ledger::code::{SECRET_INVALID, SECRET_NOT_FOUND};
use ledger::{Path, Refusal};
use secrets::command::{self, Fresh, MetadataEdit};
use secrets::{Encoding, Reply, Secret, limits};

use super::quota;

pub use secrets::command::Scope;

/// A value to be written.
#[derive(Debug)]
pub struct NewValue {
    /// The value.
    pub value: SecretBytes,
    /// How it was given.
    pub encoding: Encoding,
    /// 0: must not exist; N: N is the newest version; `None`: either way.
    pub cas: Option<u64>,
    /// Metadata to change with it.
    pub edit: MetadataEdit,
}

/// A version that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Full path.
    pub path: Path,
    /// Its number.
    pub version: u64,
    /// When.
    pub created: WallMs,
    /// Versions dropped because more than `max_versions` were there.
    pub pruned: Vec<u64>,
}

/// Which older value a rollback brings back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// That of this version.
    Version(u64),
    /// That of the version that was the newest at this time.
    At(WallMs),
}

/// A rollback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rollback {
    /// What to bring back.
    pub source: Source,
    /// Newest version the caller knows, if it insists.
    pub cas: Option<u64>,
}

/// What was hidden.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// Full path.
    pub path: Path,
    /// The newest version, hidden now.
    pub version: u64,
    /// All versions hidden by this.
    pub versions: Vec<u64>,
}

/// What was brought back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undeleted {
    /// Full path.
    pub path: Path,
    /// The newest version of the secret.
    pub version: u64,
    /// All versions brought back by this.
    pub versions: Vec<u64>,
}

/// What was destroyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Purged {
    /// Full path.
    pub path: Path,
    /// The versions whose keys and values are gone.
    pub versions: Vec<u64>,
}

/// Writes a new version; creates the secret if it is not there and `cas` allows.
///
/// Errors: `secret.limit`, `secret.invalid`, `secret.version_conflict`, `tenant.full` (nothing happened),
/// `storage.unknown`.
pub async fn put(grant: Authorized, new: NewValue) -> Result<Changed<Written>, Refusal> {
    let path = grant.path()?.clone();
    grant.insists(new.cas)?;
    quota::room_for(&grant, std::slice::from_ref(&path)).await?;
    limits::check_value(new.value.len())?;
    new.edit.check(grant.now())?;
    let fresh = seal(&grant, &new.value).await?;
    drop(new.value);
    let put = command::Put { path: path.clone(), fresh, encoding: new.encoding, cas: new.cas, edit: new.edit };
    written(&grant, path, grant.change(put).await?)
}

/// A command that makes a secret that is not there, with a value made here, by password policies written in the same commit
/// too. Errors: `secret.invalid`, `tenant.full`, `password_policy.not_found`.
pub(crate) async fn generated(
    grant: &Authorized,
    path: Path,
    recipe: &super::Recipe,
    edit: MetadataEdit,
    policies: &password_policy::Fresh,
) -> Result<command::Put, Refusal> {
    quota::room_for(grant, std::slice::from_ref(&path)).await?;
    let (value, encoding) = recipe.make(grant, policies).await?;
    let fresh = seal(grant, &value).await?;
    Ok(command::Put { path, fresh, encoding, cas: Some(0), edit })
}

/// Brings an older value back as a new version.
///
/// Errors: `secret.not_found`, `secret.deleted`, `secret.purged`, `secret.expired`, `secret.invalid` for a time that
/// lies ahead, `secret.version_conflict`, `secret.state_conflict` when the source changed meanwhile (nothing happened).
pub async fn rollback(grant: Authorized, rollback: Rollback) -> Result<Changed<Written>, Refusal> {
    let path = grant.path()?.clone();
    grant.insists(rollback.cas)?;
    let now = grant.now();
    if matches!(rollback.source, Source::At(at) if at > now) {
        return Err(Refusal::new(&SECRET_INVALID, "the time to roll back to lies ahead"));
    }
    if let Some(receipt) = grant.answered().await? {
        return written(&grant, path, Done::of(receipt)?);
    }
    let choose = |secret: &Secret| {
        let number = match rollback.source {
            Source::Version(number) => Some(number),
            Source::At(at) => secret.version_at(at).map(|version| version.number),
        };
        number.ok_or_else(|| Refusal::new(&SECRET_NOT_FOUND, "no version kept is as old as that"))
    };
    let (_, version, stored, value) = open(&grant, &path, |secret| secret.readable(Some(choose(secret)?), now)).await?;
    let fresh = seal(&grant, &value).await?;
    drop(value);
    let copy = command::Rollback {
        path: path.clone(),
        source: version.number,
        source_blob: stored.blob_id,
        fresh,
        cas: rollback.cas,
    };
    written(&grant, path, grant.change(copy).await?)
}

/// Hides all readable versions, or those named. Errors: `secret.not_found`, `secret.deleted`, `secret.purged`,
/// `secret.version_conflict` (nothing happened).
pub async fn delete(
    grant: Authorized,
    versions: Option<Vec<u64>>,
    cas: Option<u64>,
) -> Result<Changed<Deleted>, Refusal> {
    let path = grant.path()?.clone();
    grant.insists(cas)?;
    let done = grant.change(command::Delete { path: path.clone(), versions, cas }).await?;
    let reply = answer(&done)?;
    grant.note_version(reply.current);
    let what = Deleted { path, version: reply.current, versions: reply.versions };
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Brings hidden versions back, all or those named. Errors: `secret.not_found`, `secret.purged`,
/// `secret.state_conflict` (nothing happened).
pub async fn undelete(grant: Authorized, versions: Option<Vec<u64>>) -> Result<Changed<Undeleted>, Refusal> {
    let path = grant.path()?.clone();
    let done = grant.change(command::Undelete { path: path.clone(), versions }).await?;
    let reply = answer(&done)?;
    grant.note_version(reply.current);
    let what = Undeleted { path, version: reply.current, versions: reply.versions };
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Destroys versions, or the whole secret; answered when the live store no longer has their keys and values.
///
/// Errors: `secret.not_found`, `secret.purged`, `secret.invalid` (nothing happened).
pub async fn purge(grant: Authorized, scope: Scope) -> Result<Changed<Purged>, Refusal> {
    let path = grant.path()?.clone();
    let done = grant.change(command::Purge { path: path.clone(), scope }).await?;
    let what = Purged { path, versions: answer(&done)?.versions };
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Changes metadata without a new version. Errors: `secret.not_found`, `secret.limit`, `secret.invalid`,
/// `secret.version_conflict` (nothing happened).
pub async fn annotate(grant: Authorized, edit: MetadataEdit, cas: Option<u64>) -> Result<Changed<About>, Refusal> {
    let path = grant.path()?.clone();
    grant.insists(cas)?;
    let done = grant.change(command::Metadata { path: path.clone(), edit, cas }).await?;
    let (_, secret) = load(&grant, &path).await?;
    let what = describe(&grant, path, secret).await?;
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Seals a value under a key of its own, with a place at the gate.
pub(super) async fn seal(grant: &Authorized, value: &SecretBytes) -> Result<Fresh, Refusal> {
    let _place = grant.app.gate().enter().await?;
    let sealed = grant.ledger().prepare_value(grant.tenant(), value.expose())?;
    let digest = sha256(&sealed.sealed);
    Ok(Fresh { key: sealed.key, blob_id: sealed.blob_id, sealed: sealed.sealed, digest, size: value.len() })
}

pub(super) fn written(grant: &Authorized, path: Path, done: Done) -> Result<Changed<Written>, Refusal> {
    let reply = answer(&done)?;
    grant.note_version(reply.current);
    let what = Written { path, version: reply.current, created: reply.time, pruned: reply.pruned };
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

fn answer(done: &Done) -> Result<Reply, Refusal> {
    Reply::decode(done.reply.expose()).map_err(damaged)
}
