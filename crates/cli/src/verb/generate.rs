//! `aumbry generate`: writes a new version whose value the server makes.

use api::secret::{Characters, Generate as Message, GeneratedKind};
use clap::{Args, ValueEnum};

use crate::connect::Global;
use crate::verb::put::{Along, labels};
use crate::{exit, fault};

/// Write a new version with a value that the server makes and nobody has seen
#[derive(Debug, Args)]
#[command(after_help = "`aumbry get PATH` shows the value.")]
pub(crate) struct Generate {
    /// Path of the secret, like db/password
    path: String,
    /// What the value looks like
    #[arg(long, value_enum, default_value_t = Kind::Password)]
    kind: Kind,
    /// Characters of a password, random bytes of everything else
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    length: usize,
    /// Sets of characters of a password, separated by commas [default: lower,upper,digits]
    #[arg(long, value_enum, value_delimiter = ',')]
    characters: Vec<Set>,
    #[command(flatten)]
    along: Along,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Characters of the sets asked for, at least one of each
    Password,
    /// Random bytes as lower-case hex
    Hex,
    /// Random bytes as base64
    Base64,
    /// Random bytes
    Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    Lower,
    Upper,
    Digits,
    Symbols,
}

impl Generate {
    /// Asks the server for it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let Along { cas, labels, expires_at, max_versions } = self.along;
        let labels = self::labels(&labels)?;
        let set = |set| match set {
            Set::Lower => Characters::Lower,
            Set::Upper => Characters::Upper,
            Set::Digits => Characters::Digits,
            Set::Symbols => Characters::Symbols,
        };
        let message = Message {
            path: self.path,
            kind: match self.kind {
                Kind::Password => GeneratedKind::Password,
                Kind::Hex => GeneratedKind::Hex,
                Kind::Base64 => GeneratedKind::Base64,
                Kind::Bytes => GeneratedKind::Bytes,
            },
            length: Some(self.length),
            characters: (!self.characters.is_empty()).then(|| self.characters.into_iter().map(set).collect()),
            cas,
            labels: (!labels.is_empty()).then_some(labels),
            expires_at: expires_at.map(api::Timestamp),
            max_versions,
        };
        let written = global.client()?.secrets().generate(&message).await?;
        global.output().answer(&written, |written| format!("{} version {}", written.path, written.version))?;
        Ok(exit::OK)
    }
}
