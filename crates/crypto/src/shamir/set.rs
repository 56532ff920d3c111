//! What everybody may know of a set of shares.

use super::share::{BadShare, Share};
use crate::crockford::hex;
use crate::seam::WallMs;
use core::fmt;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Earlier sets that are remembered.
const EARLIER_MAX: usize = 16;

/// Which set: random, shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetId([u8; 8]);

impl SetId {
    /// The set with this id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetId({self})")
    }
}

/// A set that another one replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Which.
    pub id: SetId,
    /// When.
    pub replaced: WallMs,
}

/// The public description of a set: it tells a right share from any other and says nothing about the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareSet {
    id: SetId,
    threshold: u8,
    created: WallMs,
    /// One for each share, in the order of their indices.
    digests: Vec<[u8; 16]>,
    earlier: Vec<Earlier>,
}

/// Why a share was not accepted. It counts for nothing, and those accepted before stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is no share.
    Bad(BadShare),
    /// It belongs to a set that was replaced.
    Stale {
        /// Which share.
        index: u8,
        /// Its set, and when that was replaced.
        set: Earlier,
    },
    /// It belongs to another set.
    Foreign {
        /// Which share.
        index: u8,
        /// Its set.
        set: SetId,
        /// The set that is wanted.
        wanted: SetId,
    },
    /// It claims to be of this set and is not what was handed out.
    Altered {
        /// Which share it claims to be.
        index: u8,
        /// The set.
        set: SetId,
    },
    /// It was given already.
    Given {
        /// Which share.
        index: u8,
        /// The set.
        set: SetId,
    },
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(bad) => write!(f, "{bad}"),
            Self::Stale { index, set } => {
                write!(f, "share {index} is of set {}, which was replaced and opens nothing any more", set.id)
            }
            Self::Foreign { index, set, wanted } => {
                write!(f, "share {index} is of set {set}; shares of set {wanted} are wanted")
            }
            Self::Altered { index, set } => write!(f, "share {index} of set {set} is not the one that was handed out"),
            Self::Given { index, set } => write!(f, "share {index} of set {set} was given already"),
        }
    }
}

impl core::error::Error for Rejected {}

impl ShareSet {
    pub(super) fn of(id: SetId, threshold: u8, shares: &[Share], created: WallMs, mut earlier: Vec<Earlier>) -> Self {
        earlier.drain(..earlier.len().saturating_sub(EARLIER_MAX));
        Self { id, threshold, created, digests: shares.iter().map(Share::digest).collect(), earlier }
    }

    /// Which set.
    #[must_use]
    pub fn id(&self) -> SetId {
        self.id
    }

    /// How many shares make the key.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many shares there are.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.digests.len()).unwrap_or(u8::MAX)
    }

    /// When it was made.
    #[must_use]
    pub fn created(&self) -> WallMs {
        self.created
    }

    /// The sets before a set that follows this one at `now`, this one last.
    #[must_use]
    pub fn replaced(&self, now: WallMs) -> Vec<Earlier> {
        let mut earlier = self.earlier.clone();
        earlier.push(Earlier { id: self.id, replaced: now });
        earlier
    }

    /// Whether it can be a set at all, as read from storage.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.threshold >= 2 && usize::from(self.threshold) <= self.digests.len() && self.digests.len() <= 255
    }

    /// Whether this is a share of this set.
    ///
    /// # Errors
    /// [`Rejected`], any but `Given` and `Bad`.
    pub(super) fn accept(&self, share: &Share) -> Result<(), Rejected> {
        let (index, set) = (share.index, share.set);
        if set != self.id {
            let stale = self.earlier.iter().find(|earlier| earlier.id == set);
            return Err(match stale {
                Some(stale) => Rejected::Stale { index, set: *stale },
                None => Rejected::Foreign { index, set, wanted: self.id },
            });
        }
        let known = usize::from(index).checked_sub(1).and_then(|at| self.digests.get(at));
        let same = known.is_some_and(|known| bool::from(known.ct_eq(&share.digest())));
        if same && share.threshold == self.threshold { Ok(()) } else { Err(Rejected::Altered { index, set }) }
    }
}
