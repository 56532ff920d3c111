//! Showing oneself, seeing who else is there, and taking the pen from who is gone.

use super::pen::{Pen, TakePen, pen_record};
use super::row::{NodeRow, node_key, nodes_prefix};
use super::{Node, NodeId, Shared};
use crate::Delay;
use crate::code::Refusal;
use crate::ledger::Ledger;
use crate::state::{State, cause_refusal, storage_refusal};
use crypto::id::TenantId;
use futures::future::select;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{Commit, LIMITS, Op, Run, Shard, Storage};

/// How often a node shows itself.
const BEAT: Duration = Duration::from_secs(1);
/// A node that shows nothing for so long is taken for dead. Clocks of nodes are not compared: each looks for itself.
const DEAD_AFTER: Duration = Duration::from_secs(5);
/// Rows of nodes that are dead for so long are removed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// Keeps a node among the others.
#[derive(Debug)]
pub(crate) struct Watch {
    ledger: Ledger,
    state: Arc<State>,
    own: NodeRow,
    seen: BTreeMap<NodeId, Seen>,
    looked: Duration,
}

/// The name of a node that runs on a store, if one does: two looks, between which one that lives shows itself.
///
/// Takes no time where no node ever shared the store. Errors: `storage.unavailable`.
pub async fn somebody_lives(storage: &dyn Storage, shard: Shard, delay: &dyn Delay) -> Result<Option<String>, Refusal> {
    let rows = async || {
        let page = storage.scan(nodes_prefix(shard), None, LIMITS.page_max).await.map_err(storage_refusal)?;
        Ok::<_, Refusal>(page.iter().filter_map(|(_, row)| NodeRow::decode(row)).collect::<Vec<_>>())
    };
    let before = rows().await?;
    if before.is_empty() {
        return Ok(None);
    }
    delay.wait(BEAT.saturating_mul(3)).await;
    Ok(rows().await?.into_iter().find(|row| !before.contains(row)).map(|row| row.name))
}

/// A node and when its row last changed, by this node's clock.
#[derive(Debug)]
struct Seen {
    row: NodeRow,
    changed: Duration,
}

impl Watch {
    pub(crate) fn new(ledger: Ledger, shared: &Shared) -> Watch {
        let own = NodeRow::new(shared.id, &shared.sharing, shared.started);
        let state = Arc::clone(&ledger.inner.state);
        Watch { ledger, state, own, seen: BTreeMap::new(), looked: Duration::ZERO }
    }

    /// Works until the ledger is closed.
    pub(crate) async fn run(mut self) {
        let state = Arc::clone(&self.state);
        let Some(shared) = &state.shared else { return };
        loop {
            if self.ledger.is_closed() || state.is_broken() {
                break;
            }
            // What fails is tried again at the next beat; others may take this node for dead meanwhile.
            drop(self.beat(shared).await);
            drop(select(shared.delay.wait(BEAT), pin!(shared.closing.notified())).await);
        }
        shared.turn.store(0, Ordering::Release);
        let gone = vec![Op::Delete(node_key(state.shard, shared.id))];
        // Should it fail, others take this node for dead after a while.
        let _best_effort = state.storage.apply(Run::new(gone, false)).await;
    }

    async fn beat(&mut self, shared: &Shared) -> Result<(), Refusal> {
        self.own.beat = self.own.beat.saturating_add(1);
        self.own.head = self.state.head().batch.0;
        match self.state.storage.apply(Run::new(vec![self.own.put(self.state.shard)?], false)).await {
            Commit::Done | Commit::Conflict(_) => {}
            Commit::Refused(cause) | Commit::Unknown(cause) => return Err(cause_refusal(&cause)),
        }
        self.look(shared).await?;
        let pen = self.pen().await?;
        let pen = if self.is_orphaned(pen) { self.take(shared, pen).await? } else { pen };
        self.tell(shared, pen);
        self.forget(shared.now()).await
    }

    /// Reads the rows of all nodes.
    async fn look(&mut self, shared: &Shared) -> Result<(), Refusal> {
        let prefix = nodes_prefix(self.state.shard);
        let page = self.state.storage.scan(prefix, None, LIMITS.page_max).await.map_err(storage_refusal)?;
        let now = shared.now();
        // Whoever could not look for a while, as when the store was away, cannot say that others were silent.
        let away = now.saturating_sub(std::mem::replace(&mut self.looked, now)) > DEAD_AFTER / 2;
        if away {
            self.seen.values_mut().for_each(|seen| seen.changed = now);
        }
        let rows: Vec<NodeRow> = page.iter().filter_map(|(_, row)| NodeRow::decode(row)).collect();
        self.seen.retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in rows {
            match self.seen.get_mut(&row.id) {
                Some(seen) if seen.row == row => {}
                Some(seen) => *seen = Seen { row, changed: now },
                None => drop(self.seen.insert(row.id, Seen { row, changed: now })),
            }
        }
        Ok(())
    }

    async fn pen(&self) -> Result<Pen, Refusal> {
        let record = self.ledger.record(TenantId::SYSTEM, &pen_record()).await?;
        Ok(Pen::of(record.as_deref())?)
    }

    fn lives(&self, id: NodeId) -> bool {
        let now = self.state.shared.as_ref().map_or(Duration::ZERO, Shared::now);
        self.seen.get(&id).is_some_and(|seen| now.saturating_sub(seen.changed) < DEAD_AFTER)
    }

    /// Whether the holder of the pen is gone and this node is the one to take it: the first of those that live.
    fn is_orphaned(&self, pen: Pen) -> bool {
        let first = self.seen.keys().find(|id| self.lives(**id));
        pen.holder.is_none_or(|holder| !self.lives(holder)) && first == Some(&self.own.id)
    }

    async fn take(&self, shared: &Shared, pen: Pen) -> Result<Pen, Refusal> {
        let take = TakePen { node: shared.id, name: shared.sharing.name.clone(), after: pen.turn };
        self.ledger.submit_own(Box::new(take)).await?;
        self.pen().await
    }

    /// Says who is there, and whose turn it is.
    fn tell(&self, shared: &Shared, pen: Pen) {
        let now = shared.now();
        let own_turn = if pen.holder == Some(shared.id) { pen.turn } else { 0 };
        shared.turn.store(own_turn, Ordering::Release);
        let mut nodes: Vec<Node> = self.seen.values().map(|seen| seen.node(shared, pen, now)).collect();
        nodes.sort_by_key(|node| (node.started, node.id));
        *shared.seen.write() = nodes;
    }

    /// Removes rows of nodes that have long been dead; any node may.
    async fn forget(&self, now: Duration) -> Result<(), Refusal> {
        let old = self.seen.iter().filter(|(_, seen)| now.saturating_sub(seen.changed) > FORGOTTEN_AFTER);
        let ops: Vec<Op> = old.map(|(id, _)| Op::Delete(node_key(self.state.shard, *id))).collect();
        if ops.is_empty() {
            return Ok(());
        }
        match self.state.storage.apply(Run::new(ops, false)).await {
            Commit::Done | Commit::Conflict(_) => Ok(()),
            Commit::Refused(cause) | Commit::Unknown(cause) => Err(cause_refusal(&cause)),
        }
    }
}

impl Seen {
    fn node(&self, shared: &Shared, pen: Pen, now: Duration) -> Node {
        let NodeRow { id, name, address, version, level, started, head, .. } = self.row.clone();
        let silent = now.saturating_sub(self.changed);
        Node {
            id,
            name,
            address,
            version,
            level,
            started,
            head,
            silent,
            pen: pen.holder == Some(id),
            own: id == shared.id,
        }
    }
}
