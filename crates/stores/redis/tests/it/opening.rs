//! Which servers are taken, and what is said of the others.

use super::{open, options, runtime};
use redisstore::Redis;
use storage::{ConnectError, ConnectReason, RemoteOptions, Shard};
use testkit::conformance::{Driver, Plain};
use testkit::peers::{RedisPeer, free_port};

fn refusal(url: &str, options: &RemoteOptions) -> ConnectError {
    let error = runtime().block_on(Redis::open(url, options)).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    error
}

#[test]
fn ft_24_a_server_that_may_lose_what_it_acknowledged_is_refused_with_the_setting_to_change() {
    let peer = RedisPeer::start(&[]);
    let url = peer.url("aumbry");
    let lossy = [
        ("appendonly no", "appendonly yes"),
        ("appendfsync everysec", "appendfsync always"),
        ("no-appendfsync-on-rewrite yes", "no-appendfsync-on-rewrite no"),
        ("maxmemory-policy allkeys-lru", "maxmemory-policy noeviction"),
    ];
    for (lossy, sound) in lossy {
        assert!(peer.ask(&format!("CONFIG SET {lossy}")).starts_with("+OK"), "{lossy}");
        let error = refusal(&url, &options());
        assert_eq!(error.reason, ConnectReason::Unfit, "{error:?}");
        assert!(error.what.contains(lossy) && error.hint.contains(sound), "{error:?}");
        let accepted = runtime().block_on(Redis::open(&url, &RemoteOptions { accept_loss: true, ..options() }));
        assert!(accepted.is_ok(), "{lossy}: {accepted:?}");
        assert!(peer.ask(&format!("CONFIG SET {sound}")).starts_with("+OK"), "{sound}");
    }
    open(&runtime(), &url);
}

#[test]
fn a_replica_is_refused_and_one_that_became_a_replica_takes_no_writes_but_reads() {
    let (primary, peer, runtime) = (RedisPeer::start(&[]), RedisPeer::start(&[]), runtime());
    let store = open(&runtime, &peer.url("aumbry"));
    let driver = Driver(&store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), storage::Commit::Done);
    // Not the primary's data: a link that never comes up leaves this one's.
    assert!(peer.ask(&format!("REPLICAOF 127.0.0.1 {}", free_port())).starts_with("+OK"));
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(format!("{end:?}").contains("replica") && matches!(end, storage::Commit::Refused(_)), "{end:?}");
    let error = refusal(&peer.url("aumbry"), &options());
    assert!(error.reason == ConnectReason::Unfit && error.what.contains("replica"), "{error:?}");
    assert!(peer.ask("REPLICAOF NO ONE").starts_with("+OK"));
    assert_eq!(driver.commit(Plain::new(2, 1).batch()), storage::Commit::Done, "it is a primary again");
    assert_eq!(driver.head(Shard(0)), 2);
    drop(primary);
}

#[test]
fn a_user_that_may_not_read_the_settings_is_told_so_and_one_that_may_works_with_its_keys_alone() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let user = "ACL SETUSER vault on >hunter2 ~{aumbry}:* +@all -@admin -@dangerous";
    assert!(peer.ask(user).starts_with("+OK"));
    let url = format!("redis://vault:hunter2@127.0.0.1:{}", peer.port);
    let error = refusal(&url, &options());
    assert!(error.what.contains("INFO") || error.what.contains("settings"), "{error:?}");
    assert!(peer.ask(&format!("{user} +info")).starts_with("+OK"));
    let error = refusal(&url, &options());
    assert!(error.reason == ConnectReason::Unfit && error.hint.contains("config|get"), "{error:?}");
    let accepting = RemoteOptions { accept_loss: true, ..options() };
    let store = runtime.block_on(Redis::open(&url, &accepting)).unwrap();
    assert_eq!(Driver(&store).commit(Plain::new(1, 1).batch()), storage::Commit::Done);
    assert!(peer.ask(&format!("{user} +info +config|get")).starts_with("+OK"));
    let store = open(&runtime, &url);
    assert_eq!(Driver(&store).commit(Plain::new(2, 1).batch()), storage::Commit::Done);
    let error = refusal(&format!("{url}?prefix=other"), &options());
    assert!(error.what.contains("may not"), "{error:?}");
    let error = refusal(&url.replace("hunter2", "wrong"), &options());
    assert!(error.what.contains("login"), "{error:?}");
}

#[test]
fn what_is_no_sound_server_is_refused_by_name() {
    let peer = RedisPeer::start(&[]);
    let nobody = refusal(&format!("redis://me:hunter2@127.0.0.1:{}", free_port()), &options());
    assert!(nobody.reason == ConnectReason::Unreachable && nobody.what.contains("127.0.0.1"), "{nobody:?}");
    let plain_to_tls = refusal(&format!("redis://127.0.0.1:{}", peer.tls_port), &options());
    assert_eq!(plain_to_tls.reason, ConnectReason::Unreachable, "{plain_to_tls:?}");
    let unknown = refusal(&format!("rediss://localhost:{}", peer.tls_port), &options());
    assert!(unknown.what.contains("certificate") || unknown.what.contains("authority"), "{unknown:?}");
    let missing = RemoteOptions { authorities: Some("/nowhere/ca.pem".into()), ..options() };
    let missing = refusal(&format!("rediss://localhost:{}", peer.tls_port), &missing);
    assert!(missing.reason == ConnectReason::Invalid && missing.what.contains("/nowhere/ca.pem"), "{missing:?}");
    assert!(peer.ask("SET {newer}:store 9").starts_with("+OK"));
    assert_eq!(refusal(&peer.url("newer"), &options()).reason, ConnectReason::Newer);
    let looking = RemoteOptions { create: false, ..options() };
    let absent = refusal(&peer.url("absent"), &looking);
    assert!(absent.reason == ConnectReason::Invalid && absent.what.contains("no store"), "{absent:?}");
    assert!(peer.ask("EXISTS {absent}:store").starts_with(":0"), "looking made one");
    let cluster = RedisPeer::start(&["--cluster-enabled", "yes"]);
    let error = refusal(&cluster.url("aumbry"), &options());
    assert!(error.reason == ConnectReason::Unfit && error.what.contains("cluster"), "{error:?}");
}

#[test]
fn prefixes_and_databases_are_stores_of_their_own_and_handles_share_theirs() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let urls = [peer.url("a"), peer.url("b"), format!("redis://127.0.0.1:{}/1?prefix=a", peer.port)];
    let stores = urls.each_ref().map(|url| open(&runtime, url));
    assert_eq!(Driver(&stores[0]).commit(Plain::new(1, 1).batch()), storage::Commit::Done);
    assert_eq!(stores.each_ref().map(|store| Driver(store).head(Shard(0))), [1, 0, 0]);
    let again = open(&runtime, &urls[0]);
    assert_eq!(Driver(&again).commit(Plain::new(1, 2).batch()), storage::Commit::Conflict(storage::BatchNumber(1)));
    let seen = format!("{:?}", open(&runtime, &format!("redis://:@127.0.0.1:{}", peer.port)));
    assert!(seen.contains("127.0.0.1"), "{seen}");
}
