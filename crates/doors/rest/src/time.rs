//! Times and durations as they stand on the wire.

use api::{Timestamp, Ttl};
use app::Refusal;
use app::code::Code;
use crypto::WallMs;
use std::time::Duration;

/// RFC 3339 in UTC with milliseconds, as times stand on the wire. Times past the year 9999 show as its end.
pub fn shown(time: WallMs) -> Timestamp {
    const LAST_MS: u64 = 253_402_300_799_999;
    let ms = time.0.min(LAST_MS);
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    let mut text = String::with_capacity(24);
    let parts = [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (hour, 2, ':'),
        (minute, 2, ':'),
        (second, 2, '.'),
        (in_day % 1000, 3, 'Z'),
    ];
    for (number, width, after) in parts {
        digits(&mut text, number, width);
        text.push(after);
    }
    Timestamp(text)
}

/// The last `width` decimal digits, without the machinery of `format!`: every answer has a time.
fn digits(text: &mut String, number: u64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        text.push(u8::try_from(digit).map_or('0', |digit| char::from(b'0' + digit)));
    }
}

/// Days since 1970 as year, month, day. Source: Howard Hinnant, `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Reads a time; RFC 3339 with any offset. Errors: this code, without the text.
pub(crate) fn read(text: &Timestamp, code: &'static Code, field: &str) -> Result<WallMs, Refusal> {
    let wrong = || Refusal::new(code, format!("`{field}` is not a time such as 2026-03-01T09:30:00.000Z"));
    let time: jiff::Timestamp = text.0.parse().map_err(|_bad| wrong())?;
    u64::try_from(time.as_millisecond()).map(WallMs).map_err(|_bad| wrong())
}

/// Reads a duration with its unit; at least 1 ms. Errors: this code, without the text.
pub(crate) fn span(text: &Ttl, code: &'static Code, field: &str) -> Result<Duration, Refusal> {
    let wrong =
        || Refusal::new(code, format!("`{field}` is not a duration such as \"90s\", \"15m\", \"24h\" or \"30d\""));
    let digits = text.0.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.0.split_at_checked(digits).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_bad| wrong())?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_s).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::code::SESSION_INVALID;

    #[test]
    fn a_time_shows_as_another_implementation_shows_it() {
        for ms in (0..4_000_000_000_000).step_by(12_345_678_901).chain([0, 951_782_400_000, 253_402_207_199_999]) {
            let other = jiff::Timestamp::from_millisecond(ms).unwrap();
            let wanted = format!("{other:.3}");
            assert_eq!(shown(WallMs(u64::try_from(ms).unwrap())).0, wanted);
            assert_eq!(read(&Timestamp(wanted), &SESSION_INVALID, "at").unwrap().0, u64::try_from(ms).unwrap());
        }
        assert_eq!(shown(WallMs(u64::MAX)).0, "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn a_duration_needs_its_unit_and_is_never_zero() {
        for (text, wanted) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("1d", Some(86_400)),
            ("0s", None),
            ("5", None),
            ("-1s", None),
            ("1w", None),
            ("", None),
        ] {
            let read = span(&Ttl(text.to_owned()), &SESSION_INVALID, "ttl").ok().map(|span| span.as_secs());
            assert_eq!(read, wanted, "{text}");
        }
        for bad in ["", "now", "2026-03-01", "1969-12-31T23:59:59Z", "1700000000"] {
            assert!(read(&Timestamp(bad.to_owned()), &SESSION_INVALID, "at").is_err(), "{bad}");
        }
    }
}
