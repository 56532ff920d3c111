//! One-time logins: a token that opens one session, once, for a limited time.

use crate::codec::{decode, encode, hex};
use crate::limits::LOGIN_TTL_MAX;
use crate::name::PrincipalName;
use crate::principal::{self, Principal, enabled, require_owner};
use crate::session::{FreshSession, Terms, Ttl};
use crypto::id::{EntityId, SessionId};
use crypto::token::{self, Token};
use crypto::{Entropy, NoEntropy, SecretText, WallMs};
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Event: a one-time login was made.
pub const ISSUED: &str = "auth.login.issued";
/// Event: a one-time login was used.
pub const REDEEMED: &str = "auth.login.redeemed";
/// Kind of a one-time login's token: `aum_login_…`.
pub const TOKEN_KIND: &str = "login";

/// A one-time login as stored, under its token's digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredLogin {
    /// First form.
    V1(LoginV1),
}

/// A one-time login as stored, first form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoginV1 {
    /// Whose.
    pub entity: EntityId,
    /// The principal's name.
    pub principal: String,
    /// The entity's epoch when it was made.
    pub entity_epoch: u64,
    /// From then on it is void.
    pub expires: WallMs,
    /// How long the session lives that it opens, in milliseconds.
    pub session_ttl_ms: u64,
}

/// The record of the login with this token digest ([`token_digest`]).
pub fn record_name(digest: &[u8; 32]) -> RecordName {
    RecordName::new(RecordKind::LOGIN, [hex(digest)])
}

/// The digest a presented login token is looked up by; `None` when it is not of that form.
pub fn token_digest(text: &str) -> Option<[u8; 32]> {
    Token::parse(text).is_ok_and(|token| token.kind == TOKEN_KIND).then(|| token::digest(text))
}

impl StoredLogin {
    /// Whether it may still open at this time, as far as its own record tells. Errors: `Damaged`.
    pub fn waits(bytes: &[u8], now: WallMs) -> Result<bool, Damaged> {
        let StoredLogin::V1(login) = decode("login record", bytes)?;
        Ok(now < login.expires)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Issued {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        login: LoginV1,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Redeemed {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        session: SessionId,
    },
}

impl Ttl {
    /// How long a one-time login waits. Errors: `session.invalid` for 0, less than a second, or too long.
    pub fn login(wait: Duration) -> Result<Ttl, Refusal> {
        Ttl::within(wait, LOGIN_TTL_MAX)
    }
}

/// Makes a one-time login for a principal.
#[derive(Debug)]
pub struct IssueLogin {
    principal: PrincipalName,
    wait: Ttl,
    session: Ttl,
    token: SecretText,
    digest: [u8; 32],
}

impl IssueLogin {
    /// A login that waits `wait` ([`Ttl::login`]) and opens a session of life `session`.
    ///
    /// Errors: `NoEntropy` (nothing happened).
    pub fn mint(
        principal: PrincipalName,
        wait: Ttl,
        session: Ttl,
        entropy: &dyn Entropy,
    ) -> Result<IssueLogin, NoEntropy> {
        let token = Token::mint(TOKEN_KIND, entropy)?;
        let digest = token::digest(token.expose());
        Ok(IssueLogin { principal, wait, session, token, digest })
    }
}

impl Command for IssueLogin {
    fn reads(&self) -> Vec<RecordName> {
        vec![principal::record_name(&self.principal)]
    }

    /// Errors: `principal.not_found`, `principal.disabled`, `principal.owner_only` (nothing happened).
    /// Reply: the token's text.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let principal = enabled(view, &self.principal)?;
        if principal.is_owner() {
            require_owner(view, cx)?;
        }
        let login = LoginV1 {
            entity: principal.entity,
            principal: principal.name.as_str().to_owned(),
            entity_epoch: principal.epoch,
            expires: self.wait.from(cx.now),
            session_ttl_ms: self.session.ms(),
        };
        let body = encode(&Issued::V1 { digest: self.digest, login })?;
        let mut outcome = Outcome::new(vec![Event { kind: ISSUED, body }], Vec::new());
        outcome.reply = self.token.duplicate().into_bytes();
        Ok(outcome)
    }
}

/// Opens a session with a one-time login, which is gone afterwards.
#[derive(Debug)]
pub struct RedeemLogin {
    digest: [u8; 32],
    fresh: FreshSession,
}

impl RedeemLogin {
    /// Opens the login with this token digest.
    pub fn new(digest: [u8; 32], fresh: FreshSession) -> RedeemLogin {
        RedeemLogin { digest, fresh }
    }
}

/// The one refusal there is: absent, used, expired, disabled, all the same to the caller.
pub fn refused() -> Refusal {
    Refusal::new(&code::LOGIN_REFUSED, "this one-time login does not open")
}

impl Command for RedeemLogin {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.digest)]
    }

    /// Errors: `auth.login_refused`, whatever the reason (nothing happened). Reply: `IssuedSession`.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let stored = view.get(&record_name(&self.digest))?.ok_or_else(refused)?;
        let StoredLogin::V1(login) = decode("login record", stored)?;
        let name = PrincipalName::parse(&login.principal).map_err(|_| refused())?;
        let principal =
            view.get(&principal::record_name(&name))?.map(Principal::decode).transpose()?.ok_or_else(refused)?;
        let same = principal.entity == login.entity && principal.epoch == login.entity_epoch;
        if !same || principal.disabled || cx.now >= login.expires {
            return Err(refused().into());
        }
        let ttl = Ttl::session(Duration::from_millis(login.session_ttl_ms))?;
        let (began, issued) = self.fresh.begin(&principal, &Terms::of(ttl), Default::default(), cx)?;
        let body = encode(&Redeemed::V1 { digest: self.digest, session: issued.id })?;
        let mut outcome = Outcome::new(vec![Event { kind: REDEEMED, body }, began], Vec::new());
        outcome.reply = issued.to_reply();
        Ok(outcome)
    }
}
