//! Rotation: nothing is lost, old keys go, a crash anywhere goes on.

use crate::house::{Caller, House, code, house, open};
use app::secret::Scope;
use app::{Act, keys};

async fn sweep(house: &House) {
    for _ in 0..100 {
        house.pass(60_000);
        if keys::run_due(&house.app).await.unwrap() == 0 {
            return;
        }
    }
    panic!("the sweep does not end");
}

async fn shown(owner: &Caller<'_>, purpose: &str) -> Vec<keys::KeyShown> {
    let all = owner.act(Act::key_read(), b"", keys::list).await.into_outcome().unwrap();
    all.into_iter().filter(|key| key.purpose == purpose).collect()
}

#[tokio::test]
async fn after_a_tenant_rotation_everything_opens_and_the_old_key_is_gone() {
    let house = house().await;
    let owner = house.owner().await;
    for n in 0..30 {
        owner.put(&format!("a/{}/b/{n}", n % 3), &format!("v{n}")).await.unwrap();
        owner.put(&format!("a/{}/b/{n}", n % 3), &format!("w{n}")).await.unwrap();
    }
    let before = shown(&owner, "tenant").await;
    assert_eq!(before.len(), 1);
    let act = Act::key_rotate_tenant();
    let rotated = owner.act(act, b"", keys::rotate_tenant).await.into_outcome().unwrap();
    assert!(rotated.what.sweeping && rotated.what.key != before[0].id);
    assert_eq!(shown(&owner, "tenant").await.len(), 2);
    let busy = owner.act(Act::key_rotate_tenant(), b"", keys::rotate_tenant).await.into_outcome();
    assert_eq!(code(busy), "key.busy");
    owner.put("during", "the sweep").await.unwrap();
    let purge = Act::secret_purge(crate::house::path("a/0/b/0"));
    owner.act(purge, b"", |grant| app::secret::purge(grant, Scope::All)).await.into_outcome().unwrap();
    sweep(&house).await;
    let after = shown(&owner, "tenant").await;
    assert_eq!(after.iter().map(|key| key.id).collect::<Vec<_>>(), [rotated.what.key]);
    for n in 1..30 {
        assert_eq!(owner.get(&format!("a/{}/b/{n}", n % 3)).await.unwrap(), format!("w{n}"));
        let old = owner.read(&format!("a/{}/b/{n}", n % 3), Some(1)).await.unwrap();
        assert_eq!(old.value.expose(), format!("v{n}").as_bytes());
    }
    assert_eq!(owner.get("during").await.unwrap(), "the sweep");
    let progress = owner.act(Act::key_read(), b"", keys::progress).await.into_outcome().unwrap().unwrap();
    assert_eq!((progress.rewrapped, progress.finished.is_some()), (58, true));
    assert!(owner.act(Act::key_rotate_tenant(), b"", keys::rotate_tenant).await.into_outcome().is_ok());
}

#[tokio::test]
async fn ft_02_a_rotation_cut_off_at_any_step_goes_on_after_a_restart() {
    for steps in 0..5 {
        let first = house().await;
        let (storage, clock) = (first.storage.clone(), first.clock.clone());
        let token = {
            let owner = first.owner().await;
            for n in 0..5 {
                owner.put(&format!("p/{n}"), "v").await.unwrap();
            }
            owner.act(Act::key_rotate_tenant(), b"", keys::rotate_tenant).await.into_outcome().unwrap();
            for _ in 0..steps {
                first.pass(60_000);
                keys::run_due(&first.app).await.unwrap();
            }
            owner.token.clone()
        };
        drop(first);
        let second = open(storage, clock, 2).await;
        let owner = Caller { token, ..second.nobody() };
        sweep(&second).await;
        assert_eq!(shown(&owner, "tenant").await.len(), 1, "after {steps} steps");
        for n in 0..5 {
            assert_eq!(owner.get(&format!("p/{n}")).await.unwrap(), "v");
        }
    }
}

#[tokio::test]
async fn a_root_rotation_keeps_every_tenant_open_and_one_root() {
    let house = house().await;
    let owner = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let other = house.login(login, Some("other".into())).await;
    owner.put("a", "ours").await.unwrap();
    other.put("a", "theirs").await.unwrap();
    let before = shown(&owner, "root").await;
    let rotated = owner.act(Act::key_rotate_root(), b"", keys::rotate_root).await.into_outcome().unwrap();
    let after = shown(&owner, "root").await;
    assert_eq!((after.len(), after[0].id), (1, rotated.what.key));
    assert_ne!(before[0].id, after[0].id);
    assert_eq!(owner.get("a").await.unwrap(), "ours");
    assert_eq!(other.get("a").await.unwrap(), "theirs");
    assert!(shown(&other, "root").await.is_empty());
}

#[tokio::test]
async fn the_schedule_rotates_what_is_old_and_nothing_twice() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let week = std::time::Duration::from_secs(7 * 24 * 3_600);
    assert_eq!(keys::schedule(&house.app, week).await.unwrap(), 0);
    house.pass(7 * 24 * 3_600_000);
    let asked = keys::schedule(&house.app, week).await.unwrap();
    assert!(asked >= 1);
    assert_eq!(keys::schedule(&house.app, week).await.unwrap(), 0, "they go on");
    sweep(&house).await;
    let dev = app::bootstrap::dev_session(&house.app, std::time::Duration::from_secs(60)).await.unwrap();
    let owner = Caller { token: Some(dev.token.expose().to_owned()), ..house.nobody() };
    assert_eq!(owner.get("a").await.unwrap(), "v");
    assert_eq!(shown(&owner, "tenant").await.len(), 1);
}
