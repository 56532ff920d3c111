//! MariaDB, and by it what speaks like MySQL.

use super::faults::{self, Peer};
use super::{open, runtime, subject};
use storage::{Cause, Commit, ConnectReason, RemoteOptions, Shard};
use testkit::conformance::{Driver, Plain, every_promise};
use testkit::peers::{Authority, MariaDbPeer};

#[test]
fn mariadb_keeps_every_promise() {
    let peer = MariaDbPeer::start(&[]);
    every_promise(|name| subject(&peer.database(name)));
}

#[test]
fn the_certificate_of_mariadb_is_checked_for_authority_and_host() {
    let peer = MariaDbPeer::start(&[]);
    let url = peer.database("a");
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::make(folder.path()).authority;
    let ours = &peer.authority.authority;
    let runtime = runtime();
    let trusting =
        |file: &std::path::Path| RemoteOptions { authorities: Some(file.into()), ..RemoteOptions::default() };
    // Whoever comes without TLS is turned away from here on.
    peer.sql("mysql", "ALTER USER aumbry@'%' REQUIRE SSL");
    let store = open(&runtime, &url, &trusting(ours)).unwrap();
    assert_eq!(Driver(&*store).commit(Plain::new(1, 1).batch()), Commit::Done);
    let refused = |url: &str, options: &RemoteOptions| open(&runtime, url, options).unwrap_err();
    assert_eq!(refused(&url, &trusting(&other)).reason, ConnectReason::Unreachable, "another authority");
    let elsewhere = url.replace("127.0.0.1", "127.0.0.2");
    assert_eq!(refused(&elsewhere, &trusting(ours)).reason, ConnectReason::Unreachable, "another host");
    let both = format!("{url}?ssl-mode=REQUIRED");
    assert_eq!(refused(&both, &trusting(ours)).reason, ConnectReason::Invalid, "both asked for");
    let plain = format!("{url}?ssl-mode=DISABLED");
    assert_eq!(refused(&plain, &RemoteOptions::default()).reason, ConnectReason::Unreachable, "without TLS");
    let verified = format!("{url}?ssl-mode=VERIFY_IDENTITY");
    let unknown = refused(&verified, &RemoteOptions::default());
    assert_eq!(unknown.reason, ConnectReason::Unreachable, "an authority nobody knows");
    assert!(!format!("{unknown:?}").contains(MariaDbPeer::PASSWORD));
}

#[test]
fn a_mariadb_that_may_lose_what_it_acknowledged_or_takes_short_statements_is_refused() {
    for (settings, named, acceptable) in [
        (&["--innodb-flush-log-at-trx-commit=2"][..], "innodb_flush_log_at_trx_commit = 1", true),
        (&["--log-bin=log", "--sync-binlog=0"], "sync_binlog = 1", true),
        (&["--max-allowed-packet=8M"], "max_allowed_packet = 16M", false),
    ] {
        let peer = MariaDbPeer::start(settings);
        let (url, runtime) = (peer.database("a"), runtime());
        let refused = open(&runtime, &url, &RemoteOptions::default()).expect_err(named);
        assert_eq!(refused.reason, ConnectReason::Unfit, "{named}");
        assert!(refused.hint.contains(named), "{refused:?}");
        let accepting = RemoteOptions { accept_loss: true, ..RemoteOptions::default() };
        assert_eq!(open(&runtime, &url, &accepting).is_ok(), acceptable, "{named}");
    }
}

#[test]
fn what_stands_in_the_way_of_mariadb_is_said_without_the_password() {
    let peer = MariaDbPeer::start(&[]);
    let (url, runtime) = (peer.database("a"), runtime());
    let options = RemoteOptions { deadline: std::time::Duration::from_secs(3), ..RemoteOptions::default() };
    let refused = |url: &str, options: &RemoteOptions| open(&runtime, url, options).unwrap_err();
    for (url, reason) in [
        (url.replace(MariaDbPeer::PASSWORD, "wrong-canary"), ConnectReason::Unreachable),
        (peer.url("none"), ConnectReason::Invalid),
        (peer.url(""), ConnectReason::Invalid),
        (peer.url_by(testkit::peers::free_port(), "a"), ConnectReason::Unreachable),
        (format!("{url}?pasword=wrong-canary"), ConnectReason::Invalid),
    ] {
        let error = refused(&url, &options);
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
    let looking = RemoteOptions { create: false, ..options.clone() };
    assert_eq!(refused(&url, &looking).reason, ConnectReason::Invalid, "nothing is there");
    assert_eq!(peer.sql("a", "SHOW TABLES"), "", "and nothing is made");
    let opened: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&runtime, &url, &options).map(drop))).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    assert_eq!(opened, vec![Ok(()); 8]);
    peer.sql("a", "UPDATE aumbry_format SET format = 2");
    assert_eq!(refused(&url, &options).reason, ConnectReason::Newer);
}

impl Peer for MariaDbPeer {
    fn database(&self, name: &str) -> String {
        MariaDbPeer::database(self, name)
    }

    fn through(&self, proxy: u16, name: &str) -> String {
        self.url_by(proxy, name)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn kill(&mut self) {
        MariaDbPeer::kill(self);
    }

    fn start_again(&mut self) {
        MariaDbPeer::start_again(self);
    }

    fn signal(&self, name: &str) {
        MariaDbPeer::signal(self, name);
    }
}

#[test]
fn mariadb_killed_under_writers_loses_nothing_it_acknowledged() {
    faults::a_server_killed_under_writers_loses_nothing_it_acknowledged(MariaDbPeer::start(&[]));
}

#[test]
fn ft_22_mariadb_standing_still_is_given_up_by_the_deadline_and_goes_on() {
    faults::ft_22_a_server_that_stands_still_is_given_up_by_the_deadline_and_goes_on(MariaDbPeer::start(&[]));
}

#[test]
fn ft_20_a_commit_to_mariadb_whose_answer_was_lost_is_found_by_its_id_and_happens_once() {
    faults::ft_20_a_commit_whose_answer_was_lost_is_found_by_its_id_and_happens_once(MariaDbPeer::start(&[]));
}

#[test]
fn a_read_only_mariadb_is_read_and_takes_no_writes_until_it_is_the_primary_again() {
    let peer = MariaDbPeer::start(&[]);
    let (url, runtime) = (peer.database("a"), runtime());
    let store = open(&runtime, &url, &RemoteOptions::default()).unwrap();
    let driver = Driver(&*store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    peer.sql("mysql", "SET GLOBAL read_only = 1");
    assert_eq!(driver.head(Shard(0)), 1);
    let refused = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(&refused, Commit::Refused(Cause::Unreachable(why)) if why.contains("replica")), "{refused:?}");
    peer.sql("mysql", "SET GLOBAL read_only = 0");
    assert_eq!(driver.commit(Plain::new(2, 1).batch()), Commit::Done, "without a restart");
}
