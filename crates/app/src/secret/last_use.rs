//! When a secret was last read and by whom: noted in memory, kept among volatile things once a minute.

use crate::app::App;
use crate::limits::USES_NOTED_MAX;
use crypto::id::{EntityId, TenantId};
use crypto::{WallMs, sha256};
use futures::{StreamExt, TryStreamExt};
use ledger::{Actor, Command, Context, Halt, Outcome, Path, RecordName, Refusal, Unit, View, VolatilePut};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// How long it is known.
const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// Notes in one unit, all of one tenant, and units submitted at once.
const STEP: usize = 1_000;
const TOGETHER: usize = 64;

/// The last read of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastUse {
    /// When.
    pub at: WallMs,
    /// By whom.
    pub by: EntityId,
}

#[derive(Serialize, Deserialize)]
enum Stored {
    V1 { at_ms: u64, by: EntityId },
}

/// Reads since the last time they were kept. It only informs: past its bound, and in a crash, notes are lost.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    of: HashMap<TenantId, HashMap<Path, LastUse>>,
    // INVARIANT: how many there are in `of`; each read looks at it, and tenants are too many to be summed up.
    count: usize,
}

impl Uses {
    /// Notes a read.
    pub(crate) fn note(&self, tenant: TenantId, path: &Path, last: LastUse) {
        let mut noted = self.0.lock();
        let noted = &mut *noted;
        match noted.of.get_mut(&tenant).and_then(|of| of.get_mut(path)) {
            Some(known) => *known = last,
            None if noted.count < USES_NOTED_MAX => {
                noted.of.entry(tenant).or_default().insert(path.clone(), last);
                noted.count = noted.count.saturating_add(1);
            }
            None => {}
        }
    }

    fn get(&self, tenant: TenantId, path: &Path) -> Option<LastUse> {
        self.0.lock().of.get(&tenant)?.get(path).copied()
    }

    fn take(&self) -> HashMap<TenantId, HashMap<Path, LastUse>> {
        std::mem::take(&mut *self.0.lock()).of
    }
}

/// When a secret was last read; `None` when it was not, or not as long as it is known.
pub(super) async fn last_use(app: &App, tenant: TenantId, path: &Path) -> Result<Option<LastUse>, Refusal> {
    if let Some(noted) = app.uses().get(tenant, path) {
        return Ok(Some(noted));
    }
    let stored = app.parts().ledger.volatile(tenant, key(path)).await?;
    let stored = stored.and_then(|stored| postcard::from_bytes(&stored).ok());
    Ok(stored.map(|Stored::V1 { at_ms, by }| LastUse { at: WallMs(at_ms), by }))
}

/// Keeps what was noted since the last time; answers how many. What cannot be kept is lost: it only informs.
///
/// Called by the server once a minute and at its end. Errors: a commit that failed.
pub async fn keep_uses(app: &App) -> Result<usize, Refusal> {
    let mut units = Vec::new();
    for (tenant, uses) in app.uses().take() {
        let expires = app.now().saturating_add(KEPT);
        let mut puts = Vec::with_capacity(uses.len());
        for (path, last) in uses {
            let body = postcard::to_allocvec(&Stored::V1 { at_ms: last.at.0, by: last.by }).unwrap_or_default();
            puts.push(VolatilePut { key: key(&path), body, expires });
        }
        units.extend(puts.chunks(STEP).map(|step| (tenant, step.to_vec())));
    }
    // There may be as many as tenants: together they share commits.
    let keeping = futures::stream::iter(units).map(|(tenant, puts)| keep(app, tenant, puts)).buffer_unordered(TOGETHER);
    keeping.try_fold(0usize, async |kept, more| Ok(kept.saturating_add(more))).await
}

async fn keep(app: &App, tenant: TenantId, puts: Vec<VolatilePut>) -> Result<usize, Refusal> {
    let count = puts.len();
    let unit = Unit {
        tenant,
        actor: Actor::SYSTEM,
        commands: vec![Box::new(Keep(puts))],
        idempotency: None,
        operation: app.operation(app.now())?,
    };
    app.parts().ledger.submit(unit).await.map(|_| count)
}

fn key(path: &Path) -> [u8; 16] {
    let digest = sha256(&[b"last use ".as_slice(), path.as_str().as_bytes()].concat());
    digest.first_chunk().copied().unwrap_or_default()
}

/// Puts notes among the volatile things; no entry comes of it.
#[derive(Debug)]
struct Keep(Vec<VolatilePut>);

impl Command for Keep {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::new(Vec::new(), Vec::new());
        outcome.volatile = self.0.clone();
        Ok(outcome)
    }
}
