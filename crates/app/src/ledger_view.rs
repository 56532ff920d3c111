//! The ledger as seen from outside: checkpoint, key, entries, proofs, tiles.

use crate::grant::Authorized;
use crate::limits;
use access::Action;
use bytes::Bytes;
use crypto::merkle::{Tile, leaf_hash};
use crypto::{Hash, WallMs};
use ledger::code::{LEDGER_RANGE, STORAGE_UNAVAILABLE};
use ledger::{Refusal, SealedEntry};

/// One entry as the caller may see it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Leaf index.
    pub index: u64,
    /// RFC 6962 leaf hash of the sealed entry.
    pub leaf_hash: Hash,
    /// The sealed entry: the tenant's own ones, all of them with the cluster's right.
    pub sealed: Option<Bytes>,
    /// When it was made; the tenant's own ones.
    pub time: Option<WallMs>,
    /// Kind of its event; the tenant's own ones.
    pub kind: Option<String>,
}

/// A run of entries.
#[derive(Clone, Debug)]
pub struct Entries {
    /// By index, without gaps.
    pub items: Vec<Entry>,
    /// Size of the ledger when they were read.
    pub size: u64,
}

/// The newest signed checkpoint, a C2SP signed note.
pub async fn checkpoint(grant: Authorized) -> Result<String, Refusal> {
    let none = || Refusal::new(&STORAGE_UNAVAILABLE, "there is no checkpoint yet");
    match grant.ledger().checkpoint() {
        Some(note) => Ok(note),
        None => grant.ledger().settle().await?.ok_or_else(none),
    }
}

/// Folds and signs everything committed so far, so that the newest change can be proven at once.
pub async fn settled_checkpoint(grant: Authorized) -> Result<String, Refusal> {
    let none = || Refusal::new(&STORAGE_UNAVAILABLE, "there is no checkpoint yet");
    grant.ledger().settle().await?.ok_or_else(none)
}

/// The key that checkpoints are verified with, in C2SP form.
pub async fn verifier_key(grant: Authorized) -> Result<String, Refusal> {
    grant.ledger().verifier_key().map(|key| key.to_string())
}

/// Entries from `from` on. Of other tenants' entries the leaf hash only, unless the right covers the cluster.
/// Errors: `ledger.range`; `request.invalid` for a limit out of range.
pub async fn entries(grant: Authorized, from: u64, limit: Option<u64>) -> Result<Entries, Refusal> {
    let limit = limits::page(limit)?;
    let size = grant.ledger().head().size;
    if from > size {
        return Err(Refusal::new(&LEDGER_RANGE, "the ledger has fewer entries"));
    }
    let found = grant.ledger().entries(from, limit).await?;
    let items = found.iter().filter(|entry| entry.index < size).map(|entry| shown(&grant, entry));
    Ok(Entries { items: items.collect::<Result<_, _>>()?, size })
}

fn shown(grant: &Authorized, entry: &SealedEntry) -> Result<Entry, Refusal> {
    let own = entry.bytes.get(..16) == Some(grant.tenant().as_bytes().as_slice());
    let whole = own || grant.right() == Action::LedgerEntries;
    let fact = if own { Some(grant.ledger().open_entry(entry)?.1) } else { None };
    Ok(Entry {
        index: entry.index,
        leaf_hash: leaf_hash(&entry.bytes),
        sealed: whole.then(|| entry.bytes.clone()),
        time: fact.as_ref().map(|fact| fact.time),
        kind: fact.map(|fact| fact.kind),
    })
}

/// Proof that an entry is in the tree of this size. Errors: `ledger.range`.
pub async fn inclusion(grant: Authorized, index: u64, size: u64) -> Result<Vec<Hash>, Refusal> {
    grant.ledger().inclusion(index, size).await
}

/// Proof that the older tree is the beginning of the newer one. Errors: `ledger.range`.
pub async fn consistency(grant: Authorized, from: u64, to: u64) -> Result<Vec<Hash>, Refusal> {
    grant.ledger().consistency(from, to).await
}

/// Bytes of a tree tile (C2SP tlog-tiles). Errors: `ledger.range`.
pub async fn tile(grant: Authorized, tile: Tile) -> Result<Vec<u8>, Refusal> {
    grant.ledger().tile(tile).await
}
