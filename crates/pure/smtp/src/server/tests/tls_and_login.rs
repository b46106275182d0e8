//! STARTTLS and AUTH.

use super::super::*;
use super::dialogue::{Door, settings};

fn submission() -> Settings {
    Settings { auth: AuthOffer::Required, starttls: StartTlsOffer::Required, ..settings() }
}

/// CVE-2011-0411 and CVE-2021-33515: commands sent in clear behind STARTTLS.
#[test]
fn commands_behind_starttls_are_thrown_away() {
    Door::dialogue(
        "
        S: 220 mail.example.org ESMTP mailstead
        C: HELO client.example
        S: 250 mail.example.org
        C: STARTTLS
        C: HELO mallory.example
        C: MAIL FROM:<mallory@example.org>
        S: 220 2.0.0 Ready to start TLS
        tls
        C: MAIL FROM:<ann@example.org>
        S: 503 5.5.1 Say hello first
        C: EHLO client.example
        S: 250-mail.example.org
        S: 250-PIPELINING
        S: 250-SIZE 1000
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-BINARYMIME
        S: 250 LIMITS RCPTMAX=5 MAILMAX=6
        C: STARTTLS
        S: 503 5.5.1 TLS is already active
    ",
    );
}

#[test]
fn a_transaction_does_not_outlive_starttls() {
    let mut door = Door::greeted(settings());
    door.feed(b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.org>\r\nSTARTTLS\r\n");
    door.start_tls();
    door.say("EHLO client.example");
    assert_eq!(door.say("DATA"), "503 5.5.1 Need MAIL first\r\n");
}

#[test]
fn starttls_is_unknown_where_it_is_not_offered() {
    let mut door = Door::greeted(Settings { starttls: StartTlsOffer::Absent, ..settings() });
    assert_eq!(door.say("STARTTLS"), "502 5.5.1 Command not implemented\r\n");
}

#[test]
fn submission_needs_tls_and_login() {
    Door::dialogue_with(
        submission(),
        "
        S: 220 mail.example.org ESMTP mailstead
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<ann@example.org>
        S: 530 5.7.0 Must issue STARTTLS first
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 538 5.7.11 Encryption required; say STARTTLS first
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        tls
        C: HELO client.example
        S: 250 mail.example.org
        C: MAIL FROM:<ann@example.org>
        S: 530 5.7.0 Authentication required
        C: AUTH CRAM-MD5
        S: 504 5.5.4 Mechanism not offered
        C: AUTH PLAIN AGFubgB3cm9uZw==
        S: 535 5.7.8 Wrong
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 235 2.7.0 Authentication succeeded
        C: AUTH PLAIN AGFubgBzZWNyZXQ=
        S: 503 5.5.1 Already authenticated
        C: MAIL FROM:<ann@example.org> AUTH=<>
        S: 250 2.1.0 Sender ok
        C: RCPT TO:<bob@example.org>
        C: DATA
        C: .
        S: 250 2.1.5 Recipient ok
        S: 354 End with a dot on a line of its own
        S: 250 2.0.0 Kept
    ",
    );
}

#[test]
fn login_in_steps_can_be_cancelled() {
    let mut door = Door::greeted(submission());
    door.start_tls();
    door.say("EHLO client.example");
    assert_eq!(door.say("auth plain"), "334 \r\n");
    assert_eq!(door.say("*"), "501 5.7.0 Cancelled\r\n");
    assert_eq!(door.say("AUTH PLAIN"), "334 \r\n");
    assert_eq!(door.say("AGFubgBzZWNyZXQ="), "235 2.7.0 Authentication succeeded\r\n");
}

#[test]
fn an_overlong_response_ends_the_exchange() {
    let mut door = Door::greeted(submission());
    door.start_tls();
    door.say("EHLO client.example");
    door.say("AUTH PLAIN");
    let long = "A".repeat(crate::framing::COMMAND_OCTETS_MAX);
    assert_eq!(door.say(&long), "500 5.5.6 Authentication line too long\r\n");
    assert_eq!(door.say("NOOP"), "250 2.0.0 Nothing done\r\n");
}

#[test]
fn failed_logins_end_the_session() {
    let mut door = Door::greeted(submission());
    door.start_tls();
    door.say("EHLO client.example");
    for _ in 1..submission().login_failures_max {
        assert_eq!(door.say("AUTH PLAIN ="), "535 5.7.8 Wrong\r\n");
    }
    assert_eq!(door.say("AUTH PLAIN ="), "535 5.7.8 Wrong\r\n421 4.7.0 Too many failed log-ins\r\n");
    assert!(door.is_closed());
}

#[test]
fn no_login_where_none_is_offered_nor_within_a_transaction() {
    let mut door = Door::greeted(settings());
    assert_eq!(door.say("AUTH PLAIN ="), "502 5.5.1 Command not implemented\r\n");
    let both = Settings { auth: AuthOffer::Optional, ..settings() };
    let mut door = Door::new(both);
    door.feed(b"");
    assert_eq!(door.say("AUTH PLAIN ="), "503 5.5.1 Say hello first\r\n");
    assert!(door.say("EHLO client.example").contains("250-AUTH PLAIN\r\n"));
    door.say("MAIL FROM:<>");
    assert_eq!(door.say("AUTH PLAIN ="), "503 5.5.1 No AUTH within a transaction\r\n");
    door.say("RSET");
    assert_eq!(door.say("AUTH PLAIN AGFubgBzZWNyZXQ="), "235 2.7.0 Authentication succeeded\r\n");
    assert_eq!(door.say("STARTTLS"), "503 5.5.1 No STARTTLS after AUTH\r\n");
}
