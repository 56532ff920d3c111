//! What entries say in clear of the access log: which segments are closed, with which root, and which are gone.

use crate::access_log::{Anchored, LogId, Statement};
use crate::unit::{Damaged, Position};
use std::collections::BTreeMap;

/// Statements of the ledger about segments, gathered in the order of the entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Anchors {
    closed: BTreeMap<(LogId, u64), Anchored>,
    /// Last number removed.
    removed: BTreeMap<LogId, u64>,
}

impl Anchors {
    /// Takes one in. Errors: a segment that is closed a second time, or does not follow the one before it.
    pub fn take(&mut self, stated: Statement, position: Position) -> Result<(), Damaged> {
        match stated {
            Statement::Removed(removed) => {
                let last = self.removed.entry(removed.log).or_default();
                *last = removed.last.max(*last);
                Ok(())
            }
            Statement::Closed(segment) => {
                let (log, number) = (segment.log, segment.number);
                let before = number.checked_sub(1).and_then(|before| self.closed.get(&(log, before)));
                let follows = before.is_none_or(|before| {
                    (segment.first_row, segment.previous) == (before.segment.next_row(), before.segment.head_hash)
                });
                if !follows {
                    let what =
                        format!("it closes access segment {number}, which does not follow segment {}", number - 1);
                    return Err(Damaged(what));
                }
                match self.closed.insert((log, number), Anchored { segment, position }) {
                    None => Ok(()),
                    Some(_) => Err(Damaged(format!("it closes access segment {number} a second time"))),
                }
            }
        }
    }

    /// The entry that closes a segment.
    pub fn find(&self, log: LogId, number: u64) -> Option<&Anchored> {
        self.closed.get(&(log, number))
    }

    /// All of them, by log and number.
    pub fn all(&self) -> impl Iterator<Item = &Anchored> {
        self.closed.values()
    }

    /// Segments whose rows must still be there.
    pub fn kept(&self) -> impl Iterator<Item = &Anchored> {
        self.all().filter(|found| self.removed.get(&found.segment.log).is_none_or(|last| found.segment.number > *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{ClosedSegment, RemovedSegments};
    use crypto::WallMs;

    const LOG: LogId = LogId([1; 8]);

    fn closed(number: u64) -> ClosedSegment {
        let time = WallMs(number);
        let hash = |number: u64| [u8::try_from(number).unwrap(); 32];
        let (first_row, rows) = (number * 10, 10);
        let (previous, head_hash) = (hash(number - 1), hash(number));
        let (first_time, last_time) = (time, time);
        let (log, bytes, tree_root) = (LOG, 1, [0; 32]);
        ClosedSegment { log, number, first_row, rows, bytes, previous, head_hash, tree_root, first_time, last_time }
    }

    fn taken(statements: Vec<Statement>) -> Result<Anchors, Damaged> {
        let mut anchors = Anchors::default();
        for (stated, index) in statements.into_iter().zip(0..) {
            anchors.take(stated, Position { shard: 0, index })?;
        }
        Ok(anchors)
    }

    #[test]
    fn a_segment_closes_once_and_follows_the_one_before_it() {
        let (one, two) = (closed(1), closed(2));
        let good = vec![Statement::Closed(one.clone()), Statement::Closed(two.clone())];
        assert_eq!(taken(good.clone()).unwrap().all().count(), 2);
        assert!(taken([good.clone(), vec![Statement::Closed(two.clone())]].concat()).is_err(), "closed twice");
        let elsewhere = ClosedSegment { previous: [9; 32], ..two.clone() };
        assert!(taken(vec![good[0].clone(), Statement::Closed(elsewhere)]).is_err(), "another chain");
        let later = ClosedSegment { first_row: 21, ..two };
        assert!(taken(vec![good[0].clone(), Statement::Closed(later)]).is_err(), "a row left out between");
    }

    #[test]
    fn what_the_ledger_says_was_removed_need_not_be_there() {
        let removed = RemovedSegments { log: LOG, first: 1, last: 1 };
        let anchors =
            taken(vec![Statement::Closed(closed(1)), Statement::Closed(closed(2)), Statement::Removed(removed)])
                .unwrap();
        assert_eq!(anchors.kept().map(|found| found.segment.number).collect::<Vec<_>>(), [2]);
        assert_eq!(anchors.find(LOG, 1).unwrap().position.index, 0, "its entry stays");
    }
}
