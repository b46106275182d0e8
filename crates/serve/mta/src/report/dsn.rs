//! Delivery status notifications (RFC 3461 §6, RFC 3464): of mail that failed, is late, went on to a server that does not
//! report, or arrived. Streamed into the store like any message, to exist exactly if what they tell is remembered.
//!
//! A report goes to the reverse-path: to a mailbox here, or by the queue to elsewhere. Never about a report, and never to
//! the null path (RFC 5321 §4.5.5), so that no two servers can tell each other of reports for ever.

use directory::{Directory, Recipients, Resolution};
use mail_types::{
    AccountId, Address, DomainName, EnhancedCode, EnvelopeId, ForwardPath, MailboxName, OriginalRecipient,
    ReversePath, Situation, TransactionId,
};
use mailstore::{
    Arriving, Filing, FilingTarget, FlagNames, Holding, QuotaLimit, READ_OCTETS_MAX, Store, StoreError,
};
use message::{
    Action, Collected, Date, DeliveryReport, HeaderCollector, ORIGINAL_HEADER_OCTETS_MAX, Original,
    OriginalOctets, RecipientReport, RemoteWords, ReportForm, Returned, new_message_id, write_return_path,
};
use platform::clock::{Clock, Timestamp};
use queue::{
    BodyNeeds, Diagnostic, MessageKind, NewMessage, NewReport, Notify, Recipient, ReportTo, ReturnContent,
};
use spam::is_verdict_field;

use super::advice::{self, Words};
use super::author::{ReportAuthor, postmaster_who_signs};
use crate::deliver::local::describe;
use crate::deliver::routing::Routing;
use crate::inspect::watch::{Watch, keys_for, signed};
use crate::receive::header::without;
use crate::remote::transact::Body;

/// People who get a report where the sender's address is a list of ours.
const READERS_MAX: usize = 20;

/// Who writes reports.
#[derive(Clone, Copy)]
pub(crate) struct Reporter<'a> {
    pub(crate) store: &'a Store,
    pub(crate) directory: &'a Directory,
    pub(crate) clock: &'a Clock,
    pub(crate) next_transaction: &'a (dyn Fn() -> TransactionId + Send + Sync),
    pub(crate) hostname: &'a DomainName,
    pub(crate) from: &'a ReportAuthor,
    pub(crate) routing: &'a Routing,
    pub(crate) returned_octets_max: u64,
}

/// The message that is reported on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) reverse_path: &'a ReversePath,
    pub(crate) submitter: Option<AccountId>,
    pub(crate) kind: MessageKind,
    pub(crate) arrived: Timestamp,
    pub(crate) envelope_id: Option<&'a str>,
    pub(crate) return_content: Option<ReturnContent>,
    pub(crate) require_tls: bool,
    pub(crate) needs: BodyNeeds,
}

impl<'a> From<&'a NewMessage> for About<'a> {
    fn from(message: &'a NewMessage) -> Self {
        Self {
            reverse_path: &message.reverse_path,
            submitter: message.submitter,
            kind: message.kind,
            arrived: message.arrived,
            envelope_id: message.envelope_id.as_deref(),
            return_content: message.return_content,
            require_tls: message.require_tls,
            needs: message.needs,
        }
    }
}

/// The octets of the message that is reported on, as far as they are at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// All of them.
    Whole(&'a Body),
    /// Its header, or the fields of it that are remembered.
    Header(&'a [u8]),
}

/// What is told of one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) address: &'a Address,
    pub(crate) original: Option<OriginalRecipient>,
    /// The address of ours that the sender named.
    pub(crate) expanded_from: Option<&'a Address>,
    pub(crate) action: Action,
    pub(crate) status: EnhancedCode,
    /// The server that has it now, where one took it.
    pub(crate) taken_by: Option<&'a str>,
    pub(crate) diagnostic: Option<&'a Diagnostic>,
    pub(crate) retry_until: Option<Timestamp>,
    /// Why no more is tried, where that is not the last word on it.
    pub(crate) given_up: Option<Situation>,
}

/// A report cannot be written now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// The store does not take it.
    #[error("the store does not take a report")]
    Store(#[from] StoreError),
    /// Nothing unforeseeable can be made for the border between its parts.
    #[error("no random octets: {0}")]
    NoRandomness(String),
}

/// Where one copy of a report goes.
enum Reader {
    Here(AccountId),
    Elsewhere(Address),
}

impl Reporter<'_> {
    /// The reports about a message, one for each reader; none where nothing is told or nobody is there to hear it.
    pub(crate) async fn write(
        &self,
        about: About<'_>,
        source: Source<'_>,
        told: &[Told<'_>],
    ) -> Result<Vec<NewReport>, ReportError> {
        let ReversePath::Address(sender) = about.reverse_path else { return Ok(Vec::new()) };
        if told.is_empty() || about.kind != MessageKind::Mail {
            return Ok(Vec::new());
        }
        let (beginning, original) = match source {
            Source::Whole(original) => (read_header(original).await, Some(original)),
            Source::Header(header) => (header.to_vec(), None),
        };
        let beginning_octets = beginning.len() as u64;
        let header = match about.submitter {
            Some(_) => beginning,
            // Whoever receives it has lists and lessons that are nobody else's; what the filter thinks is not a stranger's to know.
            None => without(beginning, |field| is_verdict_field(field.name)),
        };
        let mut reports = Vec::new();
        for reader in self.readers(about.submitter, sender) {
            let header = &header;
            let copy = Copy { reporter: self, about, sender, original, header, beginning_octets, told };
            reports.push(copy.write(reader).await?);
        }
        Ok(reports)
    }

    /// Who hears of it: whoever submitted the message, else everybody whom the sender's address means.
    fn readers(&self, submitter: Option<AccountId>, sender: &Address) -> Vec<Reader> {
        match self.directory.resolve(&ForwardPath::Address(sender.clone())) {
            Resolution::Deliver(Recipients { local, remote }) => {
                let submitter = submitter.filter(|who| local.iter().any(|one| one.account == *who));
                if let Some(submitter) = submitter {
                    return vec![Reader::Here(submitter)];
                }
                let here = local.into_iter().map(|one| Reader::Here(one.account));
                here.chain(remote.into_iter().map(Reader::Elsewhere)).take(READERS_MAX).collect()
            }
            Resolution::NotLocal => vec![Reader::Elsewhere(sender.clone())],
            Resolution::Discard | Resolution::Unknown | Resolution::Disabled | Resolution::Loop => {
                tracing::warn!(%sender, "nobody is there to be told of mail that failed");
                Vec::new()
            }
        }
    }
}

/// One copy of a report.
#[derive(Clone, Copy)]
struct Copy<'a> {
    reporter: &'a Reporter<'a>,
    about: About<'a>,
    sender: &'a Address,
    original: Option<&'a Body>,
    /// What is told of its beginning, and of how many octets that is.
    header: &'a [u8],
    beginning_octets: u64,
    told: &'a [Told<'a>],
}

impl Copy<'_> {
    async fn write(self, reader: Reader) -> Result<NewReport, ReportError> {
        let reporter = self.reporter;
        let way = (reporter.next_transaction)();
        let now = reporter.clock.now();
        match reader {
            Reader::Here(account) => {
                let (message, _) = self.compose(Reach::Here).await?;
                let filing = Filing {
                    account,
                    mailbox: FilingTarget::Name(MailboxName::inbox()),
                    flags: FlagNames::default(),
                    internal_date: now,
                    // A full mailbox is no reason to lose a report.
                    quota: QuotaLimit::NONE,
                    way,
                };
                Ok(NewReport { message, to: ReportTo::Account(filing) })
            }
            Reader::Elsewhere(address) => {
                let (message, needs) = self.compose(Reach::Elsewhere).await?;
                let new = Box::new(report_entry(reporter, way, address, needs, self.about.require_tls));
                Ok(NewReport { message, to: ReportTo::Queue(new) })
            }
        }
    }

    async fn compose(self, reach: Reach) -> Result<(Arriving, BodyNeeds), ReportError> {
        let reporter = self.reporter;
        let random = random()?;
        let now = reporter.clock.now();
        let milliseconds = u64::try_from(now.unix_millis()).unwrap_or_default();
        let wordings: Vec<Wording> =
            self.told.iter().map(|told| Wording::of(told, self.confidence(told))).collect();
        // RFC 3461 §6.3 (e): as it was when the message came.
        let named = |told: &Told<'_>| told.expanded_from.unwrap_or(told.address).clone();
        let paths: Vec<ForwardPath> = self.told.iter().map(named).map(ForwardPath::Address).collect();
        let recipients: Vec<RecipientReport<'_>> = self
            .told
            .iter()
            .zip(paths.iter().zip(&wordings))
            .map(|(told, (path, wording))| recipient_report(told, path, wording, now))
            .collect();
        let envelope_id = self.about.envelope_id.and_then(EnvelopeId::new);
        let returned = self.returned(reach);
        let author = self.author(reach);
        let report = DeliveryReport {
            from: &author,
            to: self.sender,
            date: date(now),
            message_id: &new_message_id(milliseconds, self::random()?, reporter.hostname.as_str()),
            random,
            reporting_mta: reporter.hostname,
            arrived: Some(date(self.about.arrived)),
            envelope_id: envelope_id.as_ref(),
            recipients: &recipients,
            original: Original { header: self.header, returned },
            form: ReportForm::Classic,
        };
        let mut text = Vec::new();
        report.write_beginning(&mut text);
        let mut holding = reporter.store.holding()?;
        let mut watch = Watch::default();
        let header = HeaderCollector::new(text.len()).feed(&text);
        let header_octets = if let Collected::Complete { taken } = header { taken } else { text.len() };
        let (header, beginning) = text.split_at(header_octets);
        if let Some(domain) = author.domain_name() {
            let now = u64::try_from(now.unix_seconds()).unwrap_or_default();
            watch.sign(header, &keys_for(reporter.directory, domain), now);
        }
        watch.body(beginning);
        holding.write(&text).await?;
        if let (Returned::Whole(_), Some(original)) = (returned, self.original) {
            self.write_original(original, &mut holding, &mut watch).await?;
        }
        text.clear();
        report.write_end(&mut text);
        watch.body(&text);
        holding.write(&text).await?;
        let mut front = Vec::new();
        if matches!(reach, Reach::Here) {
            write_return_path(&ReversePath::Null, &mut front);
        }
        front.extend(watch.finish().signer.map(|signer| signed(*signer)).unwrap_or_default());
        let needs = report.needs();
        let needs = BodyNeeds { eight_bit: needs.eight_bit, binary: false, international: needs.smtputf8 };
        Ok((holding.finish(front).await?, needs))
    }

    /// All of the message, its header as it is told.
    async fn write_original(
        self,
        original: &Body,
        holding: &mut Holding,
        watch: &mut Watch,
    ) -> Result<(), ReportError> {
        watch.body(self.header);
        holding.write(self.header).await?;
        let mut at = original.begin + self.beginning_octets;
        while at < original.reader.octets() {
            let piece = original.reader.read(at..at + READ_OCTETS_MAX as u64).await?;
            if piece.is_empty() {
                break;
            }
            at += piece.len() as u64;
            watch.body(&piece);
            holding.write(&piece).await?;
        }
        Ok(())
    }

    /// Whom a report comes from. A stranger gets it from the domain that he wrote to, where the usual author's cannot be
    /// signed.
    fn author(self, reach: Reach) -> Address {
        match (self.reporter.from, reach) {
            (ReportAuthor::Named(address), _) | (ReportAuthor::Postmaster(address), Reach::Here) => {
                address.clone()
            }
            (ReportAuthor::Postmaster(address), Reach::Elsewhere) => {
                let named = self.told.iter().filter_map(|told| told.expanded_from?.domain_name());
                let preferred = address.domain_name().into_iter().chain(named);
                let signs = postmaster_who_signs(self.reporter.directory, preferred);
                signs.unwrap_or_else(|| {
                    tracing::info!("a report leaves unsigned: no domain of ours has a DKIM key");
                    address.clone()
                })
            }
        }
    }

    /// Strangers do not learn where an alias leads to: that is between its owner and us. Hosts' names and words could tell
    /// them, too (RFC 3464 §4.2 (c)).
    fn confidence(self, told: &Told<'_>) -> Confidence {
        match (told.expanded_from, self.about.submitter) {
            (Some(_), None) => Confidence::Stranger,
            (Some(_), Some(_)) | (None, _) => Confidence::House,
        }
    }

    /// The whole message comes back of a failure, where its sender does not mind, it is small, and the report then gets
    /// through anywhere.
    fn returned(self, reach: Reach) -> Returned {
        let has_failed = self.told.iter().any(|told| told.action == Action::Failed);
        let asked = self.about.return_content;
        let is_small =
            self.original.is_some_and(|original| original.octets() <= self.reporter.returned_octets_max);
        // RFC 8689 §5: nothing of it may travel in clear.
        let may_return = asked != Some(ReturnContent::Headers) && !self.about.require_tls;
        let needs = self.about.needs;
        if !has_failed || !may_return || !is_small || needs.binary {
            return Returned::Header;
        }
        match (needs.international, needs.eight_bit, reach) {
            (false, false, _) => Returned::Whole(OriginalOctets::SevenBit),
            (false, true, Reach::Here) => Returned::Whole(OriginalOctets::EightBit),
            (true, _, Reach::Here) => Returned::Whole(OriginalOctets::International),
            // A server that takes no such octets would refuse the report, and nobody would ever hear of it.
            (_, _, Reach::Elsewhere) => Returned::Header,
        }
    }
}

/// How far a report has to go.
#[derive(Clone, Copy)]
enum Reach {
    Here,
    Elsewhere,
}

/// What may be told of what lies behind an alias.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Confidence {
    /// All of it.
    House,
    /// Nothing.
    Stranger,
}

/// What a stranger hears behind the code, in place of the words of a host that they are not to know.
const WITHHELD: &str = "(its words are not passed on)";

/// What is told of a recipient in words that have to be put together.
struct Wording {
    reason: String,
    advice: &'static str,
    /// The other host, by name.
    remote: Option<String>,
    /// The address it was asked for, where the sender named another.
    presented: Option<ForwardPath>,
    /// The other host's.
    said: Option<String>,
}

impl Wording {
    fn of(told: &Told<'_>, confidence: Confidence) -> Self {
        let of_host = told.diagnostic.filter(|words| words.code.is_some());
        let is_known = confidence == Confidence::House;
        let said = of_host.map(|words| if is_known { words.text.to_string() } else { WITHHELD.to_owned() });
        let remote = told.diagnostic.map_or(told.taken_by, |words| words.remote.as_deref());
        // A socket on this machine is nobody's business, and no name.
        let remote = remote.filter(|remote| is_known && !remote.starts_with('/')).map(str::to_owned);
        let presented = told.expanded_from.filter(|_| is_known);
        let presented = presented.map(|_| ForwardPath::Address(told.address.clone()));
        let last = match (told.action, told.diagnostic) {
            (Action::Delivered | Action::Relayed | Action::Expanded, _) | (_, None) => {
                Words { reason: "", advice: "" }
            }
            (_, Some(_)) if said.is_some() => advice::of_refusal(told.status),
            (_, Some(found_out)) => Words {
                reason: situation_of(found_out).sentence(),
                advice: advice::about_our_own(told.status),
            },
        };
        let given_up = told.given_up.map_or("", Situation::sentence);
        Self {
            reason: format!("{given_up} {}", last.reason).trim().to_owned(),
            // What is only late needs nothing of its sender.
            advice: if told.action == Action::Failed { last.advice } else { "" },
            remote,
            presented,
            said,
        }
    }
}

fn recipient_report<'a>(
    told: &'a Told<'a>,
    path: &'a ForwardPath,
    wording: &'a Wording,
    now: Timestamp,
) -> RecipientReport<'a> {
    let said = wording.said.as_deref().zip(told.diagnostic);
    RecipientReport {
        final_recipient: path,
        original: told.original.as_ref(),
        action: told.action,
        status: told.status,
        remote_mta: wording.remote.as_deref(),
        presented: wording.presented.as_ref(),
        said: said
            .and_then(|(text, words)| Some(RemoteWords { code: words.code?, enhanced: words.status, text })),
        last_attempt: Some(date(now)),
        retry_until: told.retry_until.map(date),
        reason: &wording.reason,
        advice: wording.advice,
    }
}

/// What we found out ourselves, from its code.
fn situation_of(found_out: &Diagnostic) -> Situation {
    const ALL: [Situation; 18] = [
        Situation::NoSuchDomain,
        Situation::NullMx,
        Situation::DnsFailure,
        Situation::NoRoute,
        Situation::NoAnswer,
        Situation::ConnectionLost,
        Situation::ProtocolError,
        Situation::Loop,
        Situation::Expired,
        Situation::DeadlinePassed,
        Situation::TooLarge,
        Situation::ConversionNeeded,
        Situation::NeedsSmtpUtf8,
        Situation::TlsNeeded,
        Situation::RequireTlsUnsupported,
        Situation::LoginFailed,
        Situation::Withdrawn,
        Situation::LocalFailure,
    ];
    let found = ALL.iter().find(|situation| Some(situation.status()) == found_out.status);
    found.copied().unwrap_or(Situation::LocalFailure)
}

/// RFC 8689 §5: a report travels as safely as what it speaks of, where it can.
fn report_entry(
    reporter: &Reporter<'_>,
    way: TransactionId,
    to: Address,
    needs: BodyNeeds,
    require_tls: bool,
) -> NewMessage {
    let destination = reporter.routing.destination(&ReversePath::Null, &to);
    let recipient = Recipient::plain(to, destination, Notify::Never);
    NewMessage {
        kind: MessageKind::Report,
        needs,
        require_tls,
        ..NewMessage::plain(way, reporter.clock.now(), vec![recipient])
    }
}

/// The original's header, as much as a report looks at; nothing where it cannot be read.
async fn read_header(original: &Body) -> Vec<u8> {
    let end = original.begin + ORIGINAL_HEADER_OCTETS_MAX as u64;
    match original.reader.read(original.begin..end).await {
        Ok(octets) => octets,
        Err(error) => {
            tracing::error!(error = describe(&error), "a message is reported on without its header");
            Vec::new()
        }
    }
}

fn date(time: Timestamp) -> Date {
    Date { unix_seconds: time.unix_seconds(), zone_minutes: 0 }
}

fn random() -> Result<[u8; 16], ReportError> {
    let mut random = [0; 16];
    directory::fill_random(&mut random).map_err(|error| ReportError::NoRandomness(error.to_string()))?;
    Ok(random)
}
