//! Networks, as configuration and sessions name them.

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
}
