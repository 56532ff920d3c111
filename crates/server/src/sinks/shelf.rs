//! The folder of the file sink as somebody reads it who may change nothing in it.

use super::folder::{Folder, Refused};
use bytes::Bytes;
use ledger::access_log::{HEADER_BYTES, Shelf, SinkError};
use std::path::Path;
use storage::BoxFuture;

/// Gives segments back and takes none; must be used inside a tokio runtime.
#[derive(Debug)]
pub(crate) struct FileShelf(Folder);

impl FileShelf {
    /// Opens the folder if there is one.
    ///
    /// Errors: the folder or anything in it is a link, writable and another user's or open to others, or not of the access
    /// log.
    pub(crate) fn open(path: &Path) -> Result<Option<FileShelf>, Refused> {
        if !path.exists() {
            return Ok(None);
        }
        Folder::visit(path).map(FileShelf).map(Some)
    }

    fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> std::io::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, SinkError>> {
        let folder = self.0.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&folder)).await;
            let done = done.map_err(|_| SinkError::Panicked)?;
            done.map_err(|error| SinkError::Unavailable(error.to_string()))
        })
    }
}

impl Shelf for FileShelf {
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>> {
        self.on_thread(Folder::range)
    }

    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        let size = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        self.on_thread(move |folder| Ok(folder.read(number, size)?.map(Bytes::from)))
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        self.on_thread(move |folder| Ok(folder.read(number, u64::MAX)?.map(Bytes::from)))
    }

    fn cut(&self, _: u64, _: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Err(only_read())))
    }

    fn remove(&self, _: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Err(only_read())))
    }
}

fn only_read() -> SinkError {
    SinkError::Unavailable("it is only read".into())
}
