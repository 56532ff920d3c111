//! Use cases: what the house does for whoever may ask for it, one file per noun.
//!
//! [`App::act`] is the only way in: it verifies the session, asks the policies, runs the use case with the
//! [`Authorized`] proof, takes the row of the access log and answers with a [`Reply`] that cannot be built without it.
//! Doors turn their protocol into an [`Arrival`] and an [`Act`] and render the reply; they hold no rules.

pub mod access_view;
mod act;
mod app;
pub mod apply;
mod arrival;
mod authenticate;
pub mod backup;
pub mod bootstrap;
mod carried;
mod cursor;
mod gate;
mod grant;
pub mod keys;
pub mod ledger_view;
pub mod limits;
pub mod node;
mod one_time;
pub mod operation;
pub mod password_policy;
pub mod policy;
pub mod principal;
mod rate;
pub mod reactions;
pub mod recovery;
mod reply;
pub mod restore;
pub mod secret;
pub mod session;
pub mod tenant;
mod walk;
pub mod wrap;

pub use act::{ACTS, Act, ActKind, Mode};
pub use app::{App, Parts};
pub use arrival::Arrival;
pub use carried::Tasks;
pub use grant::Authorized;
pub use reply::{Changed, Page, Reply};

pub use access::session::{Asked, Bounds, ScopeRule};
pub use access::{Action, Net, PasswordPolicyName, PolicyName, PrincipalName, Resource};
pub use ledger::access_log::ClosedSegment;
pub use ledger::{Path, Position, Prefix, Refusal, code};
