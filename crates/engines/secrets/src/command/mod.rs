//! What may be asked of secrets. Each command reads one secret's record and decides over it.

mod delete;
mod metadata;
mod notice;
mod purge;
mod put;
mod rewrap;
mod rollback;

pub use delete::{Delete, Undelete};
pub use metadata::Metadata;
pub use notice::{NOTICE, NOTICES_BEFORE, Notice};
pub use purge::{Purge, Scope};
pub use put::{Put, PutNew};
pub use rewrap::{OpenedKey, Rewrap};
pub use rollback::Rollback;

use crate::event::{Edits, Expiry, SecretEvent, VersionWritten};
use crate::folder;
use crate::limits;
use crate::record::{self, Encoding, Labels, Record, Secret, secret_name};
use crate::reply::Reply;
use bytes::Bytes;
use crypto::aead::{DataKey, Key};
use crypto::id::BlobId;
use crypto::seam::WallMs;
use ledger::code::{SECRET_INVALID, SECRET_VERSION_CONFLICT};
use ledger::{BlobPut, Context, Dropped, Halt, KeyPut, Outcome, Path, Refusal, View};
use std::sync::Arc;

/// A value sealed by prepare under a fresh data key, not yet placed. Has no codec.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The data key; the committer wraps it.
    pub key: Arc<Key<DataKey>>,
    /// Random id that the value was sealed with.
    pub blob_id: BlobId,
    /// The sealed value.
    pub sealed: Bytes,
    /// SHA-256 of the sealed value.
    pub digest: [u8; 32],
    /// Bytes of the plain value.
    pub size: usize,
}

/// What to do with one field of metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Give it this value.
    Set(T),
    /// Back to the default.
    Clear,
}

impl<T> Edit<T> {
    /// The new content, if it changes.
    fn change(self) -> Option<Option<T>> {
        match self {
            Edit::Keep => None,
            Edit::Set(value) => Some(Some(value)),
            Edit::Clear => Some(None),
        }
    }
}

/// Changes of a secret's metadata, sent alone or with a write.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MetadataEdit {
    /// All labels at once.
    pub labels: Edit<Labels>,
    /// When its values stop being readable; must lie ahead.
    pub expires: Edit<WallMs>,
    /// Versions kept.
    pub max_versions: Edit<u32>,
    /// Whether every write must name the version it replaces.
    pub cas_required: Edit<bool>,
}

impl MetadataEdit {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == MetadataEdit::default()
    }

    /// Checks all limits; an expiry must lie ahead of `now`. Errors: `secret.limit`, `secret.invalid`.
    pub fn check(&self, now: WallMs) -> Result<(), Refusal> {
        if let Edit::Set(labels) = &self.labels {
            limits::check_labels(labels)?;
        }
        if let Edit::Set(kept) = self.max_versions {
            limits::check_versions_kept(kept)?;
        }
        match self.expires {
            Edit::Set(at) if at <= now => Err(Refusal::new(&SECRET_INVALID, "expires_at does not lie ahead")),
            _ => Ok(()),
        }
    }

    fn into_edits(self) -> Edits {
        Edits {
            labels: self.labels.change().map(Option::unwrap_or_default),
            expires: self.expires.change().map(Expiry),
            max_versions: self.max_versions.change(),
            cas_required: self.cas_required.change().map(Option::unwrap_or_default),
        }
    }

    /// Versions kept after this edit.
    fn kept(&self, secret: &Secret) -> usize {
        let kept = match self.max_versions {
            Edit::Keep => return secret.kept(),
            Edit::Set(kept) => kept,
            Edit::Clear => limits::VERSIONS_KEPT_DEFAULT,
        };
        usize::try_from(kept).unwrap_or(usize::MAX)
    }
}

/// What stands under the name, or the mark of a complete purge, or nothing.
fn find(view: &View, path: &Path) -> Result<Option<Record>, Halt> {
    Ok(view.get(&secret_name(path))?.map(Record::decode).transpose()?)
}

/// The secret, or `secret.not_found`.
fn existing(view: &View, path: &Path) -> Result<Secret, Halt> {
    match find(view, path)? {
        Some(Record::Kept(secret)) => Ok(secret),
        _ => Err(record::no_such_secret().into()),
    }
}

/// Compare-and-set: 0 wants no secret there, any other number wants it as newest version.
fn check_cas(cas: Option<u64>, secret: Option<&Secret>) -> Result<(), Refusal> {
    let conflict = |detail: String| Err(Refusal::new(&SECRET_VERSION_CONFLICT, detail));
    match (cas, secret) {
        (None, Some(secret)) if secret.cas_required => {
            Err(Refusal::new(&SECRET_INVALID, "this secret takes only writes that name the version they replace (cas)"))
        }
        (None, _) | (Some(0), None) => Ok(()),
        (Some(wanted), Some(secret)) if wanted == secret.current() => Ok(()),
        (Some(_), Some(secret)) => conflict(format!("the newest version is {}", secret.current())),
        (Some(_), None) => conflict("there is no secret at this path".into()),
    }
}

/// What a write of either kind brings about.
struct Writing<'a> {
    path: &'a Path,
    fresh: &'a Fresh,
    encoding: Encoding,
    copied_from: Option<u64>,
    edit: MetadataEdit,
}

impl Writing<'_> {
    fn outcome(self, before: Option<Record>, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let (version, folders, pruned, drops) = match &before {
            Some(Record::Kept(secret)) => {
                let pruned = secret.excess(self.edit.kept(secret), 1);
                let drops = drops(secret, &pruned);
                (secret.next, 0, pruned, drops)
            }
            Some(Record::Gone(gone)) => (gone.next, self.gaining(view)?, Vec::new(), Vec::new()),
            None => (1, self.gaining(view)?, Vec::new(), Vec::new()),
        };
        let kept = match &before {
            Some(Record::Kept(secret)) => Some(secret),
            _ => None,
        };
        let promise = notice::promised(self.path, &self.edit, kept, cx.now);
        let fact = VersionWritten {
            path: self.path.as_str().to_owned(),
            version,
            folders,
            key: cx.key_place(0),
            blob: cx.blob_place(0),
            blob_id: self.fresh.blob_id,
            digest: self.fresh.digest,
            size: u32::try_from(self.fresh.size).unwrap_or(u32::MAX),
            encoding: self.encoding,
            copied_from: self.copied_from,
            edits: self.edit.into_edits(),
            pruned: pruned.clone(),
        };
        let reply = Reply { current: version, versions: vec![version], pruned, time: cx.now };
        let mut outcome = Outcome::new(vec![SecretEvent::VersionWritten(fact).encode()], reply.encode());
        outcome.drops = drops;
        outcome.intents.extend(promise);
        outcome.keys.push(KeyPut {
            key: Arc::clone(&self.fresh.key),
            kind: crate::KEY_KIND,
            path: self.path.as_str().to_owned(),
            version,
            blob: self.fresh.blob_id,
        });
        outcome.blobs.push(BlobPut { id: self.fresh.blob_id, sealed: self.fresh.sealed.clone() });
        Ok(outcome)
    }

    fn gaining(&self, view: &View) -> Result<u8, Halt> {
        let folders = view.get_all(&folder::above(self.path))?;
        Ok(u8::try_from(folder::gaining(&folders)).unwrap_or(u8::MAX))
    }
}

/// Keys and values of these versions, as far as they still exist.
fn drops(secret: &Secret, numbers: &[u64]) -> Vec<Dropped> {
    numbers
        .iter()
        .filter_map(|number| secret.version(*number)?.state.stored())
        .flat_map(|stored| [Dropped::Key(stored.key), Dropped::Blob(stored.blob)])
        .collect()
}
