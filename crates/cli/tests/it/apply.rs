//! `aumbry apply` and a start that finds its documents, through the real binary.

use crate::command::{aumbry, with};
use crate::house::House;

const FIRST: &str = "\
kind: principal
name: app
spec:
  roles: [reader]
---
kind: policy
name: readers
spec:
  file: readers.cedar
---
kind: secret
name: db/password
spec:
  labels: { team: web }
  generate: { length: 24 }
";

const READERS: &str =
    "permit (principal in Role::\"reader\", action == Action::\"secret.read\", resource in Path::\"db\");";

#[test]
fn documents_in_a_file_are_shown_applied_and_pruned() {
    let house = House::start();
    let folder = tempfile::tempdir().unwrap();
    let (file, cedar) = (folder.path().join("house.yaml"), folder.path().join("readers.cedar"));
    std::fs::write(&file, FIRST).unwrap();
    std::fs::write(&cedar, READERS).unwrap();
    let place = file.to_str().unwrap();
    let shown = house.run(&["apply", "-f", place, "--diff"]);
    assert_eq!((shown.code, shown.text()), (1, "+ principal app\n+ policy readers\n+ secret db/password\n"));
    house.run(&["get", "db/password"]).failed(5, "secret.not_found");
    house.run(&["apply", "-f", folder.path().to_str().unwrap()]).ok();
    assert_eq!(house.run(&["get", "db/password"]).ok().text().len(), 24);
    let token = house.run(&["session", "issue", "app"]).ok().text().trim().to_owned();
    with(house.with_token(&token), &["get", "db/password"]).ok();
    house.run(&["apply", "-f", place, "--diff"]).ok();
    std::fs::write(&file, FIRST.replace("team: web", "team: ops")).unwrap();
    assert!(house.run(&["apply", "-f", place, "--diff"]).text().contains("~ secret db/password"));
    std::fs::write(&file, "kind: principal\nname: app\nspec: { roles: [reader] }\n").unwrap();
    let pruned = house.run(&["--json", "apply", "-f", place, "--prune"]).ok().json();
    assert_eq!(pruned["steps"][1]["step"], "prune");
    house.run(&["get", "db/password"]).failed(5, "secret.deleted");
    with(house.with_token(&token), &["get", "db/password"]).failed(4, "policy.denied");
    std::fs::write(&file, "").unwrap();
    house.run(&["apply", "-f", place, "--prune"]).failed(2, "would go");
    assert_eq!(house.run(&["apply", "-f", place, "--prune", "--diff"]).text(), "- principal app\n");
    assert_eq!(house.run(&["apply", "-f", place, "--prune", "--yes"]).ok().text(), "- principal app\n");
    for (bad, told) in [
        ("kind: secret\nname: a\nspec: { value: hunter2 }\n", "apply.invalid"),
        ("kind: secret\nname: a\nvalue: hunter2\n", "house.yaml"),
        ("kind: thing\nname: a\n", "apply.invalid"),
        ("kind: secret\nname: ../a\n", "document 1"),
        ("hunter2", "house.yaml"),
    ] {
        std::fs::write(&file, bad).unwrap();
        house.run(&["apply", "-f", place]).failed(2, told).hides("hunter2");
    }
    house.run(&["apply", "-f", "/nowhere/x.yaml"]).failed(2, "/nowhere/x.yaml");
}

#[test]
fn a_first_start_finds_its_documents_and_a_later_one_leaves_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.yaml"), FIRST).unwrap();
    std::fs::write(folder.path().join("readers.cedar"), READERS).unwrap();
    let flag: &'static str = format!("init.documents={}", folder.path().display()).leak();
    let flags: &'static [&'static str] = Vec::from(["--set", flag]).leak();
    let mut house = House::start_with(flags);
    let made = house.run(&["get", "db/password"]).ok();
    assert_eq!(made.text().len(), 24);
    house.run(&["policy", "rm", "readers"]).ok();
    house.kill_and_start();
    assert_eq!(house.run(&["get", "db/password"]).ok().text(), made.text());
    house.run(&["policy", "get", "readers"]).failed(5, "policy.not_found");
}

#[test]
fn documents_of_a_start_take_no_owner_away_and_come_too_late_where_the_house_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("first.yaml");
    let flag = format!("init.documents={}", file.display());
    let start = || {
        let args = ["serve", "--dev", "--data-dir", "data", "--listen", "127.0.0.1:0", "--set", &flag];
        with(aumbry(folder.path()), &args)
    };
    for spec in ["{ roles: [app] }", "{ roles: [owner], disabled: true }", "{}"] {
        let owner = format!("kind: principal\nname: owner\nspec: {spec}\n---\n{}", FIRST.split("---").next().unwrap());
        std::fs::write(&file, owner).unwrap();
        start().failed(2, "(serve.documents)").failed(2, "`owner` is an owner").failed(2, "init.documents");
    }
    let mut house = House::start();
    house.stop();
    std::fs::write(&file, "kind: principal\nname: app\n").unwrap();
    let flag: &'static str = flag.leak();
    house.start_again_with(Vec::from(["--set", flag]).leak());
    house.run(&["principal", "get", "app"]).failed(5, "principal.not_found");
    house.run(&["apply", "-f", file.to_str().unwrap()]).ok();
}

const TENANTS: &str = "\
kind: password_policy
name: pins
spec: { length: 30, characters: [digits] }
---
kind: secret
name: door/pin
spec:
  generate: { policy: pins }
---
kind: tenant
name: acme
spec:
  limits: { secrets: 2 }
";

#[test]
fn tenants_and_password_policies_are_applied_and_a_tenants_owner_is_asked_for_afterwards() {
    let house = House::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("house.yaml");
    std::fs::write(&file, TENANTS).unwrap();
    let place = file.to_str().unwrap();
    let shown = house.run(&["apply", "-f", place, "--diff"]);
    assert_eq!((shown.code, shown.text()), (1, "+ password_policy pins\n+ secret door/pin\n+ tenant acme\n"));
    house.run(&["tenant", "get", "acme"]).failed(5, "tenant.not_found");
    house.run(&["apply", "-f", place]).ok();
    let pin = house.run(&["get", "door/pin"]).ok().text().to_owned();
    assert!(pin.len() == 30 && pin.bytes().all(|byte| byte.is_ascii_digit()), "{pin}");
    let tenant = house.run(&["--json", "tenant", "get", "acme"]).ok().json();
    assert_eq!((&tenant["state"], &tenant["limits"]["secrets"]), (&"active".into(), &2.into()));
    house.run(&["apply", "-f", place, "--diff"]).ok();
    let login = folder.path().join("login");
    house.run(&["tenant", "create", "acme", "--out", login.to_str().unwrap()]).ok();
    house
        .run(&["tenant", "create", "acme", "--out", folder.path().join("second").to_str().unwrap()])
        .failed(6, "tenant.taken");
    let tenant = house.run(&["--json", "tenant", "get", "acme"]).ok().json();
    assert_eq!(tenant["limits"]["secrets"], 2, "as the document says");

    std::fs::write(&file, "kind: principal\nname: ann\n").unwrap();
    let pruned = house.run(&["apply", "-f", place, "--prune"]).ok();
    assert_eq!(pruned.text(), "+ principal ann\n- secret door/pin\n- tenant acme\n- password_policy pins\n");
    assert_eq!(house.run(&["--json", "tenant", "get", "acme"]).ok().json()["state"], "suspended", "never deleted");
    house.run(&["password-policy", "show", "pins"]).failed(5, "password_policy.not_found");
    for bad in [
        "kind: tenant\nname: main\nspec: { suspended: true }\n",
        "kind: tenant\nname: b\nspec: { limits: { request_rate: 0 } }\n",
        "kind: tenant\nname: b\nspec: { owner: hunter2 }\n",
        "kind: password_policy\nname: weak\nspec: { length: 3 }\n",
    ] {
        std::fs::write(&file, format!("kind: tenant\nname: c\n---\n{bad}")).unwrap();
        house.run(&["apply", "-f", place]).failed(2, "invalid").hides("hunter2");
    }
    house.run(&["tenant", "get", "c"]).failed(5, "tenant.not_found");
}
