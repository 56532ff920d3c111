//! The proof that somebody may do something, and the only handle through which use cases reach the ledger.

use crate::act::{Act, Target};
use crate::app::App;
use access::{Action, Decision, RequestContext, Resource, SessionFacts};
use crypto::WallMs;
use crypto::id::{EntityId, OperationId, SessionId, TenantId};
use ledger::code::BUG;
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

    /// Names the version in the row.
    pub(crate) fn note_version(&self, version: u64) {
        self.trail.lock().version = Some(version);
    }

    /// Names the versions in the rows of several subjects, in their order.
    pub(crate) fn note_versions(&self, versions: Vec<u64>) {
        self.trail.lock().versions = versions;
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

fn mismatched() -> Refusal {
    bug("a use case was called for another act")
}
