//! Several nodes on one store: who is there, whose turn it is to fold, and how fresh a node's memory is.
//!
//! Every node commits: the batch number is the compare-and-set. Every node takes in what others committed, each
//! [`POLL`]. One of them, who holds the *pen*, folds and does what is due; the pen is a record of the ledger with a turn
//! that rises, and the store refuses runs of earlier turns ([`storage::Fence`]), so safety does not hang on who believes
//! to hold it. Nodes show that they live by a row of their own that changes each second.

mod pen;
mod row;
mod turns;
mod watch;

pub(crate) use pen::PenRules;
pub(crate) use row::hold_level;
pub use row::{FORMAT_LEVEL, NodeId};
pub(crate) use watch::Watch;
pub use watch::somebody_lives;

use crate::Delay;
use crate::code::{self, Refusal};
use crate::ledger::{Ledger, SealInForce};
use crate::unit::Position;
use crypto::id::TenantId;
use crypto::seam::{Clock, WallMs};
use futures::future::select;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How often a node asks for what others committed; a commit of its own tells as much.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// How long a request waits for the store to confirm that memory is fresh.
const CONFIRM_WAIT: Duration = Duration::from_secs(2);
/// How long a request waits for a change it names.
const CATCH_UP_WAIT: Duration = Duration::from_secs(5);

/// How a node shares its store.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// What people call the node.
    pub name: String,
    /// Where it answers.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// Longest time that memory answers without the store having confirmed it.
    pub max_stale: Duration,
}

/// A node as others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Fresh at each start.
    pub id: NodeId,
    /// What people call it.
    pub name: String,
    /// Where it answers.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// The newest format it reads and writes.
    pub level: u32,
    /// When it started, by its own clock.
    pub started: WallMs,
    /// The newest batch it knew when it last showed itself.
    pub head: u64,
    /// How long ago it last showed itself, as this node saw it.
    pub silent: Duration,
    /// Whether it holds the pen.
    pub pen: bool,
    /// Whether it is the node that was asked.
    pub own: bool,
}

/// What the parts of a node that shares its store have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: NodeId,
    pub(crate) sharing: Sharing,
    /// Opens root keys that another node made.
    pub(crate) seal: SealInForce,
    clock: Arc<dyn Clock>,
    delay: Arc<dyn Delay>,
    started: WallMs,
    /// Monotonic milliseconds at which the store was last asked for a newer head, and gave it or had none.
    confirmed: AtomicU64,
    on_confirmed: Notify,
    /// Wakes the committer, to take in what others committed.
    pub(crate) wanted: Notify,
    /// The turn at the pen that is this node's; 0 when it is another's.
    turn: AtomicU64,
    /// Batches of others that changed policies.
    policies: AtomicU64,
    /// Tenants whose policies others changed, since somebody last took them.
    policies_of: Mutex<BTreeSet<TenantId>>,
    seen: RwLock<Vec<Node>>,
    /// Wakes the watch, to say goodbye.
    closing: Notify,
}

impl Shared {
    pub(crate) fn new(
        id: NodeId,
        sharing: Sharing,
        seal: SealInForce,
        clock: Arc<dyn Clock>,
        delay: Arc<dyn Delay>,
    ) -> Shared {
        let started = clock.wall();
        Shared {
            id,
            sharing,
            seal,
            clock,
            delay,
            started,
            confirmed: AtomicU64::new(0),
            on_confirmed: Notify::new(),
            wanted: Notify::new(),
            turn: AtomicU64::new(0),
            policies: AtomicU64::new(0),
            policies_of: Mutex::default(),
            seen: RwLock::default(),
            closing: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// At `asked` nobody had committed more than this node knows now.
    pub(crate) fn confirm(&self, asked: Duration) {
        self.confirmed.fetch_max(millis(asked), Ordering::AcqRel);
        self.on_confirmed.notify_waiters();
    }

    /// How long ago the store last confirmed what this node knows.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_millis(millis(self.now()).saturating_sub(self.confirmed.load(Ordering::Acquire)))
    }

    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// The pen is no longer this node's, whatever the record said when it was last looked at.
    pub(crate) fn lose(&self, turn: u64) {
        let _another_turn_has_begun = self.turn.compare_exchange(turn, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Notes what a batch of another node changed, once it can be read.
    pub(crate) fn note_policies(&self, of: BTreeSet<TenantId>) {
        if !of.is_empty() {
            self.policies_of.lock().extend(of);
            self.policies.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Asks the committer to take in what others committed until `enough`, for so long.
    async fn wait_until(&self, longest: Duration, enough: impl Fn() -> bool) -> bool {
        let mut over = self.delay.wait(longest);
        loop {
            // Before it is asked for: a confirmation from then on is not missed.
            let confirmed = self.on_confirmed.notified();
            if enough() {
                return true;
            }
            self.wanted.notify_one();
            match select(pin!(confirmed), over).await {
                futures::future::Either::Left((_, rest)) => over = rest,
                futures::future::Either::Right(_) => return enough(),
            }
        }
    }

    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Ledger {
    /// Sees to it that memory is as fresh as it has to be before it answers. Costs nothing where no other node shares the store.
    ///
    /// Errors: `storage.unavailable` when the store has not confirmed it within the bound, as for a node that was paused or cut off.
    pub async fn fresh(&self) -> Result<(), Refusal> {
        let Some(shared) = &self.inner.state.shared else { return Ok(()) };
        let enough = || shared.age() <= shared.sharing.max_stale;
        if enough() || shared.wait_until(CONFIRM_WAIT.max(shared.sharing.max_stale), enough).await {
            return Ok(());
        }
        let age = shared.age().as_secs();
        let why = format!("the database has not answered for {age} s; what this node remembers may be out of date");
        Err(Refusal::new(&code::STORAGE_UNAVAILABLE, why))
    }

    /// Waits until this node knows an entry that may have been committed by another.
    ///
    /// Errors: `ledger.behind` when it does not come, as when there is no such entry.
    pub async fn caught_up(&self, position: Position) -> Result<(), Refusal> {
        let enough = || self.head().size > position.index;
        let known = position.shard == self.inner.state.shard.0
            && match &self.inner.state.shared {
                Some(shared) => enough() || shared.wait_until(CATCH_UP_WAIT, enough).await,
                None => enough(),
            };
        let behind = || Refusal::new(&code::LEDGER_BEHIND, format!("entry {} is not known here", position.index));
        known.then_some(()).ok_or_else(behind)
    }

    /// How many batches of other nodes changed policies: what was made of them before is to be made again.
    pub fn foreign_policies(&self) -> u64 {
        self.inner.state.shared.as_ref().map_or(0, |shared| shared.policies.load(Ordering::Acquire))
    }

    /// The tenants whose policies other nodes changed since this was last asked.
    pub fn take_foreign_policies(&self) -> BTreeSet<TenantId> {
        let shared = self.inner.state.shared.as_ref();
        shared.map(|shared| std::mem::take(&mut *shared.policies_of.lock())).unwrap_or_default()
    }

    /// Whether other nodes may write the store.
    pub fn is_shared(&self) -> bool {
        self.inner.state.shared.is_some()
    }

    /// Whether this node does what only one may do: folding, and work that is due.
    pub fn holds_pen(&self) -> bool {
        let state = &self.inner.state;
        // From when its turn was begun: until then others may still fold.
        state.shared.as_ref().is_none_or(|shared| {
            let turn = shared.turn();
            turn != 0 && turn == state.turn.load(Ordering::Acquire)
        })
    }

    /// The nodes that share the store, this one among them, in the order of their starts; none where the store is not shared.
    pub fn nodes(&self) -> Vec<Node> {
        self.inner.state.shared.as_ref().map(|shared| shared.seen.read().clone()).unwrap_or_default()
    }
}
