//! Asks DNS what the checks of `sender-auth` need.

use std::net::IpAddr;
use std::time::Duration;

use dns::{LookupError, Name, RecordData, RecordType, Resolver};
use futures_util::{StreamExt, stream};
use sender_auth::{Answers, Needs, QueryName, Question, Reply, ReplyError};
use tokio::time::Instant;

/// Questions about one message: SPF may need about 130, DMARC 144 for each author, signatures and seals one each. What
/// goes beyond is answered with failure, so a message made to ask without end is put off or judged without it.
const QUESTIONS_MAX: usize = 600;
/// Questions that are open at a time.
const OPEN_MAX: usize = 16;

/// The answers about one message.
pub(crate) struct Asker<'a> {
    resolver: &'a Resolver,
    answers: Answers,
    asked: usize,
    deadline: Instant,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(resolver: &'a Resolver, time_max: Duration) -> Self {
        Self { resolver, answers: Answers::new(), asked: 0, deadline: Instant::now() + time_max }
    }

    /// Runs a check until it has all the answers it needs.
    pub(crate) async fn settle<T>(&mut self, check: impl Fn(&Answers) -> Result<T, Needs>) -> T {
        loop {
            match check(&self.answers) {
                Ok(result) => return result,
                Err(Needs(questions)) => self.ask(questions).await,
            }
        }
    }

    /// Asks what is not known yet. Every question has a reply afterwards: whatever the network does, a check goes on.
    async fn ask(&mut self, questions: Vec<Question>) {
        let left = QUESTIONS_MAX.saturating_sub(self.asked);
        self.asked = self.asked.saturating_add(questions.len());
        let (resolver, deadline) = (self.resolver, self.deadline);
        let (now, never) = questions.split_at(left.min(questions.len()));
        let mut replies = stream::iter(now.iter().cloned())
            .map(|question| async move {
                let reply = tokio::time::timeout_at(deadline, look_up(resolver, &question)).await;
                (question, reply.unwrap_or(Err(ReplyError::Failure)))
            })
            .buffer_unordered(OPEN_MAX);
        while let Some((question, reply)) = replies.next().await {
            self.answers.add(question, reply);
        }
        for question in never {
            self.answers.add(question.clone(), Err(ReplyError::Failure));
        }
    }
}

async fn look_up(resolver: &Resolver, question: &Question) -> Result<Reply, ReplyError> {
    let reply = match question {
        Question::Txt(name) => Reply::Txt(records(resolver, name, RecordType::Txt, text).await?),
        Question::A(name) => Reply::A(records(resolver, name, RecordType::A, four).await?),
        Question::Aaaa(name) => Reply::Aaaa(records(resolver, name, RecordType::Aaaa, six).await?),
        Question::Mx(name) => {
            let mut exchangers = records(resolver, name, RecordType::Mx, exchanger).await?;
            exchangers.sort_by_key(|(preference, _)| *preference);
            Reply::Mx(exchangers)
        }
        Question::Ptr(address) => {
            let answer = resolver.ptr(*address).await.map_err(failure)?;
            let names: Vec<_> =
                answer.records.iter().filter_map(|name| QueryName::parse(name.as_str()).ok()).collect();
            Reply::Ptr(some(names)?)
        }
    };
    Ok(reply)
}

async fn records<T>(
    resolver: &Resolver,
    name: &QueryName,
    kind: RecordType,
    read: fn(RecordData) -> Option<T>,
) -> Result<Vec<T>, ReplyError> {
    // What is no name for DNS does not exist there.
    let name = Name::parse(name.as_str()).map_err(|_| ReplyError::NoSuchName)?;
    let answer = resolver.resolve(&name, kind).await.map_err(failure)?;
    some(answer.records.into_iter().filter_map(read).collect())
}

fn some<T>(records: Vec<T>) -> Result<Vec<T>, ReplyError> {
    if records.is_empty() { Err(ReplyError::NoData) } else { Ok(records) }
}

fn failure(error: LookupError) -> ReplyError {
    match error {
        LookupError::NoSuchName { .. } => ReplyError::NoSuchName,
        LookupError::NoData { .. } => ReplyError::NoData,
        _ => ReplyError::Failure,
    }
}

fn text(record: RecordData) -> Option<Box<[u8]>> {
    match record {
        RecordData::Text(text) => Some(text.into()),
        _ => None,
    }
}

fn four(record: RecordData) -> Option<std::net::Ipv4Addr> {
    match record {
        RecordData::Address(IpAddr::V4(address)) => Some(address),
        _ => None,
    }
}

fn six(record: RecordData) -> Option<std::net::Ipv6Addr> {
    match record {
        RecordData::Address(IpAddr::V6(address)) => Some(address),
        _ => None,
    }
}

fn exchanger(record: RecordData) -> Option<(u16, QueryName)> {
    match record {
        // A null MX is no host to look up (RFC 7505).
        RecordData::Mx(mx) => Some((mx.preference, QueryName::parse(mx.exchange.as_str()).ok()?)),
        _ => None,
    }
}
