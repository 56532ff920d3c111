//! PostgreSQL.

use super::faults::{self, Peer};
use super::{open, runtime, subject};
use storage::{Commit, ConnectReason, RemoteOptions};
use testkit::conformance::{Driver, Plain, every_promise};
use testkit::peers::{Authority, PostgresPeer};

#[test]
fn postgresql_keeps_every_promise() {
    let peer = PostgresPeer::start(&[]);
    every_promise(|name| subject(&peer.database(name)));
}

/// As databases of its kind do that know nothing weaker.
#[test]
fn postgresql_keeps_every_promise_where_all_transactions_are_serializable() {
    let peer = PostgresPeer::start(&["default_transaction_isolation=serializable"]);
    every_promise(|name| subject(&peer.database(name)));
}

#[test]
fn a_certificate_is_checked_for_authority_and_host() {
    let peer = PostgresPeer::start(&[]);
    let url = peer.database("a");
    let folder = tempfile::tempdir().unwrap();
    let other = Authority::make(folder.path()).authority;
    let ours = &peer.authority.authority;
    let runtime = runtime();
    let trusting =
        |file: &std::path::Path| RemoteOptions { authorities: Some(file.into()), ..RemoteOptions::default() };

    let store = open(&runtime, &url, &trusting(ours)).unwrap();
    assert_eq!(Driver(&*store).commit(Plain::new(1, 1).batch()), Commit::Done);
    let protected = peer.sql(
        "a",
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE application_name <> 'psql' AND datname = 'a'",
    );
    assert_eq!(protected, "t", "a connection went without");

    let refused = |url: &str, file: &std::path::Path| open(&runtime, url, &trusting(file)).unwrap_err();
    assert_eq!(refused(&url, &other).reason, ConnectReason::Unreachable, "another authority");
    let elsewhere = url.replace("127.0.0.1", "127.0.0.2");
    assert_eq!(refused(&elsewhere, ours).reason, ConnectReason::Unreachable, "another host");
    assert_eq!(refused(&format!("{url}?sslmode=require"), ours).reason, ConnectReason::Invalid, "both asked for");
    assert_eq!(refused(&url, &folder.path().join("none.pem")).reason, ConnectReason::Invalid, "no such file");
    let verified = RemoteOptions::default();
    let unknown = open(&runtime, &format!("{url}?sslmode=verify-full"), &verified).unwrap_err();
    assert_eq!(unknown.reason, ConnectReason::Unreachable, "an authority nobody knows");
    for error in [refused(&url, &other), unknown] {
        assert!(!format!("{error:?}").contains(PostgresPeer::PASSWORD));
    }
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_is_refused_unless_that_is_accepted() {
    for setting in ["fsync", "full_page_writes"] {
        let peer = PostgresPeer::start(&[&format!("{setting}=off"), "synchronous_commit=off"]);
        let url = peer.database("a");
        let runtime = runtime();
        let refused = open(&runtime, &url, &RemoteOptions::default()).unwrap_err();
        assert_eq!(refused.reason, ConnectReason::Unfit);
        assert!(refused.what.contains(setting) && refused.hint.contains(&format!("{setting} = on")), "{refused:?}");
        let accepting = RemoteOptions { accept_loss: true, ..RemoteOptions::default() };
        let store = open(&runtime, &url, &accepting).unwrap();
        assert_eq!(Driver(&*store).commit(Plain::new(1, 1).batch()), Commit::Done);
    }
}

#[test]
fn what_stands_in_the_way_of_opening_is_said_without_the_password() {
    let peer = PostgresPeer::start(&[]);
    let (url, runtime) = (peer.database("a"), runtime());
    let options = RemoteOptions { deadline: std::time::Duration::from_secs(3), ..RemoteOptions::default() };
    let refused = |url: &str, options: &RemoteOptions| open(&runtime, url, options).unwrap_err();
    let nowhere = peer.url_by(testkit::peers::free_port(), "a");
    for (url, reason) in [
        (url.replace(PostgresPeer::PASSWORD, "wrong-canary"), ConnectReason::Unreachable),
        (peer.url("none"), ConnectReason::Invalid),
        (nowhere, ConnectReason::Unreachable),
        (format!("{url}?pasword=wrong-canary"), ConnectReason::Invalid),
        (url.replace(&format!(":{}/", peer.port), ":port/"), ConnectReason::Invalid),
    ] {
        let error = refused(&url, &options);
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }
    let looking = RemoteOptions { create: false, ..options.clone() };
    assert_eq!(refused(&url, &looking).reason, ConnectReason::Invalid, "nothing is there");
    assert_eq!(
        peer.sql("a", "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'aumbry%'"),
        "0",
        "and nothing is made"
    );

    // Several nodes make the tables at once.
    let opened: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| open(&runtime, &url, &options).map(drop))).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    assert_eq!(opened, vec![Ok(()); 8]);
    open(&runtime, &url, &looking).unwrap();
    peer.sql("a", "UPDATE aumbry_format SET format = 2");
    assert_eq!(refused(&url, &options).reason, ConnectReason::Newer);
}

impl Peer for PostgresPeer {
    fn database(&self, name: &str) -> String {
        PostgresPeer::database(self, name)
    }

    fn through(&self, proxy: u16, name: &str) -> String {
        self.url_by(proxy, name)
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn kill(&mut self) {
        PostgresPeer::kill(self);
    }

    fn start_again(&mut self) {
        PostgresPeer::start_again(self);
    }

    fn signal(&self, name: &str) {
        PostgresPeer::signal(self, name);
    }
}

#[test]
fn postgresql_killed_under_writers_loses_nothing_it_acknowledged() {
    faults::a_server_killed_under_writers_loses_nothing_it_acknowledged(PostgresPeer::start(&[]));
}

#[test]
fn ft_22_postgresql_standing_still_is_given_up_by_the_deadline_and_goes_on() {
    faults::ft_22_a_server_that_stands_still_is_given_up_by_the_deadline_and_goes_on(PostgresPeer::start(&[]));
}

#[test]
fn ft_20_a_commit_to_postgresql_whose_answer_was_lost_is_found_by_its_id_and_happens_once() {
    faults::ft_20_a_commit_whose_answer_was_lost_is_found_by_its_id_and_happens_once(PostgresPeer::start(&[]));
}

#[test]
fn a_read_only_database_is_read_and_takes_no_writes_until_it_is_the_primary_again() {
    let peer = PostgresPeer::start(&[]);
    let (url, runtime) = (peer.database("a"), runtime());
    let store = open(&runtime, &url, &RemoteOptions::default()).unwrap();
    let driver = Driver(&*store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    peer.sql("postgres", "ALTER DATABASE a SET default_transaction_read_only = on");
    let store = open(&runtime, &url, &RemoteOptions::default()).unwrap();
    let driver = Driver(&*store);
    assert_eq!(driver.head(storage::Shard(0)), 1);
    let refused = driver.commit(Plain::new(2, 1).batch());
    assert!(
        matches!(&refused, Commit::Refused(storage::Cause::Unreachable(why)) if why.contains("replica")),
        "{refused:?}"
    );
    peer.sql("postgres", "ALTER DATABASE a SET default_transaction_read_only = off");
    assert_eq!(driver.commit(Plain::new(2, 1).batch()), Commit::Done, "without a restart");
}
