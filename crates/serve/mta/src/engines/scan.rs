//! spamd and rspamd, and what follows from what all scanners find in a message that has come whole.

use std::net::IpAddr;

use engines::{Nonsense, http, rspamd, spamd};
use mail_types::DomainName;
use mailstore::HeldReader;
use platform::lines::WireError;
use sender_auth::results;
use smtp::Reply;
use tokio::time::Instant;

use super::Engines;
use super::clamd::{Clamd, Finding};
use super::counts::Verdict;
use super::engine::{Engine, Failure, Link};
use super::settings::{AtFinding, OnEngineFailure, RspamdSettings, ScannerSettings, SpamdSettings};
use crate::Listener;
use crate::deliver::queued::Place;
use crate::receive::replies;

/// Names of rules in one line of a message's record.
const RULES_SHOWN: usize = 12;

/// What one engine has to say against a message, or for it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct EngineHit {
    /// Which engine, as the content filter calls it.
    pub(crate) name: &'static str,
    /// Its points, scaled; positive ones speak against the message.
    pub(crate) points: f32,
    /// Why, in plain words.
    pub(crate) words: String,
}

/// What all engines found.
#[derive(Default, Debug)]
pub(crate) struct Scanned {
    pub(crate) evidence: Vec<EngineHit>,
    /// Where they want it.
    pub(crate) place: Place,
    /// Whether one of them has it thrown away.
    pub(crate) is_discarded: bool,
    /// What goes in front of the message.
    pub(crate) front: Vec<u8>,
    /// What becomes of its own header.
    pub(crate) edits: Edits,
    /// For the record.
    pub(crate) lines: Vec<String>,
    /// Why it is not taken, where one of them does not want it.
    pub(crate) refusal: Option<Reply>,
}

/// What a scanner wants otherwise in a message's header.
#[derive(Default, PartialEq, Debug)]
pub(crate) struct Edits {
    pub(crate) removals: Vec<rspamd::Removal>,
    pub(crate) subject: Option<String>,
}

/// A message, and who sends it to whom, as scanners are told.
pub(crate) struct Subject<'a> {
    pub(crate) reader: &'a HeldReader,
    /// Trace fields, which are not in the message yet.
    pub(crate) trace: &'a [u8],
    pub(crate) listener: Listener,
    pub(crate) address: Option<IpAddr>,
    pub(crate) hello: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) user: Option<&'a str>,
    pub(crate) sender: &'a str,
    pub(crate) recipients: Vec<String>,
    pub(crate) transaction: &'a str,
    pub(crate) us: &'a DomainName,
}

impl Subject<'_> {
    fn octets(&self) -> u64 {
        self.trace.len() as u64 + self.reader.octets()
    }
}

impl Engines {
    /// Whether a scanner wants to see mail of this listener.
    pub(crate) fn scans(&self, listener: Listener) -> bool {
        let clamd = self.clamd.as_ref().map(|clamd| &clamd.settings.scanner);
        let spamd = self.spamd.as_ref().map(|(_, settings)| &settings.scanner);
        let rspamd = self.rspamd.as_ref().map(|(_, settings)| &settings.scanner);
        [clamd, spamd, rspamd].into_iter().flatten().any(|scanner| scanner.listeners.covers(listener))
    }

    /// Asks all scanners that want to see the message, one beside the other.
    pub(crate) async fn scan(&self, subject: &Subject<'_>) -> Scanned {
        let wants = |scanner: &ScannerSettings| scanner.listeners.covers(subject.listener);
        let clamd = async {
            match self.clamd.as_ref().filter(|clamd| wants(&clamd.settings.scanner)) {
                Some(clamd) => Some(ask_clamd(clamd, subject).await),
                None => None,
            }
        };
        let spamd = async {
            match self.spamd.as_ref().filter(|(_, settings)| wants(&settings.scanner)) {
                Some((engine, settings)) => Some(ask_spamd(engine, settings, subject).await),
                None => None,
            }
        };
        let rspamd = async {
            match self.rspamd.as_ref().filter(|(_, settings)| wants(&settings.scanner)) {
                Some((engine, settings)) => Some(ask_rspamd(engine, settings, subject).await),
                None => None,
            }
        };
        let (clamd, spamd, rspamd) = tokio::join!(clamd, spamd, rspamd);
        let mut scanned = Scanned::default();
        for found in [clamd, spamd, rspamd].into_iter().flatten() {
            scanned.add(found);
        }
        scanned
    }
}

impl Scanned {
    fn add(&mut self, other: Self) {
        self.evidence.extend(other.evidence);
        self.place = self.place.max(other.place);
        self.is_discarded |= other.is_discarded;
        self.front.extend(other.front);
        self.edits.removals.extend(other.edits.removals);
        self.edits.subject = self.edits.subject.take().or(other.edits.subject);
        self.lines.extend(other.lines);
        // A refusal goes before a wish to try again.
        if self.refusal.as_ref().is_none_or(|reply| reply.code.value() < 500) {
            self.refusal = other.refusal.or(self.refusal.take());
        }
    }

    fn note(line: String) -> Self {
        Self { lines: vec![line], ..Self::default() }
    }

    /// What is found has this consequence.
    fn with(mut self, consequence: AtFinding, reply: Reply) -> Self {
        match consequence {
            AtFinding::Reject => self.refusal = Some(reply),
            AtFinding::Quarantine => self.place = Place::Quarantine,
            AtFinding::Junk => self.place = Place::Junk,
            AtFinding::Points => {}
        }
        self
    }
}

async fn ask_clamd(clamd: &Clamd, subject: &Subject<'_>) -> Scanned {
    let scanner = &clamd.settings.scanner;
    if subject.reader.octets() > scanner.octets_max {
        return Scanned::note("clamd: not asked, the message is too large".into());
    }
    match clamd.scan(subject.reader).await {
        Ok(Finding::Clean) => {
            clamd.engine.counts.said(Verdict::Passed);
            Scanned::note("clamd: clean".into())
        }
        Ok(Finding::TooLarge) => Scanned::note("clamd: the message is too large for it".into()),
        Ok(Finding::Virus(name)) => {
            clamd.engine.counts.said(Verdict::Virus);
            tracing::info!(virus = name, transaction = subject.transaction, "clamd finds a virus");
            let words = format!("it carries {name}");
            let found = Scanned {
                // More than any threshold: where it does not decide by itself, it decides the sum.
                evidence: vec![EngineHit { name: "CLAMD", points: VIRUS_POINTS, words }],
                ..Scanned::note(format!("clamd: {name}"))
            };
            found.with(clamd.settings.at_virus, replies::VIRUS_FOUND)
        }
        Err(failure) => unanswered(&clamd.engine, &failure),
    }
}

/// Points of a virus, for those who add up.
const VIRUS_POINTS: f32 = 100.0;

async fn ask_spamd(engine: &Engine, settings: &SpamdSettings, subject: &Subject<'_>) -> Scanned {
    let mut head = Vec::new();
    spamd::write_request(subject.octets(), settings.user.as_deref(), &mut head);
    let read = |octets: &[u8], is_all: bool| match is_all {
        true => spamd::read(octets).map(Some),
        false if octets.len() > spamd::ANSWER_OCTETS_MAX => Err(Nonsense::TooLong),
        false => Ok(None),
    };
    let answer = match ask(engine, &settings.scanner, head, subject, read).await {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    engine.counts.said(if answer.is_spam { Verdict::Spam } else { Verdict::Passed });
    let rules = answer.rules.iter().map(String::as_str).take(RULES_SHOWN).collect::<Vec<_>>().join(", ");
    let found = Scanned {
        evidence: vec![EngineHit {
            name: "SPAMD",
            points: answer.score * settings.factor,
            words: format!("SpamAssassin gives it {:.1} points: {rules}", answer.score),
        }],
        ..Scanned::note(format!("spamd: {:.1} of {:.1}: {rules}", answer.score, answer.required))
    };
    let consequence = if answer.is_spam { settings.at_spam } else { AtFinding::Points };
    found.with(consequence, replies::REFUSED_AS_SPAM)
}

async fn ask_rspamd(engine: &Engine, settings: &RspamdSettings, subject: &Subject<'_>) -> Scanned {
    let address = subject.address.map(|address| address.to_string());
    let mut told = vec![("From", subject.sender), ("Helo", subject.hello), ("Queue-Id", subject.transaction)];
    told.extend(subject.recipients.iter().map(|recipient| ("Rcpt", recipient.as_str())));
    told.extend(address.as_deref().map(|address| ("IP", address)));
    told.extend(subject.host.map(|host| ("Hostname", host)));
    told.extend(subject.user.map(|user| ("User", user)));
    told.push(("MTA-Name", subject.us.as_str()));
    let mut head = Vec::new();
    http::write_post("/checkv2", "rspamd", subject.octets(), &told, &mut head);
    let read =
        |octets: &[u8], is_all: bool| http::read(octets, is_all)?.map(|body| rspamd::read(&body)).transpose();
    match ask(engine, &settings.scanner, head, subject, read).await {
        Ok(answer) => {
            engine.counts.said(verdict_of(answer.action));
            follow_rspamd(settings, answer, subject.us)
        }
        Err(end) => end,
    }
}

const fn verdict_of(action: rspamd::Action) -> Verdict {
    match action {
        rspamd::Action::None => Verdict::Passed,
        rspamd::Action::Greylist | rspamd::Action::SoftReject => Verdict::Later,
        rspamd::Action::AddHeader | rspamd::Action::RewriteSubject => Verdict::Spam,
        rspamd::Action::Quarantine => Verdict::Quarantine,
        rspamd::Action::Reject => Verdict::Refused,
        rspamd::Action::Discard => Verdict::Discarded,
    }
}

fn follow_rspamd(settings: &RspamdSettings, answer: rspamd::Answer, us: &DomainName) -> Scanned {
    let symbols: Vec<String> =
        answer.symbols.iter().take(RULES_SHOWN).map(|(name, points)| format!("{name}={points:.1}")).collect();
    let symbols = symbols.join(", ");
    let mut found = Scanned {
        evidence: vec![EngineHit {
            name: "RSPAMD",
            points: answer.score * settings.factor,
            words: format!("rspamd gives it {:.1} points: {symbols}", answer.score),
        }],
        ..Scanned::note(format!("rspamd: {:.1} of {:.1}: {symbols}", answer.score, answer.required))
    };
    if !settings.follows_actions {
        return found;
    }
    let said = |reply: Reply| match &answer.message {
        Some(text) => reply.with_text(text.clone()),
        None => reply,
    };
    for (name, value) in answer.add_fields.iter().filter(|(name, value)| !is_ours(name, value, us)) {
        found.front.extend(super::newlines::field(name.as_bytes(), format!(" {value}").as_bytes()));
    }
    found.edits.removals = answer.remove_fields;
    // How far a message has come, loops are known by.
    found.edits.removals.retain(|removal| !is_trace(&removal.name));
    match answer.action {
        rspamd::Action::None => {}
        rspamd::Action::Greylist | rspamd::Action::SoftReject => {
            found.refusal = Some(said(replies::ENGINE_SAYS_LATER));
        }
        rspamd::Action::Reject => found.refusal = Some(said(replies::REFUSED_AS_SPAM)),
        rspamd::Action::AddHeader => found.place = Place::Junk,
        rspamd::Action::RewriteSubject => {
            found.place = Place::Junk;
            found.edits.subject = answer.subject;
        }
        rspamd::Action::Quarantine => found.place = Place::Quarantine,
        rspamd::Action::Discard => found.is_discarded = true,
    }
    found
}

fn is_trace(name: &str) -> bool {
    ["Received", "Return-Path"].iter().any(|trace| name.eq_ignore_ascii_case(trace))
}

/// Whether a field says what we alone say: how a message came, and what we found of its sender.
fn is_ours(name: &str, value: &str, us: &DomainName) -> bool {
    let is_result = name.eq_ignore_ascii_case("Authentication-Results");
    is_trace(name) || (is_result && results::is_forged(value.as_bytes(), std::slice::from_ref(us)))
}

/// What a scanner answers to a head and the message; where it is not asked or has no answer, what follows from that.
async fn ask<T>(
    engine: &Engine,
    scanner: &ScannerSettings,
    head: Vec<u8>,
    subject: &Subject<'_>,
    read: impl Fn(&[u8], bool) -> Result<Option<T>, Nonsense>,
) -> Result<T, Scanned> {
    if subject.octets() > scanner.octets_max {
        let line = format!("{}: not asked, the message is too large", engine.health.name());
        return Err(Scanned::note(line));
    }
    let deadline = Instant::now() + scanner.timeout;
    let answer = engine.ask(deadline, exchange(engine, deadline, head, subject, read)).await;
    answer.map_err(|failure| unanswered(engine, &failure))
}

/// Sends a head and the message, and reads until `read` has an answer.
async fn exchange<T>(
    engine: &Engine,
    deadline: Instant,
    head: Vec<u8>,
    subject: &Subject<'_>,
    read: impl Fn(&[u8], bool) -> Result<Option<T>, Nonsense>,
) -> Result<T, Failure> {
    let mut link = engine.connect(deadline).await?;
    let sent = write(&mut link, &head, subject).await;
    let mut octets = Vec::new();
    loop {
        let is_all = match link.wire.fill_until(deadline).await {
            Ok(()) => false,
            Err(WireError::Closed) => true,
            Err(WireError::ReadTimeout) => return Err(Failure::TooSlow),
            // What was not sent is the reason of what was not answered.
            Err(error) => return Err(sent.err().unwrap_or(error.into())),
        };
        octets.extend_from_slice(link.wire.input());
        link.wire.consume(usize::MAX);
        if let Some(answer) = read(&octets, is_all)? {
            return Ok(answer);
        }
        if is_all {
            return Err(Nonsense::CutShort.into());
        }
    }
}

async fn write(link: &mut Link, head: &[u8], subject: &Subject<'_>) -> Result<(), Failure> {
    link.wire.put(head);
    link.wire.put(subject.trace);
    let mut at = 0;
    loop {
        let piece = subject.reader.read(at..u64::MAX).await?;
        if piece.is_empty() {
            return Ok(link.wire.flush().await?);
        }
        at += piece.len() as u64;
        link.wire.put(&piece);
        link.wire.relieve().await?;
    }
}

/// What becomes of mail that an engine has no answer to.
fn unanswered(engine: &Engine, failure: &Failure) -> Scanned {
    let refusal = match engine.on_failure {
        OnEngineFailure::Pass => None,
        OnEngineFailure::Defer => Some(replies::ENGINE_AWAY),
    };
    Scanned { refusal, ..Scanned::note(format!("{}: no answer, {failure}", engine.health.name())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::settings::{EngineListeners, EnginePlace};
    use super::*;

    fn settings(follows_actions: bool) -> RspamdSettings {
        let scanner = ScannerSettings {
            place: EnginePlace::Unix("/x".into()),
            listeners: EngineListeners::default(),
            on_failure: OnEngineFailure::Pass,
            timeout: Duration::from_secs(1),
            octets_max: 1,
            connections_max: 1,
        };
        RspamdSettings { scanner, factor: 0.5, follows_actions }
    }

    fn answer(action: rspamd::Action) -> rspamd::Answer {
        rspamd::Answer {
            score: 8.0,
            required: 15.0,
            action,
            symbols: vec![("A".into(), 8.0)],
            message: Some("Go away".into()),
            add_fields: vec![("X-Spam".into(), "Yes".into())],
            remove_fields: Vec::new(),
            subject: Some("[spam] hello".into()),
        }
    }

    fn us() -> DomainName {
        DomainName::parse("mail.example.org").unwrap()
    }

    #[test]
    fn what_rspamd_writes_is_never_taken_for_ours() {
        let mut answer = answer(rspamd::Action::RewriteSubject);
        answer.add_fields = [
            ("X-Spam", "Yes"),
            ("received", "from nowhere"),
            ("Return-Path", "<a@b.example>"),
            ("Authentication-Results", "mail.example.org; dmarc=pass"),
            ("Authentication-Results", "rspamd.example; dmarc=none"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        answer.remove_fields = ["Received", "return-path", "X-Mark"]
            .map(|name| rspamd::Removal { name: name.to_owned(), which: 0 })
            .to_vec();
        let found = follow_rspamd(&settings(true), answer.clone(), &us());
        let front = String::from_utf8(found.front).unwrap();
        assert_eq!(front, "X-Spam: Yes\r\nAuthentication-Results: rspamd.example; dmarc=none\r\n");
        let names: Vec<_> = found.edits.removals.iter().map(|removal| removal.name.as_str()).collect();
        assert_eq!(names, ["X-Mark"]);
        assert_eq!(found.edits.subject.as_deref(), Some("[spam] hello"));
        let alone = follow_rspamd(&settings(false), answer, &us());
        assert_eq!(alone.edits, Edits::default());
    }

    #[test]
    fn actions_of_rspamd_are_followed_where_it_is_wanted() {
        use rspamd::Action;
        let follow = |action, follows| {
            let found = follow_rspamd(&settings(follows), answer(action), &us());
            assert_eq!(found.lines, ["rspamd: 8.0 of 15.0: A=8.0"]);
            match found.refusal {
                None => format!("{:?} {} {}", found.place, found.is_discarded, found.evidence[0].points),
                Some(reply) => format!("{} {}", reply.code, reply.text),
            }
        };
        for (action, expected) in [
            (Action::None, "Inbox false 4"),
            (Action::Greylist, "451 Go away"),
            (Action::SoftReject, "451 Go away"),
            (Action::AddHeader, "Junk false 4"),
            (Action::RewriteSubject, "Junk false 4"),
            (Action::Quarantine, "Quarantine false 4"),
            (Action::Reject, "550 Go away"),
            (Action::Discard, "Inbox true 4"),
        ] {
            assert_eq!(follow(action, true), expected);
            assert_eq!(follow(action, false), "Inbox false 4");
        }
    }
}
