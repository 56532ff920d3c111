//! Folding in turns: who holds the pen folds, the others follow what it folded.

use super::Shared;
use crate::absorb;
use crate::code::Refusal;
use crate::fold::{self, Folder};
use crate::state::storage_refusal;
use crate::tree::{Mark, Tree};
use futures::future::select;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{BatchNumber, Key, Kind, Run};

/// How often a node looks how far another has folded.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

impl Folder {
    /// Whether this node folds now; waits a moment, and follows, where it is another's turn.
    ///
    /// Errors: why a turn could not be begun; it is begun again.
    pub(crate) async fn may_fold(&mut self, shared: &Shared) -> Result<bool, Refusal> {
        let turn = shared.turn();
        if turn != 0 && turn == self.state.turn.load(Ordering::Acquire) {
            return Ok(true);
        }
        if turn != 0 {
            return self.begin_turn(turn).await.map(|()| true);
        }
        let wait = self.delay.wait(FOLLOW_EVERY);
        drop(select(wait, pin!(self.wanted.notified())).await);
        self.follow().await.map(|()| false)
    }

    /// Shuts out whoever folded before, then goes on where they stopped.
    async fn begin_turn(&mut self, turn: u64) -> Result<(), Refusal> {
        self.state.turn.store(turn, Ordering::Release);
        let begun = self.go_on().await;
        if begun.is_err() {
            self.state.turn.store(0, Ordering::Release);
        }
        begun
    }

    async fn go_on(&mut self) -> Result<(), Refusal> {
        // From here on the store refuses what an earlier holder still sends, so what is read next stays as it is.
        fold::apply(&self.state, Run::new(Vec::new(), false)).await?;
        let (tree, mark) = Tree::load(&self.state).await?;
        // What is folded beyond this node's head is taken in first.
        while self.state.head().batch < mark.batch {
            let Some(shared) = &self.state.shared else { break };
            shared.wanted.notify_one();
            self.delay.wait(FOLLOW_EVERY).await;
        }
        let state = std::sync::Arc::clone(&self.state);
        let mut whole = state.folding.lock().await;
        self.catch_up(tree, mark);
        let backlog = absorb::sides(&self.state, self.entropy.as_ref(), mark.batch).await?;
        self.backlog = backlog;
        *whole = true;
        Ok(())
    }

    /// Takes over what another node folded: memory lets go of what the store has in its place.
    async fn follow(&mut self) -> Result<(), Refusal> {
        let asked = self.state.drops_asked.load(Ordering::Acquire);
        let (tree, mark) = Tree::load(&self.state).await?;
        if mark.batch <= self.state.head().batch && mark.batch >= *self.folded.borrow() {
            self.catch_up(tree, mark);
        }
        if asked > self.state.drops_done.load(Ordering::Acquire) {
            self.look_for_drops(asked, mark.batch).await?;
        }
        Ok(())
    }

    fn catch_up(&mut self, tree: Tree, mark: Mark) {
        *self.tree.write() = tree;
        self.removed.clear();
        self.state.folded(mark.batch);
        self.folded.send_replace(mark.batch);
    }

    /// Whether the other node has carried out all drops that were committed when somebody first asked.
    async fn look_for_drops(&mut self, asked: u64, mark: BatchNumber) -> Result<(), Refusal> {
        let upto = *self.drops_upto.get_or_insert(self.state.head().batch);
        let sides = Key::new(Kind::Side, self.state.shard, Vec::new());
        let first = self.state.storage.scan(sides, None, 1).await.map_err(storage_refusal)?;
        let number = first.first().and_then(|(key, _)| <[u8; 8]>::try_from(key.rest()).ok()).map(u64::from_be_bytes);
        if mark >= upto && number.is_none_or(|number| number > upto.0) {
            self.drops_upto = None;
            self.state.drops_done.fetch_max(asked, Ordering::AcqRel);
            self.folded.send_modify(|_| ());
        }
        Ok(())
    }
}
