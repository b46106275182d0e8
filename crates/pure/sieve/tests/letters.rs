//! What actions send: answers of vacation, refusals, notifications, reports.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use mail_types::Address;
use message::Date;
use sieve::message::{AddressForm, Message, MessageLimits};
use sieve::{
    Action, EmptyWorld, Envelope, Letter, Office, Silence, VacationRules, notification_letter,
    rejection_letter, report_letter, vacation_letter,
};

const QUESTION: &str = "\
From: \"Bob Builder\" <bob@example.net>
To: Ann <ann@example.com>
Subject: Can we fix it?
Message-ID: <2@example.net>
References: <1@example.net>

Well?
";

struct Scene {
    envelope: Envelope,
    own: Vec<String>,
    postmaster: Address,
}

impl Scene {
    fn new(from: &str) -> Scene {
        let envelope = Envelope {
            from: Some(from.to_owned()),
            to: Some("ann@example.com".to_owned()),
            ..Envelope::default()
        };
        let postmaster = Address::parse("postmaster@example.com").unwrap();
        Scene { envelope, own: vec!["ann@example.com".to_owned()], postmaster }
    }

    fn office(&self) -> Office<'_> {
        Office {
            now: Date { unix_seconds: 1_795_687_506, zone_minutes: 60 },
            message_id: "<new@mail.example.com>",
            postmaster: &self.postmaster,
            host: "mail.example.com",
            envelope: &self.envelope,
            own_addresses: &self.own,
            address_form: AddressForm::International,
        }
    }

    /// The letter that the first action of a script sends.
    fn letter(&self, script: &str, text: &str) -> Result<(Letter, String), Silence> {
        let outcome = story::run_in(&EmptyWorld, script, text);
        let message = Message::from_octets(text.as_bytes(), MessageLimits::default()).unwrap();
        let office = self.office();
        let letter = match &outcome.actions.first().expect("an action").action {
            Action::Vacation(vacation) => {
                vacation_letter(vacation, &message, &office, &VacationRules::default())
            }
            Action::Reject(reject) => rejection_letter(reject, &message, &office),
            Action::Notify(notify) => notification_letter(notify, &message, &office, &[]),
            Action::Report(report) => report_letter(report, &message, &office, None),
            other => panic!("{other:?} sends nothing"),
        }?;
        let whole = message::Span::new(0, u64::MAX);
        let octets = letter.content.read(message.source(), whole).unwrap();
        Ok((letter, String::from_utf8(octets).unwrap()))
    }
}

#[test]
fn a_question_is_answered() {
    let scene = Scene::new("<bob@example.net>");
    let (letter, text) =
        scene.letter("require \"vacation\"; vacation \"I am on holiday.\";", QUESTION).unwrap();
    assert_eq!(letter.from, mail_types::ReversePath::Null);
    assert_eq!(letter.recipients, [Address::parse("bob@example.net").unwrap()]);
    assert_eq!(
        text,
        format!(
            "X-Sieve: mailstead {}\r\n\
             Message-ID: <new@mail.example.com>\r\n\
             Date: Thu, 26 Nov 2026 11:05:06 +0100\r\n\
             From: ann@example.com\r\n\
             To: \"Bob Builder\" <bob@example.net>\r\n\
             Subject: Auto: Can we fix it?\r\n\
             In-Reply-To: <2@example.net>\r\n\
             References: <1@example.net>\r\n <2@example.net>\r\n\
             Auto-Submitted: auto-replied (vacation)\r\n\
             Precedence: bulk\r\n\
             X-Auto-Response-Suppress: All\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\
             Content-Transfer-Encoding: 7bit\r\n\
             \r\n\
             I am on holiday.\r\n",
            env!("CARGO_PKG_VERSION")
        )
    );
}

/// RFC 3834 §2, RFC 5230 §4.5 and §4.6.
#[test]
fn what_needs_no_answer_gets_none() {
    let silence = |from: &str, text: &str| {
        let scene = Scene::new(from);
        scene.letter("require \"vacation\"; vacation :addresses \"ann@home.example\" \"Away.\";", text).err()
    };
    let with = |field: &str| format!("{field}\r\n{QUESTION}");
    assert_eq!(silence("bob@example.net", QUESTION), None);
    assert_eq!(silence("", QUESTION), Some(Silence::NoSender));
    assert_eq!(silence("<>", QUESTION), Some(Silence::NoSender));
    assert_eq!(silence("Ann@Home.example", QUESTION), Some(Silence::FromOurselves));
    for program in
        ["MAILER-DAEMON@a.example", "owner-x@a.example", "x-request@a.example", "noreply@a.example"]
    {
        assert_eq!(silence(program, QUESTION), Some(Silence::FromProgram), "{program}");
    }
    assert_eq!(silence("bob@example.net", &with("List-Id: <x>")), Some(Silence::FromList));
    for field in ["Auto-Submitted: auto-replied", "Precedence: bulk", "X-Auto-Response-Suppress: DR, OOF"] {
        assert_eq!(silence("bob@example.net", &with(field)), Some(Silence::Automatic), "{field}");
    }
    assert_eq!(silence("bob@example.net", &with("Auto-Submitted: no")), None);
    let to_others = QUESTION.replace("ann@example.com", "all@example.com");
    assert_eq!(silence("bob@example.net", &to_others), Some(Silence::NotAddressed));
    assert_eq!(silence("bob@example.net", &QUESTION.replace("ann@example.com", "ann@HOME.example")), None);
}

/// RFC 5230 §4.7 and §5.4; nothing that a sender wrote begins a field or ends one.
#[test]
fn answers_say_what_the_script_says() {
    let scene = Scene::new("bob@example.net");
    let script = "require \"vacation\"; vacation :mime :from \"Ännchen <a@b.example>\" :subject \"Weg\r\nBcc: x@y.example\" text:\r\nContent-Type: text/html\r\nX-Evil: 1\r\n\r\n<b>Away</b>\r\n.\r\n;";
    let (_, text) = scene.letter(script, QUESTION).unwrap();
    assert!(text.contains("\r\nContent-Type: text/html\r\n\r\n<b>Away</b>\r\n"), "{text}");
    assert!(text.contains("<a@b.example>"), "{text}");
    assert!(!text.contains("X-Evil") && !text.contains("\r\nBcc:"), "{text}");
    let evil = QUESTION.replace("Can we fix it?", "=?utf-8?q?a=0D=0ABcc:_x@y.example?=");
    let (_, text) = scene.letter("require \"vacation\"; vacation \"ü\";", &evil).unwrap();
    assert!(!text.contains("\nBcc:"), "{text}");
    assert!(
        text.ends_with("charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n"),
        "{text}"
    );
    let long = QUESTION.replace("Can we fix it?", &"x ".repeat(500));
    let (_, text) = scene.letter("require \"vacation\"; vacation \"Away.\";", &long).unwrap();
    let subject = text.lines().find(|line| line.starts_with("Subject:")).unwrap();
    assert!(subject.len() < 100, "{subject}");
}

#[test]
fn subjects_of_notifications_have_256_characters_at_most() {
    let scene = Scene::new("<bob@example.net>");
    for (characters, end) in [(255, ""), (256, "x"), (257, "…")] {
        let words = "x".repeat(characters);
        let script = format!("require \"enotify\"; notify :message \"{words}\" \"mailto:bob@home.example\";");
        let (_, text) = scene.letter(&script, QUESTION).unwrap();
        let told = Message::from_octets(text.as_bytes(), MessageLimits::default()).unwrap();
        let subject = told.named("subject").next().unwrap().text().to_owned();
        assert_eq!(subject, format!("{}{end}", "x".repeat(255)), "{characters}");
    }
}

/// RFC 5429 §2.2.
#[test]
fn a_refusal_tells_the_sender() {
    let scene = Scene::new("bob@example.net");
    let (letter, text) = scene.letter("require \"reject\"; reject \"No more.\";", QUESTION).unwrap();
    assert_eq!(letter.from, mail_types::ReversePath::Null);
    for part in [
        "report-type=disposition-notification",
        "\r\nNo more.\r\n",
        "Final-Recipient: rfc822;ann@example.com\r\n",
        "Original-Message-ID: <2@example.net>\r\n",
        "Disposition: automatic-action/MDN-sent-automatically; deleted\r\n",
        "Subject: Can we fix it?\r\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("Well?"));
    assert_eq!(
        Scene::new("<>").letter("require \"reject\"; reject \"No.\";", QUESTION).err(),
        Some(Silence::NoSender)
    );
}

/// RFC 5435 §3, RFC 5436 §2.
#[test]
fn notifications_go_by_mail() {
    let scene = Scene::new("bob@example.net");
    let script = "require \"enotify\"; notify :importance \"1\" :message \"Look!\" \"mailto:c@d.example?cc=e@f.example&X-A=b\";";
    let (letter, text) = scene.letter(script, QUESTION).unwrap();
    assert_eq!(letter.recipients.len(), 2);
    for line in [
        "To: c@d.example\r\n",
        "Cc: e@f.example\r\n",
        "Subject: Look!\r\n",
        "X-A: b\r\n",
        "Importance: high\r\n",
        "Auto-Submitted: auto-notified; owner-email=\"ann@example.com\"\r\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let automatic = format!("Auto-Submitted: auto-notified\n{QUESTION}");
    assert_eq!(scene.letter(script, &automatic).err(), Some(Silence::Automatic));
}

#[test]
fn abuse_is_reported_with_the_message() {
    let scene = Scene::new("bob@example.net");
    let script = "require \"vnd.dovecot.report\"; report \"abuse\" \"Spam!\" \"abuse@example.net\";";
    let (_, text) = scene.letter(script, QUESTION).unwrap();
    for part in [
        "Feedback-Type: abuse\r\n",
        "Original-Mail-From: <bob@example.net>\r\n",
        "\r\nSpam!\r\n",
        "\nWell?\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (_, text) = scene
        .letter(&script.replace("report \"abuse\"", "report :headers_only \"abuse\""), QUESTION)
        .unwrap();
    assert!(!text.contains("Well?") && text.contains("text/rfc822-headers"));
}

/// Class 3 of the threats: a lone line feed could end a message where the next server does not expect it.
#[test]
fn no_line_ends_otherwise_than_with_crlf() {
    let scene = Scene::new("bob@example.net");
    for script in [
        "require [\"vacation\", \"encoded-character\"]; vacation :mime \"Content-Type: text/plain${hex:0a 0a}a${hex:0a}.${hex:0a}b${hex:0d}c\";",
        "require [\"vacation\", \"encoded-character\"]; vacation \"a${hex:0a}.${hex:0a}b${hex:0d}c\";",
        "require [\"reject\", \"encoded-character\"]; reject \"a${hex:0a}.${hex:0a}b${hex:0d}c\";",
        "require [\"enotify\", \"encoded-character\"]; notify :message \"a${hex:0a}.${hex:0a}b${hex:0d}c\" \"mailto:c@d.example?body=x%0d.%0ay\";",
    ] {
        let (_, text) = scene.letter(script, QUESTION).unwrap();
        let alone = text.replace("\r\n", "");
        assert!(!alone.contains(['\r', '\n']), "{text:?}");
    }
}
