//! Backups of a running server: one at a time, on demand and by schedule, tried, kept and removed.

use super::folder::{Folder, Found, Kind};
use super::pace::{Gentle, apart};
use super::trial;
use crate::config::Keep;
use app::{Authorized, Refusal};
use crypto::id::BackupId;
use crypto::seam::{Clock, Entropy, Seal, WallMs};
use futures::future::BoxFuture;
use ledger::Ledger;
use ledger::backup::{contents, read_head};
use ledger::code::{BACKUP_BUSY, BACKUP_ELSEWHERE, BACKUP_FAILED, BACKUP_NOT_FOUND, ENTROPY_FAILED};
use parking_lot::Mutex;
use rest::{Backups, Gauge, ShownBackup, Stage};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// What the configuration says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Time between two scheduled backups.
    pub(crate) every: Keep,
    /// How many are kept.
    pub(crate) keep: u64,
    /// For how long one is kept, besides the newest.
    pub(crate) keep_for: Keep,
    /// Whether each one is tried by a restore.
    pub(crate) verify: bool,
}

/// Keeps the backups of a server.
#[derive(Clone, Debug)]
pub(crate) struct Keeper(Arc<Inner>);

struct Inner {
    folder: Folder,
    settings: Settings,
    ledger: Ledger,
    seal: Arc<dyn Seal>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Job>,
    /// The last one that ended.
    last: Option<Job>,
    thread: Option<JoinHandle<()>>,
    /// Held from the first backup on.
    lock: Option<File>,
    /// When a scheduled one that failed is tried again.
    again: Option<WallMs>,
    failures: u64,
}

/// One backup from its beginning to its end.
#[derive(Clone, Debug)]
struct Job {
    id: BackupId,
    /// Who asked, so that a repeated request is no second backup.
    key: Option<[u8; 16]>,
    stage: Stage,
    /// Why it failed.
    failed: Option<String>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("folder", &self.folder).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Time between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A scheduled backup that failed is tried again after this long, or sooner where they are made more often.
const AGAIN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Bytes of a backup in one answer.
const PART_BYTES: u64 = 4 << 20;

/// Told where the server says how it is.
pub(crate) const FAILED: &str = "the last backup failed or could not be restored on trial; the server's log says why";

impl Keeper {
    pub(crate) fn new(
        folder: std::path::PathBuf,
        settings: Settings,
        ledger: Ledger,
        seal: Arc<dyn Seal>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Keeper {
        let (stop, state) = (Arc::new(AtomicBool::new(false)), Mutex::default());
        Keeper(Arc::new(Inner { folder: Folder::new(folder), settings, ledger, seal, clock, entropy, stop, state }))
    }

    /// Whether the last attempt failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.state.lock().last.as_ref().is_some_and(|job| job.failed.is_some())
    }

    /// Looks at what is due until told to stop; a running backup is ended then.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        if self.0.folder.exists()
            && let Err(error) = self.hold()
        {
            tracing::warn!(%error, "what an interrupted backup left behind was not removed");
        }
        let begun = self.begun().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            }
            if self.is_due(begun)
                && let Err(refusal) = self.fresh().and_then(|id| self.start(id, None))
                && refusal.code != &BACKUP_BUSY
            {
                tracing::error!(code = refusal.code.name, "a scheduled backup could not begin");
            }
        }
        self.0.stop.store(true, Ordering::Release);
        let thread = self.0.state.lock().thread.take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    /// When the ledger began: the first backup is due as long after it as others are after each other.
    async fn begun(&self) -> WallMs {
        let first = self.0.ledger.entries(0, 1).await.ok().and_then(|mut entries| entries.pop());
        let fact = first.and_then(|entry| self.0.ledger.open_entry(&entry).ok());
        fact.map_or_else(|| self.0.clock.wall(), |(_, fact)| fact.time)
    }

    fn is_due(&self, begun: WallMs) -> bool {
        let Keep::For(every) = self.0.settings.every else { return false };
        if !self.0.ledger.holds_pen() {
            return false;
        }
        let now = self.0.clock.wall();
        let state = self.0.state.lock();
        if state.running.is_some() || state.again.is_some_and(|again| now < again) {
            return false;
        }
        let newest = self.0.folder.list().ok().and_then(|found| found.last().map(|found| time_of(found.id)));
        now >= newest.unwrap_or(begun).saturating_add(every)
    }

    fn fresh(&self) -> Result<BackupId, Refusal> {
        BackupId::generate(self.0.clock.wall(), &*self.0.entropy)
            .map_err(|_| Refusal::new(&ENTROPY_FAILED, "no randomness could be had; nothing was made"))
    }

    /// Begins a backup that somebody asked for; the same request again shows the same backup.
    async fn asked(&self, grant: Authorized) -> Result<ShownBackup, Refusal> {
        let key = grant.repeats();
        if let Some(running) = self.0.state.lock().running.clone() {
            return if key.is_some() && running.key == key { Ok(running.shown()) } else { Err(busy(running.id)) };
        }
        if !self.folds_soon().await {
            return Err(Refusal::new(&BACKUP_ELSEWHERE, "another node folds, and makes the backups"));
        }
        let (id, replayed) = app::backup::request(grant, self.fresh()?).await?;
        if replayed {
            return self.all()?.into_iter().find(|shown| shown.id == id).ok_or_else(missing);
        }
        self.start(id, key)
    }

    /// Whether this server folds, or is about to: one that has just started takes over in a moment where nobody else folds.
    async fn folds_soon(&self) -> bool {
        for _ in 0..20 {
            if self.0.ledger.holds_pen() {
                return true;
            }
            if self.0.ledger.nodes().iter().any(|node| node.pen && !node.own) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// Begins a backup on a thread of its own. Errors: `backup.busy` while one is made.
    fn start(&self, id: BackupId, key: Option<[u8; 16]>) -> Result<ShownBackup, Refusal> {
        let mut state = self.0.state.lock();
        if let Some(running) = &state.running {
            return Err(busy(running.id));
        }
        let keeper = self.clone();
        let thread = apart(move || async move { keeper.make(id).await });
        let thread = thread.map_err(|error| {
            tracing::error!(%error, "no thread for a backup");
            Refusal::new(&BACKUP_FAILED, "the system gives no thread for it")
        })?;
        let job = Job { id, key, stage: Stage::Running, failed: None };
        let shown = job.shown();
        (state.running, state.thread) = (Some(job), Some(thread));
        Ok(shown)
    }

    /// Makes one, tries it, removes old ones; says how it ended.
    async fn make(&self, id: BackupId) {
        let pace = Gentle::new(Arc::clone(&self.0.clock), Arc::clone(&self.0.stop));
        let made = self.made(id, &pace).await;
        let mut state = self.0.state.lock();
        let Some(mut job) = state.running.take() else { return };
        match made {
            Ok(()) => state.again = None,
            Err(refusal) => {
                tracing::error!(%id, code = refusal.code.name, why = refusal.detail, "a backup failed");
                job.failed = Some(refusal.to_string());
                job.stage = Stage::Failed;
                let wait = match self.0.settings.every {
                    Keep::For(every) => AGAIN_AFTER.min(every / 4),
                    Keep::Always => AGAIN_AFTER,
                };
                state.again = Some(self.0.clock.wall().saturating_add(wait));
                state.failures = state.failures.saturating_add(1);
            }
        }
        state.last = Some(job);
    }

    async fn made(&self, id: BackupId, pace: &Gentle) -> Result<(), Refusal> {
        let Inner { folder, settings, ledger, seal, .. } = &*self.0;
        let failed = |error: crate::files::FileError| trial::failed(&error);
        self.hold().map_err(failed)?;
        let mut file = folder.begin(id).map_err(failed)?;
        let written = ledger.back_up(id, &mut file, pace).await;
        let written = written.and_then(|(_, foot)| {
            let synced = file.finish().map_err(|error| {
                tracing::error!(%error, "a backup could not be brought to the disk");
                Refusal::new(&BACKUP_FAILED, "the backup could not be brought to the disk")
            });
            synced.map(|()| foot)
        });
        let foot = match written {
            Ok(foot) => foot,
            Err(refusal) => {
                let _ = folder.remove(id, Kind::Part);
                return Err(refusal);
            }
        };
        folder.becomes(id, Kind::Part, Kind::Whole).map_err(failed)?;
        tracing::info!(%id, entries = foot.entries, values = foot.blobs, "a backup is made");
        if settings.verify {
            self.stage(Stage::Verifying);
            let values = trial::run(&folder.file(id, Kind::Whole), &folder.trial(), Arc::clone(seal), pace).await?;
            folder.becomes(id, Kind::Whole, Kind::Verified).map_err(failed)?;
            tracing::info!(%id, values, "the backup was restored on trial");
        }
        self.stage(if settings.verify { Stage::Verified } else { Stage::Whole });
        self.retire(id).map_err(failed)
    }

    /// Takes the folder, once, and removes what a process that died left in it.
    fn hold(&self) -> Result<(), crate::files::FileError> {
        if self.0.state.lock().lock.is_some() {
            return Ok(());
        }
        let lock = self.0.folder.hold()?;
        self.0.folder.sweep()?;
        self.0.state.lock().lock = Some(lock);
        Ok(())
    }

    /// Whether it is a backup of this ledger, as far as it says itself: others in the folder are not ours to remove.
    fn is_ours(&self, found: &Found) -> bool {
        let head = self.0.folder.open(found).ok().and_then(|mut file| read_head(&mut file).ok());
        let origin = self.0.ledger.origin().ok().map(|origin| origin.as_str());
        head.is_some_and(|(head, _)| Some(head.origin.as_str()) == origin)
    }

    fn stage(&self, stage: Stage) {
        if let Some(job) = &mut self.0.state.lock().running {
            job.stage = stage;
        }
    }

    /// Removes what need not be kept besides the newest, which is whole and, where it is to be tried, was.
    fn retire(&self, newest: BackupId) -> Result<(), crate::files::FileError> {
        let now = self.0.clock.wall();
        let mut found = self.0.folder.list()?;
        found.retain(|found| self.is_ours(found));
        found.reverse();
        let keep = usize::try_from(self.0.settings.keep).unwrap_or(usize::MAX);
        let older = |found: &Found| match self.0.settings.keep_for {
            Keep::For(span) => now > time_of(found.id).saturating_add(span),
            Keep::Always => false,
        };
        for (at, old) in found.iter().enumerate().filter(|(_, found)| found.id != newest) {
            if at >= keep || older(old) {
                self.0.folder.remove(old.id, old.kind)?;
                tracing::info!(id = %old.id, "an old backup was removed");
            }
        }
        Ok(())
    }

    fn all(&self) -> Result<Vec<ShownBackup>, Refusal> {
        let found = self.0.folder.list().map_err(|error| trial::failed(&error))?;
        let mut all: Vec<ShownBackup> = found.iter().map(|found| self.shown(found)).collect();
        let state = self.0.state.lock();
        let jobs = [state.last.as_ref(), state.running.as_ref()];
        for job in jobs.into_iter().flatten() {
            match all.iter_mut().find(|shown| shown.id == job.id) {
                Some(shown) => (shown.stage, shown.failed) = (job.stage, job.failed.clone()),
                // One that was removed since does not come back.
                None if job.failed.is_some() || job.stage == Stage::Running => all.push(job.shown()),
                None => {}
            }
        }
        Ok(all)
    }

    /// What a file says of itself.
    fn shown(&self, found: &Found) -> ShownBackup {
        let stage = if found.kind == Kind::Verified { Stage::Verified } else { Stage::Whole };
        let mut shown = ShownBackup { bytes: found.bytes, ..ShownBackup::new(found.id, stage) };
        match self.0.folder.open(found).ok().map(|mut file| contents(&mut file)) {
            Some(Ok((_, foot))) => {
                (shown.entries, shown.values, shown.ended) = (Some(foot.entries), Some(foot.blobs), Some(foot.ended));
            }
            Some(Err(refusal)) => shown.failed = Some(refusal.to_string()),
            None => shown.failed = Some("it cannot be read".to_owned()),
        }
        shown
    }

    fn find(&self, id: BackupId) -> Result<Found, Refusal> {
        let found = self.0.folder.list().map_err(|error| trial::failed(&error))?;
        found.into_iter().find(|found| found.id == id).ok_or_else(missing)
    }

    async fn removed(&self, grant: Authorized, id: BackupId) -> Result<(), Refusal> {
        if self.0.state.lock().running.as_ref().is_some_and(|job| job.id == id) {
            return Err(busy(id));
        }
        let found = self.find(id)?;
        app::backup::removing(grant, id).await?;
        self.0.folder.remove(found.id, found.kind).map_err(|error| trial::failed(&error))
    }

    pub(crate) fn gauges(&self) -> Vec<Gauge> {
        let found = self.0.folder.list().unwrap_or_default();
        let newest = |verified: bool| {
            let fits = |found: &&Found| !verified || found.kind == Kind::Verified;
            found.iter().rfind(fits).map_or(0, |found| time_of(found.id).0 / 1_000)
        };
        let state = self.0.state.lock();
        let failing = state.last.as_ref().is_some_and(|job| job.failed.is_some());
        let now = |name, about, value| Gauge { name, about, counter: false, label: None, value };
        vec![
            now(
                "aumbry_backup_running",
                "Whether a backup is being made or tried.",
                u64::from(state.running.is_some()),
            ),
            now("aumbry_backup_failing", "Whether the last backup failed.", u64::from(failing)),
            now("aumbry_backup_newest_seconds", "When the newest backup was begun; 0 without one.", newest(false)),
            now("aumbry_backup_verified_seconds", "When the newest one that was tried was begun.", newest(true)),
            Gauge {
                name: "aumbry_backup_failures_total",
                about: "Backups that failed.",
                counter: true,
                label: None,
                value: state.failures,
            },
        ]
    }
}

impl Backups for Keeper {
    fn list(&self, _grant: Authorized) -> BoxFuture<'static, Result<Vec<ShownBackup>, Refusal>> {
        let keeper = self.clone();
        Box::pin(async move { keeper.all() })
    }

    fn begin(&self, grant: Authorized) -> BoxFuture<'static, Result<ShownBackup, Refusal>> {
        let keeper = self.clone();
        Box::pin(async move { keeper.asked(grant).await })
    }

    fn part(&self, _grant: Authorized, id: BackupId, from: u64) -> BoxFuture<'static, Result<Vec<u8>, Refusal>> {
        let keeper = self.clone();
        Box::pin(async move {
            let found = keeper.find(id)?;
            keeper.0.folder.bytes(&found, from, PART_BYTES).map_err(|error| trial::failed(&error))
        })
    }

    fn remove(&self, grant: Authorized, id: BackupId) -> BoxFuture<'static, Result<(), Refusal>> {
        let keeper = self.clone();
        Box::pin(async move { keeper.removed(grant, id).await })
    }
}

impl Job {
    fn shown(&self) -> ShownBackup {
        ShownBackup { failed: self.failed.clone(), ..ShownBackup::new(self.id, self.stage) }
    }
}

/// When a backup was begun: the first 48 bits of its id.
fn time_of(id: BackupId) -> WallMs {
    WallMs(id.as_bytes().iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte)))
}

fn busy(running: BackupId) -> Refusal {
    Refusal::new(&BACKUP_BUSY, format!("{running} is being made"))
}

fn missing() -> Refusal {
    Refusal::new(&BACKUP_NOT_FOUND, "there is no such backup")
}
