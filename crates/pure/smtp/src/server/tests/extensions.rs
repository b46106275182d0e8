//! What is offered only where a queue carries it on: DSN, REQUIRETLS, MT-PRIORITY, DELIVERBY and FUTURERELEASE.

use mail_types::{NotifyEvent, OriginalRecipient, Priority};

use super::super::*;
use super::dialogue::{Door, settings};
use crate::extension::{DeliverByOffer, FutureReleaseOffer};
use crate::future_release::Hold;

/// Everything.
pub(super) const ALL: Offers = Offers {
    dsn: true,
    require_tls: true,
    priority: true,
    deliver_by: Some(DeliverByOffer { seconds_min: Some(60) }),
    future_release: Some(FutureReleaseOffer { seconds_max: 86_400 }),
};

const UNKNOWN: &str = "555 5.5.4 Parameter not recognised\r\n";
const SENDER_OK: &str = "250 2.1.0 Sender ok\r\n";

fn with(offers: Offers) -> Settings {
    Settings { offers, ..settings() }
}

#[test]
fn offers_as_the_switches_stand() {
    let mut door = Door::new(with(ALL));
    door.feed(b"");
    let clear = door.say("EHLO client.example");
    assert!(
        clear.ends_with(
            "250-DSN\r\n250-MT-PRIORITY\r\n250-DELIVERBY 60\r\n250 LIMITS RCPTMAX=5 MAILMAX=6\r\n"
        ),
        "{clear}"
    );
    assert!(!clear.contains("REQUIRETLS") && !clear.contains("FUTURERELEASE"), "{clear}");
    door.start_tls();
    assert!(door.say("EHLO client.example").contains("250-REQUIRETLS\r\n"));
    let mut door =
        Door::new(with(Offers { deliver_by: Some(DeliverByOffer { seconds_min: None }), ..Offers::NONE }));
    door.feed(b"");
    let other = door.say("EHLO client.example");
    assert!(
        other.contains("250-DELIVERBY\r\n") && !other.contains("DSN") && !other.contains("PRIORITY"),
        "{other}"
    );
}

#[test]
fn requests_for_reports_come_with_the_message() {
    let mut door = Door::greeted(with(ALL));
    assert_eq!(door.say("MAIL FROM:<ann@example.org> RET=HDRS ENVID=QQ314159"), SENDER_OK);
    door.say("RCPT TO:<bob@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob@example.net");
    door.say("RCPT TO:<eve@example.org> NOTIFY=NEVER");
    door.say("RCPT TO:<carol@example.org>");
    door.feed(b"DATA\r\n.\r\n");
    let (envelope, _) = &door.delivered()[0];
    assert_eq!(envelope.parameters.envelope_id.as_ref().unwrap().as_str(), "QQ314159");
    let [bob, eve, carol] = envelope.recipients.as_slice() else { panic!("{envelope:?}") };
    assert!(bob.parameters.notify.unwrap().wants(NotifyEvent::Success));
    assert_eq!(bob.parameters.original, OriginalRecipient::from_parts("rfc822", "Bob@example.net"));
    assert!(!eve.parameters.notify.unwrap().wants(NotifyEvent::Failure));
    assert_eq!(carol.parameters.notify, None);
}

#[test]
fn malformed_requests_are_refused_and_the_transaction_goes_on() {
    let mut door = Door::greeted(with(ALL));
    assert_eq!(door.say("MAIL FROM:<ann@example.org> RET=SOME"), "501 5.5.4 Bad parameter value\r\n");
    assert_eq!(door.say("MAIL FROM:<ann@example.org>"), SENDER_OK);
    let refused = door.say("RCPT TO:<bob@example.org> NOTIFY=NEVER,SUCCESS");
    assert_eq!(refused, "501 5.5.4 Bad parameter value\r\n");
    assert_eq!(door.say("RCPT TO:<bob@example.org> RET=FULL"), UNKNOWN);
    let refused = door.say("RCPT TO:<bob@example.org> ORCPT=utf-8;bøb@example.org");
    assert_eq!(refused, "553 5.6.7 Address needs SMTPUTF8\r\n");
    let taken = door.say("RCPT TO:<bob@example.org> ORCPT=utf-8;b\\x{F8}b@example.org");
    assert_eq!(taken, "250 2.1.5 Recipient ok\r\n");
}

#[test]
fn require_tls_means_nothing_in_clear() {
    let mut door = Door::greeted(with(ALL));
    assert_eq!(door.say("MAIL FROM:<ann@example.org> REQUIRETLS"), UNKNOWN);
    door.start_tls();
    door.say("EHLO client.example");
    assert_eq!(door.say("MAIL FROM:<ann@example.org> REQUIRETLS"), SENDER_OK);
    door.feed(b"RCPT TO:<bob@example.org>\r\nDATA\r\n.\r\n");
    assert!(door.delivered()[0].0.parameters.require_tls);
}

#[test]
fn another_priority_is_told() {
    let mut door = Door::greeted(with(ALL));
    assert_eq!(door.say("MAIL FROM:<ann@example.org> MT-PRIORITY=4"), SENDER_OK);
    door.say("RSET");
    let changed = door.say("MAIL FROM:<ann@example.org> MT-PRIORITY=5");
    assert_eq!(changed, "250 2.3.6 Sender ok, with another priority\r\n");
    door.feed(b"RCPT TO:<bob@example.org>\r\nDATA\r\n.\r\n");
    assert_eq!(door.delivered()[0].0.parameters.priority, Priority::new(4));
    assert_eq!(door.say("MAIL FROM:<ann@example.org> MT-PRIORITY=10"), "501 5.5.4 Bad parameter value\r\n");
}

#[test]
fn deadlines_that_cannot_be_met_are_refused() {
    let mut door = Door::greeted(with(ALL));
    let near = "555 5.5.4 Cannot deliver as soon as that\r\n";
    assert_eq!(door.say("MAIL FROM:<ann@example.org> BY=59;R"), near);
    for value in ["60;R", "61;R", "1;N", "-5;NT"] {
        assert_eq!(door.say(&format!("MAIL FROM:<ann@example.org> BY={value}")), SENDER_OK, "{value}");
        door.say("RSET");
    }
}

#[test]
fn mail_is_held_for_those_who_have_logged_in() {
    let now = 1_795_640_400;
    let submission = Settings { auth: AuthOffer::Optional, ..with(ALL) };
    let mut door = Door::greeted(submission.clone());
    assert_eq!(door.say("MAIL FROM:<ann@example.org> HOLDFOR=60"), UNKNOWN, "nobody told the time");
    door.tell_time(now);
    let offers = door.say("EHLO client.example");
    assert!(offers.contains("250-FUTURERELEASE 86400 2026-11-26T21:00:00Z\r\n"), "{offers}");
    assert_eq!(door.say("MAIL FROM:<ann@example.org> HOLDFOR=60"), UNKNOWN, "a stranger");
    assert_eq!(door.say("AUTH PLAIN AGFubgBzZWNyZXQ="), "235 2.7.0 Authentication succeeded\r\n");
    let long = "501 5.5.4 Cannot hold a message for so long\r\n";
    for (value, reply) in [
        ("HOLDFOR=86399", SENDER_OK),
        ("HOLDFOR=86400", SENDER_OK),
        ("HOLDFOR=86401", long),
        ("HOLDUNTIL=2026-11-26T21:00:01Z", long),
        ("HOLDUNTIL=9999-12-31T23:59:59Z", long),
        ("HOLDUNTIL=2020-01-01T00:00:00Z", SENDER_OK),
        ("HOLDUNTIL=2026-11-26T22:00:00+01:00", SENDER_OK),
    ] {
        assert_eq!(door.say(&format!("MAIL FROM:<ann@example.org> {value}")), reply, "{value}");
        if reply == SENDER_OK && value != "HOLDUNTIL=2026-11-26T22:00:00+01:00" {
            door.say("RSET");
        }
    }
    door.feed(b"RCPT TO:<bob@example.org>\r\nDATA\r\n.\r\n");
    assert_eq!(door.delivered()[0].0.parameters.hold, Some(Hold::Until(now + 86_400)));
    let mut relay = Door::greeted(with(ALL));
    relay.tell_time(now);
    assert_eq!(relay.say("MAIL FROM:<ann@example.org> HOLDFOR=60"), UNKNOWN, "no submission");
}
