//! Reading values and what goes with them.

use super::last_use::last_use;
use crate::authenticate::damaged;
use crate::grant::{Authorized, mismatched};
use crate::limits::READ_BYTES_MAX;
use access::principal::{decode_entity, entity_record_name};
use access::{Action, Resource};
use crypto::id::{EntityId, TenantId};
use crypto::{SecretBytes, WallMs};
use ledger::code::{REQUEST_INVALID, SECRET_NOT_FOUND};
use ledger::{Ledger, Path, Refusal, ValueRef};
use secrets::{Encoding, KEY_KIND, Labels, Secret, State, Stored, Version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks at a record again when its value moved while it was opened; more moves than that are damage.
const TRIES: usize = 4;

/// One version with its value.
#[derive(Debug)]
pub struct Revealed {
    /// Full path.
    pub path: Path,
    /// Version read.
    pub version: u64,
    /// When it was written.
    pub created: WallMs,
    /// How the value was given.
    pub encoding: Encoding,
    /// Labels of the secret.
    pub labels: Labels,
    /// When it stops being readable.
    pub expires: Option<WallMs>,
    /// The value.
    pub value: SecretBytes,
}

/// What has become of a version, as a reader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It can be read.
    Live,
    /// Its time is over.
    Expired,
    /// It is hidden and can be brought back.
    Deleted,
    /// Its key is destroyed.
    Purged,
}

/// One version without its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionAbout {
    /// Its number.
    pub number: u64,
    /// What has become of it.
    pub fate: Fate,
    /// When it was written.
    pub created: WallMs,
    /// Who wrote it: name, or id where that is not known.
    pub author: String,
    /// Bytes of the value.
    pub size: u32,
    /// How the value was given.
    pub encoding: Encoding,
    /// The version it was copied from.
    pub copied_from: Option<u64>,
}

/// Everything about a secret but its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// Full path.
    pub path: Path,
    /// When it was first written.
    pub created: WallMs,
    /// When it last changed.
    pub changed: WallMs,
    /// Who made it: name or id; none where that is not known any more.
    pub owner: Option<String>,
    /// Labels.
    pub labels: Labels,
    /// When its values stop being readable.
    pub expires: Option<WallMs>,
    /// Versions kept at most.
    pub max_versions: u32,
    /// Whether every write must name the version it replaces.
    pub cas_required: bool,
    /// Version that a read without a version gives, if it gives one.
    pub current: Option<u64>,
    /// Highest version ever written.
    pub last: u64,
    /// Versions kept, newest first.
    pub versions: Vec<VersionAbout>,
    /// When its value was last read, if that is known.
    pub last_read: Option<WallMs>,
    /// By whom, for who may query the access log about it.
    pub last_reader: Option<String>,
}

impl About {
    /// Whether the newest version is hidden and can be brought back.
    pub fn is_deleted(&self) -> bool {
        self.versions.first().is_some_and(|version| version.fate == Fate::Deleted)
    }
}

/// The secret at a path, if there is one.
pub(super) async fn find(grant: &Authorized, path: &Path) -> Result<Option<Secret>, Refusal> {
    let record = record_at(grant, path).await?;
    Ok(record.map(|record| Secret::decode(&record)).transpose().map_err(damaged)?.flatten())
}

/// The record of a secret that exists. Errors: `secret.not_found`.
pub(super) async fn load(grant: &Authorized, path: &Path) -> Result<(Arc<[u8]>, Secret), Refusal> {
    let missing = || Refusal::new(&SECRET_NOT_FOUND, "there is no secret at this path");
    let record = record_at(grant, path).await?.ok_or_else(missing)?;
    let secret = Secret::decode(&record).map_err(damaged)?.ok_or_else(missing)?;
    Ok((record, secret))
}

/// What stands at a path, as stored.
async fn record_at(grant: &Authorized, path: &Path) -> Result<Option<Arc<[u8]>>, Refusal> {
    let place = grant.app.places().of(grant.ledger(), grant.tenant(), path)?;
    grant.ledger().located(place).await
}

/// Opens the version that `choose` picks, again if the secret changed meanwhile.
pub(super) async fn open(
    grant: &Authorized,
    path: &Path,
    choose: impl for<'a> Fn(&'a Secret) -> Result<(&'a Version, &'a Stored), Refusal>,
) -> Result<(Secret, Version, Stored, SecretBytes), Refusal> {
    let (ledger, tenant) = (grant.ledger(), grant.tenant());
    let mut tries = 0;
    loop {
        let (record, secret) = load(grant, path).await?;
        let (version, stored) = choose(&secret).map(|(version, stored)| (version.clone(), *stored))?;
        let at = ValueRef {
            key: stored.key,
            blob: stored.blob,
            kind: KEY_KIND,
            path: path.as_str(),
            version: version.number,
            blob_id: stored.blob_id,
        };
        let opened = {
            let _place = grant.app.gate().enter().await?;
            ledger.open_value(tenant, &at).await
        };
        match opened {
            Ok(value) => return Ok((secret, version, stored, value)),
            Err(refusal) => {
                tries += 1;
                let now = record_at(grant, path).await?;
                // A purge or a re-wrap took the value from under us; what the record says now is the truth.
                if tries >= TRIES || now.as_deref() == Some(&*record) {
                    return Err(refusal);
                }
            }
        }
    }
}

pub(super) async fn reveal(grant: &Authorized, path: &Path, number: Option<u64>) -> Result<Revealed, Refusal> {
    let now = grant.now();
    let (secret, version, _, value) = open(grant, path, |secret| secret.readable(number, now)).await?;
    Ok(Revealed {
        path: path.clone(),
        version: version.number,
        created: version.created,
        encoding: version.encoding,
        labels: secret.labels,
        expires: secret.expires,
        value,
    })
}

/// Reads a value: the newest version, or the one the act names.
///
/// Errors: `secret.not_found`, `secret.deleted`, `secret.purged`, `secret.expired`.
pub async fn get(grant: Authorized) -> Result<Revealed, Refusal> {
    let path = grant.path()?.clone();
    let revealed = reveal(&grant, &path, grant.act.version).await?;
    grant.note_version(revealed.version);
    grant.note_use(&path);
    Ok(revealed)
}

/// Reads the secret of an act that wraps one. Errors: as [`get`].
pub(crate) async fn wrapped(grant: &Authorized) -> Result<Revealed, Refusal> {
    let secret = |(_, resource): &(Action, Resource)| match resource {
        Resource::Secret(path) => Some(path.clone()),
        _ => None,
    };
    let path = grant.each()?.iter().find_map(secret).ok_or_else(mismatched)?;
    let revealed = reveal(grant, &path, grant.act.version).await?;
    grant.note_subjects(vec![(path.as_str().to_owned(), Some(revealed.version))]);
    grant.note_use(&path);
    Ok(revealed)
}

/// Reads the newest values of all paths the act names, or none: a refusal names the first that cannot be read.
///
/// Errors: as [`get`]; `request.invalid` when the values together pass the limit of one answer.
pub async fn read_many(grant: Authorized) -> Result<Vec<Revealed>, Refusal> {
    let mut all = Vec::new();
    let mut bytes = 0usize;
    for (index, path) in grant.paths()?.iter().enumerate() {
        let revealed = match reveal(&grant, path, None).await {
            Ok(revealed) => revealed,
            Err(mut refusal) => {
                grant.note_subject(index);
                refusal.detail = format!("`{path}`: {}", refusal.detail);
                return Err(refusal);
            }
        };
        bytes = bytes.saturating_add(revealed.value.len());
        if bytes > READ_BYTES_MAX {
            grant.note_subject(index);
            let why = format!("the values together are longer than {READ_BYTES_MAX} bytes; ask for fewer");
            return Err(Refusal::new(&REQUEST_INVALID, why));
        }
        all.push(revealed);
    }
    grant.note_versions(all.iter().map(|revealed| revealed.version).collect());
    all.iter().for_each(|revealed| grant.note_use(&revealed.path));
    Ok(all)
}

/// Tells everything about a secret but its values. Errors: `secret.not_found`.
pub async fn about(grant: Authorized) -> Result<About, Refusal> {
    let path = grant.path()?.clone();
    let (_, secret) = load(&grant, &path).await?;
    let last = last_use(&grant.app, grant.tenant(), &path).await?;
    let mut last_reader = None;
    if let Some(last) = last
        && grant.also(Action::AccessRead, &Resource::Secret(path.clone()))
    {
        last_reader = Some(Names::of(&grant).shown(last.by).await?);
    }
    let about = describe(&grant, path, secret).await?;
    Ok(About { last_read: last.map(|last| last.at), last_reader, ..about })
}

/// As [`about`], for a record at hand.
pub(super) async fn describe(grant: &Authorized, path: Path, secret: Secret) -> Result<About, Refusal> {
    let now = grant.now();
    let mut names = Names::of(grant);
    let mut versions = Vec::with_capacity(secret.versions.len());
    for version in secret.versions.iter().rev() {
        versions.push(VersionAbout {
            number: version.number,
            fate: fate(&secret, version, now),
            created: version.created,
            author: names.shown(version.author).await?,
            size: version.size,
            encoding: version.encoding,
            copied_from: version.copied_from,
        });
    }
    Ok(About {
        path,
        owner: names.owner(&secret).await?,
        created: secret.created,
        changed: secret.changed,
        expires: secret.expires,
        max_versions: u32::try_from(secret.kept()).unwrap_or(u32::MAX),
        cas_required: secret.cas_required,
        current: secret.readable(None, now).ok().map(|(version, _)| version.number),
        last: secret.current(),
        labels: secret.labels,
        versions,
        last_read: None,
        last_reader: None,
    })
}

/// What a version is to a reader now.
pub(super) fn fate(secret: &Secret, version: &Version, now: WallMs) -> Fate {
    match version.state {
        State::Live(_) if secret.is_expired(now) => Fate::Expired,
        State::Live(_) => Fate::Live,
        State::Deleted { .. } => Fate::Deleted,
        State::Purged { .. } => Fate::Purged,
    }
}

/// Names of the caller's tenant behind entities, each looked up once.
pub(super) struct Names<'a> {
    grant: &'a Authorized,
    known: BTreeMap<EntityId, String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(grant: &'a Authorized) -> Names<'a> {
        Names { grant, known: BTreeMap::new() }
    }

    /// The name, or the id where there is none.
    pub(super) async fn shown(&mut self, entity: EntityId) -> Result<String, Refusal> {
        if let Some(name) = self.known.get(&entity) {
            return Ok(name.clone());
        }
        let name = name_of(self.grant.ledger(), self.grant.tenant(), entity).await?;
        let shown = name.unwrap_or_else(|| entity.to_string());
        self.known.insert(entity, shown.clone());
        Ok(shown)
    }

    /// Who made a secret.
    pub(super) async fn owner(&mut self, secret: &Secret) -> Result<Option<String>, Refusal> {
        match secret.owner {
            Some(owner) => self.shown(owner).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The name behind an entity, if it has one.
pub(crate) async fn name_of(ledger: &Ledger, tenant: TenantId, entity: EntityId) -> Result<Option<String>, Refusal> {
    let Some(record) = ledger.record(tenant, &entity_record_name(entity)).await? else { return Ok(None) };
    Ok(Some(decode_entity(&record).map_err(damaged)?.as_str().to_owned()))
}
