//! Chains of our own making, judged by records about them.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use super::*;
use crate::CertificateFault;
use crate::certificate::provider;

/// The present of all tests.
const NOW: u64 = 1_795_640_400;

struct Made {
    certificate: Certificate,
    parameters: CertificateParams,
    key: KeyPair,
}

impl Made {
    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.parameters, &self.key)
    }
}

fn parameters(names: &[&str], common: &str, years: (i32, i32)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common);
    parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    parameters
}

fn authority(name: &str, by: Option<&Made>) -> Made {
    let mut parameters = parameters(&[], name, (2020, 2040));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    made(parameters, by)
}

fn server_of(mut parameters: CertificateParams, by: Option<&Made>) -> Made {
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    made(parameters, by)
}

fn server(names: &[&str], by: Option<&Made>) -> Made {
    server_of(parameters(names, "server", (2020, 2040)), by)
}

fn made(parameters: CertificateParams, by: Option<&Made>) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(by) => parameters.signed_by(&key, &by.issuer()),
        None => parameters.self_signed(&key),
    };
    Made { certificate: certificate.unwrap(), parameters, key }
}

type Record = (u8, u8, u8, Vec<u8>);

/// The record that speaks of a certificate.
fn record(usage: u8, selector: u8, matching: u8, of: &Made) -> Record {
    let der = of.der();
    let selected = if selector == 0 { der.as_ref() } else { public_key(&der).unwrap() };
    let data = match matching {
        0 => selected.to_vec(),
        1 => digest(&SHA256, selected).as_ref().to_vec(),
        _ => digest(&SHA512, selected).as_ref().to_vec(),
    };
    (usage, selector, matching, data)
}

fn trust(records: &[Record], names: &[&str]) -> Option<DaneTrust> {
    let fields = |(usage, selector, matching, data): &'_ Record| (*usage, *selector, *matching, data.clone());
    let records: Vec<Record> = records.iter().map(fields).collect();
    let fields = records.iter().map(|(usage, selector, matching, data)| TlsaFields {
        usage: *usage,
        selector: *selector,
        matching: *matching,
        data,
    });
    DaneTrust::new(fields, names)
}

fn judge(records: &[Record], names: &[&str], chain: &[&Made]) -> Result<(), CertificateFault> {
    let chain: Vec<CertificateDer<'static>> = chain.iter().map(|one| one.der()).collect();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    let trust = trust(records, names).unwrap();
    trust.judge(&chain[0], &chain[1..], now, &provider()).map_err(|error| CertificateFault::of(&error))
}

const HOST: &[&str] = &["mx.example.org"];
const ALL_MATCHINGS: [(u8, u8); 6] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];

#[test]
fn the_servers_own_certificate_needs_neither_name_nor_date_nor_issuer() {
    let issuer = authority("nobody knows it", None);
    let expired = server_of(parameters(&["elsewhere.example"], "x", (2001, 2002)), Some(&issuer));
    let own = server(&["other.example"], None);
    for (selector, matching) in ALL_MATCHINGS {
        for certificate in [&expired, &own] {
            let records = [record(3, selector, matching, certificate)];
            assert_eq!(judge(&records, HOST, &[certificate]), Ok(()), "{selector} {matching}");
        }
        let records = [record(3, selector, matching, &own)];
        assert_eq!(judge(&records, HOST, &[&expired]), Err(CertificateFault::NoTlsaMatch));
    }
}

#[test]
fn an_authority_of_the_chain_may_be_meant() {
    let root = authority("root", None);
    let middle = authority("middle", Some(&root));
    let leaf = server(HOST, Some(&middle));
    for (selector, matching) in ALL_MATCHINGS {
        for meant in [&root, &middle] {
            let records = [record(2, selector, matching, meant)];
            assert_eq!(judge(&records, HOST, &[&leaf, &middle, &root]), Ok(()), "{selector} {matching}");
        }
        // It is the issuer, but its certificate is not sent, and a digest tells nothing of it.
        if matching != 0 {
            let records = [record(2, selector, matching, &root)];
            assert_eq!(judge(&records, HOST, &[&leaf, &middle]), Err(CertificateFault::NoTlsaMatch));
        }
    }
    // Somebody else's certificate sent along does not help.
    let other = authority("other", None);
    let stranger = server(HOST, Some(&other));
    let records = [record(2, 0, 1, &root)];
    assert_eq!(judge(&records, HOST, &[&stranger, &root]), Err(CertificateFault::Untrusted));
    assert_eq!(judge(&records, HOST, &[&stranger, &other]), Err(CertificateFault::NoTlsaMatch));
}

#[test]
fn an_authority_may_stand_in_dns_as_a_whole_and_is_not_sent() {
    let root = authority("root", None);
    let middle = authority("middle", Some(&root));
    let (leaf, deep) = (server(HOST, Some(&root)), server(HOST, Some(&middle)));
    for selector in [0, 1] {
        let records = [record(2, selector, 0, &root)];
        assert_eq!(judge(&records, HOST, &[&leaf]), Ok(()));
        assert_eq!(judge(&records, HOST, &[&deep, &middle]), Ok(()));
        let other = server(HOST, Some(&authority("root", None)));
        let told = judge(&records, HOST, &[&other]);
        assert_eq!(told, Err(CertificateFault::Untrusted), "a name is not a key");
    }
}

#[test]
fn an_authority_vouches_for_a_name_and_a_time() {
    let root = authority("root", None);
    let records = [record(2, 0, 1, &root)];
    let names: &[&str] = &["mx.example.org", "example.org"];
    for (shown, expected) in [
        (&["mx.example.org"][..], Ok(())),
        (&["example.org"], Ok(())),
        (&["*.example.org"], Ok(())),
        (&["MX.Example.ORG"], Ok(())),
        (&["other.example.org"], Err(CertificateFault::WrongName)),
        (&["*.mx.example.org"], Err(CertificateFault::WrongName)),
    ] {
        assert_eq!(judge(&records, names, &[&server(shown, Some(&root)), &root]), expected, "{shown:?}");
    }
    for years in [(2001, 2002), (2030, 2031)] {
        let leaf = server_of(parameters(HOST, "x", years), Some(&root));
        assert_eq!(judge(&records, names, &[&leaf, &root]), Err(CertificateFault::Expired));
    }
}

#[test]
fn a_common_name_counts_where_there_is_no_other() {
    let root = authority("root", None);
    let records = [record(2, 1, 1, &root)];
    for (common, expected) in [
        ("mx.example.org", Ok(())),
        ("*.example.org", Ok(())),
        ("example.org", Err(CertificateFault::WrongName)),
    ] {
        let leaf = server_of(parameters(&[], common, (2020, 2040)), Some(&root));
        assert_eq!(judge(&records, HOST, &[&leaf, &root]), expected, "{common}");
    }
    let mut both = parameters(&[], "mx.example.org", (2020, 2040));
    both.subject_alt_names = vec![SanType::DnsName("other.example".try_into().unwrap())];
    let leaf = server_of(both, Some(&root));
    assert_eq!(judge(&records, HOST, &[&leaf, &root]), Err(CertificateFault::WrongName));
}

#[test]
fn one_record_of_several_is_enough() {
    let (old, new, root) = (server(HOST, None), server(HOST, None), authority("root", None));
    // A roll-over: both keys are in DNS before the new one is used.
    let records = [record(3, 1, 1, &old), record(3, 1, 1, &new), record(2, 0, 1, &root)];
    assert_eq!(judge(&records, HOST, &[&old]), Ok(()));
    assert_eq!(judge(&records, HOST, &[&new]), Ok(()));
    assert_eq!(judge(&records, HOST, &[&server(HOST, Some(&root)), &root]), Ok(()));
    assert_eq!(judge(&records, HOST, &[&server(HOST, None)]), Err(CertificateFault::NoTlsaMatch));
}

#[test]
fn the_stronger_digest_counts_alone() {
    let (right, wrong) = (server(HOST, None), server(HOST, None));
    let weak = [record(3, 1, 1, &right), record(3, 1, 2, &wrong)];
    assert_eq!(judge(&weak, HOST, &[&right]), Err(CertificateFault::NoTlsaMatch));
    assert_eq!(judge(&weak, HOST, &[&wrong]), Ok(()));
    // Of another selector or usage it says nothing, nor of octets that stand for themselves.
    for other in [record(3, 0, 2, &wrong), record(2, 1, 2, &wrong)] {
        assert_eq!(judge(&[record(3, 1, 1, &right), other], HOST, &[&right]), Ok(()));
    }
    assert_eq!(judge(&[record(3, 1, 0, &right), record(3, 1, 2, &wrong)], HOST, &[&right]), Ok(()));
    // A digest that cannot be one is none.
    let cut = (3, 1, 2, vec![0; 63]);
    assert_eq!(judge(&[record(3, 1, 1, &right), cut], HOST, &[&right]), Ok(()));
}

#[test]
fn records_that_cannot_be_used_are_left_out() {
    let leaf = server(HOST, None);
    let right = |usage, selector, matching| record(usage, selector, matching, &leaf);
    let mut unusable = vec![right(0, 0, 1), right(1, 1, 1), (4, 0, 1, vec![0; 32]), (255, 0, 1, vec![0; 32])];
    unusable.extend([(3, 2, 1, vec![0; 32]), (3, 1, 3, vec![0; 32]), (3, 1, 1, vec![0; 31])]);
    unusable.extend([(3, 1, 1, vec![0; 33]), (3, 0, 0, vec![]), (2, 1, 0, b"no key".to_vec())]);
    let mut trailing = right(3, 0, 0);
    trailing.3.push(0);
    unusable.push(trailing);
    for record in &unusable {
        assert!(trust(std::slice::from_ref(record), HOST).is_none(), "{record:?}");
    }
    assert!(trust(&[], HOST).is_none());
    unusable.push(right(3, 1, 1));
    assert_eq!(judge(&unusable, HOST, &[&leaf]), Ok(()));
}

#[test]
fn of_many_records_the_first_are_looked_at() {
    let leaf = server(HOST, None);
    for (before, expected) in [
        (ASSOCIATIONS_MAX - 2, Ok(())),
        (ASSOCIATIONS_MAX - 1, Ok(())),
        (ASSOCIATIONS_MAX, Err(CertificateFault::NoTlsaMatch)),
    ] {
        let mut records: Vec<Record> = vec![(3, 1, 1, vec![0; 32]); before];
        records.push(record(3, 1, 1, &leaf));
        assert_eq!(judge(&records, HOST, &[&leaf]), expected, "{before}");
    }
}

#[test]
fn certificates_that_are_none_match_nothing() {
    let leaf = server(HOST, None);
    let garbage = CertificateDer::from(b"\x30\x03abc".to_vec());
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    for records in [[record(3, 1, 1, &leaf)], [record(2, 1, 0, &leaf)], [record(2, 0, 0, &leaf)]] {
        let judged =
            trust(&records, HOST).unwrap().judge(&garbage, std::slice::from_ref(&garbage), now, &provider());
        assert!(judged.is_err());
    }
}
