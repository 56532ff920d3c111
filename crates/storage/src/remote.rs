//! What engines over a network share: how they are asked to behave, and why one does not open.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How an engine reaches its server.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Longest time of one call, connecting included; over it a read fails and a commit is refused or unknown.
    pub deadline: Duration,
    /// Most connections at once, at least 1.
    pub connections_max: u32,
    /// Most calls that wait for a connection; more are answered as unreachable at once.
    pub waiting_max: usize,
    /// Certificates (PEM) of authorities that the server's certificate may come from, in place of the system's. The SQL driver goes
    /// on taking public ones beside them.
    pub authorities: Option<PathBuf>,
    /// Whether a server is taken that may lose what it acknowledged, as one that flushes once a second.
    pub accept_loss: bool,
    /// Whether a store is made where there is none; otherwise that is [`ConnectReason::Invalid`].
    pub create: bool,
}

impl Default for RemoteOptions {
    /// 10 s, 16 connections, 4,096 waiting calls, no further authorities, no loss, made where there is none.
    fn default() -> RemoteOptions {
        RemoteOptions {
            deadline: Duration::from_secs(10),
            connections_max: 16,
            waiting_max: 4096,
            authorities: None,
            accept_loss: false,
            create: true,
        }
    }
}

/// Why an engine did not open. Nothing was changed, but for tables that a first start may have begun to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectError {
    /// What stands in the way.
    pub reason: ConnectReason,
    /// Says it, without the connection string or any part of it but host and database.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Sorts of reasons not to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectReason {
    /// The connection string or an option is wrong.
    Invalid,
    /// The server does not answer, or refuses the login.
    Unreachable,
    /// The server would lose what it acknowledged, or lacks what the engine needs.
    Unfit,
    /// The store was written by a newer build.
    Newer,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ConnectError {}
