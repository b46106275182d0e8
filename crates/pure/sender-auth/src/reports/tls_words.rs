//! The words of TLS reports (RFC 8460 §4.3, §4.4): what can fail, and under which kind of policy.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Kinds of policies (RFC 8460 §4.4, `policy-type`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsPolicyType {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    NoPolicyFound,
    /// Some kind that is not known; never written by us.
    Other,
}

impl TlsPolicyType {
    const KNOWN: [Self; 3] = [Self::Tlsa, Self::Sts, Self::NoPolicyFound];

    /// As reports name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
            Self::Other => "other",
        }
    }
}

/// What can fail (RFC 8460 §4.3, `result-type`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsFailureType {
    /// The exchanger offers no TLS.
    StartTlsNotSupported,
    /// Its certificate does not show its name.
    CertificateHostMismatch,
    /// Its certificate's time is over.
    CertificateExpired,
    /// Nobody who is trusted vouches for its certificate.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// Its certificate is none that its TLSA records name, or none of them is usable.
    TlsaInvalid,
    /// What DNS says of its TLSA records is forged or broken.
    DnssecInvalid,
    /// The sender demands DANE, and there are no TLSA records.
    DaneRequired,
    /// The MTA-STS policy could not be fetched.
    StsPolicyFetchError,
    /// The MTA-STS policy is none.
    StsPolicyInvalid,
    /// The server of the MTA-STS policy has no certificate for its name.
    StsWebPkiInvalid,
    /// Some failure that is not known; never written by us.
    Other,
}

impl TlsFailureType {
    const KNOWN: [Self; 11] = [
        Self::StartTlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebPkiInvalid,
    ];

    /// As reports name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebPkiInvalid => "sts-webpki-invalid",
            Self::Other => "other",
        }
    }
}

impl Serialize for TlsPolicyType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TlsPolicyType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::KNOWN.into_iter().find(|known| known.as_str() == word).unwrap_or(Self::Other))
    }
}

impl Serialize for TlsFailureType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TlsFailureType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::KNOWN.into_iter().find(|known| known.as_str() == word).unwrap_or(Self::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_written() {
        for failure in TlsFailureType::KNOWN {
            let word = serde_json::to_string(&failure).unwrap();
            assert_eq!(word, format!("{:?}", failure.as_str()));
            assert_eq!(serde_json::from_str::<TlsFailureType>(&word).unwrap(), failure);
        }
        for kind in TlsPolicyType::KNOWN {
            let word = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<TlsPolicyType>(&word).unwrap(), kind);
        }
        assert_eq!(serde_json::from_str::<TlsFailureType>("\"x\"").unwrap(), TlsFailureType::Other);
        assert_eq!(serde_json::from_str::<TlsPolicyType>("\"x\"").unwrap(), TlsPolicyType::Other);
    }
}
