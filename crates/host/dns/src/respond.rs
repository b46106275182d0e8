//! From a program's octets to its question, and from our answer to octets (RFC 1035 §4.1, RFC 4035 §3.2, RFC 6891).

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::{DNSClass, Record, RecordType};

use crate::answer::{LookupError, Security};
use crate::frames::check_counts;
use crate::question::{Asked, Checking};
use crate::reply::{Age, Reply, Status};

/// Octets that a datagram to a program may have: on loopback nothing is cut to pieces.
pub(crate) const DATAGRAM_OCTETS_MAX: u16 = 4096;
/// Octets that a datagram may have when nothing else is said (RFC 1035 §4.2.1).
const DATAGRAM_OCTETS_PLAIN: u16 = 512;
/// The version of EDNS that there is (RFC 6891 §6.1.3).
const EDNS_VERSION: u8 = 0;
/// The option that says more about a failure (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;

/// What came of a message.
#[derive(Debug)]
pub(crate) enum Heard {
    /// No question: an answer, or less than a header. Nothing is said to it, lest two servers talk for ever.
    Nothing,
    /// A question that is refused, with what to say.
    Refused(Vec<u8>),
    /// A question.
    Question(Box<Request>),
}

/// A question as it was asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    id: u16,
    /// The question in the letters it was asked in.
    written: Query,
    /// What the program says of itself, if it speaks EDNS.
    extension: Option<Extension>,
    /// Whether it knows what the AD bit means (RFC 6840 §5.7).
    wants_verdict: bool,
}

#[derive(Clone, Copy, Debug)]
struct Extension {
    octets_max: u16,
    wants_signatures: bool,
}

impl Request {
    /// Octets that a datagram to this program may have.
    pub(crate) fn datagram_octets_max(&self) -> usize {
        let octets = self.extension.map_or(DATAGRAM_OCTETS_PLAIN, |extension| extension.octets_max);
        octets.clamp(DATAGRAM_OCTETS_PLAIN, DATAGRAM_OCTETS_MAX).into()
    }
}

/// Reads a program's message.
pub(crate) fn hear(octets: &[u8]) -> Heard {
    let [id_high, id_low, flags, ..] = *octets else { return Heard::Nothing };
    let is_answer = flags & 0x80 != 0;
    if octets.len() < 12 || is_answer {
        return Heard::Nothing;
    }
    let message = check_counts(octets).ok().and_then(|()| Message::from_vec(octets).ok());
    let Some(message) = message else {
        // What an answer copies is known from the header, whatever is wrong behind it (RFC 1035 §4.1.1).
        let id = u16::from_be_bytes([id_high, id_low]);
        let op_code = OpCode::from_u8((flags >> 3) & 0x0f);
        let mut unread = Message::new(id, MessageType::Query, op_code);
        unread.metadata.recursion_desired = flags & 0x01 != 0;
        return refused(&unread, ResponseCode::FormErr);
    };
    if message.metadata.op_code != OpCode::Query {
        return refused(&message, ResponseCode::NotImp);
    }
    let [written] = message.queries.as_slice() else { return refused(&message, ResponseCode::FormErr) };
    if message.edns.as_ref().is_some_and(|edns| edns.version() > EDNS_VERSION) {
        return refused(&message, ResponseCode::BADVERS);
    }
    // We are responsible for no zone: who does not want us to ask others (RD) wants nothing of us.
    if written.query_class() != DNSClass::IN || !message.metadata.recursion_desired {
        return refused(&message, ResponseCode::Refused);
    }
    if is_no_type_of_data(written.query_type()) {
        return refused(&message, ResponseCode::NotImp);
    }
    let extension = message
        .edns
        .as_ref()
        .map(|edns| Extension { octets_max: edns.max_payload(), wants_signatures: edns.flags().dnssec_ok });
    let checking = if message.metadata.checking_disabled { Checking::Theirs } else { Checking::Ours };
    let query = Query::query(written.name().to_lowercase(), written.query_type());
    Heard::Question(Box::new(Request {
        asked: Asked { query, checking },
        id: message.metadata.id,
        written: written.clone(),
        wants_verdict: message.metadata.authentic_data
            || extension.is_some_and(|extension| extension.wants_signatures),
        extension,
    }))
}

/// Writes the answer, as much as fits: over UDP the program is told to ask again over TCP for the rest (RFC 2181 §9).
/// `None` when it fits nowhere.
pub(crate) fn write(
    request: &Request,
    reply: &Result<Reply, LookupError>,
    octets_max: usize,
) -> Option<Vec<u8>> {
    let mut message = Message::new(request.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.recursion_available = true;
    message.metadata.checking_disabled = request.asked.checking == Checking::Theirs;
    message.add_query(request.written.clone());
    let wants_signatures = request.extension.is_some_and(|extension| extension.wants_signatures);
    if request.extension.is_some() {
        message.set_edns(extension(wants_signatures, more(reply)));
    }
    match reply {
        Ok(reply) => {
            if reply.status == Status::NoSuchName {
                message.metadata.response_code = ResponseCode::NXDomain;
            }
            message.metadata.authentic_data = reply.security == Security::Secure
                && request.asked.checking == Checking::Ours
                && request.wants_verdict;
            message.add_answers(timed(&reply.answers, reply));
            message.add_authorities(timed(&reply.authorities, reply));
            message = message.maybe_strip_dnssec_records(wants_signatures);
        }
        Err(_) => message.metadata.response_code = ResponseCode::ServFail,
    }
    let wire = message.to_vec().ok()?;
    if wire.len() <= octets_max {
        return Some(wire);
    }
    message.answers.clear();
    message.authorities.clear();
    message.metadata.truncation = true;
    message.metadata.authentic_data = false;
    message.to_vec().ok().filter(|wire| wire.len() <= octets_max)
}

/// The records, to be used no longer than the whole answer.
fn timed(records: &[Record], reply: &Reply) -> Vec<Record> {
    let left = u32::try_from(reply.valid_for.as_secs()).unwrap_or(u32::MAX);
    let mut records = records.to_vec();
    for record in &mut records {
        record.ttl = record.ttl.min(left);
    }
    records
}

/// What an extended error says of the answer (RFC 8914 §4).
fn more(reply: &Result<Reply, LookupError>) -> Option<u16> {
    match reply {
        Ok(reply) => (reply.age == Age::Stale).then_some(3),
        Err(LookupError::Bogus(_)) => Some(6),
        Err(LookupError::Timeout | LookupError::Unreachable(_)) => Some(22),
        Err(_) => Some(0),
    }
}

fn extension(wants_signatures: bool, more: Option<u16>) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM_OCTETS_MAX);
    edns.set_dnssec_ok(wants_signatures);
    if let Some(more) = more {
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, more.to_be_bytes().to_vec()));
    }
    edns
}

fn refused(message: &Message, code: ResponseCode) -> Heard {
    let mut answer = Message::new(message.metadata.id, MessageType::Response, message.metadata.op_code);
    answer.metadata.recursion_desired = message.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    if let [query] = message.queries.as_slice() {
        answer.add_query(query.clone());
    }
    if message.edns.is_some() {
        answer.set_edns(extension(false, None));
    }
    answer.to_vec().map_or(Heard::Nothing, Heard::Refused)
}

/// Whether a type is none that names have records of: transfers, ANY (RFC 8482), and what only stands beside records.
fn is_no_type_of_data(kind: RecordType) -> bool {
    let number = u16::from(kind);
    // RFC 6895 §3.1: questions and what is about messages.
    let is_meta = (128..=255).contains(&number) || number == 0;
    is_meta || matches!(kind, RecordType::OPT | RecordType::RRSIG)
}

/// What fuzzing sees of all this: what is said to a program's octets when the question fails, and when the answer is the
/// records that came along with it. How long each may be stands beside it.
#[cfg(fuzzing)]
pub fn answers_to(octets: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let request = match hear(octets) {
        Heard::Nothing => return Vec::new(),
        Heard::Refused(answer) => return vec![(answer, DATAGRAM_OCTETS_PLAIN.into())],
        Heard::Question(request) => request,
    };
    let octets_max = request.datagram_octets_max();
    let told = Message::from_vec(octets).map(|message| Reply {
        status: Status::Exists,
        security: Security::Secure,
        answers: message.answers,
        authorities: message.authorities,
        valid_for: std::time::Duration::from_secs(u64::from(u32::MAX)),
        age: Age::Fresh,
    });
    let replies = [told.map_err(|_| LookupError::Busy), Err(LookupError::Timeout)];
    replies.iter().filter_map(|reply| Some((write(&request, reply, octets_max)?, octets_max))).collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn question(kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii("Www.Example.").unwrap(), kind));
        message
    }

    fn code(message: &Message) -> Option<ResponseCode> {
        match hear(&message.to_vec().unwrap()) {
            Heard::Refused(octets) => {
                let answer = Message::from_vec(&octets).unwrap();
                assert_eq!((answer.metadata.id, answer.metadata.message_type), (7, MessageType::Response));
                Some(answer.metadata.response_code)
            }
            Heard::Question(_) | Heard::Nothing => None,
        }
    }

    #[test]
    fn what_is_no_plain_question_is_refused() {
        assert_eq!(code(&question(RecordType::MX)), None);
        assert_eq!(code(&question(RecordType::Unknown(65280))), None);
        for kind in [RecordType::ANY, RecordType::AXFR, RecordType::IXFR, RecordType::RRSIG, RecordType::OPT]
        {
            assert_eq!(code(&question(kind)), Some(ResponseCode::NotImp), "{kind}");
        }
        let mut iterative = question(RecordType::MX);
        iterative.metadata.recursion_desired = false;
        assert_eq!(code(&iterative), Some(ResponseCode::Refused));
        let mut chaos = question(RecordType::TXT);
        chaos.queries[0].set_query_class(DNSClass::CH);
        assert_eq!(code(&chaos), Some(ResponseCode::Refused));
        let mut update = question(RecordType::SOA);
        update.metadata.op_code = OpCode::Update;
        assert_eq!(code(&update), Some(ResponseCode::NotImp));
        let mut two = question(RecordType::MX);
        two.add_query(two.queries[0].clone());
        assert_eq!(code(&two), Some(ResponseCode::FormErr));
        let mut newer = question(RecordType::MX);
        newer.set_edns(Edns::new().set_version(1).clone());
        // The number has two names (RFC 6895 §2.3).
        assert_eq!(code(&newer).map(u16::from), Some(u16::from(ResponseCode::BADVERS)));
    }

    #[test]
    fn answers_and_fragments_are_not_answered() {
        let mut answer = question(RecordType::MX);
        answer.metadata.message_type = MessageType::Response;
        assert!(matches!(hear(&answer.to_vec().unwrap()), Heard::Nothing));
        for length in 0..12 {
            assert!(matches!(hear(&vec![0; length]), Heard::Nothing), "{length}");
        }
        // A header and no sense behind it.
        let mut noise = vec![0; 12];
        noise[5] = 1;
        // The answer is to what was asked, however little of it could be read: here an update.
        noise[2] = 0x29;
        let Heard::Refused(answer) = hear(&noise) else { panic!("{noise:?}") };
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
        assert_eq!((answer.metadata.op_code, answer.metadata.recursion_desired), (OpCode::Update, true));
    }

    #[test]
    fn a_datagram_is_as_large_as_the_program_says_within_bounds() {
        let asked = |octets: Option<u16>| {
            let mut message = question(RecordType::MX);
            if let Some(octets) = octets {
                message.set_edns(Edns::new().set_max_payload(octets).clone());
            }
            let Heard::Question(request) = hear(&message.to_vec().unwrap()) else { panic!("{message:?}") };
            request.datagram_octets_max()
        };
        for (octets, expected) in
            [(None, 512), (Some(100), 512), (Some(1232), 1232), (Some(4096), 4096), (Some(4097), 4096)]
        {
            assert_eq!(asked(octets), expected, "{octets:?}");
        }
    }
}
