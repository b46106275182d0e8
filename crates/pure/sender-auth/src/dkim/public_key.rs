//! Public keys as they stand in DNS, and the signatures that they verify (RFC 6376 §3.6.1, RFC 8301, RFC 8463).

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ED25519, ED25519_PUBLIC_KEY_LEN, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RSA_SHA256,
    RsaParameters, UnparsedPublicKey,
};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::dkim::Fault;
use crate::dkim::body_hash::HASH_OCTETS;
use crate::dkim::tags::{Tags, colon_list};

/// Longest key record. An RSA key of 8192 bits takes 1400 octets; notes (`n=`) may take the rest.
pub(crate) const RECORD_OCTETS_MAX: usize = 4_096;
/// Shortest RSA key (RFC 8301 §3.2).
pub(crate) const RSA_BITS_MIN: u32 = 1_024;
/// Longest RSA key: verifying takes time that grows with the square of its length.
pub(crate) const RSA_BITS_MAX: u32 = 8_192;
/// Bits of an Ed25519 key.
pub(crate) const ED25519_BITS: u32 = 256;

/// How signatures are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// RSA, PKCS #1 version 1.5, with SHA-256.
    RsaSha256,
    /// Ed25519 over a SHA-256 hash.
    Ed25519Sha256,
}

impl Algorithm {
    /// The word of the `a=` tag.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// Reads an `a=` tag.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, Fault> {
        match value {
            b"rsa-sha256" => Ok(Self::RsaSha256),
            b"ed25519-sha256" => Ok(Self::Ed25519Sha256),
            b"rsa-sha1" => Err(Fault::Sha1),
            _ => Err(Fault::UnknownAlgorithm),
        }
    }
}

/// A key record that can be used for mail.
#[derive(Clone, Debug)]
pub(crate) struct KeyRecord {
    algorithm: Algorithm,
    /// RSAPublicKey in DER, or the 32 octets of Ed25519.
    key: Vec<u8>,
    pub(crate) bits: u32,
    /// `t=y`: the domain is only trying.
    pub(crate) is_testing: bool,
    /// `t=s`: `i=` has to have the domain of `d=` itself.
    pub(crate) is_for_domain_alone: bool,
}

impl KeyRecord {
    /// Reads a record; `None` if it says itself to be something else.
    pub(crate) fn parse(record: &[u8]) -> Option<Result<Self, Fault>> {
        if record.len() > RECORD_OCTETS_MAX {
            return Some(Err(Fault::KeyBroken));
        }
        let Ok(tags) = Tags::parse(record) else { return Some(Err(Fault::KeyBroken)) };
        match tags.find("v") {
            Some(version) if version != b"DKIM1" || !tags.is_first("v") => None,
            _ => Some(Self::from_tags(&tags)),
        }
    }

    fn from_tags(tags: &Tags<'_>) -> Result<Self, Fault> {
        let key = match tags.find("p") {
            None => return Err(Fault::KeyBroken),
            Some([]) => return Err(Fault::KeyRevoked),
            Some(key) => decode_base64(key).ok_or(Fault::KeyBroken)?,
        };
        let has = |tag, words: [&[u8]; 2]| match tags.find(tag) {
            None => true,
            Some(list) => colon_list(list).any(|word| words.contains(&word)),
        };
        if !has("h", [b"sha256", b"sha256"]) {
            return Err(Fault::KeyForOtherAlgorithm);
        }
        if !has("s", [b"*", b"email"]) {
            return Err(Fault::KeyForOtherService);
        }
        let (algorithm, key, bits) = match tags.find("k").unwrap_or(b"rsa") {
            b"rsa" => rsa_key(&key)?,
            b"ed25519" => ed25519_key(&key)?,
            _ => return Err(Fault::KeyForOtherAlgorithm),
        };
        let has_flag =
            |flag: &[u8]| tags.find("t").is_some_and(|list| colon_list(list).any(|word| word == flag));
        Ok(Self { algorithm, key, bits, is_testing: has_flag(b"y"), is_for_domain_alone: has_flag(b"s") })
    }

    /// Whether the key made this signature of a hash.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        hash: &HeaderHash,
        signature: &[u8],
    ) -> Result<(), Fault> {
        if algorithm != self.algorithm {
            return Err(Fault::KeyForOtherAlgorithm);
        }
        let verified = match algorithm {
            Algorithm::RsaSha256 if self.bits < RSA_BITS_MIN => return Err(Fault::KeyTooShort),
            Algorithm::RsaSha256 if self.bits > RSA_BITS_MAX => return Err(Fault::KeyTooLong),
            Algorithm::RsaSha256 => {
                UnparsedPublicKey::new(&RSA_SHA256, &self.key).verify_digest(&hash.0, signature)
            }
            // RFC 8463 §3: what Ed25519 signs is the hash.
            Algorithm::Ed25519Sha256 => {
                UnparsedPublicKey::new(&ED25519, &self.key).verify(hash.0.as_ref(), signature)
            }
        };
        verified.map_err(|_| Fault::HeaderChanged)
    }
}

/// The SHA-256 hash of everything that a signature signs.
#[derive(Clone, Debug)]
pub(crate) struct HeaderHash(pub(crate) aws_lc_rs::digest::Digest);

/// SubjectPublicKeyInfo as RFC 6376 §3.6.1 wants it, or the RSAPublicKey alone, which its own example has.
fn rsa_key(der: &[u8]) -> Result<(Algorithm, Vec<u8>, u32), Fault> {
    /// Longest key that is taken apart: its numbers alone could hold 8192 bits twice.
    const DER_OCTETS_MAX: usize = 2_100;
    if der.len() > DER_OCTETS_MAX {
        return Err(Fault::KeyTooLong);
    }
    // The library refuses exponents of more than 33 bits, which would make verifying slow.
    let key = rsa::PublicKey::from_der(der).map_err(|_| Fault::KeyBroken)?;
    let bits = RsaParameters::public_modulus_len(key.as_ref()).map_err(|_| Fault::KeyBroken)?;
    Ok((Algorithm::RsaSha256, key.as_ref().to_vec(), bits))
}

fn ed25519_key(key: &[u8]) -> Result<(Algorithm, Vec<u8>, u32), Fault> {
    /// What stands before the key in a SubjectPublicKeyInfo (RFC 8410 §4), which some publish instead of the key alone.
    const INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    let key = key.strip_prefix(INFO).unwrap_or(key);
    if key.len() != ED25519_PUBLIC_KEY_LEN {
        return Err(Fault::KeyBroken);
    }
    Ok((Algorithm::Ed25519Sha256, key.to_vec(), ED25519_BITS))
}

/// Decodes what people paste into DNS and what programs fold into header fields: blanks anywhere, padding or none.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let text: Vec<u8> = text.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    LENIENT.decode(text).ok()
}

/// Decodes a hash of a body.
pub(crate) fn decode_hash(text: &[u8]) -> Option<[u8; HASH_OCTETS]> {
    decode_base64(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_INFO: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/\
K4w3QIDAQAB";
    const RSA_BARE: &str = "MIGJAoGBALVI635dLK4cJJAH3Lx6upo3X/Lm1tQz3mezcWTA3BUBnyIsdnRf57aD5BtNmhPrYYDlWlzw3UgnKisI\
xktkk5+iMQMlFtAS10JB8L3YadXNJY+JBcbeSi5TgJe4WFzNgW95FWDAuSTRXSWZfA/8xjflbTLDx0euFZOM7C4T0GwLAgMBAAE=";
    const ED25519_BARE: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn read(record: &str) -> Result<KeyRecord, Fault> {
        KeyRecord::parse(record.as_bytes()).unwrap()
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        for key in [RSA_INFO, RSA_BARE] {
            for record in [
                format!("v=DKIM1; k=rsa; p={key}"),
                format!("p={key}"),
                format!("v=DKIM1;p={} {};", &key[..50], &key[50..]),
                format!(
                    "v=DKIM1; h=sha1:sha256; s=other:email; n=a note; x=new; p={}",
                    key.trim_end_matches('=')
                ),
            ] {
                let record = read(&record).unwrap();
                assert_eq!((record.algorithm, record.bits), (Algorithm::RsaSha256, 1_024));
            }
        }
        let info = base64::engine::general_purpose::STANDARD
            .encode([&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &[7; 32]].concat());
        for key in [ED25519_BARE, &info] {
            let record = read(&format!("v=DKIM1; k=ed25519; t=y:s; p={key}")).unwrap();
            assert_eq!((record.algorithm, record.bits), (Algorithm::Ed25519Sha256, ED25519_BITS));
            assert!(record.is_testing && record.is_for_domain_alone && record.key.len() == 32);
        }
    }

    #[test]
    fn unusable_records_say_why() {
        let check = |record: &str, fault| assert_eq!(read(record).unwrap_err(), fault, "{record}");
        check("v=DKIM1; p=", Fault::KeyRevoked);
        check("v=DKIM1; k=rsa", Fault::KeyBroken);
        check("v=DKIM1; p=!!!", Fault::KeyBroken);
        check("v=DKIM1; p=AAAA", Fault::KeyBroken);
        check("no record", Fault::KeyBroken);
        check("v=DKIM1; p=a; p=b", Fault::KeyBroken);
        check(&format!("k=dsa; p={RSA_INFO}"), Fault::KeyForOtherAlgorithm);
        check(&format!("h=sha1; p={RSA_INFO}"), Fault::KeyForOtherAlgorithm);
        check(&format!("s=tlsrpt; p={RSA_INFO}"), Fault::KeyForOtherService);
        check(&format!("k=ed25519; p={RSA_INFO}"), Fault::KeyBroken);
        assert!(KeyRecord::parse(b"v=spf1 -all").is_none());
        assert!(KeyRecord::parse(b"p=x; v=DKIM1").is_none());
    }

    #[test]
    fn records_have_a_greatest_length() {
        for (octets, is_read) in
            [(RECORD_OCTETS_MAX - 1, true), (RECORD_OCTETS_MAX, true), (RECORD_OCTETS_MAX + 1, false)]
        {
            let start = format!("v=DKIM1; p={RSA_INFO}; n=");
            let record = format!("{start}{}", "x".repeat(octets - start.len()));
            assert_eq!(read(&record).is_ok(), is_read, "{octets}");
        }
    }
}
