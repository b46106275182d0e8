//! How long an RSA private key is that the library does not take: enough of its DER (RFC 8017 §A.1.2, RFC 5208 §5) to tell
//! its owner.

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `1.2.840.113549.1.1.1`, rsaEncryption, with tag and length.
const RSA_ENCRYPTION: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Bits of the modulus of an RSA key: an RSAPrivateKey, alone or wrapped in PKCS #8; `None` for anything else.
pub(super) fn rsa_bits(der: &[u8]) -> Option<u32> {
    let mut key = element(SEQUENCE, &mut &*der)?;
    element(INTEGER, &mut key)?;
    if let Some(algorithm) = element(SEQUENCE, &mut &*key) {
        if !algorithm.starts_with(RSA_ENCRYPTION) {
            return None;
        }
        element(SEQUENCE, &mut key)?;
        let mut wrapped = element(OCTET_STRING, &mut key)?;
        key = element(SEQUENCE, &mut wrapped)?;
        element(INTEGER, &mut key)?;
    }
    let modulus = element(INTEGER, &mut key)?;
    let first = modulus.iter().position(|octet| *octet != 0)?;
    let modulus = modulus.get(first..)?;
    let leading = modulus.first()?.leading_zeros();
    u32::try_from(modulus.len()).ok()?.checked_mul(8)?.checked_sub(leading)
}

/// Takes one element with this tag from the front. Lengths of more than two octets are no key's.
fn element<'a>(tag: u8, der: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&found, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (octets, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |octets, digit| octets << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(octets)?;
    *der = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::key::SigningKey;
    use crate::dkim::pem;

    #[test]
    fn the_length_of_our_own_keys_is_known() {
        let pem = SigningKey::generate_rsa().unwrap().to_pem().unwrap();
        let der = pem::blocks(pem.reveal_str().unwrap()).next().unwrap().der.unwrap();
        assert_eq!(rsa_bits(&der), Some(2_048));
        for octets in 0..der.len() {
            assert_eq!(rsa_bits(&der[..octets]), None);
        }
        let pem = SigningKey::generate_ed25519().unwrap().to_pem().unwrap();
        let der = pem::blocks(pem.reveal_str().unwrap()).next().unwrap().der.unwrap();
        assert_eq!(rsa_bits(&der), None);
    }

    #[test]
    fn a_modulus_begins_with_its_first_bit() {
        for (modulus, bits) in
            [(&[0x02, 1, 0x80][..], 8), (&[0x02, 2, 0, 0x80], 8), (&[0x02, 2, 1, 0], 9), (&[0x02, 1, 1], 1)]
        {
            let inside = [&[0x02, 1, 0], modulus].concat();
            let der = [&[0x30, u8::try_from(inside.len()).unwrap()], &*inside].concat();
            assert_eq!(rsa_bits(&der), Some(bits));
        }
        assert_eq!(rsa_bits(&[0x30, 6, 0x02, 1, 0, 0x02, 1, 0]), None);
        assert_eq!(rsa_bits(&[0x30, 0x83, 0, 0, 3, 0x02, 1, 0]), None);
    }
}
