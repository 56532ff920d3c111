//! One row as a line of JSON.

use crypto::id::TenantId;
use ledger::Position;
use ledger::access_log::{Numbered, shown};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Gives names a keyed hash, so that lines of one name can be found together by who may ask for the hash.
pub trait HashedNames: Send + Sync + fmt::Debug {
    /// The hash of a name, another one per tenant and reader; `None` while there is no key.
    fn hashed(&self, tenant: TenantId, reader: &str, name: &str) -> Option<[u8; 16]>;
}

impl HashedNames for ledger::Ledger {
    fn hashed(&self, tenant: TenantId, reader: &str, name: &str) -> Option<[u8; 16]> {
        self.hashed_name(tenant, reader, name)
    }
}

/// How a stream shows paths, who asked, and policies.
#[derive(Clone, Debug)]
pub enum Names {
    /// Paths, entities and sessions hashed, policies left out.
    Hashed(Arc<dyn HashedNames>),
    /// As they are.
    InClear,
}

#[derive(Serialize)]
struct Line<'a> {
    time_ms: u64,
    log: &'a str,
    segment: u64,
    sequence: u64,
    tenant: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_hash: Option<String>,
    source: String,
    act: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    count: u32,
    request: String,
}

impl Names {
    /// Appends the row's line for this reader. Text of callers is escaped so that none can forge a line.
    pub(super) fn write(&self, out: &mut Vec<u8>, log: &str, reader: &str, numbered: &Numbered) -> Result<(), String> {
        let row = &numbered.row;
        let (entity, session) = (row.entity.map(|id| id.to_string()), row.session.map(|id| id.to_string()));
        let path = row.path.clone();
        let mut line = Line {
            time_ms: row.time.0,
            log,
            segment: numbered.segment,
            sequence: numbered.sequence,
            tenant: row.tenant,
            entity: None,
            entity_hash: None,
            session: None,
            session_hash: None,
            source: shown(&row.source),
            act: shown(&row.act),
            path: None,
            path_hash: None,
            version: row.version,
            outcome: &row.outcome,
            position: row.position,
            rules: None,
            count: row.count,
            request: hex(&row.request),
        };
        match self {
            Names::Hashed(names) => {
                let hashed = |name: String| names.hashed(row.tenant, reader, &name).map(|hash| hex(&hash));
                line.entity_hash = entity.and_then(hashed);
                line.session_hash = session.and_then(hashed);
                line.path_hash = path.and_then(hashed);
            }
            Names::InClear => {
                (line.entity, line.session, line.path) = (entity, session, path.map(|path| shown(&path)));
                line.rules = Some(row.rules.iter().map(|rule| shown(rule)).collect());
            }
        }
        serde_json::to_writer(&mut *out, &line).map_err(|error| error.to_string())?;
        out.push(b'\n');
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
