//! Beginning sessions: for a principal, by a one-time login, derived from one's own.

use super::{Bounds, ISSUED, Link, Session, SessionV1, TOKEN_KIND, above, confines, record_name};
use crate::codec::encode;
use crate::limits::{SESSION_DEPTH_MAX, SESSION_TTL_DEFAULT, SESSION_TTL_MAX, SESSION_USES_MAX};
use crate::name::PrincipalName;
use crate::principal::{self, Principal, enabled, require_owner};
use crypto::id::SessionId;
use crypto::token::{self, Token};
use crypto::{Entropy, NoEntropy, SecretBytes, SecretText, WallMs};
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordName, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
pub(crate) enum Issued {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        session: SessionV1,
    },
    V2 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        session: Session,
    },
}

impl Issued {
    /// The digest of the token and the session.
    pub(crate) fn into_parts(self) -> ([u8; 32], Session) {
        match self {
            Issued::V1 { digest, session } => (digest, session.into()),
            Issued::V2 { digest, session } => (digest, session),
        }
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

    pub(crate) fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

/// What somebody asks of a session, unchecked; nothing asked for is the default.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Asked {
    /// How long it lives, and what one renewal gives.
    pub ttl: Option<Duration>,
    /// No renewal goes beyond this life in all; without it there is no renewal.
    pub max_ttl: Option<Duration>,
    /// Life that may be renewed for ever, in place of `ttl` and `max_ttl`.
    pub period: Option<Duration>,
    /// How often it may be used.
    pub uses: Option<u32>,
    /// What it may not.
    pub bounds: Bounds,
}

/// Checked conditions of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    ttl: Ttl,
    /// Life in all; of a periodic session there is no end to it.
    max: Option<Ttl>,
    uses: Option<u32>,
    bounds: Bounds,
}

impl Terms {
    /// Checks what is asked for. Errors: `session.invalid`, naming the field.
    pub fn new(asked: Asked) -> Result<Terms, Refusal> {
        let invalid = |why: &str| Err(Refusal::new(&code::SESSION_INVALID, why));
        asked.bounds.check()?;
        if asked.uses.is_some_and(|uses| uses == 0 || uses > SESSION_USES_MAX) {
            return invalid("`uses` is 1 to 1,000,000");
        }
        let Asked { period, uses, bounds, .. } = asked;
        if let Some(period) = period {
            if asked.ttl.is_some() || asked.max_ttl.is_some() {
                return invalid("`period` stands in place of `ttl` and `max_ttl`");
            }
            return Ok(Terms { ttl: Ttl::session(period)?, max: None, uses, bounds });
        }
        // A long life in all is cut into renewals of the usual length.
        let usual = || asked.max_ttl.map_or(SESSION_TTL_DEFAULT, |max| max.min(SESSION_TTL_DEFAULT));
        let ttl = Ttl::session(asked.ttl.unwrap_or_else(usual))?;
        let max = asked.max_ttl.map_or(Ok(ttl), Ttl::session)?;
        if max.0 < ttl.0 {
            return invalid("`max_ttl` is not less than `ttl`");
        }
        Ok(Terms { ttl, max: Some(max), uses, bounds })
    }

    /// A life and nothing else.
    pub fn of(ttl: Ttl) -> Terms {
        Terms { ttl, max: Some(ttl), uses: None, bounds: Bounds::default() }
    }

    /// Whether it may be renewed for ever.
    pub fn is_periodic(&self) -> bool {
        self.max.is_none()
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
        terms: &Terms,
        origin: Origin,
        cx: &Context<'_>,
    ) -> Result<(Event, IssuedSession), Halt> {
        let expires = terms.ttl.from(cx.now);
        let mut bounds = origin.bounds;
        if !terms.bounds.is_empty() {
            bounds.push(terms.bounds.clone());
        }
        let session = Session {
            id: self.id,
            entity: principal.entity,
            principal: principal.name.as_str().to_owned(),
            entity_epoch: principal.epoch,
            created: cx.now,
            expires,
            issued_by: cx.actor.entity,
            limit: terms.max.map(|max| max.from(cx.now)),
            ttl_ms: terms.ttl.ms(),
            parents: origin.parents,
            bounds,
            uses: terms.uses,
        };
        let body = encode(&Issued::V2 { digest: self.digest, session })?;
        Ok((Event { kind: ISSUED, body }, IssuedSession { id: self.id, expires, token: self.token.duplicate() }))
    }
}

/// What a session takes over from the one that it is derived from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    parents: Vec<Link>,
    bounds: Vec<Bounds>,
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
    terms: Terms,
    fresh: FreshSession,
}

impl IssueSession {
    /// For this principal, on these terms.
    pub fn new(principal: PrincipalName, terms: Terms, fresh: FreshSession) -> IssueSession {
        IssueSession { principal, terms, fresh }
    }
}

impl Command for IssueSession {
    fn reads(&self) -> Vec<RecordName> {
        vec![principal::record_name(&self.principal)]
    }

    /// Errors: `principal.not_found`, `principal.disabled`, `principal.owner_only` when somebody else than an owner
    /// asks for an owner's session, `session.beyond` for a role that the principal lacks (nothing happened). Reply:
    /// [`IssuedSession`].
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let principal = enabled(view, &self.principal)?;
        if principal.is_owner() {
            require_owner(view, cx)?;
        }
        within(&self.terms, &principal.roles, &[])?;
        begun(self.fresh.begin(&principal, &self.terms, Origin::default(), cx)?)
    }
}

/// Derives a session from the one that asks.
#[derive(Debug)]
pub struct DeriveSession {
    parent: [u8; 32],
    principal: PrincipalName,
    orphan: bool,
    terms: Terms,
    fresh: FreshSession,
}

impl DeriveSession {
    /// From the session with this token digest, of this principal. It hangs on that one unless it is an `orphan`; what
    /// the other may not, it may not either.
    pub fn new(
        parent: [u8; 32],
        principal: PrincipalName,
        orphan: bool,
        terms: Terms,
        fresh: FreshSession,
    ) -> DeriveSession {
        DeriveSession { parent, principal, orphan, terms, fresh }
    }
}

impl Command for DeriveSession {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.parent), principal::record_name(&self.principal)]
    }

    /// Errors: `session.not_found` when the asking session has ended meanwhile or belongs to another tenant,
    /// `session.counted` when its uses are, `session.beyond` for a role it has not, `session.invalid` when too many
    /// hang on each other (nothing happened). Reply: [`IssuedSession`].
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let gone =
            || Halt::from(Refusal::new(&code::SESSION_NOT_FOUND, "the asking session is not one of this tenant"));
        let parent = Session::decode(view.get(&record_name(&self.parent))?.ok_or_else(gone)?)?;
        let principal = enabled(view, &self.principal)?;
        if principal.entity != parent.entity || principal.epoch != parent.entity_epoch || cx.now >= parent.expires {
            return Err(gone());
        }
        for above in above(view, &parent.parents)? {
            if above.is_none_or(|above| cx.now >= above.expires) {
                return Err(gone());
            }
        }
        if parent.uses.is_some() {
            let why = "a session whose uses are counted derives none";
            return Err(Refusal::new(&code::SESSION_COUNTED, why).into());
        }
        within(&self.terms, &principal.roles, &parent.bounds)?;
        let mut origin = Origin { parents: Vec::new(), bounds: parent.bounds };
        if !self.orphan {
            origin.parents.push(Link { digest: self.parent, id: parent.id });
            origin.parents.extend(parent.parents);
        }
        if origin.parents.len().max(origin.bounds.len()) > SESSION_DEPTH_MAX {
            let why = format!("sessions are derived from each other at most {SESSION_DEPTH_MAX} deep");
            return Err(Refusal::new(&code::SESSION_INVALID, why).into());
        }
        begun(self.fresh.begin(&principal, &self.terms, origin, cx)?)
    }
}

/// A session has at most the roles that whoever it comes from has.
fn within(terms: &Terms, roles: &[Box<str>], layers: &[Bounds]) -> Result<(), Refusal> {
    for role in terms.bounds.roles.iter().flatten() {
        if !confines::roles_within(roles, layers).any(|held| held == role) {
            return Err(Refusal::new(&code::SESSION_BEYOND, format!("the role `{role}` is not there to be passed on")));
        }
    }
    Ok(())
}

fn begun((event, issued): (Event, IssuedSession)) -> Result<Outcome, Halt> {
    let mut outcome = Outcome::new(vec![event], Vec::new());
    outcome.reply = issued.to_reply();
    Ok(outcome)
}
