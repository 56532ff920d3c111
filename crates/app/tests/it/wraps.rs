//! Things handed over by a token that opens once.

use crate::house::{Caller, House, house};
use app::wrap::{self, Content};
use app::{Act, Arrival, Path, Refusal};
use crypto::SecretText;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

async fn wrapped(who: &Caller<'_>, act: Act, text: Option<&str>, key: &str) -> Result<SecretText, Refusal> {
    let text = text.map(|text| SecretText::new(text.to_owned()));
    let made = who.keyed(key).act(act, b"", |grant| wrap::make(grant, text, HOUR)).await.into_outcome()?;
    Ok(made.what.token)
}

/// What opening gives: the text, or the code of the refusal.
async fn opened(house: &House, token: &str, tenant: Option<&str>, key: &str) -> Result<String, &'static str> {
    let arrival = Arrival { idempotency: Some(key.into()), ..house.arrival(None, tenant.map(str::to_owned)) };
    let opened = wrap::open(&house.app, arrival, SecretText::new(token.to_owned())).await.into_outcome();
    opened.map_err(|refusal| refusal.code.name).map(|changed| match changed.what {
        Content::Text(text) => text.expose().to_owned(),
        Content::Secret(revealed) => String::from_utf8(revealed.value.expose().to_vec()).unwrap(),
    })
}

fn secret(path: &str) -> Act {
    Act::wrap_secret(Path::parse(path).unwrap(), None)
}

#[tokio::test]
async fn token_09_a_wrap_opens_once_and_a_second_opening_is_refused_and_an_alarm() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "the value").await.unwrap();
    let token = wrapped(&owner, secret("a"), None, "k1").await.unwrap();
    owner.put("a", "a later value").await.unwrap();
    let keys: Vec<String> = (0..20).map(|n| format!("open-{n}")).collect();
    let answers = futures::future::join_all(keys.iter().map(|key| opened(&house, token.expose(), None, key))).await;
    assert_eq!(answers.iter().filter(|answer| answer.as_deref() == Ok("the value")).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Err("wrap.opened")).count(), 19, "{answers:?}");
    // The same request again is no second opening.
    let first = answers.iter().position(Result::is_ok).unwrap();
    assert_eq!(opened(&house, token.expose(), None, &keys[first]).await.as_deref(), Ok("the value"));
    let entries = house.ledger.entries(0, 512).await.unwrap();
    let kinds: Vec<String> =
        entries.iter().map(|entry| house.ledger.open_entry(entry).unwrap().1.kind.to_string()).collect();
    let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count();
    assert_eq!((count("auth.wrap.made"), count("auth.wrap.opened"), count("auth.wrap.reopened")), (1, 1, 19));
}

#[tokio::test]
async fn token_09_a_wraps_token_is_good_for_nothing_else() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let token = wrapped(&owner, Act::wrap_text(), Some("handed over"), "k1").await.unwrap();
    let bearer =
        Caller { house: &house, token: Some(token.expose().to_owned()), tenant: None, key: Some("k".to_owned()) };
    assert_eq!(bearer.get("a").await, Err("auth.required"));
    let own = bearer.act(Act::session_self(), b"", app::session::own).await.into_outcome();
    assert_eq!(own.unwrap_err().code.name, "auth.required");
    let arrival = Arrival { idempotency: Some("l".into()), ..house.arrival(None, None) };
    let login = app::session::login(&house.app, arrival, token.duplicate()).await.into_outcome();
    assert_eq!(login.unwrap_err().code.name, "auth.login_refused");
    // And no other token opens a wrap; a foreign tenant has none of it.
    assert_eq!(opened(&house, owner.token.as_deref().unwrap(), None, "o1").await, Err("wrap.refused"));
    house.tenant("other").await;
    assert_eq!(opened(&house, token.expose(), Some("other"), "o2").await, Err("wrap.refused"));
    assert_eq!(opened(&house, token.expose(), Some("nowhere"), "o3").await, Err("wrap.refused"));
    for cut in [token.expose().trim_start_matches('a'), "", "x"] {
        assert_eq!(opened(&house, cut, None, "o4").await, Err("wrap.refused"));
    }
    assert_eq!(opened(&house, token.expose(), None, "o5").await.as_deref(), Ok("handed over"));
}

#[tokio::test]
async fn a_wrap_needs_the_right_to_read_and_ends_with_its_time() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    // Everything but reading that one.
    owner.policy("p", r#"permit (principal in Role::"r", action, resource);"#).await.unwrap();
    let forbid = r#"forbid (principal in Role::"r", action == Action::"secret.read", resource == Secret::"a");"#;
    owner.policy("f", forbid).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    assert_eq!(wrapped(&friend, secret("a"), None, "k1").await.unwrap_err().code.name, "policy.denied");
    assert_eq!(wrapped(&owner, secret("b"), None, "k2").await.unwrap_err().code.name, "secret.not_found");
    let large = "x".repeat(49 << 10);
    let refused = wrapped(&friend, Act::wrap_text(), Some(&large), "k3").await.unwrap_err();
    assert_eq!(refused.code.name, "secret.limit");

    let token = wrapped(&friend, Act::wrap_text(), Some("late"), "k4").await.unwrap();
    house.pass(3_600_001);
    assert_eq!(opened(&house, token.expose(), None, "o1").await, Err("wrap.refused"));
    house.pass(3_600_000);
    assert_eq!(app::session::sweep(&house.app).await.unwrap(), 1, "nothing of it stays");
}
