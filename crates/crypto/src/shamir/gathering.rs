//! Shares as they come in, one at a time.

use super::set::{Rejected, ShareSet};
use super::share::Share;
use crate::secret::SecretBytes;
use core::fmt;
use core::time::Duration;

/// The shares of one set that were given so far.
pub struct Gathering {
    set: ShareSet,
    given: Vec<Share>,
    /// When the last one was given, in monotonic time.
    last: Duration,
}

/// What an accepted share brought.
#[derive(Debug)]
pub enum Step {
    /// More are wanted.
    More,
    /// The key. The gathering is empty again.
    Key(SecretBytes),
}

impl Gathering {
    /// Nothing given yet.
    #[must_use]
    pub fn new(set: ShareSet) -> Self {
        Self { set, given: Vec::new(), last: Duration::ZERO }
    }

    /// The set whose shares are wanted.
    #[must_use]
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// How many were given.
    #[must_use]
    pub fn given(&self) -> u8 {
        u8::try_from(self.given.len()).unwrap_or(u8::MAX)
    }

    /// Forgets what was given if the last one came longer than `idle_max` ago. Says whether there was any.
    pub fn expire(&mut self, now: Duration, idle_max: Duration) -> bool {
        let over = !self.given.is_empty() && now.saturating_sub(self.last) > idle_max;
        if over {
            self.given.clear();
        }
        over
    }

    /// Takes one more share, by its text.
    ///
    /// # Errors
    /// [`Rejected`] says which share and why; those accepted before stay.
    pub fn give(&mut self, text: &str, now: Duration) -> Result<Step, Rejected> {
        let share = Share::parse(text).map_err(Rejected::Bad)?;
        self.set.accept(&share)?;
        if self.given.iter().any(|given| given.index == share.index) {
            return Err(Rejected::Given { index: share.index, set: share.set });
        }
        self.given.push(share);
        self.last = now;
        if self.given.len() < usize::from(self.set.threshold()) {
            return Ok(Step::More);
        }
        let given = core::mem::take(&mut self.given);
        // Each share is the one that was handed out, so the key is the one that was split.
        let altered = || Rejected::Altered { index: given.last().map_or(0, Share::index), set: self.set.id() };
        super::combine(&given).map(Step::Key).ok_or_else(altered)
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathering({} of {} of set {})", self.given.len(), self.set.threshold(), self.set.id())
    }
}
