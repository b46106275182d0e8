//! What mail says decides where it goes: one answer for all by SMTP, one for each by LMTP; and a filter that cannot say anything
//! loses nothing.

use std::sync::Arc;
use std::time::Duration;

use attachments::{Class, Rules};
use mail_types::{AnnotationName, DomainName, Uid};
use mta::{
    APART, ContentSettings, Listener, OnBusy, Order, Quarantine, QuarantineLimits, SETTINGS_ANNOTATION,
    SpamAction, Taste,
};
use spam::Language;

use super::house::House;

/// The line that every filter takes for spam.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

fn settings(at_kill: SpamAction) -> ContentSettings {
    let everybody = Taste { at_kill, ..Taste::default() };
    ContentSettings { everybody, checks_fronts: true, ..ContentSettings::default() }
}

async fn brings(house: &House, listener: Listener, to: &[&str], last: &str) {
    brings_text(house, listener, to, &format!("C:\nC: {GTUBE}"), last).await;
}

/// Brings a message whose header's rest and body are this.
async fn brings_text(house: &House, listener: Listener, to: &[&str], text: &str, last: &str) {
    let mut peer = house.connect(listener);
    let hello = if listener == Listener::Lmtp { "LHLO" } else { "HELO" };
    let recipients: String =
        to.iter().map(|to| format!("C: RCPT TO:<{to}@example.org>\nS: 250 *\n")).collect();
    assert!(peer.reply().await.starts_with("220"));
    assert!(peer.say(&format!("{hello} client.example")).await.starts_with("250"));
    peer.dialogue(&format!(
        "C: MAIL FROM:<eve@elsewhere.example>\nS: 250 *\n{recipients}C: DATA\nS: 354 *\nC: Subject: test\n\
         {text}\nC: .\n{last}"
    ))
    .await;
}

/// The mailboxes that the only message was filed into, by account.
async fn mailboxes(house: &House) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for filed in house.only_filings() {
        let account = house.store.account(filed.account).await.unwrap();
        let list = account.mailboxes().await.unwrap();
        found.push((filed.account.0, list.by_id(filed.mailbox).unwrap().name.to_string()));
    }
    found
}

async fn wants(house: &House, who: &str, words: &str) {
    let account = house.store.account(house.account(who)).await.unwrap();
    let name = AnnotationName::parse(SETTINGS_ANNOTATION).unwrap();
    account.annotate(None, &[(name, Some(words.as_bytes().into()))]).await.unwrap();
}

#[tokio::test]
async fn a_filter_that_says_nothing_lets_mail_pass_or_puts_it_off() {
    for (on_busy, answer, filed) in
        [(OnBusy::Pass, "S: 250 *\n", vec!["INBOX"]), (OnBusy::Defer, "S: 451 4.3.0 *\n", vec![])]
    {
        let house = House::new();
        house.content.reconfigure(ContentSettings { on_busy, ..settings(SpamAction::Reject) });
        house.content.stop();
        brings(&house, Listener::Relay, &["ann"], answer).await;
        let found: Vec<String> = mailboxes(&house).await.into_iter().map(|(_, name)| name).collect();
        assert_eq!(found, filed);
    }
}

#[tokio::test]
async fn all_have_to_agree_before_smtp_refuses() {
    let house = House::new();
    house.content.reconfigure(settings(SpamAction::Reject));
    brings(&house, Listener::Relay, &["ann", "bob"], "S: 550 5.7.1 *\n").await;
    assert!(house.only_filings().is_empty());
    wants(&house, "bob@example.org", "at_kill=junk").await;
    brings(&house, Listener::Relay, &["ann", "bob"], "S: 250 *\n").await;
    let (ann, bob) = (house.account("ann@example.org").0, house.account("bob@example.org").0);
    let mut found = mailboxes(&house).await;
    found.sort();
    assert_eq!(found, [(bob, "Junk".to_owned()), (APART.0, ann.to_string())]);
}

#[tokio::test]
async fn lmtp_has_an_answer_for_each() {
    let house = House::new();
    house.content.reconfigure(settings(SpamAction::Reject));
    wants(&house, "bob@example.org", "check=off").await;
    brings(&house, Listener::Lmtp, &["ann", "bob"], "S: 550 5.7.1 *\nS: 250 *\n").await;
    assert_eq!(mailboxes(&house).await, [(house.account("bob@example.org").0, "INBOX".to_owned())]);
}

#[tokio::test]
async fn what_an_account_has_written_wrongly_counts_for_nothing() {
    let house = House::new();
    house.content.reconfigure(settings(SpamAction::Junk));
    wants(&house, "ann@example.org", "tag2=never").await;
    brings(&house, Listener::Relay, &["ann"], "S: 250 *\n").await;
    assert_eq!(mailboxes(&house).await, [(house.account("ann@example.org").0, "Junk".to_owned())]);
}

#[tokio::test]
async fn an_attachment_that_is_junk_is_filed_there_whatever_the_score() {
    let mut rules = Rules::default();
    rules.policy.set(Class::ShellScript, attachments::Action::Junk);
    let house = House::new();
    let attachments = Some(Arc::new(rules));
    house.content.reconfigure(ContentSettings { attachments, ..settings(SpamAction::Junk) });
    wants(&house, "bob@example.org", "check=off").await;
    let script = "C: Content-Type: application/x-sh; name=a.sh\nC:\nC: #!/bin/sh";
    brings_text(&house, Listener::Relay, &["ann", "bob"], script, "S: 250 *\n").await;
    let found: Vec<String> = mailboxes(&house).await.into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["Junk", "Junk"], "{:?}", house.ways()[0].checks);
}

/// Russian, as nobody could mistake it.
const RUSSIAN: &str = "C: Content-Type: text/plain; charset=utf-8\nC: Content-Transfer-Encoding: 8bit\nC:\n\
    C: Сад зелёный, и цветы цветут, это не всё, что мы для вас посадили, и как вы видите, это хорошо.";

#[tokio::test]
async fn each_reads_languages_of_their_own() {
    for (everybodys, bobs, at_anns, at_bobs) in
        [("en", "any", "Junk", "INBOX"), ("en", "de,ru", "Junk", "INBOX"), ("any", "en", "INBOX", "Junk")]
    {
        let house = House::new();
        let mut chosen = settings(SpamAction::Junk);
        assert!(chosen.catalogue.set_points("UNWANTED_LANGUAGE", 50.0));
        chosen.everybody.languages = Language::parse(everybodys).into_iter().collect();
        house.content.reconfigure(chosen);
        wants(&house, "bob@example.org", &format!("languages={bobs}")).await;
        brings_text(&house, Listener::Relay, &["ann", "bob"], RUSSIAN, "S: 250 *\n").await;
        let mut found = mailboxes(&house).await;
        found.sort();
        let (ann, bob) = (house.account("ann@example.org").0, house.account("bob@example.org").0);
        assert_eq!(found, [(ann, at_anns.to_owned()), (bob, at_bobs.to_owned())], "{everybodys} {bobs}");
    }
}

/// What is kept apart is an account's in the log: what a tenant's number has is not read back as mail after a crash.
const _: () = assert!(APART.0 < mailstore::TENANTS_FROM);

fn quarantine(house: &House) -> Quarantine {
    Quarantine::new(house.store.clone(), house.directory.clone())
}

#[tokio::test]
async fn an_order_is_written_down_before_it_is_answered() {
    let house = House::new();
    house.content.reconfigure(settings(SpamAction::Quarantine));
    for _ in 0..3 {
        brings(&house, Listener::Relay, &["ann"], "S: 250 *\n").await;
    }
    let (account, domain) = (house.account("ann@example.org"), DomainName::parse("example.org").unwrap());
    let order = Order { account, first: Uid(2), last: Uid(3) };
    let address = house.content.order_address(order, &domain).unwrap();
    let mut peer = house.connect(Listener::Relay);
    peer.dialogue(&format!(
        "S: 220 *\nC: HELO client.example\nS: 250 *\nC: MAIL FROM:<ann@elsewhere.example>\nS: 250 *\n\
         C: RCPT TO:<{address}>\nS: 250 *\nC: DATA\nS: 354 *\nC: Subject: please\nC:\nC: .\nS: 250 *"
    ))
    .await;
    // Nobody carries orders out here: what was answered stands on disk.
    let wanted = quarantine(&house).wanted(None).await.unwrap();
    assert_eq!(wanted, [2, 3].map(|uid| format!("q{}-{uid}", account.0)));
    assert_eq!(
        quarantine(&house).wanted(Some(house.account("bob@example.org"))).await.unwrap(),
        Vec::<String>::new()
    );
    // It is not thrown away for want of room, either.
    let limits = QuarantineLimits { messages: 1, octets: 1 };
    assert_eq!(quarantine(&house).trim(limits).await.unwrap(), [(account, 1)]);
    assert_eq!(quarantine(&house).wanted(None).await.unwrap(), wanted);
    // Nor for its age, before it could be released.
    let later = house.clock().now().saturating_add(Duration::from_secs(1));
    assert_eq!(quarantine(&house).expire(Duration::from_secs(1), later).await.unwrap(), 0);
    assert_eq!(quarantine(&house).wanted(None).await.unwrap(), wanted);
}

#[tokio::test]
async fn the_oldest_goes_where_too_much_is_kept_apart() {
    let house = House::new();
    house.content.reconfigure(settings(SpamAction::Quarantine));
    for to in ["ann", "ann", "ann", "ann", "bob"] {
        brings(&house, Listener::Relay, &[to], "S: 250 *\n").await;
    }
    let (quarantine, ann) = (quarantine(&house), house.account("ann@example.org"));
    let octets: u64 = quarantine.list(Some(ann), 10).await.unwrap().iter().map(|kept| kept.octets).sum();
    for (messages, octets, gone, left) in [
        (5, octets + 1, 0, vec![1, 2, 3, 4]),
        (4, octets, 0, vec![1, 2, 3, 4]),
        (3, octets, 1, vec![2, 3, 4]),
        (9, octets / 4 * 3 - 1, 1, vec![3, 4]),
        // The newest stays, however large it is.
        (9, 1, 1, vec![4]),
    ] {
        let trimmed = quarantine.trim(QuarantineLimits { messages, octets }).await.unwrap();
        let of_ann: u64 = trimmed.iter().filter(|(account, _)| *account == ann).map(|(_, gone)| gone).sum();
        assert_eq!(of_ann, gone, "{messages} {octets}");
        let kept = quarantine.list(Some(ann), 10).await.unwrap();
        assert_eq!(kept.iter().map(|kept| kept.uid().0).collect::<Vec<_>>(), left);
    }
    assert_eq!(quarantine.list(Some(house.account("bob@example.org")), 10).await.unwrap().len(), 1);
}
