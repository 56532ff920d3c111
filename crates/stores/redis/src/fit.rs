//! Whether the server keeps what it acknowledges.

use crate::fault::Fault;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, ServerErrorKind};
use std::collections::BTreeMap;
use storage::{ConnectError, ConnectReason};

/// The settings, what they have to be, and how to set them.
const SETTINGS: [(&str, &str, &str); 4] = [
    ("appendonly", "yes", "without it a restart loses what was acknowledged"),
    ("appendfsync", "always", "otherwise it acknowledges before it flushes"),
    ("no-appendfsync-on-rewrite", "no", "otherwise it does not flush while it rewrites its file"),
    ("maxmemory-policy", "noeviction", "otherwise it drops rows when memory runs short"),
];

const VERSION_MIN: u32 = 7;

/// Checks version, mode, role and settings. With `accept_loss` role and settings are not asked for.
pub(crate) async fn check(
    connection: &mut MultiplexedConnection,
    place: &str,
    accept_loss: bool,
) -> Result<(), ConnectError> {
    let info: String = match redis::cmd("INFO").query_async(connection).await {
        Ok(info) => info,
        Err(error) => return Err(refused(place, &error, "INFO")),
    };
    let fields: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let version = field("redis_version");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < VERSION_MIN) {
        return Err(unfit(place, &format!("runs version `{version}`"), "use Redis 7 or Valkey 7.2, or newer"));
    }
    if field("cluster_enabled") == "1" || field("redis_mode") == "cluster" {
        return Err(unfit(
            place,
            "runs as a cluster",
            "use a server with `cluster-enabled no`; clusters are not supported",
        ));
    }
    if accept_loss {
        return Ok(());
    }
    if field("role") != "master" {
        return Err(unfit(place, "is a replica", "connect to its primary; `replicaof no one` makes a primary of it"));
    }
    settings(connection, place).await
}

async fn settings(connection: &mut MultiplexedConnection, place: &str) -> Result<(), ConnectError> {
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET");
    SETTINGS.iter().for_each(|(name, _, _)| {
        ask.arg(*name);
    });
    let found: BTreeMap<String, String> = match ask.query_async(connection).await {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::Server(kind) if kind != ServerErrorKind::BusyLoading) => {
            return Err(unfit(
                place,
                "does not let this user read its settings, so whether it keeps what it acknowledges is not known",
                "let the user run `CONFIG GET` (ACL: +config|get), or set storage.accept_loss = true if you know \
                 that `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction` hold",
            ));
        }
        Err(error) => return Err(refused(place, &error, "CONFIG GET")),
    };
    for (name, wanted, why) in SETTINGS {
        let is = found.get(name).map_or("unknown", String::as_str);
        if is != wanted {
            return Err(unfit(
                place,
                &format!("has `{name} {is}`: {why}"),
                &format!(
                    "set `{name} {wanted}` (redis.conf, or CONFIG SET and CONFIG REWRITE), or storage.accept_loss = true"
                ),
            ));
        }
    }
    Ok(())
}

fn unfit(place: &str, what: &str, hint: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Unfit,
        what: format!("the Redis server at {place} {what}"),
        hint: hint.to_owned(),
    }
}

fn refused(place: &str, error: &redis::RedisError, command: &str) -> ConnectError {
    let what = Fault::of(error).read();
    let reason = if matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm)) {
        ConnectReason::Unfit
    } else {
        ConnectReason::Unreachable
    };
    ConnectError {
        reason,
        what: format!("the Redis server at {place} did not answer {command}: {what}"),
        hint: "see that the server is up and that the user may run INFO, CONFIG GET, EVALSHA and SCRIPT LOAD"
            .to_owned(),
    }
}
