//! The tree against published roots and against the recursive definitions of RFC 6962 section 2.1, word for word.

use std::collections::BTreeMap;

use crypto::merkle::*;
use crypto::sha256;
use proptest::prelude::*;

use crate::{hex, unhex};

/// MTH of RFC 6962.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of RFC 6962.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = half(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, beside) = if index < k {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - k, right), naive_root(left))
    };
    path.push(beside);
    path
}

/// SUBPROOF of RFC 6962.
fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = half(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, beside) = if old <= k {
        (naive_subproof(old, left, whole), naive_root(right))
    } else {
        (naive_subproof(old - k, right, false), naive_root(left))
    };
    proof.push(beside);
    proof
}

/// Greatest power of two below `n`.
fn half(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// Everything a store keeps of a tree.
#[derive(Default)]
struct Tree {
    frontier: Frontier,
    leaves: Vec<Hash>,
    nodes: BTreeMap<Node, Hash>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Tree {
    fn of(size: u64) -> Self {
        let mut tree = Self::default();
        for number in 0..size {
            let leaf = leaf_hash(&number.to_be_bytes());
            tree.leaves.push(leaf);
            tree.frontier.push_each(leaf, |node, hash| {
                tree.nodes.insert(node, hash);
                if node.level.is_multiple_of(TILE_HEIGHT) {
                    let place = (node.level / TILE_HEIGHT, node.index / TILE_WIDTH);
                    tree.tiles.entry(place).or_default().extend(hash);
                }
            });
        }
        tree
    }

    /// The tiles that hold `nodes` and no others.
    fn tiles_for(&self, nodes: &[Node], size: u64) -> TileHashes {
        let mut out = TileHashes::new();
        for node in nodes {
            let tile = Tile::holding(*node, size).unwrap();
            let bytes = &self.tiles[&(tile.level, tile.index)];
            out.insert(tile, bytes.get(..usize::from(tile.width) * 32).unwrap()).unwrap();
        }
        out
    }
}

impl HashReader for Tree {
    fn hash(&self, node: Node) -> Option<Hash> {
        self.nodes.get(&node).copied()
    }
}

/// The reference tree of the Certificate Transparency code base.
#[test]
fn roots_match_the_certificate_transparency_reference_tree() {
    let entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::new();
    assert_eq!(hex(&tree.root()), roots[0]);
    for (entry, root) in entries.iter().zip(&roots[1..]) {
        tree.push(leaf_hash(&unhex(entry)));
        assert_eq!(hex(&tree.root()), *root);
    }
}

#[test]
fn every_proof_of_small_trees_equals_the_recursive_definition() {
    let tree = Tree::of(70);
    for size in 1..=70_usize {
        let leaves = &tree.leaves[..size];
        let root = naive_root(leaves);
        assert_eq!(root_at(size as u64, &tree), Ok(root));
        for index in 0..size {
            let proof = inclusion_proof(index as u64, size as u64, &tree).unwrap();
            assert_eq!(proof, naive_path(index, leaves), "leaf {index} of {size}");
            verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &root).unwrap();
        }
        for old in 1..=size {
            let proof = consistency_proof(old as u64, size as u64, &tree).unwrap();
            assert_eq!(proof, naive_subproof(old, leaves, true), "{old} to {size}");
            let old_root = naive_root(&leaves[..old]);
            verify_consistency(old as u64, &old_root, size as u64, &root, &proof).unwrap();
        }
    }
}

#[test]
fn proofs_come_out_of_tiles_of_two_levels() {
    let tree = Tree::of(70_000);
    for size in [1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 70_000] {
        let root = root_at(size, &tree).unwrap();
        assert_eq!(root, naive_root(&tree.leaves[..size as usize]));
        for index in [0, 1, 254, 255, 256, 65_535, 65_536, 69_999].into_iter().filter(|index| *index < size) {
            let tiles = tree.tiles_for(&inclusion_nodes(index, size).unwrap(), size);
            let proof = inclusion_proof(index, size, &tiles).unwrap();
            verify_inclusion(&tree.leaves[index as usize], index, size, &proof, &root).unwrap();
        }
        for old in [1, 2, 255, 256, 300, 65_536].into_iter().filter(|old| *old <= size) {
            let tiles = tree.tiles_for(&consistency_nodes(old, size).unwrap(), size);
            let proof = consistency_proof(old, size, &tiles).unwrap();
            verify_consistency(old, &root_at(old, &tree).unwrap(), size, &root, &proof).unwrap();
        }
    }
}

#[test]
fn changed_tiles_are_exactly_those_whose_bytes_changed() {
    let mut tree = Tree::default();
    let mut rows: BTreeMap<(u8, u64), usize> = BTreeMap::new();
    let mut last = 0;
    for size in [0_u64, 1, 2, 255, 256, 257, 600, 65_535, 65_536, 66_000] {
        for number in last..size {
            tree.frontier.push_each(leaf_hash(&number.to_be_bytes()), |node, _| {
                if node.level.is_multiple_of(TILE_HEIGHT) {
                    *rows.entry((node.level / 8, node.index / 256)).or_default() += 1;
                }
            });
        }
        let all: Vec<_> = changed_tiles(0, size).iter().map(|t| ((t.level, t.index), usize::from(t.width))).collect();
        assert_eq!(all, rows.clone().into_iter().collect::<Vec<_>>(), "size {size}");
        let before: BTreeMap<_, _> = changed_tiles(0, last).iter().map(|t| ((t.level, t.index), t.width)).collect();
        let mut expected = changed_tiles(0, size);
        expected.retain(|t| before.get(&(t.level, t.index)) != Some(&t.width));
        assert_eq!(changed_tiles(last, size), expected, "{last} to {size}");
        last = size;
    }
    assert_eq!(changed_tiles(u64::MAX, u64::MAX), []);
    assert_eq!(changed_tiles(u64::MAX - 1, u64::MAX).len(), 1);
}

/// Paths of the C2SP tlog-tiles page.
#[test]
fn tile_paths_match_c2sp_tlog_tiles() {
    let check = |level, index, width, path: &str| {
        let tile = Tile { level, index, width };
        assert_eq!(tile.to_string(), path);
        assert_eq!(path.parse(), Ok(tile));
    };
    check(0, 1_234_067, 256, "tile/0/x001/x234/067");
    check(0, 0, 256, "tile/0/000");
    check(1, 1, 17, "tile/1/001.p/17");
    check(7, 999, 1, "tile/7/999.p/1");
    check(0, 1000, 255, "tile/0/x001/000.p/255");
    assert_eq!(entries_path(1_234_067, 256), "tile/entries/x001/x234/067");
    assert_eq!(entries_path(0, 3), "tile/entries/000.p/3");
    // A tree of 70,000 leaves: 273 full bundles of 256 and one of 112.
    let all: Vec<_> = changed_tiles(0, 70_000).iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 274 + 2 + 1);
    assert_eq!(
        all.get(273..),
        Some(&["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"].map(str::to_owned)[..])
    );
}

#[test]
fn other_spellings_of_a_tile_are_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/8/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/01",
        "/tile/0/000",
        "tile/0/+01",
        "tile/0/x001/x000",
        "tile/0/001/000",
        "tile/-1/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
    ] {
        assert_eq!(path.parse::<Tile>(), Err(BadTile), "{path}");
    }
}

#[test]
fn a_frontier_is_stored_and_read() {
    let mut tree = Frontier::new();
    for size in 0..300_u64 {
        let bytes = tree.to_bytes();
        assert_eq!(bytes.len(), 8 + 32 * size.count_ones() as usize);
        assert_eq!(Frontier::from_bytes(&bytes), Ok(tree.clone()));
        for end in 0..bytes.len() {
            assert_eq!(Frontier::from_bytes(&bytes[..end]), Err(BadFrontier));
        }
        assert_eq!(Frontier::from_bytes(&[&bytes[..], &[0; 32]].concat()), Err(BadFrontier));
        tree.push(leaf_hash(&size.to_be_bytes()));
    }
}

#[test]
fn what_lies_outside_the_tree_has_no_proof() {
    let tree = Tree::of(10);
    assert_eq!(inclusion_proof(10, 10, &tree), Err(ProofError::OutOfRange));
    assert_eq!(inclusion_proof(0, 0, &tree), Err(ProofError::OutOfRange));
    assert_eq!(consistency_proof(11, 10, &tree), Err(ProofError::OutOfRange));
    assert_eq!(inclusion_proof(0, 11, &tree), Err(ProofError::Missing(Node { level: 0, index: 10 })));
    assert_eq!(consistency_proof(0, 10, &tree), Ok(Vec::new()));
    assert_eq!(Tile::holding(Node { level: 0, index: 10 }, 10), None);
    assert_eq!(Tile::holding(Node { level: 64, index: 0 }, u64::MAX), None);
    assert_eq!(Tile::holding(Node { level: 63, index: 1 }, u64::MAX), None);
    assert_eq!(Tile::holding(Node { level: 3, index: 1 }, 10), None);
    let empty = sha256(b"");
    assert_eq!(verify_consistency(0, &empty, 10, &tree.frontier.root(), &[]), Ok(()));
    assert_eq!(verify_consistency(0, &[1; 32], 10, &tree.frontier.root(), &[]), Err(BadProof));
    assert_eq!(verify_consistency(0, &empty, 0, &[1; 32], &[]), Err(BadProof));
    assert_eq!(verify_inclusion(&empty, 0, 0, &[], &empty), Err(BadProof));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_proof_changed_in_any_way_is_refused(size in 2_u64..400, a in any::<u64>(), b in any::<u64>(), bit in 0_usize..256) {
        let tree = Tree::of(size);
        let root = tree.frontier.root();
        let (index, old) = (a % size, 1 + b % size);
        let flip = |hash: &mut Hash| hash[bit / 8] ^= 1 << (bit % 8);
        let leaf = tree.leaves[index as usize];
        let proof = inclusion_proof(index, size, &tree).unwrap();
        let verify = |leaf: &Hash, index, size, proof: &[Hash], root: &Hash| verify_inclusion(leaf, index, size, proof, root).is_ok();
        prop_assert!(verify(&leaf, index, size, &proof, &root));
        let mut other = leaf;
        flip(&mut other);
        prop_assert!(!verify(&other, index, size, &proof, &root));
        let mut other = root;
        flip(&mut other);
        prop_assert!(!verify(&leaf, index, size, &proof, &other));
        for place in 0..proof.len() {
            let mut other = proof.clone();
            flip(&mut other[place]);
            prop_assert!(!verify(&leaf, index, size, &other, &root));
            let mut other = proof.clone();
            other.remove(place);
            prop_assert!(!verify(&leaf, index, size, &other, &root));
        }
        prop_assert!(!verify(&leaf, index, size, &[&proof[..], &[root]].concat(), &root));
        for wrong in (0..size).filter(|wrong| *wrong != index) {
            prop_assert!(!verify(&leaf, wrong, size, &proof, &root));
        }

        let old_root = root_at(old, &tree).unwrap();
        let proof = consistency_proof(old, size, &tree).unwrap();
        let verify = |old, old_root: &Hash, proof: &[Hash]| verify_consistency(old, old_root, size, &root, proof).is_ok();
        prop_assert!(verify(old, &old_root, &proof));
        let mut other = old_root;
        flip(&mut other);
        prop_assert!(!verify(old, &other, &proof));
        for place in 0..proof.len() {
            let mut other = proof.clone();
            flip(&mut other[place]);
            prop_assert!(!verify(old, &old_root, &other));
            let mut other = proof.clone();
            other.remove(place);
            prop_assert!(!verify(old, &old_root, &other));
        }
        prop_assert!(!verify(old, &old_root, &[&proof[..], &[root]].concat()));
    }

    #[test]
    fn verifiers_never_panic(index in any::<u64>(), size in any::<u64>(), proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let root = [0; 32];
        prop_assert!(verify_inclusion(&root, index, size, &proof, &root).is_err() || size == 1);
        prop_assert!(verify_consistency(index, &root, size, &root, &proof).is_err() || index == size);
    }

    #[test]
    fn any_tile_path_reads_back(level in 0_u8..8, index in any::<u64>(), width in 1_u16..=256) {
        let tile = Tile { level, index, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }
}
