//! Others verify what we sign, and we verify what others sign: dkimpy and OpenDKIM, over our own odd mail, and over all
//! real mail that `MAILSTEAD_CORPUS` names.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod mail;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mail::{Records, chain, crlf, key, seal, sign, signatures};
use sender_auth::arc::ChainResult;
use sender_auth::dkim::{DkimResult, Fault, KeyFor, SigningKey};

const MAIL: &str = "From: ann@example.org\nTo: list@example.net\nSubject: Hello \n there\nDate: Thu, 26 Nov 2026 06:00:00 \
+0000\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain\n\nHello,  all. \n\n\tBye\n\n\n";

/// Mails that peers judge: they are slow.
const MAILS_MAX: usize = 800;

/// An empty directory of this test.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("a peer; scripts/test installs them");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    text
}

fn dkimpy(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/dkimpy.py");
    // Debian's own Python has Debian's dkimpy, whatever else is first in the path.
    run("/usr/bin/python3", &[&[script], arguments].concat())
}

fn write_records(directory: &Path, records: &Records) -> String {
    let path = directory.join("records");
    let lines = records.0.iter().map(|(name, record)| format!("{name} {record}\n"));
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What dkimpy says of each message of a directory: of its signatures, and of its chain.
fn judged(directory: &Path, records: &Records) -> HashMap<String, (String, String)> {
    let records = write_records(directory, records);
    let said = dkimpy(&["verify", &records, directory.to_str().unwrap()]);
    said.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, signatures, chain] = words[..] else { panic!("what is {line}?") };
            (name.to_owned(), (signatures.to_owned(), chain.to_owned()))
        })
        .collect()
}

fn rsa_and_ed25519() -> [KeyFor; 2] {
    [
        key("example.org", "ed", SigningKey::generate_ed25519().unwrap()),
        key("example.org", "rsa", SigningKey::generate_rsa().unwrap()),
    ]
}

/// The mail that `MAILSTEAD_CORPUS` names, or else the odd mail of the `message` crate, with the line ends of SMTP.
fn real_mail() -> Vec<Vec<u8>> {
    let named = std::env::var_os("MAILSTEAD_CORPUS").map(PathBuf::from);
    let is_ours = named.is_none();
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../message/tests/data");
    let corpus = named.unwrap_or_else(ours);
    let mut mails = Vec::new();
    let mut directories = vec![corpus];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory of mail") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if !is_ours || path.extension().is_some_and(|extension| extension == "eml") {
                mails.push(with_crlf(&fs::read(path).unwrap()));
            }
        }
    }
    assert!(mails.len() >= 20, "only {} mails", mails.len());
    // Some hundred of them show what thousands do, in less time.
    let step = mails.len().div_ceil(MAILS_MAX);
    mails.into_iter().step_by(step).collect()
}

fn with_crlf(stored: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(stored.len());
    for line in stored.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => wire.extend([line.strip_suffix(b"\r").unwrap_or(line), b"\r\n"].concat()),
            None => wire.extend_from_slice(line),
        }
    }
    wire
}

/// Each mail with both signatures and a seal: we pass them, and so does dkimpy wherever it can read the mail at all.
#[test]
fn dkimpy_verifies_what_we_sign_and_seal() {
    let keys = rsa_and_ed25519();
    let records = Records::of(&keys);
    let directory = directory("signed-by-us");
    let mails = real_mail();
    for (number, mail) in mails.iter().enumerate() {
        let signed = sign(mail, &keys);
        let signed =
            seal(&signed, &keys[1], "mx.example.org; dkim=pass header.d=example.org", ChainResult::None);
        let signed = signed.unwrap();
        let ours: Vec<_> = signatures(&signed, &records).into_iter().take(2).map(|one| one.result).collect();
        let is_two_senders = signatures(&signed, &records)[0].fault == Some(Fault::FromAdded);
        assert!(is_two_senders || ours == [DkimResult::Pass; 2], "{number}: {ours:?}");
        assert_eq!(chain(&signed, &records).result, ChainResult::Pass, "{number}");
        fs::write(directory.join(format!("{number:05}.eml")), signed).unwrap();
    }
    let judged = judged(&directory, &records);
    assert_eq!(judged.len(), mails.len());
    let unreadable = judged.values().filter(|(signatures, _)| signatures == "unreadable").count();
    let wrong: Vec<_> = judged
        .iter()
        .filter(|(_, (signatures, chain))| {
            signatures != "unreadable" && (!signatures.starts_with("pass,pass") || !chain.starts_with("pass"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), mails.len());
    assert!(unreadable * 10 <= mails.len(), "dkimpy cannot read {unreadable} of {}", mails.len());
    println!("{} mails, of which dkimpy cannot read {unreadable}", mails.len());
}

#[test]
fn we_verify_what_dkimpy_signs() {
    let keys = rsa_and_ed25519();
    let records = Records::of(&keys);
    let directory = directory("signed-by-dkimpy");
    let path = directory.to_str().unwrap();
    let [ed25519, rsa] = key_files(&directory, &keys);
    let mails: Vec<_> = real_mail().into_iter().filter(|mail| has_from(mail)).take(200).collect();
    for (number, mail) in mails.iter().enumerate() {
        fs::write(directory.join(format!("{number:05}.eml")), mail).unwrap();
    }
    for form in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
        for (selector, key, algorithm) in [("ed", &ed25519, "ed25519-sha256"), ("rsa", &rsa, "rsa-sha256")] {
            dkimpy(&["sign", path, "example.org", selector, key, algorithm, form]);
            for number in 0..mails.len() {
                let signed = fs::read(directory.join(format!("{number:05}.eml.signed"))).unwrap();
                let verdict = signatures(&signed, &records).swap_remove(0);
                assert_eq!(verdict.fault, None, "{number} with {algorithm}, {form}");
            }
        }
    }
}

/// dkimpy signs only mail that it can read, with one From field.
fn has_from(mail: &[u8]) -> bool {
    let fields: Vec<_> = message::fields(mail).collect();
    fields.iter().filter(|field| field.is_named("From")).count() == 1
        && fields.iter().all(|field| !field.name.is_empty() && field.raw.ends_with(b"\r\n"))
}

/// The keys as dkimpy reads them: the seed alone in base64, and PEM.
fn key_files(directory: &Path, keys: &[KeyFor; 2]) -> [String; 2] {
    let pem = |key: &KeyFor| key.key().to_pem().unwrap().reveal_str().unwrap().to_owned();
    let base64: String = pem(&keys[0]).lines().filter(|line| !line.starts_with('-')).collect();
    // PKCS #8 puts sixteen octets before the seed's 32 (RFC 8410 §7): 22 characters of base64 are not on an octet's border.
    let der = decode(&base64);
    let seed = encode(&der[der.len() - 32..]);
    [("ed25519.key", seed), ("rsa.key", pem(&keys[1]))].map(|(name, text)| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn encode(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// A chain that we and dkimpy seal by turns; both see it pass, and both see it fail once the text is changed.
#[test]
fn chains_are_sealed_by_turns_with_dkimpy() {
    let keys = rsa_and_ed25519();
    let records = Records::of(&keys);
    let directory = directory("sealed");
    let path = directory.to_str().unwrap();
    let [_, rsa] = key_files(&directory, &keys);
    let mut message = crlf(MAIL);
    let mut status = ChainResult::None;
    for server in ["first.example.org", "second.example.org"] {
        message = seal(&message, &keys[1], "ours.example.org; spf=pass", status).unwrap();
        let results = format!("Authentication-Results: {server}; arc=pass\r\n").into_bytes();
        fs::write(directory.join("chain.eml"), [&results[..], &message].concat()).unwrap();
        let said = judged(&directory, &records);
        assert!(said["chain.eml"].1.starts_with("pass"), "{said:?}");
        dkimpy(&["seal", path, "example.org", "rsa", &rsa, server]);
        message = fs::read(directory.join("chain.eml.sealed")).unwrap();
        let verdict = chain(&message, &records);
        assert_eq!((verdict.result, verdict.fault), (ChainResult::Pass, None));
        status = ChainResult::Pass;
    }
    assert_eq!(chain(&message, &records).hops.len(), 4);
    let changed = [&message[..], b"More.\r\n"].concat();
    fs::write(directory.join("chain.eml"), &changed).unwrap();
    assert!(judged(&directory, &records)["chain.eml"].1.starts_with("fail"));
    assert_eq!(chain(&changed, &records).result, ChainResult::Fail);
}

/// OpenDKIM's settings for a run without a network.
fn opendkim(directory: &Path, settings: &str, message: &Path) -> String {
    let conf = directory.join("opendkim.conf");
    fs::write(&conf, format!("Syslog no\n{settings}\n")).unwrap();
    run("/usr/sbin/opendkim", &["-x", conf.to_str().unwrap(), "-t", message.to_str().unwrap(), "-vv"])
}

#[test]
fn opendkim_verifies_what_we_sign() {
    let keys = rsa_and_ed25519();
    let records = Records::of(&keys);
    let directory = directory("for-opendkim");
    let message = directory.join("signed.eml");
    let signed = sign(&crlf(MAIL), &keys);
    fs::write(&message, &signed).unwrap();
    let settings = format!("Mode v\nTestPublicKeys {}", write_records(&directory, &records));
    let said = opendkim(&directory, &settings, &message);
    for (selector, algorithm) in [("rsa", "rsa-sha256"), ("ed", "ed25519-sha256")] {
        let word = |line: &str| {
            line.contains("dkim=pass")
                && line.contains(&format!("header.s={selector} "))
                && line.contains(&format!("header.a={algorithm}"))
        };
        assert!(said.lines().any(word), "{said}");
    }
    fs::write(&message, [&signed[..], b"More.\r\n"].concat()).unwrap();
    let said = opendkim(&directory, &settings, &message);
    assert!(said.contains("dkim=fail") && !said.contains("dkim=pass"), "{said}");
}

/// OpenDKIM's keys are ours without a change, and so are their records.
#[test]
fn we_verify_what_opendkim_signs_and_take_its_keys() {
    let directory = directory("from-opendkim");
    let path = directory.to_str().unwrap();
    run("/usr/sbin/opendkim-genkey", &["-d", "example.org", "-s", "od", "-b", "2048", "-D", path]);
    let private = directory.join("od.private");
    let ours = SigningKey::parse(&fs::read_to_string(&private).unwrap()).unwrap();
    let zone = fs::read_to_string(directory.join("od.txt")).unwrap();
    let published: String = zone.split('"').skip(1).step_by(2).collect();
    assert_eq!(
        published.rsplit_once("p=").unwrap().1,
        ours.public_record().unwrap().rsplit_once("p=").unwrap().1
    );
    // Older ones wrote PKCS #1.
    let old = directory.join("old.private");
    run("openssl", &["rsa", "-traditional", "-in", private.to_str().unwrap(), "-out", old.to_str().unwrap()]);
    let old = fs::read_to_string(old).unwrap();
    assert!(old.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert_eq!(SigningKey::parse(&old).unwrap().public_record(), ours.public_record());

    let records = Records(vec![("od._domainkey.example.org".to_owned(), published)]);
    let message = directory.join("message.eml");
    fs::write(&message, crlf(MAIL)).unwrap();
    for form in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
        let settings = format!(
            "Mode s\nDomain example.org\nSelector od\nKeyFile {}\nCanonicalization {form}\nOversignHeaders From,To\n\
             SignatureAlgorithm rsa-sha256\nRequireSafeKeys no",
            private.display()
        );
        let said = opendkim(&directory, &settings, &message);
        let (_, after) =
            said.split_once("hname='DKIM-Signature' hvalue='").unwrap_or_else(|| panic!("{said}"));
        let value = after.split_once('\'').unwrap().0.replace("\r\n", "\n").replace('\n', "\r\n");
        let signed = [format!("DKIM-Signature: {value}\r\n").into_bytes(), crlf(MAIL)].concat();
        let verdict = signatures(&signed, &records).swap_remove(0);
        assert_eq!(verdict.fault, None, "{form}: {}", String::from_utf8_lossy(&signed));
    }
    // Its test tool still signs with SHA-1, which proves nothing any more.
    let input = fs::File::open(&message).unwrap();
    let output = Command::new("opendkim-testmsg")
        .args(["-d", "example.org", "-s", "od", "-k", private.to_str().unwrap(), "-t", path])
        .stdin(input)
        .output()
        .unwrap();
    assert_eq!(signatures(&output.stdout, &records)[0].fault, Some(Fault::Sha1));
}
