//! Fetches what references point at: as few requests as possible, nothing kept.

use std::collections::BTreeMap;

use api::secret::{ReadMany, ReadQuery};
use client::{Client, Error, Reference};
use crypto::secret::SecretBytes;

use crate::connect::Global;
use crate::{fault, field};

/// Fetches each reference's value, with the references in it resolved where that is asked for.
///
/// Errors: the first refusal, with the path it is about; nothing of any value.
pub(crate) async fn values<'a>(
    global: &Global,
    references: impl IntoIterator<Item = &'a Reference>,
    resolve: bool,
) -> Result<BTreeMap<&'a Reference, SecretBytes>, Error> {
    let mut by_tenant: BTreeMap<Option<&str>, Vec<&Reference>> = BTreeMap::new();
    for reference in references {
        by_tenant.entry(reference.tenant.as_deref()).or_default().push(reference);
    }
    let mut found = BTreeMap::new();
    for (tenant, references) in by_tenant {
        let client = global.client_for(tenant)?;
        let whole = wholes(&client, &references, resolve).await?;
        for reference in references {
            let value = whole
                .get(&(reference.path.as_str(), reference.version))
                .ok_or_else(|| fault::invalid(format!("the server left `{}` out", reference.path), "try again"))?;
            let value = match &reference.field {
                Some(name) => field::pick(value, name, &reference.path)?,
                None => value.duplicate(),
            };
            found.insert(reference, value);
        }
    }
    Ok(found)
}

type Wholes<'a> = BTreeMap<(&'a str, Option<u64>), SecretBytes>;

/// Fetches each (path, version) once: current ones together, older ones each for itself.
async fn wholes<'a>(client: &Client, references: &[&'a Reference], resolve: bool) -> Result<Wholes<'a>, Error> {
    let alone = async |path: &str, version| {
        let with = ReadQuery { version, resolve, ..ReadQuery::default() };
        client.secrets().read_raw_with(path, &with).await.map_err(|error| about(error, path))
    };
    let mut found = Wholes::new();
    let mut wanted: Vec<_> = references.iter().map(|r| (r.path.as_str(), r.version)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let (current, older): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, version)| version.is_none());
    for (path, version) in older {
        found.insert((path, version), alone(path, version).await?);
    }
    for chunk in current.chunks(TOGETHER_MAX) {
        if let [(path, _)] = chunk {
            found.insert((path, None), alone(path, None).await?);
            continue;
        }
        let paths = chunk.iter().map(|(path, _)| (*path).to_owned()).collect();
        let answer = client.secrets().read_many(&ReadMany { paths, resolve }).await?;
        for secret in answer.items {
            let (value, _) = secret
                .value
                .into_bytes(Some(secret.encoding))
                .map_err(|error| fault::invalid(format!("`{}`: {error}", secret.path), "write the secret again"))?;
            if let Some((path, _)) = chunk.iter().find(|(path, _)| *path == secret.path) {
                found.insert((path, None), value);
            }
        }
    }
    Ok(found)
}

/// Names the path in an error that does not.
fn about(mut error: Error, path: &str) -> Error {
    if !error.detail.contains(path) {
        error.detail = format!("`{path}`: {}", error.detail).into();
    }
    error
}

/// Secrets in one request: with the largest values the answer stays within the client's bound.
const TOGETHER_MAX: usize = 20;
