//! The `file` sink: one file per segment, written once per group before its answers leave.

use super::folder::{Folder, Refused, in_place};
use super::reserve::{RESERVE_BYTES, Reserve};
use bytes::Bytes;
use crypto::seam::Clock;
use ledger::access_log::{Chunk, HEADER_BYTES, Shelf, Sink, SinkError};
use parking_lot::{Mutex, MutexGuard};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storage::BoxFuture;

/// When rows reach stable storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenSynced {
    /// Once a second: a killed process loses nothing, a power loss at most a second.
    EachSecond,
    /// Before each answer.
    Always,
}

/// A write that takes longer hands the next ones to a worker thread, so that a slow disk does not hold up the runtime.
const SLOW_WRITE: Duration = Duration::from_millis(1);
/// For how long.
const SLOW_FOR: Duration = Duration::from_secs(1);
/// For how long a write waits for the end of another.
const BUSY_FOR: Duration = Duration::from_millis(20);
/// No segment's file is longer: the limit of a segment and one group.
const SEGMENT_FILE_BYTES_MAX: u64 = 64 << 20;

/// Writes rows to files below one folder; must run inside a tokio runtime.
#[derive(Debug)]
pub struct FileSink {
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    when: WhenSynced,
    /// Milliseconds of monotonic time until which writes go to a worker thread.
    slow_until: AtomicU64,
}

/// The part that worker threads share.
#[derive(Debug)]
struct Files {
    folder: Folder,
    open: Mutex<Open>,
    reserve_left: AtomicU64,
    /// As in [`Open`], to be seen without waiting.
    is_tapped: AtomicBool,
    #[cfg(test)]
    space: AtomicU64,
}

#[derive(Debug)]
struct Open {
    current: Option<Current>,
    reserve: Reserve,
    /// Files written since they were last brought to stable storage.
    unsynced: Vec<(u64, Arc<File>)>,
    /// Newest segment whose name is on stable storage.
    named: u64,
    /// Whether space was given back and not yet taken again.
    is_tapped: bool,
    broken: Option<String>,
}

#[derive(Debug)]
struct Current {
    number: u64,
    file: Arc<File>,
    /// Bytes that are there, header included; `None` after a failed write.
    size: Option<u64>,
}

/// A chunk that can go to another thread.
struct Work {
    number: u64,
    header: Option<[u8; HEADER_BYTES]>,
    offset: u64,
    frames: Vec<u8>,
    urgent: bool,
    sync: bool,
}

impl FileSink {
    /// Opens the folder, which is always `access` in the data folder and cannot be named by a request.
    ///
    /// Errors: the folder or anything in it is a link, another user's, executable, open to others, or not of the access
    /// log; nothing was changed. A reserve that does not fit is made when there is space.
    pub fn open(path: &Path, when: WhenSynced, clock: Arc<dyn Clock>) -> Result<FileSink, Refused> {
        FileSink::with_reserve(path, when, clock, RESERVE_BYTES)
    }

    /// As [`FileSink::open`] for rows that are only read: takes no reserve, and leaves one that is there.
    pub(crate) fn at_rest(path: &Path, clock: Arc<dyn Clock>) -> Result<FileSink, Refused> {
        FileSink::with_reserve(path, WhenSynced::EachSecond, clock, 0)
    }

    fn with_reserve(path: &Path, when: WhenSynced, clock: Arc<dyn Clock>, bytes: u64) -> Result<FileSink, Refused> {
        let folder = Folder::open(path)?;
        let reserve = Reserve::open(&folder.reserve(), bytes)
            .map_err(|error| Refused(format!("{}: {error}", folder.reserve().display())))?;
        let left = AtomicU64::new(reserve.left());
        let open = Open { current: None, reserve, unsynced: Vec::new(), named: 0, is_tapped: false, broken: None };
        let files = Files {
            folder,
            open: Mutex::new(open),
            reserve_left: left,
            is_tapped: AtomicBool::new(false),
            #[cfg(test)]
            space: AtomicU64::new(u64::MAX),
        };
        Ok(FileSink { files: Arc::new(files), clock, when, slow_until: AtomicU64::new(0) })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn note_time(&self, started: Duration) {
        if self.clock.monotonic().saturating_sub(started) > SLOW_WRITE {
            let pause = u64::try_from(SLOW_FOR.as_millis()).unwrap_or(u64::MAX);
            self.slow_until.store(self.now_ms().saturating_add(pause), Ordering::Relaxed);
        }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || work(&files)).await.unwrap_or(Err(SinkError::Panicked))
    }
}

impl Sink for FileSink {
    fn name(&self) -> &'static str {
        "file"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let header = (chunk.offset == 0).then(|| chunk.header.encode());
        let sync = self.when == WhenSynced::Always;
        if !sync && self.now_ms() >= self.slow_until.load(Ordering::Relaxed) {
            return Box::pin(async move {
                let started = self.clock.monotonic();
                let place = Place { number: chunk.header.number, header, offset: chunk.offset };
                let written = self.files.write(&place, chunk.frames, chunk.urgent, false);
                self.note_time(started);
                written
            });
        }
        let work = Work {
            number: chunk.header.number,
            header,
            offset: chunk.offset,
            frames: chunk.frames.to_vec(),
            urgent: chunk.urgent,
            sync,
        };
        Box::pin(async move {
            let started = self.clock.monotonic();
            let written = self
                .on_thread(move |files| {
                    let place = Place { number: work.number, header: work.header, offset: work.offset };
                    files.write(&place, &work.frames, work.urgent, work.sync)
                })
                .await;
            if !sync {
                self.note_time(started);
            }
            written
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.on_thread(Files::sync))
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(self)
    }

    fn reserve_left(&self) -> u64 {
        self.files.reserve_left.load(Ordering::Relaxed)
    }

    fn is_tapped(&self) -> bool {
        self.files.is_tapped.load(Ordering::Acquire)
    }
}

/// Where bytes go.
struct Place {
    number: u64,
    /// The header, if the chunk begins the segment.
    header: Option<[u8; HEADER_BYTES]>,
    offset: u64,
}

impl Files {
    /// Writes one chunk. After an error the file holds what it held, or is put right before the next write.
    fn write(&self, place: &Place, frames: &[u8], urgent: bool, sync: bool) -> Result<(), SinkError> {
        let mut open = self.held()?;
        if let Some(why) = &open.broken {
            return Err(SinkError::Broken(why.clone()));
        }
        // The first half is for every row, so that reads go on for a while; the second for what must.
        let kept = if urgent { 0 } else { open.reserve.half() };
        if open.is_tapped && open.reserve.left() <= kept && !urgent {
            return Err(SinkError::Full);
        }
        let needed = u64::try_from(frames.len().saturating_add(HEADER_BYTES)).unwrap_or(u64::MAX);
        let mut written = self.put(&mut open, place, frames);
        while is_full(&written) && open.reserve.left() > kept && open.reserve.release(needed) {
            open.is_tapped = true;
            self.is_tapped.store(true, Ordering::Release);
            #[cfg(test)]
            self.space.fetch_add(1 << 20, Ordering::SeqCst);
            written = self.put(&mut open, place, frames);
        }
        self.reserve_left.store(open.reserve.left(), Ordering::Relaxed);
        written.map_err(|error| self.failed(&error, place))?;
        if sync {
            let (files, named) = (std::mem::take(&mut open.unsynced), open.named);
            let synced = self.sync_files(&files, named);
            self.note_synced(&mut open, files, synced)?;
            if open.named < place.number {
                return Err(SinkError::Unavailable("its folder cannot be brought to stable storage".into()));
            }
        }
        Ok(())
    }

    /// The state, unless a write hangs.
    fn held(&self) -> Result<MutexGuard<'_, Open>, SinkError> {
        let busy = || SinkError::Unavailable("an earlier write is still under way".into());
        self.open.try_lock_for(BUSY_FOR).ok_or_else(busy)
    }

    fn put(&self, open: &mut Open, place: &Place, frames: &[u8]) -> io::Result<()> {
        let head = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        let at = if place.header.is_some() { 0 } else { head.saturating_add(place.offset) };
        let (current, length) = self.current(open.current.take(), place, at)?;
        let current = open.current.insert(current);
        // A segment that is begun again holds what is written now, and perhaps more: it is cut afterwards, so that no
        // moment lacks rows that were answered for.
        let is_again = at == 0 && length > 0;
        if !is_again && (length != at || current.size != Some(at)) {
            current.file.set_len(at)?;
        }
        current.size = None;
        let bytes = match &place.header {
            Some(header) => [header.as_slice(), frames].concat(),
            None => Vec::new(),
        };
        let bytes = if place.header.is_some() { bytes.as_slice() } else { frames };
        self.write_at(&current.file, bytes, at)?;
        let end = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if is_again {
            current.file.set_len(end)?;
        }
        current.size = Some(end);
        if open.unsynced.last().is_none_or(|(number, _)| *number != place.number) {
            open.unsynced.push((place.number, Arc::clone(&current.file)));
        }
        Ok(())
    }

    /// The segment's file as it stands under its name, and its length. One that is not there any more is begun again if
    /// the chunk begins the segment, and `NotFound` otherwise.
    fn current(&self, held: Option<Current>, place: &Place, at: u64) -> io::Result<(Current, u64)> {
        let lost = || io::Error::from(ErrorKind::NotFound);
        let path = self.folder.file(place.number);
        let there = |current: &Current| in_place(&current.file, &path).filter(|length| *length >= at);
        if let Some(current) = held.filter(|current| current.number == place.number)
            && let Some(length) = there(&current)
        {
            return Ok((current, length));
        }
        let header = place.header.as_ref().ok_or_else(lost)?;
        let file = Arc::new(self.folder.begin(place.number, header)?);
        let current = Current { number: place.number, file, size: Some(0) };
        let length = there(&current).ok_or_else(lost)?;
        Ok((current, length))
    }

    #[cfg(not(test))]
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }

    /// A disk with so much space and no more.
    #[cfg(test)]
    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        let space = usize::try_from(self.space.load(Ordering::SeqCst)).unwrap_or(usize::MAX);
        let fits = bytes.len().min(space);
        file.write_all_at(&bytes[..fits], at)?;
        if fits < bytes.len() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.space.fetch_sub(if space == usize::MAX { 0 } else { fits as u64 }, Ordering::SeqCst);
        Ok(())
    }

    fn failed(&self, error: &io::Error, place: &Place) -> SinkError {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SinkError::Full,
            ErrorKind::NotFound if place.header.is_none() => SinkError::Lost,
            _ => SinkError::Unavailable(error.to_string()),
        }
    }

    /// Brings everything written to stable storage, refills the reserve, and looks whether the file is still there.
    fn sync(&self) -> Result<(), SinkError> {
        let (files, named) = {
            let mut open = self.held()?;
            if open.reserve.refill() {
                open.is_tapped = false;
                self.is_tapped.store(false, Ordering::Release);
            }
            self.reserve_left.store(open.reserve.left(), Ordering::Relaxed);
            (std::mem::take(&mut open.unsynced), open.named)
        };
        let synced = self.sync_files(&files, named);
        let mut open = self.held()?;
        self.note_synced(&mut open, files, synced)?;
        match &open.current {
            Some(current) if in_place(&current.file, &self.folder.file(current.number)) < current.size => {
                Err(SinkError::Lost)
            }
            _ => Ok(()),
        }
    }

    /// Flushes files, and the names of those that are new as far as they are there; answers the newest named one.
    fn sync_files(&self, files: &[(u64, Arc<File>)], named: u64) -> io::Result<u64> {
        let mut newest = named;
        for (number, file) in files {
            file.sync_data()?;
            if *number > newest {
                match self.folder.sync_names(*number)? {
                    true => newest = *number,
                    false => break,
                }
            }
        }
        Ok(newest)
    }

    /// A flush that failed may have dropped rows that were answered for: nothing more is written here.
    fn note_synced(
        &self,
        open: &mut Open,
        files: Vec<(u64, Arc<File>)>,
        synced: io::Result<u64>,
    ) -> Result<(), SinkError> {
        match synced {
            Ok(named) => {
                open.named = named;
                open.unsynced.splice(..0, files.into_iter().filter(|(number, _)| *number > named));
            }
            Err(error) => {
                open.broken = Some(error.to_string());
                return Err(SinkError::Broken(error.to_string()));
            }
        }
        Ok(())
    }

    fn cut(&self, number: u64, size: u64) -> Result<(), SinkError> {
        let Some(file) = self.folder.existing(number, true).map_err(unreadable)? else { return Ok(()) };
        file.set_len(size).and_then(|()| file.sync_data()).map_err(unreadable)
    }
}

impl Shelf for FileSink {
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>> {
        Box::pin(self.on_thread(|files| files.folder.range().map_err(unreadable)))
    }

    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        let size = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        Box::pin(self.on_thread(move |files| read(files, number, size)))
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        Box::pin(self.on_thread(move |files| read(files, number, SEGMENT_FILE_BYTES_MAX)))
    }

    fn cut(&self, number: u64, size: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.on_thread(move |files| files.cut(number, size)))
    }

    fn remove(&self, number: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(self.on_thread(move |files| files.folder.remove(number).map_err(unreadable)))
    }
}

fn read(files: &Files, number: u64, bytes_max: u64) -> Result<Option<Bytes>, SinkError> {
    Ok(files.folder.read(number, bytes_max).map_err(unreadable)?.map(Bytes::from))
}

fn is_full(written: &io::Result<()>) -> bool {
    matches!(written, Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

fn unreadable(error: io::Error) -> SinkError {
    SinkError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
