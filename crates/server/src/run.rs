//! A built server: running it, and ending it so that nothing that was answered is lost.

use crate::household::Inside;
use crate::listener::{Connections, Listener};
use crate::tls::Identity;
use crate::warden::{InForce, Now, Shut, Warden};
use rest::Door;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// A server that is bound and answers as soon as it runs.
#[derive(Debug)]
#[must_use = "a server answers nothing until it runs"]
pub struct Built {
    /// Where it listens.
    pub address: SocketAddr,
    /// The certificate it shows.
    pub identity: Identity,
    pub(crate) warden: Arc<Warden>,
    pub(crate) listener: Listener,
    pub(crate) door: Door,
    pub(crate) connections: Arc<Connections>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to, and everything answered is on stable storage.
    AsTold,
    /// The store broke: nothing more is written by this process, and the next start reads back what is there.
    Broken,
}

impl Built {
    /// The routes it answers.
    #[must_use]
    pub fn routes(&self) -> &[rest::Route] {
        self.door.routes()
    }

    /// The seal, for people: its file, or the shares that are wanted.
    #[must_use]
    pub fn seal(&self) -> String {
        match (self.warden.now(), &*self.warden.shut.lock()) {
            (_, Some(Shut::Wanting(gathering))) => {
                let set = gathering.set();
                let (threshold, count, id) = (set.threshold(), set.count(), set.id());
                format!("closed; it wants {threshold} of {count} shares of set {id}: aumbry operator unseal")
            }
            (_, Some(Shut::Unbegun(_))) => "not begun; aumbry operator init makes the shares of its key".to_owned(),
            (Some(Now { seal, .. }), _) if matches!(seal.get(), InForce::File(_)) => {
                self.warden.ground.places.seal.display().to_string()
            }
            _ => "shares".to_owned(),
        }
    }

    /// What requests are answered with, for what the server itself does; nothing while it is sealed.
    #[must_use]
    pub fn inside(&self) -> Option<Inside> {
        self.warden.now().map(|now| now.inside)
    }

    /// Answers requests until `stop` becomes true or the store breaks; then lets running ones end, writes what waits
    /// and frees the address and the data folder.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Ended {
        let Built { warden, listener, door, connections, .. } = self;
        let (end, ending) = watch::channel(false);
        warden.begin().await;
        let drain = warden.ground.config.server.drain_max.0;
        let serving = tokio::spawn(listener.serve(door, connections, ending, drain));
        let ended = tokio::select! {
            _ = async { drop(stop.wait_for(|stop| *stop).await) } => Ended::AsTold,
            () = warden.broken() => Ended::Broken,
        };
        if ended == Ended::Broken {
            tracing::error!("the store failed and takes no more writes; stopping");
        }
        end.send_replace(true);
        let _ = serving.await;
        warden.end(ended).await;
        // Closing a store waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(warden)).await;
        ended
    }
}
