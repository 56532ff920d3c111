//! What the access log asks of the ledger: keys for its rows, entries for its segments.

use crate::access_log::{
    Anchor, Anchored, ClosedSegment, LogId, RemovedSegments, RowKeys, SEGMENT_CLOSED, SEGMENTS_REMOVED,
};
use crate::code::{self, Refusal};
use crate::ledger::Ledger;
use crate::ring::Ring;
use crate::unit::{
    Actor, Command, Context, Damaged, Event, EventRef, Halt, Outcome, Position, RecordKind, RecordName, Rules, Unit,
    View,
};
use crypto::aead::{Key, LogKey};
use crypto::id::{KeyId, OperationId, TenantId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use storage::BoxFuture;

/// Record of an anchored segment.
#[derive(Serialize, Deserialize)]
enum StoredAnchor {
    V1 { segment: ClosedSegment, position: Position },
}

fn record(log: LogId, number: u64) -> RecordName {
    RecordName::new(RecordKind::SEGMENT, [log.to_string(), format!("{number:020}")])
}

fn decode(body: &[u8]) -> Result<Anchored, Damaged> {
    let StoredAnchor::V1 { segment, position } = postcard::from_bytes(body)
        .map_err(|_| Damaged("the record of an access log segment does not decode".into()))?;
    Ok(Anchored { segment, position })
}

/// Rules of the access log's events.
#[derive(Debug)]
pub(crate) struct SegmentRules;

impl Rules for SegmentRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[SEGMENT_CLOSED, SEGMENTS_REMOVED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        if event.kind == SEGMENT_CLOSED {
            let segment = ClosedSegment::decode(event.body)?;
            return Ok(vec![record(segment.log, segment.number)]);
        }
        Ok(Vec::new())
    }

    fn evolve(&self, _: &RecordName, _: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        let stored = StoredAnchor::V1 { segment: ClosedSegment::decode(event.body)?, position: event.stamp.position };
        let body = postcard::to_allocvec(&stored).map_err(|_| Damaged("a segment that cannot be encoded".into()))?;
        Ok(Some(body))
    }
}

/// Commits the entry of a segment unless it has one; answers with nothing, the caller reads the record.
#[derive(Debug)]
struct AnchorSegment(ClosedSegment);

impl Command for AnchorSegment {
    fn reads(&self) -> Vec<RecordName> {
        vec![record(self.0.log, self.0.number)]
    }

    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let events = match view.get(&record(self.0.log, self.0.number))? {
            Some(_) => Vec::new(),
            None => vec![Event { kind: SEGMENT_CLOSED, body: self.0.encode()? }],
        };
        Ok(Outcome::new(events, Vec::new()))
    }
}

/// Commits the entry that says which segments go.
#[derive(Debug)]
struct RemoveSegments(RemovedSegments);

impl Command for RemoveSegments {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        Ok(Outcome::new(vec![Event { kind: SEGMENTS_REMOVED, body: self.0.encode()? }], Vec::new()))
    }
}

impl Ledger {
    /// Keyed hash of a name for those who may know that two names are equal but not which they are; `None` while the
    /// server is sealed.
    ///
    /// Output is 16 bytes, the head of HMAC-SHA-256(name key of the tenant, hash of `reader`, name): equal names of two
    /// tenants or for two readers get unrelated hashes. The name key is never replaced, so hashes last.
    pub fn hashed_name(&self, tenant: TenantId, reader: &str, name: &str) -> Option<[u8; 16]> {
        let whole = crypto::sha256(&[b"aumbry name for a reader\0", reader.as_bytes()].concat());
        let (parent, _) = whole.split_first_chunk::<16>()?;
        let keys = self.inner.state.ring.tenant(tenant).ok()?;
        Some(keys.names().ok()?.id_of(*parent, name))
    }

    /// Authenticator of something that is given out and brought back, such as a cursor; the same at each start.
    ///
    /// 16 bytes, the head of HMAC-SHA-256(name key of the tenant, hash of `purpose`, digest in hexadecimal): another one for
    /// each tenant and purpose. Errors: `Sealed` without the key.
    pub fn tag(&self, tenant: TenantId, purpose: &str, digest: &[u8; 32]) -> Result<[u8; 16], Refusal> {
        let whole = crypto::sha256(&[b"aumbry tag\0", purpose.as_bytes()].concat());
        let parent = whole.first_chunk().copied().unwrap_or_default();
        let digest = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        Ok(self.inner.state.ring.tenant(tenant)?.names()?.id_of(parent, &digest))
    }

    /// Owner of this ledger's access rows in its own store, the same at each start.
    ///
    /// Eight bytes, the head of SHA-256 of the origin, which never changes. Errors: `Sealed` before the ledger is open.
    pub fn access_owner(&self) -> Result<[u8; 8], Refusal> {
        let whole = crypto::sha256(format!("aumbry access log of\0{}", self.origin()?).as_bytes());
        Ok(whole.first_chunk().copied().unwrap_or_default())
    }
}

impl RowKeys for Ledger {
    fn current(&self, tenant: TenantId) -> Result<Arc<Key<LogKey>>, Refusal> {
        self.inner.state.ring.current(tenant)
    }

    fn by_id(&self, tenant: TenantId, id: KeyId) -> Result<Arc<Key<LogKey>>, Refusal> {
        self.inner.state.ring.by_id(tenant, id)
    }
}

impl RowKeys for Ring {
    fn current(&self, tenant: TenantId) -> Result<Arc<Key<LogKey>>, Refusal> {
        Ok(Arc::clone(&self.tenant(tenant)?.current_log()?.key))
    }

    fn by_id(&self, tenant: TenantId, id: KeyId) -> Result<Arc<Key<LogKey>>, Refusal> {
        let keys = self.tenant(tenant)?;
        keys.log_by_id(id).cloned().map_err(|error| crate::ring::damaged("an access row's key", &error))
    }
}

impl Anchor for Ledger {
    fn anchor(&self, segment: ClosedSegment) -> BoxFuture<'_, Result<Position, Refusal>> {
        Box::pin(async move {
            let (log, number) = (segment.log, segment.number);
            self.submit_own(Box::new(AnchorSegment(segment))).await?;
            let found = self.find(log, number).await?;
            found
                .map(|anchored| anchored.position)
                .ok_or_else(|| Refusal::new(&code::BUG, "a segment was not anchored"))
        })
    }

    fn removed(&self, segments: RemovedSegments) -> BoxFuture<'_, Result<Position, Refusal>> {
        Box::pin(async move {
            let position = self.submit_own(Box::new(RemoveSegments(segments))).await?;
            position.ok_or_else(|| Refusal::new(&code::BUG, "a removal made no entry"))
        })
    }

    fn find(&self, log: LogId, number: u64) -> BoxFuture<'_, Result<Option<Anchored>, Refusal>> {
        Box::pin(async move {
            let body = self.record(TenantId::SYSTEM, &record(log, number)).await?;
            Ok(body.map(|body| decode(&body)).transpose()?)
        })
    }
}

impl Ledger {
    /// Submits a command of the house itself; gives the position of its last entry.
    pub(crate) async fn submit_own(&self, command: Box<dyn Command>) -> Result<Option<Position>, Refusal> {
        let now = self.inner.clock.wall();
        let operation = OperationId::generate(now, self.inner.entropy.as_ref()).map_err(crate::ring::no_entropy)?;
        let (tenant, actor) = (TenantId::SYSTEM, Actor::SYSTEM);
        let unit = Unit { tenant, actor, commands: vec![command], idempotency: None, operation };
        Ok(self.submit(unit).await?.position)
    }
}
