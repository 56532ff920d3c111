//! Wrapped things: a token that hands something over once, for a limited time.
//!
//! What is handed over is sealed under a key that follows from the token, of which only the digest is stored: neither records
//! nor entries nor keys of the server lead to it. The first opening takes it out of the records; that it was opened is
//! remembered until its time is over, so that a second opening is an alarm.

use crate::codec::{decode, encode, hex};
use crate::limits::{WRAP_BYTES_MAX, WRAP_TTL_MAX};
use crate::session::Ttl;
use crypto::aead::{Aad, SealFail};
use crypto::id::{EntityId, TenantId};
use crypto::token::{self, Token};
use crypto::{Entropy, SecretBytes, SecretText, WallMs};
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Event: something was wrapped.
pub const MADE: &str = "auth.wrap.made";
/// Event: it was opened.
pub const OPENED: &str = "auth.wrap.opened";
/// Event, an alarm: somebody tried to open it once more. Either of the two was not meant to.
pub const REOPENED: &str = "auth.wrap.reopened";
/// Kind of a wrap's token: `aum_wrap_…`.
pub const TOKEN_KIND: &str = "wrap";

/// Something wrapped, as stored under its token's digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredWrap {
    /// First form.
    V1(WrapV1),
}

/// Something wrapped, first form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WrapV1 {
    /// Who wrapped it.
    pub by: EntityId,
    /// From then on it is void.
    pub expires: WallMs,
    /// What is in it, under [`token::bearer_key`]; nothing once it was opened.
    #[serde(with = "crypto::run")]
    pub sealed: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Made {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
        wrap: WrapV1,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Opened {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        digest: [u8; 32],
    },
}

/// The record of what has this token digest.
pub fn record_name(digest: &[u8; 32]) -> RecordName {
    RecordName::new(RecordKind::WRAP, [hex(digest)])
}

/// The digest a presented token is looked up by; `None` when it is not of that form.
pub fn token_digest(text: &str) -> Option<[u8; 32]> {
    Token::parse(text).is_ok_and(|token| token.kind == TOKEN_KIND).then(|| token::digest(text))
}

/// The one refusal there is for what is absent, void or malformed.
pub fn refused() -> Refusal {
    Refusal::new(&code::WRAP_REFUSED, "this token opens nothing")
}

impl StoredWrap {
    /// Whether its time is not over. Errors: `Damaged`.
    pub fn waits(bytes: &[u8], now: WallMs) -> Result<bool, Damaged> {
        let StoredWrap::V1(wrap) = decode("wrap record", bytes)?;
        Ok(now < wrap.expires)
    }

    /// As it is once it was opened. Errors: `Damaged`.
    pub(crate) fn emptied(bytes: &[u8]) -> Result<StoredWrap, Damaged> {
        let StoredWrap::V1(wrap) = decode("wrap record", bytes)?;
        Ok(StoredWrap::V1(WrapV1 { sealed: Vec::new(), ..wrap }))
    }
}

impl Ttl {
    /// How long something wrapped waits. Errors: `session.invalid` for 0, less than a second, or too long.
    pub fn wrap(wait: Duration) -> Result<Ttl, Refusal> {
        Ttl::within(wait, WRAP_TTL_MAX)
    }
}

/// Wraps something.
#[derive(Debug)]
pub struct MakeWrap {
    wait: Ttl,
    token: SecretText,
    digest: [u8; 32],
    sealed: Vec<u8>,
}

/// The answer of [`MakeWrap`].
#[derive(Debug)]
pub struct MadeWrap {
    /// What opens it, shown this once.
    pub token: SecretText,
    /// From then on it does not.
    pub expires: WallMs,
}

impl MakeWrap {
    /// Wraps `content`, at most [`WRAP_BYTES_MAX`], for [`Ttl::wrap`].
    ///
    /// Errors: `secret.limit`, `entropy.failed` (nothing happened).
    pub fn mint(
        tenant: TenantId,
        content: &SecretBytes,
        wait: Ttl,
        entropy: &dyn Entropy,
    ) -> Result<MakeWrap, Refusal> {
        let bytes = content.expose().len();
        if bytes > WRAP_BYTES_MAX {
            let why = format!("{bytes} bytes are to be wrapped, at most {WRAP_BYTES_MAX} can be");
            return Err(Refusal::new(&code::SECRET_LIMIT, why));
        }
        let none = |_| Refusal::new(&code::ENTROPY_FAILED, "no randomness was to be had");
        let token = Token::mint(TOKEN_KIND, entropy).map_err(none)?;
        let digest = token::digest(token.expose());
        let key = token::bearer_key(token.expose()).map_err(|_| Refusal::new(&code::BUG, "a token without a key"))?;
        let sealed = key.seal(entropy, Aad::handed(tenant, &digest), content.expose());
        let sealed = sealed.map_err(|why: SealFail| Refusal::new(&code::ENTROPY_FAILED, why.to_string()))?;
        Ok(MakeWrap { wait, token, digest, sealed })
    }
}

impl Command for MakeWrap {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    /// Reply: [`MadeWrap`].
    fn decide(&self, _view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let expires = self.wait.from(cx.now);
        let wrap = WrapV1 { by: cx.actor.entity, expires, sealed: self.sealed.clone() };
        let body = encode(&Made::V1 { digest: self.digest, wrap })?;
        let mut outcome = Outcome::new(vec![Event { kind: MADE, body }], Vec::new());
        let token = self.token.expose().as_bytes();
        // Of full length from the start, so that the token is never moved while it grows.
        let mut reply = Vec::with_capacity(token.len().saturating_add(8));
        reply.extend_from_slice(&expires.0.to_be_bytes());
        reply.extend_from_slice(token);
        outcome.reply = SecretBytes::new(reply);
        Ok(outcome)
    }
}

impl MadeWrap {
    /// Reads the answer. Errors: `Damaged`.
    pub fn from_reply(reply: &SecretBytes) -> Result<MadeWrap, Damaged> {
        let damaged = || Damaged("reply about something wrapped".into());
        let (expires, token) = reply.expose().split_first_chunk::<8>().ok_or_else(damaged)?;
        let token = SecretBytes::from_slice(token).into_text().map_err(|_| damaged())?;
        Ok(MadeWrap { token, expires: WallMs(u64::from_be_bytes(*expires)) })
    }
}

/// Opens something wrapped, or notes that it was opened before.
#[derive(Debug)]
pub struct OpenWrap {
    digest: [u8; 32],
}

impl OpenWrap {
    /// What has this token digest.
    pub fn new(digest: [u8; 32]) -> OpenWrap {
        OpenWrap { digest }
    }
}

/// What [`OpenWrap`] found.
#[derive(Debug)]
pub enum Found {
    /// What was wrapped, still sealed: [`Found::open`].
    Sealed(Vec<u8>),
    /// Nothing: it was opened before, which is an alarm.
    OpenedBefore,
}

impl Command for OpenWrap {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.digest)]
    }

    /// Errors: `wrap.refused` for what is absent or void (nothing happened). Reply: [`Found`]. An opening after the first
    /// takes effect too: its event is the alarm.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let stored = view.get(&record_name(&self.digest))?.ok_or_else(refused)?;
        let StoredWrap::V1(wrap) = decode("wrap record", stored)?;
        if cx.now >= wrap.expires {
            return Err(refused().into());
        }
        let kind = if wrap.sealed.is_empty() { REOPENED } else { OPENED };
        let body = encode(&Opened::V1 { digest: self.digest })?;
        Ok(Outcome::new(vec![Event { kind, body }], wrap.sealed))
    }
}

impl Found {
    /// Reads the answer of [`OpenWrap`].
    pub fn from_reply(reply: &SecretBytes) -> Found {
        match reply.expose() {
            [] => Found::OpenedBefore,
            sealed => Found::Sealed(sealed.to_vec()),
        }
    }

    /// What was wrapped. Errors: `wrap.opened`; `storage.damaged`.
    pub fn open(&self, tenant: TenantId, token: &SecretText) -> Result<SecretBytes, Refusal> {
        let Found::Sealed(sealed) = self else {
            return Err(Refusal::new(&code::WRAP_OPENED, "somebody has opened it before"));
        };
        let damaged = || Refusal::new(&code::STORAGE_DAMAGED, "what was wrapped does not open");
        let key = token::bearer_key(token.expose()).map_err(|_| damaged())?;
        key.open(Aad::handed(tenant, &token::digest(token.expose())), sealed).map_err(|_| damaged())
    }
}
