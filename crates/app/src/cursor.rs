//! Where a list stopped, as text that only this store made and only this query takes, at any time.

use crate::arrival::digest;
use crate::limits::CURSOR_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::id::TenantId;
use ledger::code::CURSOR_INVALID;
use ledger::{Ledger, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

/// Bytes of the authenticator before the content.
const TAG_BYTES: usize = 16;

/// Authenticates cursors with keys that outlive the process.
pub(crate) trait Tags {
    /// 16 bytes that only this store makes, others for each tenant.
    fn tag(&self, tenant: TenantId, digest: &[u8; 32]) -> Result<[u8; TAG_BYTES], Refusal>;
}

impl Tags for Ledger {
    fn tag(&self, tenant: TenantId, digest: &[u8; 32]) -> Result<[u8; TAG_BYTES], Refusal> {
        Ledger::tag(self, tenant, "cursor of a list", digest)
    }
}

/// Makes and reads cursors.
#[derive(Debug)]
pub(crate) struct Cursors<'a, T>(pub(crate) &'a T);

impl<T: Tags> Cursors<'_, T> {
    /// Writes a place in the answer to this query of this tenant.
    pub(crate) fn write<P: Serialize>(&self, tenant: TenantId, query: &[&[u8]], at: &P) -> Result<String, Refusal> {
        let content = postcard::to_allocvec(at).map_err(|_| refused())?;
        let tag = self.tag(tenant, query, &content)?;
        Ok(URL_SAFE_NO_PAD.encode([tag.as_slice(), &content].concat()))
    }

    /// Reads a place. Errors: `cursor.invalid` for anything that was not written for this query of this tenant.
    pub(crate) fn read<P: DeserializeOwned>(
        &self,
        tenant: TenantId,
        query: &[&[u8]],
        text: &str,
    ) -> Result<P, Refusal> {
        if text.len() > CURSOR_BYTES_MAX {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let (tag, content) = bytes.split_at_checked(TAG_BYTES).ok_or_else(refused)?;
        if !bool::from(self.tag(tenant, query, content)?.as_slice().ct_eq(tag)) {
            return Err(refused());
        }
        match postcard::take_from_bytes(content) {
            Ok((at, [])) => Ok(at),
            _ => Err(refused()),
        }
    }

    fn tag(&self, tenant: TenantId, query: &[&[u8]], content: &[u8]) -> Result<[u8; TAG_BYTES], Refusal> {
        let mut parts = vec![tenant.as_bytes().as_slice()];
        parts.extend_from_slice(query);
        parts.push(content);
        self.0.tag(tenant, &digest(&parts))
    }
}

fn refused() -> Refusal {
    Refusal::new(&CURSOR_INVALID, "the cursor was not issued for this list")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Tags for Fixed {
        fn tag(&self, tenant: TenantId, digest: &[u8; 32]) -> Result<[u8; TAG_BYTES], Refusal> {
            let whole = crypto::hmac_sha256(tenant.as_bytes(), digest);
            Ok(*whole.first_chunk().unwrap())
        }
    }

    #[test]
    fn http_13_an_edited_foreign_or_made_up_cursor_is_refused() {
        let cursors = Cursors(&Fixed);
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
