//! Keys that sign: made here, or brought along from OpenDKIM, rspamd or OpenSSL.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_types::{DomainName, Secret};

use crate::dkim::public_key::{Algorithm, ED25519_BITS, HeaderHash, decode_base64};
use crate::dkim::rsa_bits::rsa_bits;
use crate::dkim::tags::Tags;
use crate::dkim::{SignError, pem};

/// Longest text that is looked at for a key.
const KEY_TEXT_OCTETS_MAX: usize = 64 * 1024;
/// Longest RSA key that signs: verifiers need not know longer ones (RFC 8301 §3.2). The shortest, of 2048 bits, is the
/// library's rule and that RFC's advice.
const RSA_OCTETS_MAX: usize = 4_096 / 8;
/// Bits of the shortest RSA key that we sign with.
const RSA_BITS_MIN: u32 = 2_048;
/// Octets of the seed that an Ed25519 key is made from.
const SEED_OCTETS: usize = 32;

/// Why a text is no key that we sign with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// No private key in it.
    #[error("no private key: a PEM block, or an Ed25519 seed in base64, is needed")]
    NotAKey,
    /// A key behind a passphrase.
    #[error("the private key is encrypted; it has to be stored without a passphrase")]
    Encrypted,
    /// An RSA key that is too short. RFC 8301 §3.2 lets signers use 1024 bits and wants 2048; the library makes no
    /// signatures with less.
    #[error("an RSA key of {bits} bits is too short to sign mail with: 2048 are needed (RFC 8301)")]
    ShortRsa {
        /// How many it has.
        bits: u32,
    },
    /// A key, but not one that others would accept from us.
    #[error("the private key cannot sign mail: RSA of 2048 to 4096 bits or Ed25519 is needed")]
    Unsuitable,
    /// Making or writing a key failed in the library.
    #[error("the cryptographic library failed")]
    Library,
}

/// Why a text is no selector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SelectorError {
    /// Not labels of letters, digits, hyphens and underscores.
    #[error("a selector has letters, digits, hyphens and dots between them")]
    BadCharacter,
    /// Its key would have no name in DNS.
    #[error("selector and domain are too long together")]
    TooLong,
}

/// What tells the keys of a domain apart: the key stands at `selector._domainkey.domain`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Selector(DomainName);

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// [`SelectorError`] if DNS could not have it.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        DomainName::parse(text).map(Self).map_err(|_| SelectorError::BadCharacter)
    }

    /// The selector, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A private key. Copies share it; it never prints.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

enum Inner {
    Rsa(rsa::KeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes an RSA key of 2048 bits. Takes up to a second of CPU time.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn generate_rsa() -> Result<Self, KeyError> {
        let key = rsa::KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Library)?;
        Ok(Self::new(Inner::Rsa(key)))
    }

    /// Makes an Ed25519 key.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn generate_ed25519() -> Result<Self, KeyError> {
        let key = Ed25519KeyPair::generate().map_err(|_| KeyError::Library)?;
        Ok(Self::new(Inner::Ed25519(key)))
    }

    /// Reads a key from the text of a file: PEM (`RSA PRIVATE KEY`, `PRIVATE KEY`), or base64 alone: a seed of Ed25519,
    /// seed and public key together as rspamd writes them, or the DER of a PEM block.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > KEY_TEXT_OCTETS_MAX {
            return Err(KeyError::NotAKey);
        }
        if let Some(block) = pem::blocks(text).find(|block| block.label.ends_with("PRIVATE KEY")) {
            if block.is_encrypted || block.label.starts_with("ENCRYPTED") {
                return Err(KeyError::Encrypted);
            }
            let der = Secret::new(block.der.ok_or(KeyError::NotAKey)?);
            return match block.label {
                "RSA PRIVATE KEY" | "PRIVATE KEY" => Self::from_der(der.reveal()),
                _ => Err(KeyError::Unsuitable),
            };
        }
        let octets = Secret::new(decode_base64(text.as_bytes()).ok_or(KeyError::NotAKey)?);
        match octets.reveal().split_at_checked(SEED_OCTETS) {
            Some((seed, [])) => {
                let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Unsuitable)?;
                Ok(Self::new(Inner::Ed25519(key)))
            }
            Some((seed, public)) if public.len() == SEED_OCTETS => {
                let key = Ed25519KeyPair::from_seed_and_public_key(seed, public);
                Ok(Self::new(Inner::Ed25519(key.map_err(|_| KeyError::Unsuitable)?)))
            }
            Some((_, [_, ..])) if octets.reveal().first() == Some(&0x30) => Self::from_der(octets.reveal()),
            _ => Err(KeyError::NotAKey),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8(der) {
            return Ok(Self::new(Inner::Ed25519(key)));
        }
        let key = rsa::KeyPair::from_pkcs8(der).or_else(|_| rsa::KeyPair::from_der(der));
        let key = key.map_err(|_| match rsa_bits(der) {
            Some(bits) if bits < RSA_BITS_MIN => KeyError::ShortRsa { bits },
            _ => KeyError::Unsuitable,
        })?;
        if key.public_modulus_len() > RSA_OCTETS_MAX {
            return Err(KeyError::Unsuitable);
        }
        Ok(Self::new(Inner::Rsa(key)))
    }

    fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The key as a PEM block `PRIVATE KEY` (PKCS #8), which OpenSSL, OpenDKIM and rspamd read.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn to_pem(&self) -> Result<Secret, KeyError> {
        let pem = match &*self.0 {
            Inner::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyError::Library)?;
                pem::write("PRIVATE KEY", der.as_ref())
            }
            Inner::Ed25519(key) => {
                let der = key.to_pkcs8v1().map_err(|_| KeyError::Library)?;
                pem::write("PRIVATE KEY", der.as_ref())
            }
        };
        Ok(Secret::from(pem))
    }

    /// What the TXT record says that others find the public key in (RFC 6376 §3.6.1, RFC 8463 §4). A TXT record carries
    /// it in strings of at most 255 octets.
    ///
    /// # Errors
    /// [`KeyError::Library`].
    pub fn public_record(&self) -> Result<String, KeyError> {
        match &*self.0 {
            Inner::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| KeyError::Library)?;
                Ok(format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(der.as_ref())))
            }
            Inner::Ed25519(key) => {
                Ok(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref())))
            }
        }
    }

    /// Whether a TXT record is this key's: what else it says does not matter.
    #[must_use]
    pub fn is_published_in(&self, record: &[u8]) -> bool {
        let public = |record: &[u8]| {
            let tags = Tags::parse(record).ok()?;
            decode_base64(tags.find("p")?)
        };
        let ours = self.public_record().ok().and_then(|ours| public(ours.as_bytes()));
        ours.is_some() && public(record) == ours
    }

    /// How the key signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &*self.0 {
            Inner::Rsa(_) => Algorithm::RsaSha256,
            Inner::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// Its length in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        match &*self.0 {
            Inner::Rsa(key) => u32::try_from(key.public_modulus_len() * 8).unwrap_or(u32::MAX),
            Inner::Ed25519(_) => ED25519_BITS,
        }
    }

    /// Signs a hash.
    pub(crate) fn sign(&self, hash: &HeaderHash) -> Result<Vec<u8>, SignError> {
        match &*self.0 {
            Inner::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(&RSA_PKCS1_SHA256, &hash.0, &mut signature)
                    .map_err(|_| SignError::Library)?;
                Ok(signature)
            }
            Inner::Ed25519(key) => {
                let signature = key.try_sign(hash.0.as_ref()).map_err(|_| SignError::Library)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {} bits)", self.algorithm().as_str(), self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8463 §A.2.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const SEED_RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn record(key: &str) -> Result<String, KeyError> {
        SigningKey::parse(key)?.public_record()
    }

    #[test]
    fn seeds_are_keys() {
        assert_eq!(record(SEED).as_deref(), Ok(SEED_RECORD));
        assert_eq!(record(&format!("{}\n{}\n", &SEED[..20], &SEED[20..])).as_deref(), Ok(SEED_RECORD));
        let both = |public: &str| {
            STANDARD.encode([STANDARD.decode(SEED).unwrap(), STANDARD.decode(public).unwrap()].concat())
        };
        let public = SEED_RECORD.rsplit_once("p=").unwrap().1;
        assert_eq!(record(&both(public)).as_deref(), Ok(SEED_RECORD));
        assert_eq!(record(&both(SEED)), Err(KeyError::Unsuitable));
    }

    #[test]
    fn keys_come_back_from_their_pem() {
        for key in [SigningKey::generate_rsa().unwrap(), SigningKey::generate_ed25519().unwrap()] {
            let pem = key.to_pem().unwrap();
            let pem = pem.reveal_str().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert_eq!(record(pem), key.public_record());
            let comment = format!("a comment\r\n{}", pem.replace('\n', "\r\n"));
            assert_eq!(record(&comment), key.public_record());
            let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            assert_eq!(record(&base64), key.public_record());
            assert!(!format!("{key:?}").contains(&base64[40..60]));
        }
    }

    /// RFC 8463 §A.2 again: an RSA key of 1024 bits.
    const SHORT_RSA: &str = "-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----";

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(record(SHORT_RSA), Err(KeyError::ShortRsa { bits: 1_024 }));
        for (text, error) in [
            ("", KeyError::NotAKey),
            ("no key", KeyError::NotAKey),
            ("AAAA", KeyError::NotAKey),
            ("-----BEGIN PRIVATE KEY-----\nAAAA", KeyError::NotAKey),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", KeyError::Unsuitable),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", KeyError::Unsuitable),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", KeyError::NotAKey),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END x", KeyError::Encrypted),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----",
                KeyError::Encrypted,
            ),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", KeyError::NotAKey),
        ] {
            assert_eq!(record(text), Err(error), "{text}");
        }
        let padded = |octets: usize| format!("{}{SEED}", " ".repeat(octets - SEED.len()));
        assert!(record(&padded(KEY_TEXT_OCTETS_MAX - 1)).is_ok());
        assert!(record(&padded(KEY_TEXT_OCTETS_MAX)).is_ok());
        assert_eq!(record(&padded(KEY_TEXT_OCTETS_MAX + 1)), Err(KeyError::NotAKey));
    }

    #[test]
    fn a_record_is_known_by_its_key() {
        let key = SigningKey::parse(SEED).unwrap();
        assert!(key.is_published_in(SEED_RECORD.as_bytes()));
        assert!(key.is_published_in(
            SEED_RECORD.replace("v=DKIM1; ", "").replace("p=11q", "n=x; p=11 q").as_bytes()
        ));
        for other in ["", "v=DKIM1; p=", "v=DKIM1; k=ed25519; p=AAAA", "v=spf1 -all"] {
            assert!(!key.is_published_in(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn selectors_are_labels() {
        assert_eq!(Selector::parse("2026A.mail").unwrap().as_str(), "2026a.mail");
        for text in ["", "a b", "a;b", "-a", "a..b"] {
            assert_eq!(Selector::parse(text), Err(SelectorError::BadCharacter), "{text}");
        }
    }
}
