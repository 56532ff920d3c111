//! Copying and moving secrets, one or a whole folder, all or none.

use super::read::{fate, open};
use super::write::seal;
use super::{batch, quota};
use crate::authenticate::damaged;
use crate::grant::{Authorized, bug, mismatched};
use crate::limits::{COPY_ITEMS_MAX, IMPORT_BYTES_MAX};
use crate::walk::{Found, Frame, Order, Walk};
use access::{Action, Resource};
use ledger::code::{REQUEST_INVALID, SECRET_LIMIT};
use ledger::{Command, Path, Position, Prefix, Receipt, Refusal};
use secrets::command::{Delete, Edit, MetadataEdit, Put};
use secrets::{Reply, Secret};
use serde::{Deserialize, Serialize};

/// What is copied to where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copying {
    /// The folder that the secrets of a folder come into; `None` where the act names one secret and its new path.
    pub to: Option<Prefix>,
    /// Whether the secrets are hidden where they were.
    pub moves: bool,
    /// Whether a secret that is there gets a new version; otherwise nothing at all is done.
    pub overwrite: bool,
}

/// One secret that was copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopiedItem {
    /// Where it was.
    pub from: Path,
    /// Where it is.
    pub to: Path,
    /// The version there.
    pub version: u64,
}

/// What was copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// The secrets.
    pub items: Vec<CopiedItem>,
    /// Secrets that cannot be read (deleted, expired, purged) and so stayed behind.
    pub left_out: Vec<Path>,
    /// Its last entry; `None` when there was nothing to copy.
    pub position: Option<Position>,
    /// Whether this is the kept answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// Copies the newest value of each secret with its labels, expiry and settings, sealed anew for its new place; older versions
/// stay where they are. A move hides the source: undelete brings it back.
///
/// Of a folder the secrets that the caller may list are meant. Before anything is opened the caller must have the right to
/// read each, to write it at its new place, and to delete it where it moves. Errors: `policy.denied` naming the first that may
/// not be, `request.invalid` for places that overlap, `secret.limit`, `ledger.too_large` for more than one commit takes,
/// `secret.version_conflict` where a secret is there already, or where one that moves was written meanwhile; as a read of each
/// (nothing happened).
pub async fn copy(grant: Authorized, copying: Copying) -> Result<Copied, Refusal> {
    grant.insists((!copying.overwrite).then_some(0))?;
    let earlier = grant.answered().await?;
    let plan = match &earlier {
        Some(receipt) => Plan::decode(receipt)?,
        None => gathered(&grant, &copying).await?,
    };
    for (from, to, _) in &plan.copies {
        grant.require(Action::SecretRead, from)?;
        grant.require(Action::SecretWrite, to)?;
        if copying.moves {
            grant.require(Action::SecretDelete, from)?;
        }
    }
    let (receipt, plan) = match earlier {
        Some(receipt) => (receipt, plan),
        None => carried_out(&grant, &copying, plan).await?,
    };
    let each = if copying.moves { 2 } else { 1 };
    let (mut items, mut rows) = (Vec::new(), Vec::new());
    for ((from, to, read), reply) in plan.copies.into_iter().zip(receipt.replies.iter().skip(1).step_by(each)) {
        let version = Reply::decode(reply.expose()).map_err(damaged)?.current;
        rows.extend([(from.as_str().to_owned(), Some(read)), (to.as_str().to_owned(), Some(version))]);
        items.push(CopiedItem { from, to, version });
    }
    grant.note_subjects(rows);
    let Plan { left_out, .. } = plan;
    Ok(Copied { items, left_out, position: receipt.position, replayed: receipt.replayed })
}

/// Opens, seals anew and commits; gives the plan with the versions that were read.
async fn carried_out(grant: &Authorized, copying: &Copying, mut plan: Plan) -> Result<(Receipt, Plan), Refusal> {
    let places: Vec<Path> = plan.copies.iter().map(|(_, to, _)| to.clone()).collect();
    quota::room_for(grant, &places).await?;
    let mut commands: Vec<(Path, Box<dyn Command>)> = Vec::new();
    let mut bytes = 0usize;
    let now = grant.now();
    for (from, to, read) in &mut plan.copies {
        let (secret, version, _, value) =
            open(grant, from, |secret| secret.readable(None, now)).await.map_err(|refusal| {
                grant.note_subjects(vec![(from.as_str().to_owned(), None)]);
                Refusal { detail: format!("`{from}`: {}", refusal.detail), ..refusal }
            })?;
        *read = version.number;
        bytes = bytes.saturating_add(value.len());
        if bytes > IMPORT_BYTES_MAX {
            let why = format!("the values together are longer than {IMPORT_BYTES_MAX} bytes; do it in parts");
            return Err(Refusal::new(&SECRET_LIMIT, why));
        }
        let fresh = seal(grant, &value).await?;
        let cas = (!copying.overwrite).then_some(0);
        let put = Put { path: to.clone(), fresh, encoding: version.encoding, cas, edit: metadata(&secret) };
        commands.push((to.clone(), Box::new(put)));
        if copying.moves {
            let hide = Delete { path: from.clone(), versions: None, cas: Some(version.number) };
            commands.push((from.clone(), Box::new(hide)));
        }
    }
    Ok((batch::submit(grant, plan.encode()?, commands).await?, plan))
}

/// What goes where.
#[derive(Debug, Default)]
struct Plan {
    /// From where, to where, and the version that was read.
    copies: Vec<(Path, Path, u64)>,
    left_out: Vec<Path>,
}

/// Kept form of a plan.
#[derive(Serialize, Deserialize)]
enum StoredPlan {
    V1 { copies: Vec<(String, String, u64)>, left_out: Vec<String> },
}

impl Plan {
    fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let text = |path: &Path| path.as_str().to_owned();
        let copies = self.copies.iter().map(|(from, to, read)| (text(from), text(to), *read)).collect();
        let stored = StoredPlan::V1 { copies, left_out: self.left_out.iter().map(text).collect() };
        postcard::to_allocvec(&stored).map_err(|_| bug("a plan that cannot be kept"))
    }

    fn decode(receipt: &Receipt) -> Result<Plan, Refusal> {
        let kept = receipt.replies.first().and_then(|kept| postcard::from_bytes(kept.expose()).ok());
        let Some(StoredPlan::V1 { copies, left_out }) = kept else {
            return Err(bug("a kept plan that does not decode"));
        };
        let copy = |(from, to, read): (String, String, u64)| Ok((Path::parse(&from)?, Path::parse(&to)?, read));
        Ok(Plan {
            copies: copies.into_iter().map(copy).collect::<Result<_, Refusal>>()?,
            left_out: left_out.iter().map(|path| Path::parse(path)).collect::<Result<_, _>>()?,
        })
    }
}

/// What the act names: one secret with its new path, or the secrets below a folder with theirs, and those that cannot be read.
async fn gathered(grant: &Authorized, copying: &Copying) -> Result<Plan, Refusal> {
    let invalid = |why: &str| Err(Refusal::new(&REQUEST_INVALID, why.to_owned()));
    let (from, to) = match (grant.each()?, &copying.to) {
        ([(Action::SecretRead, Resource::Secret(from)), (Action::SecretWrite, Resource::Secret(to)), ..], None) => {
            let plan = Plan { copies: vec![(from.clone(), to.clone(), 0)], left_out: Vec::new() };
            return if from == to { invalid("`from` and `to` are the same path") } else { Ok(plan) };
        }
        ([(Action::SecretList, Resource::Folder(from))], Some(to)) => (from, to),
        _ => return Err(mismatched()),
    };
    let within = |inner: &Prefix, outer: &Prefix| {
        let rest = inner.as_str().strip_prefix(outer.as_str());
        outer.as_str().is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if within(from, to) || within(to, from) {
        return invalid("one of `from` and `to` is in the other");
    }
    let may = |folder: &str| {
        Prefix::parse(folder).is_ok_and(|folder| grant.also(Action::SecretList, &Resource::Folder(folder)))
    };
    let mut walk =
        Walk::resume((grant.ledger(), grant.tenant()), &may, from.clone(), Order::Store, true, vec![Frame::top()]);
    let mut plan = Plan::default();
    let skip = from.as_str().len().saturating_add(1);
    while let Some(found) = walk.next().await? {
        let Found::Secret(path, body) = found else { continue };
        let Some(secret) = Secret::decode(&body).map_err(damaged)? else { continue };
        let source = Path::parse(&path)?;
        let live = secret.versions.last().is_some_and(|last| fate(&secret, last, grant.now()) == super::Fate::Live);
        match path.get(skip..).filter(|_| live) {
            Some(rest) => plan.copies.push((source, to.join(rest)?, 0)),
            None => plan.left_out.push(source),
        }
        if plan.copies.len() > COPY_ITEMS_MAX || plan.left_out.len() > COPY_ITEMS_MAX {
            return Err(too_many());
        }
    }
    // Looked at as much as one request may, and there is more.
    if walk.rest().is_some() { Err(too_many()) } else { Ok(plan) }
}

fn too_many() -> Refusal {
    Refusal::new(
        &SECRET_LIMIT,
        format!("there are more than {COPY_ITEMS_MAX} secrets below `from`; do it folder by folder"),
    )
}

/// What goes with a value to its new place.
fn metadata(secret: &Secret) -> MetadataEdit {
    MetadataEdit {
        labels: Edit::Set(secret.labels.clone()),
        expires: secret.expires.map_or(Edit::Clear, Edit::Set),
        max_versions: secret.max_versions.map_or(Edit::Keep, Edit::Set),
        cas_required: if secret.cas_required { Edit::Set(true) } else { Edit::Keep },
    }
}
