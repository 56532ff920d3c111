//! Signed notes and checkpoints: text that says how long a ledger is and what its root is, with Ed25519 signatures
//! below. Sources: C2SP signed-note, C2SP tlog-checkpoint.

use core::fmt;
use core::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::aead::{CheckpointKey, Key, verify};
use crate::crockford::{hex, unhex};
use crate::hash::{Hash, sha256_parts};

/// Longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signature lines that are read.
pub const SIGNATURES_MAX: usize = 100;

/// The type byte of Ed25519 in keys and key hashes.
const ED25519: u8 = 1;
/// The type byte of cosignatures by Ed25519.
const COSIGNATURE: u8 = 4;
/// Bytes of a time and a signature in a cosignature.
const COSIGNATURE_BYTES: usize = 72;
const ORIGIN_BYTES_MAX: usize = 255;

/// Why a note was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// Not a signed note, or not a checkpoint in one, or beyond the limits.
    Malformed,
    /// No signature by the wanted key.
    Unsigned,
    /// A signature that claims to be by the wanted key is not.
    BadSignature,
    /// Rightly signed, but about another ledger.
    WrongOrigin,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a signed checkpoint",
            Self::Unsigned => "the checkpoint is not signed by the expected key",
            Self::BadSignature => "the signature of the checkpoint does not verify",
            Self::WrongOrigin => "the checkpoint is about another ledger",
        })
    }
}

impl core::error::Error for NoteError {}

/// The name of a ledger, which is also the name of its key: `<cluster>/<shard>`. 1 to 255 bytes without whitespace,
/// control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = |char: char| char.is_whitespace() || char.is_control() || char == '+';
        if text.is_empty() || text.len() > ORIGIN_BYTES_MAX || text.contains(bad) {
            return Err(NoteError::Malformed);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public half of a ledger's key, as auditors keep it. Text is `<origin>+<key hash>+<base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: Origin,
    public: [u8; 32],
}

impl VerifierKey {
    /// Joins name and key.
    #[must_use]
    pub const fn new(origin: Origin, public: [u8; 32]) -> Self {
        Self { origin, public }
    }

    /// The ledger it belongs to.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The Ed25519 public key.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn hash(&self) -> [u8; 4] {
        key_hash(&self.origin, ED25519, &self.public)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<u8> = [ED25519].into_iter().chain(self.public).collect();
        write!(f, "{}+{}+{}", self.origin, hex(&self.hash()), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (origin, hash, public) = key_parts(text, ED25519)?;
        let read = Self { origin, public };
        if unhex(hash) == Some(read.hash()) { Ok(read) } else { Err(NoteError::Malformed) }
    }
}

/// The public half of a witness's key. Text is `<name>+<key hash>+<base64>`. Source: C2SP tlog-cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: Origin,
    public: [u8; 32],
}

impl WitnessKey {
    /// Joins name and key.
    #[must_use]
    pub const fn new(name: Origin, public: [u8; 32]) -> Self {
        Self { name, public }
    }

    /// What the witness signs: the text of a checkpoint at a time, in seconds since 1970 UTC.
    #[must_use]
    pub fn message(text: &str, time_s: u64) -> String {
        format!("cosignature/v1\ntime {time_s}\n{text}")
    }

    /// The line by which the witness signs, made of its signature of [`WitnessKey::message`].
    #[must_use]
    pub fn line(&self, time_s: u64, signature: &[u8]) -> String {
        let bytes = [self.hash().as_slice(), &time_s.to_be_bytes(), signature].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// When the witness signed a checkpoint, by one of the lines it answered with.
    ///
    /// # Errors
    /// `Malformed`; `Unsigned` if no line is by this key; `BadSignature`.
    pub fn cosigned(&self, note: &str, lines: &str) -> Result<u64, NoteError> {
        let text = note.split_once("\n\n").map(|(text, _)| format!("{text}\n")).ok_or(NoteError::Malformed)?;
        if lines.len() > NOTE_BYTES_MAX || !lines.ends_with('\n') || !printable(lines) {
            return Err(NoteError::Malformed);
        }
        for line in lines.lines().take(SIGNATURES_MAX) {
            let (name, hash, signed) = signature(line)?;
            if name != self.name || hash != self.hash() {
                continue;
            }
            let (time, signature) = signed.split_first_chunk().ok_or(NoteError::Malformed)?;
            if signed.len() != COSIGNATURE_BYTES {
                return Err(NoteError::Malformed);
            }
            let time_s = u64::from_be_bytes(*time);
            verify(&self.public, Self::message(&text, time_s).as_bytes(), signature)
                .map_err(|_| NoteError::BadSignature)?;
            return Ok(time_s);
        }
        Err(NoteError::Unsigned)
    }

    fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, COSIGNATURE, &self.public)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<u8> = [COSIGNATURE].into_iter().chain(self.public).collect();
        write!(f, "{}+{}+{}", self.name, hex(&self.hash()), STANDARD.encode(key))
    }
}

impl FromStr for WitnessKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, hash, public) = key_parts(text, COSIGNATURE)?;
        let read = Self { name, public };
        if unhex(hash) == Some(read.hash()) { Ok(read) } else { Err(NoteError::Malformed) }
    }
}

/// First four bytes of SHA-256 over name, type and key, by which signatures name their key.
fn key_hash(name: &Origin, sort: u8, public: &[u8; 32]) -> [u8; 4] {
    let whole = sha256_parts(&[name.0.as_bytes(), b"\n", &[sort], public]);
    *whole.first_chunk().unwrap_or(&[0; 4])
}

/// Takes the text of a key of this type apart: name, key hash, key.
fn key_parts(text: &str, sort: u8) -> Result<(Origin, &str, [u8; 32]), NoteError> {
    let mut parts = text.splitn(3, '+');
    let mut next = || parts.next().ok_or(NoteError::Malformed);
    let (name, hash, key) = (next()?, next()?, next()?);
    let key = STANDARD.decode(key).map_err(|_| NoteError::Malformed)?;
    let Some((found, public)) = key.split_first() else { return Err(NoteError::Malformed) };
    if *found != sort {
        return Err(NoteError::Malformed);
    }
    Ok((name.parse()?, hash, public.try_into().map_err(|_| NoteError::Malformed)?))
}

/// Signs `text`, which must end with a line feed, and returns the whole note.
///
/// # Errors
/// `Malformed` if the text does not end so, or has control characters.
pub fn sign(text: &str, origin: &Origin, key: &Key<CheckpointKey>) -> Result<String, NoteError> {
    if !text.ends_with('\n') || !printable(text) {
        return Err(NoteError::Malformed);
    }
    Ok(signed(text, origin, key))
}

/// Returns the text of a note, final line feed included, after checking that `key` signed it. Signatures by others
/// are left alone.
///
/// # Errors
/// `Malformed`, `Unsigned` or `BadSignature`.
pub fn open<'a>(note: &'a str, key: &VerifierKey) -> Result<&'a str, NoteError> {
    if note.len() > NOTE_BYTES_MAX || !note.ends_with('\n') || !printable(note) {
        return Err(NoteError::Malformed);
    }
    // The last empty line parts text and signatures; the text keeps its own line feed.
    let split = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
    let (text, rest) = note.split_at_checked(split).ok_or(NoteError::Malformed)?;
    let lines = rest.strip_prefix('\n').ok_or(NoteError::Malformed)?;
    if lines.is_empty() || lines.lines().count() > SIGNATURES_MAX {
        return Err(NoteError::Malformed);
    }
    let mut found = Err(NoteError::Unsigned);
    for line in lines.lines() {
        let (name, hash, signature) = signature(line)?;
        if name == key.origin && hash == key.hash() {
            verify(&key.public, text.as_bytes(), &signature).map_err(|_| NoteError::BadSignature)?;
            found = Ok(text);
        }
    }
    found
}

/// What a ledger says of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger.
    pub origin: Origin,
    /// Entries in it.
    pub size: u64,
    /// Root hash over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads a signed checkpoint about the ledger of `key`. Extension lines are allowed and ignored.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let mut lines = open(note, key)?.lines();
        let mut next = || lines.next().ok_or(NoteError::Malformed);
        let (origin, size, root) = (next()?, next()?, next()?);
        let origin: Origin = origin.parse()?;
        if origin != key.origin {
            return Err(NoteError::WrongOrigin);
        }
        let number: u64 = size.parse().map_err(|_| NoteError::Malformed)?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(NoteError::Malformed)?;
        if number.to_string() != size || lines.any(str::is_empty) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { origin, size: number, root })
    }
}

/// Makes the signed checkpoint of a ledger: the three lines and one signature.
#[must_use]
pub fn sign_checkpoint(origin: &Origin, size: u64, root: &Hash, key: &Key<CheckpointKey>) -> String {
    signed(&format!("{origin}\n{size}\n{}\n", STANDARD.encode(root)), origin, key)
}

fn signed(text: &str, origin: &Origin, key: &Key<CheckpointKey>) -> String {
    let verifier = VerifierKey::new(origin.clone(), key.public());
    let signature: Vec<u8> = verifier.hash().into_iter().chain(key.sign(text.as_bytes())).collect();
    format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(signature))
}

/// Takes a signature line apart: name, key hash, signature.
fn signature(line: &str) -> Result<(Origin, [u8; 4], Vec<u8>), NoteError> {
    let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed)?;
    let (name, encoded) = rest.split_once(' ').ok_or(NoteError::Malformed)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::Malformed)?;
    let (hash, signature) = bytes.split_first_chunk().ok_or(NoteError::Malformed)?;
    if signature.is_empty() {
        return Err(NoteError::Malformed);
    }
    Ok((name.parse()?, *hash, signature.to_vec()))
}

fn printable(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\n' || (byte >= b' ' && byte != 0x7f))
}
