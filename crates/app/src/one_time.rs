//! What the bearer of a one-time token may do where nobody is logged in.

use crate::act::Act;
use crate::app::{App, Ending, Stub};
use crate::arrival::Arrival;
use crate::grant::{Done, Trail};
use crate::reply::{Changed, Reply};
use crypto::id::{EntityId, TenantId};
use futures::FutureExt;
use ledger::{Actor, Command, Ledger, Refusal, Unit};
use parking_lot::Mutex;
use std::sync::Arc;

/// A token that was presented.
pub(crate) struct OneTime {
    pub(crate) act: Act,
    /// Its digest; none for what is no such token.
    pub(crate) digest: Option<[u8; 32]>,
    /// The one answer to whatever is not good.
    pub(crate) refused: fn() -> Refusal,
}

/// What the finishing of a use knows.
pub(crate) struct Used {
    pub(crate) ledger: Ledger,
    pub(crate) tenant: TenantId,
    pub(crate) done: Done,
    pub(crate) trail: Arc<Mutex<Trail>>,
}

/// Commits what `command` makes of the token's digest and answers what `finish` makes of that.
///
/// The arrival's bearer token is not looked at; why something is not good is not told. Errors: those of `command`,
/// `idempotency.required`.
pub(crate) async fn spend<T, F>(
    app: &App,
    arrival: Arrival,
    token: OneTime,
    command: impl FnOnce([u8; 32]) -> Result<Box<dyn Command>, Refusal>,
    finish: impl FnOnce(Used) -> F + Send + 'static,
) -> Reply<Changed<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send,
{
    let OneTime { act, digest, refused } = token;
    let now = app.now();
    let stub = Stub::new(&arrival, &act);
    let tenant = match app.tenants().resolve(app, arrival.tenant.as_deref()).await {
        Ok(Some(tenant)) => tenant,
        Ok(None) => return app.refuse(stub, refused()).await,
        Err(refusal) => return app.refuse(stub, refusal).await,
    };
    let stub = stub.of(tenant);
    let admitted = app.tenants().admit(app, tenant).await.is_ok();
    // Nobody is known yet, and nobody is told why.
    let Some(digest) = digest.filter(|_| admitted) else { return app.refuse(stub, refused()).await };
    // The key is bound to the token itself.
    let mut bound = [0; 16];
    bound.copy_from_slice(digest.split_at(16).0);
    let prepared = || {
        let idempotency = arrival.idempotency(&act, tenant, EntityId::from_bytes(bound), None)?;
        Ok((idempotency, command(digest)?, app.operation(now)?))
    };
    let (idempotency, command, operation) = match prepared() {
        Ok(prepared) => prepared,
        Err(refusal) => return app.refuse(stub, refusal).await,
    };
    let unit = Unit { tenant, actor: Actor::SYSTEM, commands: vec![command], idempotency, operation };
    let trail = Arc::<Mutex<Trail>>::default();
    let (ledger, left) = (app.parts().ledger.clone(), Arc::clone(&trail));
    let work = async move {
        let receipt = ledger.submit(unit).await?;
        left.lock().position = receipt.position;
        let done = Done::of(receipt)?;
        let (position, replayed) = (done.position, done.replayed);
        let what = finish(Used { ledger, tenant, done, trail: left }).await?;
        Ok(Changed { what, position, replayed })
    };
    app.carry_out(work.boxed(), Ending { stub, trail, operation }).await
}
