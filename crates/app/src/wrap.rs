//! Wrapped things: handed over by a token that opens once.

use crate::act::Act;
use crate::app::App;
use crate::arrival::Arrival;
use crate::authenticate::damaged;
use crate::grant::{Authorized, bug};
use crate::one_time::{self, OneTime};
use crate::reply::{Changed, Reply};
use crate::secret::{self, Revealed};
use access::session::Ttl;
use access::wrap::{self, Found, MadeWrap, MakeWrap, OpenWrap};
use crypto::{SecretBytes, SecretText, WallMs};
use ledger::{Path, Refusal};
use secrets::{Encoding, Labels};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is in a wrap.
#[derive(Debug)]
pub enum Content {
    /// Something the caller gave.
    Text(SecretText),
    /// A secret as it was when it was wrapped.
    Secret(Revealed),
}

/// As it is sealed.
#[derive(Serialize, Deserialize)]
enum Packed<'a> {
    Text(&'a str),
    Secret {
        path: &'a str,
        version: u64,
        created: WallMs,
        encoding: Encoding,
        labels: Labels,
        expires: Option<WallMs>,
        value: &'a [u8],
    },
}

impl Content {
    fn pack(&self) -> Result<SecretBytes, Refusal> {
        let packed = match self {
            Content::Text(text) => Packed::Text(text.expose()),
            Content::Secret(revealed) => Packed::Secret {
                path: revealed.path.as_str(),
                version: revealed.version,
                created: revealed.created,
                encoding: revealed.encoding,
                labels: revealed.labels.clone(),
                expires: revealed.expires,
                value: revealed.value.expose(),
            },
        };
        let unpacked = |_| bug("something that cannot be packed");
        // Of full length from the start, so that the value is never moved while it grows.
        let length = postcard::experimental::serialized_size(&packed).map_err(unpacked)?;
        let mut bytes = SecretBytes::zeroed(length);
        postcard::to_slice(&packed, bytes.expose_mut()).map_err(unpacked)?;
        Ok(bytes)
    }

    fn unpack(bytes: &SecretBytes) -> Result<Content, Refusal> {
        let unknown = || damaged(ledger::Damaged("what was wrapped".into()));
        Ok(match postcard::from_bytes(bytes.expose()).map_err(|_| unknown())? {
            Packed::Text(text) => Content::Text(SecretText::new(text.to_owned())),
            Packed::Secret { path, version, created, encoding, labels, expires, value } => Content::Secret(Revealed {
                path: Path::parse(path).map_err(|_| unknown())?,
                version,
                created,
                encoding,
                labels,
                expires,
                value: SecretBytes::from_slice(value),
            }),
        })
    }
}

/// Wraps a text, or the secret the act names, which counts as read.
///
/// Errors: `session.invalid` for the time; `secret.limit`; those of a read (nothing happened).
pub async fn make(grant: Authorized, text: Option<SecretText>, wait: Duration) -> Result<Changed<MadeWrap>, Refusal> {
    let wait = Ttl::wrap(wait)?;
    let content = match text {
        Some(text) => Content::Text(text),
        None => Content::Secret(secret::wrapped(&grant).await?),
    };
    let command = MakeWrap::mint(grant.tenant(), &content.pack()?, wait, &*grant.app.parts().entropy)?;
    let done = grant.change(command).await?;
    let what = MadeWrap::from_reply(&done.reply).map_err(damaged)?;
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Opens something wrapped, once.
///
/// The arrival's bearer token is not looked at. Errors: `wrap.refused`, the same for what is unknown, void or malformed;
/// `wrap.opened` for what was opened before, which is an alarm and stands in the ledger; `idempotency.required`.
pub async fn open(app: &App, arrival: Arrival, token: SecretText) -> Reply<Changed<Content>> {
    let presented =
        OneTime { act: Act::wrap_open(), digest: wrap::token_digest(token.expose()), refused: wrap::refused };
    let command = |digest| Ok(Box::new(OpenWrap::new(digest)) as Box<dyn ledger::Command>);
    one_time::spend(app, arrival, presented, command, move |used| async move {
        let found = Found::from_reply(&used.done.reply);
        Content::unpack(&found.open(used.tenant, &token)?)
    })
    .await
}
