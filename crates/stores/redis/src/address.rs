//! Connection strings: `redis[s]://[user[:password]@]host[:port][/database][?prefix=name]`.

use redis::RedisConnectionInfo;
use std::fmt;
use storage::{ConnectError, ConnectReason};

const PORT: u16 = 6379;
const PREFIX: &str = "aumbry";
const PREFIX_BYTES_MAX: usize = 64;

/// Where the server is and who logs in. `Debug` shows neither user nor password.
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// Goes before each key, in braces.
    pub(crate) prefix: String,
    pub(crate) login: RedisConnectionInfo,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Address {
    /// Reads a connection string. An error repeats nothing of it.
    pub(crate) fn parse(text: &str) -> Result<Address, ConnectError> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let (tls, rest) = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => (false, rest),
            "rediss" | "valkeys" => (true, rest),
            _ => return Err(wrong("the connection string does not begin with redis:// or rediss://")),
        };
        if rest.contains('#') {
            return Err(wrong("the connection string has a `#` in it"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        if place.contains(',') {
            return Err(wrong("the connection string names several servers; clusters and sentinels are not supported"));
        }
        let (host, port) = host_and_port(place)?;
        let mut login = RedisConnectionInfo::default().set_db(database(path)?).set_skip_set_lib_name();
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let (name, password) = (decoded(name)?, decoded(password)?);
            if !name.is_empty() {
                login = login.set_username(name);
            }
            if !password.is_empty() {
                login = login.set_password(password);
            }
        }
        Ok(Address { host, port, tls, prefix: prefix(query)?, login })
    }

    /// Host, port and database, as errors may name them.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}, database {}", self.host, self.port, self.login.db())
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), ConnectError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(six) => {
            let (host, rest) = six.split_once(']').ok_or_else(|| wrong("the host's bracket is not closed"))?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => place.split_once(':').map_or((place, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") => Some(PORT),
        Some(port) => port.parse().ok().filter(|port| *port != 0),
        None => None,
    };
    let port = port.ok_or_else(|| wrong("the port is not a number from 1 to 65,535"))?;
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte)) {
        return Err(wrong("the connection string names no host"));
    }
    Ok((host.to_owned(), port))
}

fn database(path: &str) -> Result<i64, ConnectError> {
    match path {
        "" => Ok(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| wrong("the database is not a number"))
        }
        _ => Err(wrong("the database is not a number")),
    }
}

fn prefix(query: &str) -> Result<String, ConnectError> {
    let mut prefix = PREFIX.to_owned();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("prefix", value)) => prefix = decoded(value)?,
            _ => return Err(wrong("the connection string has another option than `prefix`")),
        }
    }
    let fits = (1..=PREFIX_BYTES_MAX).contains(&prefix.len())
        && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    fits.then_some(prefix).ok_or_else(|| wrong("the prefix is not 1 to 64 letters, digits, `-`, `_`, `.` and `:`"))
}

fn decoded(text: &str) -> Result<String, ConnectError> {
    let bytes = percent_encoding::percent_decode_str(text);
    bytes.decode_utf8().map(Into::into).map_err(|_| wrong("an escape in the connection string is not UTF-8"))
}

fn wrong(what: &str) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Invalid,
        what: what.to_owned(),
        hint: "write it as redis[s]://[user[:password]@]host[:port][/database][?prefix=name], with special characters \
               of user and password percent-encoded"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_read_and_decoded() {
        let full = Address::parse("rediss://me:p%40ss%3a@[::1]:7000/3?prefix=a.b").unwrap();
        assert_eq!((full.host.as_str(), full.port, full.tls, full.prefix.as_str()), ("::1", 7000, true, "a.b"));
        assert_eq!((full.login.username(), full.login.password(), full.login.db()), (Some("me"), Some("p@ss:"), 3));
        let bare = Address::parse("redis://cache.example").unwrap();
        assert_eq!(
            (bare.host.as_str(), bare.port, bare.tls, bare.prefix.as_str()),
            ("cache.example", 6379, false, "aumbry")
        );
        assert_eq!((bare.login.username(), bare.login.password(), bare.login.db()), (None, None, 0));
        let old = Address::parse("redis://:only@h:1").unwrap();
        assert_eq!((old.login.username(), old.login.password()), (None, Some("only")));
    }

    #[test]
    fn what_is_wrong_is_refused_without_repeating_it() {
        let wrongs = [
            "http://hunter2",
            "redis://",
            "redis://me:hunter2@",
            "redis://me:hunter2@h:0",
            "redis://me:hunter2@h:x",
            "redis://me:hunter2@h/x",
            "redis://me:hunter2@h/-1",
            "redis://me:hunter2@h/1/2",
            "redis://me:hunter2@h#insecure",
            "redis://me:hunter2@h?prefix=",
            "redis://me:hunter2@h?prefix={a}",
            "redis://me:hunter2@h?other=1",
            "redis://me:hunter2@a,b",
            "redis://me:hunter2%ff@a",
            "redis://me:hunter2@[::1",
        ];
        for text in wrongs {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.reason, ConnectReason::Invalid, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{text}: {error:?}");
        }
        assert!(!format!("{:?}", Address::parse("redis://me:hunter2@h").unwrap()).contains("hunter2"));
    }
}
