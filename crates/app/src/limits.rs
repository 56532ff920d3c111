//! All limits of use cases, with units. Each is tested at the limit and one past it.

/// Items on one page of a list; 0, absent and more all mean this many.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Children of a folder that can be sorted by name.
pub const SORTED_CHILDREN_MAX: usize = 10_000;
/// Children looked at for one page of a recursive list; past it the page ends early.
pub const LIST_LOOKS_MAX: usize = 10_000;
/// Secrets read in one request.
pub const READ_PATHS_MAX: usize = 1_000;
/// Bytes of values answered in one request.
pub const READ_BYTES_MAX: usize = 32 << 20;
/// Bytes of an idempotency key: printable ASCII.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Bytes of a list cursor's text.
pub const CURSOR_BYTES_MAX: usize = 4_096;
/// Sessions whose facts are kept ready.
pub const SESSIONS_KNOWN_MAX: usize = 16_384;
/// Places of secrets kept ready.
pub const PLACES_KNOWN_MAX: usize = 16_384;
/// Tenant names kept ready.
pub const TENANTS_KNOWN_MAX: usize = 4_096;
/// Values sealed or opened at the same time.
pub const PREPARING_MAX: usize = 64;
/// Requests that wait for their turn to seal or open; one more is refused with `server.busy`.
pub const PREPARE_WAITING_MAX: usize = 1_024;
/// Keys re-wrapped in one step of a sweep.
pub const SWEEP_KEYS_MAX: usize = 500;
/// Entries of the ledger in one answer.
pub const ENTRIES_MAX: usize = 1_000;

/// The page size for what a caller asked for.
pub(crate) fn page(asked: Option<u64>) -> usize {
    match asked.and_then(|asked| usize::try_from(asked).ok()) {
        Some(asked) if (1..=PAGE_ITEMS_MAX).contains(&asked) => asked,
        _ => PAGE_ITEMS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_13_page_sizes_outside_the_range_mean_the_largest_page() {
        assert_eq!(page(None), 1_000);
        assert_eq!(page(Some(0)), 1_000);
        assert_eq!(page(Some(1)), 1);
        assert_eq!(page(Some(1_000)), 1_000);
        assert_eq!(page(Some(1_001)), 1_000);
        assert_eq!(page(Some(1_000_000_000_000)), 1_000);
    }
}
