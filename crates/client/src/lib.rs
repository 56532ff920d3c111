//! The Rust SDK: typed calls to an Aumbry server, and proofs checked on this side.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::Error> {
//! use client::{Client, Options};
//! let client = Client::new(Options::new("https://127.0.0.1:7480"))?;
//! let password = client.secrets().read_raw("db/password", None).await?;
//! # drop(password); Ok(()) }
//! ```
//!
//! The caller installs the process's TLS provider first (`rustls::crypto::aws_lc_rs`). Plain HTTP goes to
//! loopback addresses only, redirects are never followed, no proxy is taken from the environment, and every
//! wait and every answer has a bound. Each mutation carries an idempotency key that its retries share.

mod access;
mod address;
mod answer;
mod apply;
mod backup;
mod error;
mod key;
mod ledger;
mod node;
mod operator;
mod password_policy;
mod path;
mod policy;
mod principal;
mod reference;
mod secret;
mod session;
mod status;
mod tenant;
mod transport;
pub mod verify;
mod wrap;

pub use access::Access;
pub use apply::Documents;
pub use backup::Backups;
pub use error::Error;
pub use key::Keys;
pub use ledger::Ledger;
pub use node::Nodes;
pub use operator::Operator;
pub use password_policy::PasswordPolicies;
pub use path::check as check_path;
pub use policy::Policies;
pub use principal::Principals;
pub use reference::reference;
pub use secret::Secrets;
pub use session::Sessions;
pub use structured::Reference;
pub use tenant::Tenants;
pub use transport::{Client, Options};
pub use wrap::Wraps;
