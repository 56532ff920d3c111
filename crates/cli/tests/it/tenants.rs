//! `aumbry session`, `tenant`, `policy test|diff|who`, own spaces: through the real binary.

use crate::command::{run, with};
use crate::house::House;
use std::io::Write;

/// A file with this text.
fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_session_derived_by_hand_does_less_and_ends_with_its_parent() {
    let house = House::start();
    house.put("db/password", b"hunter2");
    house.put("web/api", b"t-123");
    house.run(&["principal", "put", "app", "--role", "reader"]).ok();
    house.run(&["grant", "--role", "reader", "read", "/"]).ok();
    let token = house.run(&["session", "issue", "app", "--ttl", "1h", "--max-ttl", "2h"]).ok().text().trim().to_owned();
    let app = |args: &[&str]| with(house.with_token(&token), args);
    let derive = ["session", "derive", "--ttl", "10m", "--scope", "secret.read,secret.list@db/"];
    let child = app(&derive).ok().text().trim().to_owned();
    let less = |args: &[&str]| with(house.with_token(&child), args);
    assert_eq!(less(&["get", "db/password"]).ok().text(), "hunter2");
    less(&["get", "web/api"]).failed(4, "policy.denied");
    let shown = less(&["--json", "session", "show"]).ok().json();
    assert_eq!(shown["bounds"][0]["scope"][0]["place"], "db/");
    let listed = app(&["--json", "session", "list"]).ok().json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let own = app(&["--json", "session", "show"]).ok().json();
    assert_eq!(own["renewable"], true);
    let renewed = app(&["--json", "session", "renew"]).ok().json();
    assert!(renewed["session"]["expires_at"].as_str() > own["expires_at"].as_str());
    less(&["session", "renew"]).failed(6, "session.not_renewable");
    house.run(&["session", "show", own["id"].as_str().unwrap()]).ok();
    house.run(&["session", "revoke", own["id"].as_str().unwrap()]).ok();
    less(&["get", "db/password"]).failed(3, "auth.required");

    let once = house.run(&["session", "issue", "app", "--uses", "1"]).ok().text().trim().to_owned();
    assert_eq!(with(house.with_token(&once), &["get", "db/password"]).ok().text(), "hunter2");
    with(house.with_token(&once), &["get", "db/password"]).failed(3, "auth.required");
    let issued = house.run(&["session", "issue", "app", "--network", "203.0.113.0/24"]).ok();
    with(house.with_token(issued.text().trim()), &["get", "db/password"]).failed(4, "session.elsewhere");
    for bad in
        [["--uses", "0"], ["--scope", "secret.fly"], ["--network", "10.0.0.1/8"], ["--ttl", "0s"], ["--role", "x"]]
    {
        let told = house.run(&[&["session", "issue", "app"][..], &bad].concat());
        assert!(told.code == 2 || told.code == 4, "{bad:?}: {told:?}");
    }
}

#[test]
fn a_tenant_is_made_entered_suspended_and_deleted_by_hand() {
    let house = House::start();
    house.put("a", b"ours");
    let folder = tempfile::tempdir().unwrap();
    let login = folder.path().join("login");
    let login = login.to_str().unwrap();
    house.run(&["tenant", "create", "acme", "--secrets", "2", "--out", login]).ok();
    let member = || {
        let mut call = house.owner();
        call.env_remove("AUMBRY_TOKEN").args(["--tenant", "acme"]);
        call
    };
    with(member(), &["login", login]).ok();
    let acme = |args: &[&str]| with(member(), args);
    acme(&["get", "a"]).failed(5, "secret.not_found");
    let put = |path: &str| {
        let mut put = member();
        put.args(["put", path]);
        run(put, b"theirs")
    };
    put("a").ok();
    put("b").ok();
    put("c").failed(4, "tenant.full");
    let told = house.run(&["tenant", "limit", "acme", "--request-rate", "500"]).ok().text().to_owned();
    assert_eq!(told, "acme has these limits and no others: most secrets none, most requests/s 500\n");
    put("c").ok();
    house.run(&["tenant", "create", "acme"]).failed(6, "tenant.taken");
    house.run(&["tenant", "create", "Acme"]).failed(2, "tenant.invalid");
    house.run(&["tenant", "suspend", "main"]).failed(2, "tenant.invalid");
    house.run(&["tenant", "suspend", "acme"]).ok();
    acme(&["get", "a"]).failed(4, "tenant.suspended");
    house.run(&["tenant", "resume", "acme"]).ok();
    assert_eq!(acme(&["get", "a"]).ok().text(), "theirs");
    house.run(&["tenant", "delete", "acme"]).failed(2, "--yes");
    house.run(&["tenant", "delete", "acme", "--yes"]).ok();
    acme(&["get", "a"]).failed(3, "auth.required");
    let gone = || house.run(&["tenant", "get", "acme"]).code == 5;
    for _ in 0..100 {
        if gone() {
            break;
        }
        assert!(std::process::Command::new("sleep").arg("0.1").status().unwrap().success());
    }
    assert!(gone());
    let left = house.run(&["--json", "tenant", "list"]).ok().json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    assert_eq!(house.run(&["get", "a"]).ok().text(), "ours");
}

#[test]
fn policies_are_tried_compared_and_asked_before_they_are_written() {
    let house = House::start();
    house.run(&["principal", "put", "app", "--role", "reader"]).ok();
    let text = "permit (principal in Role::\"reader\", action == Action::\"secret.read\", resource in Path::\"db\");";
    let (policy, cases) = (
        file(text),
        file(
            "[[case]]\nprincipal = \"app\"\naction = \"secret.read\"\nresource = \"db/a\"\nexpect = \"yes\"\n\
         [[case]]\nprincipal = \"app\"\naction = \"secret.read\"\nresource = \"web/a\"\nexpect = \"no\"\n",
        ),
    );
    let (policy, cases) = (policy.path().to_str().unwrap(), cases.path().to_str().unwrap());
    let put = format!("readers={policy}");
    let before = house.run(&["policy", "test", cases]);
    assert_eq!(before.code, 1);
    assert!(before.text().contains("case 1: app secret.read db/a: no, no policy permits it"), "{before:?}");
    house.run(&["policy", "test", cases, "--put", &put]).ok();
    let differs = house.run(&["--json", "policy", "diff", "--put", &put]);
    assert_eq!(differs.code, 1);
    let altered = &differs.json()["altered"];
    assert_eq!((altered[0]["principal"].as_str(), altered[0]["resource"].as_str()), (Some("app"), Some("db/*")));
    house.run(&["policy", "put", "readers", policy]).ok();
    house.run(&["policy", "diff", "--put", &put]).ok();
    assert_eq!(house.run(&["policy", "diff", "--remove", "readers"]).code, 1);
    let who = house.run(&["--json", "policy", "who", "secret.read", "db/a"]).ok().json();
    let names: Vec<_> =
        who["principals"].as_array().unwrap().iter().map(|who| who["principal"].as_str().unwrap()).collect();
    assert_eq!(names, ["app", "owner"]);
    assert!(house.run(&["policy", "actions"]).ok().text().contains("tenant.delete"));
    house.run(&["policy", "diff"]).failed(2, "--put");
    house.run(&["policy", "diff", "--put", "x"]).failed(2, "NAME=FILE");
    house.run(&["policy", "test", policy]).failed(2, "[[case]]");
    house.run(&["policy", "diff", "--remove", "nothing"]).failed(5, "policy.not_found");
}

#[test]
fn each_principal_has_a_space_of_its_own() {
    let house = House::start();
    house.run(&["grant", "-", "all", "people/", "--own"]).ok();
    let mut tokens = Vec::new();
    for name in ["ann", "bob"] {
        house.run(&["principal", "put", name]).ok();
        tokens.push(house.run(&["session", "issue", name]).ok().text().trim().to_owned());
    }
    let put = |token: &str, path: &str| {
        let mut put = house.with_token(token);
        put.args(["put", path]);
        run(put, b"mine")
    };
    put(&tokens[0], "people/ann/diary").ok();
    put(&tokens[1], "people/bob/diary").ok();
    put(&tokens[0], "people/bob/diary").failed(4, "policy.denied");
    put(&tokens[0], "people/diary").failed(4, "policy.denied");
    put(&tokens[0], "other/ann/diary").failed(4, "policy.denied");
    with(house.with_token(&tokens[0]), &["get", "people/bob/diary"]).failed(4, "policy.denied");
    with(house.with_token(&tokens[0]), &["list", "people/ann/"]).ok();
    with(house.with_token(&tokens[0]), &["list", "people/"]).failed(4, "policy.denied");
    for bad in ["/", "people", "people/x/"] {
        house.run(&["grant", "-", "all", bad, "--own"]).failed(2, "people/");
    }
}

#[test]
fn a_secret_is_handed_over_once_to_somebody_without_a_login() {
    let house = House::start();
    house.put("db/key", b"\x00\xffbytes");
    let token = house.run(&["wrap", "db/key", "--ttl", "10m"]).ok().text().trim().to_owned();
    assert!(token.starts_with("aum_wrap_"), "{token}");
    let unwrap = |args: &[&str], token: &str| {
        let mut stranger = crate::command::aumbry(house.folder());
        stranger.env("AUMBRY_ADDR", house.export("AUMBRY_ADDR")).env("AUMBRY_CACERT", house.export("AUMBRY_CACERT"));
        stranger.args(args);
        run(stranger, token.as_bytes())
    };
    assert_eq!(unwrap(&["unwrap"], &token).ok().out, b"\x00\xffbytes");
    let again = unwrap(&["unwrap"], &token).failed(6, "wrap.opened");
    assert!(again.err.contains("replace it"), "{}", again.err);
    let listed = house.run(&["--json", "access", "list", "--path", "db/key"]).ok().json();
    assert_eq!(listed["items"][0]["act"], "wrap.make");

    let text = house.run_with(&["--json", "wrap"], b"a session's token").ok().json();
    let opened = unwrap(&["--json", "unwrap", "-"], text["token"].as_str().unwrap()).ok().json();
    assert_eq!(opened["text"], "a session's token");
    house.run(&["wrap", "db/none"]).failed(5, "secret.not_found");
    house.run(&["wrap", "db/key", "--ttl", "30d"]).failed(2, "session.invalid");
    unwrap(&["unwrap"], "aum_ses_x").failed(2, "cli.invalid");
}

#[test]
fn logins_to_several_tenants_are_kept_beside_each_other() {
    let house = House::start();
    let as_user = |args: &[&str], input: &[u8]| {
        let mut command = crate::command::aumbry(house.folder());
        command.env("AUMBRY_ADDR", house.export("AUMBRY_ADDR")).env("AUMBRY_CACERT", house.export("AUMBRY_CACERT"));
        command.args(args);
        run(command, input)
    };
    let login = |tenant: &str| {
        let made = house.run(&["--json", "tenant", "login", tenant]).ok().json();
        made["login"].as_str().unwrap().to_owned()
    };
    for tenant in ["acme", "globex"] {
        house.run(&["tenant", "create", tenant]).ok();
        as_user(&["--tenant", tenant, "login", "-"], login(tenant).as_bytes()).ok();
        as_user(&["--tenant", tenant, "put", "a", "-"], tenant.as_bytes()).ok();
    }
    for tenant in ["acme", "globex"] {
        assert_eq!(as_user(&["--tenant", tenant, "get", "a"], b"").ok().text(), tenant);
    }
    // The first one is used where no tenant is named.
    assert_eq!(as_user(&["get", "a"], b"").ok().text(), "acme");
    as_user(&["--tenant", "main", "get", "a"], b"").failed(3, "auth.required");
}
