//! What the operator may choose about mail coming in, as plain values that are already valid, and what follows from
//! them for each listener.

use std::sync::Arc;
use std::time::Duration;

use mail_types::DomainName;
use mailstore::QuotaLimit;
use platform::lines::WireSettings;
use platform::metrics::Metrics;
use smtp::HOLD_SECONDS_MAX;
use smtp::extension::{DeliverByOffer, FutureReleaseOffer, Offers};
use smtp::framing::BareNewlines;
use smtp::server::{AuthOffer, Protocol, StartTlsOffer};

use crate::Listener;
use crate::deliver::routing::Routing;
use crate::engines::Engines;
use crate::engines::settings::EngineSettings;
use crate::inspect::Checks;
use crate::screen::ScreenSettings;

/// Unconsumed input of one connection: some reads of a message, and more than the longest command.
const INPUT_OCTETS_MAX: usize = 64 * 1024;

/// The SMTP door's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name we greet with and put into Received fields.
    pub hostname: DomainName,
    /// Octets of the largest message (RFC 1870).
    pub message_octets_max: u64,
    /// Recipients of one message from strangers and by LMTP; at least 100 (RFC 5321 §4.5.3.1.8).
    pub recipients_max: u32,
    /// Recipients of one message of our people.
    pub submission_recipients_max: u32,
    /// Accounts that one message may be for when all its aliases are followed; an account behind two recipients counts
    /// twice. Without it, recipients that are large aliases could fill our memory.
    pub targets_max: usize,
    /// Messages of one connection.
    pub messages_max: u32,
    /// Errors of one connection.
    pub errors_max: u32,
    /// Refused recipients of one connection.
    pub refused_recipients_max: u32,
    /// Commands of one connection without a message between them.
    pub idle_commands_max: u32,
    /// Failed log-ins of one connection.
    pub login_failures_max: u32,
    /// Received fields of a message that is not yet a loop (RFC 5321 §6.3 wants at least 100).
    pub received_max: u32,
    /// What becomes of lone CR and LF in mail from strangers and by LMTP.
    pub bare_newlines: BareNewlines,
    /// What becomes of them in mail of our people.
    pub submission_bare_newlines: BareNewlines,
    /// How long we wait for a command (RFC 5321 §4.5.3.2.7: 5 minutes at least).
    pub command_timeout: Duration,
    /// How long we wait for the next piece of a message (RFC 5321 §4.5.3.2.5: 3 minutes at least).
    pub data_timeout: Duration,
    /// How long a connection may last.
    pub session_timeout: Duration,
    /// How long a client may take to read our replies.
    pub write_timeout: Duration,
    /// Whether passwords are taken without TLS from loopback addresses.
    pub plaintext_on_loopback: bool,
    /// What accounts may keep that have no quota of their own.
    pub quota_default: QuotaLimit,
    /// Where mail for other servers goes, and who may send it.
    pub routing: Routing,
    /// What follows from who really sent a message.
    pub checks: Checks,
    /// What becomes of strangers before their mail is seen.
    pub screen: ScreenSettings,
    /// How long our people may have their mail held back (RFC 4865); zero where they may not.
    pub future_release_max: Duration,
    /// Others' engines that are asked about mail.
    pub engines: EngineSettings,
}

impl Settings {
    /// A host's settings where nobody wishes otherwise.
    #[must_use]
    pub fn new(hostname: DomainName) -> Self {
        Self {
            hostname,
            message_octets_max: 50 * 1024 * 1024,
            recipients_max: 1_000,
            submission_recipients_max: 1_000,
            targets_max: 10_000,
            messages_max: 1_000,
            errors_max: 20,
            refused_recipients_max: 100,
            idle_commands_max: 200,
            login_failures_max: 3,
            received_max: 100,
            bare_newlines: BareNewlines::Refuse,
            submission_bare_newlines: BareNewlines::Normalise,
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(180),
            session_timeout: Duration::from_secs(3_600),
            write_timeout: Duration::from_secs(120),
            plaintext_on_loopback: false,
            quota_default: QuotaLimit::NONE,
            routing: Routing::default(),
            checks: Checks::default(),
            screen: ScreenSettings::default(),
            future_release_max: Duration::from_secs(30 * 24 * 3_600),
            engines: EngineSettings::default(),
        }
    }

    /// What the queue behind us lets us promise.
    fn offers(&self, listener: Listener, queue: QueueBehind) -> Offers {
        if queue == QueueBehind::Absent {
            return Offers::NONE;
        }
        let seconds = u32::try_from(self.future_release_max.as_secs()).unwrap_or(u32::MAX);
        let seconds_max = seconds.min(HOLD_SECONDS_MAX);
        let may_hold = listener.is_submission() && seconds_max > 0;
        Offers {
            dsn: true,
            require_tls: true,
            priority: true,
            deliver_by: Some(DeliverByOffer::default()),
            future_release: may_hold.then_some(FutureReleaseOffer { seconds_max }),
        }
    }

    fn protocol(
        &self,
        listener: Listener,
        starttls: StartTlsOffer,
        queue: QueueBehind,
    ) -> Arc<smtp::server::Settings> {
        let (protocol, auth, recipients_max, bare_newlines) = match listener {
            Listener::Relay => (Protocol::Smtp, AuthOffer::Absent, self.recipients_max, self.bare_newlines),
            Listener::Lmtp => (Protocol::Lmtp, AuthOffer::Absent, self.recipients_max, self.bare_newlines),
            Listener::Submission | Listener::ImplicitSubmission => (
                Protocol::Smtp,
                AuthOffer::Required,
                self.submission_recipients_max,
                self.submission_bare_newlines,
            ),
        };
        Arc::new(smtp::server::Settings {
            protocol,
            hostname: self.hostname.as_str().into(),
            message_octets_max: self.message_octets_max,
            recipients_max,
            transactions_max: self.messages_max,
            errors_max: self.errors_max,
            refused_recipients_max: self.refused_recipients_max,
            idle_commands_max: self.idle_commands_max,
            login_failures_max: self.login_failures_max,
            starttls,
            auth,
            bare_newlines,
            offers: self.offers(listener, queue),
            asks: !self.engines.milters.places.is_empty() && self.engines.milters.listeners.covers(listener),
        })
    }
}

/// Whether there is a queue to carry on what extensions promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum QueueBehind {
    /// There is.
    Present,
    /// Mail only comes in.
    Absent,
}

/// The settings in force, and what each kind of session needs of them.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) settings: Settings,
    pub(crate) engines: Arc<Engines>,
    relay: Arc<smtp::server::Settings>,
    lmtp: Arc<smtp::server::Settings>,
    submission: Arc<smtp::server::Settings>,
    trusted_submission: Arc<smtp::server::Settings>,
    implicit_submission: Arc<smtp::server::Settings>,
}

/// Whether what is said in clear on a connection can be overheard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// There is a network between.
    Network,
    /// The client is on this machine, and the operator lets it speak in clear.
    ThisMachine,
}

impl Live {
    /// `former`: the settings before, whose engines stay where nothing has changed.
    pub(crate) fn new(
        settings: Settings,
        has_tls: bool,
        queue: QueueBehind,
        former: Option<&Self>,
        metrics: &Metrics,
    ) -> Self {
        let engines = match former.filter(|former| former.settings.engines == settings.engines) {
            Some(former) => Arc::clone(&former.engines),
            None => Arc::new(Engines::new(&settings.engines, metrics)),
        };
        let (offered, required) = match has_tls {
            true => (StartTlsOffer::Offered, StartTlsOffer::Required),
            false => (StartTlsOffer::Absent, StartTlsOffer::Absent),
        };
        Self {
            engines,
            relay: settings.protocol(Listener::Relay, offered, queue),
            lmtp: settings.protocol(Listener::Lmtp, offered, queue),
            submission: settings.protocol(Listener::Submission, required, queue),
            trusted_submission: settings.protocol(Listener::Submission, offered, queue),
            implicit_submission: settings.protocol(
                Listener::ImplicitSubmission,
                StartTlsOffer::Absent,
                queue,
            ),
            settings,
        }
    }

    pub(crate) fn protocol(&self, listener: Listener, reach: Reach) -> Arc<smtp::server::Settings> {
        Arc::clone(match (listener, reach) {
            (Listener::Relay, _) => &self.relay,
            (Listener::Lmtp, _) => &self.lmtp,
            (Listener::Submission, Reach::Network) => &self.submission,
            (Listener::Submission, Reach::ThisMachine) => &self.trusted_submission,
            (Listener::ImplicitSubmission, _) => &self.implicit_submission,
        })
    }

    pub(crate) fn wire(&self) -> WireSettings {
        WireSettings { input_octets_max: INPUT_OCTETS_MAX, write_timeout: self.settings.write_timeout }
    }
}
