//! Tests of the access crate from outside.

#![expect(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "helpers of tests fail the test")]

mod decisions;
mod derived;
mod equality;
mod policies;
mod sessions;
mod support;
mod tokens;
