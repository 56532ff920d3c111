//! Who may do what: principals, policies, sessions, the one-time login.

use std::os::unix::fs::PermissionsExt;

use crate::command::{aumbry, run, with};
use crate::house::House;

const READER: &str = r#"permit(principal in Role::"reader", action == Action::"secret.read", resource in Path::"db");"#;

/// A house with a reader of `db`, and the reader's token.
fn with_reader() -> (House, String) {
    let house = House::start();
    house.put("db/password", b"hunter2");
    house.put("web/api", b"t-123");
    house.run(&["principal", "put", "app", "--role", "reader"]).ok();
    house.run_with(&["policy", "put", "readers"], READER.as_bytes()).ok();
    let token = house.run(&["session", "issue", "app", "--ttl", "15m"]).ok().text().trim().to_owned();
    (house, token)
}

#[test]
fn a_reader_reads_what_the_policy_permits_and_nothing_else() {
    let (house, token) = with_reader();
    let app = |args: &[&str]| with(house.with_token(&token), args);
    assert_eq!(app(&["get", "db/password"]).ok().text(), "hunter2");
    app(&["get", "web/api"]).failed(4, "policy.denied").hides("t-123");
    app(&["get", "web/none"]).failed(4, "policy.denied");
    app(&["delete", "db/password"]).failed(4, "policy.denied");
    app(&["policy", "list"]).failed(4, "policy.denied");
    let mut put = house.with_token(&token);
    put.args(["put", "db/password"]);
    run(put, b"x").failed(4, "policy.denied");
    house.run(&["policy", "rm", "readers"]).ok();
    app(&["get", "db/password"]).failed(4, "policy.denied");
}

#[test]
fn a_grant_lets_do_what_it_says_and_no_more() {
    let house = House::start();
    house.put("db/password", b"hunter2");
    house.put("web/api", b"t-123");
    house.run(&["principal", "put", "app", "--role", "reader"]).ok();
    let token = house.run(&["session", "issue", "app"]).ok().text().trim().to_owned();
    let app = |args: &[&str]| with(house.with_token(&token), args);
    let put = |path: &str| {
        let mut put = house.with_token(&token);
        put.args(["put", path]);
        run(put, b"x")
    };
    let shown = house.run(&["grant", "app", "read", "db/", "--dry-run"]).ok();
    assert!(shown.text().contains("resource in Path::\"db\"") && shown.err.is_empty(), "{shown:?}");
    app(&["get", "db/password"]).failed(4, "policy.denied");

    let granted = house.run(&["--json", "grant", "app", "read", "db/"]).ok().json();
    let policy = granted["policy"].as_str().unwrap();
    assert_eq!(house.run(&["policy", "get", policy]).ok().text(), granted["text"].as_str().unwrap());
    assert_eq!(app(&["get", "db/password"]).ok().text(), "hunter2");
    app(&["list", "db/"]).ok();
    put("db/password").failed(4, "policy.denied");
    app(&["get", "web/api"]).failed(4, "policy.denied");
    assert_eq!(house.run(&["--json", "grant", "app", "read", "db/"]).ok().json(), granted, "the same policy again");

    house.run(&["grant", "--role", "reader", "read,write", "web/api"]).ok().failed(0, "aumbry policy rm grant-reader-");
    assert_eq!(app(&["get", "web/api"]).ok().text(), "t-123");
    put("web/api").ok();
    put("web/other").failed(4, "policy.denied");
    app(&["purge", "web/api", "--all", "--yes"]).failed(4, "policy.denied");
    house.run(&["grant", "app", "all", "/"]).ok();
    put("web/other").ok();
    app(&["purge", "web/api", "--all", "--yes"]).ok();
    app(&["policy", "list"]).failed(4, "policy.denied");
    house.run(&["policy", "rm", policy]).ok();

    house.run(&["grant", "nobody", "read", "db/"]).failed(5, "principal.not_found");
    house.run(&["grant", "app", "look", "db/"]).failed(2, "look");
    house.run(&["grant", "app", "read", "../db"]).failed(2, "policy.invalid");
}

#[test]
fn what_is_explained_is_what_happens() {
    let (house, token) = with_reader();
    let cautious = r#"forbid(principal, action, resource) when { context.source_ip.isInRange(ip("203.0.113.0/24")) };"#;
    house.run_with(&["policy", "put", "not-from-there"], cautious.as_bytes()).ok();
    let asked = |args: &[&str]| {
        let said = house.run(&[&["--json", "policy", "explain", "app"], args].concat());
        let told = said.json();
        assert_eq!(said.code, if told["allowed"] == true { 0 } else { 1 }, "{told}");
        told
    };
    let told = |args: &[&str]| {
        let told = asked(args);
        let rules: Vec<_> =
            told["rules"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned()).collect();
        (told["allowed"].as_bool().unwrap(), told["reason"].as_str().unwrap().to_owned(), rules.join(" "))
    };
    let is = |allowed, reason: &str, rules: &str| (allowed, reason.to_owned(), rules.to_owned());
    assert_eq!(told(&["secret.read", "db/password"]), is(true, "permitted", "readers"));
    assert_eq!(with(house.with_token(&token), &["get", "db/password"]).ok().text(), "hunter2");
    assert_eq!(told(&["secret.read", "web/api"]), is(false, "not_permitted", ""));
    with(house.with_token(&token), &["get", "web/api"]).failed(4, "policy.denied");
    let elsewhere = ["secret.read", "db/password", "--source-ip", "203.0.113.9"];
    assert_eq!(told(&elsewhere), is(false, "forbidden", "not-from-there"));
    assert_eq!(told(&["session.own"]), is(true, "permitted", "aumbry:self"));
    assert_eq!(told(&["secret.list", "/"]).1, "not_permitted");
    assert_eq!(asked(&["secret.read", "db/x"])["roles"], serde_json::json!(["reader"]));
    let said = house.run(&["policy", "explain", "app", "secret.read", "db/password"]).ok();
    assert!(said.text().contains("permitted by readers; its roles: reader"), "{said:?}");

    house.run(&["policy", "explain", "app", "secret.look", "db/x"]).failed(2, "names no act");
    house.run(&["policy", "explain", "app", "key.rotate", "db/x"]).failed(2, "is not done to that but to: System");
    house.run(&["policy", "explain", "nobody", "key.read"]).failed(5, "principal.not_found");
    let mut own = house.with_token(&token);
    own.args(["policy", "explain", "app", "secret.read", "db/password"]);
    run(own, b"").failed(4, "policy.denied");
    house.run(&["principal", "put", "app", "--role", "reader", "--disabled"]).ok();
    assert_eq!(told(&["secret.read", "db/password"]), is(false, "disabled", ""));
}

#[test]
fn a_session_ends_when_it_is_revoked_or_its_principal_disabled() {
    let (house, token) = with_reader();
    let own = with(house.with_token(&token), &["--json", "session", "show"]).ok().json();
    assert_eq!(own["principal"], "app");
    house.run(&["session", "revoke", own["id"].as_str().unwrap()]).ok();
    with(house.with_token(&token), &["get", "db/password"]).failed(3, "auth.required");
    let token = house.run(&["session", "issue", "app"]).ok().text().trim().to_owned();
    assert_eq!(with(house.with_token(&token), &["get", "db/password"]).ok().text(), "hunter2");
    house.run(&["principal", "put", "app", "--role", "reader", "--disabled"]).ok();
    with(house.with_token(&token), &["get", "db/password"]).failed(3, "auth.required");
}

#[test]
fn a_built_in_policy_has_no_time_of_its_own() {
    let (house, _) = with_reader();
    let shown = house.run(&["policy", "list"]).ok();
    assert!(shown.text().contains("aumbry:owner\t-\n") && !shown.text().contains("1970"), "{shown:?}");
    let list = house.run(&["--json", "policy", "list"]).ok().json();
    for policy in list["items"].as_array().unwrap() {
        let built_in = policy["name"].as_str().unwrap().starts_with("aumbry:");
        assert_eq!(policy.get("updated_at").is_none(), built_in, "{policy}");
    }
}

#[test]
fn a_policy_that_is_none_is_refused_and_one_that_is_reads_back() {
    let house = House::start();
    house.run_with(&["policy", "put", "bad"], b"permit(everything)").failed(2, "policy.invalid");
    house.run_with(&["policy", "put", "readers"], READER.as_bytes()).ok();
    assert_eq!(house.run(&["policy", "get", "readers"]).ok().text().trim_end(), READER);
    let list = house.run(&["policy", "list"]).ok();
    assert!(list.text().lines().any(|line| line.starts_with("readers\t")), "{list:?}");
    house.run(&["policy", "get", "none"]).failed(5, "policy.not_found");
    house.run(&["principal", "get", "none"]).failed(5, "principal.not_found");
}

#[test]
fn cli_01_a_session_written_to_a_file_is_private_and_works() {
    let (house, _) = with_reader();
    let shown = house.run(&["session", "issue", "app", "--out", "token"]).ok();
    let file = house.folder().join("token");
    let token = std::fs::read_to_string(&file).unwrap();
    assert!(!shown.text().contains(&token) && token.starts_with("aum_ses_"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut command = house.owner();
    command.env_remove("AUMBRY_TOKEN").args(["--token-file", "token", "get", "db/password"]);
    assert_eq!(run(command, b"").ok().text(), "hunter2");
}

#[test]
fn the_owners_login_opens_once_and_is_kept_for_later_commands() {
    let house = House::start();
    house.put("a", b"1");
    let plain = |args: &[&str]| with(aumbry(house.folder()), args);
    let mut login = house.owner();
    login.env_remove("AUMBRY_TOKEN").args(["login", "data.owner.login"]);
    let ended = run(login, b"").ok();
    assert!(ended.text().starts_with("logged in as ") && !ended.text().contains("aum_"), "{ended:?}");
    let kept = house.folder().join("config/aumbry/login.json");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(plain(&["get", "a"]).ok().text(), "1", "address, certificate and token come from the login");
    let session = plain(&["--json", "session", "show"]).ok().json();
    for tenant in ["main", session["tenant"].as_str().unwrap()] {
        assert_eq!(plain(&["--tenant", tenant, "get", "a"]).ok().text(), "1", "a tenant by name or id: {tenant}");
        let reference = format!("A=aumbry://{tenant}/a");
        let ended = plain(&["run", "--env", &reference, "--", "sh", "-c", "echo $A"]);
        assert_eq!(ended.ok().text(), "1\n", "{reference}");
    }
    let ended = plain(&["--tenant", "nobodys", "get", "a"]).failed(3, "auth.required");
    ended.failed(3, "aumbry login").failed(3, "AUMBRY_TOKEN").failed(3, "a tenant that is named").hides("bearer");
    let doctor = plain(&["--json", "--tenant", "nobodys", "doctor"]).failed(3, "").hides("bearer");
    assert!(doctor.text().contains("a tenant that is named"), "{doctor:?}");
    plain(&["run", "--env", "A=aumbry://nobodys/a", "--", "true"]).failed(125, "auth.required");
    plain(&["--addr", "https://127.0.0.1:1", "get", "a"]).failed(7, "client.unreachable");
    let mut again = house.owner();
    again.env_remove("AUMBRY_TOKEN").args(["login", "data.owner.login"]);
    run(again, b"").failed(3, "auth.login_refused");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o644)).unwrap();
    plain(&["get", "a"]).failed(2, "0644");
}

#[test]
fn the_owners_login_stays_in_its_file_until_it_is_used() {
    let mut house = House::start();
    let file = house.folder().join("data.owner.login");
    let first = std::fs::read(&file).unwrap();
    house.stop();
    house.start_again();
    assert_eq!(std::fs::read(&file).unwrap(), first, "it still opens");
    let mut login = house.owner();
    login.env_remove("AUMBRY_TOKEN").args(["login", "data.owner.login"]);
    run(login, b"").ok();
    house.stop();
    house.start_again();
    assert!(!file.exists(), "what is left of it opens nothing");
}

#[test]
fn cli_11_a_login_is_kept_for_its_own_server_only() {
    let (house, _) = with_reader();
    let minted = crypto::token::Token::mint("login", &crypto::seam::SystemEntropy::new()).unwrap();
    let mut stranger = aumbry(house.folder());
    stranger.env("AUMBRY_ADDR", house.export("AUMBRY_ADDR")).env("AUMBRY_CACERT", house.export("AUMBRY_CACERT"));
    stranger.arg("login");
    run(stranger, minted.expose().as_bytes()).failed(3, "auth.login_refused").hides(minted.expose());
    let kept = house.folder().join("config").join("aumbry").join("login.json");
    assert!(!kept.exists());
}
