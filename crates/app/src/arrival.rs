//! What a door knows of a request before anyone is trusted.

use crypto::id::{EntityId, SessionId, TenantId};
use crypto::{SecretText, sha256};
use ledger::code::{IDEMPOTENCY_REQUIRED, REQUEST_INVALID};
use ledger::{Idempotency, Position, Refusal};
use std::net::IpAddr;

use crate::act::{Act, Mode};
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;

/// A request as it arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Its id, random.
    pub request: [u8; 16],
    /// Where it comes from, as far as proxies are trusted.
    pub source: IpAddr,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The bearer token as sent.
    pub token: Option<SecretText>,
    /// The tenant named, by name or id; the house's own when absent.
    pub tenant: Option<String>,
    /// A change that has to be known before anything is looked up, `<shard>/<index>`, as sent.
    pub after: Option<String>,
    /// The idempotency key as sent; never made up from content.
    pub idempotency: Option<String>,
    /// Digest over everything that makes the request what it is: method, target with query, body.
    pub body_digest: [u8; 32],
    /// The route's pattern, such as `PUT /api/v1/secrets/{path}`.
    pub route: &'static str,
}

impl Arrival {
    /// The change that has to be known. Errors: `request.invalid`.
    pub(crate) fn after(&self) -> Result<Option<Position>, Refusal> {
        let Some(text) = &self.after else { return Ok(None) };
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let position = text.split_once('/').and_then(|(shard, index)| {
            Some(Position { shard: u32::try_from(number(shard)?).ok()?, index: number(index)? })
        });
        let why = "`Aumbry-Position` is the shard and the index of a change, such as 0/1234";
        position.map(Some).ok_or_else(|| Refusal::new(&REQUEST_INVALID, why))
    }

    /// Ties the request to its first answer, bound to tenant, principal, route and body; where the answer holds something
    /// made just now, to the session too: a lesser session of the same principal is not given what a wider one was.
    ///
    /// Errors: `idempotency.required` where something is minted, `request.invalid` for a key that is empty, too long
    /// or not printable ASCII.
    pub(crate) fn idempotency(
        &self,
        act: &Act,
        tenant: TenantId,
        entity: EntityId,
        session: Option<SessionId>,
    ) -> Result<Option<Idempotency>, Refusal> {
        let Some(key) = &self.idempotency else {
            if act.kind.mode == Mode::Mint {
                return Err(Refusal::new(&IDEMPOTENCY_REQUIRED, "this request makes something new"));
            }
            return Ok(None);
        };
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            let why = format!("an idempotency key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters");
            return Err(Refusal::new(&REQUEST_INVALID, why));
        }
        let session = session.filter(|_| act.kind.mode == Mode::Mint);
        let session = session.as_ref().map_or(&[] as &[u8], |session| session.as_bytes().as_slice());
        let whose = digest(&[tenant.as_bytes(), entity.as_bytes(), self.route.as_bytes(), key.as_bytes(), session]);
        let mut parts: Vec<Vec<u8>> = vec![self.body_digest.to_vec(), act.kind.name.as_bytes().to_vec()];
        parts.extend(act.subjects().into_iter().map(|subject| subject.unwrap_or_default().into_bytes()));
        let body = digest(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut key = [0; 16];
        key.copy_from_slice(whose.split_at(16).0);
        Ok(Some(Idempotency { key, body }))
    }
}

/// SHA-256 over the parts, each with its length before it.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        all.extend_from_slice(part);
    }
    sha256(&all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Path;

    fn arrival(key: Option<&str>, body: u8) -> Arrival {
        Arrival {
            request: [0; 16],
            source: IpAddr::from([127, 0, 0, 1]),
            tls: true,
            token: None,
            tenant: None,
            after: None,
            idempotency: key.map(str::to_owned),
            body_digest: [body; 32],
            route: "PUT /x",
        }
    }

    fn made(arrival: &Arrival, path: &str, who: u8) -> Idempotency {
        let act = Act::secret_write(Path::parse(path).unwrap());
        let (tenant, entity) = (TenantId::from_bytes([1; 16]), EntityId::from_bytes([who; 16]));
        arrival.idempotency(&act, tenant, entity, None).unwrap().unwrap()
    }

    #[test]
    fn a_key_is_bound_to_principal_route_and_body() {
        let first = made(&arrival(Some("k"), 1), "a", 1);
        assert_eq!(first, made(&arrival(Some("k"), 1), "a", 1));
        assert_ne!(first.key, made(&arrival(Some("k"), 1), "a", 2).key, "another principal's key is another key");
        let other_route = Arrival { route: "POST /x", ..arrival(Some("k"), 1) };
        assert_ne!(first.key, made(&other_route, "a", 1).key);
        let other_body = made(&arrival(Some("k"), 2), "a", 1);
        assert_eq!(first.key, other_body.key);
        assert_ne!(first.body, other_body.body);
        assert_ne!(first.body, made(&arrival(Some("k"), 1), "b", 1).body, "another path is another body");
    }

    #[test]
    fn what_is_made_is_bound_to_the_session_and_what_is_changed_is_not() {
        let (tenant, entity) = (TenantId::from_bytes([1; 16]), EntityId::from_bytes([1; 16]));
        let key = |act: &Act, session: u8| {
            let session = Some(SessionId::from_bytes([session; 16]));
            arrival(Some("k"), 1).idempotency(act, tenant, entity, session).unwrap().unwrap().key
        };
        let (made, changed) = (Act::session_derive(), Act::secret_write(Path::parse("a").unwrap()));
        assert_ne!(key(&made, 1), key(&made, 2));
        assert_eq!(key(&changed, 1), key(&changed, 2), "a retry after another login");
    }

    #[test]
    fn no_key_is_ever_made_up() {
        let act = Act::secret_write(Path::parse("a").unwrap());
        let ids = (TenantId::from_bytes([1; 16]), EntityId::from_bytes([1; 16]));
        assert_eq!(arrival(None, 1).idempotency(&act, ids.0, ids.1, None).unwrap(), None);
    }

    #[test]
    fn a_key_is_printable_and_up_to_255_characters() {
        let act = Act::secret_write(Path::parse("a").unwrap());
        let ids = (TenantId::from_bytes([1; 16]), EntityId::from_bytes([1; 16]));
        let take = |key: &str| arrival(Some(key), 1).idempotency(&act, ids.0, ids.1, None);
        assert!(take(&"k".repeat(255)).is_ok());
        for bad in ["", "a\nb", "é", &"k".repeat(256)] {
            assert_eq!(take(bad).unwrap_err().code.name, "request.invalid");
        }
    }
}
