//! Who opens and closes the household behind the door, and tells what there is of it now.

use crate::backup;
use crate::build::Ground;
use crate::ceremony::Running;
use crate::household::{Household, Inside};
use crate::run::Ended;
use crate::seal::{KeyFileSeal, SharesSeal};
use crate::sealed_log::SealedLog;
use crate::start_error::StartError;
use crate::witness::Witnesses;
use app::{Arrival, Refusal};
use crypto::aead::Aad;
use crypto::id::TenantId;
use crypto::seam::{Entropy, Seal, SealError};
use crypto::secret::SecretBytes;
use crypto::shamir::Gathering;
use ledger::access_log::{AccessLog, OK, Row};
use parking_lot::{Mutex, RwLock};
use rest::Opening;
use std::sync::Arc;
use tokio::sync::watch;

/// Keeps the household behind the door; one of a process.
#[derive(Debug)]
pub(crate) struct Warden {
    pub(crate) ground: Ground,
    pub(crate) opening: Arc<Opening>,
    /// Held by whoever opens or closes.
    pub(crate) place: tokio::sync::Mutex<Place>,
    pub(crate) now: RwLock<Option<Now>>,
    /// Why it is not open; nothing while it is.
    pub(crate) shut: Mutex<Option<Shut>>,
    /// The one that replaces the seal's key, if any.
    pub(crate) ceremony: Mutex<Option<Running>>,
    /// The log that takes rows now, with keys or without.
    pub(crate) log: RwLock<Option<AccessLog>>,
    broken: watch::Sender<bool>,
}

/// What stands behind the door.
#[derive(Debug)]
pub(crate) enum Place {
    /// The household.
    Open(Household),
    /// A log without keys, where there can be one.
    Shut(Option<SealedLog>),
}

/// What there is while the server is open.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    pub(crate) inside: Inside,
    pub(crate) seal: Arc<Current>,
    pub(crate) backups: backup::Keeper,
    pub(crate) witnesses: Arc<Witnesses>,
}

/// The seal in force, whichever that is by now: for what outlives a rekey.
#[derive(Debug)]
pub(crate) struct Current(RwLock<InForce>);

impl Current {
    pub(crate) fn new(seal: InForce) -> Current {
        Current(RwLock::new(seal))
    }

    pub(crate) fn get(&self) -> InForce {
        self.0.read().clone()
    }

    /// Another one is in force. Gives the one before.
    pub(crate) fn replace(&self, seal: InForce) -> InForce {
        std::mem::replace(&mut *self.0.write(), seal)
    }
}

impl Seal for Current {
    fn name(&self) -> String {
        self.get().seal().name()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        self.get().seal().wrap(entropy, secret, aad)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        self.get().seal().unwrap(wrapped, aad)
    }
}

/// The seal that the root key is under.
#[derive(Clone, Debug)]
pub(crate) enum InForce {
    File(Arc<KeyFileSeal>),
    Shares(Arc<SharesSeal>),
}

impl InForce {
    pub(crate) fn seal(&self) -> Arc<dyn Seal> {
        match self {
            InForce::File(seal) => Arc::clone(seal) as _,
            InForce::Shares(seal) => Arc::clone(seal) as _,
        }
    }
}

/// Why the server is not open.
#[derive(Debug)]
pub(crate) enum Shut {
    /// Nothing is stored. A set that was handed out counts once enough of its shares were given back.
    Unbegun(Option<Handed>),
    /// Its shares are wanted.
    Wanting(Gathering),
    /// It opens or closes just now.
    Turning,
}

/// A set that was handed out and is not in force.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) nonce: String,
    pub(crate) gathering: Gathering,
}

impl Warden {
    pub(crate) fn new(ground: Ground, opening: Arc<Opening>) -> Warden {
        Warden {
            ground,
            opening,
            place: tokio::sync::Mutex::new(Place::Shut(None)),
            now: RwLock::default(),
            shut: Mutex::new(Some(Shut::Turning)),
            ceremony: Mutex::default(),
            log: RwLock::default(),
            broken: watch::channel(false).0,
        }
    }

    /// Opens the household with a seal that opens its root key. Requests reach it from [`Warden::begin`] on.
    ///
    /// Errors: what is in the way; then it is shut as it was.
    pub(crate) async fn open(&self, seal: InForce) -> Result<(), StartError> {
        let mut place = self.place.lock().await;
        // One log at a time goes on with the chain.
        if let Place::Shut(log) = &mut *place
            && let Some(log) = log.take()
        {
            self.log.write().take();
            log.close().await;
        }
        let current = Arc::new(Current::new(seal.clone()));
        let opened =
            Household::open(&self.ground, seal.seal(), Arc::clone(&current) as _).await.and_then(|household| {
                if let InForce::File(file) = &seal {
                    file.settle()?;
                }
                Ok(household)
            });
        match opened {
            Ok(household) => {
                *self.log.write() = Some(household.inside.log.clone());
                let (inside, backups) = (household.inside.clone(), household.backups.clone());
                let witnesses = Arc::clone(&household.witnesses);
                *self.now.write() = Some(Now { inside, seal: current, backups, witnesses });
                *place = Place::Open(household);
                Ok(())
            }
            Err(error) => {
                *place = Place::Shut(self.log_in_clear().await.unwrap_or_else(|error| {
                    tracing::error!(%error, "requests to the sealed server leave no rows");
                    None
                }));
                Err(error)
            }
        }
    }

    /// Stands there without a household.
    ///
    /// Errors: the access log cannot be gone on with.
    pub(crate) async fn wait(&self, shut: Shut) -> Result<(), StartError> {
        *self.place.lock().await = Place::Shut(self.log_in_clear().await?);
        *self.shut.lock() = Some(shut);
        Ok(())
    }

    async fn log_in_clear(&self) -> Result<Option<SealedLog>, StartError> {
        let sealed = SealedLog::open(&self.ground).await?;
        *self.log.write() = sealed.as_ref().map(|sealed| sealed.log.clone());
        Ok(sealed)
    }

    /// Lets requests in and begins the work beside them, if the server is open.
    pub(crate) async fn begin(&self) {
        if let Place::Open(household) = &mut *self.place.lock().await {
            household.work(&self.ground, self.broken.clone());
            self.shut.lock().take();
            self.opening.open(household.inside.app.clone());
        }
    }

    /// What there is now; nothing while the server is sealed. Not to be kept: it holds the keys.
    pub(crate) fn now(&self) -> Option<Now> {
        self.now.read().clone()
    }

    /// Returns when the store breaks.
    pub(crate) async fn broken(&self) {
        drop(self.broken.subscribe().wait_for(|broken| *broken).await);
    }

    /// Records a request that goes past the use cases. Errors: no sink takes its row; then it must not be answered.
    pub(crate) async fn record(
        &self,
        arrival: &Arrival,
        act: &'static str,
        refusal: Option<&Refusal>,
    ) -> Result<(), Refusal> {
        let log = self.log.read().clone();
        let outcome = refusal.map_or(OK, |refusal| refusal.code.name);
        let now = self.ground.seams.clock.wall();
        let row = Row::new(now, arrival.request, TenantId::SYSTEM, arrival.source.to_string(), act, outcome);
        match log {
            Some(log) => log.record_urgent(row).await.map(drop),
            None => {
                tracing::info!(act, outcome, source = %arrival.source, "a request to a server that keeps no rows yet");
                Ok(())
            }
        }
    }

    /// Closes what is open, at the end of the process.
    pub(crate) async fn end(&self, ended: Ended) {
        self.opening.shut();
        let place = std::mem::replace(&mut *self.place.lock().await, Place::Shut(None));
        self.now.write().take();
        self.log.write().take();
        match place {
            Place::Open(household) => household.close(ended).await,
            Place::Shut(Some(log)) => log.close().await,
            Place::Shut(None) => {}
        }
    }
}
