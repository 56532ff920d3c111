//! Where a request came from, and whom we believe about it.

use http::HeaderMap;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    bits: u128,
    mask: u128,
}

impl Net {
    /// Whether the address lies in the network. IPv4 and its IPv6-mapped form are the same address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        wide(address) & self.mask == self.bits
    }
}

impl FromStr for Net {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Net, &'static str> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_bad| "wants an address or network, such as \"10.0.0.0/8\"")?;
        let whole: u32 = if address.is_ipv4() { 32 } else { 128 };
        let plain = |text: &str| text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length {
            None => whole,
            Some(text) if plain(text) => text.parse().map_err(|_bad| "has no number after the slash")?,
            Some(_) => return Err("has no number after the slash"),
        };
        if length > whole {
            return Err("has more bits than the address");
        }
        let zeroes = whole - length;
        let mask = u128::MAX.checked_shl(zeroes).unwrap_or(0);
        let bits = wide(address);
        if bits & mask != bits {
            return Err("has bits set after its length");
        }
        Ok(Net { bits, mask })
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

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
    fn a_network_is_an_address_and_a_length_and_nothing_else() {
        for (text, good) in [
            ("10.0.0.0/8", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("fd00::/8", true),
            ("0.0.0.0/0", true),
            ("::/0", true),
        ]
        .into_iter()
        .chain([
            ("10.0.0.1/8", false),
            ("10.0.0.0/33", false),
            ("10/8", false),
            ("", false),
            ("::1/129", false),
            ("10.0.0.0/+8", false),
        ]) {
            assert_eq!(text.parse::<Net>().is_ok(), good, "{text}");
        }
    }

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
