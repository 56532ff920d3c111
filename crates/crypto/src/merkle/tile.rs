//! Tiles: the tree cut into pieces of 8 levels, each stored as the up to 256 hashes of its bottom row. Source: C2SP
//! tlog-tiles.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use super::{Hash, HashReader, Node, fold};

/// Levels of the tree in one tile.
pub const TILE_HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Levels of tiles that a tree of 2^64 leaves has.
const TILE_LEVELS: u8 = 8;

/// Where a tile is. `Display` and `FromStr` use the path of C2SP tlog-tiles, `tile/<level>/<index>[.p/<width>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Level among tiles; the bottom row consists of subtrees of height `8 * level`.
    pub level: u8,
    /// Number in the level, from the left.
    pub index: u64,
    /// Hashes in it, 1 to 256; below 256 the tile is partial and will be replaced by a wider one.
    pub width: u16,
}

/// The text is no tile path, or the bytes do not fit the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTile;

impl fmt::Display for BadTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a tile of this tree")
    }
}

impl core::error::Error for BadTile {}

impl Tile {
    /// The tile that holds `node` in a tree of `size` leaves; `None` if the node is not complete there.
    #[must_use]
    pub fn holding(node: Node, size: u64) -> Option<Self> {
        let (level, index, _) = place(node)?;
        let complete = u64::checked_shr(size, node.level.into()).is_some_and(|nodes| node.index < nodes);
        let row = size >> (level * TILE_HEIGHT);
        let width = row.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH) as u16;
        (complete && width > 0).then_some(Self { level, index, width })
    }

    /// Whether the tile has all its hashes and never changes again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, Numbered { index: self.index, width: self.width })
    }
}

/// The path of the bundle of entries whose leaf hashes are the level-0 tile of this index and width.
#[must_use]
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", Numbered { index, width })
}

/// An index in groups of three digits, all but the last with an `x` before them, and the width if partial.
struct Numbered {
    index: u64,
    width: u16,
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = core::iter::successors(Some(self.index), |rest| Some(rest / 1000).filter(|rest| *rest > 0));
        let groups: Vec<_> = groups.map(|rest| rest % 1000).collect();
        for (place, group) in groups.iter().enumerate().rev() {
            let (mark, end) = if place > 0 { ("x", "/") } else { ("", "") };
            write!(f, "{mark}{group:03}{end}")?;
        }
        if u64::from(self.width) < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = BadTile;

    /// Reads the one spelling that `Display` writes.
    fn from_str(text: &str) -> Result<Self, BadTile> {
        let (level, rest) = text.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or(BadTile)?;
        let (number, width) = rest.split_once(".p/").unwrap_or((rest, "256"));
        let digits = number.replace("/", "").replace('x', "");
        let tile = Self {
            level: level.parse().map_err(|_| BadTile)?,
            index: digits.parse().map_err(|_| BadTile)?,
            width: width.parse().map_err(|_| BadTile)?,
        };
        let sane = tile.level < TILE_LEVELS && (1..=TILE_WIDTH).contains(&tile.width.into());
        // Only what would be written again in the same way is taken.
        if sane && tile.to_string() == text { Ok(tile) } else { Err(BadTile) }
    }
}

/// The tiles that are new, or wider than before, when a tree grows from `old` to `new` leaves.
#[must_use]
pub fn changed_tiles(old: u64, new: u64) -> Vec<Tile> {
    let mut out = Vec::new();
    for level in 0..TILE_LEVELS {
        let (from, to) = (old >> (level * TILE_HEIGHT), new >> (level * TILE_HEIGHT));
        if from >= to {
            break;
        }
        for index in from / TILE_WIDTH..to.div_ceil(TILE_WIDTH) {
            let width = (to - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
            out.push(Tile { level, index, width });
        }
    }
    out
}

/// Tiles loaded for a proof.
#[derive(Clone, Debug, Default)]
pub struct TileHashes(BTreeMap<(u8, u64), Vec<Hash>>);

impl TileHashes {
    /// No tiles yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the bytes of a tile. They may hold more hashes than `tile.width`, if the tree has grown meanwhile.
    ///
    /// # Errors
    /// [`BadTile`] if they are not whole hashes, too few or above 256; nothing is added.
    pub fn insert(&mut self, tile: Tile, bytes: &[u8]) -> Result<(), BadTile> {
        let (hashes, excess) = bytes.as_chunks();
        if !excess.is_empty() || hashes.len() < tile.width.into() || hashes.len() as u64 > TILE_WIDTH {
            return Err(BadTile);
        }
        self.0.insert((tile.level, tile.index), hashes.to_vec());
        Ok(())
    }
}

impl HashReader for TileHashes {
    fn hash(&self, node: Node) -> Option<Hash> {
        let (level, index, range) = place(node)?;
        perfect(self.0.get(&(level, index))?.get(range)?)
    }
}

/// Level and index of the tile that holds a node, and the part of its row below the node.
fn place(node: Node) -> Option<(u8, u64, core::ops::Range<usize>)> {
    let (level, height) = (node.level / TILE_HEIGHT, node.level % TILE_HEIGHT);
    let first = node.index.checked_mul(1 << height)?;
    let start = (first % TILE_WIDTH) as usize;
    (level < TILE_LEVELS).then_some((level, first / TILE_WIDTH, start..start + (1 << height)))
}

/// The hash over a row whose length is a power of two.
fn perfect(row: &[Hash]) -> Option<Hash> {
    match row {
        [] => None,
        [one] => Some(*one),
        _ => {
            let (left, right) = row.split_at(row.len() / 2);
            fold(&[perfect(left)?, perfect(right)?])
        }
    }
}
