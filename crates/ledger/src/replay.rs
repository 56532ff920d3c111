//! Repeated requests: the first answer is kept, sealed, for 24 hours.

use crate::build::Decided;
use crate::code::{self, Refusal};
use crate::unit::{Damaged, Idempotency, Position, Receipt, Unit};
use crypto::id::OperationId;
use crypto::secret::SecretBytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long an answer is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A kept answer. The replies may hold secrets; at rest they are sealed under the state key.
#[derive(Debug)]
pub(crate) struct Replay {
    body: [u8; 32],
    position: Option<Position>,
    replies: Vec<SecretBytes>,
}

#[derive(Serialize, Deserialize)]
enum Stored {
    V1 {
        #[serde(with = "crypto::run::fixed")]
        body: [u8; 32],
        position: Option<Position>,
        replies: Vec<Vec<u8>>,
    },
}

impl Replay {
    pub(crate) fn encode(
        idempotency: &Idempotency,
        position: Option<Position>,
        replies: &[SecretBytes],
    ) -> Result<Vec<u8>, Damaged> {
        let replies = replies.iter().map(|reply| reply.expose().to_vec()).collect();
        postcard::to_allocvec(&Stored::V1 { body: idempotency.body, position, replies })
            .map_err(|_| Damaged("an answer that cannot be kept".into()))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Replay, Damaged> {
        let Stored::V1 { body, position, replies } =
            postcard::from_bytes(bytes).map_err(|_| Damaged("a kept answer that does not decode".into()))?;
        Ok(Replay { body, position, replies: replies.into_iter().map(SecretBytes::new).collect() })
    }

    /// The kept answer for an equal request. Errors: `idempotency.reused` when the body differs.
    pub(crate) fn answer(self, unit: &Unit) -> Result<Decided, Refusal> {
        Ok(Decided { receipt: self.receipt(unit.idempotency.as_ref())?, await_fold: false })
    }

    /// As [`Replay::answer`], without its unit.
    pub(crate) fn receipt(self, idempotency: Option<&Idempotency>) -> Result<Receipt, Refusal> {
        if idempotency.is_none_or(|idempotency| idempotency.body != self.body) {
            return Err(Refusal::new(
                &code::IDEMPOTENCY_REUSED,
                "this Idempotency-Key belongs to a request with another body",
            ));
        }
        Ok(Receipt { replies: self.replies, position: self.position, replayed: true })
    }
}

/// Name of the volatile mark of a unit that made no entry.
pub(crate) fn operation_key(operation: OperationId) -> [u8; 16] {
    head(&crypto::sha256(&[b"operation".as_slice(), operation.as_bytes()].concat()))
}

/// Id of the n-th intent of a unit.
pub(crate) fn intent_id(operation: OperationId, n: u32) -> [u8; 16] {
    head(&crypto::sha256(&[b"intent".as_slice(), operation.as_bytes(), &n.to_be_bytes()].concat()))
}

fn head(digest: &crypto::Hash) -> [u8; 16] {
    let mut out = [0; 16];
    out.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    out
}
