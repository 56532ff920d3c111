//! What one request leaves behind, and its codec.

use super::text;
use crate::unit::{Damaged, Position};
use crypto::WallMs;
use crypto::id::{EntityId, SessionId, TenantId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Outcome of a request that was done; anything else is the name of an error code.
pub const OK: &str = "ok";

/// One request, reads and denials included.
///
/// Text fields are as the caller sent them; longer ones than [`ROW_LIMITS`] are cut when the row is taken, with
/// length and hash in place of the rest. They are escaped where they are shown, never here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// When the request was answered, by the server's wall clock.
    pub time: WallMs,
    /// Request id.
    pub request: [u8; 16],
    /// Whose secrets were asked for; the system tenant where that is not known.
    pub tenant: TenantId,
    /// Who asked, once known.
    pub entity: Option<EntityId>,
    /// The session used.
    pub session: Option<SessionId>,
    /// Address of the peer.
    pub source: String,
    /// What was asked, such as `secret.read`; the route while it is not known.
    pub act: Cow<'static, str>,
    /// The path asked for.
    pub path: Option<String>,
    /// The version answered.
    pub version: Option<u64>,
    /// [`OK`] or the name of the error code.
    pub outcome: Cow<'static, str>,
    /// Entry of the change, if it was one.
    pub position: Option<Position>,
    /// Ids of the policies that decided.
    pub rules: Arc<[Arc<str>]>,
    /// How many requests share this row; 1 but for unauthenticated refusals in bulk.
    pub count: u32,
}

impl Row {
    /// A row with what every request has; the rest is empty and `count` is 1.
    pub fn new(
        time: WallMs,
        request: [u8; 16],
        tenant: TenantId,
        source: impl Into<String>,
        act: impl Into<Cow<'static, str>>,
        outcome: impl Into<Cow<'static, str>>,
    ) -> Row {
        Row {
            time,
            request,
            tenant,
            entity: None,
            session: None,
            source: source.into(),
            act: act.into(),
            path: None,
            version: None,
            outcome: outcome.into(),
            position: None,
            rules: Arc::default(),
            count: 1,
        }
    }

    /// Whether the request was done.
    pub fn is_ok(&self) -> bool {
        self.outcome == OK
    }

    /// Cuts every text field to its limit.
    pub(super) fn bound(&mut self) {
        text::cut(&mut self.source, ROW_LIMITS.source_bytes_max);
        bound(&mut self.act, ROW_LIMITS.act_bytes_max);
        bound(&mut self.outcome, ROW_LIMITS.outcome_bytes_max);
        if let Some(path) = &mut self.path {
            text::cut(path, ROW_LIMITS.path_bytes_max);
        }
        let fits = |rule: &Arc<str>| rule.len() <= ROW_LIMITS.rule_bytes_max;
        if self.rules.len() > ROW_LIMITS.rules_max || !self.rules.iter().all(fits) {
            let cut = |rule: &Arc<str>| {
                let mut rule = rule.to_string();
                text::cut(&mut rule, ROW_LIMITS.rule_bytes_max);
                rule.into()
            };
            self.rules = self.rules.iter().take(ROW_LIMITS.rules_max).map(cut).collect();
        }
    }

    /// What is left of it while the server has no key: time, route, source, outcome.
    pub(super) fn without_names(&self) -> Row {
        let mut row =
            Row::new(self.time, [0; 16], TenantId::SYSTEM, &*self.source, self.act.clone(), self.outcome.clone());
        row.count = self.count;
        row
    }
}

fn bound(text: &mut Cow<'static, str>, max: usize) {
    if text.len() > max {
        text::cut(text.to_mut(), max);
    }
}

/// Bounds of a row's fields, in bytes before the note that stands for what was cut.
#[derive(Clone, Copy, Debug)]
pub struct RowLimits {
    /// Peer address.
    pub source_bytes_max: usize,
    /// Act or route.
    pub act_bytes_max: usize,
    /// Path.
    pub path_bytes_max: usize,
    /// Outcome.
    pub outcome_bytes_max: usize,
    /// One policy id.
    pub rule_bytes_max: usize,
    /// Policy ids; further ones are left out.
    pub rules_max: usize,
    /// A whole encoded row.
    pub encoded_bytes_max: usize,
}

/// The bounds.
pub const ROW_LIMITS: RowLimits = RowLimits {
    source_bytes_max: 64,
    act_bytes_max: 128,
    path_bytes_max: 1024,
    outcome_bytes_max: 64,
    rule_bytes_max: 128,
    rules_max: 16,
    encoded_bytes_max: 8192,
};

/// The stored forms. Variants are only ever added at the end.
#[derive(Serialize, Deserialize)]
enum Stored<'a> {
    V1 {
        time_ms: u64,
        #[serde(with = "crypto::run::fixed")]
        request: [u8; 16],
        entity: Option<EntityId>,
        session: Option<SessionId>,
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(borrow)]
        act: Cow<'a, str>,
        #[serde(borrow)]
        path: Option<Cow<'a, str>>,
        version: Option<u64>,
        #[serde(borrow)]
        outcome: Cow<'a, str>,
        position: Option<Position>,
        #[serde(with = "texts")]
        rules: Arc<[Arc<str>]>,
        count: u32,
    },
    ClearV1 {
        time_ms: u64,
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(borrow)]
        act: Cow<'a, str>,
        #[serde(borrow)]
        outcome: Cow<'a, str>,
        count: u32,
    },
}

/// Shared texts as a sequence of texts.
mod texts {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(texts: &Arc<[Arc<str>]>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(texts.iter().map(|text| &**text))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Arc<[Arc<str>]>, D::Error> {
        Ok(Vec::<&str>::deserialize(input)?.into_iter().map(Arc::from).collect())
    }
}

/// Writes a bounded row into `out` and says how many bytes it took. The tenant stands in the frame.
pub(super) fn encode(row: &Row, clear: bool, out: &mut [u8]) -> Result<usize, Damaged> {
    let source = Cow::Borrowed(&*row.source);
    let act = Cow::Borrowed(&*row.act);
    let outcome = Cow::Borrowed(&*row.outcome);
    let stored = if clear {
        Stored::ClearV1 { time_ms: row.time.0, source, act, outcome, count: row.count }
    } else {
        Stored::V1 {
            time_ms: row.time.0,
            request: row.request,
            entity: row.entity,
            session: row.session,
            source,
            act,
            path: row.path.as_deref().map(Cow::Borrowed),
            version: row.version,
            outcome,
            position: row.position,
            rules: Arc::clone(&row.rules),
            count: row.count,
        }
    };
    match postcard::to_slice(&stored, out) {
        Ok(written) => Ok(written.len()),
        Err(_) => Err(Damaged("an access row that cannot be encoded".into())),
    }
}

/// Reads what [`encode`] wrote. Bytes left over are damage.
pub(super) fn decode(tenant: TenantId, bytes: &[u8]) -> Result<Row, Damaged> {
    let damaged = || Damaged("an access row that does not decode".into());
    let (stored, rest) = postcard::take_from_bytes::<Stored<'_>>(bytes).map_err(|_| damaged())?;
    if !rest.is_empty() {
        return Err(damaged());
    }
    Ok(match stored {
        Stored::V1 {
            time_ms,
            request,
            entity,
            session,
            source,
            act,
            path,
            version,
            outcome,
            position,
            rules,
            count,
        } => Row {
            time: WallMs(time_ms),
            request,
            tenant,
            entity,
            session,
            source: source.into_owned(),
            act: act.into_owned().into(),
            path: path.map(Cow::into_owned),
            version,
            outcome: outcome.into_owned().into(),
            position,
            rules,
            count,
        },
        Stored::ClearV1 { time_ms, source, act, outcome, count } => {
            let mut row = Row::new(WallMs(time_ms), [0; 16], tenant, source, act.into_owned(), outcome.into_owned());
            row.count = count;
            row
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Row {
        let mut row = Row::new(WallMs(5), [1; 16], TenantId::SYSTEM, "10.0.0.1", "secret.read", OK);
        row.entity = Some(EntityId::from_bytes([2; 16]));
        row.session = Some(SessionId::from_bytes([3; 16]));
        row.path = Some("db/password".into());
        row.version = Some(4);
        row.position = Some(Position { shard: 0, index: 9 });
        row.rules = ["owner".into(), "second".into()].into();
        row
    }

    #[test]
    fn a_row_reads_back_and_no_prefix_of_it_does() {
        let mut out = [0; ROW_LIMITS.encoded_bytes_max];
        let size = encode(&full(), false, &mut out).unwrap();
        assert_eq!(decode(TenantId::SYSTEM, &out[..size]).unwrap(), full());
        (0..size).for_each(|end| assert!(decode(TenantId::SYSTEM, &out[..end]).is_err(), "{end} bytes"));
        assert!(decode(TenantId::SYSTEM, &out[..=size]).is_err());
    }

    #[test]
    fn the_clear_form_holds_no_name() {
        let mut out = [0; ROW_LIMITS.encoded_bytes_max];
        let size = encode(&full(), true, &mut out).unwrap();
        let back = decode(TenantId::SYSTEM, &out[..size]).unwrap();
        assert_eq!(back, full().without_names());
        assert!(!out[..size].windows(8).any(|part| part == b"password"));
        assert!(out[..size].windows(11).any(|part| part == b"secret.read"), "control: what is in clear is found");
    }

    #[test]
    fn the_longest_row_fits_the_scratch_buffer() {
        let long = "é".repeat(10 << 10);
        let mut row = full();
        (row.source, row.act, row.outcome) = (long.clone(), long.clone().into(), long.clone().into());
        row.path = Some(long.clone());
        row.rules = vec![long.into(); 40].into();
        row.bound();
        assert_eq!(row.rules.len(), ROW_LIMITS.rules_max);
        encode(&row, false, &mut [0; ROW_LIMITS.encoded_bytes_max]).unwrap();
    }
}
