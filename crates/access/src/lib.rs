//! Who may: principals, sessions, one-time logins and Cedar policies.
//!
//! Pure: it verifies what others fetched, takes time and randomness as parameters and reads nothing by
//! itself. Scope of a policy (who, which act, below which folder) is settled by an index, conditions by
//! Cedar; both together say exactly what Cedar says over all policies, except that any evaluation error
//! denies.

pub mod action;
pub mod codec;
pub mod decide;
pub mod decision;
pub mod erase;
pub mod limits;
pub mod login;
pub mod name;
pub mod net;
pub mod policy;
pub mod principal;
pub mod resource;
pub mod rules;
pub mod session;
pub mod wrap;

pub use action::Action;
pub use decide::{Counters, Decider, RequestContext, owner_may_mend};
pub use decision::{Decision, DenyReason, RuleIds};
pub use name::{OWNER, PasswordPolicyName, PolicyName, PrincipalName, Role};
pub use net::Net;
pub use policy::{PolicyStore, Snapshot, ValidPolicy};
pub use principal::Principal;
pub use resource::{Part, Resource, ResourceKind};
pub use rules::AccessRules;
pub use session::{Session, SessionFacts, StoredSession, Why, verify_session};
