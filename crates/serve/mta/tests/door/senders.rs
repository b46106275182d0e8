//! Who really sent it: what is found about strangers' mail, what follows from it, and that nobody speaks in our name.

use directory::DkimKeyState;
use dns::{FixedRecords, LookupError, Name, RecordData, RecordType};
use mail_types::DomainName;
use mta::{Checks, Enforcement, Listener, Outcome, Settings};
use platform::clock::Timestamp;
use sender_auth::dkim::{DkimResult, KeyFor, Limits, Selector, Signer, SigningKey, SigningOptions, Verifier};
use sender_auth::{Answers, Question, Reply};

use super::house::{House, settings};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn text(words: &str) -> RecordData {
    RecordData::Text(words.as_bytes().to_vec())
}

pub(super) fn key(domain_name: &str, selector: &str) -> KeyFor {
    let key = SigningKey::generate_ed25519().unwrap();
    KeyFor::new(domain(domain_name), Selector::parse(selector).unwrap(), key).unwrap()
}

/// elsewhere.example lets 192.0.2.1 send, signs with `key`, and wants everything else refused.
fn world(key: &KeyFor) -> FixedRecords {
    let record = key.key().public_record().unwrap();
    FixedRecords::new()
        .with(&name("elsewhere.example"), text("v=spf1 ip4:192.0.2.1 -all"))
        .with(&name("_dmarc.elsewhere.example"), text("v=DMARC1; p=reject"))
        .with(&name(key.record_name().as_str()), text(&record))
        .with(
            &name("1.2.0.192.in-addr.arpa"),
            RecordData::Name(RecordType::Ptr, name("mx.elsewhere.example")),
        )
        .with(&name("mx.elsewhere.example"), RecordData::address(std::net::Ipv4Addr::new(192, 0, 2, 1)))
}

fn signed(key: &KeyFor, header: &str, body: &str) -> String {
    let now = Timestamp::from(std::time::SystemTime::now()).unix_seconds();
    let options = SigningOptions { now: u64::try_from(now).unwrap(), good_for_seconds: None };
    let mut signer = Signer::new(header.as_bytes(), std::slice::from_ref(key), options);
    signer.body(body.as_bytes());
    let fields = String::from_utf8(signer.finish().unwrap()).unwrap();
    format!("{fields}{header}\r\n{body}")
}

/// Brings a message to ann and says what was answered.
async fn bring(house: &House, reverse_path: &str, message: &str) -> String {
    let mut peer = house.connect(Listener::Relay);
    peer.reply().await;
    peer.say("EHLO mx.elsewhere.example").await;
    peer.say(&format!("MAIL FROM:<{reverse_path}>")).await;
    peer.say("RCPT TO:<ann@example.org>").await;
    peer.say("DATA").await;
    peer.send(message.as_bytes()).await;
    peer.say(".").await
}

const FROM: &str = "From: Eve <eve@elsewhere.example>\r\nTo: ann@example.org\r\nSubject: hello\r\n";

fn unfolded(message: &str) -> String {
    message.replace("\r\n\t", " ").replace("\r\n ", " ")
}

async fn mailbox_of_only_message(house: &House) -> String {
    let filings = house.only_filings();
    let [filed] = filings.as_slice() else { panic!("{filings:?}") };
    let account = house.store.account(filed.account).await.unwrap();
    let list = account.mailboxes().await.unwrap();
    list.mailboxes.iter().find(|mailbox| mailbox.id == filed.mailbox).unwrap().name.to_string()
}

#[tokio::test]
async fn what_was_found_stands_above_the_message() {
    let key = key("elsewhere.example", "s1");
    let house = House::checking(settings(), world(&key));
    let reply = bring(&house, "eve@elsewhere.example", &signed(&key, FROM, "hello\r\n")).await;
    assert!(reply.starts_with("250"), "{reply}");
    let message = unfolded(&house.only_message().await);
    for expected in [
        "Received: from mx.elsewhere.example (mx.elsewhere.example [192.0.2.1])",
        "\r\nAuthentication-Results: mail.example.org;",
        "iprev=pass policy.iprev=192.0.2.1",
        "spf=pass smtp.mailfrom=elsewhere.example",
        "dkim=pass header.d=elsewhere.example header.s=s1",
        "dmarc=pass header.from=elsewhere.example",
        "\r\nReceived-SPF: pass ",
    ] {
        assert!(message.contains(expected), "{expected} in {message}");
    }
    assert_eq!(mailbox_of_only_message(&house).await, "INBOX");
    let checks = &house.ways()[0].checks;
    assert_eq!(checks.last().unwrap(), "taken: elsewhere.example vouches for it");
    assert!(checks.iter().any(|line| line == "dkim of elsewhere.example: pass"), "{checks:?}");
}

#[tokio::test]
async fn what_its_domain_disowns_is_refused() {
    let key = key("elsewhere.example", "s1");
    let house = House::checking(settings(), world(&key));
    // Signed, then changed; and brought in another domain's name.
    let changed = signed(&key, FROM, "hello\r\n").replace("hello\r\n", "pay me\r\n");
    let reply = bring(&house, "spam@spammer.example", &changed).await;
    assert_eq!(reply, "550 5.7.26 elsewhere.example does not let this host send its mail (DMARC)");
    assert!(house.only_filings().is_empty());
    let ways = house.ways();
    assert!(matches!(&ways[0].recipients[0].outcome, Outcome::Refused(reply) if reply.code.value() == 550));
    assert_eq!(
        ways[0].checks.last().unwrap(),
        "refused: elsewhere.example did not send it and asks for reject"
    );
}

#[tokio::test]
async fn what_its_domain_doubts_is_filed_as_junk() {
    let key = key("elsewhere.example", "s1");
    let records = world(&key);
    records.clear(&name("_dmarc.elsewhere.example"));
    records.add(&name("_dmarc.elsewhere.example"), text("v=DMARC1; p=quarantine"));
    let house = House::checking(settings(), records);
    let message = format!("{FROM}\r\nhello\r\n");
    let reply = bring(&house, "spam@spammer.example", &message).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(mailbox_of_only_message(&house).await, "Junk");
    assert!(house.only_message().await.contains("dmarc=fail"));
}

#[tokio::test]
async fn the_operator_may_be_milder_than_the_domain() {
    let key = key("elsewhere.example", "s1");
    let message = format!("{FROM}\r\nhello\r\n");
    for (dmarc, mailbox) in [(Enforcement::Junk, "Junk"), (Enforcement::Off, "INBOX")] {
        let checks = Checks { dmarc, ..Checks::default() };
        let house = House::checking(Settings { checks, ..settings() }, world(&key));
        assert!(bring(&house, "spam@spammer.example", &message).await.starts_with("250"));
        assert_eq!(mailbox_of_only_message(&house).await, mailbox);
    }
    // A forwarder that SPF proves.
    let checks = Checks { trusted_forwarders: vec![domain("lists.example")], ..Checks::default() };
    let records = world(&key).with(&name("a.lists.example"), text("v=spf1 ip4:192.0.2.0/24 -all"));
    let house = House::checking(Settings { checks, ..settings() }, records);
    assert!(bring(&house, "list@a.lists.example", &message).await.starts_with("250"));
    let why = house.ways()[0].checks.last().unwrap().clone();
    assert!(why.ends_with("a.lists.example may forward anybody's mail"), "{why}");
}

#[tokio::test]
async fn when_dns_does_not_tell_the_host_comes_again() {
    let key = key("elsewhere.example", "s1");
    let records = world(&key);
    let fails = || LookupError::Unreachable("nobody answers".to_owned());
    records.fail(&name("_dmarc.elsewhere.example"), RecordType::Txt, fails());
    let house = House::checking(settings(), records.clone());
    let message = format!("{FROM}\r\nhello\r\n");
    let reply = bring(&house, "eve@elsewhere.example", &message).await;
    assert!(reply.starts_with("451 4.7.26"), "{reply}");
    assert!(house.only_filings().is_empty());
    // DNS recovers, for the policy but not for SPF: what would vouch for the message is not known.
    records.clear(&name("_dmarc.elsewhere.example"));
    records.add(&name("_dmarc.elsewhere.example"), text("v=DMARC1; p=reject"));
    records.fail(&name("elsewhere.example"), RecordType::Txt, fails());
    let reply = bring(&house, "eve@elsewhere.example", &message).await;
    assert!(reply.starts_with("451 4.7.26"), "{reply}");
    // A signature that vouches for it is enough.
    let reply = bring(&house, "eve@elsewhere.example", &signed(&key, FROM, "hello\r\n")).await;
    assert!(reply.starts_with("250"), "{reply}");
}

#[tokio::test]
async fn nobody_speaks_in_our_name() {
    let key = key("elsewhere.example", "s1");
    let forged = "Authentication-Results: mail.example.org; dmarc=pass header.from=bank.example\r\n\
                  Authentication-Results: (\r\n hidden) MAIL.example.org/1; spf=pass\r\n\
                  Authentication-Results: other.example; spf=pass\r\n";
    // Where nothing is checked no field of ours stands above it, either.
    for is_on in [true, false] {
        let checks = Checks { is_on, ..Checks::default() };
        let house = House::checking(Settings { checks, ..settings() }, world(&key));
        let message = format!("{forged}{FROM}\r\nhello\r\n");
        assert!(bring(&house, "eve@elsewhere.example", &message).await.starts_with("250"));
        let message = house.only_message().await;
        assert_eq!(message.matches("bank.example").count(), 0, "{message}");
        assert_eq!(message.matches("hidden").count(), 0, "{message}");
        assert_eq!(message.matches("other.example; spf=pass").count(), 1, "{message}");
        assert_eq!(house.ways()[0].is_strangers, is_on);
    }
    // Who checks in front of us is left alone, and what it lets pass is not taken for ours.
    let front = Checks { unchecked_networks: vec!["192.0.2.0/24".parse().unwrap()], ..Checks::default() };
    let house = House::checking(Settings { checks: front, ..settings() }, world(&key));
    assert!(
        bring(&house, "eve@elsewhere.example", &format!("{forged}{FROM}\r\nhello\r\n"))
            .await
            .starts_with("250")
    );
    assert!(house.only_message().await.contains("bank.example") && !house.ways()[0].is_strangers);
}

#[tokio::test]
async fn two_authors_are_nobody() {
    let key = key("elsewhere.example", "s1");
    let house = House::checking(settings(), world(&key));
    let message = format!("From: <bank@bank.example>\r\n{}", signed(&key, FROM, "hello\r\n"));
    let reply = bring(&house, "eve@elsewhere.example", &message).await;
    assert!(reply.starts_with("250") || reply.starts_with("550"), "{reply}");
    if reply.starts_with("250") {
        assert_eq!(mailbox_of_only_message(&house).await, "Junk");
        assert!(!house.only_message().await.contains("dmarc=pass"));
    }
}

#[tokio::test]
async fn our_peoples_mail_is_signed_with_both_keys() {
    let house = House::new();
    let rsa = SigningKey::generate_rsa().unwrap();
    let rsa = KeyFor::new(domain("example.org"), Selector::parse("r1").unwrap(), rsa).unwrap();
    let keys = vec![rsa, key("example.org", "e1")];
    house.directory.add_dkim_keys(keys.clone(), DkimKeyState::Signing).unwrap();
    let mut peer = house.connect_ann().await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    peer.say("RCPT TO:<bob@example.org>").await;
    peer.say("DATA").await;
    let body = "line\r\n".repeat(20_000);
    peer.send(
        format!("From: ann@example.org\r\nBcc: carl@example.org\r\nSubject: large\r\n\r\n{body}").as_bytes(),
    )
    .await;
    let reply = peer.say(".").await;
    assert!(reply.starts_with("250"), "{reply}");

    let message = house.only_message().await;
    assert!(!message.contains("Bcc"));
    let expected = ["r1", "e1"].map(|selector| (selector.to_owned(), DkimResult::Pass));
    assert_eq!(results(&message, &keys), expected);
}

/// What a message's signatures are worth, by their selectors.
pub(super) fn results(message: &str, keys: &[KeyFor]) -> Vec<(String, DkimResult)> {
    let (header, body) = message.split_once("\r\n\r\n").unwrap();
    let mut verifier = Verifier::new(format!("{header}\r\n").as_bytes(), Limits::default());
    verifier.body(body.as_bytes());
    let mut answers = Answers::new();
    for key in keys {
        let record = key.key().public_record().unwrap().into_bytes().into_boxed_slice();
        answers.add(Question::Txt(key.record_name().clone()), Ok(Reply::Txt(vec![record])));
    }
    let now = Timestamp::from(std::time::SystemTime::now()).unix_seconds();
    let verdicts = verifier.finish().judge(&answers, u64::try_from(now).unwrap()).unwrap();
    verdicts.iter().map(|verdict| (verdict.selector.as_deref().unwrap().to_owned(), verdict.result)).collect()
}

#[tokio::test]
async fn what_a_front_server_says_stands() {
    let house = House::checking(settings(), FixedRecords::new());
    let mut peer = house.connect(Listener::Lmtp);
    peer.reply().await;
    peer.say("LHLO front.example.org").await;
    peer.say("MAIL FROM:<eve@elsewhere.example>").await;
    peer.say("RCPT TO:<ann@example.org>").await;
    peer.say("DATA").await;
    peer.send(b"Authentication-Results: mail.example.org; dmarc=pass\r\n\r\nhello\r\n").await;
    assert!(peer.say(".").await.starts_with("250"));
    let message = house.only_message().await;
    assert!(message.contains("dmarc=pass"));
    assert_eq!(message.matches("Authentication-Results").count(), 1);
}
