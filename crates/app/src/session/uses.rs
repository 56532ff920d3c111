//! Counting the uses of sessions whose uses are counted.
//!
//! Uses are set aside in the ledger in blocks and taken from memory: a crash loses what was set aside and never grants
//! a use twice.

use crate::app::App;
use crate::authenticate::required;
use crate::limits::SESSIONS_KNOWN_MAX;
use access::SessionFacts;
use access::session::{ReserveUses, Reserved};
use crypto::id::TenantId;
use ledger::code::SESSION_NOT_FOUND;
use ledger::{Actor, Refusal, Unit};
use quick_cache::sync::Cache;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Uses set aside for this process, by session.
#[derive(Debug)]
pub(crate) struct Uses {
    left: Cache<(TenantId, [u8; 32]), Arc<Mutex<u32>>>,
}

impl Uses {
    pub(crate) fn new() -> Uses {
        Uses { left: Cache::new(SESSIONS_KNOWN_MAX) }
    }

    /// Takes one use. Errors: `auth.required` when none is left; why the store could not be asked.
    pub(crate) async fn take(&self, app: &App, facts: &SessionFacts) -> Result<(), Refusal> {
        let key = (facts.tenant, facts.digest);
        let left = match self.left.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default())) {
            Ok(left) => left,
            Err(never) => match never {},
        };
        // Whoever waits here waits for the one commit that sets uses aside for all of them.
        let mut left = left.lock().await;
        if *left == 0 {
            *left = reserve(app, facts).await?;
        }
        *left = left.checked_sub(1).ok_or_else(required)?;
        Ok(())
    }
}

async fn reserve(app: &App, facts: &SessionFacts) -> Result<u32, Refusal> {
    let unit = Unit {
        tenant: facts.lives,
        actor: Actor { entity: facts.entity, session: Some(facts.session) },
        commands: vec![Box::new(ReserveUses::new(facts.digest))],
        idempotency: None,
        operation: app.operation(app.now())?,
    };
    let receipt = match app.parts().ledger.submit(unit).await {
        Err(refusal) if refusal.code == &SESSION_NOT_FOUND => return Err(required()),
        other => other?,
    };
    let reply = receipt.replies.first().ok_or_else(|| crate::grant::bug("a commit without an answer"))?;
    Reserved::from_reply(reply).map(|reserved| reserved.0).map_err(crate::authenticate::damaged)
}
