//! The way in: authenticate, authorise, run, record, answer.

use crate::act::{Act, Mode, Target};
use crate::arrival::Arrival;
use crate::authenticate::Sessions;
use crate::carried::{Carried, Tasks};
use crate::cursor::Cursors;
use crate::gate::Gate;
use crate::grant::{Authorized, Trail};
use crate::limits;
use crate::policy::PolicyBook;
use crate::reply::Reply;
use crate::secret::{Counts, Places, Uses};
use crate::tenant::TenantBook;
use access::session::HighWater;
use access::{Action, Decider, Decision, RequestContext, Resource, RuleIds, SessionFacts};
use crypto::id::{EntityId, OperationId, SessionId, TenantId};
use crypto::{Clock, Entropy, NoEntropy, WallMs};
use futures::FutureExt;
use ledger::access_log::{AccessLog, Anchor, Row};
use ledger::code::{ACCESS_LOG_UNAVAILABLE, BUG, ENTROPY_FAILED, POLICY_DENIED, STORAGE_FULL, STORAGE_UNKNOWN};
use ledger::{Ledger, Position, Refusal};
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use storage::BoxFuture;

/// What the house is made of.
#[derive(Debug)]
pub struct Parts {
    /// Everything that is stored.
    pub ledger: Ledger,
    /// Where requests are recorded.
    pub access_log: AccessLog,
    /// Makes closed segments of the log provable.
    pub anchor: Arc<dyn Anchor>,
    /// Who may.
    pub decider: Arc<Decider>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where changes run on.
    pub tasks: Arc<dyn Tasks>,
    /// The tenant of requests that name none, whose principals have the cluster's rights.
    pub home: TenantId,
}

/// All use cases of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    now: HighWater,
    gate: Gate,
    making: Gate,
    sessions: Sessions,
    tenants: TenantBook,
    places: Places,
    uses: Uses,
    counts: Counts,
    policies: PolicyBook,
    rotating: tokio::sync::Mutex<()>,
    applying: tokio::sync::Mutex<()>,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> App {
        App(Arc::new(Inner {
            now: HighWater::new(parts.ledger.head().time),
            gate: Gate::new(limits::PREPARING_MAX, limits::PREPARE_WAITING_MAX),
            making: Gate::new(limits::MAKING_MAX, limits::MAKING_WAITING_MAX),
            sessions: Sessions::new(),
            tenants: TenantBook::new(),
            places: Places::new(),
            uses: Uses::default(),
            counts: Counts::new(),
            policies: PolicyBook::default(),
            rotating: tokio::sync::Mutex::default(),
            applying: tokio::sync::Mutex::default(),
            parts,
        }))
    }

    /// How many hold these use cases, and by them the keys: handles, running requests, background work.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Bounds work that takes a whole processor for long.
    pub(crate) fn making(&self) -> &Gate {
        &self.0.making
    }

    pub(crate) fn cursors(&self) -> Cursors<'_, Ledger> {
        Cursors(&self.0.parts.ledger)
    }

    pub(crate) fn tenants(&self) -> &TenantBook {
        &self.0.tenants
    }

    pub(crate) fn uses(&self) -> &Uses {
        &self.0.uses
    }

    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn policies(&self) -> &PolicyBook {
        &self.0.policies
    }

    /// Whether this node does what is due: one of those that share a store does.
    pub fn holds_pen(&self) -> bool {
        self.parts().ledger.holds_pen()
    }

    /// Held while a rotation takes a step.
    pub(crate) fn rotating(&self) -> &tokio::sync::Mutex<()> {
        &self.0.rotating
    }

    /// Held while documents are applied.
    pub(crate) fn applying(&self) -> &tokio::sync::Mutex<()> {
        &self.0.applying
    }

    /// Time that never goes back.
    pub(crate) fn now(&self) -> WallMs {
        self.0.now.observe(self.0.parts.clock.wall())
    }

    pub(crate) fn operation(&self, now: WallMs) -> Result<OperationId, Refusal> {
        OperationId::generate(now, &*self.0.parts.entropy).map_err(no_entropy)
    }

    /// The only way in: verifies the session, asks the policies, runs the use case, takes the row, answers.
    ///
    /// `run` gets the proof of the right and does exactly what the act says. Nothing is looked up before the right is
    /// checked. A read is answered when its row is taken. A change is refused beforehand if no sink takes rows; once
    /// begun, it is carried out and recorded even if the caller goes away. Took effect? As the refusal's class says.
    pub async fn act<T, F, Fut>(&self, arrival: Arrival, act: Act, run: F) -> Reply<T>
    where
        F: FnOnce(Authorized) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
        T: Send + 'static,
    {
        let now = self.now();
        let stub = Stub::new(&arrival, &act);
        let facts = match self.0.sessions.verify(self, &arrival, now).await {
            Ok(facts) => facts,
            Err(unknown) => return self.refuse(stub.of(unknown.tenant), unknown.refusal).await,
        };
        let stub = stub.by(&facts);
        if let Err(refusal) = self.0.sessions.admit(self, &facts, arrival.source).await {
            return self.refuse(stub, refusal).await;
        }
        if let Err(refusal) = self.0.tenants.admit(self, facts.tenant).await {
            return self.refuse(stub, refusal).await;
        }
        let (by, rules) = match self.authorise(&arrival, &act, &facts, now).await {
            Ok(granted) => granted,
            Err((refusal, rules, subject)) => return self.refuse(stub.ruled(&rules).about(subject), refusal).await,
        };
        let stub = stub.ruled(&rules);
        let idempotency = match arrival.idempotency(&act, facts.tenant, facts.entity, Some(facts.session)) {
            Ok(idempotency) => idempotency,
            Err(refusal) => return self.refuse(stub, refusal).await,
        };
        let operation = match self.operation(now) {
            Ok(operation) => operation,
            Err(refusal) => return self.refuse(stub, refusal).await,
        };
        let mode = act.kind.mode;
        let circumstances = circumstances(&arrival, &act, now);
        let trail = Arc::<Mutex<Trail>>::default();
        let grant = Authorized {
            app: self.clone(),
            facts,
            act,
            by,
            circumstances,
            idempotency,
            operation,
            trail: Arc::clone(&trail),
        };
        let ending = Ending { stub, trail, operation };
        let work = run(grant).boxed();
        if mode == Mode::Read { self.finish(work, ending).await } else { self.carry_out(work, ending).await }
    }

    /// Records and answers a request that a door could not make an act of.
    ///
    /// Whoever is not logged in learns only that.
    pub fn turn_away<T>(&self, arrival: Arrival, refusal: Refusal) -> BoxFuture<'_, Reply<T>> {
        let turning = async move {
            let now = self.now();
            let stub = Stub::of_route(&arrival);
            match self.0.sessions.verify(self, &arrival, now).await {
                Ok(facts) => self.refuse(stub.by(&facts), refusal).await,
                Err(unknown) => self.refuse(stub.of(unknown.tenant), unknown.refusal).await,
            }
        };
        turning.boxed()
    }

    /// Whether the act may be done, by which right and which rules; or the first thing of it that may not.
    async fn authorise(
        &self,
        arrival: &Arrival,
        act: &Act,
        facts: &Arc<SessionFacts>,
        now: WallMs,
    ) -> Result<(Action, RuleIds), (Refusal, RuleIds, Option<usize>)> {
        self.0.policies.ready(self, facts.tenant).await.map_err(|refusal| (refusal, RuleIds::NONE, None))?;
        let denied = || Refusal::new(&POLICY_DENIED, DENIED);
        let foreign = act.kind.cluster && facts.tenant != self.0.parts.home;
        let circumstances = circumstances(arrival, act, now);
        let one = |resource: &Resource| {
            let mut last = RuleIds::NONE;
            for right in act.kind.rights.iter().filter(|right| !foreign && !self.beyond(**right, facts)) {
                match self.0.parts.decider.decide(facts, *right, resource, &circumstances) {
                    Decision::Allow { rules } => return Ok((*right, rules)),
                    Decision::Deny { rules, .. } => last = rules,
                }
            }
            Err(last)
        };
        match &act.target {
            Target::One(resource) => one(resource).map_err(|rules| (denied(), rules, None)),
            Target::Session(_) => {
                one(&Resource::System(access::Part::Sessions)).map_err(|rules| (denied(), rules, None))
            }
            Target::Tenant(_) => one(&Resource::System(access::Part::Tenants)).map_err(|rules| (denied(), rules, None)),
            Target::Secrets(paths) => {
                let mut granted = None;
                for (index, path) in paths.iter().enumerate() {
                    let allowed = one(&Resource::Secret(path.clone()));
                    // The caller named this path: to name it back shows nothing.
                    let denied = || Refusal { detail: format!("`{path}`: {DENIED}"), ..denied() };
                    granted = Some(allowed.map_err(|rules| (denied(), rules, Some(index)))?);
                }
                granted.ok_or((denied(), RuleIds::NONE, None))
            }
            Target::Each(each) => self.authorise_each(each, foreign, facts, &circumstances),
            Target::Login => Err((denied(), RuleIds::NONE, None)),
        }
    }

    /// Whether all of several things may be done; names the first that may not.
    fn authorise_each(
        &self,
        each: &[(Action, Resource)],
        foreign: bool,
        facts: &SessionFacts,
        circumstances: &RequestContext,
    ) -> Result<(Action, RuleIds), (Refusal, RuleIds, Option<usize>)> {
        let mut granted = None;
        let mut named: Vec<&Resource> = Vec::new();
        for (right, resource) in each {
            if !named.contains(&resource) {
                named.push(resource);
            }
            let subject = named.iter().position(|known| *known == resource);
            let denied = || Refusal::new(&POLICY_DENIED, format!("`{}`: {DENIED}", resource.id()));
            if foreign || self.beyond(*right, facts) {
                return Err((denied(), RuleIds::NONE, subject));
            }
            match self.0.parts.decider.decide(facts, *right, resource, circumstances) {
                Decision::Allow { rules } => granted = Some((*right, rules)),
                Decision::Deny { rules, .. } => return Err((denied(), rules, subject)),
            }
        }
        granted.ok_or_else(|| (Refusal::new(&POLICY_DENIED, DENIED), RuleIds::NONE, None))
    }

    /// Rights over the whole cluster are the home tenant's only.
    pub(crate) fn beyond(&self, right: Action, facts: &SessionFacts) -> bool {
        facts.tenant != self.0.parts.home && crate::act::over_the_house(right)
    }

    /// Runs a change where nobody can cut it short.
    pub(crate) async fn carry_out<T: Send + 'static>(
        &self,
        work: BoxFuture<'static, Result<T, Refusal>>,
        ending: Ending,
    ) -> Reply<T> {
        let (request, urgent) = (ending.stub.request, ending.stub.urgent);
        let log = &self.0.parts.access_log;
        if !urgent && log.is_tapped() {
            let why = "the disk is full, and what the access log kept back is for reads; nothing was changed";
            return self.refuse(ending.stub, Refusal::new(&STORAGE_FULL, why)).await;
        }
        let writable = if urgent { log.writable_urgent().await } else { log.writable().await };
        if let Err(refusal) = writable {
            return Reply::unrecorded(request, refusal);
        }
        let app = self.clone();
        let work = async move { app.finish(work, ending).await }.boxed();
        Carried::new(work, &self.0.parts.tasks).await
    }

    /// Runs to the end, takes the rows and makes the answer.
    async fn finish<T>(&self, work: BoxFuture<'static, Result<T, Refusal>>, ending: Ending) -> Reply<T> {
        let caught = AssertUnwindSafe(work).catch_unwind().await;
        let outcome = caught.unwrap_or_else(|_| Err(Refusal::new(&BUG, "the request ran into a defect")));
        let Ending { mut stub, trail, operation } = ending;
        let trail = std::mem::take(&mut *trail.lock());
        stub.version = trail.version.or(stub.version);
        stub.versions = trail.versions.into_iter().map(Some).collect();
        if !trail.subjects.is_empty() {
            (stub.subjects, stub.versions) =
                trail.subjects.into_iter().map(|(path, version)| (Some(path), version)).unzip();
        }
        stub.position = trail.position;
        stub.who = trail.session.or(stub.who);
        if outcome.is_err() {
            stub = stub.about(trail.subject);
        }
        let taken = self.record(&mut stub, outcome.as_ref().err()).await;
        match taken {
            Ok(recorded) => Reply::new(stub.request, outcome, recorded),
            Err(refusal) if stub.position.is_none() => Reply::unrecorded(stub.request, refusal),
            Err(_) => {
                let why = "the change was committed and could not be recorded";
                Reply::unrecorded(stub.request, Refusal::new(&STORAGE_UNKNOWN, why).about(operation))
            }
        }
    }

    /// Records a refusal and answers with it.
    pub(crate) fn refuse<T>(&self, mut stub: Stub, refusal: Refusal) -> BoxFuture<'_, Reply<T>> {
        let refusing = async move {
            match self.record(&mut stub, Some(&refusal)).await {
                Ok(recorded) => Reply::new(stub.request, Err(refusal), recorded),
                Err(unavailable) => Reply::unrecorded(stub.request, unavailable),
            }
        };
        refusing.boxed()
    }

    /// Takes the row of each subject; the last proof stands for all.
    async fn record(
        &self,
        stub: &mut Stub,
        refusal: Option<&Refusal>,
    ) -> Result<ledger::access_log::Recorded, Refusal> {
        let log = &self.0.parts.access_log;
        let mut proof = Err(Refusal::new(&ACCESS_LOG_UNAVAILABLE, "the request has no row"));
        let urgent = stub.urgent;
        for row in stub.rows(self.now(), refusal) {
            proof = Ok(if urgent { log.record_urgent(row).await? } else { log.record(row).await? });
        }
        proof
    }
}

pub(crate) const DENIED: &str = "no policy allows this, or one forbids it";

/// What is needed to end a request.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) stub: Stub,
    pub(crate) trail: Arc<Mutex<Trail>>,
    pub(crate) operation: OperationId,
}

/// A row while its request runs.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) request: [u8; 16],
    tenant: TenantId,
    who: Option<(EntityId, SessionId)>,
    source: std::net::IpAddr,
    act: &'static str,
    subjects: Vec<Option<String>>,
    version: Option<u64>,
    /// Of each subject, where there are several.
    versions: Vec<Option<u64>>,
    position: Option<Position>,
    rules: RuleIds,
    urgent: bool,
}

impl Stub {
    pub(crate) fn new(arrival: &Arrival, act: &Act) -> Stub {
        Stub {
            act: act.kind.name,
            subjects: act.subjects(),
            version: act.version,
            urgent: act.kind.urgent,
            ..Stub::of_route(arrival)
        }
    }

    fn of_route(arrival: &Arrival) -> Stub {
        Stub {
            request: arrival.request,
            tenant: TenantId::SYSTEM,
            who: None,
            source: arrival.source,
            act: arrival.route,
            subjects: vec![None],
            version: None,
            versions: Vec::new(),
            position: None,
            rules: RuleIds::NONE,
            urgent: false,
        }
    }

    pub(crate) fn of(self, tenant: TenantId) -> Stub {
        Stub { tenant, ..self }
    }

    pub(crate) fn by(self, facts: &Arc<SessionFacts>) -> Stub {
        Stub { tenant: facts.tenant, who: Some((facts.entity, facts.session)), ..self }
    }

    fn ruled(self, rules: &RuleIds) -> Stub {
        Stub { rules: rules.clone(), ..self }
    }

    /// Only the one subject that a refusal is about.
    fn about(mut self, subject: Option<usize>) -> Stub {
        if let Some(index) = subject
            && index < self.subjects.len()
        {
            self.subjects = vec![self.subjects.swap_remove(index)];
        }
        self
    }

    /// The rows of its subjects, which go with them.
    fn rows(&mut self, now: WallMs, refusal: Option<&Refusal>) -> impl Iterator<Item = Row> {
        let outcome = refusal.map_or(ledger::access_log::OK, |refusal| refusal.code.name);
        // A refusal is one row, however many things were asked for.
        let count = if refusal.is_some() { 1 } else { usize::MAX };
        let subjects = std::mem::take(&mut self.subjects);
        let versions = std::mem::take(&mut self.versions).into_iter().chain(std::iter::repeat(self.version));
        subjects.into_iter().zip(versions).take(count).map(move |(path, version)| {
            let mut row = Row::new(now, self.request, self.tenant, self.source.to_string(), self.act, outcome);
            row.entity = self.who.map(|(entity, _)| entity);
            row.session = self.who.map(|(_, session)| session);
            row.path = path;
            row.version = version;
            row.position = self.position;
            row.rules = self.rules.to_shared();
            row
        })
    }
}

fn circumstances(arrival: &Arrival, act: &Act, now: WallMs) -> RequestContext {
    RequestContext { source_ip: arrival.source, now, tls: arrival.tls, cas: act.insists }
}

/// No randomness was to be had; nothing happened.
pub(crate) fn no_entropy(_: NoEntropy) -> Refusal {
    Refusal::new(&ENTROPY_FAILED, "no randomness was to be had")
}
