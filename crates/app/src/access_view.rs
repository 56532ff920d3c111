//! Who touched what: rows of the access log, each with its proof if asked for.

use crate::act::Target;
use crate::grant::Authorized;
use crate::limits;
use crate::reply::Page;
use crate::secret::name_of;
use access::{PrincipalName, Resource};
use bytes::Bytes;
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::access_log::{ClosedSegment, Filter, Numbered, OutcomeIs, RowCursor, RowProof};
use ledger::code::{PRINCIPAL_NOT_FOUND, STORAGE_DAMAGED};
use ledger::{Position, Prefix, Refusal};
use std::collections::BTreeMap;

/// Which rows; the path is that of the act.
#[derive(Clone, Debug, Default)]
pub struct AccessQuery {
    /// Of this principal, by name or entity id.
    pub principal: Option<String>,
    /// At or after this time.
    pub since: Option<WallMs>,
    /// Before this time.
    pub until: Option<WallMs>,
    /// How it ended: `ok`, `refused`, or a code.
    pub outcome: Option<String>,
    /// With this act.
    pub act: Option<String>,
    /// Where an earlier page stopped.
    pub cursor: Option<String>,
    /// Rows on the page, 1 to 1,000; anything else means 1,000.
    pub limit: Option<u64>,
    /// With the proof that each row is in the ledger; closes the open segment first.
    pub proof: bool,
}

/// A row as shown.
#[derive(Clone, Debug)]
pub struct RowShown {
    /// The row and its place in the log.
    pub row: Numbered,
    /// Name of who asked, where it is still known.
    pub principal: Option<String>,
    /// Its proof, if asked for.
    pub proof: Option<RowProof>,
    /// The segment's entry as it stands in the ledger, with the proof. Holds no name and no value in clear.
    pub entry: Option<Bytes>,
}

/// A segment of the log as shown.
#[derive(Clone, Debug)]
pub struct SegmentShown {
    /// Its number.
    pub number: u64,
    /// What the ledger says of it; none while it is open.
    pub closed: Option<(ClosedSegment, Position)>,
}

/// Rows of the caller's tenant, newest first, about what the act names.
///
/// A page may be shorter than asked for and still have a next one. Errors: `access.outcome_unknown`, `cursor.invalid`,
/// `principal.not_found`.
pub async fn query(grant: Authorized, query: AccessQuery) -> Result<Page<RowShown>, Refusal> {
    let (parts, tenant) = (grant.app.parts(), grant.tenant());
    let filter = Filter {
        tenant: Some(tenant),
        path: about(&grant)?,
        entity: entity(&grant, query.principal.as_deref()).await?,
        since: query.since,
        until: query.until,
        outcome: query.outcome.map(|outcome| outcome.parse::<OutcomeIs>()).transpose()?,
        act: query.act,
    };
    let what = format!("{filter:?}");
    let bound: [&[u8]; 2] = [b"access", what.as_bytes()];
    let cursors = grant.app.cursors();
    let from = match &query.cursor {
        Some(text) => Some(cursors.read::<String>(tenant, &bound, text)?.parse::<RowCursor>()?),
        None => None,
    };
    if query.proof {
        parts.access_log.close(&*parts.anchor).await?;
    }
    let mut page = parts.access_log.query(&filter, from, limits::page(query.limit)?).await?;
    page.rows.retain(|row| covers(&grant, row.row.path.as_deref()));
    let proofs = match query.proof {
        true => parts.access_log.prove(&page.rows, &*parts.anchor).await?.into_iter().map(Some).collect(),
        false => vec![None; page.rows.len()],
    };
    let mut names: BTreeMap<EntityId, Option<String>> = BTreeMap::new();
    let mut entries = BTreeMap::new();
    let mut items = Vec::with_capacity(page.rows.len());
    for (row, proof) in page.rows.into_iter().zip(proofs) {
        let principal = match row.row.entity {
            None => None,
            Some(entity) => match names.get(&entity) {
                Some(name) => name.clone(),
                None => {
                    let name = name_of(grant.ledger(), tenant, entity).await?;
                    names.insert(entity, name.clone());
                    name
                }
            },
        };
        let entry = match &proof {
            None => None,
            Some(proof) => Some(entry_at(&grant, proof.position, &mut entries).await?),
        };
        items.push(RowShown { row, principal, proof, entry });
    }
    let next = page.next.map(|next| cursors.write(tenant, &bound, &next.to_string())).transpose()?;
    Ok(Page { items, next })
}

/// A segment's entry; its rows share it.
async fn entry_at(grant: &Authorized, at: Position, known: &mut BTreeMap<u64, Bytes>) -> Result<Bytes, Refusal> {
    if let Some(entry) = known.get(&at.index) {
        return Ok(entry.clone());
    }
    let missing = || Refusal::new(&STORAGE_DAMAGED, "the entry of a segment is missing");
    let found = grant.ledger().entries(at.index, 1).await?;
    let entry = found.first().ok_or_else(missing)?.bytes.clone();
    known.insert(at.index, entry.clone());
    Ok(entry)
}

/// The segments of the log, oldest first. Errors: `storage.unavailable`.
pub async fn segments(grant: Authorized) -> Result<Vec<SegmentShown>, Refusal> {
    let parts = grant.app.parts();
    let mut all = Vec::new();
    let Some((oldest, newest)) = parts.access_log.segments().await? else { return Ok(all) };
    for number in oldest..=newest {
        let found = parts.anchor.find(parts.access_log.id(), number).await?;
        all.push(SegmentShown { number, closed: found.map(|found| (found.segment, found.position)) });
    }
    Ok(all)
}

/// The path rows must be at or below.
fn about(grant: &Authorized) -> Result<Option<Prefix>, Refusal> {
    match &grant.act.target {
        Target::One(Resource::Secret(path)) => Prefix::parse(path.as_str()).map(Some),
        Target::One(Resource::Folder(folder)) => Ok(Some(folder.clone())),
        _ => Ok(None),
    }
}

/// Whether the right that was checked covers a row: a right on a secret is none on what lies below its name, and one on
/// a folder is none on the secret of that name.
fn covers(grant: &Authorized, path: Option<&str>) -> bool {
    match &grant.act.target {
        Target::One(Resource::Secret(secret)) => path == Some(secret.as_str()),
        Target::One(Resource::Folder(folder)) => path.is_some_and(|path| {
            folder.as_str().is_empty() || path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        }),
        _ => true,
    }
}

async fn entity(grant: &Authorized, principal: Option<&str>) -> Result<Option<EntityId>, Refusal> {
    let Some(text) = principal else { return Ok(None) };
    if let Ok(id) = text.parse::<EntityId>() {
        return Ok(Some(id));
    }
    let missing = || Refusal::new(&PRINCIPAL_NOT_FOUND, "there is no principal of this name");
    let name = access::principal::record_name(&PrincipalName::parse(text)?);
    let record = grant.ledger().record(grant.tenant(), &name).await?.ok_or_else(missing)?;
    let principal = access::Principal::decode(&record).map_err(crate::authenticate::damaged)?;
    Ok(Some(principal.entity))
}
