//! A ledger in a file: one JSON object a line, the checkpoint first, then the entries. Nothing stands in it that cannot be
//! checked without the server.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use api::Class;
use api::ledger::Entry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::verify::{PAGE_MAX, Seen, Tally, signed};
use client::{Client, Error};
use crypto::note::{Checkpoint, VerifierKey};
use serde::{Deserialize, Serialize};
use server::Segments;
use server::offline::LedgerAtRest;

use crate::fault;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first: which ledger, as signed.
    LedgerV1 { key: String, checkpoint: String },
    /// An entry.
    Entry(Entry),
}

/// What a file held.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The key that was held against it.
    pub(crate) key: VerifierKey,
    /// The checkpoint, signed by the key.
    pub(crate) checkpoint: Checkpoint,
    /// Entries that were whole.
    pub(crate) whole_entries: u64,
    /// Segments of the access log that entries close, each following the one before.
    pub(crate) segments: u64,
    /// Size of the checkpoint verified before that this one was found to extend.
    pub(crate) extends: Option<u64>,
}

/// Where a ledger is exported from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A server.
    Server(Client),
    /// A data folder.
    AtRest(LedgerAtRest),
}

impl Source {
    /// Key and checkpoint.
    async fn head(&self) -> Result<(String, String), Error> {
        match self {
            Self::AtRest(ledger) => Ok((ledger.key().to_owned(), ledger.checkpoint().to_owned())),
            Self::Server(client) => Ok((client.ledger().key().await?.key, client.ledger().checkpoint().await?)),
        }
    }

    async fn entries(&mut self, from: u64, limit: u32) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Server(client) => Ok(client.ledger().entries(from, limit).await?.items),
            Self::AtRest(ledger) => ledger.entries(limit as usize).await.map_err(crate::verb::offline::failed),
        }
    }
}

/// Writes a ledger to a new file of mode 0600; gives the number of entries. On failure the file is removed.
pub(crate) async fn write(source: Source, file: &Path, progress: impl FnMut(u64, u64)) -> Result<u64, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let shown = format!("`{}` cannot be written", file.display());
    let opened = options.open(file).map_err(|error| fault::local(&shown, &error))?;
    let written = fill(source, opened, &shown, progress).await;
    if written.is_err() {
        let _ = std::fs::remove_file(file);
    }
    written
}

/// Checks a file: who signed it, each entry, the root, and that the segments of the access log which entries close follow
/// each other.
///
/// `choose` says which key to hold against it and which checkpoint was verified by that before, given the key that stands in
/// the file.
///
/// Errors: class `Corrupt`, naming the first bad thing.
pub(crate) fn check(
    file: &Path,
    choose: impl FnOnce(&VerifierKey) -> Result<(VerifierKey, Option<Seen>), Error>,
) -> Result<Checked, Error> {
    let shown = format!("`{}` cannot be read", file.display());
    let opened = File::open(file).map_err(|error| fault::local(&shown, &error))?;
    let mut lines = Lines { from: BufReader::new(opened), number: 0 };
    let Some(Line::LedgerV1 { key: named, checkpoint }) = lines.next()? else {
        return Err(fault::invalid("the file is no export of a ledger", "make one with `aumbry ledger export FILE`"));
    };
    let own = named.parse().map_err(|_| damaged("line 1 names a key that is none"))?;
    let (key, seen) = choose(&own)?;
    let checkpoint = signed(&checkpoint, &key)?;
    let (mut tally, mut segments) = (Tally::since(seen), Segments::default());
    while let Some(line) = lines.next()? {
        let Line::Entry(entry) = line else {
            return Err(damaged(&format!("line {} begins another ledger", lines.number)));
        };
        if entry.time.is_some() || entry.kind.is_some() {
            return Err(damaged(&format!(
                "line {} says more of entry {} than its hash covers",
                lines.number, entry.index
            )));
        }
        tally.push(&entry)?;
        if let Some(sealed) = &entry.sealed {
            let taken = segments.take(&STANDARD.decode(sealed).unwrap_or_default(), entry.index);
            taken.map_err(|why| damaged(&format!("entry {}: {why}", entry.index)))?;
        }
    }
    let extends = tally.check(&checkpoint)?;
    Ok(Checked { key, checkpoint, whole_entries: tally.whole(), segments: segments.closed(), extends })
}

async fn fill(mut source: Source, file: File, shown: &str, mut progress: impl FnMut(u64, u64)) -> Result<u64, Error> {
    let failed = |error: std::io::Error| fault::local(shown, &error);
    let mut out = BufWriter::new(file);
    let (key, checkpoint) = source.head().await?;
    let size = signed(&checkpoint, &crate::pins::parse(&key)?)?.size;
    line(&mut out, &Line::LedgerV1 { key, checkpoint }).map_err(failed)?;
    let mut from = 0;
    while from < size {
        let limit = u32::try_from(size.saturating_sub(from)).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let page = source.entries(from, limit).await?;
        if page.is_empty() {
            return Err(damaged(&format!("no entry {from} is given")));
        }
        for entry in page {
            from = from.saturating_add(1);
            // Time and kind are the server's word; what the entry says stands sealed in it.
            line(&mut out, &Line::Entry(Entry { time: None, kind: None, ..entry })).map_err(failed)?;
        }
        progress(from, size);
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(from)
}

fn line(out: &mut impl std::io::Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

struct Lines {
    from: BufReader<File>,
    number: u64,
}

impl Lines {
    /// The next line, each bounded.
    fn next(&mut self) -> Result<Option<Line>, Error> {
        let mut text = Vec::new();
        self.number = self.number.saturating_add(1);
        let read = self.from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        read.map_err(|error| fault::local("the export cannot be read", &error))?;
        if text.is_empty() {
            return Ok(None);
        }
        let whole = text.ends_with(b"\n");
        let read = serde_json::from_slice(&text).ok().filter(|_| whole);
        read.map(Some).ok_or_else(|| damaged(&format!("line {} cannot be read", self.number)))
    }
}

fn damaged(detail: &str) -> Error {
    let hint = "do not trust this copy; compare with another one";
    Error::local(Class::Corrupt, "ledger.export_damaged", detail, hint)
}

/// A sealed entry of 65,535 bytes in base64, with what stands around it.
const LINE_BYTES_MAX: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::aead::{CheckpointKey, Key};
    use crypto::merkle::{Frontier, leaf_hash};
    use crypto::seam::SystemEntropy;

    fn base64(bytes: &[u8]) -> String {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
    }

    fn sample(folder: &Path) -> (std::path::PathBuf, VerifierKey) {
        let key: Key<CheckpointKey> = Key::generate(&SystemEntropy::new()).unwrap();
        let origin: crypto::note::Origin = "here/0".parse().unwrap();
        let verifier = VerifierKey::new(origin.clone(), key.public());
        let mut tree = Frontier::new();
        let entries: Vec<_> = (0..5_u64).map(|i| format!("the tenant of 16sealed {i}").into_bytes()).collect();
        entries.iter().for_each(|entry| tree.push(leaf_hash(entry)));
        let checkpoint = crypto::note::sign_checkpoint(&origin, 5, &tree.root(), &key);
        let mut out = Vec::new();
        line(&mut out, &Line::LedgerV1 { key: verifier.to_string(), checkpoint }).unwrap();
        for (index, entry) in entries.iter().enumerate() {
            let sealed = Some(base64(entry));
            let leaf_hash = base64(&leaf_hash(entry));
            let entry = Entry { index: index as u64, leaf_hash, sealed, time: None, kind: None };
            line(&mut out, &Line::Entry(entry)).unwrap();
        }
        let file = folder.join("export");
        std::fs::write(&file, out).unwrap();
        (file, verifier)
    }

    #[test]
    fn an_export_verifies_without_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = sample(folder.path());
        for own in [true, false] {
            let checked = check(&file, |found| Ok((if own { found } else { &key }.clone(), None))).unwrap();
            assert_eq!(checked.key, key);
            assert_eq!((checked.checkpoint.size, checked.whole_entries, checked.segments), (5, 5, 0));
        }
    }

    #[test]
    fn an_export_by_another_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _) = sample(folder.path());
        let (_, other) = sample(folder.path().join("..").as_path().parent().unwrap());
        drop(sample(folder.path()));
        assert_eq!(&*check(&file, |_| Ok((other, None))).unwrap_err().code, "ledger.checkpoint_invalid");
    }

    #[test]
    fn each_line_that_is_changed_lost_or_doubled_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = sample(folder.path());
        let whole = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = whole.lines().collect();
        let refused = |lines: &[&str], what: &str| {
            std::fs::write(&file, lines.join("\n") + "\n").unwrap();
            assert!(check(&file, |_| Ok((key.clone(), None))).is_err(), "{what}");
        };
        for index in 0..lines.len() {
            let mut without = lines.clone();
            without.remove(index);
            refused(&without, &format!("without line {index}"));
            let mut doubled = lines.clone();
            doubled.insert(index, lines[index]);
            refused(&doubled, &format!("line {index} twice"));
        }
        let alter = |from: String, to: String| {
            let altered = lines[3].replace(&from, &to);
            assert_ne!(altered, lines[3], "control");
            let mut changed = lines.clone();
            changed[3] = &altered;
            refused(&changed, &to);
        };
        alter(base64(b"the tenant of 16sealed 2"), base64(b"the tenant of 16sealed X"));
        alter("{\"index\"".into(), "{\"kind\":\"policy.removed\",\"index\"".into());
        alter("{\"index\"".into(), "{\"time\":\"1999-01-01T00:00:00.000Z\",\"index\"".into());
        std::fs::write(&file, whole.trim_end()).unwrap();
        assert!(check(&file, |_| Ok((key.clone(), None))).is_err(), "a cut last line");
    }
}
