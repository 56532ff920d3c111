//! Sessions: opaque tokens of which only a digest is stored, and what makes one good.
//!
//! A session may hang on others: it is good as long as each of them is there and its time is not over, so ending one
//! ends all that hang on it at once, those too that are being made in the same moment.

mod confines;
mod end;
mod issue;

pub use confines::{Bounds, Confines, ScopeRule};
pub use end::{EndStale, RenewSession, ReserveUses, Reserved, RevokeSession, Stale};
pub(crate) use end::{Expired, Renewed, Revoked, Used};
pub(crate) use issue::Issued;
pub use issue::{Asked, DeriveSession, FreshSession, IssueSession, IssuedSession, Terms, Ttl};

use crate::codec::{decode, hex};
use crate::name::PrincipalName;
use crate::principal::{self, Principal};
use crypto::WallMs;
use crypto::id::{EntityId, SessionId, TenantId};
use crypto::token::{self, Token};
use ledger::{Damaged, Halt, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Event: a session began.
pub const ISSUED: &str = "auth.session.issued";
/// Event: a session was ended.
pub const REVOKED: &str = "auth.session.revoked";
/// Event: a session's end was put off.
pub const RENEWED: &str = "auth.session.renewed";
/// Event: uses of a session were set aside for a node.
pub const USED: &str = "auth.session.used";
/// Event: sessions and one-time logins whose time is over are no longer kept.
pub const EXPIRED: &str = "auth.session.expired";
/// Kind of a session's token: `aum_ses_…`.
pub const TOKEN_KIND: &str = "ses";

/// A session as stored, under its token's digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredSession {
    /// First form.
    V1(SessionV1),
    /// With parents, bounds, renewal and counted uses.
    V2(Session),
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

/// A session as stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
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
    /// No renewal goes beyond; of a periodic session there is none.
    pub limit: Option<WallMs>,
    /// What one renewal gives at most, in milliseconds from then on.
    pub ttl_ms: u64,
    /// The sessions it hangs on, the nearest first.
    pub parents: Vec<Link>,
    /// What it may not; those of its parents are among them.
    pub bounds: Vec<Bounds>,
    /// Uses that are neither made nor set aside yet, where they are counted.
    pub uses: Option<u32>,
}

/// A session that another hangs on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Digest of its token, which its record stands under.
    #[serde(with = "crypto::run::fixed")]
    pub digest: [u8; 32],
    /// Its id.
    pub id: SessionId,
}

impl Session {
    /// Reads a stored session, of any form. Errors: `Damaged`.
    pub fn decode(bytes: &[u8]) -> Result<Session, Damaged> {
        Ok(match decode("session record", bytes)? {
            StoredSession::V1(first) => Session::from(first),
            StoredSession::V2(session) => session,
        })
    }

    /// The record of the principal it belongs to. Errors: `Damaged`.
    pub fn principal_record(&self) -> Result<RecordName, Damaged> {
        let name = PrincipalName::parse(&self.principal).map_err(|_| Damaged("session record".into()))?;
        Ok(principal::record_name(&name))
    }

    /// The roles of its principal that count in it: the principal's own list where it holds none back, so that it is
    /// compared by address.
    pub fn roles_of(&self, principal: &Principal) -> Arc<[Box<str>]> {
        if self.bounds.iter().all(|layer| layer.roles.is_none()) {
            return principal.roles.clone();
        }
        confines::roles_within(&principal.roles, &self.bounds).cloned().collect()
    }

    /// Whether a renewal may put its end off.
    pub fn is_renewable(&self) -> bool {
        self.limit.is_none_or(|limit| limit > self.expires)
    }
}

impl From<SessionV1> for Session {
    fn from(first: SessionV1) -> Session {
        let SessionV1 { id, entity, principal, entity_epoch, created, expires, issued_by } = first;
        let ttl_ms = expires.0.saturating_sub(created.0);
        Session {
            id,
            entity,
            principal,
            entity_epoch,
            created,
            expires,
            issued_by,
            limit: Some(expires),
            ttl_ms,
            parents: Vec::new(),
            bounds: Vec::new(),
            uses: None,
        }
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

/// The record that says that sessions there were are no longer kept.
pub fn swept_record_name() -> RecordName {
    RecordName::new(RecordKind::SESSION, ["swept", "any"])
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

/// Reads the digest behind a session's id, from the record [`id_record_name`]. Errors: `Damaged`.
pub fn decode_id(bytes: &[u8]) -> Result<[u8; 32], Damaged> {
    let StoredId::V1 { digest } = decode("session id record", bytes)?;
    Ok(digest)
}

/// Who is asking, as verified for one request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SessionFacts {
    /// The tenant it acts in.
    pub tenant: TenantId,
    /// The tenant it was made in.
    pub lives: TenantId,
    /// The session.
    pub session: SessionId,
    /// Digest of its token.
    pub digest: [u8; 32],
    /// The identity.
    pub entity: EntityId,
    /// Its name, for people.
    pub principal: PrincipalName,
    /// Every role it has now and may use in this session.
    pub roles: Arc<[Box<str>]>,
    /// When the session began.
    pub created: WallMs,
    /// When it is over: it or one that it hangs on.
    pub expires: WallMs,
    /// What the session may not, whatever policies allow.
    pub confines: Confines,
    /// Whether each use counts.
    pub counted: bool,
}

impl SessionFacts {
    /// What a session of this principal would be verified to now, to ask what it may do. It authenticates nobody.
    pub fn supposed(tenant: TenantId, principal: &Principal, now: WallMs) -> SessionFacts {
        SessionFacts {
            tenant,
            lives: tenant,
            session: SessionId::from_bytes([0; 16]),
            digest: [0; 32],
            entity: principal.entity,
            principal: principal.name.clone(),
            roles: principal.roles.clone(),
            created: now,
            expires: now,
            confines: Confines::default(),
            counted: false,
        }
    }

    /// The same session in another tenant, where the identity has a principal too and is what that one is there.
    ///
    /// Errors: that principal is disabled or another identity's.
    pub fn within(self, tenant: TenantId, principal: &Principal, session: &Session) -> Result<SessionFacts, Why> {
        if principal.disabled {
            return Err(Why::Disabled);
        }
        if principal.entity != self.entity {
            return Err(Why::Mismatched);
        }
        Ok(SessionFacts { tenant, principal: principal.name.clone(), roles: session.roles_of(principal), ..self })
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
    /// The principal is another one, or a session it hangs on is.
    Mismatched,
}

/// Checks a session against its principal and the sessions it hangs on, as of now.
///
/// `parents` are the records under [`Session::parents`], in that order and all of them: one that is gone ends the
/// session, and then this is not called. `now` must not go back: take it from a [`HighWater`]. Fails closed on any
/// difference.
pub fn verify_session(
    tenant: TenantId,
    (digest, session): ([u8; 32], &Session),
    parents: &[Session],
    principal: &Principal,
    now: WallMs,
) -> Result<SessionFacts, Why> {
    if session.entity != principal.entity || session.principal != principal.name.as_str() {
        return Err(Why::Mismatched);
    }
    if principal.disabled {
        return Err(Why::Disabled);
    }
    if session.entity_epoch != principal.epoch {
        return Err(Why::Superseded);
    }
    let hangs_on = |(link, parent): (&Link, &Session)| link.id == parent.id && parent.entity == session.entity;
    if parents.len() != session.parents.len() || !session.parents.iter().zip(parents).all(hangs_on) {
        return Err(Why::Mismatched);
    }
    let expires = parents.iter().fold(session.expires, |first, parent| first.min(parent.expires));
    if now >= expires {
        return Err(Why::Expired);
    }
    Ok(SessionFacts {
        tenant,
        lives: tenant,
        session: session.id,
        digest,
        entity: principal.entity,
        principal: principal.name.clone(),
        roles: session.roles_of(principal),
        created: session.created,
        expires,
        confines: Confines::of(&session.bounds),
        counted: session.uses.is_some(),
    })
}

/// The sessions that another hangs on; asks for all that are not loaded at once.
fn above(view: &View, links: &[Link]) -> Result<Vec<Option<Session>>, Halt> {
    let names: Vec<RecordName> = links.iter().map(|link| record_name(&link.digest)).collect();
    let records = view.get_all(&names)?.into_iter();
    records.map(|record| record.map(Session::decode).transpose().map_err(Halt::from)).collect()
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
