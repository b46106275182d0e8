//! What a certificate file says, read without its key: for whoever tells the world about it.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use platform::clock::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::TlsError;
use crate::certificate::{facts, read_bounded};

/// The first certificate of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The names it is for, in small letters; wildcards as `*.example.org`.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Timestamp,
    /// The organization that issued it, if the certificate names one.
    pub issuer: Option<String>,
    /// Whether it was signed with its own key.
    pub is_self_signed: bool,
    /// SHA-256 of its public key (SubjectPublicKeyInfo): what a TLSA record `3 1 1` holds (RFC 6698 §2.1).
    pub public_key_sha256: [u8; 32],
}

impl Leaf {
    /// Reads the chain in a PEM file.
    ///
    /// # Errors
    /// [`TlsError::File`], [`TlsError::Certificate`].
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read_bounded(path)?)
            .map_err(|reason| TlsError::Certificate { place: path.display().to_string(), reason })
    }

    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let leaf = CertificateDer::from_pem_slice(pem)
            .map_err(|error| format!("there is no certificate in it: {error}"))?;
        let (names, not_after) = facts(&leaf)?;
        let (_, parsed) = X509Certificate::from_der(&leaf)
            .map_err(|error| format!("its certificate cannot be read: {error}"))?;
        let issuer = parsed.issuer().iter_organization().next().and_then(|name| name.as_str().ok());
        let hash = digest(&SHA256, parsed.public_key().raw);
        let public_key_sha256 = hash.as_ref().try_into().map_err(|_| "SHA-256 has 32 octets".to_owned())?;
        Ok(Self {
            names,
            not_after,
            issuer: issuer.map(str::to_owned),
            is_self_signed: parsed.issuer() == parsed.subject(),
            public_key_sha256,
        })
    }
}

#[cfg(test)]
mod tests {
    use platform::clock::Clock;

    use super::*;
    use crate::self_signed::{TestAuthority, generate};

    #[test]
    fn a_leaf_tells_its_names_and_who_vouches() {
        let now = Clock::system().now();
        let own = Leaf::from_pem(generate(&["mail.example.org"], now).unwrap().chain.as_bytes()).unwrap();
        assert_eq!((own.names, own.is_self_signed), (vec!["mail.example.org".to_owned()], true));
        let issued = TestAuthority::new("a", now).unwrap().issue(&["mx.example.org"], now).unwrap();
        let issued = Leaf::from_pem(issued.chain.as_bytes()).unwrap();
        assert!(!issued.is_self_signed);
        assert_ne!(own.public_key_sha256, issued.public_key_sha256);
        assert!(Leaf::from_pem(b"no certificate").is_err());
    }

    /// The key's hash as OpenSSL has it: openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl sha256.
    #[test]
    fn the_keys_hash_is_the_one_that_others_compute() {
        let pem = "-----BEGIN CERTIFICATE-----\n\
             MIIBzjCCAXSgAwIBAgIUeCOtBYs60Sa5bYUdnOadwZZZnOYwCgYIKoZIzj0EAwIw\n\
             LTEQMA4GA1UECgwHRXhhbXBsZTEZMBcGA1UEAwwQbWFpbC5leGFtcGxlLm9yZzAg\n\
             Fw0yNjExMjYwNzIyMjNaGA8yMTI2MTEwMjA3MjIyM1owLTEQMA4GA1UECgwHRXhh\n\
             bXBsZTEZMBcGA1UEAwwQbWFpbC5leGFtcGxlLm9yZzBZMBMGByqGSM49AgEGCCqG\n\
             SM49AwEHA0IABB5bHuAtB8ys9SIS06UH6FORsPYxsTOl6HU/mcAQBAgROeeyhLTx\n\
             MEXLdG3hO6AKGJmz5xwPJAGUYM9lNFXfqpKjcDBuMB0GA1UdDgQWBBRbMxa5hv76\n\
             XR8Kg9BKHBcuAKjiETAfBgNVHSMEGDAWgBRbMxa5hv76XR8Kg9BKHBcuAKjiETAP\n\
             BgNVHRMBAf8EBTADAQH/MBsGA1UdEQQUMBKCEG1haWwuZXhhbXBsZS5vcmcwCgYI\n\
             KoZIzj0EAwIDSAAwRQIgHoTDVpEF+LW7MGbFTyFuF9j3oqHb10E5uZzQjwYhRjgC\n\
             IQDAGDWbBCANayWyamR0Hvd1RHWJT9dmy+p+PlpAM6iWEQ==\n\
             -----END CERTIFICATE-----\n";
        let hash = Leaf::from_pem(pem.as_bytes()).unwrap().public_key_sha256;
        let hash: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hash, "37e434a5db0296166705d579757b560230b7581bb9acca4a4d8179716d68e6f3");
    }
}
