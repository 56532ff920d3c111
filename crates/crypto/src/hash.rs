//! SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104).

use aws_lc_rs::{digest, hmac};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Computes SHA-256 over `data`. Source: FIPS 180-4.
#[must_use]
pub fn sha256(data: &[u8]) -> Hash {
    first_32(digest::digest(&digest::SHA256, data).as_ref())
}

/// Computes SHA-256 over several parts, as if they were joined.
pub(crate) fn sha256_parts(parts: &[&[u8]]) -> Hash {
    // Joining a few hundred bytes costs less than hashing them apart.
    let mut joined = [0; JOINED_BYTES_MAX];
    let mut rest = joined.as_mut_slice();
    for part in parts {
        let Some((to, after)) = rest.split_at_mut_checked(part.len()) else { return one_by_one(parts) };
        to.copy_from_slice(part);
        rest = after;
    }
    let length = JOINED_BYTES_MAX.saturating_sub(rest.len());
    sha256(joined.get(..length).unwrap_or_default())
}

const JOINED_BYTES_MAX: usize = 512;

fn one_by_one(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    first_32(context.finish().as_ref())
}

/// Computes HMAC-SHA-256 over `data` under `key`, which may have any length.
///
/// Where a key is used often, hold a `Key<NameKey>` instead, which keeps it expanded. Source: RFC 2104.
#[must_use]
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Hash {
    first_32(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// Copies a digest, which is 32 bytes long, out of its container.
pub(crate) fn first_32(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crockford::hex;

    #[test]
    fn sha256_matches_the_fips_180_4_example() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256_parts(&[b"a", b"", b"bc"]), sha256(b"abc"));
        for length in [JOINED_BYTES_MAX - 1, JOINED_BYTES_MAX, JOINED_BYTES_MAX + 1] {
            let bytes = vec![7; length];
            assert_eq!(sha256_parts(&[&bytes[..1], &bytes[1..]]), sha256(&bytes));
        }
    }

    #[test]
    fn hmac_matches_rfc_4231_case_2() {
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
