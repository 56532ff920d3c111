//! Random commands beside the simplest thing that could be right: a map.

use crate::house::{House, fresh, path};
use crypto::seam::WallMs;
use ledger::Refusal;
use proptest::prelude::*;
use secrets::command::{Delete, Edit, Metadata, MetadataEdit, Purge, Put, Rollback, Scope, Undelete};
use secrets::{Encoding, Reply, State};
use std::collections::{BTreeMap, BTreeSet};

const PATHS: &[&str] = &["a", "a/b", "a/b/c", "a/d", "e/f/g/h", "e/f/i"];

#[derive(Clone, Debug)]
enum Step {
    Put { at: usize, cas: Option<u64>, kept: Edit<u32>, expires_in: Option<u64> },
    Rollback { at: usize, source: u64 },
    Delete { at: usize, versions: Option<Vec<u64>> },
    Undelete { at: usize, versions: Option<Vec<u64>> },
    Purge { at: usize, versions: Option<Vec<u64>> },
    Keep { at: usize, kept: u32 },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..PATHS.len();
    let some = || proptest::option::of(proptest::collection::vec(1u64..7, 0..3));
    let kept = prop_oneof![4 => Just(Edit::Keep), 1 => (1u32..5).prop_map(Edit::Set), 1 => Just(Edit::Clear)];
    let step = prop_oneof![
        6 => (at.clone(), proptest::option::of(0u64..6), kept, proptest::option::weighted(0.2, 1u64..50))
            .prop_map(|(at, cas, kept, expires_in)| Step::Put { at, cas, kept, expires_in }),
        2 => (at.clone(), 1u64..8).prop_map(|(at, source)| Step::Rollback { at, source }),
        2 => (at.clone(), some()).prop_map(|(at, versions)| Step::Delete { at, versions }),
        2 => (at.clone(), some()).prop_map(|(at, versions)| Step::Undelete { at, versions }),
        2 => (at.clone(), some()).prop_map(|(at, versions)| Step::Purge { at, versions }),
        1 => (at, 1u32..5).prop_map(|(at, kept)| Step::Keep { at, kept }),
        1 => (1u64..60).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Live,
    Deleted,
    Purged,
}

#[derive(Clone, Default, Debug)]
struct Model {
    last: u64,
    there: bool,
    kept: Option<u32>,
    expires: Option<u64>,
    versions: BTreeMap<u64, (u8, Fate)>,
}

impl Model {
    fn trim(&mut self) {
        while self.versions.len() > self.kept.unwrap_or(10) as usize {
            self.versions.pop_first();
        }
    }

    fn write(&mut self, value: u8) {
        self.there = true;
        self.last += 1;
        self.versions.insert(self.last, (value, Fate::Live));
        self.trim();
    }

    fn put(&mut self, now: u64, value: u8, cas: Option<u64>, kept: Edit<u32>, expires: Option<u64>) -> Answer {
        let current = if self.there { self.last } else { 0 };
        if cas.is_some_and(|cas| cas != current) {
            return Err("secret.version_conflict");
        }
        if !self.there {
            (self.kept, self.expires) = (None, None);
        }
        match kept {
            Edit::Keep => {}
            Edit::Set(kept) => self.kept = Some(kept),
            Edit::Clear => self.kept = None,
        }
        if self.expires.is_some_and(|at| at <= now) {
            self.expires = None;
        }
        self.expires = expires.or(self.expires);
        self.write(value);
        Ok(vec![self.last])
    }

    fn read(&self, now: u64, number: u64) -> Result<u8, &'static str> {
        if !self.there {
            return Err("secret.not_found");
        }
        if self.expires.is_some_and(|at| at <= now) {
            return Err("secret.expired");
        }
        match self.versions.get(&number) {
            None => Err("secret.not_found"),
            Some((value, Fate::Live)) => Ok(*value),
            Some((_, Fate::Deleted)) => Err("secret.deleted"),
            Some((_, Fate::Purged)) => Err("secret.purged"),
        }
    }

    /// Moves the chosen versions from one of some fates to another.
    fn turn(&mut self, chosen: Option<&[u64]>, from: &[Fate], to: Fate, wrong: Wrong) -> Answer {
        if !self.there {
            return Err("secret.not_found");
        }
        let numbers: BTreeSet<u64> = match chosen {
            None => self.versions.iter().filter(|(_, (_, fate))| from.contains(fate)).map(|(n, _)| *n).collect(),
            Some(named) => named.iter().copied().collect(),
        };
        for number in &numbers {
            match self.versions.get(number) {
                None => return Err("secret.not_found"),
                Some((_, fate)) if from.contains(fate) => {}
                Some((_, fate)) => return Err(wrong(Some(*fate))),
            }
        }
        if numbers.is_empty() {
            return Err(wrong(None));
        }
        for number in &numbers {
            self.versions.get_mut(number).unwrap().1 = to;
        }
        Ok(numbers.into_iter().collect())
    }

    fn purge(&mut self, chosen: Option<&[u64]>) -> Answer {
        let turned = match chosen {
            None if self.there => Ok(self.holding()),
            _ => self.turn(chosen, &[Fate::Live, Fate::Deleted], Fate::Purged, |fate| match fate {
                None => "secret.invalid",
                Some(_) => "secret.purged",
            }),
        }?;
        if chosen.is_none() || self.holding().is_empty() {
            self.there = false;
            self.versions.clear();
        }
        Ok(turned)
    }

    fn holding(&self) -> Vec<u64> {
        self.versions.iter().filter(|(_, (_, fate))| *fate != Fate::Purged).map(|(n, _)| *n).collect()
    }
}

type Answer = Result<Vec<u64>, &'static str>;
type Wrong = fn(Option<Fate>) -> &'static str;

fn answer(result: Result<Reply, Refusal>) -> Answer {
    result.map(|reply| reply.versions).map_err(|refusal| refusal.code.name)
}

struct Pair {
    house: House,
    model: BTreeMap<&'static str, Model>,
    value: u8,
}

impl Pair {
    fn step(&mut self, step: &Step) -> (Answer, Answer) {
        self.value = self.value.wrapping_add(1);
        let (value, now) = (self.value, self.house.now.0);
        match step.clone() {
            Step::Wait(ms) => {
                self.house.now = WallMs(now + ms);
                (Ok(vec![]), Ok(vec![]))
            }
            Step::Put { at, cas, kept, expires_in } => {
                let expires = expires_in.map(|ms| now + ms);
                let edit = MetadataEdit {
                    max_versions: kept,
                    expires: expires.map_or(Edit::Keep, |at| Edit::Set(WallMs(at))),
                    ..MetadataEdit::default()
                };
                let put = Put { path: path(PATHS[at]), fresh: fresh(value, 4), encoding: Encoding::Bytes, cas, edit };
                (answer(self.house.run(&put)), self.model(at).put(now, value, cas, kept, expires))
            }
            Step::Rollback { at, source } => self.rollback(at, source, value),
            Step::Delete { at, versions } => {
                let said = self.house.run(&Delete { path: path(PATHS[at]), versions: versions.clone(), cas: None });
                let right = self.model(at).turn(versions.as_deref(), &[Fate::Live], Fate::Deleted, |fate| match fate {
                    Some(Fate::Purged) => "secret.purged",
                    _ => "secret.deleted",
                });
                (answer(said), right)
            }
            Step::Undelete { at, versions } => {
                let said = self.house.run(&Undelete { path: path(PATHS[at]), versions: versions.clone() });
                let right = self.model(at).turn(versions.as_deref(), &[Fate::Deleted], Fate::Live, |fate| match fate {
                    Some(Fate::Purged) => "secret.purged",
                    _ => "secret.state_conflict",
                });
                (answer(said), right)
            }
            Step::Purge { at, versions } => {
                let scope = versions.clone().map_or(Scope::All, Scope::Versions);
                let said = self.house.run(&Purge { path: path(PATHS[at]), scope });
                (answer(said), self.model(at).purge(versions.as_deref()))
            }
            Step::Keep { at, kept } => {
                let edit = MetadataEdit { max_versions: Edit::Set(kept), ..MetadataEdit::default() };
                let said = answer(self.house.run(&Metadata { path: path(PATHS[at]), edit, cas: None }));
                let model = self.model(at);
                if !model.there {
                    return (said, Err("secret.not_found"));
                }
                model.kept = Some(kept);
                model.trim();
                (said, Ok(vec![]))
            }
        }
    }

    fn rollback(&mut self, at: usize, source: u64, value: u8) -> (Answer, Answer) {
        let now = self.house.now.0;
        let stored = self.house.secret(PATHS[at]).and_then(|secret| secret.version(source).cloned());
        let blob = stored.and_then(|version| version.state.stored().map(|stored| stored.blob_id));
        let copy = Rollback {
            path: path(PATHS[at]),
            source,
            source_blob: blob.unwrap_or(crypto::id::BlobId::from_bytes([0; 16])),
            fresh: fresh(value, 4),
            cas: None,
        };
        let said = answer(self.house.run(&copy));
        let model = self.model(at);
        let right = model.read(now, source).map(|_| {
            model.write(value);
            vec![model.last]
        });
        (said, right)
    }

    fn model(&mut self, at: usize) -> &mut Model {
        self.model.entry(PATHS[at]).or_default()
    }

    fn compare(&self) {
        let now = self.house.now;
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (text, model) in &self.model {
            let secret = self.house.secret(text);
            assert_eq!(secret.is_some(), model.there, "{text}");
            let Some(secret) = secret else { continue };
            assert_eq!(secret.current(), model.last);
            let fates: Vec<_> = secret.versions.iter().map(|version| (version.number, fate(&version.state))).collect();
            assert_eq!(fates, model.versions.iter().map(|(n, (_, fate))| (*n, *fate)).collect::<Vec<_>>());
            for number in 0..=model.last + 1 {
                let read = secret.readable(Some(number), now).map(|(_, stored)| stored.blob_id.as_bytes()[0]);
                assert_eq!(read.map_err(|refusal| refusal.code.name), model.read(now.0, number));
            }
            let mut child = (*text).to_owned();
            child.push('*');
            for folder in path(text).folders().rev() {
                folders.entry(folder.to_owned()).or_default().insert(child);
                child = folder.to_owned();
            }
        }
        let right: BTreeMap<String, u64> = folders.into_iter().map(|(at, within)| (at, within.len() as u64)).collect();
        assert_eq!(self.house.folders(), right);
    }
}

fn fate(state: &State) -> Fate {
    match state {
        State::Live(_) => Fate::Live,
        State::Deleted { .. } => Fate::Deleted,
        State::Purged { .. } => Fate::Purged,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_commands_give_what_a_map_gives(steps in steps()) {
        let mut pair = Pair { house: House::new(), model: BTreeMap::new(), value: 0 };
        for step in &steps {
            let (said, right) = pair.step(step);
            prop_assert_eq!(said, right, "{:?}", step);
            pair.compare();
        }
    }

    #[test]
    fn of_two_writers_that_saw_the_same_version_exactly_one_wins(writers in 1u64..6, rounds in 1u64..5) {
        let mut house = House::new();
        for round in 0..rounds {
            let won = (0..writers).filter(|writer| {
                let put = Put {
                    path: path("x"),
                    fresh: fresh(*writer as u8, 1),
                    encoding: Encoding::Bytes,
                    cas: Some(round),
                    edit: MetadataEdit::default(),
                };
                house.run(&put).is_ok()
            });
            prop_assert_eq!(won.count(), 1);
        }
    }
}
