//! Sends the reports of days that are over to those who asked for them (RFC 9990 §3.5, §4; RFC 8460 §3, §5.3).

use std::time::Duration;

use anyhow::Context;
use directory::Directory;
use dns::Resolver;
use mail_types::{Address, DomainName, TransactionId};
use mta::{AppliedPolicy, OwnMail, OwnMailRooms, PolicyTally, TallyDay, TlsTally, postmaster_who_signs};
use platform::clock::{Clock, Timestamp};
use queue::MessageKind;
use sender_auth::reports::{
    AggregateReport, Destination, HttpsUrl, Metadata, Record, Report, ReportAddress, TlsDateRange,
    TlsFailureDetails, TlsPolicy, TlsPolicyResult, TlsReport, TlsReportDestination, TlsSummary, pack,
    report_destination, tls_report_record,
};

use super::ReportBook;
use super::book::PendingReport;
use super::compose::{Attachment, AttachmentKind, Letter};
use super::post::Poster;
use super::receive::received;
use super::tally::Wish;

pub(super) const DAY_SECONDS: i64 = 86_400;
/// How long DNS may take to tell where a report goes.
const DNS_TIME_MAX: Duration = Duration::from_secs(60);

/// What the operator chose.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    /// Whether mail is reported on.
    pub(crate) dmarc: bool,
    /// Whether TLS is reported on.
    pub(crate) tls: bool,
    /// Whom reports come from; else the postmaster of a domain that can sign.
    pub(crate) from: Option<Address>,
    pub(crate) org_name: String,
    pub(crate) hostname: DomainName,
    /// Domains that get no reports.
    pub(crate) without: Vec<DomainName>,
}

/// Who sends reports.
pub(crate) struct Sender {
    pub(crate) book: ReportBook,
    pub(crate) tally: TlsTally,
    pub(crate) mail: OwnMailRooms,
    pub(crate) poster: Poster,
    pub(crate) resolver: Resolver,
    pub(crate) choices: Choices,
    pub(crate) next_transaction: Box<dyn Fn() -> TransactionId + Send + Sync>,
}

/// What became of reports.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Sent {
    /// Mails that left.
    pub(crate) mails: usize,
    /// Posts that were taken.
    pub(crate) posts: usize,
    /// How long posts took, those that were not taken too.
    pub(super) posting: Duration,
    /// Reports on domains of ours, which stay here.
    pub(crate) kept: usize,
    /// Reports that nobody wants, or that are larger than wanted.
    pub(crate) unwanted: usize,
    /// Reports that are tried again later.
    pub(crate) waiting: usize,
}

/// A report that is written, and where it may go.
struct Written {
    subject: String,
    text: String,
    file_name: String,
    packed: Vec<u8>,
    report: Report,
}

/// What DNS says of where a report may go.
enum Wanted {
    To(Vec<ReportAddress>, Vec<HttpsUrl>),
    Nowhere,
    Unknown,
}

impl Sender {
    pub(super) fn clock(&self) -> &Clock {
        &self.mail.clock
    }

    fn directory(&self) -> &Directory {
        &self.mail.directory
    }

    /// The day of UTC that it is.
    pub(crate) fn today(&self) -> i64 {
        self.clock().now().unix_seconds().div_euclid(DAY_SECONDS)
    }

    /// Writes down what was seen of TLS: what is only in memory is gone with the process.
    async fn save_tls(&self) -> anyhow::Result<()> {
        save_tls(&self.book, &self.tally, self.clock().now()).await
    }

    /// Sends what is to be told of days before this one.
    pub(crate) async fn send(&self, before: i64) -> anyhow::Result<Sent> {
        self.save_tls().await?;
        let mut sent = Sent::default();
        let on_mail = self.book.with(move |shelf| shelf.pending(before)).await?;
        let on_tls = self.book.with(move |shelf| shelf.pending_tls(before)).await?;
        match self.author() {
            Some(author) => {
                for pending in on_mail {
                    self.send_dmarc(&author, pending, &mut sent).await?;
                }
                for (day, domain) in on_tls {
                    self.send_tls(&author, day, domain, &mut sent).await?;
                }
            }
            None => {
                sent.waiting = on_mail.len() + on_tls.len();
                if sent.waiting > 0 {
                    tracing::warn!(
                        "no domain of ours has a key to sign reports with; `mailstead dkim generate` makes one"
                    );
                }
            }
        }
        let (now, today) = (self.clock().now(), self.today());
        self.book.with(move |shelf| shelf.tidy(now, today)).await?;
        Ok(sent)
    }

    /// Whom reports come from: reports that nobody can tell to be ours are thrown away (RFC 9990 §3.5).
    fn author(&self) -> Option<Address> {
        if let Some(address) = &self.choices.from {
            return Some(address.clone());
        }
        postmaster_who_signs(self.directory(), std::iter::once(&self.choices.hostname))
    }

    async fn send_dmarc(
        &self,
        author: &Address,
        pending: PendingReport,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let id = pending.id;
        let wish: Wish = serde_json::from_str(&pending.policy).context("reading what is to be reported")?;
        let domain = DomainName::parse(&wish.published.domain).context("reading what is to be reported")?;
        let wanted = match self.choices.dmarc && self.is_welcome(&domain) {
            true => self.dmarc_destinations(&domain, &wish).await,
            false => Wanted::Nowhere,
        };
        let is_done = match wanted {
            Wanted::Unknown => false,
            Wanted::Nowhere => {
                sent.unwanted += 1;
                true
            }
            Wanted::To(addresses, _) => {
                let rows = self.book.with(move |shelf| shelf.rows(id)).await?;
                let written = self.write_dmarc(author, &pending, wish, rows).await?;
                self.hand_over(author, (written, AttachmentKind::Dmarc), &addresses, sent).await
            }
        };
        match is_done {
            true => self.book.with(move |shelf| shelf.forget(id)).await?,
            false => sent.waiting += 1,
        }
        Ok(())
    }

    async fn send_tls(
        &self,
        author: &Address,
        day: i64,
        domain: String,
        sent: &mut Sent,
    ) -> anyhow::Result<()> {
        let name = DomainName::parse(&domain).context("reading what is to be reported")?;
        let wanted = match self.choices.tls && self.is_welcome(&name) {
            true => self.tls_destinations(&name).await,
            false => Wanted::Nowhere,
        };
        let is_done = match wanted {
            Wanted::Unknown => false,
            Wanted::Nowhere => true,
            Wanted::To(addresses, urls) => {
                let of = domain.clone();
                let policies = self.book.with(move |shelf| shelf.tls(day, &of)).await?;
                let written = self.write_tls(author, day, &name, policies).await?;
                let packed = written.packed.clone();
                self.hand_over(author, (written, AttachmentKind::Tls(&name)), &addresses, sent).await
                    && self.is_posted(day, packed, (&addresses, &urls), sent).await
            }
        };
        match is_done {
            true => self.book.with(move |shelf| shelf.forget_tls(day, &domain)).await?,
            false => sent.waiting += 1,
        }
        Ok(())
    }

    fn is_welcome(&self, domain: &DomainName) -> bool {
        let is_or_is_below = |listed: &DomainName| {
            let above = domain.as_str().strip_suffix(listed.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        !self.choices.without.iter().any(is_or_is_below)
    }

    /// RFC 9990 §4: another organisation's host has to agree.
    async fn dmarc_destinations(&self, domain: &DomainName, wish: &Wish) -> Wanted {
        let (mut to, mut is_unknown) = (Vec::new(), false);
        for (address, octets_max) in &wish.to {
            let Ok(address) = Address::parse(address) else { continue };
            let wanted = ReportAddress { address, octets_max: *octets_max };
            let found = mta::settle(&self.resolver, DNS_TIME_MAX, |answers| {
                report_destination(domain, &wanted, answers)
            });
            match found.await {
                Destination::Send(addresses) => to.extend(addresses),
                Destination::Refused => {
                    tracing::info!(%domain, to = %wanted.address, "no report: its host has not agreed to take them");
                }
                Destination::Unknown => is_unknown = true,
            }
        }
        match (to.is_empty(), is_unknown) {
            (false, _) => Wanted::To(to, Vec::new()),
            (true, true) => Wanted::Unknown,
            (true, false) => Wanted::Nowhere,
        }
    }

    async fn tls_destinations(&self, domain: &DomainName) -> Wanted {
        let found =
            mta::settle(&self.resolver, DNS_TIME_MAX, |answers| tls_report_record(domain, answers)).await;
        match found {
            Err(_) => Wanted::Unknown,
            Ok(record) => {
                let destinations = record.map(|record| record.destinations).unwrap_or_default();
                let (mut by_mail, mut by_post) = (Vec::new(), Vec::new());
                for destination in destinations {
                    match destination {
                        TlsReportDestination::Mail(address) => {
                            by_mail.push(ReportAddress { address, octets_max: None });
                        }
                        TlsReportDestination::Https(url) => by_post.push(url),
                    }
                }
                match by_mail.is_empty() && by_post.is_empty() {
                    true => Wanted::Nowhere,
                    false => Wanted::To(by_mail, by_post),
                }
            }
        }
    }

    async fn write_dmarc(
        &self,
        author: &Address,
        pending: &PendingReport,
        wish: Wish,
        rows: Vec<(String, u64)>,
    ) -> anyhow::Result<Written> {
        let (begin, end) = self.range(pending.day);
        let errors = match pending.dropped {
            0 => Vec::new(),
            dropped => vec![format!("{dropped} messages are not in this report, which has too many rows")],
        };
        let metadata = Metadata {
            org_name: self.choices.org_name.clone(),
            email: author.to_string(),
            extra_contact_info: None,
            report_id: self.report_id(begin)?,
            begin,
            end,
            errors,
            generator: Some(concat!("mailstead ", env!("CARGO_PKG_VERSION")).to_owned()),
        };
        let hostname = self.choices.hostname.clone();
        blocking(move || {
            let mut records = Vec::with_capacity(rows.len());
            for (row, count) in rows {
                let record: Record = serde_json::from_str(&row)?;
                records.push(Record { count, ..record });
            }
            let messages: u64 = records.iter().map(|record| record.count).sum();
            let report =
                AggregateReport { metadata, policy_published: wish.published, records, skipped_records: 0 };
            let domain = &report.policy_published.domain;
            Ok(Written {
                subject: report.subject(&hostname),
                text: format!(
                    "This is a DMARC aggregate report (RFC 9990) from {hostname}:\r\n\
                     what came here in the name of {domain} within a day.\r\n\
                     Messages: {messages}\r\n\r\n\
                     You get it because the DMARC record of {domain} asks for it.\r\n"
                ),
                file_name: report.file_name(&hostname),
                packed: pack(report.write().as_bytes()),
                report: Report::Aggregate(Box::new(report)),
            })
        })
        .await
    }

    async fn write_tls(
        &self,
        author: &Address,
        day: i64,
        domain: &DomainName,
        policies: Vec<TlsPolicyResult>,
    ) -> anyhow::Result<Written> {
        let (start_datetime, end_datetime) = self.range(day);
        let report = TlsReport {
            organization_name: self.choices.org_name.clone(),
            date_range: TlsDateRange { start_datetime, end_datetime },
            contact_info: author.to_string(),
            report_id: self.report_id(start_datetime)?,
            policies,
        };
        let (hostname, domain) = (self.choices.hostname.clone(), domain.clone());
        blocking(move || {
            let failures: u64 =
                report.policies.iter().map(|one| one.summary.total_failure_session_count).sum();
            Ok(Written {
                subject: report.subject(&domain, &hostname),
                text: format!(
                    "This is a TLS report (RFC 8460) from {hostname}:\r\n\
                     how connections to the mail hosts of {domain} were protected within a day.\r\n\
                     Connections that were not as they should be: {failures}\r\n\r\n\
                     You get it because _smtp._tls.{domain} asks for it.\r\n"
                ),
                file_name: report.file_name(&domain, &hostname),
                packed: pack(report.write().as_bytes()),
                report: Report::Tls(Box::new(report)),
            })
        })
        .await
    }

    /// First and last second of a day; the last of today is now.
    fn range(&self, day: i64) -> (i64, i64) {
        let begin = day * DAY_SECONDS;
        (begin, (begin + DAY_SECONDS - 1).min(self.clock().now().unix_seconds()))
    }

    fn report_id(&self, begin: i64) -> anyhow::Result<String> {
        let random = u64::from_be_bytes(random()?);
        Ok(format!("{begin}.{random:016x}@{}", self.choices.hostname))
    }

    /// Gives a report to all who want it; whether nothing is left to do.
    async fn hand_over(
        &self,
        author: &Address,
        (written, kind): (Written, AttachmentKind<'_>),
        to: &[ReportAddress],
        sent: &mut Sent,
    ) -> bool {
        let is_ours = |wanted: &&ReportAddress| {
            wanted.domain().is_some_and(|domain| self.directory().is_local_domain(domain))
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = to.iter().partition(is_ours);
        for wanted in theirs {
            match self.mail_to(author, (&written, kind), wanted).await {
                Ok(true) => sent.mails += 1,
                Ok(false) => sent.unwanted += 1,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), to = %wanted.address, "a report has to wait");
                    return false;
                }
            }
        }
        if !ours.is_empty() {
            // Nobody has to write to themselves: `dns report` shows it.
            let kept = received(&written.report, self.clock().now(), String::new());
            match self.book.with(move |shelf| kept.map_or(Ok(()), |kept| shelf.keep(&kept))).await {
                Ok(()) => sent.kept += 1,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a report to ourselves has to wait");
                    return false;
                }
            }
        }
        true
    }

    /// Mails a report; `false` where it is larger than wanted.
    async fn mail_to(
        &self,
        author: &Address,
        (written, kind): (&Written, AttachmentKind<'_>),
        wanted: &ReportAddress,
    ) -> anyhow::Result<bool> {
        let mail = Letter {
            from: (&self.choices.org_name, author),
            subject: &written.subject,
            text: &written.text,
            attachment: Attachment { kind, file_name: &written.file_name, octets: &written.packed },
            hostname: &self.choices.hostname,
            now: self.clock().now(),
            random: random()?,
        };
        let octets = mail.write(&wanted.address);
        if wanted.octets_max.is_some_and(|most| octets.len() as u64 > most) {
            tracing::info!(to = %wanted.address, octets = octets.len(), "a report is larger than wanted and not sent");
            return Ok(false);
        }
        let way = (self.next_transaction)();
        let message_kind = match kind {
            AttachmentKind::Dmarc => MessageKind::Report,
            AttachmentKind::Tls(_) => MessageKind::TlsReport,
        };
        let mail = OwnMail { way, from: author, to: &wanted.address, kind: message_kind, octets: &octets };
        self.mail.send(mail).await?;
        tracing::info!(way = way.to_text(), to = %wanted.address, subject = written.subject, "a report leaves");
        Ok(true)
    }
}

/// Writes down what was seen of TLS today and yesterday.
pub(crate) async fn save_tls(book: &ReportBook, tally: &TlsTally, now: Timestamp) -> anyhow::Result<()> {
    let today = now.unix_seconds().div_euclid(DAY_SECONDS);
    for day in [today - 1, today] {
        let taken = tally.take(TallyDay(day));
        if taken.is_empty() {
            continue;
        }
        let results = taken
            .into_iter()
            .map(|(domain, policy, tally)| (domain.to_string(), tls_result(&domain, policy, tally)))
            .collect();
        book.with(move |shelf| shelf.add_tls(day, results)).await?;
    }
    Ok(())
}

fn tls_result(domain: &DomainName, policy: AppliedPolicy, tally: PolicyTally) -> TlsPolicyResult {
    let details = tally.details.into_iter().map(|(detail, count)| {
        let place = detail.place;
        TlsFailureDetails {
            result_type: detail.failure,
            sending_mta_ip: None,
            receiving_mx_hostname: place.as_ref().map(|place| place.host.to_string()),
            receiving_mx_helo: None,
            receiving_ip: place.and_then(|place| place.address).map(|address| address.to_string()),
            failed_session_count: count,
            additional_information: None,
            failure_reason_code: (!detail.detail.is_empty()).then(|| detail.detail.to_string()),
        }
    });
    TlsPolicyResult {
        policy: TlsPolicy {
            policy_type: policy.kind,
            policy_string: policy.texts,
            policy_domain: domain.to_string(),
            mx_host: policy.exchangers,
        },
        summary: TlsSummary {
            total_successful_session_count: tally.successes,
            total_failure_session_count: tally.failures,
        },
        failure_details: details.collect(),
    }
}

/// Writing and packing thousands of rows takes its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("writing a report was interrupted")?
}

fn random<const OCTETS: usize>() -> anyhow::Result<[u8; OCTETS]> {
    let mut random = [0; OCTETS];
    directory::fill_random(&mut random).map_err(|error| anyhow::anyhow!("no random octets: {error}"))?;
    Ok(random)
}

/// Seconds of a day after its end until its reports leave: another for each start, so that not all servers of the world
/// write at midnight (RFC 9990 §3.5 leaves the time to the sender).
pub(crate) fn delay_seconds() -> i64 {
    const DELAY_SECONDS_MAX: i64 = 4 * 3_600;
    random().map_or(0, |octets| i64::from(u16::from_be_bytes(octets)) % DELAY_SECONDS_MAX)
}

/// Up to which day reports are due.
pub(crate) fn due(now: Timestamp, delay_seconds: i64) -> i64 {
    (now.unix_seconds() - delay_seconds).div_euclid(DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_due_some_time_after_its_end() {
        for (seconds, expected) in
            [(2 * DAY_SECONDS + 99, 1), (2 * DAY_SECONDS + 100, 2), (3 * DAY_SECONDS, 2)]
        {
            assert_eq!(due(Timestamp::from_unix_seconds(seconds), 100), expected);
        }
    }
}
