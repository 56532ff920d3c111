//! All limits of secrets, with units. Each is tested at the limit and one past it.

use crate::record::Labels;
use ledger::Refusal;
use ledger::code::{SECRET_INVALID, SECRET_LIMIT};

/// Bytes of one value.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// Labels of one secret.
pub const LABELS_MAX: usize = 64;
/// Bytes of a label's name; at least 1.
pub const LABEL_NAME_BYTES_MAX: usize = 128;
/// Bytes of a label's value; may be empty.
pub const LABEL_VALUE_BYTES_MAX: usize = 1024;
/// Bytes of all names and values of one secret's labels.
pub const LABELS_BYTES_MAX: usize = 8 << 10;
/// Versions kept when the secret does not say.
pub const VERSIONS_KEPT_DEFAULT: u32 = 10;
/// Versions a secret may keep; at least 1.
pub const VERSIONS_KEPT_MAX: u32 = 100;
/// Keys re-wrapped in one command.
pub const REWRAPS_MAX: usize = 500;
/// Bytes of one `secret.keys.rewrapped` event before the next is begun.
pub const REWRAP_EVENT_BYTES_MAX: usize = 48 << 10;

/// Checks a value's size before it is sealed. Errors: `secret.limit`.
pub fn check_value(bytes: usize) -> Result<(), Refusal> {
    if bytes > VALUE_BYTES_MAX {
        return Err(Refusal::new(&SECRET_LIMIT, format!("the value is longer than {VALUE_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Checks number, sizes and characters of labels. Errors: `secret.limit`, `secret.invalid`; never repeats a label.
pub fn check_labels(labels: &Labels) -> Result<(), Refusal> {
    if labels.len() > LABELS_MAX {
        return Err(Refusal::new(&SECRET_LIMIT, format!("there are more than {LABELS_MAX} labels")));
    }
    let mut all = 0usize;
    for (at, (name, value)) in labels.iter().enumerate() {
        let at = at.saturating_add(1);
        if name.len() > LABEL_NAME_BYTES_MAX || value.len() > LABEL_VALUE_BYTES_MAX {
            return Err(Refusal::new(
                &SECRET_LIMIT,
                format!(
                    "label {at} is longer than {LABEL_NAME_BYTES_MAX} bytes of name or {LABEL_VALUE_BYTES_MAX} of value"
                ),
            ));
        }
        if name.is_empty() || name.chars().chain(value.chars()).any(char::is_control) {
            return Err(Refusal::new(&SECRET_INVALID, format!("label {at} has no name or holds a control character")));
        }
        all = all.saturating_add(name.len()).saturating_add(value.len());
    }
    if all > LABELS_BYTES_MAX {
        return Err(Refusal::new(
            &SECRET_LIMIT,
            format!("the labels together are longer than {LABELS_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}

/// Checks a number of versions to keep: 1 to [`VERSIONS_KEPT_MAX`]. Errors: `secret.invalid`, `secret.limit`.
pub fn check_versions_kept(kept: u32) -> Result<(), Refusal> {
    match kept {
        0 => Err(Refusal::new(&SECRET_INVALID, "max_versions is at least 1")),
        1..=VERSIONS_KEPT_MAX => Ok(()),
        _ => Err(Refusal::new(&SECRET_LIMIT, format!("max_versions is at most {VERSIONS_KEPT_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<(), Refusal>) -> &'static str {
        result.unwrap_err().code.name
    }

    fn labels(count: usize, name: usize, value: usize) -> Labels {
        (0..count).map(|i| (format!("{i:0name$}"), "v".repeat(value))).collect()
    }

    #[test]
    fn a_value_of_one_mebibyte_fits_and_one_byte_more_does_not() {
        assert!(check_value(0).is_ok());
        assert!(check_value(1 << 20).is_ok());
        assert_eq!(refused(check_value((1 << 20) + 1)), "secret.limit");
    }

    #[test]
    fn labels_hold_at_each_limit_and_not_one_past() {
        assert!(check_labels(&labels(64, 8, 8)).is_ok());
        assert_eq!(refused(check_labels(&labels(65, 8, 8))), "secret.limit");
        assert!(check_labels(&labels(1, 128, 1024)).is_ok());
        assert_eq!(refused(check_labels(&labels(1, 129, 0))), "secret.limit");
        assert_eq!(refused(check_labels(&labels(1, 8, 1025))), "secret.limit");
        assert!(check_labels(&labels(8, 24, 1000)).is_ok());
        let mut full = labels(8, 24, 1000);
        full.insert("x".into(), String::new());
        assert_eq!(refused(check_labels(&full)), "secret.limit");
        assert_eq!(refused(check_labels(&[(String::new(), "v".into())].into())), "secret.invalid");
        assert_eq!(refused(check_labels(&[("a".into(), "b\nc".into())].into())), "secret.invalid");
    }

    #[test]
    fn one_to_a_hundred_versions_may_be_kept() {
        assert_eq!(refused(check_versions_kept(0)), "secret.invalid");
        assert!(check_versions_kept(1).is_ok());
        assert!(check_versions_kept(100).is_ok());
        assert_eq!(refused(check_versions_kept(101)), "secret.limit");
    }
}
