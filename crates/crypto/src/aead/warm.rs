//! Expanded forms of keys, kept for those used lately.
//!
//! An expanded AES-256-GCM key takes some 600 bytes, a prepared HMAC key as much, and is worked out in about half a
//! microsecond. A server with many tenants holds tens of thousands of keys and uses few at a time, so at most
//! [`WARM_MAX`] are kept expanded in the whole process; who has not been used since its last turn goes first (the
//! "second chance" of paging: Corbató, A paging experiment with the Multics system, 1968).

use core::fmt;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::{ArcSwapOption, Guard};

/// Most expanded keys at once: those of about a thousand tenants, some 2 MiB.
const WARM_MAX: usize = 3072;

static KEPT: Mutex<VecDeque<Weak<dyn Cool>>> = Mutex::new(VecDeque::new());

/// The expanded form of one key, there while it is used.
pub struct Warm<T>(Arc<Slot<T>>);

struct Slot<T> {
    form: ArcSwapOption<T>,
    used: AtomicBool,
}

impl<T> fmt::Debug for Warm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warm")
    }
}

/// Lets go of an expanded form.
trait Cool: Send + Sync {
    /// Whether it was let go; not if it was used since the last time this was asked.
    fn cool(&self) -> bool;
}

impl<T: Send + Sync> Cool for Slot<T> {
    fn cool(&self) -> bool {
        let idle = !self.used.swap(false, Ordering::Relaxed);
        if idle {
            self.form.store(None);
        }
        idle
    }
}

impl<T: Send + Sync + 'static> Warm<T> {
    pub(super) fn new() -> Warm<T> {
        Warm(Arc::new(Slot { form: ArcSwapOption::empty(), used: AtomicBool::new(false) }))
    }

    /// Runs `act` with the expanded form, which `make` works out if it is not there.
    pub(super) fn with<R, E>(&self, make: impl FnOnce() -> Result<T, E>, act: impl FnOnce(&T) -> R) -> Result<R, E> {
        let slot = &self.0;
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        let kept: Guard<Option<Arc<T>>> = slot.form.load();
        if let Some(form) = kept.as_deref() {
            return Ok(act(form));
        }
        let form = Arc::new(make()?);
        slot.form.store(Some(Arc::clone(&form)));
        keep(Arc::downgrade(slot) as Weak<dyn Cool>);
        Ok(act(&form))
    }
}

/// Takes one more among those kept and lets go of others until there is room.
fn keep(slot: Weak<dyn Cool>) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut turns = kept.len();
    while kept.len() >= WARM_MAX {
        let Some(oldest) = kept.pop_front() else { break };
        match oldest.upgrade() {
            // Once all were asked, the next one goes however busy it is.
            Some(slot) if turns > 0 && !slot.cool() => kept.push_back(oldest),
            Some(slot) => drop(slot.cool() || slot.cool()),
            None => {}
        }
        turns = turns.saturating_sub(1);
    }
    kept.push_back(slot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_stay_usable_and_few_stay_expanded() {
        let slots: Vec<Warm<u64>> = (0..WARM_MAX * 2).map(|_| Warm::new()).collect();
        let ask = |at: usize| slots[at].with(|| Ok::<_, ()>(at as u64), |form| *form).unwrap();
        for round in 0..3 {
            for at in 0..slots.len() {
                assert_eq!(ask(at), at as u64, "in round {round}");
            }
            let warm = slots.iter().filter(|slot| slot.0.form.load().is_some()).count();
            assert!(warm <= WARM_MAX, "{warm} are kept");
        }
    }

    #[test]
    fn what_is_used_between_turns_stays() {
        let busy = Warm::new();
        let mut made = 0;
        for at in 0..WARM_MAX * 3 {
            let make = || {
                made += 1;
                Ok::<_, ()>(made)
            };
            busy.with(make, |_| ()).unwrap();
            Warm::new().with(|| Ok::<_, ()>(at), |_| ()).unwrap();
        }
        assert!(made <= 2, "it was worked out {made} times");
    }

    #[test]
    fn a_dropped_key_takes_its_form_along() {
        let form = Arc::new(());
        let seen = Arc::downgrade(&form);
        let warm = Warm::new();
        warm.with(|| Ok::<_, ()>(form), |_| ()).unwrap();
        assert!(seen.upgrade().is_some());
        drop(warm);
        assert!(seen.upgrade().is_none());
    }
}
