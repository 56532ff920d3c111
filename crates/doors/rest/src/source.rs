//! Where a request came from, and whom we believe about it.

use app::Net;
use http::HeaderMap;
use std::net::IpAddr;

/// Address a request counts for.
///
/// A peer outside `trusted` is always itself. From a trusted one the right-most address of its single
/// `X-Forwarded-For` that is not trusted counts; with two such headers, or one we cannot read, the peer
/// itself. No other header is ever believed. Linear in the header.
#[must_use]
pub fn source_of(peer: IpAddr, headers: &HeaderMap, trusted: &[Net]) -> IpAddr {
    let peer = peer.to_canonical();
    let believed = |address: IpAddr| trusted.iter().any(|net| net.contains(address));
    if trusted.is_empty() || !believed(peer) {
        return peer;
    }
    let mut forwarded = headers.get_all("x-forwarded-for").iter();
    let (Some(list), None) = (forwarded.next(), forwarded.next()) else { return peer };
    let Ok(list) = list.to_str() else { return peer };
    for hop in list.rsplit(',').map(str::trim) {
        match hop.parse::<IpAddr>() {
            Ok(address) if believed(address) => {}
            Ok(address) => return address.to_canonical(),
            Err(_junk) => return peer,
        }
    }
    peer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_16_only_a_trusted_peer_is_believed_about_the_source() {
        let trusted: Vec<Net> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, given, wanted) in [
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.1.1.1", &["6.6.6.6, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            ("10.1.1.1", &["203.0.113.9", "203.0.113.10"], "10.1.1.1"),
            ("10.1.1.1", &["203.0.113.9, junk"], "10.1.1.1"),
            ("10.1.1.1", &["203.0.113.9:80"], "10.1.1.1"),
            ("10.1.1.1", &["10.9.9.9"], "10.1.1.1"),
            ("10.1.1.1", &[""], "10.1.1.1"),
            ("10.1.1.1", &[], "10.1.1.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in given {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            for ignored in ["forwarded", "x-real-ip", "x-original-url", "x-forwarded-host"] {
                headers.insert(ignored, "for=1.1.1.1".parse().unwrap());
            }
            let source = source_of(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(source.to_string(), wanted, "{peer} {given:?}");
        }
    }
}
