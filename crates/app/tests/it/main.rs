//! Use cases over the real ledger, access log and policies, on a store in memory.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

mod access;
mod apply;
mod copy;
mod house;
mod idempotency;
mod import;
mod keys;
mod ledger_view;
mod limits;
mod list;
mod matrix;
mod model;
mod password_policy;
mod patch;
mod resolve;
mod search;
mod secrets;
mod sessions;
mod tenants;
mod tokens;
mod trials;
mod wraps;
