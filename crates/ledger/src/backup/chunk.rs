//! The sealed stream: bytes in, chunks out, and back.

use super::{damaged, stream};
use crate::code::Refusal;
use crate::ring::seal_fail;
use crypto::Hash;
use crypto::aead::{Aad, BackupKey, Key, OVERHEAD_BYTES};
use crypto::seam::Entropy;
use std::io::{Read, Write};

/// Plain bytes of a full chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// Largest item: a batch and what is written around its rows.
pub(super) const ITEM_BYTES_MAX: usize = 16 << 20;

const MORE: u8 = 0;
const LAST: u8 = 1;

/// Writes chunks.
pub(super) struct ChunkWriter<'a> {
    out: &'a mut dyn Write,
    key: Key<BackupKey>,
    head: Hash,
    entropy: &'a dyn Entropy,
    index: u64,
    plain: Vec<u8>,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        key: Key<BackupKey>,
        head: Hash,
        entropy: &'a dyn Entropy,
    ) -> ChunkWriter<'a> {
        ChunkWriter { out, key, head, entropy, index: 0, plain: Vec::with_capacity(CHUNK_BYTES) }
    }

    /// Adds an item. Errors: `backup.failed`, `entropy.failed`.
    pub(super) fn item(&mut self, item: &super::item::Item) -> Result<(), Refusal> {
        let bytes = item.encode()?;
        let length = u32::try_from(bytes.len()).map_err(|_| damaged("an item is too large"))?;
        self.bytes(&length.to_be_bytes())?;
        self.bytes(&bytes)
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES.saturating_sub(self.plain.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.plain.extend_from_slice(now);
            bytes = later;
            if self.plain.len() >= CHUNK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Refusal> {
        let plain = std::mem::take(&mut self.plain);
        self.chunk(&plain, false)?;
        self.plain = plain;
        self.plain.clear();
        Ok(())
    }

    fn chunk(&mut self, plain: &[u8], last: bool) -> Result<(), Refusal> {
        let aad = Aad::backup_chunk(&self.head, self.index, last);
        let sealed = self.key.seal(self.entropy, aad, plain).map_err(|error| seal_fail(&error))?;
        let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        let kind = if last { LAST } else { MORE };
        self.out.write_all(&[kind]).map_err(|error| stream(&error))?;
        self.out.write_all(&length.to_be_bytes()).map_err(|error| stream(&error))?;
        self.out.write_all(&sealed).map_err(|error| stream(&error))?;
        self.index = self.index.saturating_add(1);
        Ok(())
    }

    /// Ends the backup with its foot, sealed and in clear.
    pub(super) fn end(mut self, foot: &[u8]) -> Result<(), Refusal> {
        if !self.plain.is_empty() {
            self.flush()?;
        }
        self.chunk(foot, true)?;
        let length = u32::try_from(foot.len()).unwrap_or(u32::MAX);
        self.out.write_all(foot).map_err(|error| stream(&error))?;
        self.out.write_all(&length.to_be_bytes()).map_err(|error| stream(&error))?;
        self.out.flush().map_err(|error| stream(&error))
    }
}

/// Reads chunks. Nothing is given out that did not open.
pub(super) struct ChunkReader<'a> {
    from: &'a mut dyn Read,
    key: &'a Key<BackupKey>,
    head: Hash,
    index: u64,
    plain: Vec<u8>,
    at: usize,
    foot: Option<Vec<u8>>,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(from: &'a mut dyn Read, key: &'a Key<BackupKey>, head: Hash) -> ChunkReader<'a> {
        ChunkReader { from, key, head, index: 0, plain: Vec::new(), at: 0, foot: None }
    }

    /// The next item; `None` behind the last. Errors: `backup.damaged`, `backup.failed`.
    pub(super) fn item(&mut self) -> Result<Option<super::item::Item>, Refusal> {
        let mut length = [0; 4];
        if !self.fill(&mut length)? {
            return Ok(None);
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ITEM_BYTES_MAX {
            return Err(damaged("an item is too large"));
        }
        let mut bytes = vec![0; length];
        if !self.fill(&mut bytes)? {
            return Err(damaged("it ends within an item"));
        }
        super::item::Item::decode(&bytes).map(Some).map_err(damaged)
    }

    /// Fills all of it, or nothing at the end.
    fn fill(&mut self, out: &mut [u8]) -> Result<bool, Refusal> {
        let mut done = 0usize;
        while done < out.len() {
            let ready = self.plain.get(self.at..).unwrap_or_default();
            if ready.is_empty() {
                match (self.next()?, done) {
                    (true, _) => continue,
                    (false, 0) => return Ok(false),
                    (false, _) => return Err(damaged("it ends within an item")),
                }
            }
            let count = ready.len().min(out.len().saturating_sub(done));
            let (to, from) = (out.get_mut(done..).unwrap_or_default(), ready.get(..count).unwrap_or_default());
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            self.at = self.at.saturating_add(count);
            done = done.saturating_add(count);
        }
        Ok(true)
    }

    /// Opens the next chunk; `false` when it was the last one.
    fn next(&mut self) -> Result<bool, Refusal> {
        if self.foot.is_some() {
            return Ok(false);
        }
        let mut kind = [0; 1];
        let mut length = [0; 4];
        self.from.read_exact(&mut kind).map_err(|error| stream(&error))?;
        self.from.read_exact(&mut length).map_err(|error| stream(&error))?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let last = kind == [LAST];
        if !(last || kind == [MORE]) || length > CHUNK_BYTES.saturating_add(OVERHEAD_BYTES) {
            return Err(damaged(format_args!("chunk {}", self.index)));
        }
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(|error| stream(&error))?;
        let aad = Aad::backup_chunk(&self.head, self.index, last);
        let plain = self.key.open(aad, &sealed).map_err(|_| damaged(format_args!("chunk {}", self.index)))?;
        self.index = self.index.saturating_add(1);
        if last {
            self.foot = Some(plain.expose().to_vec());
            return Ok(false);
        }
        self.plain.clear();
        self.plain.extend_from_slice(plain.expose());
        self.at = 0;
        Ok(true)
    }

    /// The foot, once the last item was read. Nothing may stand behind it, and it must be the same in clear.
    pub(super) fn end(self) -> Result<Vec<u8>, Refusal> {
        let foot = self.foot.ok_or_else(|| damaged("it has no end"))?;
        let length = u32::try_from(foot.len()).unwrap_or(u32::MAX);
        let wanted = [foot.as_slice(), &length.to_be_bytes()].concat();
        let mut found = vec![0; wanted.len()];
        self.from.read_exact(&mut found).map_err(|error| stream(&error))?;
        let mut more = [0; 1];
        match self.from.read(&mut more) {
            Ok(0) if found == wanted => Ok(foot),
            Ok(0) => Err(damaged("its foot")),
            Ok(_) => Err(damaged("something stands behind its end")),
            Err(error) => Err(stream(&error)),
        }
    }
}
