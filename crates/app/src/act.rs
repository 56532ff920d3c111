//! What can be asked for: one table of acts, and an act with what it is about.

use access::{Action, Part, PasswordPolicyName, PolicyName, PrincipalName, Resource};
use crypto::id::SessionId;
use ledger::code::REQUEST_INVALID;
use ledger::{Path, Prefix, Refusal};
use std::sync::LazyLock;

/// How an act goes: decides what is checked before it and where its row stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Changes nothing; one row with its outcome.
    Read,
    /// Changes something; one row that names its entry.
    Change,
    /// Changes something and answers with something made just now; needs an idempotency key.
    Mint,
}

/// A line of the table of acts.
#[derive(PartialEq, Eq, Debug)]
pub struct ActKind {
    /// Name in rows of the access log.
    pub name: &'static str,
    /// Rights of which one is enough, the widest first, unless the act names one for each thing it touches; none for a login.
    pub rights: &'static [Action],
    /// How it goes.
    pub mode: Mode,
    /// Whether only principals of the house's own tenant may do it.
    pub cluster: bool,
    /// Whether it must go on when the log's disk is full.
    pub urgent: bool,
}

macro_rules! acts {
    ($($(#[$doc:meta])* $id:ident = $name:literal, [$($right:ident),*], $mode:ident $(, $flag:ident)*;)*) => {
        $($(#[$doc])* static $id: ActKind = ActKind {
            $($flag: true,)*
            ..ActKind { name: $name, rights: &[$(Action::$right),*], mode: Mode::$mode, cluster: false, urgent: false }
        };)*
        /// Every act there is.
        pub static ACTS: &[&ActKind] = &[$(&$id),*];
    };
}

acts! {
    /// Read a value.
    SECRET_READ = "secret.read", [SecretRead], Read;
    /// See metadata.
    SECRET_METADATA = "secret.metadata", [SecretMetadata], Read;
    /// See versions.
    SECRET_VERSIONS = "secret.versions", [SecretMetadata], Read;
    /// List a folder.
    SECRET_LIST = "secret.list", [SecretList], Read;
    /// Write a version.
    SECRET_WRITE = "secret.write", [SecretWrite], Change;
    /// Write a version with a value made by the server.
    SECRET_GENERATE = "secret.generate", [SecretWrite], Change;
    /// Write a version that copies an older one.
    SECRET_ROLLBACK = "secret.rollback", [SecretWrite], Change;
    /// Hide.
    SECRET_DELETE = "secret.delete", [SecretDelete], Change, urgent;
    /// Bring back.
    SECRET_UNDELETE = "secret.undelete", [SecretUndelete], Change;
    /// Destroy.
    SECRET_PURGE = "secret.purge", [SecretPurge], Change, urgent;
    /// Change metadata.
    SECRET_ANNOTATE = "secret.annotate", [SecretAnnotate], Change;
    /// Write a version that changes fields of the newest one.
    SECRET_PATCH = "secret.patch", [SecretWrite], Change;
    /// Find secrets below a folder.
    SECRET_SEARCH = "secret.search", [SecretList], Read;
    /// Write many secrets, all or none.
    SECRET_IMPORT = "secret.import", [SecretWrite], Change;
    /// Copy secrets to other paths.
    SECRET_COPY = "secret.copy", [SecretRead, SecretWrite, SecretList], Change;
    /// Copy secrets to other paths and hide them where they were.
    SECRET_MOVE = "secret.move", [SecretRead, SecretWrite, SecretDelete, SecretList], Change;
    /// Find out what writing many secrets would do.
    SECRET_IMPORT_CHECK = "secret.import_check", [SecretWrite], Read;
    /// See a policy.
    POLICY_READ = "policy.read", [PolicyRead], Read;
    /// List policies.
    POLICY_LIST = "policy.list", [PolicyRead], Read;
    /// Ask what a principal may do and why.
    POLICY_EXPLAIN = "policy.explain", [PolicyRead], Read;
    /// Ask questions as they would be answered after a change.
    POLICY_TEST = "policy.test", [PolicyRead], Read;
    /// Ask whose access a change would alter.
    POLICY_DIFF = "policy.diff", [PolicyRead], Read;
    /// Ask who may do something.
    POLICY_WHO = "policy.who", [PolicyRead], Read;
    /// Put a policy.
    POLICY_WRITE = "policy.write", [PolicyWrite], Change;
    /// Remove a policy.
    POLICY_REMOVE = "policy.remove", [PolicyWrite], Change, urgent;
    /// See a principal.
    PRINCIPAL_READ = "principal.read", [PrincipalRead], Read;
    /// List principals.
    PRINCIPAL_LIST = "principal.list", [PrincipalRead], Read;
    /// Make, change or disable a principal.
    PRINCIPAL_WRITE = "principal.write", [PrincipalWrite], Change, urgent;
    /// Trade a one-time login for a session.
    SESSION_LOGIN = "session.login", [], Mint;
    /// Make a session for a principal.
    SESSION_ISSUE = "session.issue", [SessionIssue], Mint;
    /// See one's own session.
    SESSION_SELF = "session.self", [SessionOwn], Read;
    /// See a session, one's own or, with the right, another's.
    SESSION_READ = "session.read", [SessionRead, SessionOwn], Read;
    /// List sessions, one's own or, with the right, all.
    SESSION_LIST = "session.list", [SessionRead, SessionOwn], Read;
    /// Derive a session from one's own.
    SESSION_DERIVE = "session.derive", [SessionDerive], Mint;
    /// Put a session's end off.
    SESSION_RENEW = "session.renew", [SessionRenew, SessionOwn], Change;
    /// End a session.
    SESSION_REVOKE = "session.revoke", [SessionRevoke, SessionOwn], Change, urgent;
    /// Wrap a text, or a secret that may be read.
    WRAP_MAKE = "wrap.make", [WrapMake, SecretRead], Mint;
    /// Open something wrapped.
    WRAP_OPEN = "wrap.open", [], Mint;
    /// Read checkpoint, key, proofs and tiles.
    LEDGER_READ = "ledger.read", [LedgerRead], Read;
    /// Read entries: all of them with the wider right, else the tenant's own.
    LEDGER_ENTRIES = "ledger.entries", [LedgerEntries, LedgerRead], Read;
    /// Query the access log.
    ACCESS_READ = "access.read", [AccessRead], Read;
    /// See the segments of the access log, which hold rows of every tenant.
    ACCESS_SEGMENTS = "access.segments", [AccessRead], Read, cluster;
    /// See keys and rotation.
    KEY_READ = "key.read", [KeyRead], Read;
    /// See the nodes that share the store.
    NODE_LIST = "node.list", [NodeRead], Read, cluster;
    /// Rotate the tenant's keys.
    KEY_ROTATE_TENANT = "key.rotate", [KeyRotate], Change;
    /// Rotate the root key.
    KEY_ROTATE_ROOT = "key.rotate_root", [KeyRotate], Change, cluster;
    /// Replace the seal's key.
    SEAL_REKEY = "seal.rekey", [SealAdmin], Change, cluster, urgent;
    /// See a tenant.
    TENANT_READ = "tenant.read", [TenantRead], Read, cluster;
    /// List tenants.
    TENANT_LIST = "tenant.list", [TenantRead], Read, cluster;
    /// Make a tenant.
    TENANT_CREATE = "tenant.create", [TenantWrite], Mint, cluster;
    /// Make a one-time login for a tenant's owner.
    TENANT_LOGIN = "tenant.login", [TenantLogin], Mint, cluster;
    /// Suspend, resume or limit a tenant.
    TENANT_CHANGE = "tenant.change", [TenantWrite], Change, cluster, urgent;
    /// Delete a tenant.
    TENANT_DELETE = "tenant.delete", [TenantDelete], Change, cluster, urgent;
    /// See what applying documents would do.
    APPLY_PLAN = "apply.plan", [ApplyRead, ApplyWrite], Read;
    /// Apply documents.
    APPLY = "apply.apply", [ApplyWrite], Change;
    /// See a password policy.
    PASSWORD_POLICY_READ = "password_policy.read", [PasswordPolicyRead], Read;
    /// List password policies.
    PASSWORD_POLICY_LIST = "password_policy.list", [PasswordPolicyRead], Read;
    /// Put a password policy.
    PASSWORD_POLICY_WRITE = "password_policy.write", [PasswordPolicyWrite], Change;
    /// Remove a password policy.
    PASSWORD_POLICY_REMOVE = "password_policy.remove", [PasswordPolicyWrite], Change;
    /// See which backups there are.
    BACKUP_LIST = "backup.list", [BackupRead], Read, cluster;
    /// Fetch a piece of a backup.
    BACKUP_READ = "backup.read", [BackupRead], Read, cluster;
    /// Make a backup.
    BACKUP_CREATE = "backup.create", [BackupCreate], Change, cluster;
    /// Remove a backup.
    BACKUP_REMOVE = "backup.remove", [BackupRemove], Change, cluster;
    /// Let go of the root key until its shares are given.
    OPERATOR_SEAL = "operator.seal", [SealAdmin], Change, cluster, urgent;
    /// Begin to replace the seal's key by a new set of shares, or by a file.
    OPERATOR_REKEY = "operator.rekey", [SealAdmin], Change, cluster, urgent;
    /// See the ceremony that is under way.
    OPERATOR_CEREMONIES = "operator.ceremonies", [SealAdmin], Read, cluster;
    /// Give a share to a ceremony.
    OPERATOR_GIVE = "operator.give", [SealAdmin], Change, cluster, urgent;
    /// Give a ceremony up.
    OPERATOR_CANCEL = "operator.cancel", [SealAdmin], Change, cluster, urgent;
    /// Ask what became of an operation.
    OPERATION_READ = "operation.read", [OperationOwn], Read;
}

/// Whether a right is one over the whole house, so that in another tenant nobody has it, whatever policies say there.
pub(crate) fn over_the_house(right: Action) -> bool {
    static ALL: LazyLock<Vec<Action>> = LazyLock::new(|| {
        let only = |right: &Action| {
            let mut acts = ACTS.iter().filter(|kind| kind.rights.contains(right)).peekable();
            acts.peek().is_some() && acts.all(|kind| kind.cluster)
        };
        let wide = |right: &Action| *right == Action::LedgerEntries || only(right);
        Action::ALL.iter().copied().filter(wide).collect()
    });
    ALL.contains(&right)
}

/// What an act is done to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    One(Resource),
    Secrets(Vec<Path>),
    /// Several things, with the right that is needed on each.
    Each(Vec<(Action, Resource)>),
    /// The caller's session or another, by id.
    Session(SessionId),
    /// A tenant of the house, by name.
    Tenant(Box<str>),
    /// Nobody is logged in yet.
    Login,
}

/// One thing asked for: an act and what it is about. Rights are checked for exactly this, and exactly this is done.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "an act does nothing until it is passed to App::act"]
pub struct Act {
    pub(crate) kind: &'static ActKind,
    pub(crate) target: Target,
    pub(crate) version: Option<u64>,
    /// Whether it says which version it replaces: `context.cas` of policies.
    pub(crate) insists: bool,
}

impl Act {
    fn of(kind: &'static ActKind, resource: Resource) -> Act {
        Act { kind, target: Target::One(resource), version: None, insists: false }
    }

    fn system(kind: &'static ActKind, part: Part) -> Act {
        Act::of(kind, Resource::System(part))
    }

    /// Read a secret's value, the newest or one version.
    pub fn secret_read(path: Path, version: Option<u64>) -> Act {
        Act { version, ..Act::of(&SECRET_READ, Resource::Secret(path)) }
    }

    /// Read several secrets' newest values. Errors: `request.invalid` for none or too many.
    pub fn secret_read_many(paths: Vec<Path>) -> Result<Act, Refusal> {
        Act::several(&SECRET_READ, paths, crate::limits::READ_PATHS_MAX)
    }

    fn several(kind: &'static ActKind, paths: Vec<Path>, most: usize) -> Result<Act, Refusal> {
        if paths.is_empty() || paths.len() > most {
            return Err(Refusal::new(&REQUEST_INVALID, format!("name 1 to {most} paths")));
        }
        Ok(Act { kind, target: Target::Secrets(paths), version: None, insists: false })
    }

    /// See a secret's metadata.
    pub fn secret_metadata(path: Path) -> Act {
        Act::of(&SECRET_METADATA, Resource::Secret(path))
    }

    /// See a secret's versions.
    pub fn secret_versions(path: Path) -> Act {
        Act::of(&SECRET_VERSIONS, Resource::Secret(path))
    }

    /// List a folder.
    pub fn secret_list(folder: Prefix) -> Act {
        Act::of(&SECRET_LIST, Resource::Folder(folder))
    }

    /// Write a secret.
    pub fn secret_write(path: Path) -> Act {
        Act::of(&SECRET_WRITE, Resource::Secret(path))
    }

    /// Write a secret with a value made by the server.
    pub fn secret_generate(path: Path) -> Act {
        Act::of(&SECRET_GENERATE, Resource::Secret(path))
    }

    /// Roll a secret back.
    pub fn secret_rollback(path: Path) -> Act {
        Act::of(&SECRET_ROLLBACK, Resource::Secret(path))
    }

    /// Delete a secret.
    pub fn secret_delete(path: Path) -> Act {
        Act::of(&SECRET_DELETE, Resource::Secret(path))
    }

    /// Undelete a secret.
    pub fn secret_undelete(path: Path) -> Act {
        Act::of(&SECRET_UNDELETE, Resource::Secret(path))
    }

    /// Purge a secret.
    pub fn secret_purge(path: Path) -> Act {
        Act::of(&SECRET_PURGE, Resource::Secret(path))
    }

    /// Change a secret's metadata.
    pub fn secret_annotate(path: Path) -> Act {
        Act::of(&SECRET_ANNOTATE, Resource::Secret(path))
    }

    /// Change fields of a secret's value.
    pub fn secret_patch(path: Path) -> Act {
        // It names the version that it read.
        Act { insists: true, ..Act::of(&SECRET_PATCH, Resource::Secret(path)) }
    }

    /// Find secrets below a folder.
    pub fn secret_search(folder: Prefix) -> Act {
        Act::of(&SECRET_SEARCH, Resource::Folder(folder))
    }

    /// Write several secrets. Errors: `request.invalid` for none, for too many, and for one that is named twice.
    pub fn secret_import(paths: Vec<Path>) -> Result<Act, Refusal> {
        Act::imported(&SECRET_IMPORT, paths)
    }

    /// Find out what writing several secrets would do. Errors: as [`Act::secret_import`].
    pub fn secret_import_check(paths: Vec<Path>) -> Result<Act, Refusal> {
        Act::imported(&SECRET_IMPORT_CHECK, paths)
    }

    fn imported(kind: &'static ActKind, paths: Vec<Path>) -> Result<Act, Refusal> {
        let mut seen = std::collections::HashSet::new();
        if let Some((at, path)) = paths.iter().enumerate().find(|(_, path)| !seen.insert(*path)) {
            let why = format!("item {}, `{path}`: it stands there twice", at.saturating_add(1));
            return Err(Refusal::new(&REQUEST_INVALID, why));
        }
        Act::several(kind, paths, crate::limits::IMPORT_ITEMS_MAX)
    }

    /// Copy a secret, or move it.
    pub fn secret_copy(from: &Path, to: &Path, moves: bool) -> Act {
        let (from, to) = (Resource::Secret(from.clone()), Resource::Secret(to.clone()));
        let mut each = vec![(Action::SecretRead, from.clone()), (Action::SecretWrite, to)];
        each.extend(moves.then_some((Action::SecretDelete, from)));
        let kind = if moves { &SECRET_MOVE } else { &SECRET_COPY };
        Act { kind, target: Target::Each(each), version: None, insists: false }
    }

    /// Copy or move all secrets below a folder; the rights on each are asked for once it is known which they are.
    pub fn secret_copy_folder(from: Prefix, moves: bool) -> Act {
        let kind = if moves { &SECRET_MOVE } else { &SECRET_COPY };
        Act {
            kind,
            target: Target::Each(vec![(Action::SecretList, Resource::Folder(from))]),
            version: None,
            insists: false,
        }
    }

    /// See a policy.
    pub fn policy_read(name: PolicyName) -> Act {
        Act::of(&POLICY_READ, Resource::Policy(name))
    }

    /// List policies.
    pub fn policy_list() -> Act {
        Act::system(&POLICY_LIST, Part::Policies)
    }

    /// Ask what a principal may do and why.
    pub fn policy_explain() -> Act {
        Act::system(&POLICY_EXPLAIN, Part::Policies)
    }

    /// Ask questions as they would be answered after a change.
    pub fn policy_test() -> Act {
        Act::system(&POLICY_TEST, Part::Policies)
    }

    /// Ask whose access a change would alter.
    pub fn policy_diff() -> Act {
        Act::system(&POLICY_DIFF, Part::Policies)
    }

    /// Ask who may do something.
    pub fn policy_who() -> Act {
        Act::system(&POLICY_WHO, Part::Policies)
    }

    /// Put a policy.
    pub fn policy_write(name: PolicyName) -> Act {
        Act::of(&POLICY_WRITE, Resource::Policy(name))
    }

    /// Remove a policy.
    pub fn policy_remove(name: PolicyName) -> Act {
        Act::of(&POLICY_REMOVE, Resource::Policy(name))
    }

    /// See a principal.
    pub fn principal_read(name: PrincipalName) -> Act {
        Act::of(&PRINCIPAL_READ, Resource::PrincipalRecord(name))
    }

    /// List principals.
    pub fn principal_list() -> Act {
        Act::system(&PRINCIPAL_LIST, Part::Principals)
    }

    /// Make or change a principal.
    pub fn principal_write(name: PrincipalName) -> Act {
        Act::of(&PRINCIPAL_WRITE, Resource::PrincipalRecord(name))
    }

    /// Make a session for a principal.
    pub fn session_issue(name: PrincipalName) -> Act {
        Act::of(&SESSION_ISSUE, Resource::PrincipalRecord(name))
    }

    /// See one's own session.
    pub fn session_self() -> Act {
        Act::system(&SESSION_SELF, Part::Sessions)
    }

    /// See a session.
    pub fn session_read(id: SessionId) -> Act {
        Act { kind: &SESSION_READ, target: Target::Session(id), version: None, insists: false }
    }

    /// List sessions.
    pub fn session_list() -> Act {
        Act::system(&SESSION_LIST, Part::Sessions)
    }

    /// Derive a session from one's own.
    pub fn session_derive() -> Act {
        Act::system(&SESSION_DERIVE, Part::Sessions)
    }

    /// Put a session's end off, one's own or, with the right, another's.
    pub fn session_renew(id: SessionId) -> Act {
        Act { kind: &SESSION_RENEW, target: Target::Session(id), version: None, insists: false }
    }

    /// Put the end of the session that asks off.
    pub fn session_renew_own() -> Act {
        Act::system(&SESSION_RENEW, Part::Sessions)
    }

    /// End a session, one's own or, with the right, another's.
    pub fn session_revoke(id: SessionId) -> Act {
        Act { kind: &SESSION_REVOKE, target: Target::Session(id), version: None, insists: false }
    }

    /// Trade a one-time login for a session; goes through [`crate::session::login`].
    pub(crate) fn session_login() -> Act {
        Act { kind: &SESSION_LOGIN, target: Target::Login, version: None, insists: false }
    }

    /// Wrap a text.
    pub fn wrap_text() -> Act {
        Act::system(&WRAP_MAKE, Part::Sessions)
    }

    /// Wrap a secret's value, the newest or one version.
    pub fn wrap_secret(path: Path, version: Option<u64>) -> Act {
        let each = [(Action::WrapMake, Resource::System(Part::Sessions)), (Action::SecretRead, Resource::Secret(path))];
        Act { kind: &WRAP_MAKE, target: Target::Each(each.into()), version, insists: false }
    }

    /// Open something wrapped; goes through [`crate::wrap::open`].
    pub(crate) fn wrap_open() -> Act {
        Act { kind: &WRAP_OPEN, target: Target::Login, version: None, insists: false }
    }

    /// Read checkpoint, key, proofs or tiles of the ledger.
    pub fn ledger_read() -> Act {
        Act::system(&LEDGER_READ, Part::Ledger)
    }

    /// Read entries of the ledger.
    pub fn ledger_entries() -> Act {
        Act::system(&LEDGER_ENTRIES, Part::Ledger)
    }

    /// Query the whole access log.
    pub fn access_read() -> Act {
        Act::system(&ACCESS_READ, Part::Access)
    }

    /// See the segments of the access log.
    pub fn access_segments() -> Act {
        Act::system(&ACCESS_SEGMENTS, Part::Access)
    }

    /// Query the access log about one secret.
    pub fn access_read_secret(path: Path) -> Act {
        Act::of(&ACCESS_READ, Resource::Secret(path))
    }

    /// Query the access log about a folder and all below it.
    pub fn access_read_folder(folder: Prefix) -> Act {
        Act::of(&ACCESS_READ, Resource::Folder(folder))
    }

    /// See keys.
    pub fn key_read() -> Act {
        Act::system(&KEY_READ, Part::Keys)
    }

    /// See the nodes that share the store.
    pub fn node_list() -> Act {
        Act::system(&NODE_LIST, Part::Ledger)
    }

    /// Rotate the tenant's keys.
    pub fn key_rotate_tenant() -> Act {
        Act::system(&KEY_ROTATE_TENANT, Part::Keys)
    }

    /// Rotate the root key.
    pub fn key_rotate_root() -> Act {
        Act::system(&KEY_ROTATE_ROOT, Part::Keys)
    }

    /// Replace the seal's key.
    pub fn seal_rekey() -> Act {
        Act::system(&SEAL_REKEY, Part::Seal)
    }

    fn tenant(kind: &'static ActKind, name: &str) -> Result<Act, Refusal> {
        crate::tenant::check_name(name)?;
        Ok(Act { kind, target: Target::Tenant(name.into()), version: None, insists: false })
    }

    /// See a tenant. Errors: `tenant.invalid`, as with all about a tenant's name.
    pub fn tenant_read(name: &str) -> Result<Act, Refusal> {
        Act::tenant(&TENANT_READ, name)
    }

    /// List tenants.
    pub fn tenant_list() -> Act {
        Act::system(&TENANT_LIST, Part::Tenants)
    }

    /// Make a tenant.
    pub fn tenant_create(name: &str) -> Result<Act, Refusal> {
        Act::tenant(&TENANT_CREATE, name)
    }

    /// Make a one-time login for a tenant's owner.
    pub fn tenant_login(name: &str) -> Result<Act, Refusal> {
        Act::tenant(&TENANT_LOGIN, name)
    }

    /// Suspend, resume or limit a tenant.
    pub fn tenant_change(name: &str) -> Result<Act, Refusal> {
        Act::tenant(&TENANT_CHANGE, name)
    }

    /// Delete a tenant.
    pub fn tenant_delete(name: &str) -> Result<Act, Refusal> {
        Act::tenant(&TENANT_DELETE, name)
    }

    /// See what applying documents would do.
    pub fn apply_plan() -> Act {
        Act::system(&APPLY_PLAN, Part::Documents)
    }

    /// Apply documents.
    pub fn apply() -> Act {
        Act::system(&APPLY, Part::Documents)
    }

    /// See a password policy.
    pub fn password_policy_read(name: PasswordPolicyName) -> Act {
        Act::of(&PASSWORD_POLICY_READ, Resource::PasswordPolicy(name))
    }

    /// List password policies.
    pub fn password_policy_list() -> Act {
        Act::system(&PASSWORD_POLICY_LIST, Part::PasswordPolicies)
    }

    /// Put a password policy.
    pub fn password_policy_write(name: PasswordPolicyName) -> Act {
        Act::of(&PASSWORD_POLICY_WRITE, Resource::PasswordPolicy(name))
    }

    /// Remove a password policy.
    pub fn password_policy_remove(name: PasswordPolicyName) -> Act {
        Act::of(&PASSWORD_POLICY_REMOVE, Resource::PasswordPolicy(name))
    }

    /// See which backups there are.
    pub fn backup_list() -> Act {
        Act::system(&BACKUP_LIST, Part::Backups)
    }

    /// Fetch a piece of a backup.
    pub fn backup_read() -> Act {
        Act::system(&BACKUP_READ, Part::Backups)
    }

    /// Make a backup.
    pub fn backup_create() -> Act {
        Act::system(&BACKUP_CREATE, Part::Backups)
    }

    /// Remove a backup.
    pub fn backup_remove() -> Act {
        Act::system(&BACKUP_REMOVE, Part::Backups)
    }

    /// Seal the server.
    pub fn operator_seal() -> Act {
        Act::system(&OPERATOR_SEAL, Part::Seal)
    }

    /// Begin to replace the seal's key.
    pub fn operator_rekey() -> Act {
        Act::system(&OPERATOR_REKEY, Part::Seal)
    }

    /// See the ceremony that is under way.
    pub fn operator_ceremonies() -> Act {
        Act::system(&OPERATOR_CEREMONIES, Part::Seal)
    }

    /// Give a share to a ceremony.
    pub fn operator_give() -> Act {
        Act::system(&OPERATOR_GIVE, Part::Seal)
    }

    /// Give a ceremony up.
    pub fn operator_cancel() -> Act {
        Act::system(&OPERATOR_CANCEL, Part::Seal)
    }

    /// Ask what became of an operation.
    pub fn operation_read() -> Act {
        Act::system(&OPERATION_READ, Part::Operations)
    }

    /// The same act, which insists on the version it replaces if one is named.
    pub fn replacing(self, cas: Option<u64>) -> Act {
        Act { insists: cas.is_some(), ..self }
    }

    /// Its line in the table.
    pub fn kind(&self) -> &'static ActKind {
        self.kind
    }

    /// The paths or names it is about, as rows show them.
    pub(crate) fn subjects(&self) -> Vec<Option<String>> {
        match &self.target {
            Target::One(Resource::System(_)) | Target::Login => vec![None],
            Target::One(resource) => vec![Some(subject(resource))],
            Target::Each(each) => {
                let mut all: Vec<Option<String>> = Vec::new();
                for (_, resource) in each.iter().filter(|(_, resource)| !matches!(resource, Resource::System(_))) {
                    let named = Some(subject(resource));
                    if !all.contains(&named) {
                        all.push(named);
                    }
                }
                all
            }
            Target::Secrets(paths) => paths.iter().map(|path| Some(path.as_str().to_owned())).collect(),
            Target::Session(id) => vec![Some(id.to_string())],
            Target::Tenant(name) => vec![Some(name.to_string())],
        }
    }
}

/// A resource as rows name it.
fn subject(resource: &Resource) -> String {
    match resource {
        Resource::Folder(folder) => format!("{folder}/"),
        resource => resource.id().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_have_distinct_names_and_only_one_time_tokens_need_no_right() {
        let mut names: Vec<&str> = ACTS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ACTS.len());
        let open: Vec<&str> = ACTS.iter().filter(|kind| kind.rights.is_empty()).map(|kind| kind.name).collect();
        assert_eq!(open, ["session.login", "wrap.open"]);
    }

    #[test]
    fn up_to_a_thousand_paths_are_read_at_once_and_no_more() {
        let paths = |count: usize| (0..count).map(|n| Path::parse(&format!("p/{n}")).unwrap()).collect::<Vec<_>>();
        assert!(Act::secret_read_many(paths(0)).is_err());
        assert!(Act::secret_read_many(paths(1_000)).is_ok());
        assert_eq!(Act::secret_read_many(paths(1_001)).unwrap_err().code.name, "request.invalid");
    }
}
