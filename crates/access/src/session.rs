//! Sessions: opaque tokens of which only a digest is stored, and what makes one good.

use crate::codec::{decode, encode, hex};
use crate::limits::SESSION_TTL_MAX;
use crate::name::PrincipalName;
use crate::principal::{self, Principal, enabled, require_owner};
use crypto::id::{EntityId, SessionId, TenantId};
use crypto::token::{self, Token};
use crypto::{Entropy, NoEntropy, SecretBytes, SecretText, WallMs};
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Event: a session began.
pub const ISSUED: &str = "auth.session.issued";
/// Event: a session was ended.
pub const REVOKED: &str = "auth.session.revoked";
/// Kind of a session's token: `aum_ses_…`.
pub const TOKEN_KIND: &str = "ses";

/// A session as stored, under its token's digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredSession {
    /// First form.
    V1(SessionV1),
}

/// A session as stored, first form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionV1 {
    /// Its id: a name, no authority.
    pub id: SessionId,
    /// Whose.
    pub entity: EntityId,
    /// The principal's name, which leads to its record.
    pub principal: String,
    /// The entity's epoch when it began.
    pub entity_epoch: u64,
    /// When it began.
    pub created: WallMs,
    /// From then on it is over.
    pub expires: WallMs,
    /// Who made it.
    pub issued_by: EntityId,
}

impl StoredSession {
    /// Reads a stored session. Errors: `Damaged`.
    pub fn decode(bytes: &[u8]) -> Result<StoredSession, Damaged> {
        decode("session record", bytes)
    }

    /// The record of the principal it belongs to. Errors: `Damaged`.
    pub fn principal_record(&self) -> Result<RecordName, Damaged> {
        let StoredSession::V1(session) = self;
        let name = PrincipalName::parse(&session.principal).map_err(|_| Damaged("session record".into()))?;
        Ok(principal::record_name(&name))
    }
}

/// The record of the session with this token digest ([`token_digest`]).
pub fn record_name(digest: &[u8; 32]) -> RecordName {
    RecordName::new(RecordKind::SESSION, [hex(digest)])
}

/// The record that leads from a session's id to its digest.
pub fn id_record_name(id: SessionId) -> RecordName {
    RecordName::new(RecordKind::SESSION, ["id".to_owned(), id.to_string()])
}

/// The digest a presented session token is looked up by; `None` when it is not of that form.
pub fn token_digest(text: &str) -> Option<[u8; 32]> {
    Token::parse(text).is_ok_and(|token| token.kind == TOKEN_KIND).then(|| token::digest(text))
}

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredId {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Issued {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        session: SessionV1,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Revoked {
    V1 {
        id: SessionId,
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        entity: EntityId,
    },
}

/// Who is asking, as verified for one request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SessionFacts {
    /// The tenant.
    pub tenant: TenantId,
    /// The session.
    pub session: SessionId,
    /// The identity.
    pub entity: EntityId,
    /// Its name, for people.
    pub principal: PrincipalName,
    /// Every role it has now.
    pub roles: Arc<[Box<str>]>,
    /// When the session began.
    pub created: WallMs,
    /// When it is over.
    pub expires: WallMs,
}

impl SessionFacts {
    /// What a session of this principal would be verified to now, to ask what it may do. It authenticates nobody.
    pub fn supposed(tenant: TenantId, principal: &Principal, now: WallMs) -> SessionFacts {
        SessionFacts {
            tenant,
            session: SessionId::from_bytes([0; 16]),
            entity: principal.entity,
            principal: principal.name.clone(),
            roles: principal.roles.clone(),
            created: now,
            expires: now,
        }
    }
}

/// Why a session is no good. Callers answer all of them alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    /// Its time is over.
    Expired,
    /// The principal is disabled.
    Disabled,
    /// The principal was disabled since it began.
    Superseded,
    /// The principal is another one.
    Mismatched,
}

/// Checks a session against its principal as of now.
///
/// `now` must not go back: take it from a [`HighWater`]. Fails closed on any difference.
pub fn verify_session(
    tenant: TenantId,
    session: &StoredSession,
    principal: &Principal,
    now: WallMs,
) -> Result<SessionFacts, Why> {
    let StoredSession::V1(session) = session;
    if session.entity != principal.entity || session.principal != principal.name.as_str() {
        return Err(Why::Mismatched);
    }
    if principal.disabled {
        return Err(Why::Disabled);
    }
    if session.entity_epoch != principal.epoch {
        return Err(Why::Superseded);
    }
    if now >= session.expires {
        return Err(Why::Expired);
    }
    Ok(SessionFacts {
        tenant,
        session: session.id,
        entity: principal.entity,
        principal: principal.name.clone(),
        roles: principal.roles.clone(),
        created: session.created,
        expires: session.expires,
    })
}

/// The latest time seen, so that a wall clock that goes back never lengthens a life.
///
/// Begin it with the time of the ledger's newest entry.
#[derive(Debug)]
pub struct HighWater(AtomicU64);

impl HighWater {
    /// No time before this one is ever given out.
    pub fn new(floor: WallMs) -> HighWater {
        HighWater(AtomicU64::new(floor.0))
    }

    /// The later of this reading and all before it.
    pub fn observe(&self, reading: WallMs) -> WallMs {
        WallMs(self.0.fetch_max(reading.0, Ordering::Relaxed).max(reading.0))
    }
}

/// A life in whole milliseconds: at least a second, at most what its kind may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ttl(Duration);

impl Ttl {
    /// A session's life. Errors: `session.invalid` for 0, less than a second, or more than the maximum.
    pub fn session(life: Duration) -> Result<Ttl, Refusal> {
        Ttl::within(life, SESSION_TTL_MAX)
    }

    pub(crate) fn within(life: Duration, max: Duration) -> Result<Ttl, Refusal> {
        if life < Duration::from_secs(1) || life > max {
            let why = format!("a life is at least 1 second and here at most {} hours", max.as_secs() / 3600);
            return Err(Refusal::new(&code::SESSION_INVALID, why));
        }
        Ok(Ttl(life))
    }

    pub(crate) fn from(self, now: WallMs) -> WallMs {
        now.saturating_add(self.0)
    }

    pub(crate) fn duration(self) -> Duration {
        self.0
    }
}

/// A fresh session token with its id; made while preparing, because deciding draws no randomness.
#[derive(Debug)]
pub struct FreshSession {
    pub(crate) id: SessionId,
    pub(crate) token: SecretText,
    pub(crate) digest: [u8; 32],
}

impl FreshSession {
    /// Mints one. Errors: `NoEntropy` (nothing happened).
    pub fn mint(now: WallMs, entropy: &dyn Entropy) -> Result<FreshSession, NoEntropy> {
        let token = Token::mint(TOKEN_KIND, entropy)?;
        let digest = token::digest(token.expose());
        Ok(FreshSession { id: SessionId::generate(now, entropy)?, token, digest })
    }

    /// The event that begins it and the answer that carries the token.
    pub(crate) fn begin(
        &self,
        principal: &Principal,
        ttl: Ttl,
        cx: &Context<'_>,
    ) -> Result<(Event, IssuedSession), Halt> {
        let expires = ttl.from(cx.now);
        let session = SessionV1 {
            id: self.id,
            entity: principal.entity,
            principal: principal.name.as_str().to_owned(),
            entity_epoch: principal.epoch,
            created: cx.now,
            expires,
            issued_by: cx.actor.entity,
        };
        let body = encode(&Issued::V1 { digest: self.digest, session })?;
        Ok((Event { kind: ISSUED, body }, IssuedSession { id: self.id, expires, token: self.token.duplicate() }))
    }
}

/// A new session as answered, the only time the token is seen.
#[derive(Debug)]
pub struct IssuedSession {
    /// Its id.
    pub id: SessionId,
    /// When it is over.
    pub expires: WallMs,
    /// The token.
    pub token: SecretText,
}

impl IssuedSession {
    pub(crate) fn to_reply(&self) -> SecretBytes {
        let token = self.token.expose().as_bytes();
        // Of full length from the start, so that the token is never moved while it grows.
        let mut bytes = Vec::with_capacity(token.len().saturating_add(25));
        bytes.push(1);
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.expires.0.to_be_bytes());
        bytes.extend_from_slice(token);
        SecretBytes::new(bytes)
    }

    /// Reads the answer of [`IssueSession`] or `RedeemLogin`. Errors: `Damaged`.
    pub fn from_reply(reply: &SecretBytes) -> Result<IssuedSession, Damaged> {
        let damaged = || Damaged("session reply".into());
        let (version, rest) = reply.expose().split_first().ok_or_else(damaged)?;
        let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(damaged)?;
        let (expires, token) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        if *version != 1 {
            return Err(damaged());
        }
        let token = SecretBytes::from_slice(token).into_text().map_err(|_| damaged())?;
        Ok(IssuedSession { id: SessionId::from_bytes(*id), expires: WallMs(u64::from_be_bytes(*expires)), token })
    }
}

/// Makes a session for a principal.
#[derive(Debug)]
pub struct IssueSession {
    principal: PrincipalName,
    ttl: Ttl,
    fresh: FreshSession,
}

impl IssueSession {
    /// For this principal, for this long.
    pub fn new(principal: PrincipalName, ttl: Ttl, fresh: FreshSession) -> IssueSession {
        IssueSession { principal, ttl, fresh }
    }
}

impl Command for IssueSession {
    fn reads(&self) -> Vec<RecordName> {
        vec![principal::record_name(&self.principal)]
    }

    /// Errors: `principal.not_found`, `principal.disabled`, `principal.owner_only` when somebody else than an owner
    /// asks for an owner's session (nothing happened). Reply: [`IssuedSession`].
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let principal = enabled(view, &self.principal)?;
        if principal.is_owner() {
            require_owner(view, cx)?;
        }
        let (event, issued) = self.fresh.begin(&principal, self.ttl, cx)?;
        let mut outcome = Outcome::new(vec![event], Vec::new());
        outcome.reply = issued.to_reply();
        Ok(outcome)
    }
}

/// Whose sessions a revocation may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    Own,
    Anyone,
}

/// Ends a session by its id.
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
        let missing = || Halt::from(Refusal::new(&code::SESSION_NOT_FOUND, "there is no such session"));
        let StoredId::V1 { digest } =
            decode("session id record", view.get(&id_record_name(self.id))?.ok_or_else(missing)?)?;
        let stored = StoredSession::decode(view.get(&record_name(&digest))?.ok_or_else(missing)?)?;
        let StoredSession::V1(session) = &stored;
        if session.entity != cx.actor.entity {
            if self.reach == Reach::Own {
                return Err(missing());
            }
            let principal = view.get(&stored.principal_record()?)?.map(Principal::decode).transpose()?;
            if principal.is_some_and(|principal| principal.is_owner()) {
                require_owner(view, cx)?;
            }
        }
        let body = encode(&Revoked::V1 { id: self.id, digest, entity: session.entity })?;
        Ok(Outcome::new(vec![Event { kind: REVOKED, body }], Vec::new()))
    }
}
