//! Tests of the crate from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod barrier;
mod golden;
mod memory;
mod merkle;
mod note;
mod seams;
mod shares;
mod wycheproof;

/// Reads hex, for vectors.
fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim();
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap()).collect()
}

/// Writes hex, for vectors.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
