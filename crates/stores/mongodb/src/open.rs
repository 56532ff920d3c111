//! Connecting, and whether the server keeps what it acknowledges.

use crate::fault::{Fault, number};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, Tls, TlsOptions, WriteConcern,
};
use mongodb::{Client, Database};
use std::time::Duration;
use storage::{ConnectError, ConnectReason, RemoteOptions};

const FORMAT: &str = "1";
const DATABASE: &str = "aumbry";
/// MongoDB 4.2, which DocumentDB 5 has passed too.
const WIRE_MIN: i64 = 8;
/// How long it is remembered that a key was removed in a turn.
const TOMBSTONE_S: i64 = 3600;

/// A batch row: `_id`, id of the batch `i`, row `r`, and while it is not folded its side `s` and its own `_id` in `u`.
pub(crate) const BATCHES: &str = "batches";
/// All other rows: `_id`, value `v`, turn `t` that wrote it; without a value it was removed, at `d`. And the latest turns.
pub(crate) const ROWS: &str = "rows";
const STORE: &str = "store";

/// Connects and makes what is missing.
pub(crate) async fn database(connection: &str, options: &RemoteOptions) -> Result<Database, ConnectError> {
    let (scheme, rest) = connection.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("mongodb") {
        return Err(invalid("the connection string does not begin with mongodb:// (mongodb+srv:// is not supported)"));
    }
    let mut client = ClientOptions::parse(format!("mongodb://{rest}"))
        .await
        .map_err(|_| invalid("the connection string is not one of MongoDB, or names an option that does not exist"))?;
    if matches!(&client.tls, Some(Tls::Enabled(tls)) if tls.allow_invalid_certificates == Some(true)) {
        return Err(invalid(
            "the connection string accepts any certificate (tlsInsecure, tlsAllowInvalidCertificates)",
        ));
    }
    if let (Some(authorities), Some(Tls::Enabled(_))) = (&options.authorities, &client.tls) {
        let tls = TlsOptions::builder().ca_file_path(authorities.clone()).build();
        client.tls = Some(Tls::Enabled(tls));
    }
    client.app_name = Some("aumbry".to_owned());
    // A write the driver repeated by itself could not be told from another's.
    client.retry_writes = Some(false);
    client.max_pool_size = Some(options.connections_max.max(1));
    client.connect_timeout = Some(options.deadline);
    client.server_selection_timeout = Some(options.deadline / 2);
    client.heartbeat_freq = Some(Duration::from_secs(2));
    client.write_concern = Some(concern(options));
    client.read_concern = Some(ReadConcern::majority());
    client.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let place = {
        let hosts: Vec<String> = client.hosts.iter().map(ToString::to_string).collect();
        format!("{}, database {}", hosts.join(","), client.default_database.as_deref().unwrap_or(DATABASE))
    };
    let name = client.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let client =
        Client::with_options(client).map_err(|_| invalid("the options of the connection string do not fit"))?;
    let database = client.database(&name);
    fit(&database, &place, options.accept_loss).await?;
    if options.create {
        make(&database, options).await.map_err(|fault| unreachable(&place, fault))?;
    }
    recognise(&database, &place).await?;
    Ok(database)
}

/// What every write waits for.
pub(crate) fn concern(options: &RemoteOptions) -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(options.deadline).build()
}

async fn fit(database: &Database, place: &str, accept_loss: bool) -> Result<(), ConnectError> {
    let hello = database.run_command(doc! { "hello": 1 }).await.map_err(|e| unreachable(place, e.into()))?;
    if number(&hello, "maxWireVersion").is_none_or(|version| version < WIRE_MIN) {
        return Err(unfit(place, "is older than version 4.2", "use MongoDB 4.2 or newer"));
    }
    if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Err(unfit(place, "is not the primary", "leave out `directConnection`, or name the primary"));
    }
    // Who may not ask is not told; a memory engine is nothing that one has by accident.
    let status = database.run_command(doc! { "serverStatus": 1 }).await.unwrap_or_default();
    let engine = status.get_document("storageEngine").ok().cloned().unwrap_or_default();
    if !engine.get_bool("persistent").unwrap_or(true) && !accept_loss {
        return Err(unfit(
            place,
            "keeps its data in memory",
            "set `storage.engine: wiredTiger`, or storage.accept_loss = true",
        ));
    }
    Ok(())
}

/// Indexes; their collections come with them. Idempotent, and the same from several nodes at once.
async fn make(database: &Database, options: &RemoteOptions) -> Result<(), Fault> {
    let sides = doc! { "key": { "u": 1 }, "name": "sides", "sparse": true };
    let removed = doc! { "key": { "d": 1 }, "name": "removed", "expireAfterSeconds": TOMBSTONE_S };
    for (collection, index) in [(BATCHES, sides), (ROWS, removed)] {
        let answer = database.run_command(doc! { "createIndexes": collection, "indexes": [index] }).await;
        answer.map_err(Fault::from)?;
    }
    let made = doc! { "_id": STORE, "format": FORMAT, "id": ObjectId::new().to_hex() };
    let insert = doc! { "insert": STORE, "documents": [made], "writeConcern": majority(options) };
    let answer: Document = database.run_command(insert).await.map_err(Fault::from)?;
    match Fault::of_answer(&answer) {
        None | Some(Fault::Duplicate) => Ok(()),
        Some(fault) => Err(fault),
    }
}

/// The same as [`concern`], as a command has it.
pub(crate) fn majority(options: &RemoteOptions) -> Document {
    let wait_ms = i64::try_from(options.deadline.as_millis()).unwrap_or(i64::MAX);
    doc! { "w": "majority", "j": true, "wtimeout": wait_ms }
}

async fn recognise(database: &Database, place: &str) -> Result<(), ConnectError> {
    let found = database.collection::<Document>(STORE).find_one(doc! { "_id": STORE }).await;
    let Some(found) = found.map_err(|error| unreachable(place, error.into()))? else {
        return Err(ConnectError {
            reason: ConnectReason::Invalid,
            what: format!("there is no store on the MongoDB server at {place}"),
            hint: "look at the database in storage.connection".to_owned(),
        });
    };
    if found.get_str("format").is_ok_and(|format| format == FORMAT) {
        return Ok(());
    }
    Err(ConnectError {
        reason: ConnectReason::Newer,
        what: format!("the store on the MongoDB server at {place} has a format that this build does not know"),
        hint: "use the build that wrote it, or a newer one".to_owned(),
    })
}

fn invalid(what: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Invalid,
        what: what.to_owned(),
        hint: "write it as mongodb://[user:password@]host[:port][,host…][/database][?tls=true&…], with special \
               characters of user and password percent-encoded"
            .to_owned(),
    }
}

fn unfit(place: &str, what: &str, hint: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Unfit,
        what: format!("the MongoDB server at {place} {what}"),
        hint: hint.to_owned(),
    }
}

fn unreachable(place: &str, fault: Fault) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Unreachable,
        what: format!("the MongoDB server at {place} did not answer as it should: {}", fault.read()),
        hint:
            "see that it runs and listens there, that user, password and TLS are right, and that the user may read and \
               write the database (readWrite)"
                .to_owned(),
    }
}
