//! Emptying tenants that are being deleted, one step and one commit at a time.
//!
//! The promise stands as an intent of the house; each step destroys some of what is there, so a crash anywhere goes on
//! where it was. In the end the tenant's name is free again. Its sealed entries stay in the ledger, which proves what was;
//! no value can be opened any more.

use super::submit;
use crate::app::App;
use crate::authenticate::damaged;
use crate::walk::{Found, Frame, Order, Walk};
use access::erase::{ERASE_STEP, ERASED_PLACES, Erase};
use crypto::WallMs;
use crypto::id::TenantId;
use ledger::code::BUG;
use ledger::{Command, Damaged, EndTenant, NewIntent, Path, Prefix, RecordName, Refusal, StoredIntent, Tenant};
use secrets::Secret;
use secrets::command::{Purge, Scope};
use serde::{Deserialize, Serialize};

/// Kind of the intent.
const INTENT: &str = "tenant.delete";
/// Intents looked at in one go.
const DUE_MAX: usize = 64;
/// Secrets destroyed by one commit: each touches itself and the folders above it.
const PURGE_STEP: usize = 20;

/// What is being deleted.
#[derive(Serialize, Deserialize)]
enum Task {
    V1 { tenant: TenantId, name: String },
}

/// The promise to empty a tenant.
pub(crate) fn begun(tenant: &Tenant, now: WallMs) -> Result<NewIntent, Refusal> {
    let task = Task::V1 { tenant: tenant.id, name: tenant.name.clone() };
    let body = postcard::to_allocvec(&task).map_err(|_| Refusal::new(&BUG, "a stored form does not encode"))?;
    Ok(NewIntent { due: now, kind: INTENT, body })
}

/// Does one step of each deletion that is due. Answers how many steps.
///
/// Errors: the first step that failed; its intent stays and is tried again.
pub(super) async fn run_due(app: &App) -> Result<usize, Refusal> {
    let due = app.parts().ledger.due(app.now(), DUE_MAX).await?;
    let mut steps = 0usize;
    for intent in due.into_iter().filter(|intent| intent.kind == INTENT) {
        step(app, &intent).await?;
        steps = steps.saturating_add(1);
    }
    Ok(steps)
}

async fn step(app: &App, intent: &StoredIntent) -> Result<(), Refusal> {
    let Ok((Task::V1 { tenant, name }, [])) = postcard::take_from_bytes(&intent.body) else {
        return Err(damaged(Damaged("intent of a tenant's deletion".into())));
    };
    let mut commands = secrets(app, tenant).await?;
    if commands.is_empty() {
        commands = others(app, tenant).await?;
    }
    if commands.is_empty() {
        app.parts().decider.forget(tenant);
        return submit(app, TenantId::SYSTEM, vec![Box::new(EndTenant::new(&name, intent.key))]).await;
    }
    submit(app, tenant, commands).await
}

/// The next secrets to be destroyed; what was destroyed before is no longer met.
async fn secrets(app: &App, tenant: TenantId) -> Result<Vec<Box<dyn Command>>, Refusal> {
    let everything = |_: &str| true;
    let ledger = &app.parts().ledger;
    let mut walk =
        Walk::resume((ledger, tenant), &everything, Prefix::default(), Order::Store, true, vec![Frame::top()]);
    let mut commands: Vec<Box<dyn Command>> = Vec::new();
    let mut names = Vec::new();
    while names.len() < PURGE_STEP {
        let Some(Found::Secret(path, body)) = walk.next().await? else { break };
        let path = Path::parse(&path)?;
        names.push(secrets::secret_name(&path));
        if Secret::decode(&body).map_err(damaged)?.is_some() {
            commands.push(Box::new(Purge { path, scope: Scope::All }));
        }
    }
    if !names.is_empty() {
        // What a purge keeps, so that numbers are not used again, goes too.
        commands.push(Box::new(Erase::new(names)));
    }
    Ok(commands)
}

/// The next principals, policies and tokens to be taken out.
async fn others(app: &App, tenant: TenantId) -> Result<Vec<Box<dyn Command>>, Refusal> {
    for (kind, folder) in ERASED_PLACES {
        let above: Vec<Box<str>> = folder.iter().map(|name| (*name).into()).collect();
        let found = app.parts().ledger.children(tenant, kind, &above, None, ERASE_STEP).await?;
        if !found.is_empty() {
            let names = found
                .iter()
                .map(|child| RecordName { kind, path: above.iter().cloned().chain([child.name.clone()]).collect() });
            return Ok(vec![Box::new(Erase::new(names.collect()))]);
        }
    }
    Ok(Vec::new())
}
