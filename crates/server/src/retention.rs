//! Removes rows of the access log that are old enough.

use crate::config::Keep;
use crypto::seam::{Clock, WallMs};
use ledger::Ledger;
use ledger::access_log::AccessLog;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long rows are kept, and by which clock.
#[derive(Debug)]
pub(crate) struct Retention {
    pub(crate) keep: Keep,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Time between two looks at what is old.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Time between two steps of what one look found.
const STEP_EVERY: Duration = Duration::from_secs(1);

impl Retention {
    /// Looks soon after the start and then each minute, until told to stop.
    pub(crate) async fn run(self, log: AccessLog, ledger: Ledger, mut stop: watch::Receiver<bool>) {
        let Keep::For(span) = self.keep else { return };
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut pause = STEP_EVERY;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = async { drop(stop.wait_for(|stop| *stop).await) } => return,
            }
            let before = WallMs(self.clock.wall().0.saturating_sub(span_ms));
            pause = match log.retain(before, &ledger).await {
                Ok(0) => LOOK_EVERY,
                Ok(segments) => {
                    tracing::info!(segments, "old segments of the access log were removed");
                    STEP_EVERY
                }
                Err(refusal) => {
                    tracing::warn!(
                        code = refusal.code.name,
                        "old rows of the access log were not removed; tried again"
                    );
                    LOOK_EVERY
                }
            };
        }
    }
}
