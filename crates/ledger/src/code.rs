//! Error classes and the one list of error codes.

use crypto::id::OperationId;
use std::fmt;

/// Whose fault a refusal is, whether it may be retried and whether it took effect.
///
/// HTTP statuses and exit codes hang on the class; see ARCHITECTURE.md, errors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Malformed input; no retry, no effect.
    Invalid,
    /// No valid session; retry after login, no effect.
    Unauthenticated,
    /// Not permitted; no retry, no effect.
    Denied,
    /// No such thing for this caller; no effect.
    NotFound,
    /// The state is another than the caller thought; re-read, no effect.
    Conflict,
    /// Too much or too often; retry later, no effect.
    Limited,
    /// The server has no root key; retry later, no effect.
    Sealed,
    /// Something needed cannot be had now; retry later, no effect.
    Unavailable,
    /// May or may not have taken effect; ask with the operation id.
    Unknown,
    /// Stored bytes are damaged; no retry.
    Corrupt,
    /// A defect of ours; no retry.
    Bug,
}

impl Class {
    /// The class's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Class::Invalid => "invalid",
            Class::Unauthenticated => "unauthenticated",
            Class::Denied => "denied",
            Class::NotFound => "not_found",
            Class::Conflict => "conflict",
            Class::Limited => "limited",
            Class::Sealed => "sealed",
            Class::Unavailable => "unavailable",
            Class::Unknown => "unknown",
            Class::Corrupt => "corrupt",
            Class::Bug => "bug",
        }
    }
}

/// A stable error code: `<noun>.<reason>`, its class and HTTP status, and what the caller can do.
#[derive(PartialEq, Eq, Hash, Debug)]
pub struct Code {
    /// Stable name.
    pub name: &'static str,
    /// Class.
    pub class: Class,
    /// HTTP status, where the class allows several.
    pub status: u16,
    /// The next step, one sentence.
    pub hint: &'static str,
}

/// Why something was not done. Safe to show: never holds a value, a key or a foreign name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static Code,
    /// What happened, in one sentence.
    pub detail: String,
    /// The operation to ask about, when the outcome is unknown.
    pub operation: Option<OperationId>,
}

impl Refusal {
    /// A refusal with this code and this sentence.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Refusal {
        Refusal { code, detail: detail.into(), operation: None }
    }

    /// Names the operation whose outcome may be asked for.
    #[must_use]
    pub fn about(mut self, operation: OperationId) -> Refusal {
        self.operation = Some(operation);
        self
    }

    /// The class of its code.
    pub fn class(&self) -> Class {
        self.code.class
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name, self.detail)
    }
}

impl std::error::Error for Refusal {}

impl From<crate::unit::Damaged> for Refusal {
    fn from(damaged: crate::unit::Damaged) -> Refusal {
        Refusal::new(&STORAGE_DAMAGED, damaged.to_string())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $class:ident, $status:literal, $hint:literal;)*) => {
        $($(#[$doc])* pub static $id: Code = Code { name: $name, class: Class::$class, status: $status, hint: $hint };)*
        /// Every code there is.
        pub static ALL: &[&Code] = &[$(&$id),*];
    };
}

codes! {
    /// A request that cannot be read.
    REQUEST_INVALID = "request.invalid", Invalid, 400, "correct the request; the OpenAPI document names each field";
    /// A body past the limit.
    REQUEST_TOO_LARGE = "request.too_large", Invalid, 413, "send less at once";
    /// A body that did not come whole in time.
    REQUEST_INCOMPLETE = "request.incomplete", Invalid, 408, "send the whole body in time; nothing was done";
    /// Headers past the limit.
    REQUEST_HEADERS_TOO_LARGE = "request.headers_too_large", Invalid, 431, "send fewer or shorter headers";
    /// A media type or encoding the route does not take.
    REQUEST_MEDIA_TYPE = "request.media_type", Invalid, 415, "send application/json, or application/octet-stream where the route takes raw bytes";
    /// A route that is shown to other networks only.
    REQUEST_ELSEWHERE = "request.elsewhere", Denied, 403, "ask from a network of `doors.rest.metrics`, or have yours added there";
    /// A verb the route does not have.
    REQUEST_METHOD = "request.method", Invalid, 405, "use one of the verbs in the Allow header";
    /// A route that does not exist.
    ROUTE_NOT_FOUND = "route.not_found", NotFound, 404, "see /api/v1/openapi.json for the routes";
    /// Too many requests.
    REQUEST_LIMITED = "request.limited", Limited, 429, "wait as long as Retry-After says";
    /// A queue is full.
    SERVER_BUSY = "server.busy", Unavailable, 503, "wait as long as Retry-After says and try again";
    /// The server is shutting down.
    SERVER_STOPPING = "server.stopping", Unavailable, 503, "try again; another start will answer";
    /// The request took longer than it may.
    REQUEST_TIMEOUT = "request.timeout", Unknown, 503, "ask for the outcome with the operation id before trying again";
    /// Idempotency key used with another request.
    IDEMPOTENCY_REUSED = "idempotency.reused", Invalid, 422, "use a new Idempotency-Key for a new request";
    /// Idempotency key missing where it is required.
    IDEMPOTENCY_REQUIRED = "idempotency.required", Invalid, 400, "send an Idempotency-Key header; any unique text of up to 255 characters";
    /// A path that is not in canonical form.
    PATH_INVALID = "path.invalid", Invalid, 400, "write the path in its canonical form: 1 to 32 segments split by `/`, no `.`, `..`, `%`, `\\` or control characters";
    /// A list cursor that was not issued for this query.
    CURSOR_INVALID = "cursor.invalid", Invalid, 400, "start the list again without a cursor";
    /// No or no valid session.
    AUTH_REQUIRED = "auth.required", Unauthenticated, 401, "log in and send the session token as a bearer token";
    /// Not permitted by policy.
    POLICY_DENIED = "policy.denied", Denied, 403, "ask an owner to grant the right; `aumbry policy put` writes one";
    /// The policy text is not valid.
    POLICY_INVALID = "policy.invalid", Invalid, 400, "correct the name, or the Cedar text at the line named";
    /// No such policy.
    POLICY_NOT_FOUND = "policy.not_found", NotFound, 404, "list the policies with `aumbry policy list`";
    /// A policy that belongs to the product.
    POLICY_BUILT_IN = "policy.built_in", Denied, 403, "built-in policies cannot be changed; write one of your own";
    /// Rules by which no password is made.
    PASSWORD_POLICY_INVALID = "password_policy.invalid", Invalid, 400, "correct the field named";
    /// No such password policy.
    PASSWORD_POLICY_NOT_FOUND = "password_policy.not_found", NotFound, 404, "list them with `aumbry password-policy list`";
    /// No such secret or version.
    SECRET_NOT_FOUND = "secret.not_found", NotFound, 404, "list what is there with `aumbry list`";
    /// The secret or version is deleted.
    SECRET_DELETED = "secret.deleted", NotFound, 404, "bring it back with `aumbry undelete`";
    /// The version is purged.
    SECRET_PURGED = "secret.purged", NotFound, 404, "a purged version cannot be brought back";
    /// The secret is past its expiry.
    SECRET_EXPIRED = "secret.expired", NotFound, 404, "write a new version or move the expiry";
    /// Check-and-set failed.
    SECRET_VERSION_CONFLICT = "secret.version_conflict", Conflict, 409, "read the current version and try again";
    /// The secret changed state so that this verb does not apply.
    SECRET_STATE_CONFLICT = "secret.state_conflict", Conflict, 409, "look at the versions and try again";
    /// A value or its metadata past a limit.
    SECRET_LIMIT = "secret.limit", Invalid, 413, "stay within the limit that is named; a longer value goes in parts under several paths";
    /// Metadata that does not fit.
    SECRET_INVALID = "secret.invalid", Invalid, 400, "correct the field named";
    /// A reference in a value that cannot be resolved.
    REFERENCE_INVALID = "reference.invalid", Conflict, 409, "correct the reference in the value, or read the value without resolving it";
    /// No such session, or not one of the caller's.
    SESSION_NOT_FOUND = "session.not_found", NotFound, 404, "list your own session with `aumbry session show`";
    /// A duration that is not allowed.
    SESSION_INVALID = "session.invalid", Invalid, 400, "correct the field named";
    /// More than the session it comes from has.
    SESSION_BEYOND = "session.beyond", Denied, 403, "ask for what your own session has, or less";
    /// A session that derives none.
    SESSION_COUNTED = "session.counted", Conflict, 409, "derive from a session without `uses`";
    /// A session whose end stays.
    SESSION_NOT_RENEWABLE = "session.not_renewable", Conflict, 409, "log in again, or ask for a session with a longer `max_ttl`";
    /// A session that is bound to other networks.
    SESSION_ELSEWHERE = "session.elsewhere", Denied, 403, "use the session from the networks it was made for";
    /// A one-time login that does not open.
    LOGIN_REFUSED = "auth.login_refused", Unauthenticated, 401, "use a fresh one-time login; each opens once and for a limited time";
    /// A token that unwraps nothing.
    WRAP_REFUSED = "wrap.refused", Unauthenticated, 401, "ask for a fresh one; each opens once, for a limited time, in the tenant it was made in";
    /// Something wrapped that was opened before.
    WRAP_OPENED = "wrap.opened", Conflict, 409, "unless it was you, others know what was in it: replace it, and see the events `auth.wrap.*`";
    /// No such principal.
    PRINCIPAL_NOT_FOUND = "principal.not_found", NotFound, 404, "list the principals with `aumbry principal list`";
    /// A principal that does not fit.
    PRINCIPAL_INVALID = "principal.invalid", Invalid, 400, "correct the field named";
    /// A principal that may not log in.
    PRINCIPAL_DISABLED = "principal.disabled", Conflict, 409, "enable the principal first";
    /// Something only an owner may do, because it concerns an owner.
    PRINCIPAL_OWNER_ONLY = "principal.owner_only", Denied, 403, "ask an owner";
    /// An identity or a name that is another's already.
    PRINCIPAL_TAKEN = "principal.taken", Conflict, 409, "look at the principals with `aumbry principal list`";
    /// Disabling or demoting oneself.
    PRINCIPAL_SELF = "principal.self", Conflict, 409, "ask another owner";
    /// A second first start.
    AUTH_ALREADY_SET_UP = "auth.already_set_up", Conflict, 409, "log in as the owner; an operator of the host can mint a login";
    /// No such tenant for this caller.
    TENANT_NOT_FOUND = "tenant.not_found", NotFound, 404, "name a tenant you belong to in Aumbry-Tenant; the house's owner sees all with `aumbry tenant list`";
    /// A tenant in which nothing may be done for now.
    TENANT_SUSPENDED = "tenant.suspended", Denied, 403, "ask whoever runs the house to resume the tenant";
    /// A tenant that is being emptied.
    TENANT_DELETING = "tenant.deleting", Conflict, 409, "wait until it is gone; its name is free then";
    /// A tenant's name that is another's.
    TENANT_TAKEN = "tenant.taken", Conflict, 409, "choose another name; `aumbry tenant list` shows those taken";
    /// A tenant that cannot be made or changed so.
    TENANT_INVALID = "tenant.invalid", Invalid, 400, "correct the field named";
    /// A tenant that asks as often as it may.
    TENANT_QUOTA = "tenant.quota", Limited, 429, "slow down, or ask whoever runs the house for more";
    /// A tenant that has all it may.
    TENANT_FULL = "tenant.full", Denied, 403, "destroy what is not needed, or ask whoever runs the house for more";
    /// Documents that cannot be applied.
    APPLY_INVALID = "apply.invalid", Invalid, 400, "correct the document named; nothing was applied";
    /// No such operation for this caller.
    OPERATION_NOT_FOUND = "operation.not_found", NotFound, 404, "operations are kept for 24 hours";
    /// A proof or entry outside the tree.
    LEDGER_RANGE = "ledger.range", Invalid, 400, "ask within the size of the newest checkpoint";
    /// A unit larger than a commit may be.
    LEDGER_TOO_LARGE = "ledger.too_large", Invalid, 413, "split the change";
    /// A change the request names has not arrived at this node.
    LEDGER_BEHIND = "ledger.behind", Unavailable, 503, "try again, or ask the node that made the change; check the position named";
    /// The committer's queue is full.
    LEDGER_BUSY = "ledger.busy", Unavailable, 503, "wait as long as Retry-After says and try again";
    /// The store refused or cannot be reached.
    STORAGE_UNAVAILABLE = "storage.unavailable", Unavailable, 503, "try again; the operator finds the cause in the server's log";
    /// A store that a newer version has written.
    STORAGE_NEWER = "storage.newer", Invalid, 400, "start the version that wrote it, or a later one";
    /// The store has no space.
    STORAGE_FULL = "storage.full", Unavailable, 503, "free space on the server's volume; it goes on by itself";
    /// The outcome of a commit is not known.
    STORAGE_UNKNOWN = "storage.unknown", Unknown, 503, "ask GET /api/v1/operations/{id} whether it was applied";
    /// Damaged stored bytes.
    STORAGE_DAMAGED = "storage.damaged", Corrupt, 500, "run `aumbry ledger verify --data-dir DIR --seal-file FILE` and restore what it names";
    /// No access log sink takes rows.
    ACCESS_LOG_UNAVAILABLE = "access_log.unavailable", Unavailable, 503, "make a sink writable again; nothing is served unrecorded";
    /// An outcome that no row of the access log has.
    ACCESS_OUTCOME_UNKNOWN = "access.outcome_unknown", Invalid, 400, "name one of the outcomes listed";
    /// The server has no root key.
    SEAL_SEALED = "seal.sealed", Sealed, 503, "wait until its operators have unsealed it: `aumbry operator unseal`";
    /// A share that is not accepted.
    SEAL_SHARE = "seal.share", Invalid, 400, "give another share, of the set that is named; those accepted before stay";
    /// A number of shares or a threshold that cannot be.
    SEAL_SHARES_INVALID = "seal.shares_invalid", Invalid, 400, "ask for 2 to 255 shares and a threshold from 2 up to their number";
    /// Unsealing or beginning what is open.
    SEAL_OPEN = "seal.open", Conflict, 409, "nothing needs to be done: the server is open";
    /// Beginning a store that is there.
    SEAL_INITIALISED = "seal.initialised", Conflict, 409, "unseal it with the shares of its set: `aumbry operator unseal`";
    /// Something that this kind of seal does not have.
    SEAL_KIND = "seal.kind", Conflict, 409, "see `aumbry status` for the kind of seal that is in force";
    /// Another ceremony is under way, or the one that is named is not.
    SEAL_CEREMONY = "seal.ceremony", Conflict, 409, "end or cancel the ceremony that is under way, with its nonce";
    /// The key file does not open the root key, or is not as it must be.
    SEAL_INVALID = "seal.invalid", Sealed, 503, "start with the key file that belongs to this store";
    /// A key that is in use or in rotation.
    KEY_BUSY = "key.busy", Conflict, 409, "wait for the running rotation to end; `aumbry keys list` shows it";
    /// There is no such backup.
    BACKUP_NOT_FOUND = "backup.not_found", NotFound, 404, "list the backups to see which there are";
    /// A backup is being made, checked or removed.
    BACKUP_BUSY = "backup.busy", Conflict, 409, "wait until the running backup has ended; the list shows it";
    /// A backup could not be written or read.
    BACKUP_FAILED = "backup.failed", Unavailable, 503, "look at the volume of the backup folder; the server's log says more";
    /// What is no backup.
    BACKUP_UNREADABLE = "backup.unreadable", Invalid, 400, "name a file that a backup was written to";
    /// A backup asked of a node that does not fold.
    BACKUP_ELSEWHERE = "backup.elsewhere", Unavailable, 503, "ask the node that folds: `aumbry cluster status` shows it";
    /// A backup of a later version.
    BACKUP_NEWER = "backup.newer", Invalid, 400, "use the version that made it, or a later one";
    /// A backup that this seal does not open.
    BACKUP_FOREIGN = "backup.foreign", Invalid, 400, "use the seal that was in force when the backup was made";
    /// A backup that is not as it was written.
    BACKUP_DAMAGED = "backup.damaged", Corrupt, 500, "use another backup; this one is not as it was written";
    /// No randomness.
    ENTROPY_FAILED = "entropy.failed", Unavailable, 503, "the server's random source failed; nothing was made";
    /// A key reached its limit of encryptions.
    KEY_EXHAUSTED = "key.exhausted", Unavailable, 503, "rotate the tenant's keys with `aumbry keys rotate`";
    /// A defect of ours.
    BUG = "server.bug", Bug, 500, "report the request id; nothing of the cause is shown here";
}
