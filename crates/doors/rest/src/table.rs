//! The route table: one line per verb and path. Nothing else says which routes there are.

use crate::openapi::{Doc, query_of, schema_of};
use crate::route::{Route, Takes};
use crate::{
    access, apply, backup, key, ledger, node, open, operation, operator, password_policy, policy, principal, secret,
    secret_batch, secret_made, session, tenant, wrap,
};
use http::Method;

macro_rules! optional {
    ($make:ident) => {
        None
    };
    ($make:ident $ty:ty) => {
        Some($make::<$ty>)
    };
}

macro_rules! routes {
    ($( $verb:ident $template:literal $act:literal $run:path, $takes:ident $(, query $query:ty)? $(, body $body:ty)?
        $(, answer $answer:ty)? $(, open $open:literal)? $(, sealed $sealed:literal)?; $about:literal )+) => {
        vec![ $( Route {
            verb: Method::$verb,
            template: $template,
            pattern: concat!(stringify!($verb), " ", $template),
            act: $act,
            open: false $(|| $open)?,
            sealed: false $(|| $sealed)?,
            takes: Takes::$takes,
            run: |call| Box::pin($run(call)),
            doc: Doc {
                about: $about,
                query: optional!(query_of $($query)?),
                body: optional!(schema_of $($body)?),
                answer: optional!(schema_of $($answer)?),
            },
        } ),+ ]
    };
}

/// Every route; those of secrets only where they are switched on.
#[must_use]
pub fn routes(secrets: bool) -> Vec<Route> {
    let mut all = if secrets { of_secrets() } else { Vec::new() };
    all.extend(of_password_policies());
    all.extend(of_rights());
    all.extend(of_tenants());
    all.extend(of_documents());
    all.extend(of_the_house());
    all
}

fn of_secrets() -> Vec<Route> {
    use api::secret::{
        Copied, Copy, Deleted, Generate, Import, Imported, ListQuery, Metadata, Patch, PatchQuery, Purge, Purged,
        PutQuery, PutSecret, ReadMany, ReadQuery, Restored, Rollback, Search, Secret, SecretList, Secrets, SetMetadata,
        Undelete, Written,
    };
    routes! {
        GET "/api/v1/secrets/{path}" "secret.read" secret::get, Nothing, query ReadQuery, answer Secret;
            "Reads a value, or with `view` its metadata or versions; raw bytes with `Accept: application/octet-stream`."
        PUT "/api/v1/secrets/{path}" "secret.write" secret::put, JsonOrBytes, query PutQuery, body PutSecret, answer Written;
            "Writes a new version; the query goes with raw bytes only."
        PATCH "/api/v1/secrets/{path}" "secret.patch" secret::patch, MergePatch, query PatchQuery, body Patch, answer Written;
            "Writes a new version that changes fields of the newest one, a JSON object (RFC 7396); others' writes are not lost."
        DELETE "/api/v1/secrets/{path}" "secret.delete" secret::delete, Nothing, answer Deleted;
            "Hides a secret; undelete brings it back."
        GET "/api/v1/secrets" "secret.list" secret::list, Nothing, query ListQuery, answer SecretList;
            "Lists a folder."
        POST "/api/v1/secrets:read" "secret.read" secret::read_many, Json, body ReadMany, answer Secrets;
            "Reads several values, all or none."
        POST "/api/v1/secrets:search" "secret.search" secret::search, Json, body Search, answer SecretList;
            "Finds secrets by name, labels, owner and expiry below a folder."
        POST "/api/v1/secrets:import" "secret.import" secret_batch::import, Batch, body Import, answer Imported;
            "Writes many secrets in one commit, or none of them."
        POST "/api/v1/secrets:copy" "secret.copy" secret_batch::copy, Json, body Copy, answer Copied;
            "Copies a secret, or all below a folder, in one commit or not at all."
        POST "/api/v1/secrets:move" "secret.move" secret_batch::relocate, Json, body Copy, answer Copied;
            "Moves a secret, or all below a folder; the sources are hidden, and undelete brings them back."
        POST "/api/v1/secrets:generate" "secret.generate" secret_made::generate, Json, body Generate, answer Written;
            "Writes a new version with a value that the server makes."
        POST "/api/v1/secrets:rollback" "secret.rollback" secret::rollback, Json, body Rollback, answer Written;
            "Writes a new version that repeats an older one."
        POST "/api/v1/secrets:undelete" "secret.undelete" secret::undelete, Json, body Undelete, answer Restored;
            "Brings a deleted secret back."
        POST "/api/v1/secrets:purge" "secret.purge" secret::purge, Json, body Purge, answer Purged;
            "Destroys the keys of versions, for ever."
        POST "/api/v1/secrets:metadata" "secret.annotate" secret::annotate, Json, body SetMetadata, answer Metadata;
            "Changes labels, expiry and how many versions are kept."
    }
}

fn of_password_policies() -> Vec<Route> {
    use api::password_policy::{
        PasswordPolicy, PasswordPolicyChanged, PasswordPolicyList, PasswordPolicyRemoved, PasswordRules,
    };
    use api::policy::PageQuery;
    routes! {
        GET "/api/v1/password-policies" "password_policy.list" password_policy::list, Nothing, query PageQuery, answer PasswordPolicyList;
            "Lists password policies."
        GET "/api/v1/password-policies/{name}" "password_policy.read" password_policy::get, Nothing, answer PasswordPolicy;
            "Shows a password policy."
        PUT "/api/v1/password-policies/{name}" "password_policy.write" password_policy::put, Json, body PasswordRules, answer PasswordPolicyChanged;
            "Writes a password policy; `secrets:generate` makes passwords by it."
        DELETE "/api/v1/password-policies/{name}" "password_policy.remove" password_policy::remove, Nothing, answer PasswordPolicyRemoved;
            "Removes a password policy."
    }
}

fn of_rights() -> Vec<Route> {
    use api::policy::{
        DiffPolicies, Explain, Explained, PageQuery, Policy, PolicyChanged, PolicyDifference, PolicyList, PutPolicy,
        TestPolicies, TestedPolicies, ThoseWhoMay, WhoMay,
    };
    use api::principal::{Principal, PrincipalChanged, PrincipalList, PutPrincipal};
    use api::session::{
        DeriveSession, IssueSession, IssuedSession, Login, RenewSession, RenewedSession, RevokedSession, Session,
        SessionList,
    };
    use api::wrap::{MadeWrap, MakeWrap, OpenWrap, OpenedWrap};
    routes! {
        POST "/api/v1/sessions:login" "session.login" session::login, Json, body Login, answer IssuedSession, open true;
            "Trades a one-time login for a session."
        POST "/api/v1/sessions" "session.issue" session::issue, Json, body IssueSession, answer IssuedSession;
            "Opens a session for a principal."
        POST "/api/v1/sessions:derive" "session.derive" session::derive, Json, body DeriveSession, answer IssuedSession;
            "Opens a session that may do as much as the caller's or less, and ends with it."
        POST "/api/v1/sessions:renew" "session.renew" session::renew, Json, body RenewSession, answer RenewedSession;
            "Puts a session's end off, as far as its terms go."
        GET "/api/v1/sessions" "session.list" session::list, Nothing, query PageQuery, answer SessionList;
            "Lists sessions, never their tokens."
        GET "/api/v1/sessions/{id}" "session.read" session::get, Nothing, answer Session;
            "Shows a session, never its token."
        GET "/api/v1/sessions/self" "session.self" session::own, Nothing, answer Session;
            "Shows the caller's session."
        DELETE "/api/v1/sessions/{id}" "session.revoke" session::revoke, Nothing, answer RevokedSession;
            "Ends a session at once."
        POST "/api/v1/wraps" "wrap.make" wrap::make, Json, body MakeWrap, answer MadeWrap;
            "Wraps a text or a secret: whoever has the token opens it, once."
        POST "/api/v1/wraps:open" "wrap.open" wrap::open, Json, body OpenWrap, answer OpenedWrap, open true;
            "Opens something wrapped; a second opening is refused and an alarm."
        GET "/api/v1/policies" "policy.list" policy::list, Nothing, query PageQuery, answer PolicyList;
            "Lists policies without their text."
        GET "/api/v1/policies/{name}" "policy.read" policy::get, Nothing, answer Policy;
            "Shows a policy."
        PUT "/api/v1/policies/{name}" "policy.write" policy::put, Json, body PutPolicy, answer PolicyChanged;
            "Makes or changes a policy; it is checked before it counts."
        DELETE "/api/v1/policies/{name}" "policy.remove" policy::remove, Nothing, answer PolicyChanged;
            "Removes a policy."
        POST "/api/v1/policies:explain" "policy.explain" policy::explain, Json, body Explain, answer Explained;
            "Says whether a principal may do something and which policies decide."
        POST "/api/v1/policies:test" "policy.test" policy::test, Json, body TestPolicies, answer TestedPolicies;
            "Answers such questions as after a change of policies that is not made."
        POST "/api/v1/policies:diff" "policy.diff" policy::diff, Json, body DiffPolicies, answer PolicyDifference;
            "Says whose access a change of policies would alter."
        POST "/api/v1/policies:who" "policy.who" policy::who, Json, body WhoMay, answer ThoseWhoMay;
            "Says who may do something."
        GET "/api/v1/principals" "principal.list" principal::list, Nothing, query PageQuery, answer PrincipalList;
            "Lists principals."
        GET "/api/v1/principals/{name}" "principal.read" principal::get, Nothing, answer Principal;
            "Shows a principal."
        PUT "/api/v1/principals/{name}" "principal.write" principal::put, Json, body PutPrincipal, answer PrincipalChanged;
            "Makes or changes a principal; disabling ends its sessions."
    }
}

fn of_documents() -> Vec<Route> {
    use api::apply::{Applied, Apply, ApplyPlan};
    routes! {
        POST "/api/v1/documents:plan" "apply.plan" apply::plan, Json, body Apply, answer ApplyPlan;
            "Says what applying documents would do."
        POST "/api/v1/documents:apply" "apply.apply" apply::apply, Json, body Apply, answer Applied;
            "Makes everything as the documents say, in one commit or not at all."
    }
}

fn of_tenants() -> Vec<Route> {
    use api::policy::PageQuery;
    use api::tenant::{ChangeTenant, CreateTenant, CreatedTenant, LoginToTenant, Tenant, TenantChanged, TenantList};
    routes! {
        GET "/api/v1/tenants" "tenant.list" tenant::list, Nothing, query PageQuery, answer TenantList;
            "Lists the tenants of the house."
        POST "/api/v1/tenants" "tenant.create" tenant::create, Json, body CreateTenant, answer CreatedTenant;
            "Makes a tenant with keys and an owner of its own."
        POST "/api/v1/tenants:login" "tenant.login" tenant::login, Json, body LoginToTenant, answer CreatedTenant;
            "Makes a one-time login for a tenant's owner, after a restore or where the last one was lost."
        POST "/api/v1/tenants:change" "tenant.change" tenant::change, Json, body ChangeTenant, answer TenantChanged;
            "Suspends, resumes or limits a tenant."
        GET "/api/v1/tenants/{name}" "tenant.read" tenant::get, Nothing, answer Tenant;
            "Shows a tenant."
        DELETE "/api/v1/tenants/{name}" "tenant.delete" tenant::delete, Nothing, answer TenantChanged;
            "Deletes a tenant and destroys, step by step, all that is in it."
    }
}

fn of_the_house() -> Vec<Route> {
    use api::access::{AccessQuery, Rows, Segments};
    use api::backup::{Backup, BackupList, BackupQuery, RemovedBackup};
    use api::key::{KeyList, Rekeyed, RotateKeys, Rotated};
    use api::ledger::{ConsistencyQuery, Entries, EntriesQuery, InclusionQuery, Proof, VerifierKey};
    use api::node::NodeList;
    use api::operation::Operation;
    use api::operator::{
        Cancel, Cancelled, Ceremonies, Ceremony, GiveShare, HandedOut, Rekey, Sealed, Split, Unsealed,
    };
    use api::status::Status;
    routes! {
        GET "/api/v1/ledger/checkpoint" "ledger.read" ledger::checkpoint, Nothing;
            "The newest signed checkpoint, a C2SP note in plain text."
        GET "/api/v1/ledger/key" "ledger.read" ledger::key, Nothing, answer VerifierKey;
            "The key that checkpoints are verified with."
        GET "/api/v1/ledger/entries" "ledger.entries" ledger::entries, Nothing, query EntriesQuery, answer Entries;
            "A run of entries; of other tenants' entries the hash only, without the right to all."
        GET "/api/v1/ledger/proofs/inclusion" "ledger.read" ledger::inclusion, Nothing, query InclusionQuery, answer Proof;
            "Proves that an entry is in the tree of a size."
        GET "/api/v1/ledger/proofs/consistency" "ledger.read" ledger::consistency, Nothing, query ConsistencyQuery, answer Proof;
            "Proves that an older tree is the beginning of a newer one."
        GET "/api/v1/ledger/tile/{tile}" "ledger.read" ledger::tile, Nothing;
            "Bytes of a tree tile (C2SP tlog-tiles)."
        GET "/api/v1/access" "access.read" access::list, Nothing, query AccessQuery, answer Rows;
            "Rows of the access log, newest first."
        GET "/api/v1/access/segments" "access.segments" access::segments, Nothing, answer Segments;
            "Closed segments of the access log, which hold rows of every tenant."
        GET "/api/v1/keys" "key.read" key::list, Nothing, answer KeyList;
            "Keys, never their bytes."
        POST "/api/v1/keys:rotate" "key.rotate" key::rotate, Json, body RotateKeys, answer Rotated;
            "Replaces a key and wraps what is below it anew."
        POST "/api/v1/seal:rekey" "seal.rekey" key::rekey, Nothing, answer Rekeyed;
            "Replaces the seal's key itself."
        GET "/api/v1/backups" "backup.list" backup::list, Nothing, answer BackupList;
            "The backups there are, and one that is being made."
        POST "/api/v1/backups" "backup.create" backup::create, Nothing, answer Backup;
            "Begins a backup into the server's backup folder; it goes on behind the answer."
        GET "/api/v1/backups/{id}" "backup.list" backup::get, Nothing, query BackupQuery, answer Backup;
            "Shows a backup; with `Accept: application/octet-stream` its bytes, a piece at a time."
        DELETE "/api/v1/backups/{id}" "backup.remove" backup::remove, Nothing, answer RemovedBackup;
            "Removes a backup."
        POST "/api/v1/operator:init" "operator.init" operator::init, Json, body Split, answer HandedOut, open true, sealed true;
            "Makes the shares of a server on which nothing is stored; it begins once enough of them were given back."
        POST "/api/v1/operator:unseal" "operator.unseal" operator::unseal, Json, body GiveShare, answer Unsealed, open true, sealed true;
            "Takes a share; with enough of them the server opens."
        POST "/api/v1/operator:seal" "operator.seal" operator::seal, Nothing, answer Sealed;
            "Seals the server: it lets go of its root key until enough shares were given."
        POST "/api/v1/operator:rekey" "operator.rekey" operator::rekey, Json, body Rekey, answer Ceremony;
            "Begins to replace the seal's key by one in new shares, or in a file."
        GET "/api/v1/ceremonies" "operator.ceremonies" operator::ceremonies, Nothing, answer Ceremonies;
            "The replacement of the seal's key that is under way, if one is, without its nonce."
        POST "/api/v1/operator:give" "operator.give" operator::give, Json, body GiveShare, answer Ceremony;
            "Gives a share to the ceremony that is under way."
        POST "/api/v1/operator:cancel" "operator.cancel" operator::cancel, Json, body Cancel, answer Cancelled;
            "Gives the ceremony up; what is in force stays."
        GET "/api/v1/nodes" "node.list" node::list, Nothing, answer NodeList;
            "The nodes that share the store, as the one that answers sees them; none where it is one server's alone."
        GET "/api/v1/operations/{id}" "operation.read" operation::get, Nothing, answer Operation;
            "Tells whether a change took effect."
        GET "/api/v1/status" "status" open::status, Nothing, answer Status, open true, sealed true;
            "What everybody may know of the server."
        GET "/api/v1/openapi.json" "openapi" open::document, Nothing, open true, sealed true;
            "This document."
        GET "/healthz" "health" open::health, Nothing, open true, sealed true;
            "200 while the process answers."
        GET "/readyz" "ready" open::readiness, Nothing, open true, sealed true;
            "200 while requests can be served, else 503."
        GET "/metrics" "metrics" open::metrics, Nothing, open true, sealed true;
            "Counts for Prometheus."
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Finder, Found};

    #[test]
    fn http_14_the_open_routes_are_these_and_no_others() {
        let all = routes(true);
        let open: Vec<&str> = all.iter().filter(|route| route.open).map(|route| route.pattern).collect();
        assert_eq!(
            open,
            [
                "POST /api/v1/sessions:login",
                "POST /api/v1/wraps:open",
                "POST /api/v1/operator:init",
                "POST /api/v1/operator:unseal",
                "GET /api/v1/status",
                "GET /api/v1/openapi.json",
                "GET /healthz",
                "GET /readyz",
                "GET /metrics",
            ]
        );
    }

    #[test]
    fn every_route_is_found_by_its_own_line_and_names_a_known_act() {
        let all = routes(true);
        let finder = Finder::new(&all);
        for (at, route) in all.iter().enumerate() {
            let path = route.template.replace(['{', '}'], "");
            let Found::Route(found, _) = finder.find(&route.verb, &path) else { panic!("{}", route.pattern) };
            assert_eq!(found, at, "{}", route.pattern);
            let known = app::ACTS.iter().any(|act| act.name == route.act);
            let unlogged = ["operator.init", "operator.unseal", "status", "openapi", "health", "ready", "metrics"]
                .contains(&route.act);
            assert!(known != unlogged, "{}", route.pattern);
        }
    }

    #[test]
    fn http_18_other_verbs_are_told_which_ones_there_are() {
        let all = routes(true);
        let finder = Finder::new(&all);
        for (verb, path, wanted) in [
            (Method::POST, "/api/v1/secrets/a", Found::OtherVerbs("DELETE, GET, HEAD, PATCH, PUT".to_owned())),
            (Method::OPTIONS, "/api/v1/secrets", Found::OtherVerbs("GET, HEAD".to_owned())),
            (Method::TRACE, "/healthz", Found::OtherVerbs("GET, HEAD".to_owned())),
            (Method::GET, "/api/v1/secrets:purge", Found::OtherVerbs("POST".to_owned())),
            (Method::PUT, "/api/v1/sessions/self", Found::OtherVerbs("DELETE, GET, HEAD".to_owned())),
            (Method::GET, "/api/v1/secret/a", Found::Nothing),
            (Method::GET, "/API/v1/status", Found::Nothing),
            (Method::GET, "/api/v1/status/", Found::Nothing),
            (Method::GET, "/api/v1//status", Found::Nothing),
            (Method::GET, "/healthz/x", Found::Nothing),
            (Method::GET, "/", Found::Nothing),
            (Method::GET, "", Found::Nothing),
        ] {
            assert_eq!(finder.find(&verb, path), wanted, "{verb} {path}");
        }
    }

    #[test]
    fn without_its_secrets_part_the_door_has_no_route_of_it() {
        assert!(routes(false).iter().all(|route| !route.template.contains("/secrets")));
    }

    #[test]
    fn the_document_names_every_route_and_every_type_it_points_to() {
        let text = crate::openapi::document(&routes(true));
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut ids = std::collections::BTreeSet::new();
        for route in routes(true) {
            let operation = &document["paths"][route.template][route.verb.as_str().to_lowercase()];
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", route.pattern);
            assert_eq!(operation["security"].is_array(), route.open, "{}", route.pattern);
        }
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
