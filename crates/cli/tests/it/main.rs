//! The binary from outside: command, exit code, standard output, standard error.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails the test")]

mod apply;
mod backup;
mod command;
mod day;
mod house;
mod inject;
mod leaks;
mod liar;
mod local;
mod offline;
mod peers;
mod proof;
mod rights;
mod secrets;
mod shares;
mod starts;
mod tenants;
