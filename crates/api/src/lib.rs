//! Wire types of the native API, shared by the REST door and the client.
//!
//! One file per noun, each with the requests, queries and answers of that noun. Requests refuse unknown
//! fields; answers do not, so that an older client reads a newer server. Nothing here decides anything.
//!
//! Secret values are read straight into [`crypto::secret::SecretText`] and leave through one function,
//! [`reveal`]; [`encode`] serialises a message that holds one without leaving copies behind.

pub mod access;
pub mod apply;
pub mod backup;
pub mod key;
pub mod ledger;
pub mod node;
pub mod operation;
pub mod operator;
pub mod password_policy;
pub mod policy;
pub mod principal;
pub mod problem;
pub mod secret;
pub mod session;
pub mod status;
pub mod tenant;
pub mod wrap;

mod common;
mod value;

pub use common::{Position, Timestamp, Ttl};
pub use problem::{Class, Problem};
pub use value::{BadValue, Encoding, Value, encode, reveal, reveal_some};

/// Media type of raw secret values.
pub const OCTETS: &str = "application/octet-stream";
/// Media type of every answer that carries JSON.
pub const JSON: &str = "application/json";
/// Media type of merge patches (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Media type of refusals (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
/// Prefix of every route of the native API.
pub const BASE: &str = "/api/v1";
/// Header that names the tenant for principals of several.
pub const TENANT_HEADER: &str = "aumbry-tenant";
/// Header that names a change, `<shard>/<index>`, which the node that answers has to know: one's own of a moment ago, made on
/// another node.
pub const POSITION_HEADER: &str = "aumbry-position";
/// Header that carries the idempotency key of a mutation.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Header that carries the id of the request, in both directions.
pub const REQUEST_HEADER: &str = "aumbry-request-id";
