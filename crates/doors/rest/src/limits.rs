//! Bounds of a request. Each is checked before what it bounds is read or parsed.

use std::time::Duration;

/// Most headers; HTTP/1.1 is bounded by the listener already.
pub const HEADERS_MAX: usize = 100;
/// Bytes of the `Authorization` header.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Bytes of a request body.
pub const BODY_BYTES_MAX: usize = 2 << 20;
/// Bytes of a request body that holds many secrets.
pub const BATCH_BODY_BYTES_MAX: usize = 16 << 20;
/// Values in a JSON body that holds many secrets.
pub const BATCH_VALUES_MAX: usize = 100_000;
/// Requests with many secrets being read and answered at one time.
pub const BATCHES_MAX: usize = 4;
/// Bytes of path and query.
pub const TARGET_BYTES_MAX: usize = 8 << 10;
/// Parameters in a query.
pub const QUERY_FIELDS_MAX: usize = 32;
/// Depth of arrays and objects in a JSON body.
pub const JSON_DEPTH_MAX: usize = 64;
/// Values in a JSON body, object keys not counted.
pub const JSON_VALUES_MAX: usize = 10_000;
/// Characters of an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Bounds that depend on the machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests being answered at one time.
    pub requests_max: usize,
    /// Longest life of one request, its body included.
    pub request_time_max: Duration,
    /// Requests a second from one source; 0 means no bound.
    pub source_rate_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { requests_max: 1024, request_time_max: Duration::from_secs(30), source_rate_max: 0 }
    }
}
