//! One suite for every [`storage::Storage`]: what the contract promises, run against each engine.
//!
//! Each function is one promise and takes an empty store. [`crate::storage_conformance`] makes a test of each,
//! [`every_promise`] runs all in one.

mod build;
mod races;
mod reads;
mod writes;

pub use build::{Driver, Plain, block_on};
pub use races::*;
pub use reads::*;
pub use writes::*;

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use storage::Storage;

/// An empty store under test.
#[derive(Debug)]
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Storage>,
    /// Whether it writes several keys at once: then a lost race leaves no orphans.
    pub transactions: bool,
    /// What must live as long as the store, such as its folder.
    pub guard: Box<dyn Kept>,
}

/// Anything that is only kept.
pub trait Kept: Any + Send + Sync + Debug {}

impl<T: Any + Send + Sync + Debug> Kept for T {}

impl Subject {
    /// A store that needs nothing beside it.
    pub fn new(store: impl Storage + 'static, transactions: bool) -> Subject {
        Subject { store: Arc::new(store), transactions, guard: Box::new(()) }
    }

    /// The same with something to keep alive.
    #[must_use]
    pub fn keeping(mut self, guard: impl Kept) -> Subject {
        self.guard = Box::new(guard);
        self
    }

    /// The store, driven to the end of each call.
    pub fn driver(&self) -> Driver<'_> {
        Driver(self.store.as_ref())
    }
}

/// A promise and its name.
type Named = (&'static str, fn(&Subject));

/// Runs every promise against a store of its own, which `make` gives for the name of the promise; fails with the names of
/// those that do not hold. For engines whose server is started once for all of them.
pub fn every_promise(make: impl Fn(&str) -> Subject) {
    let promises: &[Named] = &crate::each_promise!(promise_table;);
    let broken: Vec<&str> = promises
        .iter()
        .filter(|(name, promise)| catch_unwind(AssertUnwindSafe(|| promise(&make(name)))).is_err())
        .map(|(name, _)| *name)
        .collect();
    assert!(broken.is_empty(), "promises that do not hold: {broken:?}");
}

/// Hands the names of all promises to a macro of this crate, behind what stands after its name.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    ($callback:ident; $($head:tt)*) => {
        $crate::$callback! { $($head)*
            an_empty_store_has_nothing
            batches_follow_one_another_without_gaps
            a_refused_batch_leaves_at_most_orphans
            shards_do_not_touch_one_another
            a_batch_reads_back_as_written
            empty_rows_and_values_are_kept
            a_run_may_be_repeated
            operations_of_a_run_follow_their_order
            a_run_of_an_earlier_turn_is_fenced
            deletes_remove_exactly_their_key
            a_batch_writes_only_rows_of_its_own
            a_run_writes_no_row_of_a_batch
            a_batch_is_at_most_eight_mebibytes
            keys_are_at_most_their_limit
            a_page_is_at_most_its_limit
            scans_stop_at_the_edges_of_their_prefix
            scans_see_one_kind_and_one_shard
            a_scan_goes_on_after_any_key
            pages_join_to_the_whole
            rows_in_append_order_scan_by_their_number
            the_tail_gives_batches_with_their_sides
            one_of_eight_racers_wins_each_number
            a_batch_is_seen_whole_or_not_at_all
            a_dropped_commit_is_not_undone
        }
    };
}

/// Names and functions of promises.
#[doc(hidden)]
#[macro_export]
macro_rules! promise_table {
    ($($case:ident)*) => { [$((stringify!($case), $crate::conformance::$case)),*] };
}

/// Makes a module of tests, one for each promise, out of an expression that gives a fresh [`Subject`].
#[macro_export]
macro_rules! storage_conformance {
    ($engine:ident, $make:expr) => {
        mod $engine {
            use super::*;
            $crate::each_promise! { storage_conformance; @each $make; }
        }
    };
    (@each $make:expr; $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$case(&$make);
            }
        )*
    };
}
