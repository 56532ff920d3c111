//! Putting a session's end off, counting its uses, and ending it.

use super::{EXPIRED, RENEWED, REVOKED, Session, USED, above, decode_id, id_record_name, record_name, verify_session};
use crate::codec::encode;
use crate::principal::{Principal, require_owner};
use crypto::id::{EntityId, SessionId};
use crypto::{SecretBytes, WallMs};
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordName, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
pub(crate) enum Revoked {
    V1 {
        id: SessionId,
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        entity: EntityId,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Renewed {
    V1 {
        id: SessionId,
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        expires: WallMs,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Used {
    V1 {
        id: SessionId,
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        count: u32,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Expired {
    V1 { tokens: Vec<Stale> },
}

/// Whose session a request may be about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Own,
    Anyone,
}

/// Finds a session by its id. Another's is as if it did not exist, without the right to; an owner's only owners touch.
fn find(view: &View, id: SessionId, reach: Reach, cx: &Context<'_>) -> Result<([u8; 32], Session), Halt> {
    let missing = || Halt::from(Refusal::new(&code::SESSION_NOT_FOUND, "there is no such session"));
    let digest = decode_id(view.get(&id_record_name(id))?.ok_or_else(missing)?)?;
    let session = Session::decode(view.get(&record_name(&digest))?.ok_or_else(missing)?)?;
    // All that is looked at now or later, at once: asking has only so many rounds.
    let name = session.principal_record()?;
    view.get_all(
        &session.parents.iter().map(|link| record_name(&link.digest)).chain([name.clone()]).collect::<Vec<_>>(),
    )?;
    if session.entity != cx.actor.entity {
        if reach == Reach::Own {
            return Err(missing());
        }
        let principal = view.get(&name)?.map(Principal::decode).transpose()?;
        if principal.is_some_and(|principal| principal.is_owner()) {
            require_owner(view, cx)?;
        }
    }
    Ok((digest, session))
}

/// Refuses a session whose token would be refused now.
fn good(view: &View, (digest, session): ([u8; 32], &Session), cx: &Context<'_>) -> Result<(), Halt> {
    let over = || Halt::from(Refusal::new(&code::SESSION_NOT_FOUND, "the session is over"));
    let parents = above(view, &session.parents)?.into_iter().collect::<Option<Vec<_>>>().ok_or_else(over)?;
    let principal = Principal::decode(view.get(&session.principal_record()?)?.ok_or_else(over)?)?;
    verify_session(cx.tenant, (digest, session), &parents, &principal, cx.now).map(drop).map_err(|_| over())
}

/// Ends a session by its id, and with it all that hang on it.
#[derive(Debug)]
pub struct RevokeSession {
    id: SessionId,
    reach: Reach,
}

impl RevokeSession {
    /// Ends one of the actor's own sessions; another's is as if it did not exist.
    pub fn own(id: SessionId) -> RevokeSession {
        RevokeSession { id, reach: Reach::Own }
    }

    /// Ends anyone's session; needs `session.revoke`. An owner's session is ended by owners only.
    pub fn anyone(id: SessionId) -> RevokeSession {
        RevokeSession { id, reach: Reach::Anyone }
    }
}

impl Command for RevokeSession {
    fn reads(&self) -> Vec<RecordName> {
        vec![id_record_name(self.id)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    /// Errors: `session.not_found`, `principal.owner_only` (nothing happened). Reply: empty.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let (digest, session) = find(view, self.id, self.reach, cx)?;
        let body = encode(&Revoked::V1 { id: self.id, digest, entity: session.entity })?;
        Ok(Outcome::new(vec![Event { kind: REVOKED, body }], Vec::new()))
    }
}

/// Puts a session's end off, as far as its terms go.
#[derive(Debug)]
pub struct RenewSession {
    id: SessionId,
    reach: Reach,
    ttl: Option<Duration>,
}

impl RenewSession {
    /// One of the actor's own; for this long from now on, or as long as one renewal gives at most.
    pub fn own(id: SessionId, ttl: Option<Duration>) -> RenewSession {
        RenewSession { id, reach: Reach::Own, ttl }
    }

    /// Anyone's; needs `session.renew`.
    pub fn anyone(id: SessionId, ttl: Option<Duration>) -> RenewSession {
        RenewSession { id, reach: Reach::Anyone, ttl }
    }
}

impl Command for RenewSession {
    fn reads(&self) -> Vec<RecordName> {
        vec![id_record_name(self.id)]
    }

    /// Never shortens a life, never goes beyond its limit, never brings a session back whose time is over.
    ///
    /// Errors: `session.not_found`, `session.not_renewable`, `principal.owner_only` (nothing happened). Reply: empty.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let (digest, session) = find(view, self.id, self.reach, cx)?;
        good(view, (digest, &session), cx)?;
        if !session.is_renewable() {
            let why = "the session has reached its limit, or was made without `max_ttl`";
            return Err(Refusal::new(&code::SESSION_NOT_RENEWABLE, why).into());
        }
        let given = Duration::from_millis(session.ttl_ms);
        let wanted = cx.now.saturating_add(self.ttl.map_or(given, |ttl| ttl.min(given)));
        let expires = session.limit.map_or(wanted, |limit| wanted.min(limit)).max(session.expires);
        let body = encode(&Renewed::V1 { id: self.id, digest, expires })?;
        Ok(Outcome::new(vec![Event { kind: RENEWED, body }], Vec::new()))
    }
}

/// Sets uses of a session aside for this node, so that a crash loses some and never grants one.
#[derive(Debug)]
pub struct ReserveUses {
    digest: [u8; 32],
}

/// A sixteenth of what is left is set aside at once: few commits for many uses, and little to lose.
const USES_BLOCK_PART: u32 = 16;

impl ReserveUses {
    /// Of the session with this token digest.
    pub fn new(digest: [u8; 32]) -> ReserveUses {
        ReserveUses { digest }
    }
}

/// How many uses were set aside; 0 when none are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reserved(pub u32);

impl Reserved {
    /// Reads the answer of [`ReserveUses`]. Errors: `Damaged`.
    pub fn from_reply(reply: &SecretBytes) -> Result<Reserved, Damaged> {
        let bytes = reply.expose().try_into().map_err(|_| Damaged("reply about uses".into()))?;
        Ok(Reserved(u32::from_be_bytes(bytes)))
    }
}

impl Command for ReserveUses {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.digest)]
    }

    /// Errors: `session.not_found` (nothing happened). Reply: [`Reserved`].
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let missing = || Refusal::new(&code::SESSION_NOT_FOUND, "there is no such session");
        let session = Session::decode(view.get(&record_name(&self.digest))?.ok_or_else(missing)?)?;
        let left = session.uses.ok_or_else(missing)?;
        let count = (left / USES_BLOCK_PART).max(1).min(left);
        let reply = count.to_be_bytes().to_vec();
        if count == 0 {
            return Ok(Outcome::new(Vec::new(), reply));
        }
        let body = encode(&Used::V1 { id: session.id, digest: self.digest, count })?;
        Ok(Outcome::new(vec![Event { kind: USED, body }], reply))
    }
}

/// A token whose time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stale {
    /// A session.
    Session {
        /// Digest of its token.
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        /// Its id.
        id: SessionId,
    },
    /// A one-time login.
    Login {
        /// Digest of its token.
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
    },
    /// Something wrapped.
    Wrap {
        /// Digest of its token.
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
    },
}

/// Takes tokens out of the records whose time was over at some moment; up to
/// [`crate::limits::SESSION_SWEEP_STEP`] at once.
#[derive(Debug)]
pub struct EndStale {
    tokens: Vec<Stale>,
    before: WallMs,
}

impl EndStale {
    /// These, as far as their time was over at that moment.
    pub fn new(tokens: Vec<Stale>, before: WallMs) -> EndStale {
        EndStale { tokens, before }
    }
}

impl Stale {
    pub(crate) fn records(&self) -> Vec<RecordName> {
        match self {
            Stale::Session { digest, id } => vec![record_name(digest), id_record_name(*id)],
            Stale::Login { digest } => vec![crate::login::record_name(digest)],
            Stale::Wrap { digest } => vec![crate::wrap::record_name(digest)],
        }
    }

    fn is_over(&self, view: &View, before: WallMs) -> Result<bool, Halt> {
        let Some(name) = self.records().into_iter().next() else { return Ok(false) };
        let Some(record) = view.get(&name)? else { return Ok(false) };
        Ok(match self {
            Stale::Session { .. } => Session::decode(record)?.expires <= before,
            Stale::Login { .. } => !crate::login::StoredLogin::waits(record, before)?,
            Stale::Wrap { .. } => !crate::wrap::StoredWrap::waits(record, before)?,
        })
    }
}

impl Command for EndStale {
    fn reads(&self) -> Vec<RecordName> {
        self.tokens.iter().filter_map(|token| token.records().into_iter().next()).collect()
    }

    fn takes_away(&self) -> bool {
        true
    }

    /// Takes only what is still over; one that was renewed meanwhile stays. Reply: empty.
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let mut tokens = Vec::new();
        for token in &self.tokens {
            if token.is_over(view, self.before)? {
                tokens.push(*token);
            }
        }
        if tokens.is_empty() {
            return Ok(Outcome::new(Vec::new(), Vec::new()));
        }
        let body = encode(&Expired::V1 { tokens })?;
        Ok(Outcome::new(vec![Event { kind: EXPIRED, body }], Vec::new()))
    }
}
