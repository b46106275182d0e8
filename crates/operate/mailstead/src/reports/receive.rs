//! Reports that come by mail: once a mail to a report address is filed, it is read again at leisure, and what it reports is
//! kept. The mail stays where it is.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Context;
use directory::Directory;
use mail_types::{
    AccountId, Address, DomainName, EmailId, ForwardPath, MailboxId, SpecialUse, TransactionId,
};
use mailstore::{Filed, Store};
use message::{Content, Part, Scanner, TransferEncoding, decode_transfer};
use mta::{Breaker, MessageWay, Outcome, Signal};
use platform::clock::{Clock, Timestamp};
use platform::tasks::Shutdown;
use sender_auth::reports::{self, Report, ReportError, ReportPart, UnpackLimits};
use tokio::sync::mpsc;

use super::book::ReceivedReport;
use super::{ReportBook, complaints};
use crate::way::WayBook;

/// Mails that wait to be read; more are passed over, and told of in the log.
pub(crate) const WAITING_MAX: usize = 256;
/// The largest mail that is read. Reports of large providers on busy domains have some hundred kilobytes.
const MAIL_OCTETS_MAX: usize = 16 << 20;
/// Parts of a mail that are looked at.
const PARTS_MAX: usize = 32;
/// Records of one report that are kept, the frequent ones.
const RECORDS_KEPT_MAX: usize = 2_000;
/// Steps of the record that are looked at for the message of a complaint.
const STEPS_MAX: usize = 20;
/// Octets of one report as it is kept.
const KEPT_OCTETS_MAX: usize = 4 << 20;

/// A mail that may hold a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportMail {
    way: TransactionId,
    account: AccountId,
    mailbox: MailboxId,
    email: EmailId,
    /// What Authentication-Results say of it in our name is ours.
    is_strangers: bool,
}

/// The mail of a way that may hold a report: one to the postmaster of a domain of ours, or to an address that the operator
/// names.
pub(crate) fn of_way(way: &MessageWay, addresses: &[Address]) -> Option<ReportMail> {
    if way.octets.is_none_or(|octets| octets > MAIL_OCTETS_MAX as u64) {
        return None;
    }
    let is_meant = |path: &ForwardPath| match path {
        ForwardPath::Address(address) => {
            address.local_part().eq_ignore_ascii_case("postmaster") || addresses.contains(address)
        }
        _ => true,
    };
    way.recipients.iter().find_map(|recipient| {
        let filed: Option<&Filed> = match &recipient.outcome {
            Outcome::Filed(filed) | Outcome::Queued { filed, .. } => filed.first(),
            Outcome::Discarded | Outcome::Refused(_) | Outcome::Abandoned => None,
        };
        let filed = filed.filter(|_| is_meant(&recipient.forward_path))?;
        Some(ReportMail {
            way: way.transaction,
            account: filed.account,
            mailbox: filed.mailbox,
            email: filed.email,
            is_strangers: way.is_strangers,
        })
    })
}

/// Who reads them.
pub(crate) struct Reader {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) book: ReportBook,
    pub(crate) clock: Clock,
    /// Where it is found whose a message was that somebody complains about.
    pub(crate) way: WayBook,
    /// Hears of such complaints.
    pub(crate) breaker: Breaker,
    /// Our name in Authentication-Results.
    pub(crate) hostname: DomainName,
    /// Domains whose complaints are believed about mail to any recipient.
    pub(crate) feedback_loops: Vec<DomainName>,
}

impl Reader {
    /// Reads what comes, one by one.
    pub(crate) async fn read_all(self, mut waiting: mpsc::Receiver<ReportMail>, stop: Shutdown) {
        loop {
            // Neither arm loses anything when cancelled but the reading of what waits: the mails stay.
            let mail = tokio::select! {
                () = stop.triggered() => return,
                mail = waiting.recv() => mail,
            };
            let Some(mail) = mail else { return };
            if let Err(error) = self.read(mail).await {
                tracing::warn!(
                    way = mail.way.to_text(),
                    error = format!("{error:#}"),
                    "a mail that looks like a report is not read"
                );
            }
        }
    }

    async fn read(&self, mail: ReportMail) -> anyhow::Result<()> {
        let account = self.store.account(mail.account).await?;
        let mailboxes = account.mailboxes().await?;
        let is_junk = mailboxes
            .mailboxes
            .iter()
            .any(|mailbox| mailbox.id == mail.mailbox && mailbox.special_use == Some(SpecialUse::Junk));
        if is_junk {
            // Whoever is not who they say has nothing to report.
            return Ok(());
        }
        let octets = account.reader(mail.email).await?.beginning(MAIL_OCTETS_MAX).await?;
        let now = self.clock.now();
        let way = mail.way.to_text();
        let proven = match mail.is_strangers {
            true => complaints::proven(&octets, &self.hostname),
            false => Vec::new(),
        };
        let read = tokio::task::spawn_blocking(move || {
            let found = find(&octets)?;
            Some(found.map(|report| received(&report, now, way)))
        });
        match read.await.context("reading was interrupted")? {
            None => Ok(()),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(None)) => anyhow::bail!("it is too large to be kept"),
            Some(Ok(Some(received))) => self.keep(received, &proven).await,
        }
    }

    async fn keep(&self, received: ReceivedReport, proven: &[DomainName]) -> anyhow::Result<()> {
        anyhow::ensure!(
            received.kind == FEEDBACK || self.is_ours(&received.domain),
            "it is about {}, which is no domain of ours",
            received.domain
        );
        tracing::info!(
            kind = received.kind,
            domain = received.domain,
            reporter = received.reporter,
            "a report came"
        );
        if received.kind == FEEDBACK {
            self.note_complaint(&received.report, proven).await?;
        }
        self.book.with(move |shelf| shelf.keep(&received)).await
    }

    /// Tells the breaker whose message somebody complains about, where that counts.
    async fn note_complaint(&self, report: &str, proven: &[DomainName]) -> anyhow::Result<()> {
        let report: serde_json::Value = serde_json::from_str(report)?;
        let Some(message_id) = complaints::about(&report) else { return Ok(()) };
        let steps = self.way.search(message_id, STEPS_MAX).await?;
        let Some((user, ways)) = complaints::submitted(&steps, message_id) else { return Ok(()) };
        let Some(account) = self.directory.account_by_address(&user) else { return Ok(()) };
        match complaints::weigh(&steps, &ways, proven, &self.feedback_loops) {
            Some(by) => {
                let mut hasher = DefaultHasher::new();
                message_id.hash(&mut hasher);
                self.breaker.note(account.id, Signal::Complaint { message: hasher.finish(), by });
            }
            None => tracing::warn!(
                account = %account.address,
                message_id,
                reporter = proven.first().map(tracing::field::display),
                "a complaint is not counted: its sender is not proven, or is not where the message was delivered; the postmaster has it"
            ),
        }
        Ok(())
    }

    /// Whether a domain is ours, below one of ours, or above one: policies stand at the organisation's domain.
    fn is_ours(&self, domain: &str) -> bool {
        let is_within =
            |below: &str, above: &str| below.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'));
        domain.contains('.')
            && self.directory.domains().iter().any(|ours| {
                let ours = ours.name.as_str();
                ours == domain || is_within(ours, domain) || is_within(domain, ours)
            })
    }
}

/// Kinds of reports as they are kept.
pub(super) const AGGREGATE: &str = "aggregate";
pub(super) const TLS: &str = "tls";
pub(super) const FEEDBACK: &str = "feedback";

/// A report as it is kept; none where it is too large. `id` names one that has no name.
pub(super) fn received(report: &Report, time: Timestamp, id: String) -> Option<ReceivedReport> {
    let (kind, reporter, domain, report_id, report) = match report {
        Report::Aggregate(report) => {
            let mut report = report.clone();
            report.records.sort_by_key(|record| std::cmp::Reverse(record.count));
            report.skipped_records += report.records.len().saturating_sub(RECORDS_KEPT_MAX);
            report.records.truncate(RECORDS_KEPT_MAX);
            let (reporter, domain) =
                (report.metadata.org_name.clone(), report.policy_published.domain.clone());
            (AGGREGATE, reporter, domain, report.metadata.report_id.clone(), serde_json::to_string(&report))
        }
        Report::Tls(report) => {
            let domain = report.policies.first().map(|one| one.policy.policy_domain.clone());
            let reporter = report.organization_name.clone();
            (
                TLS,
                reporter,
                domain.unwrap_or_default(),
                report.report_id.clone(),
                serde_json::to_string(report),
            )
        }
        Report::Feedback(report) => {
            let reporter = report.reporting_mta.clone().or_else(|| report.user_agent.clone());
            let domain = report.reported_domains.first().cloned();
            (
                FEEDBACK,
                reporter.unwrap_or_default(),
                domain.unwrap_or_default(),
                String::new(),
                serde_json::to_string(report),
            )
        }
    };
    let report_id = if report_id.is_empty() { id } else { report_id };
    let report = report.ok().filter(|report| report.len() <= KEPT_OCTETS_MAX)?;
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    Some(ReceivedReport { time, kind, reporter, domain, report_id, report })
}

/// The report in a mail; none where nothing in it looks like one.
fn find(mail: &[u8]) -> Option<Result<Report, ReportError>> {
    let mut scanner = Scanner::new(message::Limits::default());
    scanner.feed(mail);
    let summary = scanner.finish();
    let mut leaves = Vec::new();
    gather(&summary.structure, &mut leaves);
    let texts: Vec<(String, Option<String>, Vec<u8>)> = leaves
        .into_iter()
        .map(|part| {
            let media_type = format!(
                "{}/{}",
                String::from_utf8_lossy(&part.media_type),
                String::from_utf8_lossy(&part.subtype)
            );
            let octets = usize::try_from(part.body.start)
                .ok()
                .zip(usize::try_from(part.body.end).ok())
                .and_then(|(start, end)| mail.get(start..end))
                .unwrap_or_default();
            let octets = match TransferEncoding::parse(&part.encoding) {
                Some(encoding) => decode_transfer(encoding, octets),
                None => octets.to_vec(),
            };
            (media_type, part.file_name(), octets)
        })
        .collect();
    let parts: Vec<ReportPart<'_>> = texts
        .iter()
        .map(|(media_type, file_name, octets)| ReportPart {
            media_type,
            file_name: file_name.as_deref(),
            octets,
        })
        .collect();
    reports::read(&parts, UnpackLimits::default())
}

/// The parts that are no multiparts, from the top down. How deep they lie is bounded by the scanner.
fn gather<'a>(part: &'a Part, leaves: &mut Vec<&'a Part>) {
    match &part.content {
        Content::Multipart(parts) => parts.iter().for_each(|part| gather(part, leaves)),
        Content::Leaf | Content::Message(_) if leaves.len() < PARTS_MAX => leaves.push(part),
        Content::Leaf | Content::Message(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sender_auth::reports::pack;

    const XML: &str = "<feedback><report_metadata><org_name>far.example</org_name><report_id>7</report_id>\
        </report_metadata><policy_published><domain>Example.ORG</domain></policy_published>\
        <record><row><source_ip>192.0.2.1</source_ip><count>3</count></row></record></feedback>";

    fn mail(before: usize, media_type: &str, encoding: &str, body: &str) -> Vec<u8> {
        let part = "--x\r\nContent-Type: text/plain\r\n\r\nHello\r\n".repeat(before);
        format!(
            "From: a@far.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n{part}--x\r\n\
             Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n--x--\r\n"
        )
        .into_bytes()
    }

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("={octet:02X}")).collect()
    }

    #[test]
    fn reports_are_found_in_mails() {
        let packed = hex(&pack(XML.as_bytes()));
        for (media_type, encoding, body) in
            [("text/xml", "7bit", XML), ("application/gzip", "quoted-printable", packed.as_str())]
        {
            let report = find(&mail(1, media_type, encoding, body)).unwrap().unwrap();
            let kept = received(&report, Timestamp::from_unix_seconds(0), String::new()).unwrap();
            assert_eq!(
                (kept.kind, kept.domain.as_str(), kept.reporter.as_str()),
                (AGGREGATE, "example.org", "far.example")
            );
        }
        assert!(find(b"From: a@far.example\r\n\r\nHello\r\n").is_none());
    }

    #[test]
    fn parts_and_records_are_bounded() {
        for before in [PARTS_MAX - 2, PARTS_MAX - 1, PARTS_MAX] {
            assert_eq!(find(&mail(before, "text/xml", "7bit", XML)).is_some(), before < PARTS_MAX);
        }
        for records in [RECORDS_KEPT_MAX - 1, RECORDS_KEPT_MAX, RECORDS_KEPT_MAX + 1] {
            let record = "<record><row><source_ip>192.0.2.1</source_ip><count>3</count></row></record>";
            let report = Report::Aggregate(Box::new(
                reports::AggregateReport::read(
                    format!("<feedback>{}</feedback>", record.repeat(records)).as_bytes(),
                )
                .unwrap(),
            ));
            let kept = received(&report, Timestamp::from_unix_seconds(0), String::new()).unwrap();
            let kept: reports::AggregateReport = serde_json::from_str(&kept.report).unwrap();
            assert_eq!(kept.records.len(), records.min(RECORDS_KEPT_MAX));
            assert_eq!(kept.skipped_records, records - kept.records.len());
        }
    }

    #[test]
    fn a_report_without_a_name_does_not_replace_another() {
        let xml = XML.replace("<report_id>7</report_id>", "");
        let report = find(&mail(0, "text/xml", "7bit", &xml)).unwrap().unwrap();
        let kept = received(&report, Timestamp::from_unix_seconds(0), "way".into()).unwrap();
        assert_eq!(kept.report_id, "way");
        let named = find(&mail(0, "text/xml", "7bit", XML)).unwrap().unwrap();
        let kept = received(&named, Timestamp::from_unix_seconds(0), "way".into()).unwrap();
        assert_eq!(kept.report_id, "7");
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = pack(&vec![b'<'; 40 << 20]);
        let refused = find(&mail(0, "application/gzip", "quoted-printable", &hex(&bomb)));
        assert!(matches!(refused, Some(Err(ReportError::Packed(_)))));
    }
}
