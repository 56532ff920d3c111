//! The key-file seal: what protects the root key while the server is down.
//!
//! The file holds 32 bytes, raw, in hex or in base64, mode 0600. It is made at first start and never
//! overwritten. A rekey writes its successor beside it as `.new`; after the commit that wraps the root key
//! under the successor, the successor takes the file's place. A start that finds both knows by the id in the
//! wrapped root key which one is in force.

pub mod recovery;
mod shares;

pub use shares::SharesSeal;

use crate::files::{self, FileError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::aead::{Aad, Header, Key, OpenError, SealFail, SealKey};
use crypto::id::KeyId;
use crypto::seam::{Entropy, Seal, SealError};
use crypto::secret::SecretBytes;
use parking_lot::RwLock;
use recovery::Plan;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A seal whose key stands in a file.
pub struct KeyFileSeal {
    path: PathBuf,
    /// The file's key first, then that of an unfinished rekey.
    keys: RwLock<Vec<Arc<Key<SealKey>>>>,
    /// Key that last opened something: the one that is in force.
    opened: RwLock<Option<KeyId>>,
    /// The way back if the file is lost, for what is wrapped from now on.
    plan: RwLock<Option<Plan>>,
}

impl std::fmt::Debug for KeyFileSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyFileSeal({})", self.path.display())
    }
}

/// Whether the file was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was.
    Existing,
    /// It was made just now: the operator must back it up.
    Made,
}

const FILE_BYTES_MAX: u64 = 128;
const NEW: &str = ".new";

impl KeyFileSeal {
    /// Opens the key file; makes it, and the folder it stands in, only if `may_make` (nothing is stored yet).
    ///
    /// Errors: the file is missing, not 32 bytes, open to others, another's or a link; nothing was changed.
    pub fn open(path: &Path, entropy: &dyn Entropy, may_make: bool) -> Result<(KeyFileSeal, Found), FileError> {
        let (first, found) = match read_key(path)? {
            Some(key) => (key, Found::Existing),
            None if may_make => (make_key(path, entropy)?, Found::Made),
            None => {
                let problem = "is missing, and the stored data cannot be opened without it; put its backup in place, or make it again with recovery shares";
                return Err(FileError::new(path, problem));
            }
        };
        let mut keys = vec![Arc::new(first)];
        keys.extend(read_key(&files::beside(path, NEW))?.map(Arc::new));
        Ok((KeyFileSeal::of(path, keys), found))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// First half of a rekey: writes the successor beside the file and gives the seal that uses it.
    ///
    /// Until [`KeyFileSeal::settle`] both keys open. Errors: an earlier rekey is unfinished, or the disk failed.
    pub fn successor(&self, entropy: &dyn Entropy) -> Result<KeyFileSeal, FileError> {
        let beside = files::beside(&self.path, NEW);
        if self.keys.read().len() > 1 {
            return Err(FileError::new(&beside, "is left from an unfinished rekey; restart the server to settle it"));
        }
        let key = Arc::new(make_key(&beside, entropy)?);
        let mut keys = self.keys.write();
        keys.push(Arc::clone(&key));
        Ok(KeyFileSeal { plan: RwLock::new(self.plan()), ..KeyFileSeal::of(&self.path, vec![key]) })
    }

    /// The way back if the file is lost, where there is one.
    #[must_use]
    pub fn plan(&self) -> Option<Plan> {
        self.plan.read().clone()
    }

    /// The same seal with this way back, for what it wraps.
    #[must_use]
    pub fn with(&self, plan: Plan) -> KeyFileSeal {
        let (keys, opened) = (RwLock::new(self.keys.read().clone()), RwLock::new(*self.opened.read()));
        KeyFileSeal { path: self.path.clone(), keys, opened, plan: RwLock::new(Some(plan)) }
    }

    /// Second half of a rekey, once the commit is durable: the successor's file takes the place of the old one.
    ///
    /// Errors: the disk failed; both files are there then and the next start settles it.
    pub fn adopt(&self) -> Result<(), FileError> {
        let newest = self.keys.read().last().map(|key| key.id());
        *self.opened.write() = newest;
        self.settle()
    }

    /// Ends a rekey whose commit certainly did not happen: the successor's file goes.
    pub fn abandon(&self) -> Result<(), FileError> {
        let first = self.keys.read().first().map(|key| key.id());
        *self.opened.write() = first;
        self.settle()
    }

    /// Leaves one file, the one whose key opened the root key; done at each start after that.
    ///
    /// Errors: nothing was opened yet, or the disk failed; both files are still there then.
    pub fn settle(&self) -> Result<(), FileError> {
        let mut keys = self.keys.write();
        let used = *self.opened.read();
        let at = keys.iter().position(|key| Some(key.id()) == used);
        let beside = files::beside(&self.path, NEW);
        match (at, keys.len()) {
            (_, 1) => return Ok(()),
            (None, _) => return Err(FileError::new(&self.path, SealError::Mismatch)),
            (Some(0), _) => std::fs::remove_file(&beside).map_err(|error| FileError::io(&beside, &error))?,
            (Some(_), _) => files::rename(&beside, &self.path)?,
        }
        keys.retain(|key| Some(key.id()) == used);
        Ok(())
    }

    fn of(path: &Path, keys: Vec<Arc<Key<SealKey>>>) -> KeyFileSeal {
        KeyFileSeal {
            path: path.to_path_buf(),
            keys: RwLock::new(keys),
            opened: RwLock::default(),
            plan: RwLock::default(),
        }
    }

    fn sealing(&self) -> Result<Arc<Key<SealKey>>, SealError> {
        self.keys.read().first().map(Arc::clone).ok_or(SealError::Unavailable)
    }
}

impl Seal for KeyFileSeal {
    fn name(&self) -> String {
        "key-file".to_owned()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        let key = self.sealing()?;
        let seal = |plain: &SecretBytes| {
            key.seal(entropy, aad, plain.expose()).map_err(|fail| match fail {
                SealFail::NoEntropy => SealError::NoEntropy,
                _ => SealError::Unavailable,
            })
        };
        let Some(plan) = self.plan() else { return seal(secret) };
        let blob = seal(&plan.inside(secret).ok_or(SealError::Unavailable)?)?;
        plan.store(key.escrow(entropy, plan.recipient())?, blob).ok_or(SealError::Unavailable)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        let with_plan = recovery::blob_of(wrapped).map_err(|_damaged| SealError::Damaged)?;
        let wrapped = with_plan.as_deref().unwrap_or(wrapped);
        let header = Header::parse(wrapped).map_err(|_bad| SealError::Damaged)?;
        let keys = self.keys.read();
        let key = keys.iter().find(|key| key.id() == header.key_id).ok_or(SealError::Mismatch)?;
        let opened = key.open(aad, wrapped).map_err(|error| match error {
            OpenError::UnknownKey { .. } => SealError::Mismatch,
            _ => SealError::Damaged,
        })?;
        *self.opened.write() = Some(header.key_id);
        if with_plan.is_none() {
            return Ok(opened);
        }
        let (secret, plan) = Plan::split(&opened).ok_or(SealError::Damaged)?;
        *self.plan.write() = Some(plan);
        Ok(secret)
    }
}

/// The file's key, or `None` if there is no file.
fn read_key(path: &Path) -> Result<Option<Key<SealKey>>, FileError> {
    let Some(content) = files::read_private(path, FILE_BYTES_MAX)? else { return Ok(None) };
    let content = SecretBytes::new(content);
    let bytes = decoded(content.expose());
    let wrong = || FileError::new(path, "does not hold 32 bytes, raw, in hex or in base64");
    key_of(&bytes.ok_or_else(wrong)?).map(Some).ok_or_else(|| FileError::new(path, "holds no usable key"))
}

/// 32 bytes out of the three forms, told apart by their length.
fn decoded(content: &[u8]) -> Option<SecretBytes> {
    if content.len() == 32 {
        return Some(SecretBytes::from_slice(content));
    }
    let text = content.trim_ascii_end();
    let mut bytes = SecretBytes::zeroed(33);
    match text.len() {
        64 => {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (pairs, _) = text.as_chunks::<2>();
            for (out, [high, low]) in bytes.expose_mut().iter_mut().zip(pairs) {
                *out = digit(*high)? << 4 | digit(*low)?;
            }
        }
        44 => {
            STANDARD.decode_slice(text, bytes.expose_mut()).ok().filter(|length| *length == 32)?;
        }
        _ => return None,
    }
    bytes.expose().first_chunk::<32>().map(|key| SecretBytes::from_slice(key))
}

/// The key; its id follows from its bytes, so that a wrong file is told from a damaged root key.
fn key_of(bytes: &SecretBytes) -> Option<Key<SealKey>> {
    let digest = crypto::hmac_sha256(bytes.expose(), b"aumbry seal key id");
    let id = KeyId::from_bytes(*digest.first_chunk()?);
    Key::from_secret(id, bytes.duplicate()).ok()
}

/// A fresh key in a new file.
fn make_key(path: &Path, entropy: &dyn Entropy) -> Result<Key<SealKey>, FileError> {
    let mut bytes = SecretBytes::zeroed(32);
    entropy.fill_secret(bytes.expose_mut()).map_err(|error| FileError::new(path, error))?;
    write_key(path, &bytes)
}

/// Writes a key to a new file, in hex: it survives paper and terminals. A file that is there is never written over.
///
/// Errors: the name is taken, the bytes are no key, or the disk failed; nothing was written.
pub(crate) fn write_key(path: &Path, bytes: &SecretBytes) -> Result<Key<SealKey>, FileError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        files::private_folder(folder)?;
    }
    let key = key_of(bytes).ok_or_else(|| FileError::new(path, "no usable key could be made"))?;
    let mut text = SecretBytes::zeroed(65);
    let (pairs, end) = text.expose_mut().as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes.expose()) {
        *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
    }
    end.fill(b'\n');
    files::create_private(path, text.expose())?;
    Ok(key)
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::aead::RootKey;
    use crypto::seam::SystemEntropy;

    static ENTROPY: SystemEntropy = SystemEntropy::new();

    fn open(path: &Path) -> KeyFileSeal {
        KeyFileSeal::open(path, &ENTROPY, false).unwrap().0
    }

    fn root_under(seal: &KeyFileSeal) -> (Key<RootKey>, Vec<u8>) {
        let root = Key::<RootKey>::generate(&ENTROPY).unwrap();
        let wrapped = root.seal_under(seal, &ENTROPY).unwrap();
        (root, wrapped)
    }

    #[test]
    fn the_same_key_in_raw_hex_and_base64_opens_the_same_root_key() {
        let top = tempfile::tempdir().unwrap();
        let key: Vec<u8> = (1..=32).collect();
        let hex: String = key.iter().map(|byte| format!("{byte:02X}")).collect();
        let base64 = STANDARD.encode(&key);
        let mut wrapped = None;
        for (at, content) in [
            key.clone(),
            hex.clone().into(),
            format!("{hex}\n").into(),
            base64.clone().into(),
            format!("{base64}\r\n").into(),
        ]
        .into_iter()
        .enumerate()
        {
            let path = top.path().join(at.to_string());
            files::create_private(&path, &content).unwrap();
            let seal = open(&path);
            let (root, sealed) = wrapped.get_or_insert_with(|| root_under(&seal));
            assert_eq!(Key::<RootKey>::unseal(&seal, root.id(), sealed).unwrap().id(), root.id());
        }
    }

    #[test]
    fn anything_else_than_32_bytes_is_refused_and_left_alone() {
        let top = tempfile::tempdir().unwrap();
        for content in [&b""[..], &[7; 31], &[7; 33], &[0; 32], b"zz", &[b'g'; 64], &[b'='; 44], &[b'a'; 200]] {
            let path = top.path().join("seal.key");
            files::create_private(&path, content).unwrap();
            assert!(KeyFileSeal::open(&path, &ENTROPY, true).is_err(), "{content:?}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_missing_file_is_made_only_when_nothing_is_stored_yet() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("conf/seal.key");
        assert!(KeyFileSeal::open(&path, &ENTROPY, false).unwrap_err().to_string().contains("backup"));
        assert_eq!(KeyFileSeal::open(&path, &ENTROPY, true).unwrap().1, Found::Made);
        let made = std::fs::read(&path).unwrap();
        assert_eq!(KeyFileSeal::open(&path, &ENTROPY, true).unwrap().1, Found::Existing);
        assert_eq!((std::fs::read(&path).unwrap(), made.len()), (made.clone(), 65));
    }

    #[test]
    fn ft_06_a_flipped_byte_in_the_key_file_does_not_open_the_root_key() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("seal.key");
        let seal = KeyFileSeal::open(&path, &ENTROPY, true).unwrap().0;
        let (root, wrapped) = root_under(&seal);
        let good = std::fs::read(&path).unwrap();
        for at in 0..64 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            if let Ok((seal, _)) = KeyFileSeal::open(&path, &ENTROPY, true) {
                assert_eq!(Key::<RootKey>::unseal(&seal, root.id(), &wrapped).unwrap_err(), SealError::Mismatch);
            }
        }
    }

    #[test]
    fn seal_12_the_way_back_goes_with_every_wrapping_and_the_shares_alone_open_nothing() {
        use crypto::seam::WallMs;
        use crypto::shamir::{Gathering, Step, split};
        use std::time::Duration;
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("seal.key");
        let plain = KeyFileSeal::open(&path, &ENTROPY, true).unwrap().0;
        let mut key = SecretBytes::zeroed(32);
        ENTROPY.fill_secret(key.expose_mut()).unwrap();
        let (set, shares) = split(&ENTROPY, &key, (2, 3), WallMs(0), Vec::new()).unwrap();
        let made = || {
            let mut gathering = Gathering::new(set.clone());
            gathering.give(shares[0].text().expose(), Duration::ZERO).unwrap();
            match gathering.give(shares[2].text().expose(), Duration::ZERO).unwrap() {
                Step::Key(key) => key,
                Step::More => panic!("two of two"),
            }
        };
        let seal = plain.with(Plan::new(set.clone(), key).unwrap());
        let (root, wrapped) = root_under(&seal);
        assert_eq!(recovery::set_of(&wrapped), Ok(Some(set.clone())));
        // A start learns the plan from the row, and a rekey takes it along.
        let start = open(&path);
        assert!(Key::<RootKey>::unseal(&start, root.id(), &wrapped).is_ok() && start.plan() == seal.plan());
        let next = start.successor(&ENTROPY).unwrap();
        let after = root.seal_under(&next, &ENTROPY).unwrap();
        start.adopt().unwrap();
        for (wrapped, current) in [(&wrapped, false), (&after, true)] {
            let back = recovery::recovered(wrapped, made()).unwrap();
            let file = top.path().join(format!("back-{current}"));
            write_key(&file, &back).unwrap();
            assert!(write_key(&file, &back).is_err(), "never over one that is there");
            assert_eq!(Key::<RootKey>::unseal(&open(&file), root.id(), &after).is_ok(), current);
        }
        // What the shares make is no seal key, and opens no row it was not made for.
        let alone = top.path().join("alone");
        write_key(&alone, &made()).unwrap();
        assert!(Key::<RootKey>::unseal(&open(&alone), root.id(), &after).is_err());
        let (_, without) = root_under(&open(&path));
        assert!(recovery::recovered(&without, made()).is_none());
        assert!(recovery::recovered(&after, SecretBytes::from_slice(&[9; 32])).is_none());
        // An exchanged plan does not open: it stands inside too, and that one counts.
        for at in 0..after.len() {
            let mut bad = after.clone();
            bad[at] ^= 1;
            let start = open(&path);
            if Key::<RootKey>::unseal(&start, root.id(), &bad).is_ok() {
                assert_eq!(start.plan(), seal.plan(), "{at}");
            }
        }
    }

    #[test]
    fn a_rekey_that_died_at_any_step_opens_after_the_next_start() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("seal.key");
        let beside = files::beside(&path, NEW);
        let old = KeyFileSeal::open(&path, &ENTROPY, true).unwrap().0;
        let (root, before) = root_under(&old);
        let opens = |seal: &KeyFileSeal, wrapped: &[u8]| Key::<RootKey>::unseal(seal, root.id(), wrapped).is_ok();

        let new = old.successor(&ENTROPY).unwrap();
        let after = root.seal_under(&new, &ENTROPY).unwrap();
        assert!(old.successor(&ENTROPY).is_err(), "a second one at once");

        // Died before the commit: the old key stays.
        let start = open(&path);
        assert!(opens(&start, &after) && opens(&start, &before));
        start.settle().unwrap();
        assert!(!beside.exists() && opens(&open(&path), &before));

        // Died between the commit and the swap: the new key takes over.
        let again = open(&path);
        let new = again.successor(&ENTROPY).unwrap();
        let after = root.seal_under(&new, &ENTROPY).unwrap();
        let start = open(&path);
        assert!(opens(&start, &after));
        start.settle().unwrap();
        assert!(!beside.exists());
        let next = open(&path);
        assert!(opens(&next, &after) && !opens(&next, &before));

        // Lived through it, and through one that was refused.
        let new = next.successor(&ENTROPY).unwrap();
        let last = root.seal_under(&new, &ENTROPY).unwrap();
        next.adopt().unwrap();
        next.successor(&ENTROPY).unwrap();
        next.abandon().unwrap();
        assert!(!beside.exists() && opens(&open(&path), &last) && opens(&next, &last));
    }
}
