//! Starting again: where the log goes on, what was torn, which rows are made again from their entries.

use super::log::{AccessLog, Parts};
use super::outlet::{Outlet, answered};
use super::read::named;
use super::row::Row;
use super::segment::{HEADER_BYTES, Header, LogId};
use super::sink::{Anchor, Role, Shelf};
use super::verify::{Bad, Wrong};
use super::walk::{Fault, Walk};
use super::writer::{Continuation, Writer};
use crate::code::{ACCESS_LOG_UNAVAILABLE, ENTROPY_FAILED, Refusal};
use crate::unit::{Actor, Position};
use bytes::Bytes;
use crypto::WallMs;
use crypto::id::TenantId;
use std::sync::Arc;

/// Anchored segments in which the row of a change is looked for before it is made again, and all after them.
pub const REMAKE_SEGMENTS: u64 = 3;
/// Source of a row that was made again from its entry.
pub const REMADE: &str = "remade";

/// What a start found.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Recovery {
    /// Newest segment there was; the log goes on in the next.
    pub segment: u64,
    /// Sequence number of the last row that is whole; 0 if there is none.
    pub last_row: u64,
    /// A torn tail that was cut off: no request was answered on its account, unless power was lost.
    pub torn: Option<Torn>,
    /// Damage that was left as it is; `verify` names it from now on.
    pub damaged: Vec<Bad>,
}

/// A tail that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// Name of the sink.
    pub sink: String,
    /// Number of the segment.
    pub segment: u64,
    /// Sequence number that the torn row would have had.
    pub row: u64,
    /// Bytes removed.
    pub bytes: u64,
}

/// A committed change, as its entry tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Last entry of its unit.
    pub position: Position,
    /// Time of the decision.
    pub time: WallMs,
    /// Whose.
    pub tenant: TenantId,
    /// By whom.
    pub actor: Actor,
    /// What, such as `secret.version.written`.
    pub act: String,
    /// The path, where the entry names one.
    pub path: Option<String>,
}

impl AccessLog {
    /// Opens the log where it was left: reads the newest segment, cuts a torn tail, and goes on in a new segment.
    ///
    /// Needs no key, so a sealed server can log. Errors: `Unavailable` when a shelf cannot be read, since a log that
    /// started anew beside the old one would hide it, or when two shelves hold two different logs; `ENTROPY_FAILED` when a
    /// new log cannot be named.
    pub async fn open(mut parts: Parts) -> Result<(AccessLog, Recovery), Refusal> {
        let mut recovery = Recovery::default();
        let mut furthest: Option<Continuation> = None;
        let mut seen: Option<(LogId, &str)> = None;
        for sink in &parts.sinks {
            let Some(shelf) = sink.shelf() else { continue };
            let Some(end) = End::of(&parts, sink.name(), shelf, &mut recovery).await? else { continue };
            match seen {
                Some((log, other)) if log != end.log => return Err(two_logs(other, sink.name())),
                _ => seen = Some((end.log, sink.name())),
            }
            if furthest.is_none_or(|other| (end.number, end.next_row) > (other.number, other.next_row)) {
                furthest = Some(end);
            }
        }
        let from = match furthest {
            Some(from) => from,
            None => {
                Continuation { log: fresh_id(&parts)?, number: 1, next_row: 1, previous: [0; 32], newest: WallMs(0) }
            }
        };
        recovery.segment = from.number.saturating_sub(1);
        recovery.last_row = from.next_row.saturating_sub(1);
        let (past, sinks) = parts.sinks.into_iter().partition(|sink| sink.role() == Role::Past);
        parts.sinks = sinks;
        let outlets: Vec<Outlet> = parts.sinks.iter().cloned().map(Outlet::new).collect();
        let counters =
            outlets.iter().map(|outlet| (outlet.sink.name().to_owned(), Arc::clone(&outlet.counters))).collect();
        Ok((AccessLog::start(parts, past, Writer::new(from, outlets), counters), recovery))
    }

    /// From which entry on changes may lack their rows: give the changes after it to [`AccessLog::remake`]. `None`
    /// means from the first. Rows that retention removed stay removed.
    pub async fn remake_after(&self, anchor: &dyn Anchor) -> Result<Option<Position>, Refusal> {
        let newest = self.inner.writer.lock().await.newest_number();
        let oldest = self.range().await?.map_or(1, |(oldest, _)| oldest);
        let mut wanted = REMAKE_SEGMENTS;
        for number in (oldest..=newest).rev() {
            if let Some(entry) = anchor.find(self.id(), number).await? {
                wanted = wanted.saturating_sub(1);
                if wanted == 0 {
                    self.know_positions(number).await?;
                    return Ok(Some(entry.position));
                }
            }
        }
        self.know_positions(oldest).await?;
        // Rows that retention removed are not lost: what was changed before the entry of the last such segment had its row.
        let removed = match oldest.checked_sub(1).filter(|before| *before > 0) {
            Some(before) => anchor.find(self.id(), before).await?,
            None => None,
        };
        Ok(removed.map(|entry| entry.position))
    }

    /// Makes the rows again that committed changes lack after a crash. Answers how many.
    ///
    /// Call [`AccessLog::remake_after`] first, then this for the changes after it, in as many steps as wanted. Give it
    /// changes made on requests, not those of background work. May be repeated. Errors: as for `record`; the rows made
    /// so far stay.
    pub async fn remake(&self, changes: Vec<Change>) -> Result<u64, Refusal> {
        let mut known = self.inner.remaking.lock().await;
        let mut made = 0_u64;
        for change in changes {
            if known.contains(&change.position) {
                continue;
            }
            let position = change.position;
            let mut row = Row::new(change.time, [0; 16], change.tenant, REMADE, change.act, super::OK);
            row.entity = Some(change.actor.entity);
            row.session = change.actor.session;
            row.path = change.path;
            row.position = Some(position);
            let _recorded = self.record(row).await?;
            known.insert(position);
            made = made.saturating_add(1);
        }
        Ok(made)
    }

    /// Collects the entries that rows name, from this segment on and in the one before it.
    async fn know_positions(&self, from: u64) -> Result<(), Refusal> {
        let newest = self.inner.writer.lock().await.newest_number();
        let mut known = self.inner.remaking.lock().await;
        known.clear();
        for number in from.saturating_sub(1).max(1)..=newest {
            let Some(bytes) = self.segment(number).await? else { continue };
            let Ok(mut walk) = Walk::new(&bytes) else { continue };
            for frame in walk.run().0 {
                let opened = super::unseal::open(number, &frame, &*self.inner.parts.keys);
                known.extend(opened.ok().and_then(|opened| opened.numbered.row.position));
            }
        }
        Ok(())
    }
}

fn fresh_id(parts: &Parts) -> Result<LogId, Refusal> {
    let mut id = [0; 8];
    match parts.entropy.fill_public(&mut id) {
        Ok(()) => Ok(LogId(id)),
        Err(_) => Err(Refusal::new(&ENTROPY_FAILED, "the access log could not be named")),
    }
}

fn two_logs(one: &str, other: &str) -> Refusal {
    let what = format!(
        "the sinks `{one}` and `{other}` hold two different access logs; move the one you do not go on with away"
    );
    Refusal::new(&ACCESS_LOG_UNAVAILABLE, what)
}

struct End;

impl End {
    /// Where this shelf's newest segment ends.
    async fn of(
        parts: &Parts,
        sink: &str,
        shelf: &dyn Shelf,
        recovery: &mut Recovery,
    ) -> Result<Option<Continuation>, Refusal> {
        let delay = &*parts.delay;
        let range = answered(delay, async { shelf.range().await }).await.map_err(|error| named(0, &error))?;
        let Some((oldest, newest)) = range else { return Ok(None) };
        let wall = parts.clock.wall();
        let mut passed_over = false;
        for number in (oldest..=newest).rev() {
            let bytes = answered(delay, async { shelf.read(number).await }).await;
            let Some(bytes) = bytes.map_err(|error| named(number, &error))? else { continue };
            match Walk::new(&bytes) {
                Ok(mut walk) => {
                    let (_, fault) = walk.run();
                    let is_empty = walk.rows == 0 && (fault.is_none() || walk.ends_here());
                    if fault.is_some() || is_empty {
                        End::mend(parts, sink, shelf, (&walk, &bytes, fault), recovery).await?;
                    }
                    End::trim(parts, shelf, &walk.header).await?;
                    let newest = walk.header.newest_before.max(walk.header.opened).max(wall);
                    let Header { log, first_row, previous, .. } = walk.header;
                    let after = if passed_over { newest_after(range) } else { number.saturating_add(1) };
                    return Ok(Some(match is_empty {
                        true => Continuation { log, number, next_row: first_row, previous, newest },
                        false => {
                            Continuation { log, number: after, next_row: walk.next_row(), previous: walk.chain, newest }
                        }
                    }));
                }
                Err(_) if bytes.len() < HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) => {
                    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    recovery.torn = Some(Torn { sink: sink.to_owned(), segment: number, row: 0, bytes: size });
                    let removed = answered(delay, async { shelf.remove(number).await }).await;
                    removed.map_err(|error| named(number, &error))?;
                }
                Err(damaged) => {
                    passed_over = true;
                    recovery.damaged.push(Bad { segment: number, row: None, what: Wrong::Header(damaged.0) });
                }
            }
        }
        Ok(None)
    }

    /// Cuts what a torn write left; names anything else.
    async fn mend(
        parts: &Parts,
        sink: &str,
        shelf: &dyn Shelf,
        (walk, bytes, fault): (&Walk<'_>, &Bytes, Option<Fault>),
        recovery: &mut Recovery,
    ) -> Result<(), Refusal> {
        let (segment, row) = (walk.header.number, walk.next_row());
        if let Some(fault) = fault.filter(|_| !walk.ends_here()) {
            recovery.damaged.push(Bad { segment, row: Some(row), what: Wrong::Row(fault) });
            return Ok(());
        }
        let size = u64::try_from(walk.size()).unwrap_or(u64::MAX);
        let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if fault.is_some() {
            let torn = Torn { sink: sink.to_owned(), segment, row, bytes: whole.saturating_sub(size) };
            recovery.torn = Some(torn);
        }
        let cut = if walk.rows == 0 {
            answered(&*parts.delay, async { shelf.remove(segment).await }).await
        } else {
            answered(&*parts.delay, async { shelf.cut(segment, size).await }).await
        };
        cut.map_err(|error| named(segment, &error))
    }
}

impl End {
    /// Takes off the segment before what a failed write left behind its last row.
    async fn trim(parts: &Parts, shelf: &dyn Shelf, following: &Header) -> Result<(), Refusal> {
        let Some(number) = following.number.checked_sub(1).filter(|number| *number > 0) else { return Ok(()) };
        let delay = &*parts.delay;
        let bytes = answered(delay, async { shelf.read(number).await }).await.map_err(|error| named(number, &error))?;
        let Some(bytes) = bytes else { return Ok(()) };
        let Ok(mut walk) = Walk::new(&bytes) else { return Ok(()) };
        while walk.next_row() < following.first_row {
            match walk.step() {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(()),
            }
        }
        if walk.chain != following.previous || walk.size() == bytes.len() {
            return Ok(());
        }
        let size = u64::try_from(walk.size()).unwrap_or(u64::MAX);
        answered(delay, async { shelf.cut(number, size).await }).await.map_err(|error| named(number, &error))
    }
}

/// The number after the newest segment, damaged ones included.
fn newest_after(range: Option<(u64, u64)>) -> u64 {
    range.map_or(1, |(_, newest)| newest.saturating_add(1))
}
