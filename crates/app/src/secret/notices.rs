//! Notices that values stop being readable, as events that follow each other ahead of it and with it.

use crate::app::App;
use crate::authenticate::damaged;
use ledger::{Actor, Refusal, Unit};
use secrets::command::{NOTICE, Notice};

/// Intents looked at in one go.
const DUE_MAX: usize = 256;

/// Gives each notice that is due. Answers how many promises were kept; 0 means that there is nothing to do now.
///
/// Called again and again by the server. Errors: the first that failed, once all others were tried; its promise stays.
pub async fn run_due(app: &App) -> Result<usize, Refusal> {
    let due = app.parts().ledger.due(app.now(), DUE_MAX).await?;
    let (mut done, mut failed) = (0usize, None);
    for intent in due.into_iter().filter(|intent| intent.kind == NOTICE) {
        let unit = Unit {
            tenant: intent.tenant,
            actor: Actor::SYSTEM,
            commands: vec![Box::new(Notice::decode(intent.key, &intent.body).map_err(damaged)?)],
            idempotency: None,
            operation: app.operation(app.now())?,
        };
        match app.parts().ledger.submit(unit).await {
            Ok(_) => done = done.saturating_add(1),
            Err(refusal) => failed = failed.or(Some(refusal)),
        }
    }
    failed.map_or(Ok(done), Err)
}
