//! Which sinks a configuration names.

use super::stream::StreamTarget;
use std::fmt;
use std::str::FromStr;

/// One sink, as it is written in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SinkChoice {
    /// Files in the data folder.
    File,
    /// Rows in the store.
    Store,
    /// Lines to somebody else.
    Stream(StreamTarget),
}

impl SinkChoice {
    /// Whether rows can be read back from it.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !matches!(self, SinkChoice::Stream(_))
    }
}

/// A text that names no sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSink;

impl fmt::Display for BadSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a sink is \"file\", \"store\", \"stream:stdout\", \"stream:unix:/path\" or \"stream:tcp:host:port\"",
        )
    }
}

impl std::error::Error for BadSink {}

impl FromStr for SinkChoice {
    type Err = BadSink;

    fn from_str(text: &str) -> Result<SinkChoice, BadSink> {
        match (text, text.split_once(':')) {
            ("file", _) => Ok(SinkChoice::File),
            ("store", _) => Ok(SinkChoice::Store),
            (_, Some(("stream", target))) => target.parse().map(SinkChoice::Stream).map_err(|_bad| BadSink),
            _ => Err(BadSink),
        }
    }
}
