//! Changes that nobody can cut short, without a hand-over while their caller stays.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use storage::BoxFuture;

/// Carries work on when the caller goes away: what was begun is ended and recorded; and keeps slow work out of the way.
pub trait Tasks: Send + Sync + std::fmt::Debug {
    /// Polls this to its end, elsewhere.
    fn spawn(&self, work: BoxFuture<'static, ()>);

    /// Runs work that takes long where it holds nobody else up.
    fn block(&self, work: Box<dyn FnOnce() + Send>);
}

/// Work that runs in its caller's task, and in one of its own from where the caller leaves it.
pub(crate) struct Carried<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    tasks: Arc<dyn Tasks>,
}

impl<T: Send + 'static> Carried<T> {
    pub(crate) fn new(work: BoxFuture<'static, T>, tasks: &Arc<dyn Tasks>) -> Carried<T> {
        Carried { work: Some(work), tasks: Arc::clone(tasks) }
    }
}

impl<T: Send + 'static> Future for Carried<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let ended = work.as_mut().poll(cx);
        if ended.is_ready() {
            self.work = None;
        }
        ended
    }
}

impl<T: Send + 'static> Drop for Carried<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tasks.spawn(Box::pin(async move { drop(work.await) }));
        }
    }
}
