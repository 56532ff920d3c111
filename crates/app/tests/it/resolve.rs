//! References between secrets, resolved on request only.

use crate::house::{Caller, House, code, house, path};
use app::Act;
use app::secret::{self, Revealed};
use ledger::Refusal;

async fn resolved(who: &Caller<'_>, at: &str) -> Result<Revealed, Refusal> {
    who.act(Act::secret_read(path(at), None), b"", secret::get_resolved).await.into_outcome()
}

async fn text(who: &Caller<'_>, at: &str) -> String {
    String::from_utf8(resolved(who, at).await.unwrap().value.expose().to_vec()).unwrap()
}

async fn last_rows(house: &House, count: usize) -> Vec<(Option<String>, Option<u64>, String)> {
    let rows = house.rows().await;
    rows[rows.len() - count..].iter().map(|row| (row.path.clone(), row.version, row.outcome.to_string())).collect()
}

#[tokio::test]
async fn references_are_resolved_only_on_request_and_each_secret_has_its_row() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("db/old", "hunter1").await.unwrap();
    owner.put("db/old", "hunter2").await.unwrap();
    owner.put("db/conf", r#"{"user":"app","port":5432}"#).await.unwrap();
    let document = r#"{"u":"aumbry:///db/conf#user","p":"aumbry:///db/conf#port","w":["aumbry:///db/old?version=1"],"t":"see aumbry:///x"}"#;
    owner.put("app", document).await.unwrap();
    owner.put("link", "aumbry:///app#w").await.unwrap();
    assert_eq!(owner.get("app").await.unwrap(), document, "as it was written, unless asked for");
    let wanted = r#"{"u":"app","p":5432,"w":["hunter1"],"t":"see aumbry:///x"}"#;
    assert_eq!(text(&owner, "app").await, wanted);
    let rows = last_rows(&house, 3).await;
    let row = |at: &str, version| (Some(at.to_owned()), Some(version), "ok".to_owned());
    assert_eq!(rows, [row("app", 1), row("db/conf", 1), row("db/old", 1)]);
    assert_eq!(text(&owner, "link").await, r#"["hunter1"]"#, "a field that holds a reference is resolved in its turn");
    assert_eq!(text(&owner, "db/old").await, "hunter2");
    let paths = vec![path("link"), path("db/old")];
    let act = Act::secret_read_many(paths).unwrap();
    let many = owner.act(act, b"", secret::read_many_resolved).await.into_outcome().unwrap();
    assert_eq!((many[0].value.expose(), many[1].value.expose()), (&br#"["hunter1"]"#[..], &b"hunter2"[..]));
}

#[tokio::test]
async fn a_reference_to_what_the_caller_may_not_read_refuses_the_whole() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("theirs/x", "canary").await.unwrap();
    owner.put("mine/a", r#"{"x":"aumbry:///theirs/x"}"#).await.unwrap();
    owner.put("mine/b", r#"{"x":"aumbry:///theirs/none"}"#).await.unwrap();
    let permit = r#"permit (principal in Role::"r", action == Action::"secret.read", resource in Path::"mine");"#;
    owner.policy("r", permit).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    for (at, to) in [("mine/a", "theirs/x"), ("mine/b", "theirs/none")] {
        let refused = resolved(&friend, at).await.unwrap_err();
        assert_eq!(refused.code.name, "policy.denied", "there or not");
        assert!(!refused.to_string().contains("canary"), "{refused}");
        assert_eq!(last_rows(&house, 1).await, [(Some(to.to_owned()), None, "policy.denied".to_owned())]);
    }
    assert_eq!(friend.get("mine/a").await.unwrap(), r#"{"x":"aumbry:///theirs/x"}"#);
    assert!(resolved(&owner, "mine/a").await.is_ok(), "control");
}

#[tokio::test]
async fn circles_depth_number_and_other_tenants_are_bounded() {
    let house = house().await;
    let owner = house.owner().await;
    let refused = async |at: &str| {
        let refused = resolved(&owner, at).await.unwrap_err();
        assert!(!refused.to_string().contains("canary"), "{refused}");
        refused.code.name
    };
    owner.put("self", "aumbry:///self").await.unwrap();
    owner.put("a", r#"{"x":"aumbry:///b#y","k":"canary"}"#).await.unwrap();
    owner.put("b", r#"{"y":"aumbry:///a#x"}"#).await.unwrap();
    owner.put("fine", r#"{"x":"aumbry:///fine#y","y":"v"}"#).await.unwrap();
    assert_eq!(refused("self").await, "reference.invalid");
    assert_eq!(refused("a").await, "reference.invalid");
    assert_eq!(text(&owner, "fine").await, r#"{"x":"v","y":"v"}"#, "one field may lead to another");
    for n in 0..9 {
        owner.put(&format!("chain/{n}"), &format!("aumbry:///chain/{}", n + 1)).await.unwrap();
    }
    owner.put("chain/9", "end").await.unwrap();
    assert_eq!(text(&owner, "chain/1").await, "end", "eight follow each other");
    assert_eq!(refused("chain/0").await, "reference.invalid");
    owner.put("leaf", "v").await.unwrap();
    let wide = |count: usize| format!("[{}]", vec!["\"aumbry:///leaf\""; count].join(","));
    owner.put("wide", &wide(256)).await.unwrap();
    owner.put("wider", &wide(257)).await.unwrap();
    assert!(resolved(&owner, "wide").await.is_ok());
    assert_eq!(refused("wider").await, "reference.invalid");
    // A value that doubles at each step stays within the bounds of one request.
    owner.put("bomb/0", &format!("\"{}\"", "x".repeat(1000))).await.unwrap();
    for n in 1..8 {
        let two = format!(
            "[\"aumbry:///bomb/{0}\",\"aumbry:///bomb/{0}\",\"aumbry:///bomb/{0}\",\"aumbry:///bomb/{0}\"]",
            n - 1
        );
        owner.put(&format!("bomb/{n}"), &two).await.unwrap();
    }
    assert_eq!(refused("bomb/7").await, "reference.invalid");
    let (_, login) = house.tenant("other").await;
    let other = house.login(login, Some("other".into())).await;
    other.put("x", "canary").await.unwrap();
    for to in ["aumbry://other/x", "aumbry://other/none", "aumbry://nobody/x"] {
        owner.put("foreign", to).await.unwrap();
        let told = resolved(&owner, "foreign").await.unwrap_err();
        assert_eq!(told.to_string(), "reference.invalid: `foreign`: a reference leads to another tenant");
    }
    other.put("own", "aumbry://other/x").await.unwrap();
    assert_eq!(text(&other, "own").await, "canary", "a tenant may name itself");
    for bad in ["aumbry:///none", "aumbry:///a/../b", "aumbry:///leaf#f", "aumbry:///leaf?version=9"] {
        owner.put("bad", bad).await.unwrap();
        assert!(["secret.not_found", "reference.invalid"].contains(&refused("bad").await), "{bad}");
    }
    owner
        .act(Act::secret_delete(path("leaf")), b"", |grant| secret::delete(grant, None, None))
        .await
        .into_outcome()
        .unwrap();
    assert_eq!(code(resolved(&owner, "wide").await), "secret.deleted");
}
