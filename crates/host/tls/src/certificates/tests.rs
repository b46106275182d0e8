//! Certificates chosen, changed, broken.

use std::fs;
use std::path::Path;

use platform::clock::Timestamp;

use super::*;
use crate::self_signed::{self, PemPair};

const ALL: &[SignatureScheme] =
    &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519];

fn clock() -> Clock {
    Clock::settable(Timestamp::from_unix_seconds(1_800_000_000))
}

fn pair(names: &[&str]) -> PemPair {
    self_signed::generate(names, clock().now()).unwrap()
}

fn store(directory: &Path, name: &str, pair: &PemPair) -> CertificateFiles {
    let files = CertificateFiles {
        chain: directory.join(format!("{name}.crt")),
        key: directory.join(format!("{name}.key")),
    };
    // Renamed into place as renewal tools do, so that the inode tells even within one tick of the file system's clock.
    for (path, text) in [(&files.chain, &pair.chain), (&files.key, &pair.key)] {
        platform::durable::write(path, text.as_bytes(), platform::durable::Readable::Owner).unwrap();
    }
    files
}

fn open(files: &[CertificateFiles]) -> Certificates {
    Certificates::open(files, clock(), &Metrics::new()).unwrap()
}

fn chosen(certificates: &Certificates, name: Option<&str>) -> String {
    certificates.choose(name, ALL).state.names.join(" ")
}

#[test]
fn a_name_gets_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<_> = [
        &["mail.example.org", "192.0.2.1", "2001:db8::1"][..],
        &["*.example.net", "example.net"],
        &["imap.example.net"],
    ]
    .iter()
    .enumerate()
    .map(|(number, names)| store(directory.path(), &number.to_string(), &pair(names)))
    .collect();
    let certificates = open(&files);
    for (name, expected) in [
        (None, "mail.example.org 192.0.2.1 2001:db8::1"),
        (Some("mail.example.org"), "mail.example.org 192.0.2.1 2001:db8::1"),
        (Some("unknown.example"), "mail.example.org 192.0.2.1 2001:db8::1"),
        (Some("example.net"), "*.example.net example.net"),
        (Some("smtp.EXAMPLE.net"), "*.example.net example.net"),
        (Some("imap.example.net"), "imap.example.net"),
        (Some("a.b.example.net"), "mail.example.org 192.0.2.1 2001:db8::1"),
        (Some("*.example.net"), "*.example.net example.net"),
        (Some(""), "mail.example.org 192.0.2.1 2001:db8::1"),
    ] {
        assert_eq!(chosen(&certificates, name), expected, "{name:?}");
    }
}

#[test]
fn of_two_for_one_name_the_client_gets_what_it_can_check() {
    let directory = tempfile::tempdir().unwrap();
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let parameters = rcgen::CertificateParams::new(["mail.example.org".to_owned()]).unwrap();
    let ed25519 =
        PemPair { chain: parameters.self_signed(&ed25519).unwrap().pem(), key: ed25519.serialize_pem() };
    let files = [
        store(directory.path(), "ed25519", &ed25519),
        store(directory.path(), "ecdsa", &pair(&["mail.example.org"])),
    ];
    let certificates = open(&files);
    let file = |schemes| certificates.choose(Some("mail.example.org"), schemes).state.files.clone();
    assert_eq!(file(ALL).as_ref(), Some(&files[0]));
    assert_eq!(file(&[SignatureScheme::ECDSA_NISTP256_SHA256]).as_ref(), Some(&files[1]));
    assert_eq!(file(&[SignatureScheme::RSA_PSS_SHA256]).as_ref(), Some(&files[0]));
}

/// The key inside a PKCS#8 envelope, as older tools write it: SEC 1 for elliptic curves, PKCS#1 for RSA.
fn without_envelope(pkcs8: &[u8], label: &str) -> String {
    use base64::Engine;
    let (_, envelope) = x509_parser::der_parser::parse_der(pkcs8).unwrap();
    let key = envelope.as_sequence().unwrap()[2].as_slice().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(key);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn all_kinds_of_key_files_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let ecdsa = rcgen::KeyPair::generate().unwrap();
    for (key, label) in [(rsa, "RSA PRIVATE KEY"), (ecdsa, "EC PRIVATE KEY")] {
        let parameters = rcgen::CertificateParams::new(["mail.example.org".to_owned()]).unwrap();
        let chain = parameters.self_signed(&key).unwrap().pem();
        for key in [key.serialize_pem(), without_envelope(key.serialized_der(), label)] {
            let files = store(directory.path(), "mail", &PemPair { chain: chain.clone(), key });
            assert_eq!(chosen(&open(&[files]), None), "mail.example.org", "{label}");
        }
    }
}

#[test]
fn changed_files_are_taken_and_broken_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (pair(&["one.example.org"]), pair(&["two.example.org"]));
    let files = store(directory.path(), "mail", &first);
    let certificates = open(std::slice::from_ref(&files));
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "one.example.org");
    // Half of the pair: its key is missing yet.
    platform::durable::write(&files.chain, second.chain.as_bytes(), platform::durable::Readable::All)
        .unwrap();
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "one.example.org");
    store(directory.path(), "mail", &second);
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "two.example.org");
    fs::remove_file(&files.chain).unwrap();
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "two.example.org");
    fs::write(&files.chain, "no certificate").unwrap();
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "two.example.org");
    store(directory.path(), "mail", &first);
    certificates.reload_changed();
    assert_eq!(chosen(&certificates, None), "one.example.org");
}

#[test]
fn a_new_list_is_taken_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let one = store(directory.path(), "one", &pair(&["one.example.org"]));
    let two = store(directory.path(), "two", &pair(&["two.example.org"]));
    let missing = CertificateFiles { chain: directory.path().join("no.crt"), key: one.key.clone() };
    let certificates = open(std::slice::from_ref(&one));
    assert!(certificates.replace(&[two.clone(), missing]).is_err());
    assert!(certificates.replace(&[]).is_err());
    assert_eq!(certificates.states().len(), 1);
    assert_eq!(chosen(&certificates, Some("two.example.org")), "one.example.org");
    certificates.replace(&[two, one]).unwrap();
    assert_eq!(chosen(&certificates, None), "two.example.org");
}

#[test]
fn errors_name_the_file_and_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let one = store(directory.path(), "one", &pair(&["one.example.org"]));
    let two = store(directory.path(), "two", &pair(&["two.example.org"]));
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let large = directory.path().join("large");
    fs::write(&large, vec![b'x'; 256 * 1024 + 1]).unwrap();
    let with = |chain: &Path, key: &Path| CertificateFiles { chain: chain.to_owned(), key: key.to_owned() };
    for (files, expected) in [
        (with(&one.chain, &two.key), "two.key: it is not the key of the certificate in"),
        (with(&empty, &one.key), "empty: there is no certificate in it"),
        (with(&one.chain, &empty), "empty: there is no private key in it"),
        (with(&one.chain, &one.chain), "one.crt: there is no private key in it"),
        (with(&directory.path().join("none"), &one.key), "cannot read"),
        (with(&large, &one.key), "too large for a PEM file"),
    ] {
        let error = Certificates::open(&[files], clock(), &Metrics::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_end_is_known_and_measured() {
    let metrics = Metrics::new();
    let pair = pair(&["mail.example.org"]);
    let certificates = Certificates::from_pem(&pair.chain, &pair.key, clock(), &metrics).unwrap();
    let end = 1_800_000_000 + i64::try_from(self_signed::VALIDITY.as_secs()).unwrap();
    assert_eq!(certificates.states()[0].not_after, Timestamp::from_unix_seconds(end));
    let line = format!("mailstead_certificate_not_after_seconds{{name=\"mail.example.org\"}} {end}");
    assert!(metrics.render().contains(&line));
}

// In real time: a paused clock would run ahead of the worker thread.
#[tokio::test]
async fn fresh_files_are_found_by_looking_again_and_again() {
    let directory = tempfile::tempdir().unwrap();
    let files = store(directory.path(), "mail", &pair(&["one.example.org"]));
    let certificates = open(&[files]);
    let metrics = Metrics::new();
    let settings = platform::workers::WorkersSettings { threads: 1, queue_max: 4 };
    let workers = Workers::start("test", settings, &metrics).unwrap();
    let tasks = platform::tasks::Tasks::new(&metrics);
    let every = Duration::from_millis(1);
    tasks.spawn("certificates", certificates.clone().keep_fresh(workers, every, tasks.shutdown()));
    store(directory.path(), "mail", &pair(&["two.example.org"]));
    while chosen(&certificates, None) != "two.example.org" {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks.drain(Duration::from_secs(60)).await.aborted, 0);
}
