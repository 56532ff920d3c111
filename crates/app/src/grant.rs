//! The proof that somebody may do something, and the only handle through which use cases reach the ledger.

use crate::act::{Act, Target};
use crate::app::{App, DENIED};
use access::{Action, Decision, RequestContext, Resource, SessionFacts};
use crypto::WallMs;
use crypto::id::{EntityId, OperationId, SessionId, TenantId};
use ledger::code::{BUG, POLICY_DENIED};
use ledger::{Actor, ChangeTenant, Command, Idempotency, Ledger, Path, Position, Prefix, Receipt, Refusal, Unit};
use parking_lot::Mutex;
use std::sync::Arc;

/// What a use case leaves for the row of its request.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    pub(crate) position: Option<Position>,
    pub(crate) version: Option<u64>,
    /// The version of each subject, where an act has several.
    pub(crate) versions: Vec<u64>,
    /// What turned out to be touched, with the version of each, in place of what the act names.
    pub(crate) subjects: Vec<(String, Option<u64>)>,
    /// The one subject a refusal is about, where an act has several.
    pub(crate) subject: Option<usize>,
    /// Who turned out to be asking, where nobody was logged in.
    pub(crate) session: Option<(EntityId, SessionId)>,
}

/// Proof that a session was verified and a policy allowed exactly this act.
///
/// Only [`App::act`] makes one; it is used up by the use case. Whoever holds it may do what its act says to what its
/// act names, and nothing else.
///
/// ```compile_fail
/// fn reveal(app: app::App) -> app::Authorized {
///     app::Authorized { app }
/// }
/// ```
#[derive(Debug)]
#[must_use = "a right that is not used was asked for in vain"]
pub struct Authorized {
    pub(crate) app: App,
    pub(crate) facts: Arc<SessionFacts>,
    pub(crate) act: Act,
    pub(crate) by: Action,
    pub(crate) circumstances: RequestContext,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) operation: OperationId,
    pub(crate) trail: Arc<Mutex<Trail>>,
}

impl Authorized {
    /// Whose secrets.
    pub fn tenant(&self) -> TenantId {
        self.facts.tenant
    }

    /// Who asks.
    pub fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// Time of the request.
    pub fn now(&self) -> WallMs {
        self.circumstances.now
    }

    /// What a repetition of this request has in common with it: digest of tenant, principal, route and the caller's key.
    pub fn repeats(&self) -> Option<[u8; 16]> {
        self.idempotency.map(|idempotency| idempotency.key)
    }

    /// The right that was enough, of those the act names.
    pub(crate) fn right(&self) -> Action {
        self.by
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.app.parts().ledger
    }

    /// The secret it is about.
    pub(crate) fn path(&self) -> Result<&Path, Refusal> {
        match &self.act.target {
            Target::One(Resource::Secret(path)) => Ok(path),
            _ => Err(mismatched()),
        }
    }

    /// The secrets it is about.
    pub(crate) fn paths(&self) -> Result<&[Path], Refusal> {
        match &self.act.target {
            Target::Secrets(paths) => Ok(paths),
            Target::One(Resource::Secret(path)) => Ok(std::slice::from_ref(path)),
            _ => Err(mismatched()),
        }
    }

    /// The folder it is about.
    pub(crate) fn folder(&self) -> Result<&Prefix, Refusal> {
        match &self.act.target {
            Target::One(Resource::Folder(folder)) => Ok(folder),
            _ => Err(mismatched()),
        }
    }

    /// What it is about.
    pub(crate) fn resource(&self) -> Result<&Resource, Refusal> {
        match &self.act.target {
            Target::One(resource) => Ok(resource),
            _ => Err(mismatched()),
        }
    }

    /// The session it is about.
    pub(crate) fn session(&self) -> Result<SessionId, Refusal> {
        match &self.act.target {
            Target::Session(id) => Ok(*id),
            _ => Err(mismatched()),
        }
    }

    /// The tenant it is about, by name.
    pub(crate) fn tenant_named(&self) -> Result<&str, Refusal> {
        match &self.act.target {
            Target::Tenant(name) => Ok(name),
            _ => Err(mismatched()),
        }
    }

    /// Whether the caller may do this too: for lists, which show only what may be listed.
    pub(crate) fn also(&self, action: Action, resource: &Resource) -> bool {
        let decision = self.app.parts().decider.decide(&self.facts, action, resource, &self.circumstances);
        matches!(decision, Decision::Allow { .. })
    }

    /// Asks for a right on a secret that the act does not name: one it leads to. The refusal names it, and so does its row.
    ///
    /// Call it before the secret is looked up. Errors: `policy.denied`.
    pub(crate) fn require(&self, action: Action, path: &Path) -> Result<(), Refusal> {
        if self.also(action, &Resource::Secret(path.clone())) {
            return Ok(());
        }
        self.note_subjects(vec![(path.as_str().to_owned(), None)]);
        Err(Refusal::new(&POLICY_DENIED, format!("`{path}`: {DENIED}")))
    }

    /// The things it is about with the right asked for on each.
    pub(crate) fn each(&self) -> Result<&[(Action, Resource)], Refusal> {
        match &self.act.target {
            Target::Each(each) => Ok(each),
            _ => Err(mismatched()),
        }
    }

    /// Holds the act to the version that it said it insists on. Errors: a defect of the door.
    pub(crate) fn insists(&self, cas: Option<u64>) -> Result<(), Refusal> {
        if self.act.insists && cas.is_none() { Err(bug("an act that insists on no version")) } else { Ok(()) }
    }

    /// Notes that a secret's value was given to the caller.
    pub(crate) fn note_use(&self, path: &Path) {
        let last = crate::secret::LastUse { at: self.now(), by: self.facts.entity };
        self.app.uses().note(self.facts.tenant, path, last);
    }

    /// Names the version in the row.
    pub(crate) fn note_version(&self, version: u64) {
        self.trail.lock().version = Some(version);
    }

    /// Names the versions in the rows of several subjects, in their order.
    pub(crate) fn note_versions(&self, versions: Vec<u64>) {
        self.trail.lock().versions = versions;
    }

    /// Names what turned out to be touched, in place of what the act names; a row stands for each.
    pub(crate) fn note_subjects(&self, subjects: Vec<(String, Option<u64>)>) {
        self.trail.lock().subjects = subjects;
    }

    /// Names the one of several subjects that a refusal is about.
    pub(crate) fn note_subject(&self, index: usize) {
        self.trail.lock().subject = Some(index);
    }

    fn actor(&self) -> Actor {
        match self.facts.entity {
            EntityId::SYSTEM => Actor::SYSTEM,
            entity => Actor { entity, session: Some(self.facts.session) },
        }
    }

    /// The kept answer to an earlier, equal request. Errors: `idempotency.reused`.
    pub(crate) async fn answered(&self) -> Result<Option<Receipt>, Refusal> {
        let Some(idempotency) = &self.idempotency else { return Ok(None) };
        let receipt = self.ledger().answered(self.facts.tenant, idempotency).await?;
        self.trail.lock().position = receipt.as_ref().and_then(|receipt| receipt.position);
        Ok(receipt)
    }

    /// Commits commands as one unit and remembers its entry for the row.
    pub(crate) async fn submit(&self, commands: Vec<Box<dyn Command>>) -> Result<Receipt, Refusal> {
        self.submit_in(self.facts.tenant, self.actor(), commands).await
    }

    /// As [`Authorized::submit`], in another tenant: of acts over the whole house only. A caller who is nobody there lets
    /// the house itself act; the row says for whom.
    pub(crate) async fn submit_in(
        &self,
        tenant: TenantId,
        actor: Actor,
        commands: Vec<Box<dyn Command>>,
    ) -> Result<Receipt, Refusal> {
        let unit = Unit {
            tenant,
            actor,
            commands: crate::reactions::with_reactions(commands),
            idempotency: self.idempotency,
            operation: self.operation,
        };
        let receipt = self.ledger().submit(unit).await?;
        self.trail.lock().position = receipt.position;
        Ok(receipt)
    }

    /// Commits a change of a tenant of the house.
    pub(crate) async fn change_tenant(&self, command: ChangeTenant) -> Result<Done, Refusal> {
        Done::of(self.submit_in(TenantId::SYSTEM, self.actor(), vec![Box::new(command)]).await?)
    }

    /// Commits one command and gives its answer with its entry.
    pub(crate) async fn change(&self, command: impl Command + 'static) -> Result<Done, Refusal> {
        let receipt = self.submit(vec![Box::new(command)]).await?;
        Done::of(receipt)
    }
}

/// A committed command: its answer and its entry.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) reply: crypto::SecretBytes,
    pub(crate) position: Position,
    pub(crate) replayed: bool,
}

impl Done {
    pub(crate) fn of(receipt: Receipt) -> Result<Done, Refusal> {
        let Receipt { replies, position, replayed } = receipt;
        let reply = replies.into_iter().next().ok_or_else(|| bug("a commit without an answer"))?;
        let position = position.ok_or_else(|| bug("a change without an entry"))?;
        Ok(Done { reply, position, replayed })
    }
}

/// A defect of ours, told without its cause.
pub(crate) fn bug(what: &'static str) -> Refusal {
    Refusal::new(&BUG, what)
}

pub(crate) fn mismatched() -> Refusal {
    bug("a use case was called for another act")
}
