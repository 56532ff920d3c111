//! Tenants as documents say they shall be.
//!
//! A tenant is made by a commit of its own, and changed in a tenant that is not the one whose documents are applied. So
//! the commit that applies the documents holds a promise, an intent of the house, and what it says is done right after.
//! Whatever cuts that off, the server goes on with it; each step may be repeated.

use super::{Change, submit};
use crate::app::App;
use crate::authenticate::damaged;
use crypto::id::TenantId;
use ledger::code::{BUG, KEY_BUSY};
use ledger::{
    ChangeTenant, Command, Context, Damaged, Halt, IntentKey, NewIntent, Outcome, RecordName, Refusal, StoredIntent,
    TenantLimits, TenantState, View,
};
use serde::{Deserialize, Serialize};

/// Kind of the intent.
const INTENT: &str = "tenant.apply";
/// Intents looked at in one go.
const DUE_MAX: usize = 64;

/// A tenant, and what of it is to be another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Wanted {
    name: String,
    /// Whether it is made where it is not there.
    create: bool,
    suspended: Option<bool>,
    limits: Option<TenantLimits>,
}

impl Wanted {
    pub(crate) fn new(name: &str, create: bool, change: Change) -> Wanted {
        Wanted { name: name.to_owned(), create, suspended: change.suspended, limits: change.limits }
    }

    fn command(&self) -> Option<Box<dyn Command>> {
        if self.suspended.is_none() && self.limits.is_none() {
            return None;
        }
        let state = self.suspended.map(super::state);
        Some(Box::new(ChangeTenant::new(&self.name, state, self.limits, Vec::new())))
    }
}

#[derive(Serialize, Deserialize)]
enum Task {
    V1 { tenants: Vec<Wanted> },
}

/// Promises that there will be such tenants.
#[derive(Debug)]
pub(crate) struct Promise(pub(crate) Vec<Wanted>);

impl Command for Promise {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    /// Reply: empty.
    fn decide(&self, _: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let task = Task::V1 { tenants: self.0.clone() };
        let body = postcard::to_allocvec(&task).map_err(|_| Refusal::new(&BUG, "a stored form does not encode"))?;
        let mut outcome = Outcome::new(Vec::new(), Vec::new());
        outcome.intents.push(NewIntent { due: cx.now, kind: INTENT, body });
        Ok(outcome)
    }
}

/// Closes a promise that was kept.
#[derive(Debug)]
struct Kept(IntentKey);

impl Command for Kept {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::new(Vec::new(), Vec::new());
        outcome.closed.push(self.0);
        Ok(outcome)
    }
}

/// Keeps every promise there is, the oldest first, so that the newest documents have the last word. Answers how many.
///
/// Errors: the first that failed; it stays, and those behind it wait.
pub(crate) async fn keep(app: &App) -> Result<usize, Refusal> {
    let _alone = app.tenants().promises().lock().await;
    let due = app.parts().ledger.due(app.now(), DUE_MAX).await?;
    let mut kept = 0usize;
    for intent in due.into_iter().filter(|intent| intent.kind == INTENT) {
        step(app, &intent).await?;
        kept = kept.saturating_add(1);
    }
    Ok(kept)
}

async fn step(app: &App, intent: &StoredIntent) -> Result<(), Refusal> {
    let Ok((Task::V1 { tenants }, [])) = postcard::take_from_bytes(&intent.body) else {
        return Err(damaged(Damaged("intent of tenants that are to be made".into())));
    };
    let ledger = &app.parts().ledger;
    let mut commands = Vec::new();
    for wanted in tenants {
        let there = match ledger.tenant_named(&wanted.name).await? {
            Some(tenant) => tenant.state != TenantState::Deleting,
            None if !wanted.create => false,
            None => match ledger.create_tenant(&wanted.name).await {
                // Somebody else was first.
                Err(refusal) if refusal.code == &KEY_BUSY => true,
                made => made.map(|_| true)?,
            },
        };
        // Who deleted it meanwhile has the last word.
        commands.extend(wanted.command().filter(|_| there));
    }
    if !commands.is_empty() {
        submit(app, TenantId::SYSTEM, commands).await?;
    }
    submit(app, intent.tenant, vec![Box::new(Kept(intent.key))]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_of_version_1_keeps_its_bytes() {
        let limits = TenantLimits { secrets: Some(5), request_rate: None };
        let change = Change { suspended: Some(true), limits: Some(limits) };
        let task =
            Task::V1 { tenants: vec![Wanted::new("a", false, change), Wanted::new("b", true, Change::default())] };
        let body = postcard::to_allocvec(&task).unwrap();
        assert_eq!(body, b"\x00\x02\x01a\x00\x01\x01\x01\x01\x05\x00\x01b\x01\x00\x00");
    }
}
