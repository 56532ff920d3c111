//! The ledger under faults: every single one by enumeration, then random histories from seeds.
//!
//! A failing history prints its seed and plan; run it again with `AUMBRY_SIM_SEEDS=<seed>`.

use crate::house::{BoxRules, House, TestSeal, open};
use crypto::id::{OperationId, TenantId};
use crypto::seam::Clock;
use ledger::{Class, OperationState, Verification};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{Memory, Shard, Storage, Transactions};
use testkit::faulty::{Fault, Faulty};

const PATHS: [&str; 4] = ["a/x", "a/y", "b/x", "z"];

/// What may stand at a path: the versions and values that are possible.
#[derive(Clone, Debug, Default)]
struct Possible {
    /// Each state that is consistent with the answers: version (0 = absent) and value.
    states: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
struct Model {
    paths: BTreeMap<&'static str, Possible>,
}

impl Model {
    fn new() -> Model {
        let absent = Possible { states: vec![(0, Vec::new())] };
        Model { paths: PATHS.iter().map(|path| (*path, absent.clone())).collect() }
    }
}

/// A small random source of the test's own, so that a seed is a whole history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One act; `Ok` if it took effect, `Err` if it did not, `None` if nobody knows.
async fn act(house: &House, tenant: TenantId, dice: &mut Dice, model: &mut Model, n: u64, context: &str) {
    let path = PATHS[dice.roll(4) as usize];
    let possible = model.paths.get_mut(path).unwrap();
    let value = n.to_be_bytes().to_vec();
    if dice.roll(5) == 0 {
        let operation = OperationId::generate(house.clock.wall(), house.entropy.as_ref()).unwrap();
        let unit = house.unit_named(tenant, vec![Box::new(crate::house::Purge { path: path.into() })], operation);
        let outcome = within_deadline(house, unit).await;
        let after = |_: &(u64, Vec<u8>)| (0, Vec::new());
        learn(house, tenant, operation, outcome.err(), possible, |state| state.0 > 0, after, context).await;
        return;
    }
    let cas = (dice.roll(3) == 0).then(|| dice.roll(4));
    let Ok(fresh) = house.ledger.prepare_value(tenant, &value) else { return };
    let operation = OperationId::generate(house.clock.wall(), house.entropy.as_ref()).unwrap();
    let command = crate::house::Write { path: path.into(), value: fresh, cas };
    let outcome = within_deadline(house, house.unit_named(tenant, vec![Box::new(command)], operation)).await;
    let allowed = move |state: &(u64, Vec<u8>)| cas.is_none_or(|cas| cas == state.0);
    let after = |state: &(u64, Vec<u8>)| (state.0 + 1, value.clone());
    learn(house, tenant, operation, outcome.err(), possible, allowed, after, context).await;
}

/// As a door does: whoever waits past the deadline is told that the outcome is unknown.
async fn within_deadline(house: &House, unit: ledger::Unit) -> Result<ledger::Receipt, ledger::Refusal> {
    let operation = unit.operation;
    let answer = tokio::time::timeout(std::time::Duration::from_millis(100), house.ledger.submit(unit)).await;
    answer.unwrap_or_else(|_| Err(ledger::Refusal::new(&ledger::code::REQUEST_TIMEOUT, "late").about(operation)))
}

/// Narrows what is possible by the answer, and by the operation's state when the answer was "unknown".
#[expect(clippy::too_many_arguments, reason = "the two closures say what the act does")]
async fn learn(
    house: &House,
    tenant: TenantId,
    operation: OperationId,
    refusal: Option<ledger::Refusal>,
    possible: &mut Possible,
    allowed: impl Fn(&(u64, Vec<u8>)) -> bool,
    after: impl Fn(&(u64, Vec<u8>)) -> (u64, Vec<u8>),
    context: &str,
) {
    let changed: Vec<_> = possible.states.iter().filter(|state| allowed(state)).map(&after).collect();
    match refusal.map(|refusal| refusal.class()) {
        None => possible.states = changed,
        Some(Class::Conflict | Class::NotFound) => possible.states.retain(|state| !allowed(state)),
        Some(Class::Unavailable | Class::Limited) => {}
        Some(Class::Unknown) => match house.ledger.operation(tenant, operation).await {
            Ok(OperationState::Applied(_)) => possible.states = changed,
            Ok(OperationState::NotApplied) | Err(_) => possible.states.extend(changed),
        },
        Some(other) => panic!("{context}: an answer of class {other:?}"),
    }
    assert!(!possible.states.is_empty(), "{context}: the answer fits nothing that was possible");
}

async fn check(house: &House, tenant: TenantId, model: &mut Model, context: &str) {
    for (path, possible) in &mut model.paths {
        match house.read(tenant, path).await {
            Ok(found) => {
                let found = found.unwrap_or_default();
                assert!(possible.states.contains(&found), "{context}: `{path}` is {found:?}, possible {possible:?}");
                possible.states = vec![found];
            }
            Err(refusal) => assert_eq!(refusal.class(), Class::Unavailable, "{context}: {refusal}"),
        }
    }
}

/// Lives through a history: acts, faults, kills and starts; then checks everything without faults.
async fn history(transactions: Transactions, seed: u64, plans: Vec<Vec<(u64, Fault)>>) -> u64 {
    let context = format!("seed {seed}, {transactions:?}, {plans:?}");
    let lived = tokio::time::timeout(std::time::Duration::from_secs(20), live(transactions, seed, plans, &context));
    // I13, I14: each request ends, and after the faults the ledger serves again.
    lived.await.unwrap_or_else(|_| panic!("{context}: it hangs"))
}

async fn live(transactions: Transactions, seed: u64, plans: Vec<Vec<(u64, Fault)>>, context: &str) -> u64 {
    let store: Arc<dyn Storage> = Arc::new(Memory::new(transactions));
    let mut dice = Dice(seed);
    let mut model = Model::new();
    let mut met = 0;
    let first = open(store.clone(), seed).await.unwrap();
    let tenant = first.ledger.create_tenant("first").await.unwrap();
    first.close().await;
    for (life, plan) in plans.into_iter().enumerate() {
        let faulty = Arc::new(Faulty::new(store.clone(), plan));
        let Ok(house) = open(faulty.clone(), seed.wrapping_add(1 + life as u64)).await else { continue };
        for n in 0..12 {
            act(&house, tenant, &mut dice, &mut model, life as u64 * 100 + n, context).await;
            if faulty.is_gone() {
                break;
            }
            if dice.roll(6) == 0 {
                drop(tokio::time::timeout(std::time::Duration::from_millis(5), house.ledger.settle()).await);
            }
        }
        met += faulty.hit().len() as u64;
        faulty.kill();
        house.kill();
        tokio::task::yield_now().await;
    }
    let last = open(store.clone(), seed.wrapping_add(999)).await.unwrap();
    check(&last, tenant, &mut model, context).await;
    last.write(tenant, "alive", b"after all of that", None).await.unwrap();
    last.close().await;
    verified(&store, context).await;
    ledger::forget_records(store.as_ref(), Shard(0)).await.unwrap();
    let rebuilt = open(store.clone(), seed.wrapping_add(1000)).await.unwrap();
    check(&rebuilt, tenant, &mut model, &format!("rebuilt, {context}")).await;
    rebuilt.close().await;
    verified(&store, context).await;
    met
}

/// The store is sound, with the seal.
pub(crate) async fn verified(store: &Arc<dyn Storage>, context: &str) {
    let verification = Verification {
        storage: store.clone(),
        shard: Shard(0),
        key: None,
        seal: Some(TestSeal::new(9)),
        rules: vec![Arc::new(BoxRules)],
    };
    let report = ledger::verify(verification).await.unwrap();
    assert_eq!(report.bad, None, "{context}");
}

#[tokio::test]
async fn ft_01_every_single_fault_at_every_call_leaves_answered_writes_and_nothing_half_done() {
    let mut met = 0;
    for transactions in [Transactions::Yes, Transactions::No] {
        for call in 0..48 {
            for fault in Fault::WRITES {
                met += history(transactions, 7, vec![vec![(call, fault)], vec![]]).await;
            }
        }
    }
    assert!(met > 250, "{met}");
}

#[tokio::test]
async fn ft_13_random_faults_over_many_lives_leave_a_store_that_verifies() {
    let seeds = seeds_wanted();
    let seeds: Vec<u64> = match seeds.as_deref().map(|text| text.split_once("..")) {
        Some(Some((from, to))) => (from.parse().unwrap()..to.parse().unwrap()).collect(),
        Some(None) => vec![seeds.unwrap().parse().unwrap()],
        None => (0..40).collect(),
    };
    for seed in seeds {
        let mut dice = Dice(seed ^ 0x5eed);
        let lives = 1 + dice.roll(4);
        let plans = (0..lives).map(|_| {
            let faults = dice.roll(4);
            (0..faults).map(|_| (dice.roll(60), Fault::WRITES[dice.roll(5) as usize])).collect()
        });
        let plans = plans.collect();
        let transactions = if seed % 2 == 0 { Transactions::Yes } else { Transactions::No };
        history(transactions, seed, plans).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may be told its seeds")]
fn seeds_wanted() -> Option<String> {
    std::env::var("AUMBRY_SIM_SEEDS").ok()
}
