//! The client against servers that misbehave, which the real one cannot be made to do.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod script;
mod transport;
mod verify;
