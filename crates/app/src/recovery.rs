//! After a crash: rows of committed changes that were lost are made again from their entries.

use crate::app::App;
use ledger::access_log::Change;
use ledger::{EventRef, Refusal, Stamp};

/// Entries looked at in one go.
const STEP: usize = 512;

/// Makes the rows again that changes made on requests before entry `end` lack. Answers how many. Harmless to repeat.
///
/// `end` is the size of the ledger before this process answered its first request: what came later has its row under way.
pub async fn remake_rows(app: &App, end: u64) -> Result<u64, Refusal> {
    let (ledger, log, anchor) = (&app.parts().ledger, &app.parts().access_log, &app.parts().anchor);
    let shard = ledger.origin()?.as_str().rsplit('/').next().and_then(|shard| shard.parse().ok()).unwrap_or_default();
    let mut from = log.remake_after(&**anchor).await?.map_or(0, |position| position.index.saturating_add(1));
    let mut made = 0u64;
    // Entries of one unit stand together; its row names the last.
    let mut unit: Option<(crypto::id::OperationId, Change)> = None;
    loop {
        let entries = ledger.entries(from, STEP).await?;
        let Some(last) = entries.last().filter(|_| from < end) else { break };
        from = last.index.saturating_add(1);
        let mut changes = Vec::new();
        for entry in entries.iter().take_while(|entry| entry.index < end) {
            let (tenant, fact) = ledger.open_entry(entry)?;
            let position = ledger::Position { shard, index: entry.index };
            if let Some((operation, change)) = &mut unit
                && *operation == fact.operation
            {
                change.position = position;
                continue;
            }
            changes.extend(unit.take().map(|(_, change)| change));
            if fact.actor.session.is_none() {
                continue;
            }
            let stamp = Stamp { position, time: fact.time, tenant, actor: fact.actor.clone() };
            let event = EventRef { kind: &fact.kind, body: &fact.body, stamp: &stamp };
            let path = secrets::paths_named(&event).ok().and_then(|mut paths| paths.pop());
            let (time, actor, act) = (fact.time, fact.actor, fact.kind);
            unit = Some((fact.operation, Change { position, time, tenant, actor, act, path }));
        }
        made = made.saturating_add(log.remake(changes).await?);
    }
    let rest = unit.map(|(_, change)| change).into_iter().collect();
    Ok(made.saturating_add(log.remake(rest).await?))
}
