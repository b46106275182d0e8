//! Strangers before their mail is seen: who is refused, who is asked to come again, what is only noted, and whom nobody
//! judges.

use std::net::Ipv4Addr;
use std::time::Duration;

use dns::{FixedRecords, Name, RecordData, RecordType};
use mail_types::DomainName;
use mta::screen::{AnswerTo, Consequence, Greylist, ListEntry, OnTrap, RateLimits, ScreenSettings};
use mta::{Checks, Listener, Outcome, Routing, Settings};
use platform::stream::Endpoint;

use super::house::{House, settings};
use crate::foundation::{Peer, address};

/// A host with a name that agrees, and one without.
const GOOD: &str = "11.0.0.7:4711";
const NAMELESS: &str = "11.9.9.9:4711";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn text(words: &str) -> RecordData {
    RecordData::Text(words.as_bytes().to_vec())
}

fn ptr(to: &str) -> RecordData {
    RecordData::Name(RecordType::Ptr, name(to))
}

fn code(octets: [u8; 4]) -> RecordData {
    RecordData::address(Ipv4Addr::from(octets))
}

/// elsewhere.example sends from 11.0.0.7, mx.elsewhere.example, and from all of 11.5.0.0/16; bl.example and wl.example are
/// lists of addresses, dbl.example one of domains.
fn world() -> FixedRecords {
    FixedRecords::new()
        .with(&name("elsewhere.example"), text("v=spf1 ip4:11.0.0.7 ip4:11.5.0.0/16 -all"))
        .with(&name("example.org"), text("v=spf1 -all"))
        .with(&name("7.0.0.11.in-addr.arpa"), ptr("mx.elsewhere.example"))
        .with(&name("mx.elsewhere.example"), code([11, 0, 0, 7]))
        .with(&name("2.0.0.127.bl.example"), code([127, 0, 0, 2]))
        .with(&name("2.0.0.127.wl.example"), code([127, 0, 0, 2]))
        .with(&name("test.dbl.example"), code([127, 0, 1, 2]))
}

/// Judges as `change` says, without a pause and without asking anybody to come again.
fn judging(change: impl FnOnce(&mut ScreenSettings)) -> Settings {
    let mut screen =
        ScreenSettings { greet_pause: Duration::ZERO, greylist: Greylist::Off, ..ScreenSettings::default() };
    change(&mut screen);
    Settings { screen, ..settings() }
}

fn entry(text: &str) -> ListEntry {
    ListEntry::parse(text).unwrap()
}

fn from(text: &str) -> Endpoint {
    Endpoint::Inet(text.parse().unwrap())
}

async fn greeted(house: &House, client: &str, hello: &str) -> Peer {
    let mut peer = house.connect_from(Listener::Relay, from(client));
    assert!(peer.reply().await.starts_with("220"));
    assert!(peer.say(&format!("EHLO {hello}")).await.starts_with("250"));
    peer
}

/// Names a recipient; the answer to RCPT.
async fn name_to(house: &House, client: &str, sender: &str, recipient: &str) -> String {
    let mut peer = greeted(house, client, "mx.elsewhere.example").await;
    assert!(peer.say(&format!("MAIL FROM:<{sender}>")).await.starts_with("250"));
    let reply = peer.say(&format!("RCPT TO:<{recipient}>")).await;
    leave(&mut peer).await;
    reply
}

/// Ends a transaction so that it is recorded: with a recipient who is refused.
async fn leave(peer: &mut Peer) {
    assert!(peer.say("RCPT TO:<nobody@example.org>").await.starts_with("550"));
    assert!(peer.say("RSET").await.starts_with("250"));
}

/// Brings a message to ann; the answer in the end.
async fn bring(house: &House, client: &str, sender: &str) -> String {
    let mut peer = greeted(house, client, "mx.elsewhere.example").await;
    peer.say(&format!("MAIL FROM:<{sender}>")).await;
    let named = peer.say("RCPT TO:<ann@example.org>").await;
    if !named.starts_with("250") {
        leave(&mut peer).await;
        return named;
    }
    peer.say("DATA").await;
    peer.send(b"From: eve@elsewhere.example\r\n\r\nhello\r\n").await;
    peer.say(".").await
}

/// What the last record tells of the screen.
fn found(house: &House) -> Vec<String> {
    let ways = house.ways();
    let checks = ways.last().map(|way| way.checks.clone()).unwrap_or_default();
    checks.into_iter().filter(|line| line.starts_with("screen:") || line.starts_with("greylist:")).collect()
}

const EVE: &str = "eve@elsewhere.example";

#[tokio::test]
async fn who_is_listed_is_refused_with_the_lists_name_and_words() {
    let records = world()
        .with(&name("7.0.0.11.bl.example"), code([127, 0, 0, 4]))
        .with(&name("7.0.0.11.bl.example"), text("see https://bl.example/11.0.0.7"));
    let house = House::screening(
        judging(|screen| screen.lists.addresses = vec![entry("bl.example refuse")]),
        records,
    );
    house.screen().lists().test_all().await;
    let reply = name_to(&house, GOOD, EVE, "ann@example.org").await;
    assert_eq!(reply, "554 5.7.1 11.0.0.7 is listed by bl.example: see https://bl.example/11.0.0.7");
    // Whoever is refused wrongly can say so.
    for recipient in ["postmaster@example.org", "Postmaster"] {
        let reply = name_to(&house, GOOD, EVE, recipient).await;
        assert!(!reply.starts_with("554"), "{recipient}: {reply}");
    }
    let ways = house.ways();
    assert!(matches!(&ways[0].recipients[0].outcome, Outcome::Refused(reply) if reply.code.value() == 554));
    assert_eq!(
        ways[0].checks,
        ["screen: LIST_bl.example (+3.0): 11.0.0.7 is listed by bl.example: see https://bl.example/11.0.0.7"]
    );
    // An unknown recipient is told first: nobody is asked about somebody who tries names.
    let reply = name_to(&house, GOOD, EVE, "nobody@example.org").await;
    assert!(reply.starts_with("550 5.1.1"), "{reply}");
}

#[tokio::test]
async fn what_speaks_against_a_client_is_noted_or_added_up() {
    let records = world().with(&name("9.9.9.11.bl.example"), code([127, 0, 0, 4]));
    let lists = |screen: &mut ScreenSettings| screen.lists.addresses = vec![entry("bl.example*3.5")];
    let house = House::screening(judging(lists), records.clone());
    house.screen().lists().test_all().await;
    assert!(bring(&house, NAMELESS, EVE).await.starts_with("250"));
    assert_eq!(
        found(&house),
        [
            "screen: LIST_bl.example (+3.5): 11.9.9.9 is listed by bl.example",
            "screen: REVERSE_NAME_MISSING (+2.0): the client's address has no name",
        ]
    );
    for (points, expected) in [(5.4, "554 5.7.1 Too much"), (5.5, "554 5.7.1 Too much"), (5.6, "250")] {
        let adding = |screen: &mut ScreenSettings| {
            lists(screen);
            screen.refuse_points = Some(points);
        };
        let house = House::screening(judging(adding), records.clone());
        house.screen().lists().test_all().await;
        let reply = name_to(&house, NAMELESS, EVE, "ann@example.org").await;
        assert!(reply.starts_with(expected), "{points}: {reply}");
    }
}

#[tokio::test]
async fn domains_of_helo_and_sender_are_asked_for() {
    let records = world().with(&name("spam.example.dbl.example"), code([127, 0, 1, 2]));
    let dbl = |screen: &mut ScreenSettings| screen.lists.domains = vec![entry("dbl.example refuse")];
    let house = House::screening(judging(dbl), records);
    house.screen().lists().test_all().await;
    let reply = name_to(&house, GOOD, "x@spam.example", "ann@example.org").await;
    assert_eq!(reply, "554 5.7.1 spam.example is listed by dbl.example");
    assert!(name_to(&house, GOOD, EVE, "ann@example.org").await.starts_with("250"));
}

#[tokio::test]
async fn who_cannot_wait_for_the_greeting_is_noted_or_refused() {
    for (consequence, expected) in [(Consequence::Points, "250"), (Consequence::Refuse, "554 5.5.1")] {
        // An hour: only somebody who speaks ends the pause.
        let pausing = |screen: &mut ScreenSettings| {
            screen.greet_pause = Duration::from_secs(3_600);
            screen.early_talkers = consequence;
        };
        let house = House::screening(judging(pausing), world());
        let mut peer = house.connect_from(Listener::Relay, from(GOOD));
        peer.send(b"EHLO mx.elsewhere.example\r\n").await;
        assert!(peer.reply().await.starts_with("220"));
        assert!(peer.reply().await.starts_with("250"));
        peer.say(&format!("MAIL FROM:<{EVE}>")).await;
        let reply = peer.say("RCPT TO:<ann@example.org>").await;
        assert!(reply.starts_with(expected), "{reply}");
        leave(&mut peer).await;
        assert_eq!(found(&house), ["screen: EARLY_TALKER (+4.0): the client spoke before our greeting"]);
    }
}

#[tokio::test]
async fn who_has_waited_or_brought_mail_before_is_greeted() {
    let house = House::screening(judging(|screen| screen.greet_pause = Duration::from_millis(20)), world());
    assert!(bring(&house, GOOD, EVE).await.starts_with("250"));
    assert!(found(&house).is_empty(), "{:?}", found(&house));
    // The same memory behind a door that would let strangers wait for an hour.
    let slow = judging(|screen| screen.greet_pause = Duration::from_secs(3_600));
    house.door.reconfigure(slow);
    assert!(bring(&house, "11.0.0.200:1", EVE).await.starts_with("250"), "its network has brought mail");
    // Neighbours are no strangers to the network.
    let mut peer = house.connect_from(Listener::Relay, from("10.0.0.7:4711"));
    assert!(peer.reply().await.starts_with("220"));
}

#[tokio::test]
async fn who_goes_on_without_the_reply_is_noted() {
    let house = House::screening(judging(|_| {}), world());
    let mut peer = house.connect_from(Listener::Relay, from(GOOD));
    peer.dialogue(&format!(
        "S: 220 *
         C: HELO mx.elsewhere.example
         C: MAIL FROM:<{EVE}>
         S: 250 *
         S: 250 *
         C: RCPT TO:<ann@example.org>
         S: 250 *"
    ))
    .await;
    leave(&mut peer).await;
    assert_eq!(
        found(&house),
        ["screen: PIPELINED_EARLY (+2.0): the client did not wait for our reply where it has to"]
    );
    // What may be sent together may be.
    let mut peer = house.connect_from(Listener::Relay, from(GOOD));
    peer.dialogue(
        "S: 220 *
         C: EHLO mx.elsewhere.example
         S: 250-*",
    )
    .await;
    while peer.reply_line().await.starts_with("250-") {}
    peer.dialogue(&format!(
        "C: MAIL FROM:<{EVE}>
         C: RCPT TO:<ann@example.org>
         S: 250 *
         S: 250 *"
    ))
    .await;
    leave(&mut peer).await;
    assert!(found(&house).is_empty());
}

#[tokio::test]
async fn names_behind_helo_that_cannot_be_the_clients_are_refused_where_asked_for() {
    let house = House::screening(judging(|screen| screen.hello = Consequence::Refuse), world());
    for (hello, expected) in [
        ("mail.example.org", "550 5.7.1 the name behind HELO is ours"),
        ("11.0.0.7", "550 5.7.1 behind HELO stands an address without brackets"),
        ("[11.0.0.8]", "550 5.7.1 behind HELO stands another address"),
        ("laptop", "550 5.7.1 behind HELO stands no whole name"),
        ("[11.0.0.7]", "250"),
        ("mx.elsewhere.example", "250"),
    ] {
        let mut peer = greeted(&house, GOOD, hello).await;
        peer.say(&format!("MAIL FROM:<{EVE}>")).await;
        let reply = peer.say("RCPT TO:<ann@example.org>").await;
        assert!(reply.starts_with(expected), "{hello}: {reply}");
    }
}

#[tokio::test]
async fn our_own_name_needs_spf() {
    let house = House::screening(judging(|screen| screen.own_domain = Consequence::Refuse), world());
    let reply = name_to(&house, GOOD, "bob@example.org", "ann@example.org").await;
    assert!(reply.starts_with("550 5.7.23"), "{reply}");
    let vouched = world();
    vouched.clear(&name("example.org"));
    vouched.add(&name("example.org"), text("v=spf1 ip4:11.0.0.7 -all"));
    let house = House::screening(judging(|screen| screen.own_domain = Consequence::Refuse), vouched);
    assert!(name_to(&house, GOOD, "bob@example.org", "ann@example.org").await.starts_with("250"));
}

#[tokio::test]
async fn a_report_to_several_people_is_noted() {
    let house = House::screening(judging(|_| {}), world());
    let mut peer = greeted(&house, GOOD, "mx.elsewhere.example").await;
    peer.say("MAIL FROM:<>").await;
    for recipient in ["ann", "bob"] {
        assert!(peer.say(&format!("RCPT TO:<{recipient}@example.org>")).await.starts_with("250"));
    }
    leave(&mut peer).await;
    let words = "screen: NULL_SENDER_MANY (+2.0): a message without a sender has several recipients";
    assert_eq!(found(&house), [words]);
}

fn greylisting(greylist: Greylist) -> Settings {
    judging(|screen| screen.greylist = greylist)
}

#[tokio::test]
async fn somebody_suspicious_has_to_come_again_once() {
    let house = House::screening(greylisting(Greylist::Suspicious), world());
    let reply = bring(&house, NAMELESS, EVE).await;
    assert_eq!(reply, "451 4.7.1 Greylisted: come again in 300 seconds");
    assert_eq!(found(&house).last().unwrap(), "greylist: asked to come again, for REVERSE_NAME_MISSING");
    house.clock().advance(Duration::from_secs(299));
    assert_eq!(bring(&house, NAMELESS, EVE).await, "451 4.7.1 Greylisted: come again in 1 seconds");
    house.clock().advance(Duration::from_secs(1));
    assert!(bring(&house, "11.9.9.10:1", EVE).await.starts_with("250"), "from its network");
    assert!(found(&house).contains(&"greylist: it came again".to_owned()));
    // From now on other mail of that domain by that network comes at once.
    assert!(bring(&house, NAMELESS, "news@elsewhere.example").await.starts_with("250"));
    let reply = bring(&house, NAMELESS, "x@other.example").await;
    assert!(reply.starts_with("451"), "{reply}");
    // A refusal at RCPT leaves the others in peace, and one without anything suspicious is never asked.
    assert!(bring(&house, GOOD, EVE).await.starts_with("250"));
}

#[tokio::test]
async fn large_senders_may_come_again_from_wherever_spf_lets_them() {
    let house = House::screening(greylisting(Greylist::All), world());
    assert!(bring(&house, "11.5.1.1:1", EVE).await.starts_with("451"));
    house.clock().advance(Duration::from_secs(300));
    assert!(bring(&house, "11.5.77.1:1", EVE).await.starts_with("250"));
    assert!(bring(&house, "11.5.99.1:1", "other@elsewhere.example").await.starts_with("250"));
}

#[tokio::test]
async fn those_whom_we_know_need_not_come_again() {
    let records = world().with(&name("9.9.9.11.wl.example"), code([127, 0, 0, 2]));
    let listing = |screen: &mut ScreenSettings| {
        screen.greylist = Greylist::All;
        screen.lists.addresses = vec![entry("wl.example*-2")];
    };
    let house = House::screening(judging(listing), records);
    // Ann writes to somebody: reports on that mail are expected.
    assert!(bring(&house, GOOD, "").await.starts_with("451"));
    let ann = house.account("ann@example.org");
    house.screen().senders().wrote(ann, &[address("mallory@nospf.example")], None).await;
    assert!(name_to(&house, GOOD, "", "ann@example.org").await.starts_with("250"));
    assert!(name_to(&house, GOOD, "", "bob@example.org").await.starts_with("451"), "bob wrote nothing");
    // An allow list vouches.
    assert!(bring(&house, NAMELESS, "x@other.example").await.starts_with("451"));
    house.screen().lists().test_all().await;
    assert!(bring(&house, NAMELESS, "x@other.example").await.starts_with("250"));
}

#[tokio::test]
async fn what_our_people_send_is_remembered() {
    let house = House::screening(judging(|_| {}), world());
    let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop").await;
    peer.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    peer.say("RCPT TO:<bob@example.org>").await;
    peer.say("DATA").await;
    peer.send(b"From: ann@example.org\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n").await;
    assert!(peer.say(".").await.starts_with("250"));
    let senders = house.screen().senders();
    let theirs = DomainName::parse("example.org").unwrap();
    assert_eq!(senders.answers(["<1@example.org>"], Some(&theirs)).await, AnswerTo::OursByRecipient);
}

#[tokio::test]
async fn who_writes_to_a_trap_is_remembered_and_learns_nothing() {
    let trapping = |screen: &mut ScreenSettings| screen.traps = vec![address("Old@example.org")];
    let house = House::screening(judging(trapping), world());
    let mut peer = greeted(&house, GOOD, "mx.elsewhere.example").await;
    peer.say(&format!("MAIL FROM:<{EVE}>")).await;
    for recipient in ["old@example.org", "ann@example.org"] {
        assert!(peer.say(&format!("RCPT TO:<{recipient}>")).await.starts_with("250"));
    }
    peer.say("DATA").await;
    peer.send(b"From: eve@elsewhere.example\r\n\r\nbuy\r\n").await;
    assert!(peer.say(".").await.starts_with("250"));
    let ways = house.ways();
    assert!(matches!(ways[0].recipients[0].outcome, Outcome::Discarded));
    assert!(matches!(ways[0].recipients[1].outcome, Outcome::Filed(_)));
    assert!(found(&house)[0].starts_with("screen: TRAP (+8.0)"));
    // Next time, and to others.
    assert!(name_to(&house, GOOD, EVE, "bob@example.org").await.starts_with("250"));
    let mut peer = greeted(&house, GOOD, "mx.elsewhere.example").await;
    peer.say(&format!("MAIL FROM:<{EVE}>")).await;
    peer.say("RCPT TO:<bob@example.org>").await;
    leave(&mut peer).await;
    assert_eq!(found(&house), ["screen: TRAPPED_ADDRESS (+4.0): this address wrote to a trap"]);
    assert!(house.metrics.render().contains("mailstead_screen_trapped_total 1"));
}

#[tokio::test]
async fn a_trap_may_look_like_any_unknown_address_and_is_never_somebodys() {
    let trapping = |screen: &mut ScreenSettings| {
        screen.traps = ["old@example.org", "ann@example.org", "team@example.org"].map(address).to_vec();
        screen.on_trap = OnTrap::Refuse;
    };
    let house = House::screening(judging(trapping), world());
    let trap = name_to(&house, GOOD, EVE, "old@example.org").await;
    assert_eq!(trap, name_to(&house, GOOD, EVE, "nobody@example.org").await);
    assert!(bring(&house, GOOD, EVE).await.starts_with("250"), "ann lives here");
    assert!(name_to(&house, GOOD, EVE, "Team@example.org").await.starts_with("250"), "an alias has readers");
}

#[tokio::test]
async fn a_network_gets_its_share_of_connections_and_an_address_of_mail() {
    let limiting = |screen: &mut ScreenSettings| {
        screen.rates = RateLimits {
            connections_per_network: Some(2),
            messages_a_minute: Some(3),
            recipients_a_minute: Some(2),
        };
    };
    let house = House::screening(judging(limiting), world());
    let first = greeted(&house, "11.0.0.7:1", "mx.elsewhere.example").await;
    let mut second = greeted(&house, "11.0.0.8:1", "mx.elsewhere.example").await;
    let mut third = house.connect_from(Listener::Relay, from("11.0.0.9:1"));
    assert!(third.reply().await.starts_with("421 4.7.0"));
    third.expect_end().await;
    let mut other = greeted(&house, "11.0.1.9:1", "mx.elsewhere.example").await;
    assert!(other.say("QUIT").await.starts_with("221"));
    for expected in ["250", "250", "250", "451 4.7.1"] {
        let reply = second.say(&format!("MAIL FROM:<{EVE}>")).await;
        assert!(reply.starts_with(expected), "{reply}");
        second.say("RSET").await;
    }
    house.clock().advance(Duration::from_secs(60));
    second.say(&format!("MAIL FROM:<{EVE}>")).await;
    for (recipient, expected) in [("ann", "250"), ("bob", "250"), ("team", "451 4.7.1")] {
        let reply = second.say(&format!("RCPT TO:<{recipient}@example.org>")).await;
        assert!(reply.starts_with(expected), "{recipient}: {reply}");
    }
    drop(first);
    assert!(house.metrics.render().contains("mailstead_screen_refused_total{reason=\"network\"} 1"));
}

#[tokio::test]
async fn our_own_people_and_hosts_are_not_judged() {
    let strict = |screen: &mut ScreenSettings| {
        screen.greylist = Greylist::All;
        screen.hello = Consequence::Refuse;
        screen.greet_pause = Duration::from_secs(3_600);
        screen.traps = vec![address("old@example.org")];
    };
    let routing = Routing { relay_networks: vec!["11.0.0.0/24".parse().unwrap()], ..Routing::default() };
    let checks = Checks { unchecked_networks: vec!["11.9.9.0/24".parse().unwrap()], ..Checks::default() };
    let house = House::screening(Settings { routing, checks, ..judging(strict) }, world());
    for (listener, hello, client) in [
        (Listener::Relay, "EHLO laptop", GOOD),
        (Listener::Relay, "EHLO laptop", NAMELESS),
        (Listener::Lmtp, "LHLO laptop", "11.7.7.7:1"),
    ] {
        let mut peer = house.connect_from(listener, from(client));
        assert!(peer.reply().await.starts_with("220"));
        peer.say(hello).await;
        peer.say(&format!("MAIL FROM:<{EVE}>")).await;
        assert!(peer.say("RCPT TO:<ann@example.org>").await.starts_with("250"), "{client}");
        leave(&mut peer).await;
        assert!(found(&house).is_empty());
    }
    let mut peer = house.connect_tls(Listener::ImplicitSubmission).await;
    peer.reply().await;
    peer.say("EHLO laptop").await;
    peer.say("AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=").await;
    peer.say("MAIL FROM:<ann@example.org>").await;
    assert!(peer.say("RCPT TO:<bob@example.org>").await.starts_with("250"));
}

/// Names this many people who are not here, a few in each connection; whether the guard still lets their bringer in.
async fn name_unknown(house: &House, client: &str, count: usize) -> bool {
    for some in (0..count).collect::<Vec<_>>().chunks(5) {
        let mut peer = greeted(house, client, "mx.elsewhere.example").await;
        peer.say(&format!("MAIL FROM:<{EVE}>")).await;
        for number in some {
            let reply = peer.say(&format!("RCPT TO:<gone{number}@example.org>")).await;
            assert!(reply.starts_with("550 5.1.1"), "{reply}");
        }
        peer.say("QUIT").await;
    }
    house.guard.admit(from(client).address()).is_ok()
}

#[tokio::test]
async fn whoever_is_banned_does_not_go_on_where_he_is_connected_already() {
    let house = House::screening(judging(|_| {}), world());
    house.guard.reconfigure(platform::guard::GuardSettings {
        // Ten unknown people.
        points_before_ban: 20,
        ban_first: Duration::from_secs(3_600),
        ban_longest: Duration::from_secs(3_600),
        ..crate::foundation::guard_settings()
    });
    let mut idle = greeted(&house, "11.5.1.1:4712", "mx.elsewhere.example").await;
    let mut guesser = greeted(&house, "11.5.1.1:4711", "mx.elsewhere.example").await;
    let mut other = greeted(&house, "11.5.2.1:4711", "mx.elsewhere.example").await;
    guesser.say(&format!("MAIL FROM:<{EVE}>")).await;
    for number in 0..10 {
        let reply = guesser.say(&format!("RCPT TO:<gone{number}@example.org>")).await;
        assert!(reply.starts_with("550 5.1.1"), "{number}: {reply}");
    }
    assert!(guesser.reply().await.starts_with("421 4.7.0 Too much came"));
    guesser.expect_end().await;
    // So does his other connection end, and nobody else's.
    assert!(idle.say("NOOP").await.starts_with("250"));
    assert!(idle.reply().await.starts_with("421 4.7.0"));
    idle.expect_end().await;
    assert!(other.say("NOOP").await.starts_with("250"));
    assert!(other.say("NOOP").await.starts_with("250"));
}

#[tokio::test]
async fn whoever_brings_wanted_mail_may_have_old_addresses() {
    let (list, spammer) = (GOOD, "11.5.1.1:4711");
    let mut records = world();
    records = records.with(&name("1.1.5.11.in-addr.arpa"), ptr("mx.elsewhere.example"));
    let house = House::screening(judging(|_| {}), records);
    house.guard.reconfigure(platform::guard::GuardSettings {
        // Ten unknown people.
        points_before_ban: 20,
        ban_first: Duration::from_secs(3_600),
        ban_longest: Duration::from_secs(3_600),
        ..crate::foundation::guard_settings()
    });
    // One message that was taken is no licence to guess; the sender is another's.
    assert!(bring(&house, spammer, "once@spam.example").await.starts_with("250"));
    assert!(name_unknown(&house, spammer, 9).await);
    for _ in 0..48 {
        assert!(bring(&house, list, EVE).await.starts_with("250"));
    }
    assert!(name_unknown(&house, list, 12).await, "one of five");
    assert!(name_unknown(&house, list, 9).await, "beyond that they count");
    assert!(!name_unknown(&house, list, 1).await);
}

#[tokio::test]
async fn who_has_no_merit_is_asked_about_before_it_is_banned() {
    let records = world().with(&name("1.9.9.11.wl.example"), code([127, 0, 0, 2]));
    let vouched = judging(|screen| screen.lists.addresses = vec![entry("wl.example*-1")]);
    let house = House::screening(vouched, records);
    house.screen().lists().test_all().await;
    house.guard.reconfigure(platform::guard::GuardSettings {
        points_before_ban: 20,
        ban_first: Duration::from_secs(3_600),
        ban_longest: Duration::from_secs(3_600),
        ..crate::foundation::guard_settings()
    });
    assert!(name_unknown(&house, "11.9.9.1:4711", 40).await, "an allow list has it");
    // Who only tries names costs nobody a question until there are some.
    let asked = || house.screen().lists().status()[0].asked;
    let before = asked();
    assert!(name_unknown(&house, "11.8.8.1:4711", 9).await);
    assert_eq!(asked(), before);
    assert!(!name_unknown(&house, "11.8.8.1:4711", 1).await);
    assert_eq!(asked(), before + 1);
}

#[tokio::test]
async fn names_by_way_of_a_neighbour_are_answered_later_and_later() {
    let house = House::screening(judging(|_| {}), world());
    let begun = std::time::Instant::now();
    assert!(name_unknown(&house, "172.17.0.1:4711", 5).await);
    // In however many connections.
    assert!(name_unknown(&house, "172.17.0.1:4712", 1).await);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the guard may not ban it");
}
