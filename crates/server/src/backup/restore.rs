//! `aumbry restore`: a backup becomes a data folder, or the content of a database, while no server runs.
//!
//! Everything is done beside the folder first: the backup is read whole, restored, opened, given a new life. Only then the
//! new folder takes the place of the old one, in one step. The old one is kept.

use super::folder::{self, remove_folder};
use super::pace::Quick;
use super::replace;
use super::trial::{BUFFER, scratch_store};
use crate::build::{SHARD, rules};
use crate::clock::SystemClock;
use crate::files::{self, FileError};
use crate::offline::{OfflineError, Site, open_ledger, open_seal};
use crate::seal::SharesSeal;
use crate::store::{Purpose, check_finished, sqlite, unfinished_mark};
use api::Class;
use bytes::Bytes;
use crypto::seam::{Clock, Seal, SystemEntropy};
use crypto::secret::{SecretBytes, SecretText};
use crypto::shamir::{Gathering, Step};
use ledger::Opened;
use ledger::backup::{Backup, Foot, Head, Known, Whole, read_head};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use storage::{Commit, Op, Run, Storage};

/// What is asked for.
#[derive(Debug)]
pub struct Restore {
    /// The backup.
    pub file: PathBuf,
    /// What opens the seal that was in force when it was made.
    pub seal: SealKey,
    /// The data folder to be, and the empty database elsewhere if the store is to be in one.
    pub site: Site,
    /// Whether a store that is there may be moved aside.
    pub replace: bool,
    /// Key file of that store's seal, where it has another than the backup.
    pub replaced_seal: Option<PathBuf>,
    /// Whether it goes on without what that store took away after the backup, where it cannot be read.
    pub forget: bool,
}

/// What opens a backup's seal.
#[derive(Debug)]
pub enum SealKey {
    /// The seal's key file.
    File(PathBuf),
    /// As many shares of the seal's key as it wants.
    Shares(Vec<SecretText>),
}

impl SealKey {
    fn open(&self, file: &Path) -> Result<Arc<dyn Seal>, OfflineError> {
        match self {
            SealKey::File(key) => Ok(open_seal(key)?),
            SealKey::Shares(shares) => Ok(Arc::new(of_shares(file, shares)?)),
        }
    }
}

/// The seal of the backup's own set. Errors: which share does not fit, or that there are too few.
fn of_shares(file: &Path, shares: &[SecretText]) -> Result<SharesSeal, OfflineError> {
    let wrong = |why: String| OfflineError::new(Class::Invalid, why);
    let (head, _) = read_head(&mut folder::open(file).map_err(refused)?)?;
    let set = SharesSeal::set_of(&head.wrapped_root()?).map_err(|error| wrong(error.to_string()))?;
    let no_shares = || wrong("the backup was made under a key file, not under shares; name the file".to_owned());
    let set = set.ok_or_else(no_shares)?;
    let mut gathering = Gathering::new(set.clone());
    for share in shares {
        if let Step::Key(key) = gathering.give(share.expose(), Duration::ZERO).map_err(|why| wrong(why.to_string()))? {
            return SharesSeal::new(&key, set).ok_or_else(|| wrong("the shares make no key".to_owned()));
        }
    }
    Err(wrong(format!("{} of {} shares of set {} were given", gathering.given(), set.threshold(), set.id())))
}

/// The wrapped root key of a backup. Errors: it is no backup, or of a newer version.
pub(crate) fn wrapped_root(file: &Path) -> Result<Vec<u8>, OfflineError> {
    let (head, _) = read_head(&mut folder::open(file).map_err(refused)?)?;
    Ok(head.wrapped_root()?)
}

/// What a backup was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its id.
    pub id: String,
    /// Origin of the ledger in it.
    pub origin: String,
    /// Entries in it.
    pub entries: u64,
    /// Sealed values in it, some perhaps purged while it was made.
    pub values: u64,
    /// Up to when it holds what was changed, in milliseconds.
    pub ended_ms: u64,
    /// The key that its checkpoint is signed with.
    pub verifier: String,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub backup: Checked,
    /// Where the store is that stood there before.
    pub replaced: Option<PathBuf>,
    /// The first and last entry of the replaced store that are not in the backup.
    pub lost: Option<(u64, u64)>,
    /// Why nothing is known of what came after the backup, where another store stood there.
    pub unknown: Option<String>,
    /// Versions purged again.
    pub purged: u64,
    /// Policies removed again.
    pub removed: u64,
    /// Tenants suspended again, or whose deletion goes on when the server runs.
    pub tenants: u64,
    /// Principals changed in the lost time; what was taken from them is taken again.
    pub told: u64,
    /// Policies of the lost time, which are as in the backup again.
    pub policies: Vec<String>,
    /// Principals whose sessions and logins are over.
    pub principals: u64,
    /// File with a one-time login of an owner.
    pub login: PathBuf,
}

type Source = BufReader<File>;

/// Reads a backup from its first to its last byte with its seal. Changes nothing.
///
/// Errors: class `Invalid` for what is no backup, of a newer version, or not of this seal; `Corrupt` for one that was cut or
/// altered.
pub fn check(file: &Path, seal: &SealKey) -> Result<Checked, OfflineError> {
    let whole = whole(file, &*seal.open(file)?)?;
    Ok(checked(whole.head(), whole.foot()))
}

fn whole(file: &Path, seal: &dyn Seal) -> Result<Whole<Source>, OfflineError> {
    let source = BufReader::with_capacity(BUFFER, folder::open(file).map_err(refused)?);
    Ok(Backup::open(source, seal)?.check()?)
}

fn checked(head: &Head, foot: &Foot) -> Checked {
    Checked {
        id: head.id.to_string(),
        origin: head.origin.clone(),
        entries: foot.entries,
        values: foot.blobs,
        ended_ms: foot.ended.0,
        verifier: foot.verifier.clone(),
    }
}

/// Restores. Needs a tokio runtime.
///
/// When it returns, the data folder is there, whole, on stable storage, with a new life begun; what stood there before is beside
/// it. After an error, or a crash anywhere, the old folder is as it was, and it can be done again.
pub async fn restore(asked: &Restore) -> Result<Restored, OfflineError> {
    let seal = asked.seal.open(&asked.file)?;
    let mut whole = whole(&asked.file, &*seal)?;
    let data = asked.site.data();
    let data = std::path::absolute(data).map_err(|error| refused(FileError::io(data, &error)))?;
    if !asked.site.is_in_files() {
        return elsewhere(asked, &data, whole, seal).await;
    }
    let old = replace::look(&data, asked.replace)?;
    let (known, unknown, _held) = match (old, &asked.replaced_seal) {
        (false, _) => (None, None, None),
        (true, None) => known(&data, &*seal, &whole).await?,
        (true, Some(key)) => known(&data, &*open_seal(key)?, &whole).await?,
    };
    if let Some(why) = unknown.as_ref().filter(|_| !asked.forget) {
        let why = format!(
            "{}: what it purged and took away after the backup cannot be read ({why}); --replaced-seal-file names the key \
             of its seal, --forget-later goes on without",
            data.display()
        );
        return Err(OfflineError::new(Class::Invalid, why));
    }
    let staging = replace::staging(&data)?;
    let built = build_in_files(&staging, &mut whole, seal, known.as_ref()).await;
    let begun = match built {
        Ok(begun) => begun,
        Err(error) => {
            let _best_effort = remove_folder(&staging);
            return Err(error);
        }
    };
    if old {
        replace::carry(&data, &staging)?;
    }
    replace::settle(&staging)?;
    let login = leave_login(&data, &begun)?;
    let replaced = replace::switch(&staging, &data, old)?;
    let lost = known.map(|known| (whole.foot().entries, known.entries)).filter(|(from, to)| from < to);
    let lost = lost.map(|(from, to)| (from, to.saturating_sub(1)));
    Ok(Restored { replaced, lost, unknown, ..told(&whole, begun, login) })
}

fn told(whole: &Whole<Source>, begun: app::restore::Begun, login: PathBuf) -> Restored {
    Restored {
        backup: checked(whole.head(), whole.foot()),
        replaced: None,
        lost: None,
        unknown: None,
        purged: begun.purged,
        removed: begun.removed,
        tenants: begun.tenants,
        told: begun.told,
        policies: begun.policies,
        principals: begun.principals,
        login,
    }
}

fn leave_login(data: &Path, begun: &app::restore::Begun) -> Result<PathBuf, OfflineError> {
    let login = files::beside(data, ".owner.login");
    let line = SecretBytes::new([begun.login.expose().as_bytes(), b"\n"].concat());
    files::replace_private(&login, line.expose()).map_err(refused)?;
    Ok(login)
}

/// Restores into an empty database. A mark stands in it until the end: no server begins on half a restore.
async fn elsewhere(
    asked: &Restore,
    data: &Path,
    mut whole: Whole<Source>,
    seal: Arc<dyn Seal>,
) -> Result<Restored, OfflineError> {
    let wrong = |why: &str| OfflineError::new(Class::Invalid, why);
    if asked.replace {
        return Err(wrong("a store in a database is not moved aside; name an empty database, and no --replace"));
    }
    replace::look(data, false)?;
    files::private_folder(data).map_err(refused)?;
    let store = asked.site.open(Purpose::Serve).await?;
    let storage = store.storage();
    let unavailable = |error: storage::StorageError| OfflineError::new(Class::Unavailable, error);
    check_finished(&*storage).await.map_err(|error| wrong(&format!("{error}; {}", error.hint())))?;
    if storage.head(SHARD).await.map_err(unavailable)?.0 > 0 {
        return Err(wrong("there is a store in the database; name an empty one"));
    }
    let mark = Op::Put(unfinished_mark(), Bytes::new());
    applied(storage.apply(Run::new(vec![mark], true)).await)?;
    let begun = build(Arc::clone(&storage), &mut whole, seal, None).await?;
    let login = leave_login(data, &begun)?;
    applied(storage.apply(Run::new(vec![Op::Delete(unfinished_mark())], true)).await)?;
    drop(store);
    Ok(told(&whole, begun, login))
}

fn applied(end: Commit) -> Result<(), OfflineError> {
    match end {
        Commit::Done => Ok(()),
        other => {
            Err(OfflineError::new(Class::Unavailable, format!("the database took no mark of a restore: {other:?}")))
        }
    }
}

/// What the store that stands there knows of the time after the backup; kept from servers as long as it is held.
async fn known(
    old: &Path,
    seal: &dyn Seal,
    whole: &Whole<Source>,
) -> Result<(Option<Known>, Option<String>, Option<Arc<dyn Storage>>), OfflineError> {
    let storage: Arc<dyn Storage> = match sqlite(old, Purpose::Look).await.map_err(OfflineError::from) {
        Ok(storage) => storage,
        Err(error) if error.class() == Class::Corrupt => return Ok((None, Some(error.to_string()), None)),
        Err(error) => return Err(error),
    };
    let ours = (whole.first(), whole.foot());
    match Known::read(Arc::clone(&storage), SHARD, seal, ours, app::restore::KINDS).await {
        Ok(known) => Ok((Some(known), None, Some(storage))),
        // Another ledger is never taken for this one's earlier life.
        Err(refusal) if refusal.code == &ledger::code::BACKUP_FOREIGN => Err(refusal.into()),
        Err(refusal) => Ok((None, Some(refusal.to_string()), Some(storage))),
    }
}

async fn build_in_files(
    staging: &Path,
    whole: &mut Whole<Source>,
    seal: Arc<dyn Seal>,
    known: Option<&Known>,
) -> Result<app::restore::Begun, OfflineError> {
    let storage: Arc<dyn Storage> = Arc::new(scratch_store(staging)?);
    build(storage, whole, seal, known).await
}

/// Fills the new store and begins its life.
async fn build(
    storage: Arc<dyn Storage>,
    whole: &mut Whole<Source>,
    seal: Arc<dyn Seal>,
    known: Option<&Known>,
) -> Result<app::restore::Begun, OfflineError> {
    whole.restore(&*storage, &Quick).await?;
    let Opened { ledger, drivers, .. } = open_ledger(Arc::clone(&storage), seal).await?;
    let drivers: Vec<_> = drivers.into_iter().map(tokio::spawn).collect();
    let begun = begin(&ledger, whole, known).await;
    ledger.close();
    for driver in drivers {
        let _ = driver.await;
    }
    drop(ledger);
    // Closing a store waits for its threads.
    let _ = tokio::task::spawn_blocking(move || drop(storage)).await;
    Ok(begun?)
}

async fn begin(
    ledger: &ledger::Ledger,
    whole: &Whole<Source>,
    known: Option<&Known>,
) -> Result<app::restore::Begun, ledger::Refusal> {
    let (clock, entropy) = (SystemClock::new(), SystemEntropy::new());
    ledger.settle().await?;
    ledger.try_values(whole.foot(), &rules(), &Quick).await?;
    ledger.remove_orphans(&rules()).await?;
    let (head, foot) = (whole.head(), whole.foot());
    ledger.note_restored(head.id, foot.entries, known.map_or(0, |known| known.entries)).await?;
    ledger.let_segments_go().await?;
    let begun = app::restore::begin_again(ledger, &clock as &dyn Clock, &entropy, known).await?;
    ledger.settle().await?;
    Ok(begun)
}

pub(super) fn refused(error: FileError) -> OfflineError {
    OfflineError::new(error.class(), error)
}
