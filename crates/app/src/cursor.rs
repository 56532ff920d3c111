//! Where a list stopped, as text that only this server made and only this query takes.

use crate::arrival::digest;
use crate::limits::CURSOR_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::id::TenantId;
use crypto::{Entropy, NoEntropy, SecretBytes, hmac_sha256};
use ledger::Refusal;
use ledger::code::CURSOR_INVALID;
use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

/// Bytes of the authenticator before the content.
const TAG_BYTES: usize = 16;

/// Makes and reads cursors.
#[derive(Debug)]
pub(crate) struct Cursors {
    key: SecretBytes,
}

impl Cursors {
    /// Under a fresh key: cursors do not outlive the process.
    pub(crate) fn new(entropy: &dyn Entropy) -> Result<Cursors, NoEntropy> {
        let mut key = SecretBytes::zeroed(32);
        entropy.fill_secret(key.expose_mut())?;
        Ok(Cursors { key })
    }

    /// Writes a place in the answer to this query of this tenant.
    pub(crate) fn write<T: Serialize>(&self, tenant: TenantId, query: &[&[u8]], at: &T) -> Result<String, Refusal> {
        let content = postcard::to_allocvec(at).map_err(|_| refused())?;
        let tag = self.tag(tenant, query, &content);
        Ok(URL_SAFE_NO_PAD.encode([tag.as_slice(), &content].concat()))
    }

    /// Reads a place. Errors: `cursor.invalid` for anything that was not written for this query of this tenant.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        tenant: TenantId,
        query: &[&[u8]],
        text: &str,
    ) -> Result<T, Refusal> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let (tag, content) = bytes.split_at_checked(TAG_BYTES).ok_or_else(refused)?;
        if !bool::from(self.tag(tenant, query, content).as_slice().ct_eq(tag)) {
            return Err(refused());
        }
        match postcard::take_from_bytes(content) {
            Ok((at, [])) => Ok(at),
            _ => Err(refused()),
        }
    }

    fn tag(&self, tenant: TenantId, query: &[&[u8]], content: &[u8]) -> [u8; TAG_BYTES] {
        let mut parts = vec![tenant.as_bytes().as_slice()];
        parts.extend_from_slice(query);
        parts.push(content);
        let whole = hmac_sha256(self.key.expose(), &digest(&parts));
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(whole.split_at(TAG_BYTES).0);
        tag
    }
}

fn refused() -> Refusal {
    Refusal::new(&CURSOR_INVALID, "the cursor was not issued for this list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::seam::SystemEntropy;

    #[test]
    fn http_13_an_edited_foreign_or_made_up_cursor_is_refused() {
        let cursors = Cursors::new(&SystemEntropy::default()).unwrap();
        let (ours, theirs) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let text = cursors.write(ours, &[b"list", b"a"], &(7u64, "x")).unwrap();
        let read = |tenant, query: &[&[u8]], text: &str| cursors.read::<(u64, String)>(tenant, query, text);
        assert_eq!(read(ours, &[b"list", b"a"], &text).unwrap(), (7, "x".to_owned()));
        assert!(read(theirs, &[b"list", b"a"], &text).is_err(), "of another tenant");
        assert!(read(ours, &[b"list", b"b"], &text).is_err(), "of another query");
        assert!(read(ours, &[b"lista", b""], &text).is_err(), "parts do not run together");
        for at in 0..text.len() {
            let mut edited = text.clone().into_bytes();
            edited[at] = if edited[at] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            assert!(read(ours, &[b"list", b"a"], &edited).is_err(), "edited at {at}");
        }
        for made_up in ["", "x", "' OR 1=1 --", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(100_000)] {
            assert_eq!(read(ours, &[b"list", b"a"], made_up).unwrap_err().code.name, "cursor.invalid");
        }
    }
}
