//! What ties a password exchange to its TLS session, for SCRAM-SHA-256-PLUS (RFC 5056, 5929, 9266).

use aws_lc_rs::digest;
use rustls::{ConnectionCommon, SideData};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

use crate::session::{Version, version_of};

/// RFC 9266 §4.1; the context is empty.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The channel bindings of one session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266); only with TLS 1.3: with TLS 1.2 it is unique only beside the extended master
    /// secret (RFC 9266 §4.2), of which the library does not tell.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate; `None` when its signature
    /// algorithm names no hash.
    pub server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    pub(crate) fn of<D: SideData>(
        connection: &ConnectionCommon<D>,
        server_end_point: Option<Vec<u8>>,
    ) -> Self {
        let exporter = match version_of(connection) {
            Ok(Version::Tls13) => connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[])).ok(),
            Ok(Version::Tls12) | Err(_) => None,
        };
        Self { exporter, server_end_point }
    }
}

/// The hash of a certificate (DER) by the hash of its signature algorithm; MD5 and SHA-1 give way to SHA-256
/// (RFC 5929 §4.1).
pub(crate) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn hash_of(certificate: &X509Certificate<'_>) -> Option<&'static digest::Algorithm> {
    let identifier = &certificate.signature_algorithm;
    let oid = match SignatureAlgorithm::try_from(identifier) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid().to_id_string(),
        _ => identifier.algorithm.to_id_string(),
    };
    match oid.as_str() {
        // With RSA: MD5, SHA-1, SHA-256. ECDSA: SHA-1, SHA-256. Hashes alone (in RSASSA-PSS): SHA-1, SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2"
        | "1.3.14.3.2.26"
        | "2.16.840.1.101.3.4.2.1" => Some(&digest::SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => Some(&digest::SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => Some(&digest::SHA512),
        // Ed25519 and whatever comes: RFC 5929 leaves them undefined.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_by(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let parameters = rcgen::CertificateParams::new(["mail.example.org".to_owned()]).unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_follows_the_signature() {
        for (algorithm, expected) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let certificate = signed_by(algorithm);
            let expected = expected.map(|hash| digest::digest(hash, &certificate).as_ref().to_vec());
            assert_eq!(server_end_point(&certificate), expected, "{algorithm:?}");
        }
        assert_eq!(server_end_point(b"no certificate"), None);
    }
}
