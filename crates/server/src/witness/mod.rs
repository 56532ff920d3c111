//! Who keeps checkpoints elsewhere: a file, and a witness over HTTP. Each start asks them whether the store came back older.

mod file;
mod http;

use crate::config::WitnessSection;
use crate::start_error::StartError;
use api::Class;
use crypto::note::WitnessKey;
use file::FileWitness;
use http::HttpWitness;
use ledger::Ledger;
use parking_lot::Mutex;
use rest::Gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Time between two looks for a new checkpoint.
const TICK: Duration = Duration::from_secs(1);
/// Longest wait for the fold.
const SETTLE_MAX: Duration = Duration::from_secs(30);
/// Longest time between two attempts at a witness that does not take checkpoints.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A witness that is behind for so long is told of in the log.
const BEHIND_MAX: Duration = Duration::from_secs(60);

/// Why a witness did not take a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Objection {
    /// It knows more than there is, or something else: the store came back older, or is another.
    RolledBack(String),
    /// It cannot be reached, or refuses for another reason. Tried again.
    Unable(String),
}

/// Sorts of witnesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    File,
    Http,
}

/// The witnesses of this server.
#[derive(Debug)]
pub(crate) struct Witnesses {
    file: Option<(FileWitness, Standing)>,
    http: Option<(HttpWitness, Standing)>,
    accept_rollback: bool,
}

/// How far a witness has come.
#[derive(Debug, Default)]
struct Standing(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    /// The newest size it acknowledged.
    size: u64,
    /// Whether it says that the store was rolled back.
    objects: bool,
}

/// Says which key is wrong, and how.
pub(crate) fn check_settings(settings: &WitnessSection) -> Result<(), (&'static str, &'static str)> {
    if settings.url.is_empty() {
        return if settings.key.is_empty() { Ok(()) } else { Err(("key", "is the key of no witness; name its `url`")) };
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@');
    let address = settings.url.strip_prefix("https://").or_else(|| settings.url.strip_prefix("http://"));
    if !address.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain)) {
        return Err(("url", "is not the address of a witness, as https://witness.example"));
    }
    match settings.key.parse::<WitnessKey>() {
        Ok(_) => Ok(()),
        Err(_) if settings.key.is_empty() => Err(("url", "needs the public key of that witness in `witness.key`")),
        Err(_) => Err(("key", "is not the public key of a witness, as name+hash+key")),
    }
}

impl Witnesses {
    pub(crate) fn new(settings: &WitnessSection) -> Result<Witnesses, StartError> {
        let file = settings.file.0.clone().map(|path| (FileWitness::new(path), Standing::default()));
        let http = match settings.key.parse() {
            Ok(key) if !settings.url.is_empty() => {
                Some((HttpWitness::new(&settings.url, key).map_err(StartError::system)?, Standing::default()))
            }
            _ => None,
        };
        Ok(Witnesses { file, http, accept_rollback: settings.danger_accept_rollback })
    }

    /// Shows the ledger as it is to each witness, before anything is answered.
    ///
    /// Errors: one of them has seen more, or something else. One that cannot be reached holds nothing up: it is asked
    /// until it answers, and what it then says is in the log and the metrics.
    pub(crate) async fn check(&self, ledger: &Ledger) -> Result<(), StartError> {
        if self.file.is_none() && self.http.is_none() {
            return Ok(());
        }
        let Some(checkpoint) = settled(ledger).await else {
            return self.judge(Err(Objection::Unable("the ledger was not folded in time".to_owned())));
        };
        let mut shown = self.show(Which::File, ledger, &checkpoint).await;
        if let (Some((file, _)), Some(Err(Objection::RolledBack(_))), true) = (&self.file, &shown, self.accept_rollback)
        {
            file.put_aside()?;
            shown = self.show(Which::File, ledger, &checkpoint).await;
        }
        shown.map_or(Ok(()), |shown| self.judge(shown))?;
        self.show(Which::Http, ledger, &checkpoint).await.map_or(Ok(()), |shown| self.judge(shown))
    }

    fn judge(&self, shown: Result<(), Objection>) -> Result<(), StartError> {
        match shown {
            Ok(()) => Ok(()),
            Err(Objection::Unable(why)) => {
                tracing::warn!(why, "a witness of checkpoints was not asked whether the store came back older");
                Ok(())
            }
            Err(Objection::RolledBack(what)) if self.accept_rollback => {
                tracing::warn!(what, "the store came back older and is accepted (witness.danger_accept_rollback)");
                Ok(())
            }
            Err(Objection::RolledBack(what)) => Err(StartError::new(
                Class::Corrupt,
                "serve.rolled_back",
                what,
                "find the newest store, or restore the newest backup; if this one is meant, as after a restore, start once \
                 with --set witness.danger_accept_rollback=true",
            )),
        }
    }

    /// Shows each new checkpoint to each witness, until told to stop. One that is behind holds nobody up.
    pub(crate) async fn run(self: Arc<Self>, ledger: Ledger, stop: watch::Receiver<bool>) {
        tokio::join!(self.keep(Which::File, &ledger, stop.clone()), self.keep(Which::Http, &ledger, stop));
    }

    /// Shows a checkpoint to one witness; nothing where there is none.
    async fn show(&self, which: Which, ledger: &Ledger, checkpoint: &str) -> Option<Result<(), Objection>> {
        match which {
            Which::File => {
                let (file, standing) = self.file.as_ref()?;
                Some(standing.note(file.show(ledger, checkpoint).await))
            }
            Which::Http => {
                let (http, standing) = self.http.as_ref()?;
                let known = standing.0.lock().size;
                let shown = http.show(ledger, known, checkpoint).await;
                let size = shown.map(|(size, cosigned)| {
                    ledger.keep_cosigned(cosigned);
                    size
                });
                Some(standing.note(size))
            }
        }
    }

    async fn keep(&self, which: Which, ledger: &Ledger, mut stop: watch::Receiver<bool>) {
        let (mut shown, mut pause, mut since) = (None::<u64>, TICK, None::<Instant>);
        let mut told = false;
        while wait(pause, &mut stop).await {
            let size = ledger.head().size;
            if shown == Some(size) {
                continue;
            }
            let Some(checkpoint) = settled(ledger).await else { continue };
            match self.show(which, ledger, &checkpoint).await {
                None => return,
                Some(Ok(())) => {
                    if told {
                        tracing::info!(?which, "a witness takes checkpoints again");
                    }
                    (shown, pause, since, told) = (Some(size), TICK, None, false);
                }
                Some(Err(objection)) => {
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                    let behind = since.get_or_insert_with(Instant::now).elapsed() >= BEHIND_MAX;
                    match objection {
                        Objection::RolledBack(what) if !told => {
                            tracing::error!(what, "a witness objects to this store")
                        }
                        Objection::Unable(why) if behind && !told => tracing::warn!(why, "a witness is behind"),
                        _ => continue,
                    }
                    told = true;
                }
            }
        }
    }

    pub(crate) fn gauges(&self, ledger: &Ledger) -> Vec<Gauge> {
        let size = ledger.head().size;
        let standings = [
            ("file", self.file.as_ref().map(|(_, known)| known)),
            ("http", self.http.as_ref().map(|(_, known)| known)),
        ];
        let known = |(name, standing): (&'static str, Option<&Standing>)| Some((name, standing?.0.lock().clone()));
        standings.into_iter().filter_map(known).flat_map(|(name, known)| gauges(name, &known, size)).collect()
    }
}

fn gauges(name: &'static str, known: &Known, size: u64) -> [Gauge; 2] {
    let label = Some(("witness", name));
    [
        Gauge {
            name: "aumbry_witness_behind_entries",
            about: "Entries of the ledger that a witness has not acknowledged.",
            counter: false,
            label,
            value: size.saturating_sub(known.size),
        },
        Gauge {
            name: "aumbry_witness_objects",
            about: "Whether a witness says that the store came back older, or is another.",
            counter: false,
            label,
            value: u64::from(known.objects),
        },
    ]
}

impl Standing {
    fn note(&self, shown: Result<u64, Objection>) -> Result<(), Objection> {
        let mut known = self.0.lock();
        match shown {
            Ok(size) => *known = Known { size, objects: false },
            Err(Objection::RolledBack(_)) => known.objects = true,
            Err(Objection::Unable(_)) => {}
        }
        shown.map(drop)
    }
}

/// A checkpoint of everything committed so far; nothing where the fold does not get there in time.
async fn settled(ledger: &Ledger) -> Option<String> {
    tokio::time::timeout(SETTLE_MAX, ledger.settle()).await.ok()?.ok()?
}

/// Waits; `false` when told to stop.
async fn wait(span: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(span) => true,
        _ = async { drop(stop.wait_for(|stop| *stop).await) } => false,
    }
}
