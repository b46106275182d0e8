//! Strangers name people who are not here: who is banned for it, and who is only answered later.

use std::time::Duration;

use platform::guard::GuardSettings;

use super::{EVE, GOOD, bring, code, entry, from, greeted, judging, name, ptr, world};
use crate::door::house::House;
use crate::foundation::guard_settings;

/// A guard that bans for ten of them.
fn ten_names() -> GuardSettings {
    GuardSettings {
        points_before_ban: 20,
        ban_first: Duration::from_secs(3_600),
        ban_longest: Duration::from_secs(3_600),
        ..guard_settings()
    }
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
async fn whoever_brings_wanted_mail_may_have_old_addresses() {
    let (list, spammer) = (GOOD, "11.5.1.1:4711");
    let mut records = world();
    records = records.with(&name("1.1.5.11.in-addr.arpa"), ptr("mx.elsewhere.example"));
    let house = House::screening(judging(|_| {}), records);
    house.guard.reconfigure(ten_names());
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
    house.guard.reconfigure(ten_names());
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
    // Whether or not strangers are screened.
    for is_on in [true, false] {
        let house = House::screening(judging(|screen| screen.is_on = is_on), world());
        let begun = std::time::Instant::now();
        assert!(name_unknown(&house, "172.17.0.1:4711", 5).await);
        // In however many connections.
        assert!(name_unknown(&house, "172.17.0.1:4712", 1).await);
        assert!(begun.elapsed() >= Duration::from_secs(1), "the guard may not ban it: {is_on}");
    }
}

#[tokio::test]
async fn names_are_counted_of_strangers_who_are_not_screened() {
    let house = House::screening(judging(|screen| screen.is_on = false), world());
    house.guard.reconfigure(ten_names());
    for _ in 0..48 {
        assert!(bring(&house, GOOD, EVE).await.starts_with("250"));
    }
    assert!(name_unknown(&house, GOOD, 9).await);
    assert!(!name_unknown(&house, GOOD, 1).await, "what is known of senders is not asked");
}

#[tokio::test]
async fn whoever_is_banned_does_not_go_on_where_he_is_connected_already() {
    let house = House::screening(judging(|_| {}), world());
    house.guard.reconfigure(ten_names());
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
