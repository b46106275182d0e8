//! Certificates that DNS vouches for: TLSA records as mail uses them (RFC 6698, RFC 7671, RFC 7672 §3).
//!
//! The records come from a DNS answer that was proven; this file knows no DNS. [`DaneTrust`] keeps those that can be
//! used, and judges the certificates of a handshake by them.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

/// Records of one host that are looked at: a roll-over of two keys with two digests each needs eight.
pub const ASSOCIATIONS_MAX: usize = 32;

/// A TLSA record's fields as they stand in DNS (RFC 6698 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsaFields<'a> {
    /// Which certificate is spoken of: 2 an authority's (DANE-TA), 3 the server's own (DANE-EE).
    pub usage: u8,
    /// 0 the whole certificate, 1 its public key.
    pub selector: u8,
    /// 0 the octets themselves, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What to compare with.
    pub data: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Usage {
    Authority,
    Server,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Selector {
    Certificate,
    PublicKey,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Matching {
    Full,
    Sha256,
    Sha512,
}

/// A record that can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Association {
    usage: Usage,
    selector: Selector,
    matching: Matching,
    data: Box<[u8]>,
}

/// The usable TLSA records of a host, and the names of which its certificate has to show one where an authority vouches
/// for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaneTrust {
    associations: Vec<Association>,
    names: Vec<ServerName<'static>>,
}

impl DaneTrust {
    /// Keeps what is usable of these records; `None` where nothing is: then DANE asks for TLS and says nothing of the
    /// certificate (RFC 7672 §2.2). `names` are the reference identifiers of RFC 7672 §3.2.2.
    pub fn new<'a>(records: impl Iterator<Item = TlsaFields<'a>>, names: &[&str]) -> Option<Self> {
        let mut associations: Vec<Association> =
            records.filter_map(Association::of).take(ASSOCIATIONS_MAX).collect();
        keep_strongest_digests(&mut associations);
        let names = names.iter().filter_map(|name| ServerName::try_from((*name).to_owned()).ok()).collect();
        (!associations.is_empty()).then_some(Self { associations, names })
    }

    /// Judges a server's chain, its own certificate first.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<(), rustls::Error> {
        // RFC 7672 §3.1.1: neither the certificate's names nor its dates matter then.
        if self.of(Usage::Server).any(|association| association.matches(leaf)) {
            return Ok(());
        }
        let anchors = self.anchors(leaf, others);
        if anchors.is_empty() {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let certificate = EndEntityCert::try_from(leaf).map_err(|error| told(&error))?;
        let algorithms = provider.signature_verification_algorithms.all;
        certificate
            .verify_for_usage(algorithms, &anchors, others, now, KeyUsage::server_auth(), None, None)
            .map_err(|error| told(&error))?;
        if self.names.iter().any(|name| shows(&certificate, leaf, name)) {
            Ok(())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn of(&self, usage: Usage) -> impl Iterator<Item = &Association> {
        self.associations.iter().filter(move |association| association.usage == usage)
    }

    /// The authorities that the records name: among the certificates of the chain, or by their whole certificate or key
    /// in DNS, where the server need not send them (RFC 7671 §5.2.2, §5.2.3).
    fn anchors<'a>(
        &'a self,
        leaf: &CertificateDer<'_>,
        others: &'a [CertificateDer<'_>],
    ) -> Vec<TrustAnchor<'a>> {
        let mut anchors = Vec::new();
        for association in self.of(Usage::Authority) {
            let in_chain = others.iter().filter(|certificate| association.matches(certificate));
            anchors.extend(in_chain.filter_map(|certificate| anchor_from_trusted_cert(certificate).ok()));
            match (association.matching, association.selector) {
                (Matching::Full, Selector::Certificate) => {
                    let certificate = CertificateDer::from(&*association.data);
                    let anchor = anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned());
                    anchors.extend(anchor.ok());
                }
                // A key alone has no name: it may belong to whoever issued a certificate of the chain.
                (Matching::Full, Selector::PublicKey) => {
                    let issuers =
                        [leaf].into_iter().chain(others).filter_map(|certificate| issuer(certificate));
                    anchors.extend(issuers.filter_map(|issuer| {
                        Some(TrustAnchor {
                            subject: issuer,
                            subject_public_key_info: Der::from_slice(contents(&association.data)?),
                            name_constraints: None,
                        })
                    }));
                }
                (Matching::Sha256 | Matching::Sha512, _) => {}
            }
        }
        anchors
    }
}

impl Association {
    /// RFC 7672 §3.1.3: certificates that a public authority must vouch for too are of no use to mail. A value that
    /// nobody has defined, a digest of the wrong length and what is no certificate or key are of no use to anybody.
    fn of(fields: TlsaFields<'_>) -> Option<Self> {
        let usage = match fields.usage {
            2 => Usage::Authority,
            3 => Usage::Server,
            _ => return None,
        };
        let selector = match fields.selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let matching = match (fields.matching, fields.data.len()) {
            (0, _) => Matching::Full,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            _ => return None,
        };
        let is_readable = match (matching, selector) {
            (Matching::Full, Selector::Certificate) => is_whole(X509Certificate::from_der(fields.data)),
            (Matching::Full, Selector::PublicKey) => is_whole(SubjectPublicKeyInfo::from_der(fields.data)),
            (Matching::Sha256 | Matching::Sha512, _) => true,
        };
        is_readable.then(|| Self { usage, selector, matching, data: fields.data.into() })
    }

    fn matches(&self, certificate: &CertificateDer<'_>) -> bool {
        let selected = match self.selector {
            Selector::Certificate => Some(certificate.as_ref()),
            Selector::PublicKey => public_key(certificate),
        };
        let Some(selected) = selected else { return false };
        match self.matching {
            Matching::Full => selected == &*self.data,
            Matching::Sha256 => digest(&SHA256, selected).as_ref() == &*self.data,
            Matching::Sha512 => digest(&SHA512, selected).as_ref() == &*self.data,
        }
    }
}

/// Digest algorithm agility (RFC 7671 §9): beside a stronger digest of the same usage and selector a weaker one is not
/// looked at. Octets that stand for themselves always are.
fn keep_strongest_digests(associations: &mut Vec<Association>) {
    let is_strong = |one: &Association| one.matching == Matching::Sha512;
    let strong: Vec<(Usage, Selector)> =
        associations.iter().filter(|one| is_strong(one)).map(|one| (one.usage, one.selector)).collect();
    associations
        .retain(|one| one.matching != Matching::Sha256 || !strong.contains(&(one.usage, one.selector)));
}

fn is_whole<T, E>(read: Result<(&[u8], T), E>) -> bool {
    read.is_ok_and(|(rest, _)| rest.is_empty())
}

/// A certificate's public key as TLSA records speak of it: its SubjectPublicKeyInfo (RFC 6698 §2.1.2).
pub(crate) fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.tbs_certificate.subject_pki.raw)
}

/// Who issued a certificate: the contents of the name.
fn issuer(certificate: &CertificateDer<'_>) -> Option<Der<'static>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(Der::from(contents(parsed.issuer().as_raw())?.to_vec()))
}

/// What stands in a DER value, without its tag and length. Both were found right when the value was read.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let first = usize::from(*der.get(1)?);
    let length_octets = first.saturating_sub(0x80);
    der.get(2 + length_octets..)
}

/// Whether a certificate shows a name: as an alternative name or, only where it has none of these, as the common name
/// (RFC 7672 §3.2.2).
fn shows(certificate: &EndEntityCert<'_>, leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    if certificate.verify_is_valid_for_subject_name(name).is_ok() {
        return true;
    }
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return false };
    let ServerName::DnsName(name) = name else { return false };
    if parsed.subject_alternative_name().map_or(true, |alternative| alternative.is_some()) {
        return false;
    }
    let wildcard = name.as_ref().split_once('.').map(|(_, parent)| format!("*.{parent}"));
    let common = parsed.subject().iter_common_name().filter_map(|common| common.as_str().ok());
    common.into_iter().any(|common| {
        let is = |name: &str| common.eq_ignore_ascii_case(name);
        is(name.as_ref()) || wildcard.as_deref().is_some_and(is)
    })
}

fn told(error: &webpki::Error) -> rustls::Error {
    use webpki::Error as Fault;
    let error = match error {
        Fault::CertExpired { .. } => CertificateError::Expired,
        Fault::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Fault::UnknownIssuer => CertificateError::UnknownIssuer,
        Fault::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        other => CertificateError::Other(OtherError(Arc::new(other.clone()))),
    };
    error.into()
}

/// Judges a handshake by TLSA records.
#[derive(Debug)]
pub(crate) struct DaneVerifier {
    pub(crate) trust: DaneTrust,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for DaneVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.trust.judge(end_entity, intermediates, now, &self.provider);
        judged.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
