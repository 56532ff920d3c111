//! Pinned ledgers: the key a ledger was first seen with and the checkpoint that was verified last, one private
//! file for each address and tenant.

use std::path::{Path, PathBuf};

use api::Class;
use client::verify::Seen;
use client::{Client, Error};
use crypto::note::VerifierKey;
use serde::{Deserialize, Serialize};

use crate::{fault, output, private};

/// What is remembered of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    addr: String,
    tenant: Option<String>,
    key: String,
    size: u64,
    root: String,
}

/// A ledger to verify against what is remembered of it.
#[derive(Debug)]
pub(crate) struct Pin {
    /// The key its checkpoints must be signed with.
    pub(crate) key: VerifierKey,
    /// The checkpoint that was verified last.
    pub(crate) seen: Option<Seen>,
    file: PathBuf,
    addr: String,
    tenant: Option<String>,
}

impl Pin {
    /// The pin for this server: the key given, else the one remembered, else the one the server names, which is
    /// remembered from now on and said so.
    ///
    /// Errors: `Corrupt`, code `ledger.key_changed`, when the key given is not the one remembered.
    pub(crate) async fn of(client: &Client, tenant: Option<&str>, given: Option<&str>) -> Result<Self, Error> {
        let file = place(client.addr(), tenant)?;
        let kept = load(&file)?;
        let given = given.map(parse).transpose()?;
        let told = match &given {
            Some(key) => key.clone(),
            None => served(&client.ledger().key().await?.key)?,
        };
        let seen = match &kept {
            Some(kept) if kept.key != told.to_string() => {
                let whose = if given.is_some() { "the key given" } else { "the server's key" };
                return Err(changed(whose, &told, &kept.key, &file));
            }
            Some(kept) => Some(Seen { size: kept.size, root: client::verify::hash(&kept.root)? }),
            None if given.is_none() => {
                output::note(&format!("note: first use; the ledger's key is pinned from now on: {told}"));
                None
            }
            None => None,
        };
        let key = told;
        Ok(Self { key, seen, file, addr: client.addr().to_owned(), tenant: tenant.map(str::to_owned) })
    }

    /// Remembers a checkpoint that was verified.
    pub(crate) fn remember(&self, checkpoint: &crypto::note::Checkpoint) -> Result<(), Error> {
        let kept = Kept {
            addr: self.addr.clone(),
            tenant: self.tenant.clone(),
            key: self.key.to_string(),
            size: checkpoint.size,
            root: base64::Engine::encode(&base64::engine::general_purpose::STANDARD, checkpoint.root),
        };
        private::folder(FOLDER)?;
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|_| fault::invalid("the pin cannot be written", ""))?;
        private::write(&self.file, &bytes)
    }
}

/// The key pinned for the ledger that `own` says it is the key of, and the newest checkpoint verified by it; nothing when none
/// is pinned for one of that name. `place` says where `own` stands.
///
/// Errors: `Corrupt`, code `ledger.key_changed`, when only others are pinned for it.
pub(crate) fn of_ledger(own: &VerifierKey, place: &str) -> Result<Option<(VerifierKey, Seen)>, Error> {
    let folder = server::config::Environment::of_process().configuration_folder().join(FOLDER);
    let files = match std::fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault::local(&format!("`{}` cannot be read", folder.display()), &error)),
    };
    let (mut newest, mut other) = (None::<Seen>, None);
    for file in files.filter_map(Result::ok).map(|file| file.path()) {
        let Some(kept) = load(&file)? else { continue };
        let key = parse(&kept.key)?;
        if key == *own {
            let seen = Seen { size: kept.size, root: client::verify::hash(&kept.root)? };
            newest = newest.into_iter().chain([seen]).max_by_key(|seen| seen.size);
        } else if key.origin() == own.origin() {
            other = Some((key, file));
        }
    }
    match (newest, other) {
        (None, Some((key, file))) => Err(changed(&format!("the key in {place}"), own, &key.to_string(), &file)),
        (newest, _) => Ok(newest.map(|seen| (own.clone(), seen))),
    }
}

/// Says that a key was believed for want of another.
pub(crate) fn unpinned(place: &str) -> String {
    format!("note: no key is pinned for this ledger, so the one in {place} was used; --key shows forgery too")
}

/// Says that a copy ends before what was verified already.
pub(crate) fn note_age(size: u64, before: u64) {
    if size < before {
        output::note(&format!(
            "note: this copy ends after {size} entries, and {before} were verified before: it is an older one, or was cut"
        ));
    }
}

fn served(text: &str) -> Result<VerifierKey, Error> {
    let hint = "do not trust this server before its operator has told you the key that `aumbry serve` printed";
    let none = || Error::local(Class::Corrupt, "ledger.key_invalid", "what the server gives as its key is none", hint);
    text.parse().map_err(|_| none())
}

/// Names both keys, the pin, and the way on.
fn changed(whose: &str, key: &VerifierKey, pinned: &str, file: &Path) -> Error {
    let detail = format!("{whose} is not the one that is pinned: {key}, pinned is {pinned}");
    let hint = format!(
        "compare both with the verifier key that `aumbry serve` prints at its start, on that machine; only if the new one is \
         right remove `{}`, and the next `aumbry ledger verify --key KEY` pins it",
        file.display()
    );
    Error::local(Class::Corrupt, "ledger.key_changed", detail, &hint)
}

/// Reads a verifier key that was given.
///
/// Errors: `Invalid`, code `cli.invalid`.
pub(crate) fn parse(text: &str) -> Result<VerifierKey, Error> {
    let hint = "copy it from what `aumbry serve` printed: <origin>+<hash>+<base64>";
    text.trim().parse().map_err(|_| fault::invalid("what was given as the ledger's key is none", hint))
}

fn place(addr: &str, tenant: Option<&str>) -> Result<PathBuf, Error> {
    let name = crypto::sha256(format!("{addr}\0{}", tenant.unwrap_or_default()).as_bytes());
    let name: String = name.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let folder = server::config::Environment::of_process().configuration_folder().join(FOLDER);
    Ok(folder.join(format!("{name}.json")))
}

fn load(file: &Path) -> Result<Option<Kept>, Error> {
    let Some(bytes) = private::read(file, BYTES_MAX)? else { return Ok(None) };
    let broken = || fault::invalid(format!("`{}` cannot be read", file.display()), "restore it; it guards the ledger");
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|_| broken())
}

const FOLDER: &str = "ledgers";
const BYTES_MAX: u64 = 16 * 1024;
