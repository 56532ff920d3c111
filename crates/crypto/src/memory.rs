//! Memory that is neither swapped nor dumped, and the process settings that go with it. The only unsafe code here.
//!
//! Limits on locked memory are small (often 64 KiB), so keys share pages: a page holds 128 of them. Pages are never
//! given back.

use core::fmt;
use core::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroize;

const KEY_BYTES: usize = 32;
const PAGE_BYTES: usize = 4096;
const SLOTS: usize = PAGE_BYTES / KEY_BYTES;

static PAGES: Mutex<Vec<Page>> = Mutex::new(Vec::new());
static LOCK_FAILURES: AtomicU64 = AtomicU64::new(0);

/// How many keys were placed in memory that could not be locked, since the process started.
///
/// More than zero means that the system may swap keys out: raise `RLIMIT_MEMLOCK`. A server warns about it at start
/// and shows it as a metric.
#[must_use]
pub fn lock_failures() -> u64 {
    LOCK_FAILURES.load(Ordering::Relaxed)
}

/// A 32-byte key in locked memory that core dumps leave out; wiped on drop.
///
/// Where the system refuses to lock, the key is kept all the same and [`lock_failures`] counts it. No `Clone`;
/// `Debug` prints the type name.
// INVARIANT: `at` is a slot whose bit in its page is set by this value alone, or a leaked box when `place` is none.
pub struct LockedKey {
    at: NonNull<[u8; KEY_BYTES]>,
    place: Option<(usize, usize)>,
}

// SAFETY: the value alone owns its slot, and hands out references only under the borrow rules of `&self`; moving it
// to another thread moves that ownership.
unsafe impl Send for LockedKey {}
// SAFETY: `expose` is the only shared access and only reads.
unsafe impl Sync for LockedKey {}

impl LockedKey {
    /// Copies `bytes` into a slot; wiping the original is the caller's business.
    #[must_use]
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let taken = take_slot();
        if !taken.as_ref().is_some_and(|slot| slot.locked) {
            LOCK_FAILURES.fetch_add(1, Ordering::Relaxed);
        }
        let (at, place) = match taken {
            Some(Slot { at, place, .. }) => (at, Some(place)),
            None => (NonNull::from(Box::leak(Box::new([0; KEY_BYTES]))), None),
        };
        // Never by value: that may leave a copy on the stack, and a future that is made over it carries the copy off.
        // SAFETY: the slot lies inside a live, writable page, and its bit was clear until now, so nothing else refers to
        // it; the leaked box neither. `bytes` is as long and elsewhere.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), at.as_ptr().cast::<u8>(), KEY_BYTES) };
        Self { at, place }
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        // SAFETY: `at` was written by `new` and stays valid and unaliased by writers until drop.
        unsafe { self.at.as_ref() }
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        // SAFETY: `&mut self` proves that no reference from `expose` is alive.
        unsafe { self.at.as_mut() }.zeroize();
        match self.place {
            Some((page, slot)) => {
                let mut pages = PAGES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(page) = pages.get_mut(page) {
                    page.used &= !(1 << slot);
                }
            }
            // SAFETY: without a place `at` came from `Box::leak` and is freed only here.
            None => drop(unsafe { Box::from_raw(self.at.as_ptr()) }),
        }
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKey")
    }
}

/// One mapped page; bit `n` of `used` stands for slot `n`.
struct Page {
    at: NonNull<[u8; KEY_BYTES]>,
    used: u128,
    locked: bool,
}

// SAFETY: the pointer is to memory that is mapped for the life of the process and is reached only through slots.
unsafe impl Send for Page {}

struct Slot {
    at: NonNull<[u8; KEY_BYTES]>,
    place: (usize, usize),
    locked: bool,
}

fn take_slot() -> Option<Slot> {
    let mut pages = PAGES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if pages.iter().all(|page| page.used == u128::MAX) {
        pages.push(Page::map()?);
    }
    let (number, page) = pages.iter_mut().enumerate().find(|(_, page)| page.used != u128::MAX)?;
    let slot = page.used.trailing_ones() as usize;
    debug_assert!(slot < SLOTS, "a page that is not full has a free slot");
    page.used |= 1 << slot;
    // SAFETY: `slot` is below 128 because a bit was clear, so the address lies inside the mapped page.
    let at = unsafe { page.at.add(slot) };
    Some(Slot { at, place: (number, slot), locked: page.locked })
}

#[cfg(unix)]
impl Page {
    fn map() -> Option<Self> {
        // SAFETY: a fresh anonymous private mapping touches no memory that exists.
        let start = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                PAGE_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: start and length are exactly the mapping just made.
        let locked = unsafe { libc::mlock(start, PAGE_BYTES) } == 0;
        #[cfg(target_os = "linux")]
        // SAFETY: as above; the advice changes nothing that the program can see. Refusal only means a fuller core
        // file, which `harden_process` switches off as well.
        unsafe {
            libc::madvise(start, PAGE_BYTES, libc::MADV_DONTDUMP);
        }
        NonNull::new(start.cast()).map(|at| Self { at, used: 0, locked })
    }
}

#[cfg(not(unix))]
impl Page {
    fn map() -> Option<Self> {
        None
    }
}

/// What [`harden_process`] reached, read back from the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a setting that did not take is worth a warning"]
pub struct HardenReport {
    /// Debuggers of the same user cannot attach and core files are not written (`PR_SET_DUMPABLE` 0).
    pub undumpable: bool,
    /// The core file size limit is 0, soft and hard.
    pub core_limit_zero: bool,
}

impl HardenReport {
    /// Whether all settings took.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.undumpable && self.core_limit_zero
    }
}

/// Switches core dumps and attaching off for this process. Call it first thing in `main`.
///
/// Never fails: what the system refused, or does not have, is `false` in the report.
#[cfg(target_os = "linux")]
pub fn harden_process() -> HardenReport {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let mut now = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: prctl with these options takes plain numbers; the two rlimit pointers are to live locals of the right
    // type.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        let read = libc::getrlimit(libc::RLIMIT_CORE, &raw mut now) == 0;
        HardenReport {
            undumpable: libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 0,
            core_limit_zero: read && now.rlim_cur == 0 && now.rlim_max == 0,
        }
    }
}

/// Does nothing on this system and says so.
#[cfg(not(target_os = "linux"))]
pub fn harden_process() -> HardenReport {
    HardenReport { undumpable: false, core_limit_zero: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_key_is_wiped_and_its_slot_used_again() {
        let key = LockedKey::new(&[7; 32]);
        assert_eq!(key.expose(), &[7; 32]);
        assert_eq!(format!("{key:?}"), "LockedKey");
        let (at, place) = (key.at, key.place.unwrap());
        drop(key);
        // SAFETY: pages are never unmapped. Another test may have taken the slot, but never with sevens.
        assert_ne!(unsafe { *at.as_ref() }, [7; 32]);
        let keys: Vec<_> = (0..2 * SLOTS).map(|_| LockedKey::new(&[9; 32])).collect();
        assert!(keys.iter().any(|key| key.place == Some(place)));
        assert!(keys.iter().all(|key| key.expose() == &[9; 32]));
    }
}
