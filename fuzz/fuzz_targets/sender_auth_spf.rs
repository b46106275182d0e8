//! SPF from whoever publishes it: a record, macro strings, and a zone that answers as it likes. Records read back as
//! written; a check ends, asks nothing twice and little at all, and its field stays one field.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use mail_types::ReversePath;
use sender_auth::spf::{self, Identity, Limits, MacroString, NAMES_PER_TERM_MAX, Query, Record, Sender};
use sender_auth::{Answers, Needs, QueryName, Question, Reply, ReplyError};

fuzz_target!(|octets: &[u8]| {
    let Some(([choice, family], text)) = octets.split_first_chunk::<2>() else { return };
    // Line 1 is what the client says, the others are what DNS says.
    let mut lines = text.split(|octet| *octet == b'\n');
    let hello = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let lines: Vec<&[u8]> = lines.collect();
    lines.iter().for_each(|line| check_grammar(line));

    let address: IpAddr =
        if *family & 1 == 0 { [192, 0, 2, *choice].into() } else { [u16::from(*choice); 8].into() };
    let query = Query {
        address,
        helo: &hello,
        reverse_path: &ReversePath::Null,
        receiver: "mx.example",
        now_seconds: i64::from(*choice),
    };
    let sender = Sender { local_part: hello.chars().take(64).collect(), domain: "a.example".to_owned() };
    let limits = Limits::default();
    let questions_max = 3 + usize::from(limits.lookups) * (1 + NAMES_PER_TERM_MAX) + NAMES_PER_TERM_MAX;
    let (mut answers, mut asked) = (Answers::new(), 0);
    let outcome = loop {
        match spf::check_host(&sender, &query, limits, &answers) {
            Ok(outcome) => break outcome,
            Err(Needs(questions)) => {
                assert!(!questions.is_empty());
                for question in questions {
                    assert!(!answers.knows(&question), "{question:?} asked again");
                    let reply = reply_to(&question, address, &lines, asked + usize::from(*choice));
                    answers.add(question, reply);
                    asked += 1;
                }
                assert!(asked <= questions_max, "{asked} questions");
            }
        }
    };
    let mut field = Vec::new();
    spf::write_received_spf(Identity::MailFrom, &query, &outcome, &mut field);
    let field = field.strip_suffix(b"\r\n").expect("a field ends");
    assert!(
        field.split(|octet| *octet == b'\n').skip(1).all(|line| line.starts_with(b"\t") && line.len() < 998)
    );
});

fn check_grammar(line: &[u8]) {
    if let Ok(string) = MacroString::parse_explanation(line) {
        assert_eq!(
            MacroString::parse(&string.to_string().replace(' ', "%_")).map(|read| read.to_string()).ok(),
            Some(string.to_string().replace(' ', "%_"))
        );
    }
    let line = [b"v=spf1 ".as_slice(), line].concat();
    if let Ok(record) = Record::parse(&line) {
        assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
    }
}

/// One line of the zone, another for each question: what is no name or address there is a record.
fn reply_to(
    question: &Question,
    client: IpAddr,
    lines: &[&[u8]],
    number: usize,
) -> Result<Reply, ReplyError> {
    let Some(line) = lines.get(number % lines.len().max(1)) else { return Err(ReplyError::NoData) };
    let names = || -> Vec<QueryName> {
        let words = line.split(|octet| *octet == b' ').map(String::from_utf8_lossy);
        words.filter_map(|word| QueryName::parse(&word).ok()).collect()
    };
    match (line.first(), question) {
        (Some(b'!'), _) => Err(ReplyError::Failure),
        (None, _) => Err(ReplyError::NoSuchName),
        (_, Question::Txt(_)) => Ok(Reply::Txt(vec![(*line).into()])),
        (_, Question::A(_)) => Ok(Reply::A(match client {
            IpAddr::V4(four) if line.len() % 2 == 0 => vec![four],
            _ => vec![[192, 0, 2, 1].into()],
        })),
        (_, Question::Aaaa(_)) => Ok(Reply::Aaaa(match client {
            IpAddr::V6(six) if line.len() % 2 == 0 => vec![six],
            _ => vec![[1; 8].into()],
        })),
        (_, Question::Mx(_)) => Ok(Reply::Mx(names().into_iter().map(|name| (1, name)).collect())),
        (_, Question::Ptr(_)) => Ok(Reply::Ptr(names())),
    }
}
