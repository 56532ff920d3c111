//! A small MongoDB server in the test, strict about what is asked and able to fail where a real one may.
//!
//! It knows the commands and operators that the engine sends and no others, keeps documents whose `_id` is text, says that it is
//! the primary of a replica set, and notes as strange: a write that does not wait for a majority and its journals, a read
//! of other data than a majority's, a command it does not know, and documents and messages past the server's limits.

use super::fail;
use bson::{Bson, Document, doc};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

/// How a write goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mishap {
    /// Refused with this code; nothing happened.
    Refused(i32),
    /// It happened, and no majority confirmed it.
    Unconfirmed(i32),
    /// It happened, and the connection ended before the answer.
    CutAfter,
    /// The connection ended before anything happened.
    CutBefore,
}

/// The server.
#[derive(Debug)]
pub struct MongoWire {
    /// Where it listens.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    collections: BTreeMap<String, BTreeMap<String, Document>>,
    cursors: BTreeMap<i64, (String, VecDeque<Document>)>,
    mishaps: VecDeque<(&'static str, Mishap)>,
    strange: Vec<String>,
    asked: u64,
}

const MESSAGE: i32 = 2013;
const MESSAGE_BYTES_MAX: usize = 48_000_000;
const DOCUMENT_BYTES_MAX: usize = 16 << 20;
const PAGE: usize = 101;

impl MongoWire {
    /// Listens on a port of the loopback.
    pub fn start() -> MongoWire {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| fail(&format!("no server: {error}")));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                spawn(move || drop(serve(stream, port, &state)));
            }
        });
        MongoWire { port, state }
    }

    /// Connection string of its database.
    pub fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}/vault", self.port)
    }

    /// Lets the next write to a collection go wrong; several are used up in order.
    pub fn next(&self, collection: &'static str, mishap: Mishap) {
        self.state.lock().mishaps.push_back((collection, mishap));
    }

    /// Documents of a collection, by `_id`.
    pub fn documents(&self, collection: &str) -> BTreeMap<String, Document> {
        self.state.lock().collections.get(collection).cloned().unwrap_or_default()
    }

    /// What was strange so far.
    pub fn strange(&self) -> Vec<String> {
        self.state.lock().strange.clone()
    }
}

fn serve(mut stream: TcpStream, port: u16, state: &Mutex<State>) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head)?;
        let field = |at: usize| head.get(at..at + 4).and_then(|bytes| Some(i32::from_le_bytes(bytes.try_into().ok()?)));
        let (length, request, code) = (field(0).unwrap_or(0), field(4).unwrap_or(0), field(12).unwrap_or(0));
        let length = usize::try_from(length)?;
        if code != MESSAGE || !(21..=MESSAGE_BYTES_MAX).contains(&length) {
            state.lock().strange.push(format!("a message of {length} bytes with code {code}"));
            return Ok(());
        }
        let mut body = vec![0; length - 16];
        stream.read_exact(&mut body)?;
        let command = parse(&body)?;
        let Some(answer) = state.lock().answer(&command, port) else { return Ok(()) };
        let document = answer.to_vec()?;
        let mut out = Vec::with_capacity(document.len() + 21);
        for number in [i32::try_from(document.len() + 21)?, request, request, MESSAGE, 0] {
            out.extend(number.to_le_bytes());
        }
        out.push(0);
        out.extend(document);
        stream.write_all(&out)?;
    }
}

/// The command of a message, with its sequences of documents as arrays in it.
fn parse(body: &[u8]) -> Result<Document, Box<dyn std::error::Error>> {
    let mut rest = body.get(4..).unwrap_or_default();
    let (mut command, mut sequences) = (Document::new(), Vec::new());
    while let Some((kind, after)) = rest.split_first() {
        let mut reader = Cursor::new(after);
        match kind {
            0 => command = Document::from_reader(&mut reader)?,
            _ => {
                let mut size = [0; 4];
                reader.read_exact(&mut size)?;
                let end = u64::try_from(i32::from_le_bytes(size))?;
                let name: Vec<u8> = after.iter().skip(4).take_while(|byte| **byte != 0).copied().collect();
                reader.set_position(4 + name.len() as u64 + 1);
                let mut documents = Vec::new();
                while reader.position() < end {
                    documents.push(Bson::Document(Document::from_reader(&mut reader)?));
                }
                sequences.push((String::from_utf8(name)?, documents));
            }
        }
        rest = after.get(usize::try_from(reader.position())?..).unwrap_or_default();
    }
    sequences.into_iter().for_each(|(name, documents)| drop(command.insert(name, documents)));
    Ok(command)
}

impl State {
    /// The answer to a command; none cuts the connection.
    fn answer(&mut self, command: &Document, port: u16) -> Option<Document> {
        self.asked += 1;
        let name = command.keys().next().cloned().unwrap_or_default();
        let collection = command.get_str(&name).unwrap_or_default().to_owned();
        let answer = match name.as_str() {
            "hello" | "isMaster" | "ismaster" => hello(port),
            "serverStatus" => doc! { "ok": 1, "storageEngine": { "name": "wiredTiger", "persistent": true } },
            "createIndexes" | "endSessions" | "ping" => doc! { "ok": 1 },
            "find" => self.find(&collection, command),
            "getMore" => self.more(command),
            "insert" | "update" | "delete" => return self.write(&name, &collection, command),
            _ => {
                self.strange.push(format!("the command {name}"));
                doc! { "ok": 0, "code": 59, "codeName": "CommandNotFound", "errmsg": "no such command" }
            }
        };
        Some(answer)
    }

    fn find(&mut self, collection: &str, command: &Document) -> Document {
        let level = command.get_document("readConcern").ok().and_then(|concern| concern.get_str("level").ok());
        if level != Some("majority") {
            self.strange.push(format!("a find in {collection} with read concern {level:?}"));
        }
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        let all = self.collections.entry(collection.to_owned()).or_default();
        let mut found: Vec<Document> = all.values().filter(|document| matches(document, &filter)).cloned().collect();
        if let Some((field, way)) = command.get_document("sort").ok().and_then(|sort| sort.iter().next()) {
            found.sort_by(|a, b| a.get_str(field).ok().cmp(&b.get_str(field).ok()));
            if integer(way) < 0 {
                found.reverse();
            }
        }
        let limit = command.get("limit").map(integer).filter(|limit| *limit != 0);
        found.truncate(limit.and_then(|limit| usize::try_from(limit.abs()).ok()).unwrap_or(usize::MAX));
        let mut rest = VecDeque::from(found);
        let page = next_page(&mut rest);
        let id = if rest.is_empty() { 0 } else { i64::try_from(self.asked).unwrap_or(1) };
        if id != 0 {
            self.cursors.insert(id, (collection.to_owned(), rest));
        }
        doc! { "ok": 1, "cursor": { "id": id, "ns": format!("vault.{collection}"), "firstBatch": page } }
    }

    fn more(&mut self, command: &Document) -> Document {
        let id = command.get("getMore").map(integer).unwrap_or_default();
        let Some((collection, mut rest)) = self.cursors.remove(&id) else {
            return doc! { "ok": 0, "code": 43, "codeName": "CursorNotFound", "errmsg": "no such cursor" };
        };
        let page = next_page(&mut rest);
        let left = if rest.is_empty() { 0 } else { id };
        let answer = doc! { "ok": 1, "cursor": { "id": left, "ns": format!("vault.{collection}"), "nextBatch": page } };
        if left != 0 {
            self.cursors.insert(id, (collection, rest));
        }
        answer
    }

    fn write(&mut self, name: &str, collection: &str, command: &Document) -> Option<Document> {
        let concern = command.get_document("writeConcern").cloned().unwrap_or_default();
        if concern.get_str("w").ok() != Some("majority") || !concern.get_bool("j").unwrap_or(false) {
            self.strange.push(format!("{name} in {collection} with write concern {concern}"));
        }
        if command.contains_key("txnNumber") {
            self.strange.push(format!("{name} in {collection} that the driver may repeat"));
        }
        let mishap = self.mishaps.iter().position(|(wanted, _)| *wanted == collection);
        let mishap = mishap.and_then(|at| self.mishaps.remove(at)).map(|(_, mishap)| mishap);
        match mishap {
            Some(Mishap::Refused(code)) => {
                return Some(
                    doc! { "ok": 0, "code": code, "codeName": "Refused", "errmsg": "secret words of a server" },
                );
            }
            Some(Mishap::CutBefore) => return None,
            _ => {}
        }
        let mut answer = self.carry_out(name, collection, command);
        match mishap {
            Some(Mishap::CutAfter) => return None,
            Some(Mishap::Unconfirmed(code)) => {
                answer.insert("writeConcernError", doc! { "code": code, "errmsg": "waiting for replication" });
            }
            _ => {}
        }
        Some(answer)
    }

    fn carry_out(&mut self, name: &str, collection: &str, command: &Document) -> Document {
        let list = match name {
            "insert" => "documents",
            "update" => "updates",
            _ => "deletes",
        };
        let statements = command.get_array(list).cloned().unwrap_or_default();
        let ordered = command.get_bool("ordered").unwrap_or(true);
        let (mut count, mut errors) = (0, Vec::new());
        for (index, statement) in (0_i32..).zip(statements.iter().filter_map(Bson::as_document)) {
            let rows = self.collections.entry(collection.to_owned()).or_default();
            let done = match name {
                "insert" => insert(rows, statement.clone()),
                "update" => update(rows, statement),
                _ => Ok(delete(rows, statement)),
            };
            match done {
                Ok(changed) => count += changed,
                Err(code) => {
                    errors.push(Bson::Document(
                        doc! { "index": index, "code": code, "errmsg": "secret words of a server" },
                    ));
                    if ordered {
                        break;
                    }
                }
            }
        }
        let mut answer = doc! { "ok": 1, "n": count };
        if !errors.is_empty() {
            answer.insert("writeErrors", errors);
        }
        answer
    }
}

fn hello(port: u16) -> Document {
    let own = format!("127.0.0.1:{port}");
    doc! {
        "ok": 1, "helloOk": true, "isWritablePrimary": true, "ismaster": true, "secondary": false, "readOnly": false,
        "setName": "stand-in", "setVersion": 1, "hosts": [&own], "me": &own, "primary": &own,
        "minWireVersion": 0, "maxWireVersion": 21,
        "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
    }
}

fn next_page(rest: &mut VecDeque<Document>) -> Vec<Bson> {
    let count = rest.len().min(PAGE);
    rest.drain(..count).map(Bson::Document).collect()
}

fn integer(value: &Bson) -> i64 {
    value.as_i64().or_else(|| value.as_i32().map(i64::from)).unwrap_or_default()
}

/// Whether a document fits a filter of equalities, `$in`, `$gte`, `$gt`, `$lte`, `$lt` over text, and `$exists`.
fn matches(document: &Document, filter: &Document) -> bool {
    filter.iter().all(|(field, wanted)| {
        let Bson::Document(operators) = wanted else { return document.get(field) == Some(wanted) };
        operators.iter().all(|(operator, wanted)| {
            let (is, bound) = (document.get_str(field).ok(), wanted.as_str());
            let both = is.zip(bound);
            match operator.as_str() {
                "$in" => wanted.as_array().is_some_and(|list| document.get(field).is_some_and(|is| list.contains(is))),
                "$gte" => both.is_some_and(|(is, bound)| is >= bound),
                "$gt" => both.is_some_and(|(is, bound)| is > bound),
                "$lte" => both.is_some_and(|(is, bound)| is <= bound),
                "$lt" => both.is_some_and(|(is, bound)| is < bound),
                "$exists" => document.contains_key(field) == wanted.as_bool().unwrap_or(true),
                _ => fail(&format!("the operator {operator}")),
            }
        })
    })
}

const DUPLICATE: i32 = 11000;
const TOO_LARGE: i32 = 10334;

fn insert(rows: &mut BTreeMap<String, Document>, document: Document) -> Result<i32, i32> {
    let id = document.get_str("_id").unwrap_or_else(|_| fail("an _id that is no text")).to_owned();
    if document.to_vec().map_or(usize::MAX, |bytes| bytes.len()) > DOCUMENT_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    if rows.contains_key(&id) {
        return Err(DUPLICATE);
    }
    rows.insert(id, document);
    Ok(1)
}

fn update(rows: &mut BTreeMap<String, Document>, statement: &Document) -> Result<i32, i32> {
    let (query, change) = (part(statement, "q"), part(statement, "u"));
    let many = statement.get_bool("multi").unwrap_or(false);
    let mut changed = 0;
    let candidates: Vec<&mut Document> = match query.get_str("_id") {
        Ok(id) => rows.get_mut(id).into_iter().collect(),
        Err(_several) => rows.values_mut().collect(),
    };
    for document in candidates.into_iter().filter(|document| matches(document, &query)) {
        set(document, &change, false);
        changed += 1;
        if !many {
            break;
        }
    }
    if changed == 0 && statement.get_bool("upsert").unwrap_or(false) {
        let mut document = doc! { "_id": query.get("_id").cloned().unwrap_or(Bson::Null) };
        set(&mut document, &change, true);
        return insert(rows, document);
    }
    Ok(changed)
}

fn set(document: &mut Document, change: &Document, fresh: bool) {
    for (operator, fields) in change.iter().filter_map(|(operator, fields)| Some((operator, fields.as_document()?))) {
        for (field, value) in fields {
            match operator.as_str() {
                "$set" => drop(document.insert(field, value.clone())),
                "$setOnInsert" if fresh => drop(document.insert(field, value.clone())),
                "$setOnInsert" => {}
                "$unset" => drop(document.remove(field)),
                "$currentDate" => drop(document.insert(field, bson::DateTime::from_millis(0))),
                _ => fail(&format!("the operator {operator}")),
            }
        }
    }
}

fn delete(rows: &mut BTreeMap<String, Document>, statement: &Document) -> i32 {
    let query = part(statement, "q");
    let before = rows.len();
    rows.retain(|_, document| !matches(document, &query));
    i32::try_from(before - rows.len()).unwrap_or(i32::MAX)
}

fn part(statement: &Document, name: &str) -> Document {
    statement.get_document(name).cloned().unwrap_or_default()
}
