//! Shares of the seal's key: `POST operator:init`, `unseal`, `seal`, `rekey`, `give`, `cancel`.

use crypto::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// How a key is to be split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// How many shares there are to be, 2 to 255.
    pub shares: u16,
    /// How many of them make the key, 2 up to their number.
    pub threshold: u16,
    /// Keys (`age1…`) that the shares are encrypted to, one for each share in their order; none for shares in clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// New shares, shown this once. Nothing is in force before `threshold` of them were given back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HandedOut {
    /// Names this ceremony to those who may go on with it.
    pub nonce: String,
    /// Id of the set.
    pub set: String,
    /// How many of the shares make the key.
    pub threshold: u8,
    /// The shares, one for each holder.
    pub shares: Vec<HandedShare>,
}

/// A share on its way to its holder.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HandedShare {
    /// Which one, from 1.
    pub index: u8,
    /// Its text, `aum_share_…`, or where a recipient was named that text in an armoured age file.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub share: SecretText,
    /// The key it is encrypted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

/// One share, given back.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveShare {
    /// The share.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub share: SecretText,
    /// Nonce of the ceremony it is for; an unsealing has none. Who began the store and names it here with the last share
    /// gets the owner's one-time login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

/// How far the gathering of shares is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gathered {
    /// Id of the set whose shares are wanted.
    pub set: String,
    /// When the set was made.
    pub created_at: Timestamp,
    /// How many shares there are.
    pub count: u8,
    /// How many are wanted.
    pub threshold: u8,
    /// How many were given.
    pub given: u8,
}

/// Answer to a share.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Unsealed {
    /// Whether the server is open now.
    pub open: bool,
    /// How far it is.
    pub shares: Gathered,
    /// The owner's one-time login, when a store was begun.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "crate::reveal_some")]
    #[schema(value_type = Option<String>, format = Password)]
    pub login: Option<SecretText>,
}

/// Answer to sealing: no request begins any more; keys are let go of as soon as the running ones have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealed {
    /// How far unsealing is: at its beginning.
    pub shares: Gathered,
}

/// Which kind of seal there is to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SealKind {
    /// A key in shares that people hold.
    #[default]
    Shares,
    /// A key in a file of the server.
    KeyFile,
    /// The key in the file that there is, which shares make again if it is lost.
    Recovery,
}

/// Begins to replace the seal's key. What is in force stays so until everything was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rekey {
    /// Which kind of seal there is to be.
    #[serde(default)]
    pub to: SealKind,
    /// How the key is to be split; absent for a key file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// How far a ceremony is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Shares of the set in force are wanted.
    Current,
    /// Shares of the new set are wanted back, as proof that they arrived.
    Fresh,
    /// The new key is in force.
    Done,
}

/// Answer to a step of a ceremony.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Ceremony {
    /// Names the ceremony: every further step must name it.
    pub nonce: String,
    /// How far it is.
    pub phase: Phase,
    /// The shares that are wanted next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Gathered>,
    /// New shares, shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_out: Option<HandedOut>,
    /// What the operator has to do now, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The ceremony that is under way, if one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ceremonies {
    /// At most one.
    pub items: Vec<UnderWay>,
}

/// A ceremony under way, without the nonce that those who go on with it have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnderWay {
    /// Which kind of seal there is to be.
    pub to: SealKind,
    /// How far it is.
    pub phase: Phase,
    /// Entity id of who began it.
    pub by: String,
    /// The shares that are wanted next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Gathered>,
}

/// Names a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Its nonce.
    pub nonce: String,
}

/// Answer to a cancellation: what was in force is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancelled {
    /// The ceremony that is over.
    pub nonce: String,
}
