//! Nodes that share the store.

use crate::answer::Answer;
use crate::call::Call;
use crate::time::shown;
use api::node as wire;
use app::Act;
use app::node::{self, Node};

/// `GET nodes`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |_| Ok((Act::node_list(), ())),
        |grant, ()| node::list(grant),
        |found| Answer::json(&wire::NodeList { items: found.into_iter().map(shape).collect() }),
    )
    .await
}

fn shape(node: Node) -> wire::Node {
    wire::Node {
        id: node.id.to_string(),
        name: node.name,
        address: node.address,
        version: node.version,
        format_level: node.level,
        started_at: shown(node.started),
        head: node.head,
        silent_ms: u64::try_from(node.silent.as_millis()).unwrap_or(u64::MAX),
        pen: node.pen,
        own: node.own,
    }
}
