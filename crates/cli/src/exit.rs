//! Exit codes: one table from error class to code.

use api::Class;

/// Everything went well.
pub(crate) const OK: u8 = 0;
/// `diff` found differences, `policy explain` says no.
pub(crate) const DIFFERENT: u8 = 1;
/// `run` failed before the program ran.
pub(crate) const RUN_FAILED: u8 = 125;
/// `run` found the program and could not execute it.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run` did not find the program.
pub(crate) const NOT_FOUND: u8 = 127;

/// The exit code for a class of error.
pub(crate) const fn code(class: Class) -> u8 {
    match class {
        Class::Invalid => 2,
        Class::Unauthenticated => 3,
        Class::Denied => 4,
        Class::NotFound => 5,
        Class::Conflict => 6,
        Class::Limited | Class::Unavailable => 7,
        Class::Sealed => 8,
        Class::Unknown => 9,
        Class::Corrupt | Class::Bug => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_03_each_class_has_its_exit_code() {
        for (class, wanted) in [
            (Class::Invalid, 2),
            (Class::Unauthenticated, 3),
            (Class::Denied, 4),
            (Class::NotFound, 5),
            (Class::Conflict, 6),
            (Class::Limited, 7),
            (Class::Sealed, 8),
            (Class::Unavailable, 7),
            (Class::Unknown, 9),
            (Class::Corrupt, 10),
            (Class::Bug, 10),
        ] {
            assert_eq!(code(class), wanted, "{class:?}");
        }
    }
}
