//! A whole server over real HTTPS.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    reason = "helpers of tests fail by panicking"
)]

mod backup;
mod canary;
mod edges;
mod elsewhere;
mod floods;
mod full;
mod house;
mod http;
mod life;
mod matrix;
mod outage;
mod seal;
mod sinks;
mod witness;
