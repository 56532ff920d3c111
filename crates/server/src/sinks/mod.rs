//! Sinks of the access log that use the operating system: files and streams. Named by the configuration file only.

mod file;
mod folder;
mod reserve;
mod stream;

pub use file::{FileSink, WhenSynced};
pub use folder::Refused;
pub use stream::{BadTarget, HashedNames, StreamSink, StreamTarget};
