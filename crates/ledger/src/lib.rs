//! Entries, tree, records, group commit, key ring and access log.
//!
//! Everything that changes goes through one path: commands are decided over records, their events become sealed entries,
//! one batch commits them, rules make the records of them, and the fold brings those home. See [`Ledger`].

mod absorb;
pub mod access_log;
mod anchor;
pub mod backup;
mod build;
pub mod code;
mod committer;
mod draft;
mod due;
pub mod entry;
mod fold;
mod hierarchy;
pub mod house;
mod keyspace;
mod ledger;
mod nodes;
mod open;
pub mod path;
mod record;
mod replay;
mod ring;
mod seals;
mod settle;
mod side;
mod state;
mod tenants;
mod tree;
pub mod unit;
mod value;
mod verify;

pub use code::{Class, Code, Refusal};
pub use due::OperationState;
pub use hierarchy::KeyInfo;
pub use ledger::{Child, Ledger, Located, SYSTEM_TENANT, SealedEntry, Trace};
pub use nodes::{FORMAT_LEVEL, Node, NodeId, Sharing, somebody_lives};
pub use open::{Opened, Parts, forget_records, open};
pub use path::{Path, Prefix};
pub use ring::{Purpose, wrapped_roots};
pub use side::{StoredIntent, StoredPlace};
pub use state::Head;
pub use tenants::{ChangeTenant, EndTenant, Tenant, TenantLimits, TenantState, tenant_id_record, tenant_record};
pub use unit::{
    Actor, BlobPut, Command, Context, Damaged, Dropped, Event, EventRef, Halt, Idempotency, IntentKey, KeyPut,
    NewIntent, Outcome, PointedValue, Position, Receipt, RecordKind, RecordName, Rules, Stamp, Unit, View, VolatilePut,
};
pub use value::{FreshValue, ValueRef};
pub use verify::{Anchors, Bad, Checked, Report, Verification, row_keys, verify};

use std::time::Duration;
use storage::BoxFuture;

/// Waiting, without naming a runtime.
pub trait Delay: Send + Sync + std::fmt::Debug {
    /// Resolves after about this long, by monotonic time.
    fn wait(&self, span: Duration) -> BoxFuture<'static, ()>;
}
