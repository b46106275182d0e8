//! Whole messages signed and verified: the examples of the RFCs, and each rule that needs a message to be seen.

use mail_types::DomainName;
use proptest::prelude::*;

use super::body_hash::Wanted;
use super::*;
use crate::{Answers, Needs, QueryName, Question, Reply, ReplyError};

const NOW: u64 = 1_800_000_000;

const RFC_8463: &str = "\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";

/// RFC 6376 §A.2 with its errata 3192 (one blank in the body) and 4926 (how the field is indented).
const RFC_6376: &str = "\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
";

const ED25519_RECORD: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const ED25519_SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const RSA_RECORD: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5b\
dOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOT\
IKT+l/K4w3QIDAQAB";
const BRISBANE_RECORD: &str = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDd\
QPNUYckcQ2QIDAQAB";

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn txt(name: &str) -> Question {
    Question::Txt(QueryName::parse(name).unwrap())
}

fn answers(records: &[(&str, &str)]) -> Answers {
    let mut answers = Answers::new();
    for (name, record) in records {
        let texts = record.lines().map(|record| record.as_bytes().into()).collect();
        answers.add(txt(name), Ok(Reply::Txt(texts)));
    }
    answers
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut fields = message::fields(message);
    fields.by_ref().for_each(drop);
    let body = fields.rest();
    let header = &message[..message.len() - body.len()];
    (header, &body[message::blank_line_octets(body).unwrap_or(0)..])
}

fn read(message: &[u8], limits: Limits, chunk: usize) -> Verification {
    let (header, body) = split(message);
    let mut verifier = Verifier::new(header, limits);
    body.chunks(chunk).for_each(|octets| verifier.body(octets));
    verifier.finish()
}

fn verify(message: &[u8], answers: &Answers) -> Vec<SignatureVerdict> {
    read(message, Limits::default(), 4_096).judge(answers, NOW).unwrap()
}

fn results(message: &[u8], answers: &Answers) -> Vec<Result<(), Fault>> {
    verify(message, answers)
        .into_iter()
        .map(|verdict| {
            assert_eq!(verdict.result, verdict.fault.map_or(DkimResult::Pass, Fault::result));
            verdict.fault.map_or(Ok(()), Err)
        })
        .collect()
}

fn key(seed: &str) -> KeyFor {
    let domain = DomainName::parse("example.org").unwrap();
    KeyFor::new(domain, Selector::parse("s").unwrap(), SigningKey::parse(seed).unwrap()).unwrap()
}

/// Ours, with Ed25519: signing is quick and always the same.
fn signed(message: &[u8]) -> Vec<u8> {
    let (header, body) = split(message);
    let mut signer =
        Signer::new(header, &[key(ED25519_SEED)], SigningOptions { now: NOW, good_for_seconds: None });
    signer.body(body);
    [&signer.finish().unwrap(), message].concat()
}

fn our_key() -> Answers {
    answers(&[("s._domainkey.example.org", ED25519_RECORD)])
}

const MAIL: &str = "From: ann@example.org\nTo: ben@example.net\nSubject: Hello\n\nHello, Ben.\n";

#[test]
fn rfc_8463_example() {
    let names = ["brisbane._domainkey.football.example.com", "test._domainkey.football.example.com"];
    let message = crlf(RFC_8463);
    for chunk in [1, 5, 4_096] {
        let verification = read(&message, Limits::default(), chunk);
        assert_eq!(verification.judge(&Answers::new(), NOW), Err(Needs(names.map(txt).to_vec())));
        let verdicts =
            verification.judge(&answers(&[(names[0], ED25519_RECORD), (names[1], RSA_RECORD)]), NOW).unwrap();
        assert_eq!(
            verdicts[0],
            SignatureVerdict {
                result: DkimResult::Pass,
                fault: None,
                domain: Some(DomainName::parse("football.example.com").unwrap()),
                selector: Some("brisbane".into()),
                algorithm: Some(Algorithm::Ed25519Sha256),
                identity: Some("@football.example.com".into()),
                signature_prefix: "/gCrinpc".into(),
                key_bits: Some(256),
                is_testing: false,
                unsigned_body_octets: 0,
                signed_fields: ["from", "to", "subject", "date", "message-id", "from", "subject", "date"]
                    .map(Into::into)
                    .to_vec(),
            }
        );
        assert_eq!((verdicts[1].result, verdicts[1].key_bits), (DkimResult::Pass, Some(1_024)));
        assert_eq!(verdicts[1].algorithm, Some(Algorithm::RsaSha256));
    }
}

#[test]
fn rfc_6376_example() {
    let answers = answers(&[("brisbane._domainkey.example.com", BRISBANE_RECORD)]);
    let message = crlf(RFC_6376);
    assert_eq!(results(&message, &answers), [Ok(())]);
    assert_eq!(verify(&message, &answers)[0].identity.as_deref(), Some("joe@football.example.com"));
    let longer = [&message[..], b"More.\r\n"].concat();
    assert_eq!(results(&longer, &answers), [Err(Fault::BodyChanged)]);
    // Simple means simple.
    let changed = crlf(&RFC_6376.replace("Subject: Is", "Subject:  Is"));
    assert_eq!(results(&changed, &answers), [Err(Fault::HeaderChanged)]);
}

#[test]
fn what_we_sign_verifies_and_reads_well() {
    let rsa = SigningKey::generate_rsa().unwrap();
    let domain = DomainName::parse("example.org").unwrap();
    let keys = [key(ED25519_SEED), KeyFor::new(domain, Selector::parse("r").unwrap(), rsa.clone()).unwrap()];
    assert_eq!(keys[1].record_name().as_str(), "r._domainkey.example.org");
    let message = crlf(MAIL);
    let (header, body) = split(&message);
    let options = SigningOptions { now: NOW, good_for_seconds: Some(600) };
    let mut signer = Signer::new(header, &keys, options);
    body.chunks(3).for_each(|octets| signer.body(octets));
    let fields = String::from_utf8(signer.finish().unwrap()).unwrap();
    let expected = "\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=r;
\tt=1800000000; x=1800000600; h=From:From:Reply-To:Subject:Subject:Date:To:
\tTo:Cc:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding;
\tbh=";
    assert!(fields.starts_with(&expected.replace('\n', "\r\n")), "{fields}");
    assert!(fields.lines().all(|line| line.len() <= 76), "{fields}");
    let mut known = our_key();
    known.add(
        txt("r._domainkey.example.org"),
        Ok(Reply::Txt(vec![rsa.public_record().unwrap().into_bytes().into()])),
    );
    let message = [fields.as_bytes(), &message].concat();
    assert_eq!(results(&message, &known), [Ok(()), Ok(())]);
    let verdicts = read(&message, Limits::default(), 1).judge(&known, NOW).unwrap();
    assert_eq!(verdicts[0].key_bits, Some(2_048));
    assert_eq!(verdicts[0].passing_domain().unwrap().as_str(), "example.org");
    let late = read(&message, Limits::default(), 1).judge(&Answers::new(), NOW + 901).unwrap();
    assert_eq!(late[0].fault, Some(Fault::Expired));
}

#[test]
fn added_fields_break_what_was_oversigned() {
    let message = signed(&crlf(MAIL));
    assert_eq!(results(&message, &our_key()), [Ok(())]);
    for (field, fault) in [
        ("From: eve@example.com\r\n", Some(Fault::HeaderChanged)),
        ("Subject: Other\r\n", Some(Fault::HeaderChanged)),
        ("Reply-To: eve@example.com\r\n", Some(Fault::HeaderChanged)),
        ("Content-Type: text/html\r\n", Some(Fault::HeaderChanged)),
        ("Received: by example.net\r\n", None),
        ("List-Id: <list.example.net>\r\n", None),
    ] {
        let changed = [field.as_bytes(), &message].concat();
        assert_eq!(results(&changed, &our_key()), [fault.map_or(Ok(()), Err)], "{field}");
    }
}

/// Signs by hand what our signer would not write.
fn signed_with(tags: &str, header: &str, body: &str) -> Vec<u8> {
    let names: Vec<String> = tags
        .split(';')
        .find_map(|tag| tag.trim().strip_prefix("h="))
        .unwrap()
        .split(':')
        .map(str::to_ascii_lowercase)
        .collect();
    let length =
        tags.split(';').find_map(|tag| tag.trim().strip_prefix("l=")).map(|length| length.parse().unwrap());
    let wanted = Wanted { canonicalization: Canonicalization::Simple, octets: length };
    let mut hashes = BodyHashes::new([wanted]);
    hashes.feed(body.as_bytes());
    let hash = base64(&hashes.finish().find(wanted).unwrap().hash);
    let own = format!("DKIM-Signature: v=1; a=ed25519-sha256; s=s; d=example.org; {tags}; bh={hash}; b=");
    let index = FieldIndex::new(header.as_bytes(), names.iter().map(String::as_str));
    let mut context = index.hash(Canonicalization::Simple, names.iter().map(String::as_str), None);
    context.update(own.as_bytes());
    let signature = SigningKey::parse(ED25519_SEED).unwrap().sign(&HeaderHash(context.finish())).unwrap();
    format!("{own}{}\r\n{header}\r\n{body}", base64(&signature)).into_bytes()
}

#[test]
fn a_partly_signed_body_is_no_pass() {
    let message = signed_with("h=from; l=7", "From: ann@example.org\r\n", "Hello\r\n");
    assert_eq!(results(&message, &our_key()), [Ok(())]);
    let longer = [&message[..], b"and more\r\n"].concat();
    let verdict = &verify(&longer, &our_key())[0];
    assert_eq!((verdict.result, verdict.fault), (DkimResult::Policy, Some(Fault::BodyPartlySigned)));
    assert_eq!((verdict.unsigned_body_octets, verdict.passing_domain()), (10, None));
    let limits = Limits { partial_body: PartialBody::Accepted, ..Limits::default() };
    let accepted = read(&longer, limits, 4_096).judge(&our_key(), NOW).unwrap();
    assert_eq!((accepted[0].result, accepted[0].unsigned_body_octets), (DkimResult::Pass, 10));
    // RFC 6376 §3.5: nothing may be signed that is not there.
    let shorter = message.strip_suffix(b"lo\r\n").unwrap();
    assert_eq!(results(shorter, &our_key()), [Err(Fault::BodyChanged)]);
}

#[test]
fn an_added_from_is_no_pass() {
    let message = signed_with("h=from", "From: ann@example.org\r\n", "Hello\r\n");
    assert_eq!(results(&message, &our_key()), [Ok(())]);
    let changed = [b"From: eve@example.com\r\n", &message[..]].concat();
    assert_eq!(results(&changed, &our_key()), [Err(Fault::FromAdded)]);
}

#[test]
fn keys_say_what_they_are_for() {
    let message = signed_with("h=from; i=ann@mail.example.org", "From: ann@example.org\r\n", "Hello\r\n");
    let p = ED25519_RECORD.rsplit_once("; ").unwrap().1;
    let other = "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let many = |count| format!("k=ed25519; {other}\n").repeat(count) + &format!("k=ed25519; {p}");
    for (records, result) in [
        (format!("k=ed25519; {p}"), Ok(())),
        (format!("k=ed25519; t=y; {p}"), Ok(())),
        (format!("k=ed25519; t=y : s; {p}"), Err(Fault::KeyNotForSubdomains)),
        (format!("k=ed25519; h=sha1; {p}"), Err(Fault::KeyForOtherAlgorithm)),
        (format!("k=ed25519; s=other; {p}"), Err(Fault::KeyForOtherService)),
        (RSA_RECORD.to_owned(), Err(Fault::KeyForOtherAlgorithm)),
        (format!("k=ed25519; {other}"), Err(Fault::HeaderChanged)),
        ("p=".to_owned(), Err(Fault::KeyRevoked)),
        ("v=spf1 -all".to_owned(), Err(Fault::NoKey)),
        (format!("v=spf1 -all\nk=ed25519; {p}"), Ok(())),
        (format!("p=\nk=ed25519; {p}"), Ok(())),
        (many(1), Ok(())),
        (many(2), Err(Fault::HeaderChanged)),
    ] {
        let known = answers(&[("s._domainkey.example.org", &records)]);
        assert_eq!(results(&message, &known), [result], "{records}");
        assert_eq!(verify(&message, &known)[0].is_testing, records.contains("t=y"), "{records}");
    }
    for (error, fault) in [
        (ReplyError::Failure, Fault::KeyUnavailable),
        (ReplyError::NoData, Fault::NoKey),
        (ReplyError::NoSuchName, Fault::NoKey),
    ] {
        let mut known = Answers::new();
        known.add(txt("s._domainkey.example.org"), Err(error));
        assert_eq!(results(&message, &known), [Err(fault)]);
    }
}

#[test]
fn rsa_keys_have_a_shortest_and_a_longest_length() {
    let hash = || HeaderHash(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b""));
    let record = |bits: usize| {
        // RSAPublicKey: a modulus of so many bits and the exponent 65537.
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = if bits.is_multiple_of(8) { 0xff } else { (1 << (bits % 8)) - 1 };
        if modulus[0] & 0x80 != 0 {
            modulus.insert(0, 0);
        }
        let length = |octets: usize| match u8::try_from(octets) {
            Ok(octets) => vec![0x81, octets],
            Err(_) => [&[0x82], &u16::try_from(octets).unwrap().to_be_bytes()[..]].concat(),
        };
        let inside = [&[2][..], &length(modulus.len()), &modulus, b"\x02\x03\x01\x00\x01"].concat();
        let der = [&[0x30][..], &length(inside.len()), &inside].concat();
        public_key::KeyRecord::parse(format!("p={}", base64(&der)).as_bytes()).unwrap()
    };
    for (bits, fault) in [
        (1_023, Fault::KeyTooShort),
        (1_024, Fault::HeaderChanged),
        (8_192, Fault::HeaderChanged),
        (8_193, Fault::KeyTooLong),
    ] {
        let key = record(bits).unwrap();
        assert_eq!(key.bits as usize, bits);
        assert_eq!(key.verify(Algorithm::RsaSha256, &hash(), &[1; 128]), Err(fault), "{bits}");
    }
    assert_eq!(record(20_000).unwrap_err(), Fault::KeyTooLong);
}

#[test]
fn signatures_are_counted() {
    let message = crlf(MAIL);
    let limits = Limits::default();
    let field = signed(&message);
    let field = field.strip_suffix(&message[..]).unwrap();
    for (count, has_more) in [
        (limits.signatures_max - 1, false),
        (limits.signatures_max, false),
        (limits.signatures_max + 1, true),
    ] {
        let found = results(&[&field.repeat(count), &message[..]].concat(), &our_key());
        assert_eq!(found.len(), count.min(limits.signatures_max) + usize::from(has_more));
        assert_eq!(found.last() == Some(&Err(Fault::TooManySignatures)), has_more);
        assert_eq!(found.iter().filter(|result| result.is_ok()).count(), count.min(limits.signatures_max));
    }
    assert_eq!(results(&message, &our_key()), []);
}

#[test]
fn headers_and_signatures_have_a_greatest_length() {
    let message = signed(&crlf(MAIL));
    let (header, _) = split(&message);
    for (octets, result) in
        [(header.len() - 1, Err(Fault::HeaderTooLong)), (header.len(), Ok(())), (header.len() + 1, Ok(()))]
    {
        let limits = Limits { header_octets_max: octets, ..Limits::default() };
        let verdicts = read(&message, limits, 4_096).judge(&our_key(), NOW).unwrap();
        assert_eq!(verdicts[0].fault.map_or(Ok(()), Err), result);
    }
    for (octets, is_read) in
        [(SIGNATURE_OCTETS_MAX - 1, true), (SIGNATURE_OCTETS_MAX, true), (SIGNATURE_OCTETS_MAX + 1, false)]
    {
        let build = |filler: usize| {
            let tags = format!("h=from; n={}", "x".repeat(filler));
            signed_with(&tags, "From: ann@example.org\r\n", "Hello\r\n")
        };
        let start = message::fields(&build(0)).next().unwrap().raw.len();
        let result = if is_read { Ok(()) } else { Err(Fault::TooLong) };
        assert_eq!(results(&build(octets - start), &our_key()), [result], "{octets}");
    }
}

#[test]
fn threads_can_share_the_work() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<Verifier>();
    moves::<Signer>();
    moves::<crate::arc::Sealer>();
    is_shared::<Verification>();
    is_shared::<KeyFor>();
}

#[test]
fn broken_signatures_say_who_they_claim_to_be() {
    let message = crlf(
        "DKIM-Signature: v=1; a=rsa-sha1; d=example.com; s=x; h=From:To; bh=AA; b=AB CD\n EFGHI\n\
         DKIM-Signature: no tags\nFrom: a@example.com\n\n",
    );
    let verdicts = verify(&message, &Answers::new());
    assert_eq!(verdicts[0].fault, Some(Fault::Sha1));
    assert_eq!(verdicts[0].domain.as_ref().unwrap().as_str(), "example.com");
    assert_eq!(&*verdicts[0].signature_prefix, "ABCDEFGH");
    assert_eq!(verdicts[0].identity.as_deref(), Some("@example.com"));
    assert_eq!(verdicts[1].fault, Some(Fault::Malformed));
    assert_eq!(verdicts[1].domain, None);
}

#[test]
fn verdicts_cannot_carry_folds_into_our_fields() {
    let message = crlf(
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=a\n\tb; h=From: T\n o; i=a\n dkim=pass\n @example.com; bh=AA;\n \
         b=\"AB(\n C\nFrom: a@example.com\n\n",
    );
    let verdict = &verify(&message, &Answers::new())[0];
    assert_eq!((verdict.selector.as_deref(), verdict.identity.as_deref()), (None, None));
    assert_eq!((&*verdict.signature_prefix, &verdict.signed_fields[..]), ("ABC", &["from".into()][..]));
}

proptest! {
    #[test]
    fn signed_mail_verifies_in_any_chunks(
        subject in "[ -~]{0,30}", body in "[ab \t\r\n=.]{0,80}", chunk in 1_usize..40
    ) {
        let message = format!("From: a@example.org\r\nSubject: {subject}\r\n\r\n{body}");
        let message = signed(message.as_bytes());
        let verdicts = read(&message, Limits::default(), chunk).judge(&our_key(), NOW).unwrap();
        prop_assert_eq!(verdicts[0].result, DkimResult::Pass);
    }

    #[test]
    fn no_signed_octet_can_be_changed(place in any::<prop::sample::Index>(), new in b'!'..=b'~') {
        let mail = "From: ann@example.org\nSubject: Hello\nDate: Thu, 26 Nov 2026 06:00:00 +0000\n\nHello, Ben.\n";
        let mut message = signed(&crlf(mail));
        let start = message.len() - crlf(mail).len();
        // Neither line ends, nor letter case in names, nor the blanks around colons: relaxed means that.
        let signed: Vec<usize> = (start..message.len())
            .filter(|&index| message[index].is_ascii_alphanumeric() || message[index] == b'@')
            .collect();
        let index = signed[place.index(signed.len())];
        let is_same = message[index].eq_ignore_ascii_case(&new);
        message[index] = new;
        let results = results(&message, &our_key());
        prop_assert!(is_same || results[0].is_err(), "{}", String::from_utf8_lossy(&message));
    }

    #[test]
    fn anything_is_digested(header in "(DKIM-Signature: |ARC-Seal: |v=1|; ?|[abdhsiltxq]=|bh=|rsa-sha256|from|a\\.b|:|\r\n|\r\n |[ -~]){0,60}", body in any::<Vec<u8>>()) {
        let mut verifier = Verifier::new(header.as_bytes(), Limits::default());
        verifier.body(&body);
        let verification = verifier.finish();
        let _ = verification.judge(&Answers::new(), NOW);
        let _ = verification.judge_chain(&Answers::new(), NOW);
    }
}
