//! A ledger in a map: decides, evolves, and checks what must hold after every step.

use crypto::aead::{DataKey, Key};
use crypto::id::{BlobId, EntityId, OperationId, TenantId};
use crypto::seam::{SystemEntropy, WallMs};
use ledger::{
    Actor, Command, Context, Dropped, Event, EventRef, Halt, Outcome, Path, Position, RecordKind, RecordName, Refusal,
    Rules, Stamp, View,
};
use secrets::command::Fresh;
use secrets::{Folder, Reply, Secret, SecretRules, secret_name};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{BatchId, BatchNumber, Place};

pub(crate) type Records = BTreeMap<RecordName, Vec<u8>>;

/// Records, the events that made them, keys and blobs that stand.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) now: WallMs,
    pub(crate) records: Records,
    pub(crate) log: Vec<(Event, Stamp)>,
    pub(crate) keys: Vec<Place>,
    pub(crate) blobs: BTreeMap<Place3, BlobId>,
    pub(crate) rounds: u32,
    pub(crate) reply: Vec<u8>,
    number: u64,
}

pub(crate) type Place3 = (u64, u32);

pub(crate) fn actor() -> Actor {
    Actor { entity: EntityId::from_bytes([3; 16]), session: None }
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn data_key() -> Arc<Key<DataKey>> {
    Arc::new(Key::generate(&SystemEntropy::default()).unwrap())
}

pub(crate) fn fresh(id: u8, size: usize) -> Fresh {
    Fresh { key: data_key(), blob_id: BlobId::from_bytes([id; 16]), sealed: vec![id; 4].into(), digest: [id; 32], size }
}

impl House {
    pub(crate) fn new() -> House {
        House {
            now: WallMs(1_700_000_000_000),
            records: Records::new(),
            log: Vec::new(),
            keys: Vec::new(),
            blobs: BTreeMap::new(),
            rounds: 0,
            reply: Vec::new(),
            number: 0,
        }
    }

    /// Runs one command as the committer does.
    pub(crate) fn run(&mut self, command: &dyn Command) -> Result<Reply, Refusal> {
        let who = actor();
        self.number += 1;
        let operation = OperationId::from_bytes([9; 16]);
        let cx = Context::for_tests(self.now, TenantId::from_bytes([1; 16]), &who, operation, self.number);
        let outcome = self.decide(command, &cx)?;
        self.place(&outcome, &cx);
        for event in &outcome.events {
            let index = self.log.len() as u64;
            let stamp = Stamp {
                position: Position { shard: 0, index },
                time: self.now,
                tenant: TenantId::from_bytes([1; 16]),
                actor: who.clone(),
            };
            apply(&mut self.records, event, &stamp);
            self.log.push((event.clone(), stamp));
        }
        self.reply = outcome.reply.expose().to_vec();
        self.check();
        self.now = WallMs(self.now.0 + 1);
        Ok(Reply::decode(outcome.reply.expose()).unwrap())
    }

    pub(crate) fn decide(&mut self, command: &dyn Command, cx: &Context<'_>) -> Result<Outcome, Refusal> {
        let mut view = View::new();
        let mut wanted = command.reads();
        for round in 1..=4 {
            for name in wanted {
                let record = self.records.get(&name).map(|bytes| bytes.clone().into());
                view.insert(name, record);
            }
            self.rounds = round;
            match command.decide(&view, cx) {
                Ok(outcome) => return Ok(outcome),
                Err(Halt::Refuse(refusal)) => return Err(refusal),
                Err(Halt::Need(names)) => wanted = names,
            }
        }
        panic!("more than four rounds")
    }

    fn place(&mut self, outcome: &Outcome, cx: &Context<'_>) {
        for dropped in &outcome.drops {
            match dropped {
                Dropped::Key(place) => {
                    let at = self.keys.iter().position(|key| key == place).expect("dropped key stands");
                    self.keys.remove(at);
                }
                Dropped::Blob(place) => {
                    self.blobs.remove(&(place.number.0, place.index)).expect("dropped blob stands");
                }
            }
        }
        for i in 0..outcome.keys.len() {
            self.keys.push(cx.key_place(i as u32));
        }
        for (i, blob) in outcome.blobs.iter().enumerate() {
            let place = cx.blob_place(i as u32);
            self.blobs.insert((place.number.0, place.index), blob.id);
        }
    }

    /// What holds after every step: a rebuild gives the same records, keys and blobs are exactly those named,
    /// versions are dense and rising.
    fn check(&self) {
        let mut again = Records::new();
        for (event, stamp) in &self.log {
            apply(&mut again, event, stamp);
        }
        assert_eq!(again, self.records, "a rebuild gives the same records");
        let mut keys = Vec::new();
        let mut blobs = BTreeMap::new();
        for secret in self.secrets() {
            for version in &secret.versions {
                if let Some(stored) = version.state.stored() {
                    keys.push(stored.key);
                    blobs.insert((stored.blob.number.0, stored.blob.index), stored.blob_id);
                }
            }
            let numbers: Vec<u64> = secret.versions.iter().map(|version| version.number).collect();
            let first = secret.next - numbers.len() as u64;
            assert_eq!(numbers, (first..secret.next).collect::<Vec<_>>(), "dense");
            assert!(!numbers.is_empty() && numbers.len() <= secret.kept());
        }
        let sorted = |mut places: Vec<Place>| {
            places.sort_by_key(Place::bytes);
            places
        };
        assert_eq!(sorted(keys), sorted(self.keys.clone()), "keys that stand are those named");
        assert_eq!(blobs, self.blobs, "blobs that stand are those named");
    }

    pub(crate) fn secret(&self, text: &str) -> Option<Secret> {
        self.records.get(&secret_name(&path(text))).and_then(|record| Secret::decode(record).unwrap())
    }

    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let all = self.records.iter().filter(|(name, _)| name.kind == RecordKind::SECRET);
        all.filter_map(|(_, record)| Secret::decode(record).unwrap()).collect()
    }

    pub(crate) fn folders(&self) -> BTreeMap<String, u64> {
        let all = self.records.iter().filter(|(name, _)| name.kind == RecordKind::FOLDER);
        all.map(|(name, record)| {
            let folder = Folder::decode(record).unwrap();
            assert_eq!(folder.path, name.path.join("/"));
            (folder.path, folder.children)
        })
        .collect()
    }
}

/// Applies one event; what `touches` names is exactly what changes.
fn apply(records: &mut Records, event: &Event, stamp: &Stamp) {
    let event = EventRef { kind: event.kind, body: &event.body, stamp };
    assert!(SecretRules.kinds().contains(&event.kind));
    let names = SecretRules.touches(&event).unwrap();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "no name twice");
    for name in names {
        let before = records.get(&name).cloned();
        let after = SecretRules.evolve(&name, before.as_deref(), &event).unwrap();
        assert_ne!(before, after, "a record named is a record changed");
        match after {
            Some(record) => records.insert(name, record),
            None => records.remove(&name),
        };
    }
}

pub(crate) fn place(number: u64, index: u32) -> Place {
    Place { number: BatchNumber(number), id: BatchId([7; 16]), index }
}
