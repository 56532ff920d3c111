//! Commits and runs, as scripts.

use crate::fault::Fault;
use crate::reads::strange;
use crate::script::Written;
use crate::store::{Call, Inner, Lane};
use bytes::Bytes;
use redis::{Cmd, Value};
use std::sync::atomic::Ordering;
use storage::{Batch, BatchNumber, Cause, Commit, Fence, Key, Kind, Op, Run, Shard};

/// Operations of a run that one script carries out: others wait meanwhile.
const OPS_MAX: usize = 500;
/// Bytes of a run in one script, but for a single operation that is larger.
const BYTES_MAX: usize = 1 << 20;

impl Inner {
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Commit, Fault> {
        let (shard, number) = (batch.shard, batch.number);
        let before = self.seen(shard);
        let call = self.begin(Lane::Commit).await?;
        let answer = call.end(async {
            let answer =
                self.run(&call, &self.dialer.scripts.commit, |command| self.commit_command(command, &batch)).await?;
            match (answer.as_str(), answer.parse::<u64>()) {
                ("done", _) => self.note_head(shard, before, number.0).map(|()| Commit::Done),
                (_, Ok(head)) => self.note_head(shard, before, head).map(|()| Commit::Conflict(BatchNumber(head))),
                _gone => Err(gone()),
            }
        });
        answer.await
    }

    fn commit_command(&self, command: &mut Cmd, batch: &Batch) {
        const HASHES: [Kind; 4] = [Kind::Side, Kind::Key, Kind::Blob, Kind::Ring];
        let (layout, shard) = (&self.layout, batch.shard);
        command.arg(3 + 2 * HASHES.len());
        command.arg(layout.store()).arg(layout.head(shard)).arg(layout.rows(Kind::Batch, shard));
        for kind in HASHES {
            command.arg(layout.rows(kind, shard)).arg(layout.order(kind, shard));
        }
        let field = batch.number.0.to_be_bytes();
        command.arg(&self.store).arg(batch.number.0.saturating_sub(1)).arg(batch.number.0).arg(&field);
        command.arg([&batch.id.0, batch.row.as_ref()].concat());
        command.arg(u8::from(batch.side.is_some())).arg(batch.side.as_deref().unwrap_or_default());
        for put in &batch.puts {
            let at = match put.key.kind() {
                Kind::Key => 6,
                Kind::Blob => 8,
                _ring => 10,
            };
            command.arg(at).arg(put.key.rest()).arg(put.value.as_ref());
        }
    }

    /// Carries out a run in scripts of bounded length, each after the one before it has succeeded.
    pub(crate) async fn apply(&self, run: Run) -> Result<Commit, Fault> {
        let mut rest = run.ops.as_slice();
        loop {
            let (now, later) = rest.split_at(fitting(rest));
            let call = self.begin(Lane::Apply).await?;
            let answer = call.end(async {
                let fill = |command: &mut Cmd| self.apply_command(command, now, run.fence);
                match self.run(&call, &self.dialer.scripts.apply, fill).await? {
                    answer if answer == "done" => Ok(()),
                    answer if answer == "fenced" => Err(Fault::Refused(Cause::Fenced)),
                    _gone => Err(gone()),
                }
            });
            answer.await?;
            rest = later;
            if rest.is_empty() {
                return Ok(Commit::Done);
            }
        }
    }

    fn apply_command(&self, command: &mut Cmd, ops: &[Op], fence: Option<Fence>) {
        let mut hashes: Vec<(Kind, Shard)> = ops.iter().map(|op| (op.key().kind(), op.key().shard())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let turn = fence.map(|fence| fence.turn.to_string()).unwrap_or_default();
        command.arg(2 + 2 * hashes.len()).arg(self.layout.store());
        command.arg(self.layout.turn(fence.map_or(Shard(0), |fence| fence.shard)));
        for (kind, shard) in &hashes {
            command.arg(self.layout.rows(*kind, *shard)).arg(self.layout.order(*kind, *shard));
        }
        command.arg(&self.store).arg(turn);
        for op in ops {
            let hash = (op.key().kind(), op.key().shard());
            let at = hashes.binary_search(&hash).unwrap_or_default();
            command.arg(3 + 2 * at).arg(op.key().rest());
            match op {
                Op::Put(_, value) => command.arg([b"+", value.as_ref()].concat()),
                Op::Delete(_) => command.arg(b""),
            };
        }
    }

    async fn run(&self, call: &Call<'_>, script: &Written, fill: impl Fn(&mut Cmd)) -> Result<String, Fault> {
        let script = if self.sparing.load(Ordering::Acquire) { &script.sparing } else { &script.usual };
        match call.script(script, fill).await? {
            Value::BulkString(answer) => Ok(String::from_utf8_lossy(&answer).into_owned()),
            _ => Err(strange()),
        }
    }

    /// Whether the server has memory left; scripts keep to `maxmemory` again.
    pub(crate) async fn has_room(&self) -> Result<bool, Fault> {
        self.sparing.store(false, Ordering::Release);
        let call = self.begin(Lane::Read).await?;
        let mut connection = call.connection();
        let mut ask = redis::cmd("INFO");
        ask.arg("memory");
        let info: String = call.end(async { Ok(ask.query_async(&mut connection).await?) }).await?;
        let field = |name: &str| {
            let value = info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        Ok(match (field("used_memory"), field("maxmemory")) {
            (Some(used), Some(most)) if most > 0 => used < most,
            _ => true,
        })
    }
}

/// How many of these operations one script takes: one at least, where there is one.
fn fitting(ops: &[Op]) -> usize {
    let size = |op: &Op| match op {
        Op::Put(key, value) => key.rest().len().saturating_add(value.len()),
        Op::Delete(key) => Key::rest(key).len(),
    };
    let mut bytes = 0_usize;
    let fits = ops.iter().take(OPS_MAX).take_while(|op| {
        bytes = bytes.saturating_add(size(op));
        bytes <= BYTES_MAX
    });
    fits.count().max(1).min(ops.len())
}

/// The key that names the store names another, or is gone.
pub(crate) fn gone() -> Fault {
    Fault::Broken(
        "the Redis server no longer has the store that was opened: it came back empty or with another one".to_owned(),
    )
}

/// A row as the batch hash keeps it: id, then row.
pub(crate) fn split(stored: Bytes) -> Option<([u8; 16], Bytes)> {
    let id = *stored.first_chunk::<16>()?;
    Some((id, stored.slice(16..)))
}
