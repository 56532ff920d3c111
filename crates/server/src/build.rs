//! From a checked configuration to a server that is bound and opened but answers nothing yet.

use crate::clock::SystemClock;
use crate::config::{Config, SealKind};
use crate::files;
use crate::listener::{Answer, Connections, Limits, Listener};
use crate::places::Places;
use crate::run::Built;
use crate::seal::{Found, KeyFileSeal, SharesSeal};
use crate::start_error::StartError;
use crate::store::{Purpose, Store, check_finished};
use crate::surroundings::House;
use crate::tls::{Identity, OwnCertificates, TlsFiles};
use crate::warden::{InForce, Shut, Warden};
use crypto::seam::{Clock, Entropy, SystemEntropy};
use crypto::shamir::Gathering;
use http::{Request, Response};
use hyper::body::Incoming;
use ledger::access_log::Sink;
use rest::{Door, Settings};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use storage::{Shard, Storage};

/// The shard of a server of its own.
pub(crate) const SHARD: Shard = Shard(0);

/// What a server takes from outside; tests give others.
#[derive(Clone, Debug)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// A store in place of the one the configuration names.
    pub storage: Option<Arc<dyn Storage>>,
    /// Sinks in place of those the configuration names.
    pub sinks: Option<Vec<Arc<dyn Sink>>>,
    system_clock: Option<Arc<SystemClock>>,
}

impl Seams {
    /// Those of the operating system.
    #[must_use]
    pub fn system() -> Seams {
        let clock = Arc::new(SystemClock::new());
        Seams { system_clock: Some(Arc::clone(&clock)), ..Seams::of(clock, Arc::new(SystemEntropy::new())) }
    }

    /// This time and randomness.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Seams {
        Seams { clock, entropy, storage: None, sinks: None, system_clock: None }
    }
}

/// What stands whether the server is open or sealed.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) config: Config,
    pub(crate) places: Places,
    pub(crate) seams: Seams,
    pub(crate) storage: Arc<dyn Storage>,
    /// Whether other servers may write the store.
    pub(crate) shared: bool,
    /// Keeps the data folder where the store is elsewhere.
    _lock: Option<Arc<File>>,
}

/// Opens the store, the ledger, the log and the address. Needs a tokio runtime; nothing is answered yet.
///
/// Errors: what is in the way, by name. A first start makes data folder, key file and certificates; a later one changes
/// nothing that is there.
pub async fn build(config: &Config, places: &Places, seams: Seams) -> Result<Built, StartError> {
    files::private_folder(&places.data)?;
    let (storage, lock) = match &seams.storage {
        Some(storage) => (Arc::clone(storage), None),
        None => match Store::open(&config.storage, &places.data, Purpose::Serve).await? {
            Store::Sqlite(sqlite) => (sqlite as Arc<dyn Storage>, None),
            Store::Remote(storage, lock) => {
                check_finished(&*storage).await?;
                (storage, Some(lock))
            }
        },
    };
    let (settings, all, given) = (config.clone(), places.clone(), seams.clone());
    let shared = lock.is_some();
    let ground = Ground { config: settings, places: all, seams: given, storage, shared, _lock: lock };
    let opening = Arc::new(rest::Opening::default());
    let warden = Arc::new(Warden::new(ground, Arc::clone(&opening)));
    stand(&warden).await?;
    let identity = Identity::load(tls_files(config, places, &*seams.clock)?).map_err(|error| {
        let hint = "put right the files that `tls.certificate` and `tls.key` name";
        StartError::new(api::Class::Invalid, "serve.certificate", error, hint)
    })?;
    let listener = Listener::bind(config.rest.listen, identity.clone(), listener_limits(config)).await;
    let listener = listener.map_err(|error| StartError::address(config.rest.listen, &error))?;
    let address = listener.address().map_err(StartError::system)?;
    let connections = Arc::new(Connections::default());
    let clock = seams.system_clock;
    let house = House { warden: Arc::clone(&warden), connections: Arc::clone(&connections), clock };
    let door = Door::new(opening, Arc::new(house), seams.clock, seams.entropy, door_settings(config));
    Ok(Built { address, identity, warden, listener, door, connections })
}

/// Opens what a key file opens; otherwise waits for shares.
async fn stand(warden: &Warden) -> Result<(), StartError> {
    let Ground { config, places, seams, storage, .. } = &warden.ground;
    let head = storage.head(SHARD).await?;
    let roots = ledger::wrapped_roots(&**storage, SHARD).await?;
    let set = roots.last().map(|root| SharesSeal::set_of(root)).transpose();
    let offered = places.data.join("seal.shares");
    let set = set.map_err(|error| StartError::new(api::Class::Corrupt, "serve.damaged", error, "restore a backup"))?;
    match set.flatten() {
        Some(set) => return warden.wait(Shut::Wanting(Gathering::new(set))).await,
        None if head.0 == 0 && (config.seal.kind == SealKind::Shares || offered.exists()) => {
            // Shares may be handed out from now on: no later start makes a key file instead of them.
            files::replace_private(&offered, b"this folder begins with shares of a key: aumbry operator init\n")?;
            return warden.wait(Shut::Unbegun(None)).await;
        }
        None => {}
    }
    let (seal, found) = KeyFileSeal::open(&places.seal, &*seams.entropy, head.0 == 0).map_err(StartError::seal)?;
    if found == Found::Made {
        advise_backup(&places.seal);
    }
    warden.open(InForce::File(Arc::new(seal))).await
}

/// Says at once, whatever comes of this start, that there is a new key and what it is worth.
fn advise_backup(file: &Path) {
    let text = format!(
        "seal key made: {}\n  keep a copy in a safe place; without it nothing stored opens again\n",
        file.display()
    );
    // Nobody reads it: then nobody is there to be told.
    std::io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default();
}

/// The rules of every engine: they alone make records.
pub(crate) fn rules() -> Vec<Arc<dyn ledger::Rules>> {
    vec![
        Arc::new(secrets::SecretRules),
        Arc::new(access::AccessRules),
        Arc::new(app::keys::KeyRules),
        Arc::new(app::apply::ApplyRules),
        Arc::new(app::password_policy::PasswordPolicyRules),
        Arc::new(app::backup::BackupRules),
    ]
}

fn tls_files(config: &Config, places: &Places, clock: &dyn Clock) -> Result<TlsFiles, StartError> {
    match (&config.tls.certificate.0, &config.tls.key.0) {
        (Some(certificate), Some(key)) => {
            Ok(TlsFiles { certificate: certificate.clone(), key: key.clone(), authority: None })
        }
        _ => Ok(OwnCertificates::new(places.tls.clone(), &config.tls.names.0).ready(clock)?),
    }
}

fn listener_limits(config: &Config) -> Limits {
    let connections_max = usize::try_from(config.limits.connections_max).unwrap_or(usize::MAX);
    Limits { connections_max, ..Limits::default() }
}

fn door_settings(config: &Config) -> Settings {
    Settings {
        trusted_proxies: config.server.trusted_proxies.0.clone(),
        metrics: config.rest.metrics.0.clone(),
        secrets: config.rest.secrets,
        limits: rest::Limits {
            requests_max: usize::try_from(config.limits.requests_max).unwrap_or(usize::MAX),
            request_time_max: config.limits.request_time_max.0,
            source_rate_max: u32::try_from(config.limits.source_rate_max).unwrap_or(u32::MAX),
        },
    }
}

impl Answer for Door {
    type Body = rest::Body;

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<rest::Body> {
        Door::answer(self, request, peer).await
    }
}
