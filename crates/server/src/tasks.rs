//! Waiting and background work on tokio: the seams of the ledger and of use cases, and what runs beside requests.

use app::{App, Tasks};
use ledger::Delay;
use ledger::access_log::AccessLog;
use std::time::Duration;
use storage::BoxFuture;
use tokio::sync::watch;

/// The runtime's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioDelay;

impl Delay for TokioDelay {
    fn wait(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

/// The runtime's tasks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTasks;

impl Tasks for TokioTasks {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        // Without a runtime the server has ended; what was committed is recorded at the next start.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(work);
        }
    }
}

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);
/// Time between two looks at the age of keys.
const SCHEDULE_EVERY: Duration = Duration::from_secs(60);

/// Time between two notes of which secrets were read.
const USES_EVERY: Duration = Duration::from_secs(60);

/// Keeps the access log: flushes, closes and anchors segments each second until told to stop.
pub(crate) async fn keep_access_log(log: AccessLog, ledger: Option<ledger::Ledger>, mut stop: watch::Receiver<bool>) {
    while wait(TICK, &mut stop).await {
        if let Err(refusal) = log.tick(ledger.as_ref().map(|ledger| ledger as _)).await {
            tracing::warn!(code = refusal.code.name, "a segment of the access log has no entry yet");
        }
    }
}

/// Says in the log that the store's disk is full, and that there is room again, until told to stop.
pub(crate) async fn watch_room(ledger: ledger::Ledger, log: AccessLog, mut stop: watch::Receiver<bool>) {
    let mut was_full = false;
    while wait(TICK, &mut stop).await {
        let full = ledger.is_full() || log.is_tapped();
        match (was_full, full) {
            (false, true) => tracing::error!("{}", crate::surroundings::FULL),
            (true, false) => tracing::info!("the store's disk has room again: changes are taken"),
            _ => {}
        }
        was_full = full;
    }
}

/// Tells when the store breaks, until told to stop.
pub(crate) async fn watch_store(ledger: ledger::Ledger, broken: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = ledger.broken() => { broken.send_replace(true); }
        _ = async { drop(stop.wait_for(|stop| *stop).await) } => {}
    }
}

/// Carries rotations out and asks for those that are due by age, until told to stop.
pub(crate) async fn keep_keys(app: App, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut since = SCHEDULE_EVERY;
    let mut pause = TICK;
    while wait(pause, &mut stop).await {
        if !app.holds_pen() {
            continue;
        }
        since = since.saturating_add(pause);
        if since >= SCHEDULE_EVERY {
            since = Duration::ZERO;
            tell(app::keys::schedule(&app, every).await);
        }
        // A sweep in progress goes on at once: each of its steps is one commit.
        pause = if tell(app::keys::run_due(&app).await) > 0 { Duration::ZERO } else { TICK };
    }
}

/// Time between two looks for tokens whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Takes tokens out whose time is over, until told to stop.
pub(crate) async fn sweep_tokens(app: App, mut stop: watch::Receiver<bool>) {
    while wait(SWEEP_EVERY, &mut stop).await {
        if !app.holds_pen() {
            continue;
        }
        match app::session::sweep(&app).await {
            Ok(0) => {}
            Ok(tokens) => tracing::info!(tokens, "tokens whose time was over were taken out"),
            Err(refusal) => tracing::warn!(code = refusal.code.name, "old tokens were not taken out; tried again"),
        }
    }
}

/// Makes tenants that documents want and empties those that are being deleted, until told to stop.
pub(crate) async fn empty_tenants(app: App, mut stop: watch::Receiver<bool>) {
    let mut pause = TICK;
    while wait(pause, &mut stop).await {
        if !app.holds_pen() {
            pause = TICK;
            continue;
        }
        pause = match app::tenant::run_due(&app).await {
            Ok(0) => TICK,
            Ok(_) => Duration::ZERO,
            Err(refusal) => {
                tracing::warn!(
                    code = refusal.code.name,
                    "what was promised about a tenant did not go on; it is tried again"
                );
                TICK
            }
        };
    }
}

/// Gives notice of secrets that expire, until told to stop.
pub(crate) async fn give_notices(app: App, mut stop: watch::Receiver<bool>) {
    let mut pause = TICK;
    while wait(pause, &mut stop).await {
        if !app.holds_pen() {
            pause = TICK;
            continue;
        }
        pause = match app::secret::run_due(&app).await {
            Ok(0) => TICK,
            Ok(_) => Duration::ZERO,
            Err(refusal) => {
                tracing::warn!(code = refusal.code.name, "a notice of an expiry was not given; it is tried again");
                TICK
            }
        };
    }
}

/// Keeps each minute, and at the end, when which secret was last read.
pub(crate) async fn keep_uses(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        let goes_on = wait(USES_EVERY, &mut stop).await;
        if let Err(refusal) = app::secret::keep_uses(&app).await {
            tracing::warn!(code = refusal.code.name, "when secrets were last read was not kept");
        }
        if !goes_on {
            return;
        }
    }
}

/// Makes rows again that a crash took, once.
///
/// Not where nodes share a store: an entry does not say which of them has its row.
pub(crate) async fn remake_rows(app: App, end: u64, shared: bool) {
    if shared {
        return;
    }
    match app::recovery::remake_rows(&app, end).await {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "rows of the access log were made again from their entries"),
        Err(refusal) => tracing::error!(code = refusal.code.name, "rows of the access log could not be made again"),
    }
}

fn tell(done: Result<usize, ledger::Refusal>) -> usize {
    done.unwrap_or_else(|refusal| {
        tracing::warn!(code = refusal.code.name, "a key rotation did not go on; it is tried again");
        0
    })
}

/// Waits; `false` when told to stop.
async fn wait(span: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(span) => true,
        _ = async { drop(stop.wait_for(|stop| *stop).await) } => false,
    }
}
