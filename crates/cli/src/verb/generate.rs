//! `aumbry generate`: writes a new version whose value the server makes.

use api::password_policy::PasswordRules;
use api::secret::{Generate as Message, GeneratedKind};
use clap::{Args, ValueEnum};

use crate::connect::Global;
use crate::verb::password_policy::Rules;
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
    /// Password policy that a password is made by, in place of rules of its own; see `aumbry password-policy`
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    #[command(flatten)]
    rules: Rules,
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
    /// A pair of keys in PEM for RSA with 2,048 bits
    #[value(name = "rsa-2048")]
    Rsa2048,
    /// A pair of keys in PEM for RSA with 3,072 bits
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// A pair of keys in PEM for RSA with 4,096 bits
    #[value(name = "rsa-4096")]
    Rsa4096,
}

impl Generate {
    /// Asks the server for it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let Along { cas, labels, expires_at, max_versions } = self.along;
        let labels = self::labels(&labels)?;
        let PasswordRules { length, characters, at_least, symbols, exclude } = self.rules.message()?;
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
                Kind::Rsa2048 => GeneratedKind::Rsa2048,
                Kind::Rsa3072 => GeneratedKind::Rsa3072,
                Kind::Rsa4096 => GeneratedKind::Rsa4096,
            },
            policy: self.policy,
            length,
            characters,
            at_least,
            symbols,
            exclude,
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
