//! Mail in and out over SMTP and LMTP: from strangers (25), from our own people (587, 465), from a front server (LMTP);
//! to other people's servers, to relays, and to servers that have the mailboxes.
//!
//! Steps 2 to 10 of a message's way: [`SmtpDoor::serve`] gets a connection from `platform::listener`,
//! `receive/session.rs` holds the conversation that `smtp::server` rules, `receive/policy.rs` judges, `receive/intake.rs`
//! streams the octets into the mailstore, `screen/` judges strangers before that, `inspect/` finds out who really sent
//! them, `engines/` asks others' programs, `content/` finds out what they say, `filter/` asks people's scripts, `deliver/`
//! files and queues them, and `receive/replies.rs` has every word we
//! say. What was queued leaves by [`Outbound`]: `remote/` finds its host and speaks to it, `report/` tells its sender.

mod breaker;
mod content;
mod counts;
mod deliver;
mod engines;
mod filter;
mod inspect;
mod outbound;
mod own_mail;
mod receive;
mod remote;
mod report;
pub mod screen;
mod settings;
mod submit;
mod way;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use directory::Directory;
use dns::Resolver;
use mail_types::TransactionId;
use mailstore::Store;
use platform::clock::Clock;
use platform::guard::{Guard, Refusal};
use platform::listener::Accepted;
use platform::metrics::Metrics;
use queue::Queue;
use tls::Acceptor;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use counts::Counts;
use deliver::limits::Sent;
use screen::Screen;
use settings::{Live, QueueBehind};

pub use breaker::{Breaker, BreakerError, BreakerSettings, RecipientKey, Signal, Stopped};
pub use content::{
    APART, Action as SpamAction, CHANGES_OCTETS_MAX, Changes, Content, ContentError, ContentSettings,
    ContentTrial, Learned, Lesson, LessonError, Listed, OnBusy, Order, POINTS_MAX, Past, Quarantine,
    QuarantineError, QuarantineLimits, Quarantined, SENDERS_MAX, SETTINGS_ANNOTATION, Taste, TrialVerdict,
    attached, is_subject_prefix, points,
};
pub use deliver::limits::SentHour;
pub use deliver::routing::{Routing, SendingLimits};
pub use engines::settings::{
    AtFinding, ClamdSettings, EngineListeners, EnginePlace, EngineSettings, MilterSettings, NoEnginePlace,
    OnEngineFailure, RspamdSettings, ScannerSettings, SpamdSettings,
};
pub use filter::{
    FilterError, FilterFileError, FilterFiles, FilterSettings, Filters, ProgramBounds, SEED_RULE, Trial,
    TrialAction, TrialMessage, TrialRooms, list_annotation, list_entries, list_of_annotation,
};
pub use inspect::{
    Applied, CheckSink, CheckedMessage, Checks, Enforcement, Findings, OnDnsFailure, Override, WithoutAuthor,
    settle,
};
pub use outbound::settings::{
    Identity, Loopback, OutboundSettings, RelayCredentials, Timeouts, TlsWish, TlsWishes,
};
pub use outbound::sts::{PolicyFetch, PolicyFetchError, PolicyFetched, PolicyOrder, StsRooms};
pub use outbound::tls_result::{
    AppliedPolicy, FailureDetail, PolicyTally, TALLY_DAYS_MAX, TALLY_FAILURES_MAX, TALLY_OCTETS_MAX,
    TALLY_POLICIES_MAX, TallyDay, TlsPlace, TlsResult, TlsResultSink, TlsTally,
};
pub use outbound::{Outbound, OutboundError, OutboundRooms};
pub use own_mail::{OwnMail, OwnMailError, OwnMailRooms};
pub use report::author::{ReportAuthor, postmaster_who_signs};
pub use settings::Settings;
pub use way::{
    Attempt, AttemptSink, AttemptedRecipient, MessageWay, Outcome, PolicySource, Protection, RecipientWay,
    RemoteEnd, TlsWay, VerifiedBy, WaySink,
};

/// What a listener is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Listener {
    /// Port 25: mail from other servers.
    Relay,
    /// Port 587: mail of our people, STARTTLS first (RFC 6409).
    Submission,
    /// Port 465: the same with TLS at once (RFC 8314 §3.3).
    ImplicitSubmission,
    /// Port 24 or a Unix socket: mail from a server in front of us, one answer for each recipient (RFC 2033).
    Lmtp,
}

impl Listener {
    /// Its name in settings, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "smtp",
            Self::Submission => "submission",
            Self::ImplicitSubmission => "submissions",
            Self::Lmtp => "lmtp",
        }
    }

    /// Whether its clients are our people, who log in.
    #[must_use]
    pub const fn is_submission(self) -> bool {
        matches!(self, Self::Submission | Self::ImplicitSubmission)
    }

    /// What a peer is told that may not come in; for `platform::listener`.
    #[must_use]
    pub fn refusal(self) -> fn(Refusal) -> &'static [u8] {
        match self {
            // Clear text would be no TLS handshake.
            Self::ImplicitSubmission => |_| b"",
            Self::Relay | Self::Submission | Self::Lmtp => receive::replies::connection_refused,
        }
    }
}

/// The rooms that the door leads to.
pub struct Rooms {
    /// Mailboxes and messages.
    pub store: Store,
    /// Mail for other servers; without it none is taken.
    pub queue: Option<Queue>,
    /// Whose mail it is, and who may log in.
    pub directory: Directory,
    /// Who tried passwords too often.
    pub guard: Guard,
    /// What time it is.
    pub clock: Clock,
    /// TLS; without it nobody can log in over a network.
    pub acceptor: Option<Acceptor>,
    /// Names the way of each message; no two of the same name, ever.
    pub next_transaction: Box<dyn Fn() -> TransactionId + Send + Sync>,
    /// Takes the record of each message's way.
    pub ways: WaySink,
    /// Asks DNS who may send; without it senders are not checked.
    pub resolver: Option<Resolver>,
    /// Hears of each message whose sender was checked.
    pub checked: CheckSink,
    /// Runs people's scripts.
    pub filters: Filters,
    /// Judges what messages say.
    pub content: Content,
    /// Judges strangers before their mail is seen; without it nobody does.
    pub screen: Option<Screen>,
    /// Stops stolen accounts.
    pub breaker: Breaker,
}

impl Rooms {
    fn queue_behind(&self) -> QueueBehind {
        if self.queue.is_some() { QueueBehind::Present } else { QueueBehind::Absent }
    }
}

/// The SMTP door. Clones share it.
#[derive(Clone)]
pub struct SmtpDoor(Arc<Door>);

/// What all sessions share.
pub(crate) struct Door {
    pub(crate) rooms: Rooms,
    pub(crate) live: ArcSwap<Live>,
    pub(crate) counts: Counts,
    metrics: Metrics,
    /// What accounts have sent lately.
    pub(crate) sent: Sent,
    /// The places of large headers.
    pub(crate) large_headers: Arc<Semaphore>,
}

impl SmtpDoor {
    /// A door to these rooms.
    #[must_use]
    pub fn new(rooms: Rooms, settings: Settings, metrics: &Metrics) -> Self {
        let live = Live::new(settings, rooms.acceptor.is_some(), rooms.queue_behind(), None, metrics);
        if let Some(screen) = &rooms.screen {
            screen.reconfigure(&live.settings.screen);
            if let Some(resolver) = &rooms.resolver {
                screen.lists().ask_by(resolver.clone());
            }
        }
        let (counts, sent) = (Counts::new(metrics), Sent::default());
        let large_headers = Arc::new(Semaphore::new(receive::intake::LARGE_HEADERS_MAX));
        let (live, metrics) = (ArcSwap::from_pointee(live), metrics.clone());
        Self(Arc::new(Door { rooms, live, counts, metrics, sent, large_headers }))
    }

    /// Takes new settings, for sessions that begin from now on.
    pub fn reconfigure(&self, settings: Settings) {
        let rooms = &self.0.rooms;
        let former = self.0.live.load();
        let live = Live::new(
            settings,
            rooms.acceptor.is_some(),
            rooms.queue_behind(),
            Some(&former),
            &self.0.metrics,
        );
        if let Some(screen) = &rooms.screen {
            screen.reconfigure(&live.settings.screen);
        }
        self.0.live.store(Arc::new(live));
    }

    /// What accounts have sent, by the hour: the hours that have changed since this was last asked. Whoever keeps them
    /// gives them back after a restart with [`Self::restore_sent`], so that limits hold on.
    #[must_use]
    pub fn sent_since(&self) -> Vec<SentHour> {
        self.0.sent.changed()
    }

    /// Takes up what accounts have sent before the start.
    pub fn restore_sent(&self, kept: &[SentHour]) {
        self.0.sent.restore(kept, self.0.rooms.clock.now());
    }

    /// Serves one connection to its end.
    pub async fn serve(&self, accepted: Accepted, listener: Listener) {
        let span = tracing::info_span!("smtp", connection = accepted.number.0, peer = %accepted.peer);
        receive::session::run(Arc::clone(&self.0), accepted, listener).instrument(span).await;
    }
}

impl fmt::Debug for SmtpDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpDoor")
    }
}
