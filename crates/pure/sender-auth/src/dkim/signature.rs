//! A signature as its field states it: DKIM-Signature (RFC 6376 §3.5) and ARC-Message-Signature, which has no version and
//! an instance instead of an identity (RFC 8617 §4.1.2).

use mail_types::DomainName;

use crate::QueryName;
use crate::dkim::body_hash::{HASH_OCTETS, Wanted};
use crate::dkim::canonical::Canonicalization;
use crate::dkim::public_key::{Algorithm, decode_base64, decode_hash};
use crate::dkim::tags::{Tags, colon_list, number};
use crate::dkim::{Fault, Limits};

/// Longest field of a signature that is read. Real ones stay below 2 KiB.
pub(crate) const SIGNATURE_OCTETS_MAX: usize = 16 * 1024;

/// Most names in `h=`. Real ones have up to a hundred.
pub(crate) const SIGNED_FIELDS_MAX: usize = 512;

/// Which field it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Dkim,
    ArcMessage,
}

impl Kind {
    /// What a missing `c=` means, for header and body. RFC 8617 says nothing of its own; those who sealed by its drafts,
    /// and the published tests, mean relaxed.
    fn default_forms(self) -> (Canonicalization, Canonicalization) {
        match self {
            Self::Dkim => (Canonicalization::Simple, Canonicalization::Simple),
            Self::ArcMessage => (Canonicalization::Relaxed, Canonicalization::Relaxed),
        }
    }
}

/// What a signature says.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) signed_by: SignedBy,
    pub(crate) signature: Vec<u8>,
    pub(crate) body_hash: [u8; HASH_OCTETS],
    pub(crate) body: Wanted,
    pub(crate) header_form: Canonicalization,
    /// Names of the signed fields in lower case, in their order.
    pub(crate) signed: Vec<Box<str>>,
    pub(crate) times: Times,
}

/// Who signed and how: what signatures and seals have in common.
#[derive(Clone, Debug)]
pub(crate) struct SignedBy {
    pub(crate) algorithm: Algorithm,
    pub(crate) domain: DomainName,
    pub(crate) selector: Box<str>,
    pub(crate) key_name: QueryName,
}

impl SignedBy {
    /// Reads `a=`, `d=` and `s=`.
    pub(crate) fn from_tags(tags: &Tags<'_>) -> Result<Self, Fault> {
        let algorithm = Algorithm::parse(tags.require("a")?)?;
        let domain = domain(tags.require("d")?).ok_or(Fault::BadTag("d"))?;
        let selector = str::from_utf8(tags.require("s")?).map_err(|_| Fault::BadTag("s"))?;
        let ascii = if selector.is_ascii() {
            selector.to_owned()
        } else {
            DomainName::parse(selector).map_err(|_| Fault::BadTag("s"))?.as_str().to_owned()
        };
        let key_name =
            QueryName::parse(&format!("{ascii}._domainkey.{domain}")).map_err(|_| Fault::BadTag("s"))?;
        Ok(Self { algorithm, domain, selector: selector.into(), key_name })
    }
}

/// When a signature was made and until when it is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Times {
    signed_at: Option<u64>,
    expires_at: Option<u64>,
}

impl Times {
    /// Reads `t=` and `x=`.
    pub(crate) fn from_tags(tags: &Tags<'_>) -> Result<Self, Fault> {
        let read = |name: &'static str| match tags.find(name) {
            Some(value) => number(value).map(Some).ok_or(Fault::BadTag(name)),
            None => Ok(None),
        };
        let times = Self { signed_at: read("t")?, expires_at: read("x")? };
        match times {
            Self { signed_at: Some(signed), expires_at: Some(expires) } if expires <= signed => {
                Err(Fault::BadTag("x"))
            }
            _ => Ok(times),
        }
    }

    pub(crate) fn check(self, now: u64, limits: &Limits) -> Result<(), Fault> {
        let skew = limits.clock_skew_seconds_max;
        if self.signed_at.is_some_and(|signed| signed > now.saturating_add(skew)) {
            return Err(Fault::FromFuture);
        }
        if self.expires_at.is_some_and(|expires| expires.saturating_add(skew) < now) {
            return Err(Fault::Expired);
        }
        Ok(())
    }
}

impl Signature {
    /// Reads a field's tags.
    pub(crate) fn from_tags(tags: &Tags<'_>, kind: Kind) -> Result<Self, Fault> {
        if kind == Kind::Dkim && tags.require("v")? != b"1" {
            return Err(Fault::BadTag("v"));
        }
        let signed_by = SignedBy::from_tags(tags)?;
        let signature = decode_base64(tags.require("b")?).ok_or(Fault::BadTag("b"))?;
        let body_hash = decode_hash(tags.require("bh")?).ok_or(Fault::BadTag("bh"))?;
        let (header_form, body_form) = match tags.find("c") {
            Some(value) => canonicalizations(value).ok_or(Fault::BadTag("c"))?,
            None => kind.default_forms(),
        };
        let octets = match tags.find("l") {
            Some(value) => Some(number(value).ok_or(Fault::BadTag("l"))?),
            None => None,
        };
        if tags.find("q").is_some_and(|methods| !colon_list(methods).any(|method| method == b"dns/txt")) {
            return Err(Fault::BadTag("q"));
        }
        let signed = signed_names(tags.require("h")?)?;
        let times = Times::from_tags(tags)?;
        if kind == Kind::Dkim {
            identity_domain(tags, &signed_by.domain)?;
        }
        let body = Wanted { canonicalization: body_form, octets };
        Ok(Self { signed_by, signature, body_hash, body, header_form, signed, times })
    }
}

/// Whether `i=` is in a subdomain of `d=`.
pub(crate) fn identity_domain(tags: &Tags<'_>, signing: &DomainName) -> Result<IdentityDomain, Fault> {
    let Some(identity) = tags.find("i") else { return Ok(IdentityDomain::Same) };
    let at = memchr::memrchr(b'@', identity).ok_or(Fault::BadTag("i"))?;
    let domain = domain(identity.get(at + 1..).unwrap_or_default()).ok_or(Fault::BadTag("i"))?;
    if domain == *signing {
        return Ok(IdentityDomain::Same);
    }
    let is_below = domain.as_str().strip_suffix(signing.as_str()).is_some_and(|sub| sub.ends_with('.'));
    if is_below { Ok(IdentityDomain::Below) } else { Err(Fault::ForeignIdentity) }
}

/// Where the domain of `i=` stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IdentityDomain {
    Same,
    Below,
}

/// A domain in A-labels or U-labels (RFC 8616 §4).
pub(crate) fn domain(value: &[u8]) -> Option<DomainName> {
    DomainName::parse(str::from_utf8(value).ok()?).ok()
}

fn canonicalizations(value: &[u8]) -> Option<(Canonicalization, Canonicalization)> {
    match memchr::memchr(b'/', value) {
        None => Some((Canonicalization::parse(value)?, Canonicalization::Simple)),
        Some(slash) => {
            let (header, body) = value.split_at(slash);
            Some((Canonicalization::parse(header)?, Canonicalization::parse(body.get(1..)?)?))
        }
    }
}

/// The names in `h=`; empty ones sign nothing and are passed over.
fn signed_names(value: &[u8]) -> Result<Vec<Box<str>>, Fault> {
    let mut names: Vec<Box<str>> = Vec::new();
    for name in colon_list(value).filter(|name| !name.is_empty()) {
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::BadTag("h"));
        }
        if names.len() == SIGNED_FIELDS_MAX {
            return Err(Fault::TooLong);
        }
        names.push(String::from_utf8_lossy(name).to_ascii_lowercase().into());
    }
    if names.iter().any(|name| **name == *"from") { Ok(names) } else { Err(Fault::FromNotSigned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "v=1; a=rsa-sha256; d=example.org; s=sel; h=From : to; b=AAAA; \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

    fn read(list: &str) -> Result<Signature, Fault> {
        Signature::from_tags(&Tags::parse(list.as_bytes())?, Kind::Dkim)
    }

    /// Reads the good signature with a tag replaced or added.
    fn with(tag: &str) -> Result<Signature, Fault> {
        let name = tag.split('=').next().unwrap();
        let kept = GOOD.split("; ").filter(|other| other.split('=').next() != Some(name));
        read(&kept.chain([tag]).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn a_signature_is_read() {
        let signature = read(GOOD).unwrap();
        assert_eq!(signature.signed_by.key_name.as_str(), "sel._domainkey.example.org");
        assert_eq!(signature.signed, ["from".into(), "to".into()]);
        assert_eq!(signature.header_form, Canonicalization::Simple);
        assert_eq!(signature.body, Wanted { canonicalization: Canonicalization::Simple, octets: None });
        let signature = with("c=relaxed").unwrap();
        assert_eq!(signature.header_form, Canonicalization::Relaxed);
        assert_eq!(signature.body.canonicalization, Canonicalization::Simple);
        assert_eq!(with("l=12").unwrap().body.octets, Some(12));
        assert_eq!(with("d=bücher.example").unwrap().signed_by.domain.as_str(), "xn--bcher-kva.example");
        for tag in
            ["i=ann@mail.example.org", "i=@EXAMPLE.org", "q=other:dns/txt", "x=5", "s=a.b", "z=From:a|b"]
        {
            assert!(with(tag).is_ok(), "{tag}");
        }
    }

    #[test]
    fn each_tag_has_its_rules() {
        for (tag, fault) in [
            ("v=2", Fault::BadTag("v")),
            ("v=", Fault::BadTag("v")),
            ("a=rsa-sha1", Fault::Sha1),
            ("a=RSA-SHA256", Fault::UnknownAlgorithm),
            ("a=", Fault::BadTag("a")),
            ("b=*", Fault::BadTag("b")),
            ("b=", Fault::BadTag("b")),
            ("bh=AAAA", Fault::BadTag("bh")),
            ("c=relaxed/loose", Fault::BadTag("c")),
            ("c=", Fault::BadTag("c")),
            ("d=not a domain", Fault::BadTag("d")),
            ("s=a..b", Fault::BadTag("s")),
            ("h=to:cc", Fault::FromNotSigned),
            ("h=", Fault::BadTag("h")),
            ("h=from:t o", Fault::BadTag("h")),
            ("i=ann@example.com", Fault::ForeignIdentity),
            ("i=ann@notexample.org", Fault::ForeignIdentity),
            ("i=ann", Fault::BadTag("i")),
            ("l=-1", Fault::BadTag("l")),
            ("q=dns", Fault::BadTag("q")),
            ("t=", Fault::BadTag("t")),
            ("x=soon", Fault::BadTag("x")),
        ] {
            assert_eq!(with(tag).unwrap_err(), fault, "{tag}");
        }
        for name in ["v", "a", "d", "s", "h", "b", "bh"] {
            let kept = GOOD.split("; ").filter(|other| other.split('=').next() != Some(name));
            assert_eq!(
                read(&kept.collect::<Vec<_>>().join("; ")).unwrap_err(),
                Fault::MissingTag(match name {
                    "v" => "v",
                    "a" => "a",
                    "d" => "d",
                    "s" => "s",
                    "h" => "h",
                    "b" => "b",
                    _ => "bh",
                })
            );
        }
        assert_eq!(read(&format!("{GOOD}; t=5; x=5")).unwrap_err(), Fault::BadTag("x"));
    }

    #[test]
    fn signed_names_are_counted() {
        for names in [SIGNED_FIELDS_MAX - 1, SIGNED_FIELDS_MAX, SIGNED_FIELDS_MAX + 1] {
            let signature = with(&format!("h={}from", "to:".repeat(names - 1)));
            assert_eq!(
                signature.map(|one| one.signed.len()).ok(),
                Some(names).filter(|names| *names <= SIGNED_FIELDS_MAX)
            );
        }
    }

    #[test]
    fn times_have_their_tolerance() {
        let limits = Limits::default();
        let skew = limits.clock_skew_seconds_max;
        let times = Times { signed_at: Some(10_000), expires_at: Some(20_000) };
        for (now, verdict) in [
            (10_000 - skew - 1, Err(Fault::FromFuture)),
            (10_000 - skew, Ok(())),
            (20_000 + skew, Ok(())),
            (20_000 + skew + 1, Err(Fault::Expired)),
        ] {
            assert_eq!(times.check(now, &limits), verdict);
        }
    }
}
