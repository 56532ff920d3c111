//! Checking a store from end to end, naming the first bad thing.
//!
//! Without the seal: batches, entries, tree and the signed checkpoint. With it: also every ring key, entry, record, data
//! key, value, intent, volatile thing and side row. Reads only.

mod anchors;
mod open_parts;
mod scratch;

use crate::access_log::RowKeys;
use crate::code::{self, Refusal};
use crate::draft::RuleBook;
use crate::entry::{BatchRow, statement};
use crate::keyspace::meta_key;
use crate::ring::{Ring, load};
use crate::state::storage_refusal;
use crate::unit::{Position, Rules};
use crypto::merkle::{Frontier, leaf_hash};
use crypto::note::{Checkpoint, VerifierKey};
use crypto::seam::{Seal, WallMs};
use std::sync::Arc;
use std::time::Duration;
use storage::{BatchNumber, Kind, Shard, Storage};

pub use anchors::Anchors;
pub(crate) use open_parts::open_everything;

/// Batches read at once.
const PAGE: usize = 64;

/// What to check, and with what.
#[derive(Debug)]
pub struct Verification {
    /// The store.
    pub storage: Arc<dyn Storage>,
    /// Which shard.
    pub shard: Shard,
    /// Key that the checkpoint must be signed with.
    pub key: Option<VerifierKey>,
    /// Opens the root key; without it only what needs no key is checked.
    pub seal: Option<Arc<dyn Seal>>,
    /// The engines' rules, used with the seal.
    pub rules: Vec<Arc<dyn Rules>>,
}

/// The first thing found bad.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    /// Which thing.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// How much was checked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Batch rows.
    pub batches: u64,
    /// Entries.
    pub entries: u64,
    /// Size that the signed checkpoint speaks of, if there is one.
    pub checkpoint: Option<u64>,
    /// Tree tiles.
    pub tiles: u64,
    /// Records.
    pub records: u64,
    /// Data keys and values that were opened.
    pub values: u64,
    /// Keys of the ring.
    pub ring_keys: u64,
    /// Intents and volatile things.
    pub intents: u64,
    /// Data keys and values that no record points to: harmless remains of lost attempts.
    pub orphans: u64,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How much was checked.
    pub checked: Checked,
    /// The newest checkpoint, a signed note, and the key that stands beside it; none before the first fold.
    pub checkpoint: Option<(String, String)>,
    /// What the entries say of the access log in clear.
    pub anchors: Anchors,
    /// The first bad thing, if any.
    pub bad: Option<Bad>,
}

/// Ends a check at the first bad thing, or because the store cannot be read.
#[derive(Debug)]
pub(crate) enum Stop {
    Bad(Bad),
    Failed(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        if refusal.class() == crate::Class::Corrupt {
            Stop::Bad(Bad { what: refusal.detail, why: "damaged".into() })
        } else {
            Stop::Failed(refusal)
        }
    }
}

impl From<storage::StorageError> for Stop {
    fn from(error: storage::StorageError) -> Stop {
        storage_refusal(error).into()
    }
}

pub(crate) fn bad(what: impl Into<String>, why: impl Into<String>) -> Stop {
    Stop::Bad(Bad { what: what.into(), why: why.into() })
}

/// Checks everything. Errors: `storage.unavailable`, `seal.invalid`; damage is no error but the report's `bad`.
pub async fn verify(verification: Verification) -> Result<Report, Refusal> {
    let mut report = Report::default();
    let stop = match check(&verification, &mut report).await {
        Ok(()) => return Ok(report),
        Err(stop) => stop,
    };
    match stop {
        Stop::Bad(bad) => {
            report.bad = Some(bad);
            Ok(report)
        }
        Stop::Failed(refusal) => Err(refusal),
    }
}

async fn check(verification: &Verification, report: &mut Report) -> Result<(), Stop> {
    let note = checkpoint(verification, report).await?;
    let tree = entries(verification, note.as_ref(), report).await?;
    if note.is_none() {
        let needed = tree.is_old() || report.anchors.kept().next().is_some() || verification.key.is_some();
        if needed && report.checked.entries > 0 {
            return Err(bad("the checkpoint", UNSIGNED));
        }
    }
    let checked = &mut report.checked;
    tiles(verification, &tree, checked).await?;
    if let Some(seal) = &verification.seal {
        let mut rules = verification.rules.clone();
        rules.push(Arc::new(crate::house::HouseRules));
        rules.push(Arc::new(crate::anchor::SegmentRules));
        rules.push(Arc::new(crate::nodes::PenRules));
        let book = RuleBook::new(rules.clone());
        let storage = Arc::clone(&verification.storage);
        open_everything(storage, verification.shard, seal.as_ref(), &book, &rules, checked).await?;
    }
    Ok(())
}

/// The stored checkpoint, checked with the key given, or else with the one that is stored beside it.
async fn checkpoint(verification: &Verification, report: &mut Report) -> Result<Option<(u64, crypto::Hash)>, Stop> {
    let (note, stored) = stored_notes(verification.storage.as_ref(), verification.shard).await?;
    let Some(note) = note else { return Ok(None) };
    report.checkpoint = stored.as_ref().map(|key| (note.clone(), key.clone()));
    let key = match (&verification.key, stored) {
        (Some(key), _) => key.clone(),
        (None, Some(stored)) => stored.parse().map_err(|_| bad("the stored verifier key", "it does not parse"))?,
        (None, None) => return Err(bad("the stored verifier key", "missing; give the key with --key")),
    };
    let seen = Checkpoint::open(&note, &key).map_err(|why| bad("the checkpoint", why.to_string()))?;
    Ok(Some((seen.size, seen.root)))
}

async fn stored_notes(storage: &dyn Storage, shard: Shard) -> Result<(Option<String>, Option<String>), Stop> {
    let wanted = vec![meta_key(shard, "checkpoint"), meta_key(shard, "verifier")];
    let mut found = storage.get(wanted).await?.into_iter();
    let mut text = |what: &str| match found.next().flatten() {
        None => Ok(None),
        Some(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(bad(what, "not text")),
        },
    };
    Ok((text("the checkpoint")?, text("the stored verifier key")?))
}

/// The keys that rows of the access log are sealed with, without opening the ledger.
///
/// Errors: `seal.invalid`, `storage.damaged`, `storage.unavailable`.
pub async fn row_keys(storage: &dyn Storage, shard: Shard, seal: &dyn Seal) -> Result<Arc<dyn RowKeys>, Refusal> {
    Ok(Arc::new(Ring::new(load(storage, shard, seal).await?)))
}

/// The tree of all entries, level-0 tile rows included.
struct WholeTree {
    tiles: std::collections::BTreeMap<(u8, u64), Vec<u8>>,
    /// Times of the first batch and the newest.
    span: Option<(WallMs, WallMs)>,
}

impl WholeTree {
    fn is_old(&self) -> bool {
        self.span.is_some_and(|(first, last)| must_be_signed(first, last))
    }
}

/// Whether a ledger with these first and last batches has a checkpoint if nobody took it away: one is signed about a second
/// after a change.
fn must_be_signed(first: WallMs, last: WallMs) -> bool {
    last.saturating_since(first) >= UNSIGNED_MAX
}

/// Far more than a fold takes, so that a store that crashed as it began is not accused.
const UNSIGNED_MAX: Duration = Duration::from_secs(60);
const UNSIGNED: &str = "missing, so nothing says where the ledger ends; it may have been cut";

async fn row(storage: &dyn Storage, shard: Shard, number: BatchNumber) -> Result<Option<BatchRow>, Refusal> {
    let found = storage.tail(shard, number, 1).await.map_err(storage_refusal)?;
    Ok(found.first().map(|batch| BatchRow::decode(&batch.row)).transpose()?)
}

/// A store whose checkpoint is gone, or speaks of entries that are, was cut: it must not be gone on with.
///
/// Errors: `storage.damaged`.
pub(crate) async fn uncut(storage: &dyn Storage, shard: Shard, key: Option<VerifierKey>) -> Result<(), Refusal> {
    let damaged = |what: &str| Refusal::new(&code::STORAGE_DAMAGED, what.to_owned());
    let head = storage.head(shard).await.map_err(storage_refusal)?;
    let Some(last) = row(storage, shard, head).await? else { return Ok(()) };
    let found = storage.get(vec![meta_key(shard, "checkpoint")]).await.map_err(storage_refusal)?;
    let Some(note) = found.into_iter().next().flatten() else {
        let first = row(storage, shard, BatchNumber(1)).await?;
        return match first.is_some_and(|first| must_be_signed(first.time, last.time)) {
            true => Err(damaged(&format!("the checkpoint: {UNSIGNED}"))),
            false => Ok(()),
        };
    };
    let opened = key.and_then(|key| Checkpoint::open(std::str::from_utf8(&note).ok()?, &key).ok());
    match opened.filter(|checkpoint| checkpoint.size > last.end()) {
        Some(checkpoint) => Err(damaged(&format!(
            "the end of the ledger: the signed checkpoint speaks of {} entries, the store holds {}",
            checkpoint.size,
            last.end()
        ))),
        None => Ok(()),
    }
}

async fn entries(
    verification: &Verification,
    note: Option<&(u64, crypto::Hash)>,
    report: &mut Report,
) -> Result<WholeTree, Stop> {
    let checked = &mut report.checked;
    let head = verification.storage.head(verification.shard).await?;
    let mut frontier = Frontier::new();
    let mut tree = WholeTree { tiles: std::collections::BTreeMap::new(), span: None };
    let mut next = BatchNumber(1);
    compare_root(&frontier, note)?;
    while next <= head {
        let batches = verification.storage.tail(verification.shard, next, PAGE).await?;
        if batches.is_empty() {
            return Err(bad(format!("batch {}", next.0), "missing"));
        }
        for batch in batches {
            if batch.number != next {
                return Err(bad(format!("batch {}", next.0), "missing"));
            }
            let row = BatchRow::decode(&batch.row).map_err(|why| bad(format!("batch {}", next.0), why.0))?;
            if row.first != frontier.size() {
                return Err(bad(format!("batch {}", next.0), "its first entry is not the next one of the tree"));
            }
            tree.span = Some((tree.span.map_or(row.time, |(first, _)| first), row.time));
            for entry in &row.entries {
                let index = frontier.size();
                let stated = statement(entry).and_then(|stated| {
                    let position = Position { shard: verification.shard.0, index };
                    stated.map_or(Ok(()), |stated| report.anchors.take(stated, position))
                });
                stated.map_err(|why| bad(format!("entry {index}"), why.0))?;
                frontier.push_each(leaf_hash(entry), |node, hash| {
                    if node.level.is_multiple_of(crypto::merkle::TILE_HEIGHT) {
                        let at = (node.level / crypto::merkle::TILE_HEIGHT, node.index / crypto::merkle::TILE_WIDTH);
                        tree.tiles.entry(at).or_default().extend_from_slice(&hash);
                    }
                });
                compare_root(&frontier, note)?;
                checked.entries = checked.entries.saturating_add(1);
            }
            checked.batches = checked.batches.saturating_add(1);
            next = next.next();
        }
    }
    if let Some((size, _)) = note {
        if *size > frontier.size() {
            let why = format!("the signed checkpoint speaks of {size} entries, the store holds {}", frontier.size());
            return Err(bad("the end of the ledger", why));
        }
        checked.checkpoint = Some(*size);
    }
    Ok(tree)
}

fn compare_root(frontier: &Frontier, note: Option<&(u64, crypto::Hash)>) -> Result<(), Stop> {
    match note {
        Some((size, root)) if *size == frontier.size() && *root != frontier.root() => {
            let last = frontier.size().saturating_sub(1);
            Err(bad(format!("an entry up to {last}"), "the entries do not give the root of the signed checkpoint"))
        }
        _ => Ok(()),
    }
}

/// Every stored tile against the entries.
async fn tiles(verification: &Verification, tree: &WholeTree, checked: &mut Checked) -> Result<(), Stop> {
    let prefix = crate::keyspace::tiles_prefix(verification.shard);
    let mut after = None;
    loop {
        let page = verification.storage.scan(prefix.clone(), after.take(), storage::LIMITS.page_max).await?;
        let full = page.len() == storage::LIMITS.page_max;
        after = page.last().map(|(key, _)| key.clone());
        for (key, bytes) in page {
            let (level, index) =
                crate::keyspace::tile_of(&key).ok_or_else(|| bad("a tree tile", "its key cannot be read"))?;
            let whole = tree.tiles.get(&(level, index)).map(Vec::as_slice).unwrap_or_default();
            if bytes.is_empty() || whole.get(..bytes.len()) != Some(bytes.as_ref()) {
                return Err(bad(format!("tree tile {level}/{index}"), "it does not hold the hashes of its entries"));
            }
            checked.tiles = checked.tiles.saturating_add(1);
        }
        if !full {
            return Ok(());
        }
    }
}

/// Walks everything of a kind.
pub(crate) async fn walk(
    storage: &dyn Storage,
    shard: Shard,
    kind: Kind,
    mut each: impl FnMut(storage::Key, bytes::Bytes) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let prefix = storage::Key::new(kind, shard, Vec::new());
    let mut after = None;
    loop {
        let page = storage.scan(prefix.clone(), after.take(), storage::LIMITS.page_max).await?;
        let full = page.len() == storage::LIMITS.page_max;
        after = page.last().map(|(key, _)| key.clone());
        for (key, value) in page {
            each(key, value)?;
        }
        if !full {
            return Ok(());
        }
    }
}
