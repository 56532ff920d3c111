//! Keys: see them, rotate them by hand or by schedule, and the sweep that wraps data keys anew behind a rotation.
//!
//! A rotation is promised before it is tried: one commit says who asked and opens an intent; the intent makes the new
//! key, sweeps the tenant's secrets step by step with its cursor, and in the end destroys what nothing is wrapped
//! under. Each step is one commit, so a crash anywhere leaves an intent that goes on.

mod progress;
mod sweep;

pub use progress::{ADVANCED, FINISHED, KeyRules, Progress, REKEY_REQUESTED, REQUESTED};
pub use sweep::{run_due, schedule};

use crate::authenticate::damaged;
use crate::grant::{Authorized, bug};
use crate::reply::Changed;
use crypto::id::KeyId;
use crypto::{Seal, WallMs};
use ledger::code::KEY_BUSY;
use ledger::{KeyInfo, Purpose, Refusal};
use progress::{RekeyRequest, Request, Scope};
use std::sync::Arc;

/// A key as shown, never its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyShown {
    /// Its id.
    pub id: KeyId,
    /// What it is for: `root`, `tenant`, `log`, `state`, `name` or `checkpoint`.
    pub purpose: &'static str,
    /// Whether new things are sealed under it.
    pub current: bool,
    /// When it was made.
    pub created: WallMs,
    /// Seals made under it, counted in reserved blocks.
    pub seals: u64,
}

/// What a rotation did so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// The new key.
    pub key: KeyId,
    /// Whether data keys are still being wrapped anew behind it.
    pub sweeping: bool,
}

/// The caller's tenant's keys, and the root keys for the house's own tenant.
pub async fn list(grant: Authorized) -> Result<Vec<KeyShown>, Refusal> {
    let (own, home) = (grant.tenant(), grant.app.parts().home);
    let seen = |key: &KeyInfo| key.tenant == own || (own == home && purpose(key.purpose) == "root");
    Ok(grant.ledger().keys().iter().filter(|key| seen(key)).map(shown).collect())
}

/// How far the newest rotation of the caller's tenant is; `None` if there never was one.
pub async fn progress(grant: Authorized) -> Result<Option<Progress>, Refusal> {
    progress::read(grant.ledger(), grant.tenant()).await
}

/// Gives the caller's tenant a new key; data keys follow behind the answer. Errors: `key.busy` while a rotation of the
/// tenant goes on (nothing happened).
pub async fn rotate_tenant(grant: Authorized) -> Result<Changed<Rotated>, Refusal> {
    rotate(grant, Scope::Tenant).await
}

/// Gives the house a new root key and wraps every tenant's key under it before it answers. Errors: `key.busy`.
pub async fn rotate_root(grant: Authorized) -> Result<Changed<Rotated>, Refusal> {
    rotate(grant, Scope::Root).await
}

/// Puts the root key under another seal, in one commit; the old wrapping is destroyed. Gives the new seal's name.
///
/// The caller made the new seal's key durable beforehand and settles afterwards which of the two is kept: the one that
/// opens the root key. Errors: `seal.invalid`, `storage.unavailable`.
pub async fn rekey_seal(grant: Authorized, seal: Arc<dyn Seal>) -> Result<Changed<String>, Refusal> {
    let app = grant.app.clone();
    let one = app.rotating().lock().await;
    let done = grant.change(RekeyRequest { seal: seal.name() }).await?;
    let name = String::from_utf8(done.reply.expose().to_vec()).map_err(|_| bug("a seal's name that is no text"))?;
    if !done.replayed {
        app.parts().ledger.rekey_seal(seal).await?;
    }
    drop(one);
    Ok(Changed { what: name, position: done.position, replayed: done.replayed })
}

async fn rotate(grant: Authorized, scope: Scope) -> Result<Changed<Rotated>, Refusal> {
    let app = grant.app.clone();
    let one = app.rotating().lock().await;
    let done = grant.change(Request { scope }).await?;
    let (position, replayed) = (done.position, done.replayed);
    progress::Answer::decode(done.reply.expose()).map_err(damaged)?;
    if !replayed {
        sweep::begin(&app, grant.tenant()).await?;
    }
    drop(one);
    let (tenant, wanted) = match scope {
        Scope::Tenant => (grant.tenant(), "tenant"),
        Scope::Root => (crypto::id::TenantId::SYSTEM, "root"),
    };
    let keys = app.parts().ledger.keys();
    let newest = keys.iter().filter(|key| key.tenant == tenant && purpose(key.purpose) == wanted && key.current);
    let key = newest.map(|key| key.id).next_back();
    let key = key.ok_or_else(|| Refusal::new(&KEY_BUSY, "the new key is not in use yet"))?;
    Ok(Changed { what: Rotated { key, sweeping: scope == Scope::Tenant }, position, replayed })
}

fn shown(key: &KeyInfo) -> KeyShown {
    let KeyInfo { purpose: what, id, created, current, seals, .. } = *key;
    KeyShown { id, purpose: purpose(what), current, created, seals }
}

/// The word for what a key is for.
pub(crate) fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Root => "root",
        Purpose::Tenant => "tenant",
        Purpose::Log => "log",
        Purpose::State => "state",
        Purpose::Name => "name",
        Purpose::Checkpoint => "checkpoint",
    }
}
