//! LOG-01 and the matrix of rights: each act, by each sort of caller, leaves its rows and only the right one succeeds.

use crate::house::{Caller, House, code, folder, house, path, test_seal};
use access::{Action, PolicyName, PrincipalName};
use app::access_view::{AccessQuery, query};
use app::secret::{self, Edit, ListQuery, MetadataEdit, Rollback, Scope, Source};
use app::{ACTS, Act, ActKind, Asked, Mode, keys, ledger_view, password_policy, policy, principal, session, tenant};
use crypto::id::{BackupId, OperationId};

/// Acts that are not performed by a session: one-time tokens have their own tests and rows.
const EXEMPT: &[&str] = &["session.login", "wrap.open"];

/// Does one act as somebody. Gives the outcome's code.
async fn perform(act: &str, who: &Caller<'_>, owner: &Caller<'_>, n: usize) -> &'static str {
    let at = format!("m/{n}");
    let who = &who.keyed(&format!("k{n}"));
    owner.put(&at, "v").await.unwrap();
    let secret = || path(&at);
    match act {
        "secret.read" => code(who.act(Act::secret_read(secret(), None), b"", secret::get).await.into_outcome()),
        "secret.metadata" => code(who.act(Act::secret_metadata(secret()), b"", secret::about).await.into_outcome()),
        "secret.versions" => code(who.act(Act::secret_versions(secret()), b"", secret::about).await.into_outcome()),
        "secret.list" => {
            let listed = who.act(Act::secret_list(folder("m")), b"", |grant| secret::list(grant, ListQuery::default()));
            code(listed.await.into_outcome())
        }
        "secret.search" => {
            let act = Act::secret_search(folder("m"));
            code(who.act(act, b"", |grant| secret::search(grant, secret::Search::default())).await.into_outcome())
        }
        "secret.write" => code(who.put(&at, "w").await),
        "wrap.make" => {
            let text = Some(crypto::SecretText::new("x".into()));
            let make = |grant| app::wrap::make(grant, text, std::time::Duration::from_secs(60));
            code(who.act(Act::wrap_text(), b"", make).await.into_outcome())
        }
        "secret.patch" => {
            owner.put(&at, "{}").await.unwrap();
            let patch = crypto::SecretBytes::from_slice(b"{\"a\":1}");
            code(
                who.act(Act::secret_patch(secret()), b"", |grant| secret::patch(grant, patch, None))
                    .await
                    .into_outcome(),
            )
        }
        "secret.import" | "secret.import_check" => {
            let paths = vec![path(&format!("{at}/new"))];
            let value = crypto::SecretBytes::from_slice(b"v");
            let item = secret::NewItem { value, encoding: secret::Encoding::Text, edit: MetadataEdit::default() };
            let (items, fail) = (vec![item], secret::OnConflict::Overwrite);
            code(match act {
                "secret.import" => {
                    let act = Act::secret_import(paths).unwrap();
                    who.act(act, b"", move |grant| secret::import(grant, items, fail)).await.into_outcome()
                }
                _ => {
                    let act = Act::secret_import_check(paths).unwrap();
                    who.act(act, b"", move |grant| secret::import_check(grant, items, fail)).await.into_outcome()
                }
            })
        }
        "secret.copy" | "secret.move" => {
            let moves = act == "secret.move";
            let act = Act::secret_copy(&secret(), &path(&format!("{at}/copy")), moves);
            let copying = secret::Copying { to: None, moves, overwrite: true };
            code(who.act(act, b"", |grant| secret::copy(grant, copying)).await.into_outcome())
        }
        "secret.generate" => {
            let recipe = secret::Recipe::Hex(16);
            let act = Act::secret_generate(secret());
            let run = move |grant| secret::generate(grant, recipe, None, MetadataEdit::default());
            code(who.act(act, b"", run).await.into_outcome())
        }
        "secret.rollback" => {
            let back = Rollback { source: Source::Version(1), cas: None };
            let act = Act::secret_rollback(secret());
            code(who.act(act, b"", move |grant| secret::rollback(grant, back)).await.into_outcome())
        }
        "secret.delete" => {
            let act = Act::secret_delete(secret());
            code(who.act(act, b"", |grant| secret::delete(grant, None, None)).await.into_outcome())
        }
        "secret.undelete" => {
            let act = Act::secret_delete(secret());
            owner.act(act, b"", |grant| secret::delete(grant, None, None)).await.into_outcome().unwrap();
            let act = Act::secret_undelete(secret());
            code(who.act(act, b"", |grant| secret::undelete(grant, None)).await.into_outcome())
        }
        "secret.purge" => {
            let act = Act::secret_purge(secret());
            code(who.act(act, b"", |grant| secret::purge(grant, Scope::All)).await.into_outcome())
        }
        "secret.annotate" => {
            let edit = MetadataEdit { max_versions: Edit::Set(3), ..MetadataEdit::default() };
            let act = Act::secret_annotate(secret());
            code(who.act(act, b"", |grant| secret::annotate(grant, edit, None)).await.into_outcome())
        }
        _ => administer(act, who, owner, n).await,
    }
}

/// As [`perform`], for everything but secrets.
async fn administer(act: &str, who: &Caller<'_>, owner: &Caller<'_>, n: usize) -> &'static str {
    let name = || PrincipalName::parse("target").unwrap();
    let kept = || PolicyName::parse("kept").unwrap();
    match act {
        "policy.read" => code(who.act(Act::policy_read(kept()), b"", policy::get).await.into_outcome()),
        "policy.list" => {
            code(who.act(Act::policy_list(), b"", |grant| policy::list(grant, None, None)).await.into_outcome())
        }
        "policy.explain" => {
            let question = policy::Question {
                principal: name(),
                action: Action::SecretRead,
                resource: app::Resource::Secret(path("m")),
                source_ip: None,
                at: None,
                tls: None,
                cas: false,
            };
            code(who.act(Act::policy_explain(), b"", |grant| policy::explain(grant, question)).await.into_outcome())
        }
        "policy.test" => {
            let test = |grant| policy::test(grant, policy::Changes::default(), Vec::new());
            code(who.act(Act::policy_test(), b"", test).await.into_outcome())
        }
        "policy.diff" => {
            let diff = |grant| policy::diff(grant, policy::Changes::default());
            code(who.act(Act::policy_diff(), b"", diff).await.into_outcome())
        }
        "policy.who" => {
            let resource = app::Resource::Secret(path("m"));
            let ask = |grant| policy::who(grant, Action::SecretRead, resource, false);
            code(who.act(Act::policy_who(), b"", ask).await.into_outcome())
        }
        "policy.write" => {
            let text = "permit (principal in Role::\"none\", action, resource);".to_owned();
            let act = Act::policy_write(PolicyName::parse(&format!("p{n}")).unwrap());
            code(who.act(act, b"", |grant| policy::put(grant, text)).await.into_outcome())
        }
        "policy.remove" => {
            let name = format!("r{n}");
            owner.policy(&name, "permit (principal in Role::\"none\", action, resource);").await.unwrap();
            let act = Act::policy_remove(PolicyName::parse(&name).unwrap());
            code(who.act(act, b"", policy::remove).await.into_outcome())
        }
        "principal.read" => code(who.act(Act::principal_read(name()), b"", principal::get).await.into_outcome()),
        "principal.list" => {
            code(who.act(Act::principal_list(), b"", |grant| principal::list(grant, None, None)).await.into_outcome())
        }
        "principal.write" => {
            let act = Act::principal_write(name());
            code(who.act(act, b"", |grant| principal::put(grant, Vec::new(), false, None)).await.into_outcome())
        }
        "session.issue" => {
            let act = Act::session_issue(name());
            code(who.act(act, b"", |grant| session::issue(grant, Asked::default())).await.into_outcome())
        }
        "session.derive" => {
            let derive = |grant| session::derive(grant, false, Asked::default());
            code(who.act(Act::session_derive(), b"", derive).await.into_outcome())
        }
        "session.read" => {
            let victim = owner.session("target").await;
            let own = victim.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
            code(who.act(Act::session_read(own.id), b"", session::read).await.into_outcome())
        }
        "session.list" => {
            code(who.act(Act::session_list(), b"", |grant| session::list(grant, None, None)).await.into_outcome())
        }
        "session.renew" => {
            let asked = Asked { max_ttl: Some(std::time::Duration::from_secs(86_400)), ..Asked::default() };
            let victim = owner.session_with("target", asked).await;
            let own = victim.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
            code(who.act(Act::session_renew(own.id), b"", |grant| session::renew(grant, None)).await.into_outcome())
        }
        "session.self" => code(who.act(Act::session_self(), b"", session::own).await.into_outcome()),
        "session.revoke" => {
            let victim = owner.session("target").await;
            let own = victim.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
            code(who.act(Act::session_revoke(own.id), b"", session::revoke).await.into_outcome())
        }
        "ledger.read" => code(who.act(Act::ledger_read(), b"", ledger_view::checkpoint).await.into_outcome()),
        "ledger.entries" => {
            let act = Act::ledger_entries();
            code(who.act(act, b"", |grant| ledger_view::entries(grant, 0, Some(1))).await.into_outcome())
        }
        "access.read" => {
            let asked = AccessQuery { limit: Some(1), ..AccessQuery::default() };
            code(who.act(Act::access_read(), b"", |grant| query(grant, asked)).await.into_outcome())
        }
        "access.segments" => {
            code(who.act(Act::access_segments(), b"", app::access_view::segments).await.into_outcome())
        }
        "key.read" => code(who.act(Act::key_read(), b"", keys::list).await.into_outcome()),
        "node.list" => code(who.act(Act::node_list(), b"", app::node::list).await.into_outcome()),
        "key.rotate" => code(who.act(Act::key_rotate_tenant(), b"", keys::rotate_tenant).await.into_outcome()),
        "key.rotate_root" => {
            for _ in 0..20 {
                owner.house.pass(60_000);
                keys::run_due(&owner.house.app).await.unwrap();
            }
            code(who.act(Act::key_rotate_root(), b"", keys::rotate_root).await.into_outcome())
        }
        "seal.rekey" => {
            let seal = test_seal(u8::try_from(n % 200).unwrap() + 10);
            code(who.act(Act::seal_rekey(), b"", |grant| keys::rekey_seal(grant, seal)).await.into_outcome())
        }
        _ if act.starts_with("tenant.") => tenancy(act, who, owner, n).await,
        "apply.plan" => {
            let plan = |grant| app::apply::plan(grant, nothing());
            code(who.act(Act::apply_plan(), b"", plan).await.into_outcome())
        }
        "apply.apply" => {
            let apply = |grant| app::apply::apply(grant, nothing());
            code(who.act(Act::apply(), b"", apply).await.into_outcome())
        }
        "backup.list" => code(who.act(Act::backup_list(), b"", |_| async { Ok(()) }).await.into_outcome()),
        "backup.read" => code(who.act(Act::backup_read(), b"", |_| async { Ok(()) }).await.into_outcome()),
        "backup.create" => {
            let id = BackupId::from_bytes([2; 16]);
            code(who.act(Act::backup_create(), b"", move |grant| app::backup::request(grant, id)).await.into_outcome())
        }
        "backup.remove" => {
            let id = BackupId::from_bytes([2; 16]);
            code(who.act(Act::backup_remove(), b"", move |grant| app::backup::removing(grant, id)).await.into_outcome())
        }
        _ if act.starts_with("password_policy.") => keep_rules(act, who, owner, n).await,
        _ if act.starts_with("operator.") => operate(act, who).await,
        "operation.read" => {
            let id = OperationId::from_bytes([1; 16]);
            let act = Act::operation_read();
            code(who.act(act, b"", move |grant| app::operation::read(grant, id)).await.into_outcome())
        }
        other => panic!("the act {other} has no line in the matrix"),
    }
}

async fn tenancy(act: &str, who: &Caller<'_>, owner: &Caller<'_>, n: usize) -> &'static str {
    match act {
        "tenant.list" => {
            code(who.act(Act::tenant_list(), b"", |grant| tenant::list(grant, None, None)).await.into_outcome())
        }
        "tenant.create" => {
            let act = Act::tenant_create(&format!("t{n}")).unwrap();
            code(who.act(act, b"", |grant| tenant::create(grant, tenant::TenantLimits::default())).await.into_outcome())
        }
        "tenant.read" => {
            let act = Act::tenant_read("kept").unwrap();
            code(who.act(act, b"", tenant::get).await.into_outcome())
        }
        "tenant.login" => {
            let act = Act::tenant_login("kept").unwrap();
            code(who.act(act, b"", tenant::login).await.into_outcome())
        }
        "tenant.change" => {
            let change = tenant::Change { suspended: Some(true), limits: None };
            let act = Act::tenant_change("kept").unwrap();
            code(who.act(act, b"", move |grant| tenant::change(grant, change)).await.into_outcome())
        }
        "tenant.delete" => {
            owner.house.tenant(&format!("d{n}")).await;
            let act = Act::tenant_delete(&format!("d{n}")).unwrap();
            code(who.act(act, b"", tenant::delete).await.into_outcome())
        }
        other => panic!("the act {other} has no line in the matrix"),
    }
}

/// Acts on password policies.
async fn keep_rules(act: &str, who: &Caller<'_>, owner: &Caller<'_>, n: usize) -> &'static str {
    let rules = || secret::Password { length: 20, sets: vec![(secret::Characters::Lower, 1)], ..Default::default() };
    let name = || app::PasswordPolicyName::parse(&format!("w{n}")).unwrap();
    let put = move |grant| password_policy::put(grant, rules());
    let put_act = Act::password_policy_write(name());
    if act == "password_policy.write" {
        return code(who.act(put_act, b"", put).await.into_outcome());
    }
    owner.act(put_act, b"", put).await.into_outcome().unwrap();
    match act {
        "password_policy.read" => {
            code(who.act(Act::password_policy_read(name()), b"", password_policy::get).await.into_outcome())
        }
        "password_policy.list" => {
            let list = |grant| password_policy::list(grant, None, None);
            code(who.act(Act::password_policy_list(), b"", list).await.into_outcome())
        }
        "password_policy.remove" => {
            code(who.act(Act::password_policy_remove(name()), b"", password_policy::remove).await.into_outcome())
        }
        other => panic!("the act {other} has no line in the matrix"),
    }
}

fn nothing() -> app::apply::Application {
    app::apply::Application { set: "main".to_owned(), documents: Vec::new(), prune: false }
}

/// What operators do is done by the server, behind the door; it stands in no entry.
async fn operate(act: &str, who: &Caller<'_>) -> &'static str {
    let act = match act {
        "operator.seal" => Act::operator_seal(),
        "operator.rekey" => Act::operator_rekey(),
        "operator.ceremonies" => Act::operator_ceremonies(),
        "operator.give" => Act::operator_give(),
        "operator.cancel" => Act::operator_cancel(),
        other => panic!("the act {other} has no line in the matrix"),
    };
    code(who.act(act, b"", |_| async { Ok(()) }).await.into_outcome())
}

/// Performs it and checks the row: one, with the act, the outcome, and the entry exactly when it was a change done.
async fn expect(kind: &'static ActKind, who: &Caller<'_>, owner: &Caller<'_>, n: usize, outcome: &str, sort: &str) {
    let said = perform(kind.name, who, owner, n).await;
    assert_eq!(said, outcome, "{} by {sort}", kind.name);
    let rows = owner.house.log.query(&ledger::access_log::Filter::default(), None, 1_000).await.unwrap().rows;
    let row = &rows[0].row;
    assert_eq!((&*row.act, &*row.outcome), (kind.name, outcome), "{} by {sort}", kind.name);
    let change = kind.mode != Mode::Read && outcome == "ok" && !kind.name.starts_with("operator.");
    assert_eq!(row.position.is_some(), change, "{} by {sort}", kind.name);
    let own = rows.iter().filter(|other| other.row.request == row.request).count();
    // A copy has a row for each of its two places.
    let copies = ["secret.copy", "secret.move"].contains(&kind.name) && outcome == "ok";
    assert_eq!(own, 1 + usize::from(copies), "{} by {sort}: a row for each thing", kind.name);
}

fn text(actions: impl Iterator<Item = Action>, role: &str) -> String {
    let permits = actions.map(|action| {
        format!("permit (principal in Role::\"{role}\", action == Action::\"{}\", resource);", action.name())
    });
    permits.collect::<Vec<_>>().join("\n")
}

async fn setup(house: &House) -> Caller<'_> {
    let owner = house.owner().await;
    let text = "permit (principal in Role::\"none\", action, resource);";
    owner.policy("kept", text).await.unwrap();
    house.tenant("kept").await;
    let act = Act::principal_write(PrincipalName::parse("target").unwrap());
    owner.act(act, b"", |grant| principal::put(grant, Vec::new(), false, None)).await.into_outcome().unwrap();
    owner
}

#[tokio::test]
async fn log_01_each_act_by_each_sort_of_caller_leaves_one_row_and_only_the_right_succeeds() {
    let house = house().await;
    let owner = &setup(&house).await;
    let (_, login) = house.tenant("other").await;
    let foreign = house.login(login, Some("other".into())).await;
    let foreign = Caller { tenant: None, ..foreign };
    for (n, kind) in ACTS.iter().filter(|kind| !EXEMPT.contains(&kind.name)).enumerate() {
        let n = n * 10;
        house.pass(2_000);
        expect(kind, &house.nobody(), owner, n, "auth.required", "nobody").await;
        house.pass(2_000);
        expect(kind, &foreign, owner, n + 1, "auth.required", "another tenant's owner").await;
        let exact = Role::new("exact", kind, |action| kind.rights.contains(&action));
        let others = Role::new("others", kind, |action| !kind.rights.contains(&action));
        let (exact, others) = (exact.caller(owner, n).await, others.caller(owner, n).await);
        let everyone = kind.rights.iter().any(|right| right.group() == "own");
        let without = match (everyone, kind.name) {
            (true, "session.revoke" | "session.read" | "session.renew") => "session.not_found",
            (true, _) => "ok",
            (false, _) => "policy.denied",
        };
        expect(kind, &others, owner, n + 2, without, "all rights but the one").await;
        expect(kind, &exact, owner, n + 3, "ok", "exactly the right").await;
    }
}

/// A principal with rights made for one act.
struct Role {
    name: String,
    policy: String,
}

impl Role {
    fn new(sort: &str, kind: &ActKind, has: impl Fn(Action) -> bool) -> Role {
        let name = format!("{sort}-{}", kind.name.replace('_', "-"));
        let rights = Action::ALL.iter().copied().filter(|action| has(*action));
        Role { policy: text(rights, &name), name }
    }

    async fn caller<'a>(&self, owner: &Caller<'a>, _: usize) -> Caller<'a> {
        owner.policy(&self.name, &self.policy).await.unwrap();
        let friend = owner.friend(&self.name, &[&self.name]).await;
        Caller { house: owner.house, token: friend.token.clone(), tenant: None, key: None }
    }
}
