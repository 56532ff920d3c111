//! Checks the ledger on this side: nothing the server says is believed but what the pinned key signed.

use api::Class;
use api::ledger::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::Hash;
use crypto::merkle::{Frontier, leaf_hash, verify_consistency, verify_inclusion};
use crypto::note::{Checkpoint, VerifierKey};

use crate::{Client, Error};

/// A checkpoint that was verified before: what a later one must extend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Entries then.
    pub size: u64,
    /// Root hash then.
    pub root: Hash,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The checkpoint, signed by the pinned key.
    pub checkpoint: Checkpoint,
    /// How many entries were fetched whole and hashed here; of the others the server gave the hash.
    pub whole_entries: u64,
    /// Size of the earlier checkpoint that this one was proved to extend.
    pub extends: Option<u64>,
}

/// Entries counted into a tree as they come, to be compared with a signed root at the end.
#[derive(Debug, Default)]
pub struct Tally {
    tree: Frontier,
    whole: u64,
    last: Option<Hash>,
    seen: Option<Seen>,
    extends: Option<u64>,
}

impl Tally {
    /// Begins a count that is held against a checkpoint verified before, when it comes to its size.
    pub fn since(seen: Option<Seen>) -> Self {
        let extends = seen.filter(|seen| seen.size == 0).map(|seen| seen.size);
        Self { seen, extends, ..Self::default() }
    }

    /// Takes the next entry.
    ///
    /// Errors: `Corrupt`, codes `ledger.entry_missing` and `ledger.entry_altered`, naming the entry; `ledger.forked` when
    /// the entries so far are not those of the checkpoint verified before.
    pub fn push(&mut self, entry: &Entry) -> Result<(), Error> {
        let (leaf, whole) = checked_leaf(entry, self.tree.size())?;
        self.whole = self.whole.saturating_add(u64::from(whole));
        self.last = Some(leaf);
        self.tree.push(leaf);
        if let Some(seen) = self.seen.filter(|seen| seen.size == self.tree.size()) {
            if seen.root != self.tree.root() {
                return Err(forked());
            }
            self.extends = Some(seen.size);
        }
        Ok(())
    }

    /// How many entries were taken.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// How many of them came whole and were hashed here.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// Checks that these are the entries of the checkpoint, all of them and no others; tells the size of the checkpoint
    /// verified before that they were found to extend.
    ///
    /// Errors: `Corrupt`, codes `ledger.entry_missing` and `ledger.root_differs`.
    pub fn check(&self, checkpoint: &Checkpoint) -> Result<Option<u64>, Error> {
        if self.tree.size() != checkpoint.size {
            let detail = format!("the checkpoint is of {} entries, {} are given", checkpoint.size, self.tree.size());
            return Err(damaged("ledger.entry_missing", &detail));
        }
        if self.tree.root() != checkpoint.root {
            return Err(damaged("ledger.root_differs", "the entries do not hash to the root that was signed"));
        }
        Ok(self.extends)
    }
}

/// Fetches the newest checkpoint, all leaf hashes and the entries the caller may have, and checks all of it:
/// signature, each entry against its hash, the tree against the signed root, the way from `seen`, and the
/// server's own proof for the newest entry. `progress` is told entries done and entries in all.
///
/// Errors: class `Corrupt` and a code `ledger.…` naming the first thing that does not verify; otherwise as any call.
pub async fn ledger(
    client: &Client,
    key: &VerifierKey,
    seen: Option<&Seen>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verified, Error> {
    let (checkpoint, extends) = newest_since(client, key, seen).await?;
    let size = checkpoint.size;
    let mut tally = Tally::default();
    while tally.size() < size {
        let limit = u32::try_from(size.saturating_sub(tally.size())).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let page = client.ledger().entries(tally.size(), limit).await?;
        if page.items.is_empty() || page.items.len() > limit as usize {
            return Err(damaged("ledger.entry_missing", &format!("no entry {} is given", tally.size())));
        }
        page.items.iter().try_for_each(|entry| tally.push(entry))?;
        progress(tally.size(), size);
    }
    tally.check(&checkpoint)?;
    if let (Some(leaf), Some(index)) = (tally.last, size.checked_sub(1)) {
        included(client, &leaf, index, &checkpoint).await?;
    }
    Ok(Verified { checkpoint, whole_entries: tally.whole, extends })
}

/// Reads a checkpoint that was kept, and checks who signed it.
///
/// Errors: `Corrupt`, code `ledger.checkpoint_invalid`.
pub fn signed(note: &str, key: &VerifierKey) -> Result<Checkpoint, Error> {
    Checkpoint::open(note, key).map_err(|error| damaged("ledger.checkpoint_invalid", &error.to_string()))
}

/// Fetches the newest checkpoint and checks who signed it.
///
/// Errors: `Corrupt`, code `ledger.checkpoint_invalid`.
pub async fn newest(client: &Client, key: &VerifierKey) -> Result<Checkpoint, Error> {
    signed(&client.ledger().checkpoint().await?, key)
}

/// Fetches the newest checkpoint and checks who signed it and that it extends the one verified before, whose size is given
/// back.
///
/// Errors: `Corrupt`, codes `ledger.checkpoint_invalid`, `ledger.rolled_back`, `ledger.forked`.
pub async fn newest_since(
    client: &Client,
    key: &VerifierKey,
    seen: Option<&Seen>,
) -> Result<(Checkpoint, Option<u64>), Error> {
    let checkpoint = newest(client, key).await?;
    let extends = consistent(client, &checkpoint, seen).await?;
    Ok((checkpoint, extends))
}

/// Checks with the server's proof that `leaf` stands at `index` of the ledger.
///
/// Errors: `Corrupt`, code `ledger.proof_invalid`.
pub async fn included(client: &Client, leaf: &Hash, index: u64, checkpoint: &Checkpoint) -> Result<(), Error> {
    let proof = hashes(&client.ledger().inclusion(index, checkpoint.size).await?.hashes)?;
    verify_inclusion(leaf, index, checkpoint.size, &proof, &checkpoint.root)
        .map_err(|_| damaged("ledger.proof_invalid", &format!("the proof for entry {index} does not verify")))
}

/// Reads a hash from its text.
///
/// Errors: `Corrupt`, code `ledger.hash_invalid`.
pub fn hash(text: &str) -> Result<Hash, Error> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| Hash::try_from(bytes).ok());
    bytes.ok_or_else(|| damaged("ledger.hash_invalid", "what should be a hash is none"))
}

async fn consistent(client: &Client, now: &Checkpoint, seen: Option<&Seen>) -> Result<Option<u64>, Error> {
    let Some(seen) = seen else { return Ok(None) };
    if seen.size > now.size {
        let detail = format!("the ledger has {} entries and had {}: it was rolled back", now.size, seen.size);
        return Err(damaged("ledger.rolled_back", &detail));
    }
    let proof = if seen.size == now.size || seen.size == 0 {
        Vec::new()
    } else {
        hashes(&client.ledger().consistency(seen.size, now.size).await?.hashes)?
    };
    verify_consistency(seen.size, &seen.root, now.size, &now.root, &proof).map_err(|_| forked())?;
    Ok(Some(seen.size))
}

/// The leaf hash of an entry, computed from its bytes where they are given.
fn checked_leaf(entry: &Entry, wanted: u64) -> Result<(Hash, bool), Error> {
    if entry.index != wanted {
        return Err(damaged("ledger.entry_missing", &format!("no entry {wanted} is given")));
    }
    let told = hash(&entry.leaf_hash)?;
    let Some(sealed) = &entry.sealed else { return Ok((told, false)) };
    let bytes = STANDARD.decode(sealed).unwrap_or_default();
    if leaf_hash(&bytes) != told {
        return Err(damaged("ledger.entry_altered", &format!("entry {wanted} does not have its hash")));
    }
    Ok((told, true))
}

fn forked() -> Error {
    damaged("ledger.forked", "the ledger does not extend the one that was verified before")
}

fn hashes(texts: &[String]) -> Result<Vec<Hash>, Error> {
    texts.iter().map(|text| hash(text)).collect()
}

fn damaged(code: &str, detail: &str) -> Error {
    let hint = "do not trust this server; compare with another copy of its checkpoints before going on";
    Error::local(Class::Corrupt, code, detail, hint)
}

/// Entries fetched at once.
pub const PAGE_MAX: u32 = 1000;
