//! Connection strings: what is refused before a driver sees them, which repeats in its errors and logs what it was given.

use storage::{ConnectError, ConnectReason, RemoteOptions};

/// How a connection is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protection {
    /// As the connection string says.
    AsSaid,
    /// By a certificate for this host from a known authority.
    Verified,
    /// Where the server offers it; nobody is between.
    Offered,
}

/// Names and values behind the `?`. A name that is not among `known` is refused: it may be a password with a typo.
pub(crate) fn parameters<'a>(connection: &'a str, known: &[&str]) -> Result<Vec<(&'a str, &'a str)>, ConnectError> {
    let query = connection.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    if pairs.iter().all(|(name, _)| known.contains(name)) {
        return Ok(pairs);
    }
    Err(ConnectError {
        reason: ConnectReason::Invalid,
        what: "the connection string has a parameter behind its `?` that is not known".to_owned(),
        hint: format!("known are {}", known.join(", ")),
    })
}

/// A connection string that no driver understands.
pub(crate) fn malformed(scheme: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Invalid,
        what: "the connection string cannot be read".to_owned(),
        hint: format!("write {scheme}://USER:PASSWORD@HOST:PORT/DATABASE; write special characters as %XX"),
    }
}

/// How the connection is to be protected: as `said`, else verified wherever somebody may be between.
pub(crate) fn protection(said: Option<&str>, local: bool, options: &RemoteOptions) -> Result<Protection, ConnectError> {
    let verifies =
        |mode: &str| ["verify-full", "verify_identity"].iter().any(|verifying| mode.eq_ignore_ascii_case(verifying));
    match (said, &options.authorities) {
        (Some(mode), Some(_)) if !verifies(mode) => Err(ConnectError {
            reason: ConnectReason::Invalid,
            what: "authorities are named, and the connection string asks not to check the server's certificate"
                .to_owned(),
            hint:
                "take the mode of TLS out of the connection string, or `storage.authorities` out of the configuration"
                    .to_owned(),
        }),
        (Some(_), _) => Ok(Protection::AsSaid),
        (None, Some(_)) => Ok(Protection::Verified),
        (None, None) if local => Ok(Protection::Offered),
        (None, None) => Ok(Protection::Verified),
    }
}

/// Whether a host is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.starts_with('/')
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Tables that a newer build made.
pub(crate) fn newer(place: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Newer,
        what: format!("{place}: its tables were made by a newer Aumbry"),
        hint: "start the version that made them, or a later one".to_owned(),
    }
}

/// No tables, and none are to be made.
pub(crate) fn absent(place: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Invalid,
        what: format!("{place}: there is no store in this database"),
        hint: "name the database of the store; a server makes its tables at its first start".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_not_known_is_refused_without_its_value() {
        let bad = parameters("postgresql://h/d?sslmode=require&pasword=hunter2", &["sslmode"]).unwrap_err();
        assert!(!format!("{bad} {} {bad:?}", bad.hint).contains("hunter2"));
        assert_eq!(parameters("postgresql://h/d?sslmode=require", &["sslmode"]).unwrap(), [("sslmode", "require")]);
        assert_eq!(parameters("postgresql://h/d", &[]).unwrap(), []);
    }

    #[test]
    fn only_this_machine_goes_without_a_verified_certificate_unasked() {
        let options = RemoteOptions::default();
        for (host, local) in
            [("localhost", true), ("127.0.0.9", true), ("::1", true), ("[::1]", true), ("/run/pg", true)]
        {
            assert_eq!(is_loopback(host), local, "{host}");
        }
        for host in ["db.example", "10.0.0.1", "localhost.example", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert_eq!(protection(None, false, &options), Ok(Protection::Verified));
        assert_eq!(protection(None, true, &options), Ok(Protection::Offered));
        assert_eq!(protection(Some("disable"), false, &options), Ok(Protection::AsSaid));
        let named = RemoteOptions { authorities: Some("ca.pem".into()), ..options };
        assert_eq!(protection(None, true, &named), Ok(Protection::Verified));
        assert_eq!(protection(Some("VERIFY_IDENTITY"), true, &named), Ok(Protection::AsSaid));
        assert!(protection(Some("prefer"), true, &named).is_err());
    }
}
