//! A random run of the app beside a map: every answer agrees.

use crate::house::{Caller, code, folder, house, path};
use app::Act;
use app::secret::{self, ListQuery, MetadataEdit, Rollback, Scope, Source};
use std::collections::{BTreeMap, BTreeSet};

const PATHS: &[&str] = &["a", "a/b", "a/b/c", "d/e", "d/f"];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fate {
    Live,
    Deleted,
    Purged,
}

#[derive(Default, Debug)]
struct Model {
    last: u64,
    there: bool,
    versions: BTreeMap<u64, (String, Fate)>,
}

impl Model {
    fn read(&self, number: Option<u64>) -> Result<String, &'static str> {
        if !self.there {
            return Err("secret.not_found");
        }
        match self.versions.get(&number.unwrap_or(self.last)) {
            None => Err("secret.not_found"),
            Some((value, Fate::Live)) => Ok(value.clone()),
            Some((_, Fate::Deleted)) => Err("secret.deleted"),
            Some((_, Fate::Purged)) => Err("secret.purged"),
        }
    }

    fn write(&mut self, value: String) -> &'static str {
        self.there = true;
        self.last += 1;
        self.versions.insert(self.last, (value, Fate::Live));
        while self.versions.len() > 10 {
            self.versions.pop_first();
        }
        "ok"
    }

    fn turn(&mut self, from: Fate, to: Fate, none: &'static str) -> &'static str {
        if !self.there {
            return "secret.not_found";
        }
        let mut turned = none;
        for (_, fate) in self.versions.values_mut().filter(|(_, fate)| *fate == from) {
            *fate = to;
            turned = "ok";
        }
        turned
    }

    fn purge(&mut self, number: Option<u64>) -> &'static str {
        if !self.there {
            return "secret.not_found";
        }
        match number.map(|number| self.versions.get_mut(&number)) {
            None => self.versions.clear(),
            Some(None) => return "secret.not_found",
            Some(Some((_, Fate::Purged))) => return "secret.purged",
            Some(Some((_, fate))) => *fate = Fate::Purged,
        }
        if self.versions.values().all(|(_, fate)| *fate == Fate::Purged) {
            self.versions.clear();
            self.there = false;
        }
        "ok"
    }
}

/// Numbers out of a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn step(owner: &Caller<'_>, model: &mut BTreeMap<&'static str, Model>, dice: &mut Dice, n: u64) {
    let at = PATHS[usize::try_from(dice.roll(5)).unwrap()];
    let one = model.entry(at).or_default();
    let number = Some(dice.roll(6) + 1).filter(|_| dice.roll(3) > 0);
    let (said, right) = match dice.roll(10) {
        0..=3 => {
            let cas = (dice.roll(2) == 0).then(|| dice.roll(4));
            let value = format!("v{n}");
            let said = code(owner.put_if(at, &value, cas, MetadataEdit::default()).await);
            let current = if one.there { one.last } else { 0 };
            let fits = cas.is_none_or(|cas| cas == current);
            (said, if fits { one.write(value) } else { "secret.version_conflict" })
        }
        4 => {
            let source = number.unwrap_or(1);
            let back = Rollback { source: Source::Version(source), cas: None };
            let act = Act::secret_rollback(path(at));
            let said = owner.act(act, b"", move |grant| secret::rollback(grant, back)).await;
            let right = one.read(Some(source));
            (code(said.into_outcome()), right.map_or_else(|code| code, |value| one.write(value)))
        }
        5 => {
            let act = Act::secret_delete(path(at));
            let said = owner.act(act, b"", |grant| secret::delete(grant, None, None)).await;
            (code(said.into_outcome()), one.turn(Fate::Live, Fate::Deleted, "secret.deleted"))
        }
        6 => {
            let act = Act::secret_undelete(path(at));
            let said = owner.act(act, b"", |grant| secret::undelete(grant, None)).await;
            (code(said.into_outcome()), one.turn(Fate::Deleted, Fate::Live, "secret.state_conflict"))
        }
        7 => {
            let scope = number.map_or(Scope::All, |number| Scope::Versions(vec![number]));
            let act = Act::secret_purge(path(at));
            let said = owner.act(act, b"", move |grant| secret::purge(grant, scope)).await;
            (code(said.into_outcome()), one.purge(number))
        }
        _ => {
            let said = owner.read(at, number).await.map_err(|refusal| refusal.code.name);
            let said = said.map(|read| String::from_utf8(read.value.expose().to_vec()).unwrap());
            assert_eq!(said, one.read(number));
            ("ok", "ok")
        }
    };
    assert_eq!(said, right, "step {n} at {at}");
}

#[tokio::test]
async fn i17_random_requests_give_what_a_map_gives() {
    for seed in 1..=4 {
        let house = house().await;
        let owner = house.owner().await;
        let mut model = BTreeMap::new();
        let mut dice = Dice(seed);
        for n in 0..150 {
            house.pass(1);
            step(&owner, &mut model, &mut dice, n).await;
        }
        let query = ListQuery { recursive: true, ..ListQuery::default() };
        let listed = owner.act(Act::secret_list(folder("")), b"", |grant| secret::list(grant, query)).await;
        let listed: BTreeSet<String> = listed.into_outcome().unwrap().items.into_iter().map(|item| item.path).collect();
        let right = model.iter().filter(|(_, one)| one.there).map(|(at, _)| (*at).to_owned());
        assert_eq!(listed, right.collect(), "seed {seed}");
    }
}
