//! What is written is read back the same, and what is damaged is said to be.

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

use super::*;

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z0-9;@.]{0,40}".prop_map(String::into_boxed_str)
}

fn an_address() -> impl Strategy<Value = Address> {
    // Names of ours are short; list servers' and forwarders' fill a path.
    ("[a-z]{1,8}|[a-z=]{200,235}", "[a-z]{1,8}")
        .prop_map(|(local, name)| Address::parse(&format!("{local}@{name}.example")).unwrap())
}

fn a_recipient() -> impl Strategy<Value = Recipient> {
    let destination = prop::sample::select(vec![
        "same",
        "other.example",
        "[192.0.2.1]",
        "relay mx.example:25 plain",
        "lmtp /run/lmtp",
    ]);
    let notify = prop::sample::select(vec![
        Notify::Default,
        Notify::Never,
        Notify::On { success: true, failure: false, delay: true },
        Notify::On { success: false, failure: true, delay: false },
    ]);
    let parts = (an_address(), destination, notify, prop::option::of(text()), prop::option::of(an_address()));
    parts.prop_map(|(forward_path, key, notify, original_recipient, expanded_from)| {
        let own = || Destination::Domain(forward_path.domain_name().unwrap().clone());
        let destination = if key == "same" { own() } else { Destination::from_key(key).unwrap() };
        Recipient { forward_path, destination, original_recipient, notify, expanded_from }
    })
}

fn a_message() -> impl Strategy<Value = NewMessage> {
    let envelope = (
        any::<u64>(),
        any::<i32>(),
        prop::option::of(an_address()),
        prop::option::of(any::<u32>()),
        any::<[bool; 7]>(),
        -9_i8..=9,
        prop::option::of(text()),
    );
    let times = (prop::option::of(any::<i32>()), prop::option::of(any::<i32>()));
    let recipients = prop::collection::vec(a_recipient(), 1..6);
    (envelope, times, recipients).prop_map(|(envelope, (hold, by), recipients)| {
        let (way, arrived, sender, submitter, flags, priority, envelope_id) = envelope;
        let time = |seconds: i32| Timestamp::from_unix_seconds(seconds.into());
        NewMessage {
            way: TransactionId(way),
            arrived: time(arrived),
            reverse_path: sender.map_or(ReversePath::Null, ReversePath::Address),
            submitter: submitter.map(AccountId),
            kind: match (flags[0], flags[1]) {
                (true, true) => MessageKind::TlsReport,
                (true, false) => MessageKind::Report,
                (false, _) => MessageKind::Mail,
            },
            needs: BodyNeeds { eight_bit: flags[1], binary: flags[2], international: flags[3] },
            require_tls: flags[4],
            priority: Priority::new(priority).unwrap(),
            return_content: flags[5].then_some(ReturnContent::Headers),
            envelope_id,
            hold_until: hold.map(time),
            deliver_by: by.map(|at| DeliverBy {
                at: time(at),
                mode: if flags[6] { DeliverByMode::Return } else { DeliverByMode::Notify },
                is_traced: flags[5],
            }),
            recipients,
        }
    })
}

proptest! {
    #[test]
    fn queued_messages_read_back_as_written(id in any::<u64>(), octets in any::<u64>(), message in a_message()) {
        let record = Record::Queued(Queued { id: QueueId(id), is_copy: octets % 2 == 0, octets, message });
        prop_assert_eq!(decode(&encode([&record])), Ok(vec![record]));
    }

    #[test]
    fn what_is_read_never_panics(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz(&[&[VERSION], octets.as_slice()].concat());
    }
}

#[test]
fn other_records_read_back_as_written() {
    let id = QueueId(1_700_000_000_000 << 20);
    let numbers = vec![RecipientNumber(0), RecipientNumber(1_999)];
    let until = Timestamp::from_unix_seconds(5);
    let records = vec![
        Record::Settled { id, recipients: vec![(RecipientNumber(3), RecipientState::Expired)] },
        Record::Changed { id, sequence: 9, hold: Hold::Operator },
        Record::Changed { id, sequence: 10, hold: Hold::Until(until) },
        Record::Changed { id, sequence: u64::MAX, hold: Hold::None },
        Record::Changed { id, sequence: 11, hold: Hold::Submitter },
        Record::Warned { id, recipients: numbers },
        Record::Done { id, first: PackId(3), last: PackId(u32::MAX) },
    ];
    assert_eq!(decode(&encode(&records)), Ok(records.clone()));
    assert!(!is_copy(&encode(&records)));
    assert!(is_copy(&encode_copy(&records)));
    assert_eq!(decode(&encode_copy(&records)), Ok(records));
    assert_eq!(decode(&[3]), Err(Damaged));
}

#[test]
fn diagnostics_read_back_as_written() {
    let plain = Diagnostic { remote: None, code: None, status: None, text: "no route".into() };
    let full = Diagnostic {
        remote: Some("mx.example".into()),
        code: ReplyCode::parse(550),
        status: Some(EnhancedCode::new(5, 1, 1)),
        text: "x".repeat(2_000).into(),
    };
    for diagnostic in [plain, full.bounded()] {
        assert!(diagnostic.text.len() <= crate::message::DIAGNOSTIC_OCTETS_MAX);
        assert_eq!(decode_diagnostic(&encode_diagnostic(&diagnostic)), Ok(diagnostic));
    }
}
