//! Entries, tree, records, group commit, key ring and access log.

pub mod code;
pub mod path;
pub mod unit;

pub use code::{Class, Code, Refusal};
pub use path::{Path, Prefix};
pub use unit::{
    Actor, BlobPut, Command, Context, Damaged, Dropped, Event, EventRef, Halt, Idempotency, IntentKey, KeyPut,
    NewIntent, Outcome, Position, Receipt, RecordKind, RecordName, Rules, Stamp, Unit, View, VolatilePut,
};
