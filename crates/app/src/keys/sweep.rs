//! Carrying rotations out: what is due, one step and one commit at a time.

use super::progress::{Advance, INTENT, Request, Scope, Task, read};
use crate::app::App;
use crate::authenticate::damaged;
use crate::limits::SWEEP_KEYS_MAX;
use crate::walk::{Found, Frame, Order, Walk};
use crypto::WallMs;
use crypto::id::TenantId;
use ledger::{Actor, Command, Path, Prefix, Refusal, StoredIntent, Unit, ValueRef};
use secrets::command::{OpenedKey, Rewrap};
use secrets::{KEY_KIND, Secret};
use std::time::Duration;

/// Intents looked at in one go.
const DUE_MAX: usize = 64;

/// Does one step of each rotation that is due. Answers how many steps; 0 means that there is nothing to do now.
///
/// Called again and again by the server. Errors: the first step that failed; its intent stays and is tried again.
pub async fn run_due(app: &App) -> Result<usize, Refusal> {
    let one = app.rotating().lock().await;
    let due = app.parts().ledger.due(app.now(), DUE_MAX).await?;
    let mut steps = 0usize;
    for intent in due.into_iter().filter(|intent| intent.kind == INTENT) {
        step(app, &intent).await?;
        steps = steps.saturating_add(1);
    }
    drop(one);
    Ok(steps)
}

/// Asks for a rotation of every tenant key older than this that is not rotating now. Answers how many.
pub async fn schedule(app: &App, every: Duration) -> Result<usize, Refusal> {
    let ledger = &app.parts().ledger;
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    let mut asked = 0usize;
    for tenant in ledger.tenants_with_key_of(WallMs(app.now().0.saturating_sub(every))) {
        let rotating = read(ledger, tenant).await?.is_some_and(|rotation| rotation.finished.is_none());
        if !rotating {
            submit(app, tenant, vec![Box::new(Request { scope: Scope::Tenant })]).await?;
            asked = asked.saturating_add(1);
        }
    }
    Ok(asked)
}

/// Makes the new key of a rotation asked for just now, ahead of its due time. The caller holds the lock.
pub(super) async fn begin(app: &App, tenant: TenantId) -> Result<(), Refusal> {
    for intent in app.parts().ledger.open_intents(DUE_MAX).await? {
        let fresh = intent.kind == INTENT && intent.tenant == tenant;
        if fresh && matches!(Task::decode(&intent.body).map_err(damaged)?, Task::Make(_)) {
            step(app, &intent).await?;
        }
    }
    Ok(())
}

async fn step(app: &App, intent: &StoredIntent) -> Result<(), Refusal> {
    let (ledger, tenant) = (&app.parts().ledger, intent.tenant);
    let advance = |rewrapped, rest| Advance { done: intent.key, rewrapped, rest };
    match Task::decode(&intent.body).map_err(damaged)? {
        Task::Make(Scope::Tenant) => {
            ledger.rotate_tenant(tenant).await?;
            submit(app, tenant, vec![Box::new(advance(0, Some(Task::Sweep(vec![Frame::top()]))))]).await
        }
        Task::Make(Scope::Root) => {
            ledger.rotate_root().await?;
            submit(app, tenant, vec![Box::new(advance(0, None))]).await
        }
        Task::Sweep(frames) => {
            let (keys, rest) = gather(app, tenant, frames).await?;
            let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
            let rest = rest.map_or(Task::Retire, Task::Sweep);
            let mut commands: Vec<Box<dyn Command>> = Vec::new();
            if !keys.is_empty() {
                commands.push(Box::new(Rewrap { keys }));
            }
            commands.push(Box::new(advance(count, Some(rest))));
            submit(app, tenant, commands).await
        }
        Task::Retire => {
            // A key that came to be in use again in the meantime stays until the next rotation.
            ledger.retire_tenant_keys(tenant).await?;
            submit(app, tenant, vec![Box::new(advance(0, None))]).await
        }
    }
}

/// Opens the next data keys that are not under the newest tenant key, and says where to go on.
async fn gather(
    app: &App,
    tenant: TenantId,
    frames: Vec<Frame>,
) -> Result<(Vec<OpenedKey>, Option<Vec<Frame>>), Refusal> {
    let ledger = &app.parts().ledger;
    let everything = |_: &str| true;
    let mut walk = Walk::resume((ledger, tenant), &everything, Prefix::default(), Order::Store, true, frames);
    let mut keys = Vec::new();
    // One secret has at most a hundred versions, so that a step stays within what one commit takes.
    while keys.len() < SWEEP_KEYS_MAX - 100 {
        let Some(Found::Secret(path, body)) = walk.next().await? else { break };
        let Some(secret) = Secret::decode(&body).map_err(damaged)? else { continue };
        let path = Path::parse(&path)?;
        for version in &secret.versions {
            let Some(stored) = version.state.stored() else { continue };
            let at = ValueRef {
                key: stored.key,
                blob: stored.blob,
                kind: KEY_KIND,
                path: path.as_str(),
                version: version.number,
                blob_id: stored.blob_id,
            };
            if let Some(key) = rewrap(app, tenant, &path, &at).await? {
                keys.push(OpenedKey {
                    path: path.clone(),
                    version: version.number,
                    place: stored.key,
                    blob_id: stored.blob_id,
                    key,
                });
            }
        }
    }
    Ok((keys, walk.rest()))
}

type DataKey = std::sync::Arc<crypto::aead::Key<crypto::aead::DataKey>>;

/// The data key to be wrapped anew; `None` too when the secret lost it meanwhile.
async fn rewrap(app: &App, tenant: TenantId, path: &Path, at: &ValueRef<'_>) -> Result<Option<DataKey>, Refusal> {
    let ledger = &app.parts().ledger;
    match ledger.rewrap_value(tenant, at).await {
        Ok(key) => Ok(key),
        Err(refusal) => {
            let record = ledger.record(tenant, &secrets::secret_name(path)).await?;
            let now = record.map(|record| Secret::decode(&record)).transpose().map_err(damaged)?.flatten();
            let stored = now.as_ref().and_then(|secret| secret.version(at.version)?.state.stored());
            if stored.is_some_and(|stored| stored.key == at.key) { Err(refusal) } else { Ok(None) }
        }
    }
}

async fn submit(app: &App, tenant: TenantId, commands: Vec<Box<dyn Command>>) -> Result<(), Refusal> {
    let operation = app.operation(app.now())?;
    let unit = Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation };
    app.parts().ledger.submit(unit).await.map(drop)
}
