//! Where the server is: parsed once, refused when a token would travel in clear.

use std::net::IpAddr;

use api::Class;
use reqwest::Url;

use crate::Error;

/// Parses a server address: scheme, host and port, nothing else.
///
/// Errors: `Invalid`, code `client.address`, also for plain HTTP to a host that is not loopback.
pub(crate) fn parse(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text.trim()).map_err(|_| bad("the server's address is not a URL"))?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    if !bare {
        return Err(bad("the server's address holds more than scheme, host and port"));
    }
    match url.scheme() {
        "https" if url.host_str().is_some() => Ok(url),
        "http" if loopback(&url) => Ok(url),
        "http" => Err(bad("plain http:// goes to loopback addresses only")),
        _ => Err(bad("the server's address does not start with https://")),
    }
}

fn loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn bad(detail: &str) -> Error {
    Error::local(Class::Invalid, "client.address", detail, "set AUMBRY_ADDR or --addr to https://host:port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_04_plain_http_beyond_loopback_is_refused() {
        for bad in ["http://10.0.0.1:7480", "http://vault.example.com", "http://127.0.0.1.example.com", "http://[::2]"]
        {
            assert_eq!(parse(bad).unwrap_err().code.as_ref(), "client.address", "{bad}");
        }
        for good in ["http://127.0.0.1:7480", "http://localhost:7480/", "http://[::1]:80", "https://vault.example.com"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn an_address_with_more_than_host_and_port_is_refused() {
        for bad in ["", "vault:7480", "ftp://h", "https://u:p@h", "https://h/api", "https://h?x=1", "https://h#x"] {
            let refused = parse(bad).unwrap_err();
            assert_eq!(refused.class, Class::Invalid, "{bad}");
            assert!(!refused.detail.contains("u:p"), "{bad}");
        }
    }
}
