//! Numbers of as many octets as they need, as xz (§1.2 of its format) and RAR 5 write them.

/// A number in groups of seven bits, the lowest first, of nine octets at most; and what stands behind it.
pub(crate) fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, octet) in octets.iter().take(9).enumerate() {
        value |= u64::from(octet & 0x7f) << (7 * index);
        if octet & 0x80 == 0 {
            return Some((value, octets.get(index + 1..)?));
        }
    }
    None
}
