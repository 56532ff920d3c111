//! Every key there is: one table from which the typed tree, the sample and the checks are made.

use super::connection::Connection;
use super::source::Given;
use super::value::{Choice, Keep, List, Location, Setting, Size, Span, bounded};
use super::{ConfigError, Key};
use crate::sinks::SinkChoice;
use access::Net;
use std::net::SocketAddr;

macro_rules! read {
    ($ty:ty, $raw:expr) => {
        <$ty as Setting>::read($raw)
    };
    ($ty:ty, $raw:expr, $low:literal, $high:literal) => {
        bounded::<$ty>($raw, $low, $high)
    };
}

macro_rules! range {
    () => {
        None
    };
    ($low:literal, $high:literal) => {
        Some(($low, $high))
    };
}

macro_rules! settings {
    ($(
        #[doc = $about:literal]
        [$section:literal] $field:ident: $Struct:ident {
            $( $(#[doc = $doc:literal])+ $key:ident: $ty:ty = $default:literal $(, $low:literal to $high:literal)?; )+
        }
    )+) => {
        $(
            #[doc = $about]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Struct { $( $(#[doc = $doc])+ pub $key: $ty, )+ }
        )+

        /// The whole configuration, checked.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $( #[doc = $about] pub $field: $Struct, )+ }

        /// Sections in the order of the sample, with what each is about.
        pub(crate) const SECTIONS: &[(&str, &str)] = &[ $( ($section, $about), )+ ];

        /// Keys in the order of the sample.
        pub const KEYS: &[Key] = &[ $( $( Key {
            section: $section,
            name: stringify!($key),
            kind: <$ty as Setting>::KIND,
            default: $default,
            range: range!($($low, $high)?),
            about: concat!($($doc, "\n"),+),
        }, )+ )+ ];

        impl Config {
            /// Reads every key from what was given, or its default; all that is wrong is told at once.
            pub(crate) fn read(given: &Given) -> Result<Config, Vec<ConfigError>> {
                let mut wrong = Vec::new();
                $( let $field = { $(
                    let entry = given.entry($section, stringify!($key), $default);
                    let $key = read!($ty, &entry.raw $(, $low, $high)?)
                        .map_err(|why| wrong.push(ConfigError::at($section, stringify!($key), &entry.origin, why)));
                )+ ($($key,)+) }; )+
                if !wrong.is_empty() { return Err(wrong); }
                $( let $field = { let ($($key,)+) = $field; match ($($key,)+) {
                    ($(Ok($key),)+) => $Struct { $($key),+ },
                    _ => return Err(wrong),
                } }; )+
                Ok(Config { $($field),+ })
            }
        }
    };
}

settings! {
    /// The process as a whole.
    ["server"] server: ServerSection {
        /// Folder that holds everything stored; made with mode 0700.
        /// Left empty it is `aumbry` in the user's data folder, or the service's state directory.
        data_dir: Location = "";
        /// Threads that answer requests; 0 means one for each core.
        workers: u64 = "0", "0" to "1024";
        /// Longest wait for running requests when asked to stop.
        drain_max: Span = "30s", "1s" to "30s";
        /// Networks whose `X-Forwarded-For` is believed, such as "10.0.0.0/8". Nobody's is by default.
        trusted_proxies: List<Net> = "";
    }
    /// The native API: HTTPS under /api/v1, health, readiness and metrics.
    ["doors.rest"] rest: RestSection {
        /// Where it listens.
        listen: SocketAddr = "127.0.0.1:7480";
        /// Whether the routes under /api/v1/secrets are there.
        secrets: bool = "true";
        /// Networks that /metrics answers without a login; its figures are those of all tenants. By default this machine's own.
        metrics: List<Net> = "127.0.0.0/8, ::1";
    }
    /// The certificate that doors show. Without files of your own one is made at first start.
    ["tls"] tls: TlsSection {
        /// PEM file with the certificate and its chain.
        certificate: Location = "";
        /// PEM file with its private key, mode 0600.
        key: Location = "";
        /// Further host names and addresses in the certificate that is made; localhost, 127.0.0.1 and ::1 are always there.
        names: List<String> = "";
    }
    /// Bounds that depend on the machine. Those of the protocol are fixed and listed in docs/limits.md.
    ["limits"] limits: LimitsSection {
        /// Connections open at one time; further ones wait in the kernel.
        connections_max: u64 = "4096", "1" to "1000000";
        /// Requests being answered at one time; further ones get 503 with Retry-After.
        requests_max: u64 = "1024", "1" to "1000000";
        /// Longest life of one request.
        request_time_max: Span = "30s", "100ms" to "10m";
        /// Requests per second and source address, in bursts of ten times as many; 0 means no bound.
        source_rate_max: u64 = "0", "0" to "1000000";
    }
    /// Where sealed bytes rest.
    ["storage"] storage: StorageSection {
        /// `sqlite` is a database of its own in the data folder. `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` is one elsewhere, and
        /// so are `mysql://`, `redis://`, `rediss://` and `mongodb://`, see docs/storage.md; the data folder then holds the access log, certificates and backups only.
        connection: Connection = "sqlite";
        /// File with the connection string, mode 0600, in place of `connection`: it holds a password.
        connection_file: Location = "";
        /// Longest time of one call to a database elsewhere; then a read fails, and a change is refused or its outcome unknown.
        deadline: Span = "10s", "1s" to "5m";
        /// Connections to a database elsewhere at one time.
        connections_max: u64 = "16", "1" to "1000";
        /// PEM file with authorities, besides those everybody knows, that the certificate of the database may come from.
        authorities: Location = "";
        /// Whether a database is taken that says it may lose what it acknowledged.
        accept_loss: bool = "false";
    }
    /// What is kept in memory.
    ["cache"] cache: CacheSection {
        /// Memory for records and sealed values that were read lately, half for each. Their keys and plaintext are
        /// never in it.
        bytes: Size = "40MiB", "1MiB" to "16GiB";
        /// Longest time that memory answers without the database having confirmed that it is up to date, where nodes share one.
        max_stale: Span = "2s", "100ms" to "1m";
    }
    /// This server among others on one database.
    ["cluster"] cluster: ClusterSection {
        /// What it is called in `aumbry cluster status`. Left empty it is the name of the host.
        node: String = "";
        /// Where clients reach it, as shown there. Left empty it is where it listens.
        address: String = "";
    }
    /// What protects the root key while the server is down.
    ["seal"] seal: SealSection {
        /// What a first start begins with; afterwards the store knows. `key-file` opens it at each start by a file that is
        /// made then. `shares` waits for `aumbry operator init`, and at each start until enough shares of its key are given.
        kind: SealKind = "key-file";
        /// Key file of 32 bytes (raw, hex or base64), mode 0600; made at first start. Keep a copy in a safe place:
        /// without it nothing can be opened again. Never inside the data folder.
        /// Left empty it is `seal.key` in the configuration folder.
        file: Location = "";
    }
    /// What is there from the first start on.
    ["init"] init: InitSection {
        /// File or folder of documents as for `aumbry apply`, applied once, at the first start, as long as nobody has used the
        /// house; what is changed in them later is applied by hand. An error stops the start.
        documents: Location = "";
        /// Whether each start gives the owner of the tenant `main` a fresh one-time login, and enables it and gives it its role
        /// again: for one start after the last login was lost, as in `aumbry serve --set init.owner_login=true`.
        owner_login: bool = "false";
    }
    /// Key rotation.
    ["keys"] keys: KeysSection {
        /// How often each tenant key is replaced and the keys below it wrapped anew.
        rotate_every: Span = "7d", "1h" to "365d";
    }
    /// The ledger.
    ["ledger"] ledger: LedgerSection {
        /// First part of the origin line in signed checkpoints, used at the first start and kept in the ledger from then on.
        /// Left empty it is `aumbry-` and eight characters of its own.
        cluster: String = "";
    }
    /// Who keeps checkpoints elsewhere, so that a store that comes back older is noticed.
    ["witness"] witness: WitnessSection {
        /// File that holds the newest checkpoint, on another disk or machine than the store; replaced in one step.
        file: Location = "";
        /// Base address of a witness of C2SP tlog-witness, such as "https://witness.example"; needs `key`.
        url: String = "";
        /// Public key of that witness, `name+hash+key`.
        key: String = "";
        /// Whether a start goes on though the store is older than, or another than, what was witnessed: for one start after a
        /// restore that is meant. The file is put aside then and begun anew.
        danger_accept_rollback: bool = "false";
    }
    /// The access log.
    ["access"] access: AccessSection {
        /// Where rows go, several at once: `file` in the data folder, `store` among the sealed bytes, and
        /// `stream:stdout`, `stream:unix:/path` or `stream:tcp:host:port`, which get a line of JSON per row. A request is
        /// answered once `file` or `store` has its row, so one of these must be named.
        sinks: List<SinkChoice> = "file";
        /// `second` brings rows to the disk each second, `always` before each answer. Both survive a killed process.
        sync: AccessSync = "second";
        /// How long rows are kept at least; older segments are deleted and an entry in the ledger says so. `none` keeps
        /// them for ever.
        keep: Keep = "none", "1h" to "none";
        /// Whether streams show paths, who asked, and policies as they are. Otherwise the first two are hashed under the
        /// tenant's name key and policies left out.
        danger_stream_names: bool = "false";
    }
    /// Backups of everything but access rows. They are sealed; a restore needs the seal that was in force when they were made.
    ["backup"] backup: BackupSection {
        /// Folder that backups are written to, best on another disk; made with mode 0700.
        /// Left empty it is `backups` in the data folder, and backups are made on demand only.
        folder: Location = "";
        /// Time between two backups, where `folder` is set; `none` makes them on demand only.
        every: Keep = "24h", "1m" to "none";
        /// How many are kept. An older one is removed when a newer one is whole and, with `verify`, was restored on trial.
        keep: u64 = "7", "1" to "10000";
        /// For how long one is kept besides the newest; `none` leaves it to `keep`.
        keep_for: Keep = "none", "1m" to "none";
        /// Whether each backup is tried: restored beside the others, opened with the seal, every value read.
        verify: bool = "true";
    }
    /// What the server says about itself on standard error.
    ["log"] log: LogSection {
        /// Least weight of a line.
        level: LogLevel = "info";
        /// Shape of a line.
        format: LogFormat = "text";
    }
}

/// Kinds of seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealKind {
    /// A key in a file.
    KeyFile,
    /// A key in shares that people hold.
    Shares,
}

impl Choice for SealKind {
    const WORDS: &'static [(&'static str, SealKind)] = &[("key-file", SealKind::KeyFile), ("shares", SealKind::Shares)];
}

/// When access rows reach stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessSync {
    /// Once a second.
    Second,
    /// Before each answer.
    Always,
}

impl Choice for AccessSync {
    const WORDS: &'static [(&'static str, AccessSync)] =
        &[("second", AccessSync::Second), ("always", AccessSync::Always)];
}

/// Least weight of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// Failures and what may become one.
    Warn,
    /// What an operator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
    /// Everything.
    Trace,
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
}

/// Shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [(&'static str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];
}
