//! Changing fields of a structured value.

use super::read::open;
use super::write::{Written, seal, written};
use crate::grant::{Authorized, Done};
use crate::reply::Changed;
use crypto::SecretBytes;
use ledger::Refusal;
use ledger::code::{REQUEST_INVALID, SECRET_INVALID, SECRET_VERSION_CONFLICT};
use secrets::command::{self, MetadataEdit};
use secrets::{Secret, limits};
use structured::Unfit;

/// Values read and merged again because somebody else wrote meanwhile; more than that and the caller is told.
const TRIES: usize = 8;

/// Lays a merge patch (RFC 7396) over the newest value, a JSON object, and writes the outcome as a new version.
///
/// The write names the version that was read: nobody else's write is lost; one that came between is read and patched instead,
/// unless the caller insists on a version. There is always a new version, so that the answer does not tell whether the patch
/// changed anything. Errors: `secret.not_found`, `secret.deleted`, `secret.purged`, `secret.expired`, `secret.invalid` for a
/// value that is no object, `secret.limit`, `secret.version_conflict` (nothing happened).
pub async fn patch(grant: Authorized, patch: SecretBytes, cas: Option<u64>) -> Result<Changed<Written>, Refusal> {
    let path = grant.path()?.clone();
    let now = grant.now();
    if let Some(receipt) = grant.answered().await? {
        return written(&grant, path, Done::of(receipt)?);
    }
    let mut tries = 0;
    loop {
        let choose = |secret: &Secret| {
            if let Some(wanted) = cas.filter(|wanted| *wanted != secret.current()) {
                let why = format!("the newest version is {}, not {wanted}", secret.current());
                return Err(Refusal::new(&SECRET_VERSION_CONFLICT, why));
            }
            Ok(())
        };
        let (_, version, _, value) = open(&grant, &path, |secret| {
            choose(secret)?;
            secret.readable(None, now)
        })
        .await?;
        let merged = structured::merge(value.expose(), patch.expose()).map_err(unfit)?;
        drop(value);
        limits::check_value(merged.len())?;
        let fresh = seal(&grant, &merged).await?;
        let put = command::Put {
            path: path.clone(),
            fresh,
            encoding: version.encoding,
            cas: Some(version.number),
            edit: MetadataEdit::default(),
        };
        tries += 1;
        match grant.change(put).await {
            Err(refusal) if refusal.code == &SECRET_VERSION_CONFLICT && cas.is_none() && tries < TRIES => {}
            done => return written(&grant, path, done?),
        }
    }
}

fn unfit(why: Unfit) -> Refusal {
    match why {
        Unfit::TooDeep => Refusal::new(&REQUEST_INVALID, "the patch is nested too deep"),
        _ => Refusal::new(&SECRET_INVALID, "the value is not a JSON object, so it has no fields to change"),
    }
}
