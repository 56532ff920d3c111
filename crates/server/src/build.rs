//! From a checked configuration to a server that is bound and opened but answers nothing yet.

use crate::backup::{self, Keeper};
use crate::clock::SystemClock;
use crate::config::{BackupSection, Config, Keep};
use crate::files;
use crate::listener::{Answer, Connections, Limits, Listener};
use crate::places::Places;
use crate::retention::Retention;
use crate::run::Built;
use crate::seal::{Found, KeyFileSeal};
use crate::sinks::{Opening, StreamSink};
use crate::start_error::StartError;
use crate::surroundings::House;
use crate::tasks::{TokioDelay, TokioTasks};
use crate::tls::{Identity, OwnCertificates, TlsFiles};
use app::App;
use crypto::seam::{Clock, Entropy, Seal, SystemEntropy};
use http::{Request, Response};
use hyper::body::Incoming;
use ledger::access_log::{AccessLog, Sink};
use ledger::{Ledger, Opened};
use rest::{Door, Settings};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use storage::{Shard, Sqlite, SqliteOptions, Storage};

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

/// Opens the store, the ledger, the log and the address. Needs a tokio runtime; nothing is answered yet.
///
/// Errors: what is in the way, by name. A first start makes data folder, key file and certificates; a later one changes
/// nothing that is there.
pub async fn build(config: &Config, places: &Places, seams: Seams) -> Result<Built, StartError> {
    files::private_folder(&places.data)?;
    let storage = match &seams.storage {
        Some(storage) => Arc::clone(storage),
        None => open_store(places).await?,
    };
    let head = storage.head(SHARD).await?;
    let (seal, found) = KeyFileSeal::open(&places.seal, &*seams.entropy, head.0 == 0).map_err(StartError::seal)?;
    if found == Found::Made {
        advise_backup(&places.seal);
    }
    let seal = Arc::new(seal);
    let opened = open_ledger(config, Arc::clone(&storage), Arc::clone(&seal), &seams).await;
    let opened = opened.map_err(|refusal| StartError::ledger(&refusal, &places.seal))?;
    seal.settle()?;
    let Opened { ledger, drivers, begun } = opened;
    let drivers = drivers.into_iter().map(tokio::spawn).collect();
    let (log, streams) = open_log(config, places, &ledger, &storage, &seams).await?;
    let home = app::bootstrap::home(&ledger).await?;
    let app = App::new(app::Parts {
        ledger: ledger.clone(),
        access_log: log.clone(),
        anchor: Arc::new(ledger.clone()),
        decider: Arc::new(access::Decider::new()),
        clock: Arc::clone(&seams.clock),
        entropy: Arc::clone(&seams.entropy),
        tasks: Arc::new(TokioTasks),
        home,
    });
    let connections = Arc::new(Connections::default());
    let backups = keeper(config, places, &ledger, Arc::clone(&seal) as Arc<dyn Seal>, &seams);
    let house = House {
        ledger: ledger.clone(),
        log: log.clone(),
        seal,
        entropy: Arc::clone(&seams.entropy),
        connections: Arc::clone(&connections),
        clock: seams.system_clock.clone(),
        backups: backups.clone(),
    };
    let identity = Identity::load(tls_files(config, places, &*seams.clock)?).map_err(|error| {
        let hint = "put right the files that `tls.certificate` and `tls.key` name";
        StartError::new(api::Class::Invalid, "serve.certificate", error, hint)
    })?;
    let listener = Listener::bind(config.rest.listen, identity.clone(), listener_limits(config)).await;
    let listener = listener.map_err(|error| StartError::address(config.rest.listen, &error))?;
    let address = listener.address().map_err(StartError::system)?;
    let clock = Arc::clone(&seams.clock);
    let door = Door::new(app.clone(), Arc::new(house), seams.clock, seams.entropy, door_settings(config));
    let (rotate_every, drain) = (config.keys.rotate_every.0, config.server.drain_max.0);
    let retention = Retention { keep: config.access.keep, clock };
    Ok(Built {
        address,
        app,
        ledger,
        log,
        identity,
        begun,
        listener,
        door,
        connections,
        drivers,
        rotate_every,
        retention,
        backups,
        streams,
        drain,
        storage,
    })
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

async fn open_store(places: &Places) -> Result<Arc<dyn Storage>, StartError> {
    let options = SqliteOptions::new(&places.data);
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(options)).await;
    Ok(Arc::new(opened.map_err(StartError::system)??))
}

/// The rules of every engine: they alone make records.
pub(crate) fn rules() -> Vec<Arc<dyn ledger::Rules>> {
    vec![
        Arc::new(secrets::SecretRules),
        Arc::new(access::AccessRules),
        Arc::new(app::keys::KeyRules),
        Arc::new(app::apply::ApplyRules),
        Arc::new(app::backup::BackupRules),
    ]
}

async fn open_ledger(
    config: &Config,
    storage: Arc<dyn Storage>,
    seal: Arc<KeyFileSeal>,
    seams: &Seams,
) -> Result<Opened, ledger::Refusal> {
    let parts = ledger::Parts {
        storage,
        shard: SHARD,
        seal,
        clock: Arc::clone(&seams.clock),
        entropy: Arc::clone(&seams.entropy),
        delay: Arc::new(TokioDelay),
        rules: rules(),
        cluster: config.ledger.cluster.clone(),
        // The ledger takes this much for records and as much again for values.
        cache_bytes: config.cache.bytes.0 / 2,
    };
    ledger::open(parts).await
}

async fn open_log(
    config: &Config,
    places: &Places,
    ledger: &Ledger,
    storage: &Arc<dyn Storage>,
    seams: &Seams,
) -> Result<(AccessLog, Vec<Arc<StreamSink>>), StartError> {
    let (sinks, streams) = match &seams.sinks {
        Some(sinks) => (sinks.clone(), Vec::new()),
        None => Opening { config: &config.access, places, ledger, storage, clock: &seams.clock }.sinks().await?,
    };
    let parts = ledger::access_log::Parts {
        sinks,
        keys: Arc::new(ledger.clone()),
        clock: Arc::clone(&seams.clock),
        entropy: Arc::clone(&seams.entropy),
        delay: Arc::new(TokioDelay),
    };
    let (log, recovery) = AccessLog::open(parts).await?;
    if let Some(torn) = recovery.torn {
        tracing::warn!(segment = torn.segment, bytes = torn.bytes, "a torn tail of the access log was cut off");
    }
    for bad in recovery.damaged {
        tracing::error!(?bad, "the access log is damaged; `aumbry access verify` names it");
    }
    Ok((log, streams))
}

fn tls_files(config: &Config, places: &Places, clock: &dyn Clock) -> Result<TlsFiles, StartError> {
    match (&config.tls.certificate.0, &config.tls.key.0) {
        (Some(certificate), Some(key)) => {
            Ok(TlsFiles { certificate: certificate.clone(), key: key.clone(), authority: None })
        }
        _ => Ok(OwnCertificates::new(places.tls.clone(), &config.tls.names.0).ready(clock)?),
    }
}

fn keeper(config: &Config, places: &Places, ledger: &Ledger, seal: Arc<dyn Seal>, seams: &Seams) -> Keeper {
    // A folder on the same disk is no place to fill by itself.
    let every = if config.backup.folder.0.is_some() { config.backup.every } else { Keep::Always };
    let BackupSection { keep, keep_for, verify, .. } = config.backup;
    let settings = backup::Settings { every, keep, keep_for, verify };
    let (clock, entropy) = (Arc::clone(&seams.clock), Arc::clone(&seams.entropy));
    Keeper::new(places.backups.clone(), settings, ledger.clone(), seal, clock, entropy)
}

fn listener_limits(config: &Config) -> Limits {
    let connections_max = usize::try_from(config.limits.connections_max).unwrap_or(usize::MAX);
    Limits { connections_max, ..Limits::default() }
}

fn door_settings(config: &Config) -> Settings {
    Settings {
        trusted_proxies: config.server.trusted_proxies.0.clone(),
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
