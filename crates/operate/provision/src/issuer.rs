//! Who issues certificates, as CAA records name them (RFC 8659 §4.2).

/// What certificates call their issuers, and the names under which these look for themselves in CAA records, as each says
/// in its certification practice statement.
const ISSUERS: [(&str, &str); 10] = [
    ("Let's Encrypt", "letsencrypt.org"),
    ("ZeroSSL", "sectigo.com"),
    ("Sectigo Limited", "sectigo.com"),
    ("Google Trust Services", "pki.goog"),
    ("Google Trust Services LLC", "pki.goog"),
    ("Buypass AS-983163327", "buypass.com"),
    ("DigiCert Inc", "digicert.com"),
    ("GlobalSign nv-sa", "globalsign.com"),
    ("Actalis S.p.A.", "actalis.it"),
    ("SSL Corporation", "ssl.com"),
];

/// How an issuer is named in CAA records; `None` for one that we do not know, and for oneself.
#[must_use]
pub fn issuer_domain(organization: &str) -> Option<&'static str> {
    ISSUERS.iter().find(|(name, _)| *name == organization).map(|(_, domain)| *domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_issuers_that_are_known_are_named() {
        assert_eq!(issuer_domain("Let's Encrypt"), Some("letsencrypt.org"));
        assert_eq!(issuer_domain("Example"), None);
        for (_, domain) in ISSUERS {
            assert!(dns::Name::parse(domain).is_ok());
        }
    }
}
