//! What a set held and no document names any more goes, unless another set names it too.

use super::{Member, Plan, Planned, Step};
use crate::app::no_entropy;
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::password_policy;
use crate::policy::{PolicyChange, holds};
use crate::tenant::{Change, TenantState, Wanted};
use access::principal::{self, PutPrincipal};
use access::{Action, Part, PasswordPolicyName, PolicyName, Principal, PrincipalName, Resource};
use crypto::id::EntityId;
use ledger::code::POLICY_DENIED;
use ledger::{Path, Refusal};
use secrets::Secret;
use secrets::command::Delete;

/// A member, by what it is.
enum Thing {
    Policy(PolicyName),
    Principal(PrincipalName),
    Secret(Path),
    Tenant(String),
    PasswordPolicy(PasswordPolicyName),
}

impl Thing {
    fn of(member: &Member) -> Result<Thing, Refusal> {
        Ok(match member.kind {
            super::Kind::Policy => Thing::Policy(PolicyName::parse(&member.name)?),
            super::Kind::Principal => Thing::Principal(PrincipalName::parse(&member.name)?),
            super::Kind::Secret => Thing::Secret(Path::parse(&member.name)?),
            super::Kind::Tenant => Thing::Tenant(member.name.clone()),
            super::Kind::PasswordPolicy => Thing::PasswordPolicy(PasswordPolicyName::parse(&member.name)?),
        })
    }

    /// The right to take it away, and the one to see it.
    fn rights(&self) -> (Action, Action, Resource) {
        match self {
            Thing::Policy(name) => (Action::PolicyWrite, Action::PolicyRead, Resource::Policy(name.clone())),
            Thing::Principal(name) => {
                (Action::PrincipalWrite, Action::PrincipalRead, Resource::PrincipalRecord(name.clone()))
            }
            Thing::Secret(path) => (Action::SecretDelete, Action::SecretMetadata, Resource::Secret(path.clone())),
            Thing::Tenant(_) => (Action::TenantWrite, Action::TenantRead, Resource::System(Part::Tenants)),
            Thing::PasswordPolicy(name) => {
                let resource = Resource::PasswordPolicy(name.clone());
                (Action::PasswordPolicyWrite, Action::PasswordPolicyRead, resource)
            }
        }
    }

    /// Whether there is something to take away.
    async fn is_there(&self, grant: &Authorized) -> Result<bool, Refusal> {
        let (ledger, tenant) = (grant.ledger(), grant.tenant());
        match self {
            Thing::Policy(name) => Ok(holds(grant, name).await),
            Thing::Principal(name) => {
                let record = ledger.record(tenant, &principal::record_name(name)).await?;
                let found = record.map(|record| Principal::decode(&record)).transpose().map_err(damaged)?;
                Ok(found.is_some_and(|principal| !principal.disabled))
            }
            Thing::Secret(path) => {
                let record = ledger.record(tenant, &secrets::secret_name(path)).await?;
                let found = record.map(|record| Secret::decode(&record)).transpose().map_err(damaged)?.flatten();
                Ok(found.is_some_and(|secret| secret.readable(None, grant.now()).is_ok()))
            }
            Thing::Tenant(name) => {
                super::in_house(grant)?;
                Ok(ledger.tenant_named(name).await?.is_some_and(|found| found.state == TenantState::Active))
            }
            Thing::PasswordPolicy(name) => Ok(password_policy::stored(grant, name).await?.is_some()),
        }
    }
}

/// Asks for the right to take a thing away, before it is looked up. It is named only to whoever may see it.
fn may_take(grant: &Authorized, member: &Member, thing: &Thing) -> Result<(), Refusal> {
    let (take, see, resource) = thing.rights();
    if grant.also(take, &resource) {
        return Ok(());
    }
    let what = match grant.also(see, &resource) {
        true => format!("{} `{}`", member.kind.word(), member.name),
        false => format!("a {} that the set held", member.kind.word()),
    };
    Err(Refusal::new(&POLICY_DENIED, format!("{what}: this needs `{take}`")))
}

impl Plan {
    /// Takes out what the set no longer names. What another set names stays.
    pub(super) async fn prune(&mut self, grant: &Authorized, gone: Vec<Member>) -> Result<(), Refusal> {
        if gone.is_empty() {
            return Ok(());
        }
        let things: Vec<Thing> = gone.iter().map(Thing::of).collect::<Result<_, _>>()?;
        gone.iter().zip(&things).try_for_each(|(member, thing)| may_take(grant, member, thing))?;
        let elsewhere = super::record::named_elsewhere(grant.ledger(), grant.tenant(), &self.set).await?;
        for (member, thing) in gone.into_iter().zip(things) {
            if !thing.is_there(grant).await? {
                continue;
            }
            let step = if elsewhere.contains(&member) { Step::Keep } else { Step::Prune };
            if step == Step::Prune {
                self.take(grant, thing)?;
            }
            self.steps.push(Planned { member, step });
        }
        Ok(())
    }

    fn take(&mut self, grant: &Authorized, thing: Thing) -> Result<(), Refusal> {
        match thing {
            Thing::Policy(name) => self.policies.push(PolicyChange { name, policy: None }),
            Thing::Principal(name) => {
                let fresh = EntityId::generate(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
                self.commands.push(Box::new(PutPrincipal::new(name, &[], true, fresh)?));
            }
            Thing::Secret(path) => self.commands.push(Box::new(Delete { path, versions: None, cas: None })),
            Thing::Tenant(name) => {
                // Whoever wants it deleted with all that is in it says so by `tenant.delete`.
                let change = Change { suspended: Some(true), limits: None };
                self.tenants.push(Wanted::new(&name, false, change));
            }
            Thing::PasswordPolicy(name) => self.commands.push(Box::new(password_policy::Remove(name))),
        }
        Ok(())
    }
}
