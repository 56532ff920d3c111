//! Sinks of the access log: files and streams, which use the operating system, and the choice among all there are. Named
//! by the configuration only, never by a request.

mod choice;
mod file;
mod folder;
mod open;
mod past;
mod reserve;
mod shelf;
mod stream;

pub use choice::{BadSink, SinkChoice};
pub use file::{FileSink, WhenSynced};
pub use folder::Refused;
pub(crate) use open::{Opening, refused, shelves_at_rest, unreadable};
pub use stream::{BadTarget, HashedNames, Names, StreamSink, StreamTarget};
