//! What goes on with a message where the server takes it, what is held back where it does not, and limits kept to before
//! anything is sent.

use mail_types::{DeadlineMode, DeliverBy, EnvelopeId, Notify, OriginalRecipient, Priority, ReturnedContent};

use super::*;
use crate::command::{self, Command};
use crate::extension::{DeliverByOffer, Offers};

/// An order that asks for everything but REQUIRETLS.
fn demanding() -> Order {
    let mut order = order(&["a@example.org", "b@example.org"]);
    order.parameters.returned = Some(ReturnedContent::Headers);
    order.parameters.envelope_id = EnvelopeId::new("QQ 1");
    order.parameters.priority = Priority::new(-2);
    order.parameters.deliver_by = DeliverBy::parse("600;NT");
    order.recipients[0].parameters = RcptParameters {
        notify: Notify::parse("SUCCESS,FAILURE"),
        original: OriginalRecipient::from_parts("rfc822", "A+x@example.net"),
    };
    order
}

fn greeted(settings: Settings, offers: &str) -> Talk {
    let mut talk = Talk::new(settings);
    talk.script(&format!("S: 220 x\nC: EHLO client.example\nS: 250-x|250-PIPELINING|{offers}250 8BITMIME"));
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
    talk
}

fn left_out(talk: &Talk) -> LeftOut {
    let ClientStep::Done(Outcome::Answered(answers)) = &talk.step else { panic!("{:?}", talk.step) };
    answers.left_out
}

#[test]
fn what_is_asked_for_goes_on() {
    let mut talk = greeted(settings(), "250-DSN|250-MT-PRIORITY|250-DELIVERBY 60|");
    talk.send(&demanding());
    talk.script(
        "
        C: MAIL FROM:<ann@example.org> RET=HDRS ENVID=QQ+201 MT-PRIORITY=-2 BY=600;NT
        C: RCPT TO:<a@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A+2Bx@example.net
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok|250 ok|250 ok|354 go on
    ",
    );
    talk.step = talk.client.data_sent();
    talk.script("S: 250 kept");
    assert_eq!(left_out(&talk), LeftOut::default());
}

#[test]
fn a_server_without_dsn_gets_the_message_all_the_same() {
    let mut talk = greeted(settings(), "");
    talk.send(&demanding());
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: DATA
        S: 250 ok|250 ok|250 ok|354 go on
    ",
    );
    talk.step = talk.client.data_sent();
    talk.script("S: 250 kept");
    assert_eq!(talk.codes(), [250, 250]);
    assert_eq!(left_out(&talk), LeftOut { dsn: true, deliver_by: true, priority: true });
}

#[test]
fn require_tls_is_believed_within_tls_only() {
    let mut strict = order(&["a@example.org"]);
    strict.parameters.require_tls = true;
    // Somebody on the way may have put the offer there.
    let mut talk = greeted(settings(), "250-REQUIRETLS|");
    talk.send(&strict);
    assert_eq!(talk.step, ClientStep::Done(Outcome::Lacks(Missing::RequireTls)));
    let begun = Settings { starttls: StartTlsUse::Begun, ..settings() };
    let mut talk = greeted(begun.clone(), "");
    talk.send(&strict);
    assert_eq!(talk.step, ClientStep::Done(Outcome::Lacks(Missing::RequireTls)));
    let mut talk = greeted(begun, "250-REQUIRETLS|");
    talk.send(&strict);
    talk.script("C: MAIL FROM:<ann@example.org> REQUIRETLS\nC: RCPT TO:<a@example.org>\nC: DATA");
}

#[test]
fn a_deadline_that_sends_mail_back_is_not_dropped() {
    for (offers, deadline, is_sent) in [
        ("", "600;R", false),
        ("250-DELIVERBY 601|", "600;R", false),
        ("250-DELIVERBY 600|", "600;R", true),
        ("250-DELIVERBY|", "1;R", true),
        ("", "600;N", true),
        ("250-DELIVERBY 601|", "-5;N", true),
    ] {
        let mut order = order(&["a@example.org"]);
        order.parameters.deliver_by = DeliverBy::parse(deadline);
        let mut talk = greeted(settings(), offers);
        talk.send(&order);
        let is_lacking = talk.step == ClientStep::Done(Outcome::Lacks(Missing::DeliverBy));
        assert_eq!(is_lacking, !is_sent, "{offers} {deadline}");
        assert_eq!(talk.out.is_empty(), !is_sent);
    }
}

#[test]
fn addresses_in_other_letters_need_smtputf8() {
    let mut order = order(&["bøb@example.org"]);
    order.recipients[0].parameters.original = OriginalRecipient::from_parts("utf-8", "bøb@example.net");
    let mut talk = greeted(settings(), "250-DSN|");
    talk.send(&order);
    assert_eq!(talk.step, ClientStep::Done(Outcome::Lacks(Missing::SmtpUtf8)));
    let mut talk = greeted(settings(), "250-DSN|250-SMTPUTF8|");
    talk.send(&order);
    talk.script(
        "
        C: MAIL FROM:<ann@example.org> SMTPUTF8
        C: RCPT TO:<bøb@example.org> ORCPT=utf-8;bøb@example.net
        C: DATA
    ",
    );
    // An address that was rewritten to ASCII on the way may have begun otherwise.
    order.recipients[0].forward_path = ForwardPath::Address(Address::parse("bob@example.org").unwrap());
    let mut talk = greeted(settings(), "250-DSN|");
    talk.send(&order);
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<bob@example.org> ORCPT=utf-8;b\\x{F8}b@example.net
        C: DATA
    ",
    );
}

#[test]
fn a_message_too_large_is_not_tried() {
    for (octets, outcome) in
        [(999, None), (1_000, None), (1_001, Some(Outcome::Exceeds(Limit::MessageOctets(1_000))))]
    {
        let mut order = order(&["a@example.org"]);
        order.parameters.size = Some(octets);
        let mut talk = greeted(settings(), "250-SIZE 1000|");
        talk.send(&order);
        assert_eq!(talk.out.is_empty(), outcome.is_some());
        assert_eq!(talk.step, outcome.map_or(ClientStep::Read, ClientStep::Done));
    }
    let mut order = order(&["a@example.org"]);
    order.parameters.size = Some(1 << 40);
    let mut talk = greeted(settings(), "250-SIZE 0|");
    talk.send(&order);
    assert_eq!(talk.step, ClientStep::Read, "no limit is named");
}

#[test]
fn limits_of_the_session_are_kept() {
    let mut talk = greeted(settings(), "250-LIMITS RCPTMAX=2 RCPTDOMAINMAX=1 MAILMAX=2|");
    assert_eq!(
        talk.client.allowance(),
        Allowance { recipients_max: Some(2), domains_max: Some(1), transactions: Some(2) }
    );
    talk.send(&order(&["a@example.org", "b@example.org", "c@example.org"]));
    assert_eq!(talk.step, ClientStep::Done(Outcome::Exceeds(Limit::Recipients(2))));
    talk.send(&order(&["a@example.org", "a@example.net"]));
    assert_eq!(talk.step, ClientStep::Done(Outcome::Exceeds(Limit::Domains(1))));
    for left in [1, 0] {
        talk.send(&order(&["a@example.org", "b@example.org"]));
        assert_eq!(talk.client.allowance().transactions, Some(left));
        talk.script(
            "
            C: MAIL FROM:<ann@example.org>
            C: RCPT TO:<a@example.org>
            C: RCPT TO:<b@example.org>
            C: DATA
            S: 250 ok|250 ok|250 ok|354 go on
        ",
        );
        talk.step = talk.client.data_sent();
        talk.script("S: 250 kept");
    }
    talk.send(&order(&["a@example.org"]));
    assert_eq!(talk.step, ClientStep::Done(Outcome::Exceeds(Limit::Transactions(2))));
    let unlimited = greeted(settings(), "");
    assert_eq!(
        unlimited.client.allowance(),
        Allowance { recipients_max: None, domains_max: None, transactions: None }
    );
}

#[test]
fn one_recipient_too_many_can_be_later() {
    let mut talk = greeted(settings(), "");
    talk.send(&order(&["a@example.org", "b@example.org", "c@example.org"]));
    talk.script(
        "
        C: MAIL FROM:<ann@example.org>
        C: RCPT TO:<a@example.org>
        C: RCPT TO:<b@example.org>
        C: RCPT TO:<c@example.org>
        C: DATA
        S: 250 ok|250 ok|552 too many|552 5.2.2 mailbox full|354 go on
    ",
    );
    talk.step = talk.client.data_sent();
    talk.script("S: 250 kept");
    assert_eq!(talk.codes(), [250, 452, 552]);
}

#[test]
fn mechanisms_of_the_caller_come_first() {
    let credentials = Some(credentials(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
    let mut talk = Talk::new(Settings { credentials: credentials.clone(), ..settings() });
    talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 AUTH PLAIN SCRAM-SHA-256");
    let asked = |challenge: Option<&[u8]>| ClientStep::Authenticate {
        mechanism: "SCRAM-SHA-256",
        challenge: challenge.map(<[u8]>::to_vec),
    };
    assert_eq!(talk.step, asked(None));
    talk.step = talk.client.respond(Some(b"n,,n=ann"), &mut talk.out);
    talk.script("C: AUTH SCRAM-SHA-256 biwsbj1hbm4=\nS: 334 cj14");
    assert_eq!(talk.step, asked(Some(b"r=x")));
    talk.step = talk.client.respond(Some(b"p=y"), &mut talk.out);
    talk.script("C: cD15\nS: 334 dj16");
    assert_eq!(talk.step, asked(Some(b"v=z")));
    talk.step = talk.client.respond(Some(b""), &mut talk.out);
    assert_eq!(std::mem::take(&mut talk.out), b"\r\n");
    talk.script("S: 235 2.7.0 welcome");
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
    // The caller does not believe the challenge, and neither do we if it is no base64.
    for (challenge, is_readable) in [("cj14", true), ("r=x!", false)] {
        let mut talk = Talk::new(Settings { credentials: credentials.clone(), ..settings() });
        talk.script("S: 220 x\nC: EHLO client.example\nS: 250-x|250 AUTH SCRAM-SHA-256-PLUS");
        talk.step = talk.client.respond(Some(b""), &mut talk.out);
        if is_readable {
            talk.script(&format!("C: AUTH SCRAM-SHA-256-PLUS =\nS: 334 {challenge}"));
            talk.step = talk.client.respond(None, &mut talk.out);
            talk.script("C: *\nS: 334 cj14");
        } else {
            talk.script(&format!(
                "C: AUTH SCRAM-SHA-256-PLUS =\nS: 334 {challenge}\nC: *\nS: 501 5.7.0 cancelled"
            ));
        }
        assert!(matches!(talk.step, ClientStep::Ready(Readiness::Refused(_))));
    }
}

#[test]
fn a_mechanism_the_caller_cannot_begin_gives_its_turn_to_the_next() {
    let credentials = Some(credentials(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
    let hello = "S: 220 x\nC: EHLO client.example\nS: 250-x|250 AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let mut talk = Talk::new(Settings { credentials, ..settings() });
    talk.script(hello);
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] {
        assert_eq!(talk.step, ClientStep::Authenticate { mechanism, challenge: None });
        talk.step = talk.client.respond(None, &mut talk.out);
    }
    talk.script("C: AUTH PLAIN AGFubgBzZWNyZXQ=\nS: 235 welcome");
    assert_eq!(talk.step, ClientStep::Ready(Readiness::Ready));
}

#[test]
fn an_original_recipient_too_long_for_the_wire_stays_behind() {
    for (letters, is_sent) in [(80, true), (81, true), (82, false)] {
        let address = "ø".repeat(letters);
        let mut order = order(&["a@example.org"]);
        order.recipients[0].parameters.original = OriginalRecipient::from_parts("utf-8", &address);
        assert!(order.recipients[0].parameters.original.is_some());
        let mut talk = greeted(settings(), "250-DSN|");
        talk.send(&order);
        let said = String::from_utf8(talk.out).unwrap();
        assert_eq!(said.contains("ORCPT"), is_sent, "{said}");
    }
}

#[test]
fn an_envelope_id_too_long_for_the_wire_stays_behind() {
    for (id, is_sent) in
        [("x".repeat(93), true), ("x".repeat(94), true), ("x".repeat(95), false), (" ".repeat(32), false)]
    {
        let mut order = order(&["a@example.org"]);
        order.parameters.envelope_id = EnvelopeId::new(&id);
        let mut talk = greeted(settings(), "250-DSN|");
        talk.send(&order);
        let said = String::from_utf8(talk.out).unwrap();
        assert_eq!(said.contains("ENVID"), is_sent, "{said}");
    }
}

#[test]
fn a_report_asks_for_tls_where_it_can_and_goes_where_it_cannot() {
    let mut report = order(&["a@example.org"]);
    report.reverse_path = ReversePath::Null;
    report.parameters.require_tls = true;
    let begun = Settings { starttls: StartTlsUse::Begun, ..settings() };
    for (settings, offers, parameter) in [
        (begun.clone(), "250-REQUIRETLS|", " REQUIRETLS"),
        (begun, "", ""),
        (settings(), "250-REQUIRETLS|", ""),
    ] {
        let mut talk = greeted(settings, offers);
        talk.send(&report);
        talk.script(&format!("C: MAIL FROM:<>{parameter}\nC: RCPT TO:<a@example.org>\nC: DATA"));
    }
}

fn any_deadline() -> impl Strategy<Value = Option<DeliverBy>> {
    let mode = prop_oneof![Just(DeadlineMode::Notify), Just(DeadlineMode::Return)];
    (-1_000_000_000_i32..=1_000_000_000, mode, any::<bool>())
        .prop_map(|(seconds, mode, trace)| DeliverBy::new(seconds, mode, trace))
}

proptest! {
    /// What our client asks for is what our server understands.
    #[test]
    fn parameters_are_read_as_written(
        id in "[ -~]{0,101}",
        kind in proptest::sample::select(vec!["rfc822", "utf-8", "x400", "X-what"]),
        address in "\\PC{0,60}",
        notify in 0_u8..9,
        priority in -10_i8..=10,
        deadline in any_deadline(),
        smtputf8 in any::<bool>(),
    ) {
        let mut order = order(&["a@example.org"]);
        order.parameters = MailParameters {
            smtputf8,
            returned: Some(ReturnedContent::Full),
            envelope_id: EnvelopeId::new(&id),
            priority: Priority::new(priority),
            deliver_by: deadline,
            ..MailParameters::default()
        };
        let original = OriginalRecipient::from_parts(kind, &address);
        order.recipients[0].parameters = RcptParameters { notify: Notify::from_bits(notify), original };
        let mut talk = greeted(settings(), "250-SMTPUTF8|250-DSN|250-MT-PRIORITY|250-DELIVERBY|");
        talk.send(&order);
        let offers = Offers {
            dsn: true,
            priority: true,
            deliver_by: Some(DeliverByOffer::default()),
            ..Offers::NONE
        };
        let said = String::from_utf8(talk.out).unwrap();
        let mut lines = said.split_terminator("\r\n");
        let Ok(Command::Mail(_, read)) = command::parse(lines.next().unwrap().as_bytes(), &offers) else {
            panic!("{said}")
        };
        if said.contains("ENVID") {
            prop_assert_eq!(read, order.parameters);
        } else {
            prop_assert_eq!(read, MailParameters { envelope_id: None, ..order.parameters });
        }
        let Ok(Command::Rcpt(path, read)) = command::parse(lines.next().unwrap().as_bytes(), &offers) else {
            panic!("{said}")
        };
        prop_assert!(smtputf8 || path.script == command::Script::Ascii);
        if said.contains("ORCPT") || order.recipients[0].parameters.original.is_none() {
            prop_assert_eq!(read, order.recipients[0].parameters.clone());
        }
        prop_assert_eq!(lines.next(), Some("DATA"));
    }
}
