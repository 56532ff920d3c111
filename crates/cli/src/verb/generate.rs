//! `aumbry generate`: writes a new version whose value the server makes.

use api::secret::{AtLeast, Characters, Generate as Message, GeneratedKind};
use clap::{Args, ValueEnum};

use crate::connect::Global;
use crate::verb::put::{Along, labels};
use crate::{exit, fault};

/// Write a new version with a value that the server makes and nobody has seen
#[derive(Debug, Args)]
#[command(
    after_help = "`aumbry get PATH` shows the value; of a pair of keys `aumbry get PATH --field public_key` the public half."
)]
pub(crate) struct Generate {
    /// Path of the secret, like db/password
    path: String,
    /// What the value looks like
    #[arg(long, value_enum, default_value_t = Kind::Password)]
    kind: Kind,
    /// Characters of a password, random bytes of hex, base64 and bytes [default: 32]
    #[arg(long, value_name = "COUNT")]
    length: Option<usize>,
    /// Sets of characters of a password, separated by commas [default: lower,upper,digits]
    #[arg(long, value_enum, value_delimiter = ',')]
    characters: Vec<Set>,
    /// How many characters of a set a password has at least, such as digits=2; may be given several times
    #[arg(long, value_name = "SET=COUNT")]
    at_least: Vec<String>,
    /// Symbols of a password in place of the usual ones
    #[arg(long, value_name = "CHARACTERS")]
    symbols: Option<String>,
    /// Characters that do not come in a password
    #[arg(long, value_name = "CHARACTERS")]
    exclude: Option<String>,
    /// Leave out characters that look alike: 0 O 1 l I |
    #[arg(long)]
    unambiguous: bool,
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
    /// A random UUID
    Uuid,
    /// A pair of keys in PEM for signatures by Ed25519
    Ed25519,
    /// A pair of keys in PEM for agreement by X25519
    X25519,
    /// A pair of keys in PEM for ECDSA over P-256
    EcdsaP256,
    /// A pair of keys for OpenSSH
    SshEd25519,
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
                Kind::Uuid => GeneratedKind::Uuid,
                Kind::Ed25519 => GeneratedKind::Ed25519,
                Kind::X25519 => GeneratedKind::X25519,
                Kind::EcdsaP256 => GeneratedKind::EcdsaP256,
                Kind::SshEd25519 => GeneratedKind::SshEd25519,
            },
            length: self.length,
            characters: (!self.characters.is_empty()).then(|| self.characters.into_iter().map(set).collect()),
            at_least: at_least(&self.at_least)?,
            symbols: self.symbols,
            exclude: match self.unambiguous {
                true => Some(self.exclude.unwrap_or_default() + ALIKE),
                false => self.exclude,
            },
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

/// Characters that look alike.
const ALIKE: &str = "0O1lI|";

fn at_least(rules: &[String]) -> Result<Option<AtLeast>, client::Error> {
    let mut all = AtLeast::default();
    for rule in rules {
        let wrong = || fault::invalid(format!("`{rule}` is not SET=COUNT"), "write --at-least digits=2, each set once");
        let (set, count) = rule.split_once('=').ok_or_else(wrong)?;
        let count = count.parse().map_err(|_| wrong())?;
        let place = match set {
            "lower" => &mut all.lower,
            "upper" => &mut all.upper,
            "digits" => &mut all.digits,
            "symbols" => &mut all.symbols,
            _ => return Err(wrong()),
        };
        if place.replace(count).is_some() {
            return Err(wrong());
        }
    }
    Ok((!rules.is_empty()).then_some(all))
}
