//! Named password policies: put, see, list, remove; and finding the one that a value is made by.

mod record;

pub use record::{PasswordPolicyRules, REMOVED, WRITTEN};
pub(crate) use record::{Put, Remove};

use crate::authenticate::damaged;
use crate::grant::{Authorized, mismatched};
use crate::limits::{self, EXCLUDED_BYTES_MAX};
use crate::reply::{Changed, Page};
use crate::secret::Password;
use access::{Action, PasswordPolicyName, Resource};
use crypto::WallMs;
use ledger::code::{PASSWORD_POLICY_INVALID, POLICY_DENIED};
use ledger::{RecordKind, Refusal};
use record::{missing, read, record_name};
use std::collections::BTreeMap;

/// A password policy as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Which passwords may come out.
    pub rules: Password,
    /// When it was last written.
    pub changed: WallMs,
}

/// Password policies that are being written in the same commit: they count before those that are there.
pub(crate) type Fresh = BTreeMap<PasswordPolicyName, Password>;

/// Refuses rules by which no password is made. Errors: `password_policy.invalid`.
pub(crate) fn check(rules: &Password) -> Result<(), Refusal> {
    if rules.exclude.len() > EXCLUDED_BYTES_MAX {
        let why = format!("`exclude` is longer than {EXCLUDED_BYTES_MAX} bytes");
        return Err(Refusal::new(&PASSWORD_POLICY_INVALID, why));
    }
    rules.check().map_err(|refusal| Refusal { code: &PASSWORD_POLICY_INVALID, ..refusal })
}

/// Writes the password policy the act names, replacing one of the same name; values made before stay.
///
/// Errors: `password_policy.invalid` (nothing happened).
pub async fn put(grant: Authorized, rules: Password) -> Result<Changed<Shown>, Refusal> {
    let name = named(&grant)?;
    check(&rules)?;
    let done = grant.change(Put { name: name.clone(), rules: rules.clone() }).await?;
    // Somebody may have removed it already; it was written all the same.
    let written = || Shown { name: name.as_str().to_owned(), rules, changed: grant.now() };
    let what = stored(&grant, &name).await?.unwrap_or_else(written);
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Removes the password policy the act names. Errors: `password_policy.not_found` (nothing happened).
pub async fn remove(grant: Authorized) -> Result<Changed<String>, Refusal> {
    let name = named(&grant)?;
    let done = grant.change(Remove(name.clone())).await?;
    Ok(Changed { what: name.as_str().to_owned(), position: done.position, replayed: done.replayed })
}

/// Shows the password policy the act names. Errors: `password_policy.not_found`.
pub async fn get(grant: Authorized) -> Result<Shown, Refusal> {
    stored(&grant, &named(&grant)?).await?.ok_or_else(missing)
}

/// Lists password policies in store order. Errors: `cursor.invalid`.
pub async fn list(grant: Authorized, cursor: Option<String>, limit: Option<u64>) -> Result<Page<Shown>, Refusal> {
    let bound: [&[u8]; 1] = [b"password_policy.list"];
    let (cursors, tenant) = (grant.app.cursors(), grant.tenant());
    let after: Option<[u8; 16]> = cursor.map(|text| cursors.read(tenant, &bound, &text)).transpose()?;
    let limit = limits::page(limit)?;
    let found = grant.ledger().children(tenant, RecordKind::PASSWORD_POLICY, &[], after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit).map(|child| child.id);
    let next = last.map(|last| cursors.write(tenant, &bound, &last)).transpose()?;
    let items = found.iter().map(|child| shown(&child.name, &child.body));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

/// The rules of a name, for a value that is about to be made by them: among `fresh` ones, or there for who may see them.
///
/// Errors: `policy.denied` before anything is looked up, `password_policy.not_found`.
pub(crate) async fn rules(grant: &Authorized, name: &PasswordPolicyName, fresh: &Fresh) -> Result<Password, Refusal> {
    if let Some(rules) = fresh.get(name) {
        return Ok(rules.clone());
    }
    if !grant.also(Action::PasswordPolicyRead, &Resource::PasswordPolicy(name.clone())) {
        let why = format!("a value by this password policy needs `{}` too", Action::PasswordPolicyRead);
        return Err(Refusal::new(&POLICY_DENIED, why));
    }
    stored(grant, name).await?.map(|found| found.rules).ok_or_else(missing)
}

/// The password policy of a name, if there is one.
pub(crate) async fn stored(grant: &Authorized, name: &PasswordPolicyName) -> Result<Option<Shown>, Refusal> {
    let record = grant.ledger().record(grant.tenant(), &record_name(name)).await?;
    record.map(|record| shown(name.as_str(), &record)).transpose()
}

fn shown(name: &str, record: &[u8]) -> Result<Shown, Refusal> {
    let (rules, changed) = read(record).map_err(damaged)?;
    Ok(Shown { name: name.to_owned(), rules, changed })
}

fn named(grant: &Authorized) -> Result<PasswordPolicyName, Refusal> {
    match grant.resource()? {
        Resource::PasswordPolicy(name) => Ok(name.clone()),
        _ => Err(mismatched()),
    }
}
