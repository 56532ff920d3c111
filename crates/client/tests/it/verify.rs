use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::verify::{Seen, Verified};
use crypto::Hash;
use crypto::aead::{CheckpointKey, Key};
use crypto::merkle::{Frontier, HashReader, Node, consistency_proof, inclusion_proof, leaf_hash, node_hash};
use crypto::note::{VerifierKey, sign_checkpoint};
use crypto::seam::SystemEntropy;

use crate::script::{answer, client, serve};

/// A ledger that can be made to lie.
struct House {
    key: Key<CheckpointKey>,
    entries: Vec<Vec<u8>>,
}

struct Hashes(BTreeMap<Node, Hash>);

impl HashReader for Hashes {
    fn hash(&self, node: Node) -> Option<Hash> {
        self.0.get(&node).copied()
    }
}

impl House {
    fn new(count: usize) -> Self {
        let entries = (0..count).map(|i| format!("sealed {i}").into_bytes()).collect();
        Self { key: Key::generate(&SystemEntropy::new()).unwrap(), entries }
    }

    fn verifier(&self) -> VerifierKey {
        VerifierKey::new("here/0".parse().unwrap(), self.key.public())
    }

    fn root(&self, size: usize) -> Hash {
        let mut tree = Frontier::new();
        self.entries.iter().take(size).for_each(|entry| tree.push(leaf_hash(entry)));
        tree.root()
    }

    fn seen(&self, size: usize) -> Seen {
        Seen { size: size as u64, root: self.root(size) }
    }

    fn note(&self) -> String {
        let size = self.entries.len();
        sign_checkpoint(&"here/0".parse().unwrap(), size as u64, &self.root(size), &self.key)
    }

    fn nodes(&self) -> Hashes {
        let mut level: Vec<Hash> = self.entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut found = BTreeMap::new();
        for height in 0.. {
            for (index, hash) in level.iter().enumerate() {
                found.insert(Node { level: height, index: index as u64 }, *hash);
            }
            if level.len() < 2 {
                break;
            }
            level = level.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Hashes(found)
    }

    /// Answers the routes of the ledger; `twist` changes an answer's body.
    async fn check(
        self,
        seen: Option<Seen>,
        key: VerifierKey,
        twist: fn(&str, String) -> String,
    ) -> Result<Verified, client::Error> {
        let (addr, _) = serve(move |request| {
            let target = request.split_whitespace().nth(1).unwrap().strip_prefix("/api/v1/ledger/").unwrap();
            let body = twist(target, self.body(target));
            answer("200 OK", "", &body)
        })
        .await;
        let mut options = client::Options::new(&addr);
        options.answer_bytes_max = 1 << 20;
        drop(client(&addr));
        client::verify::ledger(&client::Client::new(options).unwrap(), &key, seen.as_ref(), |_, _| ()).await
    }

    fn body(&self, target: &str) -> String {
        let (route, query) = target.split_once('?').unwrap_or((target, ""));
        let number = |name: &str| -> u64 {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().parse().unwrap()
        };
        let proof = |hashes: Vec<Hash>| {
            serde_json::json!({ "hashes": hashes.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>() })
                .to_string()
        };
        match route {
            "checkpoint" => self.note(),
            "proofs/inclusion" => proof(inclusion_proof(number("index"), number("size"), &self.nodes()).unwrap()),
            "proofs/consistency" => proof(consistency_proof(number("from"), number("to"), &self.nodes()).unwrap()),
            "entries" => {
                let from = number("from") as usize;
                let items =
                    self.entries.iter().enumerate().skip(from).take(number("limit") as usize).map(|(index, entry)| {
                        let leaf = STANDARD.encode(leaf_hash(entry));
                        // Every third entry is another tenant's, of which only the hash is given.
                        if index % 3 == 0 {
                            serde_json::json!({ "index": index, "leaf_hash": leaf })
                        } else {
                            serde_json::json!({ "index": index, "leaf_hash": leaf, "sealed": STANDARD.encode(entry) })
                        }
                    });
                let items: Vec<_> = items.collect();
                serde_json::json!({ "items": items, "size": self.entries.len() }).to_string()
            }
            other => other.to_owned(),
        }
    }
}

fn honest(_: &str, body: String) -> String {
    body
}

async fn code(house: House, seen: Option<Seen>, twist: fn(&str, String) -> String) -> String {
    let key = house.verifier();
    house.check(seen, key, twist).await.unwrap_err().code.into()
}

#[tokio::test]
async fn an_honest_ledger_verifies_at_any_size_and_from_any_earlier_checkpoint() {
    for (size, before) in [(0, None), (1, None), (7, Some(0)), (7, Some(3)), (7, Some(7)), (1003, Some(512))] {
        let house = House::new(size);
        let (key, seen) = (house.verifier(), before.map(|before| house.seen(before)));
        let found = house.check(seen, key, honest).await.unwrap();
        assert_eq!(found.checkpoint.size, size as u64);
        assert_eq!(found.whole_entries, (0..size).filter(|index| index % 3 != 0).count() as u64);
        assert_eq!(found.extends, before.map(|before| before as u64));
    }
}

#[tokio::test]
async fn a_ledger_that_lost_entries_was_rolled_back() {
    let seen = House::new(9).seen(9);
    assert_eq!(code(House::new(8), Some(seen), honest).await, "ledger.rolled_back");
}

#[tokio::test]
async fn a_ledger_with_another_past_was_forked() {
    let seen = House::new(5).seen(5);
    let mut house = House::new(9);
    house.entries[2] = b"another past".to_vec();
    assert_eq!(code(house, Some(seen), honest).await, "ledger.forked");
    let mut house = House::new(5);
    house.entries[2] = b"another past".to_vec();
    assert_eq!(code(house, Some(seen), honest).await, "ledger.forked", "at the same size too");
}

#[tokio::test]
async fn a_checkpoint_by_another_key_is_refused() {
    let refused = House::new(5).check(None, House::new(0).verifier(), honest).await.unwrap_err();
    assert_eq!((refused.class, &*refused.code), (api::Class::Corrupt, "ledger.checkpoint_invalid"));
}

#[tokio::test]
async fn an_entry_that_was_altered_is_named() {
    let altered = |target: &str, body: String| {
        if target.starts_with("entries") {
            body.replace(&STANDARD.encode("sealed 4"), &STANDARD.encode("sealed X"))
        } else {
            body
        }
    };
    let house = House::new(7);
    let key = house.verifier();
    let refused = house.check(None, key, altered).await.unwrap_err();
    assert_eq!((&*refused.code, &*refused.detail), ("ledger.entry_altered", "entry 4 does not have its hash"));
}

#[tokio::test]
async fn hashes_and_entries_altered_together_do_not_give_the_signed_root() {
    let altered = |target: &str, body: String| {
        let body = body.replace(&STANDARD.encode("sealed 4"), &STANDARD.encode("sealed X"));
        let (old, new) = (leaf_hash(b"sealed 4"), leaf_hash(b"sealed X"));
        if target.starts_with("entries") { body.replace(&STANDARD.encode(old), &STANDARD.encode(new)) } else { body }
    };
    assert_eq!(code(House::new(7), None, altered).await, "ledger.root_differs");
}

#[tokio::test]
async fn entries_left_out_or_out_of_order_are_noticed() {
    let empty = |target: &str, body: String| {
        if target.starts_with("entries") { r#"{"items":[],"size":7}"#.to_owned() } else { body }
    };
    assert_eq!(code(House::new(7), None, empty).await, "ledger.entry_missing");
    let shifted = |target: &str, body: String| {
        if target.starts_with("entries") { body.replace(r#""index":3"#, r#""index":4"#) } else { body }
    };
    assert_eq!(code(House::new(7), None, shifted).await, "ledger.entry_missing");
}

#[tokio::test]
async fn a_false_proof_is_refused() {
    let none = |target: &str, body: String| {
        if target.starts_with("proofs/inclusion") { r#"{"hashes":[]}"#.to_owned() } else { body }
    };
    assert_eq!(code(House::new(7), None, none).await, "ledger.proof_invalid");
    let none = |target: &str, body: String| {
        if target.starts_with("proofs/consistency") { r#"{"hashes":["AAAA"]}"#.to_owned() } else { body }
    };
    let seen = House::new(3).seen(3);
    assert_eq!(code(House::new(7), Some(seen), none).await, "ledger.hash_invalid");
}
