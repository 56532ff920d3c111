//! Commits and runs, as write commands.

use crate::fault::Fault;
use crate::names;
use crate::open::{BATCHES, ROWS};
use crate::store::Inner;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use storage::{Batch, BatchNumber, Cause, Commit, Fence, Key, Kind, Op, Run};

/// Operations of one command.
const OPS_MAX: usize = 500;
/// Bytes of one command, but for a single operation that is larger; the server takes 48 MB.
const BYTES_MAX: usize = 4 << 20;
/// Times that two writers may meet in the making of one document.
const MEETINGS_MAX: usize = 8;

impl Inner {
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Commit, Fault> {
        let (shard, number) = (batch.shard, batch.number);
        let previous = BatchNumber(number.0.saturating_sub(1));
        let known = self.seen(shard);
        if known >= number.0 || (known < previous.0 && self.holder(shard, previous).await?.is_none()) {
            return Ok(Commit::Conflict(self.head(shard).await?));
        }
        let puts: Vec<String> = batch.puts.iter().map(|put| names::id(&put.key)).collect();
        for chunk in batch.puts.chunks(OPS_MAX) {
            let documents =
                chunk.iter().map(|put| doc! { "_id": names::id(&put.key), "v": binary(&put.value), "t": "" });
            match self.write("insert", ROWS, "documents", documents.collect()).await {
                // Its own places: they are there from the last attempt of this very batch.
                Ok(()) | Err(Fault::Duplicate) => {}
                Err(Fault::Lost(what)) => return Err(Fault::Refused(Cause::Unreachable(what))),
                Err(fault) => return Err(fault),
            }
        }
        match self.write("insert", BATCHES, "documents", vec![document(&batch)]).await {
            Ok(()) => {
                self.note_head(shard, known, number.0)?;
                Ok(Commit::Done)
            }
            Err(Fault::Duplicate) => {
                match self.holder(shard, number).await? {
                    // Orphans now; where this fails the sweep of a restore finds them.
                    Some(holder) if holder != batch.id => drop(self.remove(puts).await),
                    Some(_own) => {}
                    None => {
                        return Err(Fault::Lost("its number has a batch that no majority confirmed yet".to_owned()));
                    }
                }
                Ok(Commit::Conflict(self.head(shard).await?))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Carries out a run piece by piece, in order; each piece looks first whether it is still its turn, and has the
    /// deadline of a call.
    pub(crate) async fn apply(&self, run: Run) -> Result<Commit, Fault> {
        let mut ops = run.ops.as_slice();
        loop {
            let sort = ops.first().map_or(Sort::Update, |first| Sort::of(first, run.fence.is_some()));
            let same = ops.iter().take_while(|op| Sort::of(op, run.fence.is_some()) == sort);
            let (piece, later) = ops.split_at(fitting(same).min(ops.len()));
            self.call(self.piece(sort, piece, run.fence)).await?;
            ops = later;
            if ops.is_empty() {
                return Ok(Commit::Done);
            }
        }
    }

    /// Operations of one sort.
    async fn piece(&self, sort: Sort, ops: &[Op], fence: Option<Fence>) -> Result<(), Fault> {
        if sort == Sort::Update {
            let turn = fence.map(turn_text);
            return self.update(fence, ops.iter().map(|op| update(op, turn.as_deref())).collect()).await;
        }
        self.update(fence, Vec::new()).await?;
        let ids: Vec<String> = ops.iter().map(|op| names::id(op.key())).collect();
        if sort == Sort::Remove { self.remove(ids).await } else { self.unset_sides(ids).await }
    }

    /// Updates rows in order, behind the turn of the fence.
    async fn update(&self, fence: Option<Fence>, updates: Vec<Document>) -> Result<(), Fault> {
        let mut statements = Vec::with_capacity(updates.len() + 1);
        statements.extend(fence.map(|fence| {
            let turn = turn_text(fence);
            doc! {
                "q": { "_id": names::turn(fence.shard), "t": { "$lte": &turn } },
                "u": { "$set": { "t": &turn } },
                "upsert": true,
            }
        }));
        statements.extend(updates);
        if statements.is_empty() {
            return Ok(());
        }
        for _ in 0..MEETINGS_MAX {
            match self.write("update", ROWS, "updates", statements.clone()).await {
                Ok(()) => return Ok(()),
                // Either a later turn wrote it, or two made it at once.
                Err(Fault::Duplicate) => {
                    if let Some(fence) = fence
                        && self.is_over(fence).await?
                    {
                        return Err(Fault::Refused(Cause::Fenced));
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::Refused(Cause::Unreachable("others wrote the same rows again and again".to_owned())))
    }

    /// Whether a later turn was begun.
    async fn is_over(&self, fence: Fence) -> Result<bool, Fault> {
        let later = doc! { "_id": names::turn(fence.shard), "t": { "$gt": turn_text(fence) } };
        Ok(self.collection(ROWS).find_one(later).await?.is_some())
    }

    async fn remove(&self, ids: Vec<String>) -> Result<(), Fault> {
        let delete = doc! { "q": { "_id": { "$in": ids } }, "limit": 0 };
        self.write("delete", ROWS, "deletes", vec![delete]).await
    }

    async fn unset_sides(&self, ids: Vec<String>) -> Result<(), Fault> {
        let unset = doc! { "q": { "_id": { "$in": ids } }, "u": { "$unset": { "s": "", "u": "" } }, "multi": true };
        self.write("update", BATCHES, "updates", vec![unset]).await
    }

    /// Sends one write command. When one statement fails, those behind it were not carried out.
    async fn write(&self, command: &str, collection: &str, what: &str, statements: Vec<Document>) -> Result<(), Fault> {
        let command = doc! {
            command: collection,
            what: statements,
            "ordered": command != "insert",
            "writeConcern": self.majority.clone(),
        };
        let answer = self.database.run_command(command).await.map_err(Fault::from)?;
        Fault::of_answer(&answer).map_or(Ok(()), Err)
    }
}

/// A turn as text of its order: servers narrow numbers.
fn turn_text(fence: Fence) -> String {
    format!("{:016x}", fence.turn)
}

/// How an operation is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// As an update of its row: a put, or a removal that must be remembered.
    Update,
    /// By taking the side out of its batch.
    Side,
    /// By deleting its row.
    Remove,
}

impl Sort {
    fn of(op: &Op, fenced: bool) -> Sort {
        match op {
            Op::Put(..) => Sort::Update,
            Op::Delete(key) => match key.kind() {
                Kind::Side => Sort::Side,
                // No run ever puts these.
                Kind::Batch | Kind::Key | Kind::Blob | Kind::Ring => Sort::Remove,
                _ if fenced => Sort::Update,
                _ => Sort::Remove,
            },
        }
    }
}

/// The update that puts or removes a row, in a turn or in none.
fn update(op: &Op, turn: Option<&str>) -> Document {
    let id = names::id(op.key());
    let change = match (op, turn) {
        (Op::Put(_, value), Some(turn)) => doc! { "$set": { "v": binary(value), "t": turn }, "$unset": { "d": "" } },
        (Op::Put(_, value), None) => {
            doc! { "$set": { "v": binary(value) }, "$unset": { "d": "" }, "$setOnInsert": { "t": "" } }
        }
        (Op::Delete(_), turn) => {
            doc! { "$set": { "t": turn.unwrap_or_default() }, "$unset": { "v": "" }, "$currentDate": { "d": true } }
        }
    };
    let query = match turn {
        Some(turn) => doc! { "_id": id, "t": { "$lte": turn } },
        None => doc! { "_id": id },
    };
    doc! { "q": query, "u": change, "upsert": true }
}

fn document(batch: &Batch) -> Document {
    let id = names::id(&Key::numbered(Kind::Batch, batch.shard, batch.number));
    let mut document = doc! { "_id": &id, "i": binary(&batch.id.0), "r": binary(&batch.row) };
    if let Some(side) = &batch.side {
        document.insert("s", binary(side));
        document.insert("u", id);
    }
    document
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// How many of these operations one command takes: one at least.
fn fitting<'a>(ops: impl Iterator<Item = &'a Op>) -> usize {
    let size = |op: &Op| match op {
        Op::Put(key, value) => key.rest().len().saturating_add(value.len()),
        Op::Delete(key) => key.rest().len(),
    };
    let mut bytes = 0_usize;
    let fits = ops.take(OPS_MAX).take_while(|op| {
        bytes = bytes.saturating_add(size(op));
        bytes <= BYTES_MAX
    });
    fits.count().max(1)
}
