//! Limits of this crate, with units.

use std::time::Duration;

/// Most bytes of Cedar text under one name; an entry of the ledger must hold it.
pub const POLICY_BYTES_MAX: usize = 32 * 1024;
/// Most statements under one name.
pub const POLICY_STATEMENTS_MAX: usize = 100;
/// Most nested brackets and `if`s in one statement.
pub const POLICY_DEPTH_MAX: usize = 24;
/// Most of `&&`, `||`, `+`, `-`, `*`, `!` and `.` in one statement: what makes an expression deep without brackets.
pub const POLICY_OPERATORS_MAX: usize = 200;
/// Stack given to the checking of one policy; the deepest text within the bounds needs 10 MiB in a debug build.
pub const POLICY_STACK_BYTES: usize = 24 << 20;
/// Most named policies of one tenant.
pub const POLICIES_MAX: usize = 10_000;
/// Most statements of one tenant.
pub const STATEMENTS_MAX: usize = 20_000;
/// Most bytes in the name of a policy, principal or role.
pub const NAME_BYTES_MAX: usize = 64;
/// Most roles of one principal.
pub const ROLES_MAX: usize = 64;
/// Longest life of a session.
pub const SESSION_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most sessions that one may hang on, each on the next.
pub const SESSION_DEPTH_MAX: usize = 8;
/// Most uses of a session whose uses are counted.
pub const SESSION_USES_MAX: u32 = 1_000_000;
/// Most networks in the bounds of one session.
pub const SESSION_NETWORKS_MAX: usize = 32;
/// Most rules in the scope of one session.
pub const SESSION_SCOPE_MAX: usize = 32;
/// Most tokens taken out of the records by one commit after their time.
pub const SESSION_SWEEP_STEP: usize = 200;
/// Life of a session when none is asked for.
pub const SESSION_TTL_DEFAULT: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest time a one-time login may wait.
pub const LOGIN_TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest time something wrapped may wait.
pub const WRAP_TTL_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most bytes that are wrapped at once, with what goes with them: it stands in one entry.
pub const WRAP_BYTES_MAX: usize = 48 << 10;
/// Remembered outcomes of conditions on resources, over all tenants.
pub const MEMO_MAX: usize = 32_768;
/// Remembered outcomes of conditions that look at no resource, over all tenants.
pub const VERDICTS_MAX: usize = 32_768;
/// Remembered folders, for each principal and act, over all tenants.
pub const FOLDERS_MAX: usize = 16_384;
/// Remembered principals, over all tenants.
pub const SUBJECTS_MAX: usize = 8_192;
/// Remembered lists of candidates per snapshot.
pub const PLANS_MAX: usize = 4_096;
/// Remembered source addresses.
pub const PLACES_MAX: usize = 4_096;
