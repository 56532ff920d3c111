//! Declarative configuration: documents say what there shall be, and one commit makes it so, or nothing does. Tenants are
//! promised in that commit.
//!
//! What a set of documents names is remembered under the set's name; what a later application of the same set no longer
//! names can be pruned. Values never stand in documents: a secret is generated, or must be there.

mod prune;
mod record;

pub use record::{APPLIED, ApplyRules, Kind, Member};

use crate::act::Act;
use crate::app::{App, no_entropy};
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::password_policy;
use crate::policy::PolicyChange;
use crate::reply::Changed;
use crate::secret::{MetadataEdit, Password, Recipe};
use crate::tenant::{self, Change, Promise, TenantState, Wanted};
use access::policy::{self, StoredPolicy};
use access::principal::{self, PutPrincipal};
use access::{Action, Part, PasswordPolicyName, PolicyName, Principal, PrincipalName, Resource, ValidPolicy};
use crypto::id::EntityId;
use ledger::code::{APPLY_INVALID, POLICY_DENIED, TENANT_DELETING};
use ledger::{Command, Path, Position, Refusal};
use record::{Remember, members};
use secrets::Secret;
use secrets::command::{Edit, Metadata, Put};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most documents of one application: what they change must fit into one commit.
pub const DOCUMENTS_MAX: usize = 250;

/// What there shall be.
#[derive(Debug)]
pub enum Document {
    /// A policy with this text.
    Policy {
        /// Its name.
        name: PolicyName,
        /// Cedar text.
        text: String,
    },
    /// A principal with exactly these roles.
    Principal {
        /// Its name.
        name: PrincipalName,
        /// Its roles.
        roles: Vec<String>,
        /// Whether it may do nothing.
        disabled: bool,
    },
    /// A secret: made by this recipe where it is not there, with this metadata in any case.
    Secret {
        /// Its path.
        path: Path,
        /// How it is made; it must be there otherwise.
        recipe: Option<Recipe>,
        /// Labels, expiry, versions kept.
        edit: MetadataEdit,
    },
    /// A password policy with these rules; secrets of the same documents can be made by it.
    PasswordPolicy {
        /// Its name.
        name: PasswordPolicyName,
        /// Which passwords may come out.
        rules: Password,
    },
    /// A tenant of the house; its owner is made when somebody asks for the login.
    Tenant {
        /// Its name.
        name: String,
        /// Suspended or not, and its limits; what is absent stays as it is.
        change: Change,
    },
}

impl Document {
    fn member(&self) -> Member {
        let (kind, name) = match self {
            Document::Policy { name, .. } => (Kind::Policy, name.as_str()),
            Document::Principal { name, .. } => (Kind::Principal, name.as_str()),
            Document::Secret { path, .. } => (Kind::Secret, path.as_str()),
            Document::Tenant { name, .. } => (Kind::Tenant, name.as_str()),
            Document::PasswordPolicy { name, .. } => (Kind::PasswordPolicy, name.as_str()),
        };
        Member { kind, name: name.to_owned() }
    }

    fn password_policy(&self) -> Option<(PasswordPolicyName, Password)> {
        match self {
            Document::PasswordPolicy { name, rules } => Some((name.clone(), rules.clone())),
            _ => None,
        }
    }
}

/// Documents and what is to be done with them.
#[derive(Debug)]
pub struct Application {
    /// Name of the set they make up.
    pub set: String,
    /// The documents.
    pub documents: Vec<Document>,
    /// Whether what the set held and no document names goes: policies are removed, principals shut out, secrets deleted so
    /// that they can be brought back, tenants suspended, password policies removed. What another set names too stays.
    pub prune: bool,
}

/// What happens to a thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is as it shall be; or it would go, and another set names it too.
    Keep,
    /// It goes.
    Prune,
}

/// A thing and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// What.
    pub member: Member,
    /// What happens.
    pub step: Step,
}

/// Checks a set's name. Errors: `apply.invalid`.
pub fn check_set(set: &str) -> Result<(), Refusal> {
    PrincipalName::parse(set).map(drop).map_err(|_| {
        let why = "a set's name is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit";
        Refusal::new(&APPLY_INVALID, why)
    })
}

/// Says what applying would do. Errors: as [`apply`].
pub async fn plan(grant: Authorized, application: Application) -> Result<Vec<Planned>, Refusal> {
    Ok(Plan::make(&grant, application, false).await?.steps)
}

/// Makes everything as the documents say, in one commit or not at all. Tenants are made and changed right after it; what cuts
/// that off does not undo the promise, and the server goes on by itself.
///
/// The caller needs the right to each change too. Errors: `apply.invalid` naming the document, `policy.denied` naming what
/// is not permitted, and those of each change (nothing happened).
pub async fn apply(grant: Authorized, application: Application) -> Result<Changed<Vec<Planned>>, Refusal> {
    let app = grant.app.clone();
    // Between what the sets name and what is done about it no other application comes.
    let _turn = app.applying().lock().await;
    let plan = Plan::make(&grant, application, true).await?;
    let Plan { steps, policies, mut commands, tenants, set, members, .. } = plan;
    commands.push(Box::new(Remember { set, members }));
    let promises = !tenants.is_empty();
    if promises {
        commands.push(Box::new(Promise(tenants)));
    }
    let done = app.policies().change(&grant, policies, commands).await?;
    if promises {
        // The promise stands; should this fail, the server tries again.
        let _later = tenant::keep(&app).await;
    }
    Ok(Changed { what: steps, position: done.position, replayed: done.replayed })
}

/// Everything an application does.
struct Plan {
    steps: Vec<Planned>,
    policies: Vec<PolicyChange>,
    commands: Vec<Box<dyn Command>>,
    tenants: Vec<Wanted>,
    password_policies: password_policy::Fresh,
    /// Whether values are made that take long.
    carries_out: bool,
    set: String,
    members: Vec<Member>,
}

impl Plan {
    /// Looks at everything; `carries_out` is false where it is only shown.
    async fn make(grant: &Authorized, application: Application, carries_out: bool) -> Result<Plan, Refusal> {
        let Application { set, documents, prune } = application;
        check_set(&set)?;
        let mut named = BTreeSet::<Member>::new();
        for member in documents.iter().map(Document::member) {
            let why = format!("two documents are about {} `{}`", member.kind.word(), member.name);
            if !named.insert(member) {
                return Err(Refusal::new(&APPLY_INVALID, why));
            }
        }
        let before = members(grant.ledger(), grant.tenant(), &set).await?.unwrap_or_default();
        let mut members: BTreeSet<Member> = named.clone();
        let gone: Vec<Member> = before.into_iter().filter(|member| !named.contains(member)).collect();
        if !prune {
            // Still the set's, and pruned when somebody asks for that.
            members.extend(gone.iter().cloned());
        }
        if members.len() > DOCUMENTS_MAX {
            return Err(Refusal::new(&APPLY_INVALID, format!("a set holds at most {DOCUMENTS_MAX} things")));
        }
        let (steps, policies, commands, tenants) = Default::default();
        let password_policies = documents.iter().filter_map(Document::password_policy).collect();
        let members = members.into_iter().collect();
        let mut plan = Plan { steps, policies, commands, tenants, password_policies, carries_out, set, members };
        for document in documents {
            let member = document.member();
            let step = plan.add(grant, document).await.map_err(|refusal| about(&member, refusal))?;
            plan.steps.push(Planned { member, step });
        }
        if prune {
            plan.prune(grant, gone).await?;
        }
        Ok(plan)
    }

    async fn add(&mut self, grant: &Authorized, document: Document) -> Result<Step, Refusal> {
        match document {
            Document::Policy { name, text } => self.add_policy(grant, name, &text).await,
            Document::Principal { name, roles, disabled } => self.add_principal(grant, name, &roles, disabled).await,
            Document::Secret { path, recipe, edit } => self.add_secret(grant, path, recipe, edit).await,
            Document::Tenant { name, change } => self.add_tenant(grant, &name, change).await,
            Document::PasswordPolicy { name, rules } => self.add_password_policy(grant, name, rules).await,
        }
    }

    async fn add_policy(&mut self, grant: &Authorized, name: PolicyName, text: &str) -> Result<Step, Refusal> {
        allowed(grant, Action::PolicyWrite, &Resource::Policy(name.clone()))?;
        let policy = Arc::new(ValidPolicy::parse(name.clone(), text)?);
        let before = grant.ledger().record(grant.tenant(), &policy::record_name(&name)).await?;
        let before = before.map(|record| StoredPolicy::decode(&record)).transpose().map_err(damaged)?;
        let step = step(before.map(|stored| stored.policy().text == text));
        if step != Step::Keep {
            self.policies.push(PolicyChange { name, policy: Some(policy) });
        }
        Ok(step)
    }

    async fn add_principal(
        &mut self,
        grant: &Authorized,
        name: PrincipalName,
        roles: &[String],
        disabled: bool,
    ) -> Result<Step, Refusal> {
        allowed(grant, Action::PrincipalWrite, &Resource::PrincipalRecord(name.clone()))?;
        let before = grant.ledger().record(grant.tenant(), &principal::record_name(&name)).await?;
        let before = before.map(|record| Principal::decode(&record)).transpose().map_err(damaged)?;
        let fresh = EntityId::generate(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
        let put = PutPrincipal::new(name.clone(), roles, disabled, fresh)?;
        let step = step(before.map(|before| put.leaves(&before)));
        if step != Step::Keep {
            self.commands.push(Box::new(put));
        }
        Ok(step)
    }

    async fn add_secret(
        &mut self,
        grant: &Authorized,
        path: Path,
        recipe: Option<Recipe>,
        edit: MetadataEdit,
    ) -> Result<Step, Refusal> {
        edit.check(grant.now())?;
        let resource = Resource::Secret(path.clone());
        // Who may do none of these must not learn from what is missing whether it is there.
        let (write, annotate) = (Action::SecretWrite, Action::SecretAnnotate);
        if ![write, annotate, Action::SecretMetadata].iter().any(|action| grant.also(*action, &resource)) {
            let why = format!("this needs `{write}` where it is not there, `{annotate}` where it is");
            return Err(Refusal::new(&POLICY_DENIED, why));
        }
        let record = grant.ledger().record(grant.tenant(), &secrets::secret_name(&path)).await?;
        let before = record.map(|record| Secret::decode(&record)).transpose().map_err(damaged)?.flatten();
        let Some(before) = before else {
            allowed(grant, write, &resource)?;
            let recipe = recipe.ok_or_else(|| {
                Refusal::new(&APPLY_INVALID, "it is not there and no `generate` says how it is made; put it first")
            })?;
            if self.carries_out || !recipe.is_slow() {
                let put: Put = crate::secret::generated(grant, path, &recipe, edit, &self.password_policies).await?;
                self.commands.push(Box::new(put));
            }
            return Ok(Step::Create);
        };
        allowed(grant, annotate, &resource)?;
        if holds_already(&before, &edit) {
            return Ok(Step::Keep);
        }
        self.commands.push(Box::new(Metadata { path, edit, cas: None }));
        Ok(Step::Update)
    }

    async fn add_password_policy(
        &mut self,
        grant: &Authorized,
        name: PasswordPolicyName,
        rules: Password,
    ) -> Result<Step, Refusal> {
        allowed(grant, Action::PasswordPolicyWrite, &Resource::PasswordPolicy(name.clone()))?;
        password_policy::check(&rules)?;
        let before = password_policy::stored(grant, &name).await?;
        let step = step(before.map(|before| before.rules == rules));
        if step != Step::Keep {
            self.commands.push(Box::new(password_policy::Put { name, rules }));
        }
        Ok(step)
    }

    async fn add_tenant(&mut self, grant: &Authorized, name: &str, change: Change) -> Result<Step, Refusal> {
        in_house(grant)?;
        allowed(grant, Action::TenantWrite, &Resource::System(Part::Tenants))?;
        tenant::check_name(name)?;
        change.check(name)?;
        let before = grant.ledger().tenant_named(name).await?;
        if before.as_ref().is_some_and(|before| before.state == TenantState::Deleting) {
            return Err(Refusal::new(&TENANT_DELETING, "the tenant is being deleted; apply again when that is done"));
        }
        let step = step(before.map(|before| change.leaves(&before)));
        if step != Step::Keep {
            self.tenants.push(Wanted::new(name, step == Step::Create, change));
        }
        Ok(step)
    }
}

/// What happens to a thing that is, or is not, as it shall be.
fn step(same: Option<bool>) -> Step {
    match same {
        None => Step::Create,
        Some(true) => Step::Keep,
        Some(false) => Step::Update,
    }
}

/// Whether the metadata asked for is there.
fn holds_already(secret: &Secret, edit: &MetadataEdit) -> bool {
    let mut same = true;
    if let Edit::Set(labels) = &edit.labels {
        same &= secret.labels == *labels;
    }
    if let Edit::Set(versions) = &edit.max_versions {
        same &= secret.max_versions == Some(*versions);
    }
    same && matches!(edit.expires, Edit::Keep) && matches!(edit.cas_required, Edit::Keep)
}

fn allowed(grant: &Authorized, action: Action, resource: &Resource) -> Result<(), Refusal> {
    match grant.also(action, resource) {
        true => Ok(()),
        false => Err(Refusal::new(&POLICY_DENIED, format!("this needs `{action}`"))),
    }
}

/// Tenants are made and changed by documents of the house's own tenant only. Errors: `policy.denied`.
fn in_house(grant: &Authorized) -> Result<(), Refusal> {
    match grant.tenant() == grant.app.parts().home {
        true => Ok(()),
        false => Err(Refusal::new(&POLICY_DENIED, "tenants are made and changed in the house's own tenant only")),
    }
}

/// A refusal that says which document it is about.
fn about(member: &Member, refusal: Refusal) -> Refusal {
    Refusal { detail: format!("{} `{}`: {}", member.kind.word(), member.name, refusal.detail), ..refusal }
}

/// What became of documents for the first start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// They were applied.
    Applied(Position),
    /// They were applied at an earlier start.
    Before,
    /// They are not applied: the house was used before it was given any.
    TooLate,
}

/// Applies documents in the server's own name, once and as long as nobody has used the house.
///
/// The owner stays an owner, whatever they say. Errors: as [`apply`] (nothing happened).
pub async fn first(app: &App, application: Application) -> Result<First, Refusal> {
    if members(&app.parts().ledger, app.parts().home, &application.set).await?.is_some() {
        return Ok(First::Before);
    }
    if !crate::bootstrap::is_empty(app).await? {
        return Ok(First::TooLate);
    }
    let grant = crate::bootstrap::as_house(app, Act::apply(), Action::ApplyWrite).await?;
    let applied = apply(grant, application).await.map(|changed| changed.position);
    let (position, refusal) = (applied.as_ref().ok().copied(), applied.as_ref().err());
    crate::bootstrap::record(app, app.parts().home, "bootstrap.apply", position, refusal).await?;
    applied.map(First::Applied)
}
