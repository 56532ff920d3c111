//! Policies: Cedar text, checked when it is written, indexed when it is used.

mod built_in;
mod parse;
mod plan;
mod probe;
mod record;
mod schema;
mod scope;
mod shape;
mod snapshot;
mod statement;
mod store;

pub use parse::ValidPolicy;
pub use probe::Probe;
pub use record::{
    Checked, PolicyV1, PutPolicy, REMOVED, RemovePolicy, StoredPolicy, WRITTEN, name_in_removed, name_in_written,
    record_name,
};
pub use schema::schema_text;
pub use snapshot::Snapshot;
pub use store::{Listed, PolicyStore};

pub(crate) use plan::{ConditionSet, Plan};
pub(crate) use record::{Removed, Written};
pub(crate) use schema::{Types, types};
pub(crate) use scope::Subject;
