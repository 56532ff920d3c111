//! From events to records.

use crate::event::{Edits, KINDS, MetadataWritten, Purged, Rewrapped, SecretEvent, VersionWritten};
use crate::folder::{Folder, folder_name};
use crate::record::{Gone, Record, Secret, State, Stored, Version};
use ledger::{Damaged, EventRef, PointedValue, RecordKind, RecordName, Rules, Stamp};

/// The rules of secrets and their folders.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecretRules;

impl Rules for SecretRules {
    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        let fact = SecretEvent::decode(event)?;
        // A notice changes nothing.
        if matches!(fact, SecretEvent::Expiring(_) | SecretEvent::Expired(_)) {
            return Ok(Vec::new());
        }
        let mut names: Vec<RecordName> = fact.paths().into_iter().map(secret).collect();
        match &fact {
            SecretEvent::VersionWritten(fact) => names.extend(nearest(&fact.path, fact.folders)),
            SecretEvent::Purged(fact) => names.extend(nearest(&fact.path, fact.folders)),
            SecretEvent::KeysRewrapped(_) => {
                names.sort();
                names.dedup();
            }
            _ => {}
        }
        Ok(names)
    }

    fn evolve(
        &self,
        name: &RecordName,
        before: Option<&[u8]>,
        event: &EventRef<'_>,
    ) -> Result<Option<Vec<u8>>, Damaged> {
        let fact = SecretEvent::decode(event)?;
        if name.kind == RecordKind::FOLDER {
            return evolve_folder(name, before, &fact);
        }
        let before = before.map(Record::decode).transpose()?;
        let after = match fact {
            SecretEvent::VersionWritten(fact) => written(before, fact, event.stamp)?,
            other => change(kept(before)?, name, other, event.stamp)?,
        };
        Ok(Some(after.encode()))
    }

    fn values(&self, kind: RecordKind, record: &[u8]) -> Result<Vec<PointedValue>, Damaged> {
        if kind != RecordKind::SECRET {
            return Ok(Vec::new());
        }
        let Some(secret) = Secret::decode(record)? else { return Ok(Vec::new()) };
        let pointed = |version: &Version| {
            let stored = version.state.stored()?;
            Some(PointedValue {
                key: stored.key,
                blob: stored.blob,
                kind: crate::KEY_KIND,
                path: secret.path.clone(),
                version: version.number,
                blob_id: stored.blob_id,
            })
        };
        Ok(secret.versions.iter().filter_map(pointed).collect())
    }
}

fn secret(path: &str) -> RecordName {
    RecordName::new(RecordKind::SECRET, path.split('/'))
}

fn nearest(path: &str, count: u8) -> impl Iterator<Item = RecordName> {
    path.rmatch_indices('/').filter_map(|(at, _)| path.get(..at)).take(usize::from(count)).map(folder_name)
}

fn kept(record: Option<Record>) -> Result<Secret, Damaged> {
    match record {
        Some(Record::Kept(secret)) => Ok(secret),
        _ => Err(Damaged("change of a secret that is not there".into())),
    }
}

fn evolve_folder(name: &RecordName, before: Option<&[u8]>, fact: &SecretEvent) -> Result<Option<Vec<u8>>, Damaged> {
    let folder = before.map(Folder::decode).transpose()?;
    let (path, children) = match folder {
        Some(folder) => (folder.path, folder.children),
        None => (name.path.join("/"), 0),
    };
    let children = match fact {
        SecretEvent::VersionWritten(_) => children.checked_add(1),
        SecretEvent::Purged(_) => children.checked_sub(1),
        _ => None,
    };
    match children.ok_or_else(|| Damaged("count of a folder".into()))? {
        0 => Ok(None),
        children => Ok(Some(Folder { path, children }.encode())),
    }
}

fn written(before: Option<Record>, fact: VersionWritten, stamp: &Stamp) -> Result<Record, Damaged> {
    let mut secret = match before {
        Some(Record::Kept(secret)) => secret,
        Some(Record::Gone(gone)) => fresh(&fact, gone.next, stamp),
        None => fresh(&fact, 1, stamp),
    };
    if fact.version != secret.next {
        return Err(Damaged("version out of turn".into()));
    }
    secret.next = fact.version.checked_add(1).ok_or_else(|| Damaged("version number".into()))?;
    secret.changed = stamp.time;
    prune(&mut secret, &fact.pruned);
    edit(&mut secret, fact.edits);
    let stored = Stored { key: fact.key, blob: fact.blob, blob_id: fact.blob_id, digest: fact.digest };
    secret.versions.push(Version {
        number: fact.version,
        created: stamp.time,
        author: stamp.actor.entity,
        size: fact.size,
        encoding: fact.encoding,
        copied_from: fact.copied_from,
        state: State::Live(stored),
    });
    Ok(Record::Kept(secret))
}

fn fresh(fact: &VersionWritten, next: u64, stamp: &Stamp) -> Secret {
    Secret {
        path: fact.path.clone(),
        created: stamp.time,
        changed: stamp.time,
        labels: Default::default(),
        expires: None,
        max_versions: None,
        cas_required: false,
        next,
        versions: Vec::new(),
        owner: Some(stamp.actor.entity),
    }
}

fn change(mut secret: Secret, name: &RecordName, fact: SecretEvent, stamp: &Stamp) -> Result<Record, Damaged> {
    match fact {
        SecretEvent::Deleted(fact) => {
            for number in fact.versions {
                let state = state(&mut secret, number)?;
                if let State::Live(stored) = *state {
                    *state = State::Deleted { at: stamp.time, stored };
                }
            }
        }
        SecretEvent::Undeleted(fact) => {
            for number in fact.versions {
                let state = state(&mut secret, number)?;
                if let State::Deleted { stored, .. } = *state {
                    *state = State::Live(stored);
                }
            }
        }
        SecretEvent::Purged(fact) => return purged(secret, fact, stamp),
        SecretEvent::MetadataWritten(MetadataWritten { edits, pruned, .. }) => {
            prune(&mut secret, &pruned);
            edit(&mut secret, edits);
        }
        SecretEvent::KeysRewrapped(facts) => return rewrapped(secret, name, facts),
        SecretEvent::VersionWritten(_) | SecretEvent::Expiring(_) | SecretEvent::Expired(_) => {
            return Err(Damaged("an event that is no change of a secret".into()));
        }
    }
    secret.changed = stamp.time;
    Ok(Record::Kept(secret))
}

fn purged(mut secret: Secret, fact: Purged, stamp: &Stamp) -> Result<Record, Damaged> {
    if fact.all {
        return Ok(Record::Gone(Gone { path: secret.path, next: secret.next }));
    }
    for number in fact.versions {
        *state(&mut secret, number)? = State::Purged { at: stamp.time };
    }
    secret.changed = stamp.time;
    Ok(Record::Kept(secret))
}

/// A re-wrap is no change anyone asked for, so `changed` stays.
fn rewrapped(mut secret: Secret, name: &RecordName, facts: Vec<Rewrapped>) -> Result<Record, Damaged> {
    for fact in facts.into_iter().filter(|fact| self::secret(&fact.path) == *name) {
        match state(&mut secret, fact.version)? {
            State::Live(stored) | State::Deleted { stored, .. } => stored.key = fact.key,
            State::Purged { .. } => return Err(Damaged("re-wrap of a purged version".into())),
        }
    }
    Ok(Record::Kept(secret))
}

fn state(secret: &mut Secret, number: u64) -> Result<&mut State, Damaged> {
    let missing = || Damaged("change of a version that is not there".into());
    let at = secret.versions.binary_search_by_key(&number, |version| version.number).map_err(|_| missing())?;
    secret.versions.get_mut(at).map(|version| &mut version.state).ok_or_else(missing)
}

fn prune(secret: &mut Secret, pruned: &[u64]) {
    secret.versions.retain(|version| !pruned.contains(&version.number));
}

fn edit(secret: &mut Secret, edits: Edits) {
    if let Some(labels) = edits.labels {
        secret.labels = labels;
    }
    if let Some(expiry) = edits.expires {
        secret.expires = expiry.0;
    }
    if let Some(kept) = edits.max_versions {
        secret.max_versions = kept;
    }
    if let Some(required) = edits.cas_required {
        secret.cas_required = required;
    }
}
