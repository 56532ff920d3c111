//! All limits of use cases, with units. Each is tested at the limit and one past it.

use ledger::Refusal;
use ledger::code::REQUEST_INVALID;

/// Items on one page of a list, entries of the ledger included; absent means this many.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// Children of a folder that can be sorted by name.
pub const SORTED_CHILDREN_MAX: usize = 10_000;
/// Children looked at for one page of a recursive list; past it the page ends early.
pub const LIST_LOOKS_MAX: usize = 10_000;
/// Characters or bytes of a value made by the server.
pub const GENERATED_LENGTH_MAX: usize = 4_096;
/// Weakest value made by the server, in bits.
pub const GENERATED_BITS_MIN: usize = 64;
/// Bytes of the characters that a named password policy excludes; every printable one fits.
pub const EXCLUDED_BYTES_MAX: usize = 128;
/// Secrets read in one request.
pub const READ_PATHS_MAX: usize = 1_000;
/// Secrets written in one request.
pub const IMPORT_ITEMS_MAX: usize = 1_000;
/// Secrets copied in one request; moving changes twice as many records as one commit takes, and so half of that.
pub const COPY_ITEMS_MAX: usize = 999;
/// Bytes of values written in one request: with what goes with them they fit one commit.
pub const IMPORT_BYTES_MAX: usize = 5 << 20;
/// References followed from one to the next.
pub const RESOLVE_DEPTH_MAX: usize = 8;
/// References followed in one request.
pub const RESOLVE_COUNT_MAX: usize = 256;
/// Characters of a pattern that names are searched for.
pub const PATTERN_CHARS_MAX: usize = 128;
/// Bytes of values answered in one request.
pub const READ_BYTES_MAX: usize = 32 << 20;
/// Bytes of an idempotency key: printable ASCII.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Bytes of a list cursor's text.
pub const CURSOR_BYTES_MAX: usize = 4_096;
/// Sessions whose facts are kept ready.
pub const SESSIONS_KNOWN_MAX: usize = 16_384;
/// Secrets whose last read is noted before it is kept; of more in a minute it is lost.
pub const USES_NOTED_MAX: usize = 16_384;
/// Places of secrets kept ready.
pub const PLACES_KNOWN_MAX: usize = 16_384;
/// Tenant names kept ready.
pub const TENANTS_KNOWN_MAX: usize = 4_096;
/// Values sealed or opened at the same time.
pub const PREPARING_MAX: usize = 64;
/// Requests that wait for their turn to seal or open; one more is refused with `server.busy`.
pub const PREPARE_WAITING_MAX: usize = 1_024;
/// Key pairs that take long to make, made at the same time.
pub const MAKING_MAX: usize = 2;
/// Requests that wait for their turn to make one; one more is refused with `server.busy`.
pub const MAKING_WAITING_MAX: usize = 64;
/// Keys re-wrapped in one step of a sweep.
pub const SWEEP_KEYS_MAX: usize = 500;

/// The page size for what a caller asked for, the largest if nothing. Errors: `request.invalid` outside the range.
pub(crate) fn page(asked: Option<u64>) -> Result<usize, Refusal> {
    let within = |asked: &usize| (1..=PAGE_ITEMS_MAX).contains(asked);
    match asked.map(|asked| usize::try_from(asked).ok().filter(within)) {
        None => Ok(PAGE_ITEMS_MAX),
        Some(Some(asked)) => Ok(asked),
        Some(None) => Err(Refusal::new(&REQUEST_INVALID, format!("`limit` is 1 to {PAGE_ITEMS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_13_a_page_size_outside_the_range_is_refused_with_the_range() {
        assert_eq!(page(None), Ok(1_000));
        assert_eq!(page(Some(1)), Ok(1));
        assert_eq!(page(Some(1_000)), Ok(1_000));
        for outside in [0, 1_001, 1_000_000_000_000, u64::MAX] {
            let told = page(Some(outside)).unwrap_err();
            assert_eq!(
                (told.code.name, told.detail.as_str()),
                ("request.invalid", "`limit` is 1 to 1000"),
                "{outside}"
            );
        }
    }
}
