//! The nodes that share the store.

use crate::grant::Authorized;
pub use ledger::Node;
use ledger::Refusal;

/// The nodes as this one sees them; none where the store is not shared.
pub async fn list(grant: Authorized) -> Result<Vec<Node>, Refusal> {
    Ok(grant.ledger().nodes())
}
