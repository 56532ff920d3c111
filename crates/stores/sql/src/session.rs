//! Runs of a connection that broke off must not arrive after later ones.
//!
//! A run whose answer was lost may still be on its way: in a buffer, or in a server process that stands still. Each run
//! therefore names a row that stands for this handle and holds it while it works. Before anything is applied after a lost
//! answer the row is replaced by another: removing it waits for what is under way, and what comes later finds it gone.

use crate::engine::Dialect;
use crate::failure::Failure;
use parking_lot::Mutex;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Name of a session: random, never used again.
pub(crate) type SessionId = [u8; 16];

#[derive(Debug, Default)]
pub(crate) struct Session {
    state: Mutex<State>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    id: Option<SessionId>,
    doubted: bool,
}

impl Session {
    /// The session, replaced first if something may be under way in it.
    pub(crate) async fn ready<D: Dialect>(&self, link: &mut D::Link) -> Result<SessionId, Failure> {
        let _one_at_a_time = self.renewing.lock().await;
        let old = {
            let state = self.state.lock();
            match state.id {
                Some(id) if !state.doubted => return Ok(id),
                old => old,
            }
        };
        let id = fresh();
        D::renew(link, old, id).await?;
        *self.state.lock() = State { id: Some(id), doubted: false };
        Ok(id)
    }

    /// Says that a run of this session is under way; dropped before it landed, the session is doubted.
    pub(crate) fn depart(&self, id: SessionId) -> Flight<'_> {
        Flight { session: self, id, landed: false }
    }

    /// Says that a session is gone: another is made before anything else is applied.
    pub(crate) fn forget(&self, id: SessionId) {
        self.doubt(id);
    }

    fn doubt(&self, id: SessionId) {
        let mut state = self.state.lock();
        if state.id == Some(id) {
            state.doubted = true;
        }
    }
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    session: &'a Session,
    id: SessionId,
    landed: bool,
}

impl Flight<'_> {
    /// Its outcome is known.
    pub(crate) fn landed(mut self) {
        self.landed = true;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.session.doubt(self.id);
        }
    }
}

/// Different each time and on each node; nothing rests on its being hard to guess.
fn fresh() -> SessionId {
    let half = || RandomState::new().build_hasher().finish();
    ((u128::from(half()) << 64) | u128::from(half())).to_be_bytes()
}
