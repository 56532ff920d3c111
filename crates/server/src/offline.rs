//! Work on what is stored while no server runs: verify it, export its ledger, make its records again.
//!
//! The store's lock keeps a server and this apart. Only [`rebuild`] changes anything: the rest leaves every byte as it is.

mod export;
mod rows;
mod site;

pub use export::LedgerAtRest;
pub use site::Site;

use crate::build::{SHARD, rules};
use crate::clock::SystemClock;
use crate::seal::{KeyFileSeal, recovery};
use crate::store::{Purpose, Store};
use crate::tasks::TokioDelay;
use api::Class;
use crypto::note::VerifierKey;
use crypto::seam::{Seal, SystemEntropy};
use crypto::secret::SecretText;
use crypto::shamir::{Gathering, Step};
use ledger::{Opened, Refusal, Report, Verification};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{OpenError, Storage};

/// What a check found. Not empty `bad` means damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What was checked, and how many of it.
    pub checked: Vec<(&'static str, u64)>,
    /// Size that the signed checkpoint speaks of.
    pub checkpoint: Option<u64>,
    /// The verifier key that stands beside it.
    pub key: Option<String>,
    /// Bad things by name, the first of each kind of storage.
    pub bad: Vec<String>,
    /// What is good to know and no damage.
    pub notes: Vec<String>,
}

/// Why offline work could not be done. Nothing was changed.
#[derive(Debug)]
pub struct OfflineError {
    class: Class,
    why: String,
}

impl OfflineError {
    pub(crate) fn new(class: Class, why: impl std::fmt::Display) -> OfflineError {
        OfflineError { class, why: why.to_string() }
    }

    /// Whose fault it is: `Corrupt` for damage, `Invalid` for what was named, `Unavailable` for what passes.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }
}

impl std::fmt::Display for OfflineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for OfflineError {}

impl From<OpenError> for OfflineError {
    fn from(error: OpenError) -> OfflineError {
        let class = match error {
            OpenError::Damaged(_) | OpenError::Missing(_) | OpenError::Foreign(_) => Class::Corrupt,
            OpenError::Exposed(_) | OpenError::Absent(_) | OpenError::Newer(_) => Class::Invalid,
            OpenError::Locked(_) | OpenError::Unreachable(_) => Class::Unavailable,
        };
        OfflineError::new(class, error)
    }
}

impl From<Refusal> for OfflineError {
    fn from(refusal: Refusal) -> OfflineError {
        let class = match refusal.class() {
            ledger::Class::Corrupt => Class::Corrupt,
            // The seal file that was named opens another store.
            ledger::Class::Sealed | ledger::Class::Invalid => Class::Invalid,
            _ => Class::Unavailable,
        };
        OfflineError::new(class, refusal)
    }
}

/// Something on the way, such as a disk that does not answer.
fn failed(error: impl std::fmt::Display) -> OfflineError {
    OfflineError::new(Class::Unavailable, error)
}

/// Checks what is stored at a site: without the seal file batches, entries, tree, checkpoint, and the access log's chain with the
/// entries that close its segments; with it also keys, records, values and each row's content. `key` is the verifier
/// key the checkpoint must be signed with.
///
/// Leaves a store in files as it is, byte for byte, also one that a crash left behind. Needs a tokio runtime.
pub async fn verify(site: &Site, seal: Option<&Path>, key: Option<&str>) -> Result<Findings, OfflineError> {
    let key = key.map(verifier_key).transpose()?;
    let seal = seal.map(open_seal).transpose()?;
    let store = site.open(Purpose::Look).await?;
    let mut findings = Findings::default();
    if let Store::Sqlite(files) = &store {
        if files.lacks_records() {
            let missing = "`records.db` is missing; nothing is lost: `aumbry ledger rebuild` makes it again";
            findings.bad.push(missing.into());
        }
        let files = Arc::clone(files);
        let damaged = tokio::task::spawn_blocking(move || files.verify()).await;
        findings.bad.extend(damaged.map_err(failed)?.map_err(failed)?);
    }
    let storage = store.storage();
    let report = verify_ledger(&storage, seal.clone(), key).await?;
    findings.bad.extend(report.bad.as_ref().map(|bad| format!("{}: {}", bad.what, bad.why)));
    findings.checkpoint = report.checked.checkpoint;
    findings.key = report.checkpoint.as_ref().map(|(_, key)| key.clone());
    findings.checked = counted(&report);
    let keys = match seal {
        Some(seal) if findings.bad.is_empty() => Some(ledger::row_keys(&*storage, SHARD, &*seal).await?),
        _ => None,
    };
    let anchors = report.bad.is_none().then_some(&report.anchors);
    let within = (report.checked.entries, matches!(store, Store::Remote(..)));
    let rows = rows::verify(site.data(), &storage, anchors, keys.as_deref(), within, &mut findings).await;
    match rows {
        // What cannot be read because it is damaged is named already.
        Err(_) if !findings.bad.is_empty() => {}
        other => other?,
    }
    Ok(findings)
}

async fn verify_ledger(
    storage: &Arc<dyn Storage>,
    seal: Option<Arc<KeyFileSeal>>,
    key: Option<VerifierKey>,
) -> Result<Report, OfflineError> {
    let seal = seal.map(|seal| -> Arc<dyn Seal> { seal });
    let verification = Verification { storage: Arc::clone(storage), shard: SHARD, key, seal, rules: rules() };
    Ok(ledger::verify(verification).await?)
}

fn counted(report: &Report) -> Vec<(&'static str, u64)> {
    let checked = &report.checked;
    vec![
        ("batches", checked.batches),
        ("entries", checked.entries),
        ("tiles", checked.tiles),
        ("keys", checked.ring_keys),
        ("records", checked.records),
        ("values", checked.values),
        ("intents", checked.intents),
        ("orphans", checked.orphans),
    ]
}

/// Makes a lost key file again, out of recovery shares and the store or a backup. Answers how many shares it took.
///
/// The store is only looked at. Errors: class `Invalid` names the share that does not fit, says that there are too few, that
/// there are no recovery shares of this store, or that a file stands in the place of the one to be made; nothing was made then.
pub async fn recover_key_file(from: Lost<'_>, seal: &Path, shares: &[SecretText]) -> Result<u8, OfflineError> {
    let wrong = |why: String| OfflineError::new(Class::Invalid, why);
    let (root, storage) = match from {
        Lost::Store(site) => {
            let storage = site.open(Purpose::Look).await?.storage();
            (ledger::wrapped_roots(&*storage, SHARD).await?.pop().unwrap_or_default(), Some(storage))
        }
        Lost::Backup(file) => (crate::backup::wrapped_root(file)?, None),
    };
    let set = recovery::set_of(&root).map_err(|_damaged| OfflineError::new(Class::Corrupt, "its row is damaged"))?;
    let set = set.ok_or_else(|| wrong("no recovery shares were made for what is stored there".to_owned()))?;
    let (threshold, id) = (set.threshold(), set.id());
    let mut gathering = Gathering::new(set);
    for share in shares {
        let step = gathering.give(share.expose(), Duration::ZERO).map_err(|rejected| wrong(rejected.to_string()))?;
        let Step::Key(key) = step else { continue };
        let bytes = recovery::recovered(&root, key);
        let bytes =
            bytes.ok_or_else(|| OfflineError::new(Class::Corrupt, "the shares are right, but its row is damaged"))?;
        crate::seal::write_key(seal, &bytes).map_err(|error| OfflineError::new(error.class(), error))?;
        if let Some(storage) = storage {
            // Nobody is to rely on a file that opens nothing.
            ledger::row_keys(&*storage, SHARD, &*open_seal(seal)?).await?;
        }
        return Ok(threshold);
    }
    Err(wrong(format!("{} of {threshold} shares of set {id} were given", gathering.given())))
}

/// What is left of a store whose key file is lost.
#[derive(Clone, Copy, Debug)]
pub enum Lost<'a> {
    /// The store itself.
    Store(&'a Site),
    /// A backup of it.
    Backup(&'a Path),
}

/// Makes every record again from the entries. Answers how many were removed first. Repeat it if it is cut off.
pub async fn rebuild(site: &Site, seal: &Path) -> Result<u64, OfflineError> {
    let store = site.open(Purpose::Mend).await?;
    let storage = store.storage();
    let alive = ledger::somebody_lives(&*storage, SHARD, &TokioDelay).await?;
    if let Some(node) = alive {
        let what = format!("the node {node} runs on this database; stop all of them first");
        return Err(OfflineError::new(Class::Unavailable, what));
    }
    let seal = open_seal(seal)?;
    let removed = ledger::forget_records(&*storage, SHARD).await?;
    let Opened { ledger, drivers, .. } = open_ledger(Arc::clone(&storage), seal).await?;
    let drivers: Vec<_> = drivers.into_iter().map(tokio::spawn).collect();
    let settled = ledger.settle().await;
    ledger.close();
    for driver in drivers {
        let _ = driver.await;
    }
    settled?;
    Ok(removed)
}

fn verifier_key(text: &str) -> Result<VerifierKey, OfflineError> {
    text.trim().parse().map_err(|_bad| OfflineError::new(Class::Invalid, "the key is no verifier key"))
}

pub(crate) fn open_seal(path: &Path) -> Result<Arc<KeyFileSeal>, OfflineError> {
    let opened = KeyFileSeal::open(path, &SystemEntropy::new(), false);
    opened.map(|(seal, _)| Arc::new(seal)).map_err(|error| OfflineError::new(Class::Invalid, error))
}

pub(crate) async fn open_ledger(storage: Arc<dyn Storage>, seal: Arc<dyn Seal>) -> Result<Opened, Refusal> {
    let parts = ledger::Parts {
        storage,
        shard: SHARD,
        seal,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy::new()),
        delay: Arc::new(TokioDelay),
        rules: rules(),
        cluster: String::new(),
        cache_bytes: 8 << 20,
        sharing: None,
    };
    ledger::open(parts).await
}
