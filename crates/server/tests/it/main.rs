//! A whole server over real HTTPS.

#![expect(dead_code, reason = "helpers for the cases that follow")]

mod house;
mod life;
