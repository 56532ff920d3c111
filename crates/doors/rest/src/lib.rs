//! The native REST door: HTTPS requests in, answers of the native API out. It holds no rules.
//!
//! [`Door::answer`] bounds a request, finds its line in the route table, reads its body and calls the line's handler.
//! A handler extracts, names the act, calls one use case, maps its answer to the wire and returns; the files of
//! handlers are named for their nouns.

mod access;
mod answer;
mod apply;
mod backup;
mod call;
mod document;
mod door;
mod json;
mod key;
mod ledger;
pub mod limits;
mod metrics;
mod node;
mod open;
mod openapi;
mod opening;
mod operation;
mod operator;
mod password_policy;
mod policy;
mod principal;
mod query;
mod rate;
mod route;
mod secret;
mod secret_batch;
mod secret_made;
mod secret_wire;
mod session;
mod show;
mod source;
mod table;
mod target;
mod tenant;
mod time;
mod wrap;

pub use answer::Body;
pub use backup::{Backups, ShownBackup, Stage};
pub use document::read as read_documents;
pub use door::{Door, Settings, Surroundings};
pub use limits::Limits;
pub use metrics::Gauge;
pub use openapi::document;
pub use opening::Opening;
pub use route::{Route, Takes};
pub use source::source_of;
pub use table::routes;
pub use time::shown as shown_time;
