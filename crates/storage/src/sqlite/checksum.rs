//! CRC-32C (RFC 3720 appendix B.4), so that a flipped bit in a row is named here and not first by a failed decryption.

/// Checksum of the parts as if they were one run of bytes. Finds accidents, not attackers.
pub(super) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for part in parts {
        let mut chunks = part.chunks_exact(8);
        for chunk in &mut chunks {
            crc = eight(crc, chunk);
        }
        for byte in chunks.remainder() {
            crc = (crc >> 8) ^ look(0, (crc ^ u32::from(*byte)) & 0xff);
        }
    }
    !crc
}

/// Eight bytes in one step over eight tables.
fn eight(crc: u32, chunk: &[u8]) -> u32 {
    let Some((low, rest)) = chunk.split_first_chunk::<4>() else { return crc };
    let Some((high, _)) = rest.split_first_chunk::<4>() else { return crc };
    let low = crc ^ u32::from_le_bytes(*low);
    let high = u32::from_le_bytes(*high);
    look(7, low & 0xff)
        ^ look(6, (low >> 8) & 0xff)
        ^ look(5, (low >> 16) & 0xff)
        ^ look(4, low >> 24)
        ^ look(3, high & 0xff)
        ^ look(2, (high >> 8) & 0xff)
        ^ look(1, (high >> 16) & 0xff)
        ^ look(0, high >> 24)
}

fn look(table: usize, byte: u32) -> u32 {
    TABLES[table][byte as usize]
}

static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn crc_equals_the_published_values() {
        assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa, "RFC 3720 B.4, 32 bytes of zeroes");
        assert_eq!(crc32c(&[&[0xff; 32]]), 0x62a8_ab43, "RFC 3720 B.4, 32 bytes of ones");
    }

    #[test]
    fn crc_does_not_see_where_parts_meet() {
        assert_eq!(crc32c(&[b"1", b"23456", b"", b"789"]), 0xe306_9283);
    }
}
