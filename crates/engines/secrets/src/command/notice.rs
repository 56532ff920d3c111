//! Saying ahead, and then, that the values of a secret stop being readable.

use super::{Edit, MetadataEdit, find};
use crate::codec;
use crate::event::{Ending, SecretEvent};
use crate::record::{Record, Secret, State, secret_name};
use crypto::seam::WallMs;
use ledger::{Command, Context, Damaged, Halt, IntentKey, NewIntent, Outcome, Path, RecordName, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Kind of the intents that promise a notice.
pub const NOTICE: &str = "secret.expiry";
/// How long before the expiry a notice comes; the last comes with it.
pub const NOTICES_BEFORE: [Duration; 4] =
    [Duration::from_secs(7 * 86_400), Duration::from_secs(86_400), Duration::from_secs(3_600), Duration::ZERO];

#[derive(Serialize, Deserialize)]
enum Promised {
    V1 {
        path: String,
        #[serde(with = "codec::wall")]
        expires: WallMs,
    },
}

/// Gives a notice that is due, as an event, and promises the next.
///
/// Where the secret is gone, hidden, or has another expiry by now there is no event; an expiry that was set anew has notices of
/// its own.
#[derive(Debug)]
pub struct Notice {
    path: Path,
    expires: WallMs,
    done: IntentKey,
}

impl Notice {
    /// Reads the promise. Errors: `Damaged`.
    pub fn decode(done: IntentKey, body: &[u8]) -> Result<Notice, Damaged> {
        let Promised::V1 { path, expires } = codec::decode("promise of a notice", body)?;
        let path = Path::parse(&path).map_err(|_| Damaged("promise of a notice".into()))?;
        Ok(Notice { path, expires, done })
    }
}

impl Command for Notice {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::new(Vec::new(), Vec::new());
        outcome.closed.push(self.done);
        let Some(Record::Kept(secret)) = find(view, &self.path)? else { return Ok(outcome) };
        if secret.expires != Some(self.expires) {
            return Ok(outcome);
        }
        if secret.versions.last().is_some_and(|version| matches!(version.state, State::Live(_))) {
            let ending = Ending { path: self.path.as_str().to_owned(), expires: self.expires };
            let over = secret.is_expired(cx.now);
            let event = if over { SecretEvent::Expired(ending) } else { SecretEvent::Expiring(ending) };
            outcome.events.push(event.encode());
        }
        outcome.intents.extend(promise(&self.path, self.expires, cx.now));
        Ok(outcome)
    }
}

/// The promise that goes with a change which sets an expiry that was not there.
pub(super) fn promised(path: &Path, edit: &MetadataEdit, before: Option<&Secret>, now: WallMs) -> Option<NewIntent> {
    match edit.expires {
        Edit::Set(at) if before.and_then(|secret| secret.expires) != Some(at) => promise(path, at, now),
        _ => None,
    }
}

/// The next notice after now; none once it is over.
fn promise(path: &Path, expires: WallMs, now: WallMs) -> Option<NewIntent> {
    let at = |before: Duration| WallMs(expires.0.saturating_sub(u64::try_from(before.as_millis()).unwrap_or(u64::MAX)));
    let due = NOTICES_BEFORE.into_iter().map(at).find(|due| *due > now)?;
    let body = codec::encode(&Promised::V1 { path: path.as_str().to_owned(), expires });
    Some(NewIntent { due, kind: NOTICE, body })
}
