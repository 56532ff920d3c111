//! The composition root: configuration, then build, then run.
//!
//! [`serve()`] is the whole life of a server process; [`build()`] and [`Built::run`] are its two halves for tests and for
//! whoever brings a clock or a store of their own. [`offline`] works on a data folder without a server.

pub mod backup;
mod build;
mod ceremony;
pub mod clock;
pub mod config;
pub mod documents;
pub mod files;
mod household;
mod initialise;
pub mod listener;
mod login;
pub mod offline;
mod operator;
mod places;
mod proof;
mod retention;
mod run;
pub mod seal;
mod sealed_log;
mod serve;
pub mod sinks;
mod start_error;
mod store;
mod surroundings;
mod tasks;
pub mod tls;
mod warden;
mod witness;

pub use build::{Seams, build};
pub use household::Inside;
pub use places::Places;
pub use proof::{Segments, check_row};
pub use run::{Built, Ended};
pub use serve::{ServeError, ServeOptions, actions, openapi, serve};
pub use start_error::StartError;
pub use tasks::{TokioDelay, TokioTasks};
