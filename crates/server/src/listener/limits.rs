//! Bounds of a connection.

use std::time::Duration;

/// Bounds of a connection. All are fixed in the product but those that depend on the machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at one time.
    pub connections_max: usize,
    /// Longest TLS handshake.
    pub handshake_max: Duration,
    /// Longest time until the headers of a request are complete, counted from the handshake or the end of the
    /// request before. On HTTP/1.1 this is also how long a connection is kept without use.
    pub header_max: Duration,
    /// HTTP/2: longest time without any request.
    pub idle_max: Duration,
    /// Longest time in which the peer takes nothing of an answer.
    pub stall_max: Duration,
    /// Bytes of all headers and the request line.
    pub header_bytes_max: usize,
    /// HTTP/2 streams at one time in one connection.
    pub streams_max: u32,
    /// HTTP/2 streams reset by the peer before we accepted them; more ends the connection (CVE-2023-44487).
    pub pending_resets_max: usize,
    /// HTTP/2 streams reset by us for faults of the peer; more ends the connection (CVE-2025-8671).
    pub local_resets_max: usize,
    /// HTTP/2: how often an idle peer is asked whether it is there.
    pub ping_every: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4096,
            handshake_max: Duration::from_secs(5),
            header_max: Duration::from_secs(5),
            idle_max: Duration::from_secs(75),
            stall_max: Duration::from_secs(30),
            header_bytes_max: 32 << 10,
            streams_max: 128,
            pending_resets_max: 20,
            local_resets_max: 64,
            ping_every: Duration::from_secs(30),
        }
    }
}
