//! Freed memory, locked memory, and the settings of the process.
//!
//! An allocator looks through every freed block for a canary, so that a copy left behind by any path is found.
#![expect(unsafe_code, reason = "a test allocator and a look at raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crypto::aead::*;
use crypto::id::{BlobId, KeyId, TenantId};
use crypto::seam::SystemEntropy;
use crypto::secret::{LockedKey, SecretBytes, SecretText, harden_process, lock_failures};

/// Nothing but the tests of this file has these bytes. Written as its complement, so that the program's own image and
/// literals do not hold it.
const COMPLEMENT: [u8; 16] =
    [0x9c, 0x9e, 0x91, 0x9e, 0x8d, 0x86, 0xd2, 0x88, 0x96, 0x93, 0x93, 0xd2, 0x96, 0xd2, 0x9d, 0x9a];
static FOUND: AtomicUsize = AtomicUsize::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Searching;

// SAFETY: hands everything to the system allocator; before a block is freed it is only read.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that reading all of a freed block reads nothing uninitialised.
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is live until the call below and was zeroed when it was made.
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        let canary = |window: &[u8]| window.iter().zip(COMPLEMENT).all(|(byte, not)| *byte == !not);
        if bytes.windows(16).any(canary) {
            FOUND.fetch_add(1, Ordering::SeqCst);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

fn canary() -> [u8; 16] {
    COMPLEMENT.map(|byte| !byte)
}

/// Take this first in each test that makes canaries: frees of another thread would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many freed blocks held the canary while `work` ran.
fn leaks(work: impl FnOnce()) -> usize {
    let before = FOUND.load(Ordering::SeqCst);
    work();
    FOUND.load(Ordering::SeqCst) - before
}

#[test]
fn leak_09_the_search_finds_a_planted_leak() {
    let _alone = alone();
    assert_eq!(leaks(|| drop(black_box(canary().to_vec()))), 1);
    assert_eq!(leaks(|| drop(black_box(Box::new((7_u64, canary()))))), 1);
}

#[test]
fn leak_09_dropped_secrets_leave_nothing_behind() {
    let _alone = alone();
    #[expect(dead_code, reason = "only dropped")]
    enum Either {
        Bytes(SecretBytes),
        Text(SecretText),
    }
    let secret = || SecretBytes::from_slice(&canary());
    let text = || secret().into_text().unwrap();
    assert_eq!(leaks(|| drop(black_box(secret()))), 0);
    assert_eq!(leaks(|| drop(black_box(Either::Bytes(secret())))), 0);
    assert_eq!(leaks(|| drop(black_box(Either::Text(text())))), 0);
    assert_eq!(leaks(|| drop(black_box(Box::new(Some(secret()))))), 0);
    assert_eq!(leaks(|| drop(text().duplicate().into_bytes().duplicate())), 0);
    let mut many = Vec::new();
    assert_eq!(leaks(|| (0..100).for_each(|_| many.push(secret()))), 0, "a growing vector moves pointers only");
    assert_eq!(leaks(move || drop(many)), 0);
}

#[test]
fn leak_09_spare_capacity_and_refused_text_are_wiped() {
    let _alone = alone();
    let mut longer = canary().to_vec();
    longer.truncate(1);
    assert_eq!(leaks(move || drop(SecretBytes::new(longer))), 0);
    let mut longer = String::from_utf8(canary().to_vec()).unwrap();
    longer.truncate(1);
    assert_eq!(leaks(move || drop(SecretText::new(longer))), 0);
    let not_text = || [&canary()[..], &[0xff]].concat();
    let bytes = not_text();
    assert_eq!(leaks(move || drop(SecretBytes::new(bytes).into_text().unwrap_err())), 0);
    // Control: the same without the type is found.
    assert_eq!(leaks(move || drop(not_text())), 1);
}

#[test]
fn leak_09_json_text_without_escapes_leaves_one_copy_only() {
    let _alone = alone();
    let json = [b"\"", &canary()[..], b"\""].concat();
    let read = |json: &[u8]| serde_json::from_slice::<SecretText>(json).unwrap();
    assert_eq!(leaks(|| drop(black_box(read(&json)))), 0);
    let object = [b"{\"a\":\"", &canary()[..], b"\",\"b\":1}"].concat();
    // Refused after the secret was read.
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "read by serde only")]
        a: SecretText,
    }
    assert_eq!(leaks(|| assert!(serde_json::from_slice::<Body>(&object).is_err())), 0);
}

#[test]
fn leak_09_keys_and_opened_values_leave_nothing_behind() {
    let _alone = alone();
    let (entropy, id) = (SystemEntropy::new(), KeyId::from_bytes([1; 8]));
    let bytes = || SecretBytes::new([canary(), canary()].concat());
    let place = Aad::blob(TenantId::SYSTEM, BlobId::from_bytes([1; 16]));
    let outer = Key::<TenantKey>::generate(&entropy).unwrap();
    let work = || {
        let data = Key::<DataKey>::from_secret(id, bytes()).unwrap();
        let wrapped = outer.wrap_key(&entropy, place, &data).unwrap();
        drop(outer.unwrap_key::<DataKey>(place, &wrapped).unwrap());
        let _ = outer.unwrap_key::<DataKey>(Aad::seal_root(id), &wrapped).unwrap_err();
        let sealed = data.seal(&entropy, place, &canary()).unwrap();
        assert_eq!(data.open(place, &sealed).unwrap().expose(), canary());
        drop(Key::<RootKey>::from_secret(id, bytes()).unwrap());
        drop(Key::<LogKey>::from_secret(id, bytes()).unwrap());
        drop(Key::<NameKey>::from_secret(id, bytes()).unwrap());
        drop(Key::<CheckpointKey>::from_secret(id, bytes()).unwrap());
        let _ = Key::<RootKey>::from_secret(id, SecretBytes::from_slice(&canary())).unwrap_err();
    };
    assert_eq!(leaks(work), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn leak_08_keys_lie_in_locked_memory_left_out_of_dumps() {
    let keys: Vec<_> = (0..200).map(|_| LockedKey::new(&[7; 32])).collect();
    let locked = status("VmLck:");
    if lock_failures() == 0 {
        assert!(locked >= 8, "200 keys lie on two pages, but {locked} kB are locked");
    } else {
        assert_eq!(locked, 0, "the failures are counted for a reason");
    }
    // The mapping that holds the first key has the flags `lo` (locked) and `dd` (do not dump).
    let at = keys.first().unwrap().expose().as_ptr() as usize;
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let holds = |line: &str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
        matches!(bounds, Some((Ok(from), Ok(to))) if (from..to).contains(&at))
    };
    let flags = maps.lines().skip_while(|line| !holds(line)).find(|line| line.starts_with("VmFlags:")).unwrap();
    assert!(flags.contains(" dd"), "{flags}");
    assert_eq!(flags.contains(" lo"), lock_failures() == 0, "{flags}");
}

#[test]
#[cfg(target_os = "linux")]
fn leak_08_a_hardened_process_writes_no_core() {
    let report = harden_process();
    assert!(report.complete(), "{report:?}");
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core.get(4..6), Some(&["0", "0"][..]), "{core:?}");
}

#[cfg(target_os = "linux")]
fn status(field: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
