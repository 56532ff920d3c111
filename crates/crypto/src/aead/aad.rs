//! Associated data: what a blob is and where it belongs.

use core::fmt;

use crate::id::{BlobId, KeyId, TenantId};

/// Says what a sealed blob is and where it belongs, so that it opens nowhere else.
///
/// Made only by the functions below, one per kind of thing. Each has its own domain number, each number a fixed width
/// and each text its length in front, so that two different places never give equal bytes. Domain numbers are stored
/// implicitly in every blob: they are never changed or used again.
#[derive(Clone, Copy)]
pub struct Aad<'a> {
    domain: u8,
    fields: [Field<'a>; 5],
}

#[derive(Clone, Copy)]
enum Field<'a> {
    None,
    Id([u8; 16]),
    Short(u8),
    Word(u32),
    Long(u64),
    Bytes(&'a [u8]),
}

use Field::{Bytes, Id, Long, None, Short, Word};

impl<'a> Aad<'a> {
    /// A value sealed under its data key.
    #[must_use]
    pub const fn blob(tenant: TenantId, blob: BlobId) -> Self {
        Self { domain: 1, fields: [tenant_id(tenant), Id(*blob.as_bytes()), None, None, None] }
    }

    /// The data key of one version of the thing of `kind` at `path`, whose value is `blob`.
    #[must_use]
    pub const fn data_key(tenant: TenantId, kind: &'a str, path: &'a str, version: u64, blob: BlobId) -> Self {
        let (kind, path) = (Bytes(kind.as_bytes()), Bytes(path.as_bytes()));
        Self { domain: 2, fields: [tenant_id(tenant), kind, path, Long(version), Id(*blob.as_bytes())] }
    }

    /// The entry at `index` of a shard's ledger.
    #[must_use]
    pub const fn entry(tenant: TenantId, shard: u32, index: u64) -> Self {
        Self { domain: 3, fields: [tenant_id(tenant), Word(shard), Long(index), None, None] }
    }

    /// The record stored under `shard`, `kind`, `parent`, `child`.
    #[must_use]
    pub const fn record(tenant: TenantId, shard: u32, kind: u8, parent: [u8; 16], child: [u8; 16]) -> Self {
        Self { domain: 4, fields: [tenant_id(tenant), Word(shard), Short(kind), Id(parent), Id(child)] }
    }

    /// The intent stored under `key`.
    #[must_use]
    pub const fn intent(tenant: TenantId, key: &'a [u8]) -> Self {
        Self { domain: 5, fields: [tenant_id(tenant), Bytes(key), None, None, None] }
    }

    /// The volatile thing stored under `key`.
    #[must_use]
    pub const fn volatile(tenant: TenantId, key: &'a [u8]) -> Self {
        Self { domain: 6, fields: [tenant_id(tenant), Bytes(key), None, None, None] }
    }

    /// A key in the key ring: the key `id`, which serves `purpose`.
    #[must_use]
    pub const fn ring(tenant: TenantId, purpose: u8, id: KeyId) -> Self {
        Self { domain: 7, fields: [tenant_id(tenant), Short(purpose), key_id(id), None, None] }
    }

    /// A row of the access log.
    #[must_use]
    pub const fn access_row(tenant: TenantId, segment: u64, row: u64) -> Self {
        Self { domain: 8, fields: [tenant_id(tenant), Long(segment), Long(row), None, None] }
    }

    /// The root key under the seal.
    #[must_use]
    pub const fn seal_root(id: KeyId) -> Self {
        Self { domain: 9, fields: [key_id(id), None, None, None, None] }
    }

    /// The key of the backup `id`, under the root key.
    #[must_use]
    pub const fn backup_key(id: [u8; 16]) -> Self {
        Self { domain: 11, fields: [Id(id), None, None, None, None] }
    }

    /// Chunk `index` of the backup whose head has this digest; one chunk is the `last`.
    #[must_use]
    pub const fn backup_chunk(head: &'a [u8; 32], index: u64, last: bool) -> Self {
        Self { domain: 12, fields: [Bytes(head), Long(index), Short(last as u8), None, None] }
    }

    /// What is handed to the bearer of the token with this digest.
    #[must_use]
    pub const fn handed(tenant: TenantId, token: &'a [u8; 32]) -> Self {
        Self { domain: 13, fields: [tenant_id(tenant), Bytes(token), None, None, None] }
    }

    /// The bytes that are authenticated. For implementations of [`crate::seam::Seal`] that do not use this crate's
    /// keys; everything else passes the value on.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length());
        self.write(&mut out);
        out
    }

    /// An upper bound of what [`Aad::write`] appends.
    pub(super) fn length(&self) -> usize {
        let long = |field: &Field<'_>| if let Bytes(bytes) = field { bytes.len() + 4 } else { 16 };
        1 + self.fields.iter().map(long).sum::<usize>()
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.domain);
        for field in &self.fields {
            match field {
                None => {}
                Id(id) => out.extend_from_slice(id),
                Short(number) => out.push(*number),
                Word(number) => out.extend_from_slice(&number.to_be_bytes()),
                Long(number) => out.extend_from_slice(&number.to_be_bytes()),
                Bytes(bytes) => {
                    // Every bounded name is far below 4 GiB; saturation could at worst refuse to open.
                    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
                    out.extend_from_slice(bytes);
                }
            }
        }
    }
}

const fn tenant_id(tenant: TenantId) -> Field<'static> {
    Id(*tenant.as_bytes())
}

const fn key_id(id: KeyId) -> Field<'static> {
    Long(u64::from_be_bytes(*id.as_bytes()))
}

/// Names are not for logs, so only the kind is printed.
impl fmt::Debug for Aad<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aad(domain {})", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_places_give_different_bytes() {
        let (a, b) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let (blob, other) = (BlobId::from_bytes([3; 16]), BlobId::from_bytes([4; 16]));
        let key = KeyId::from_bytes([5; 8]);
        let all = [
            Aad::blob(a, blob),
            Aad::blob(b, blob),
            Aad::blob(a, other),
            Aad::data_key(a, "secret", "x/y", 1, blob),
            Aad::data_key(a, "secretx", "/y", 1, blob),
            Aad::data_key(a, "secret", "x/y", 2, blob),
            Aad::data_key(a, "secret", "x/y", 1, other),
            Aad::entry(a, 0, 1),
            Aad::entry(a, 1, 0),
            Aad::record(a, 0, 1, [1; 16], [2; 16]),
            Aad::record(a, 0, 1, [2; 16], [1; 16]),
            Aad::record(a, 0, 2, [1; 16], [2; 16]),
            Aad::intent(a, b"k"),
            Aad::volatile(a, b"k"),
            Aad::intent(a, b""),
            Aad::ring(a, 1, key),
            Aad::ring(a, 2, key),
            Aad::access_row(a, 0, 1),
            Aad::access_row(a, 1, 0),
            Aad::seal_root(key),
            Aad::backup_key([1; 16]),
            Aad::backup_chunk(&[1; 32], 0, false),
            Aad::backup_chunk(&[2; 32], 0, false),
            Aad::backup_chunk(&[1; 32], 1, false),
            Aad::backup_chunk(&[1; 32], 0, true),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|aad| aad.to_bytes()).collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|aad| aad.to_bytes().len() <= aad.length()));
    }
}
