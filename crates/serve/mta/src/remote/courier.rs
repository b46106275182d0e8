//! Carries the messages of one lease: over the connection that is open if it fits, else over a new one, to the first of the
//! destination's hosts that takes them (RFC 5321 §5.1).

use std::collections::HashSet;
use std::sync::Arc;

use mail_types::{ReversePath, Situation};
use queue::{
    ConnectionEnd, Destination, Diagnostic, Lease, LmtpServer, MessageKind, NewMessage, Parcel, Recipient,
    RecipientNumber, RecipientOutcome, Relay, RelayHost, RelayTls,
};
use smtp::Reply;
use smtp::client::{Allowance, LeftOut, Limit, Missing, Outcome};
use smtp::server::Protocol;

use super::connect::{self, Broken, Connection, Manner, NoUse};
use super::judge::{self, Speaker};
use super::login::RelayLogin;
use super::mx::{self, Host, NoHost, Search};
use super::order::{order, return_path_octets};
use super::protection::{Forbidden, Undertaking, proven};
use super::tls_policy::{Demand, TlsPolicy};
use super::transact::{Body, Transacted};
use crate::outbound::settings::Identity;
use crate::outbound::{Gate, LiveOut};
use crate::way::{Protection, RemoteEnd, TlsWay};

/// Carries one lease's messages.
pub(crate) struct Courier {
    gate: Arc<Gate>,
    live: Arc<LiveOut>,
    destination: Destination,
    held: Option<Held>,
}

/// The connection that is open.
struct Held {
    /// Other mail may need better protection.
    is_for_one: bool,
    connection: Connection,
    identity: Identity,
}

/// What a message's sender and the message itself demand of the connection.
#[derive(Clone, Debug)]
struct Wanted {
    identity: Identity,
    demand: Demand,
}

/// What became of a message.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Recipients that are not named were not tried.
    pub(crate) outcomes: Vec<(RecipientNumber, RecipientOutcome)>,
    /// What was asked for and not passed on.
    pub(crate) left_out: LeftOut,
    /// The connection's end, where the destination wants no more for now.
    pub(crate) end: Option<ConnectionEnd>,
    pub(crate) remote: Option<RemoteEnd>,
    pub(crate) tls: Option<TlsWay>,
    pub(crate) protection: Option<Protection>,
    /// Why it went in clear although the server offers TLS.
    pub(crate) tls_failure: Option<Box<str>>,
    /// Who takes it delivers it: it was the last server (RFC 2033).
    pub(crate) is_final: bool,
}

/// Why no connection can be had.
enum NoWay {
    Never(Diagnostic),
    Later(Diagnostic),
    /// It took its time, and others wait.
    GaveWay,
}

impl From<NoHost> for NoWay {
    fn from(no_host: NoHost) -> Self {
        let diagnostic = judge::no_host(&no_host);
        match no_host {
            NoHost::Never(_) => Self::Never(diagnostic),
            NoHost::Later(..) => Self::Later(diagnostic),
        }
    }
}

impl From<Forbidden> for NoWay {
    fn from(forbidden: Forbidden) -> Self {
        match forbidden.is_final {
            true => Self::Never(forbidden.diagnostic),
            false => Self::Later(forbidden.diagnostic),
        }
    }
}

type Pending<'a> = Vec<(RecipientNumber, &'a Recipient)>;

impl Courier {
    pub(crate) fn new(gate: &Arc<Gate>, destination: &Destination) -> Self {
        Self {
            gate: Arc::clone(gate),
            live: gate.live.load_full(),
            destination: destination.clone(),
            held: None,
        }
    }

    /// Whether a connection is open that the next message may use.
    pub(crate) fn has_connection(&self) -> bool {
        self.held.is_some()
    }

    /// Hands a message over to as many of its recipients as can be asked.
    pub(crate) async fn hand_over(&mut self, parcel: &Parcel, lease: &mut Lease) -> Handed {
        let wanted = self.wanted(parcel.message());
        let mut handed = Handed::default();
        let mut pending: Pending<'_> = parcel.recipients().collect();
        let body = match open(parcel).await {
            Ok(body) => body,
            Err(broken) => {
                let diagnostic = judge::broken_off(&broken, "");
                let deferred = |(number, _)| (number, RecipientOutcome::Deferred(diagnostic.clone()));
                handed.outcomes = pending.into_iter().map(deferred).collect();
                return handed;
            }
        };
        // A connection that was kept open may have been closed meanwhile: once, that says nothing.
        let mut may_be_stale = true;
        while !pending.is_empty() && handed.end.is_none() {
            match self.connection(&wanted, lease).await {
                Ok(()) => {}
                Err(NoWay::GaveWay) => {
                    handed.end = Some(ConnectionEnd::GaveWay);
                    break;
                }
                Err(NoWay::Never(diagnostic)) => {
                    let failed = |(number, _)| (number, RecipientOutcome::Failed(diagnostic.clone()));
                    handed.outcomes.extend(pending.drain(..).map(failed));
                    break;
                }
                // Other mail may well get through: only this one demands what could not be had.
                Err(NoWay::Later(diagnostic)) if wanted.demand == Demand::RequireTls => {
                    let deferred = |(number, _)| (number, RecipientOutcome::Deferred(diagnostic.clone()));
                    handed.outcomes.extend(pending.drain(..).map(deferred));
                    break;
                }
                Err(NoWay::Later(diagnostic)) => {
                    // Who had a part of it just now is not out of reach.
                    let was_reached = handed.remote.is_some();
                    let end = if was_reached { ConnectionEnd::Throttled } else { ConnectionEnd::Unreachable };
                    handed.end = Some(end(diagnostic));
                    break;
                }
            }
            let transaction =
                self.one_transaction(parcel.message(), &body, &mut pending, &mut handed, &mut may_be_stale);
            lease.watch(transaction).await;
        }
        handed
    }

    /// Offers the message to as many recipients as one transaction takes, over the connection that is open.
    async fn one_transaction(
        &mut self,
        message: &NewMessage,
        body: &Body,
        pending: &mut Pending<'_>,
        handed: &mut Handed,
        may_be_stale: &mut bool,
    ) {
        let Some(mut held) = self.held.take() else { return };
        let connection = &mut held.connection;
        let batch = batch(pending, connection.client.allowance(), self.live.settings.recipients_max);
        let now = self.gate.rooms.clock.now();
        let reverse_path = self.live.settings.routing.passed_on_from(
            &message.reverse_path,
            batch.iter().map(|(_, recipient)| *recipient),
            |domain| self.gate.rooms.directory.is_local_domain(domain),
            now,
        );
        let order =
            order(message, reverse_path, batch.iter().map(|(_, recipient)| *recipient), body.octets(), now);
        let was_used = connection.transactions > 0;
        let begin = self.gate.rooms.clock.monotonic();
        let transacted = connection.transact(&order, body).await;
        self.gate.counts.transaction.observe_duration(self.gate.rooms.clock.monotonic().since(begin));
        handed.remote = Some(connection.end.clone());
        handed.tls = connection.tls_way();
        handed.protection = connection.protection;
        handed.tls_failure = connection.tls_failure.clone();
        handed.is_final = connection.protocol == Protocol::Lmtp;
        let speaker = Speaker::of(connection, &self.destination);
        match transacted {
            Transacted::Ended(outcome) => {
                // What the server said beforehand about transactions is over with the connection.
                let is_full = matches!(outcome, Outcome::Exceeds(Limit::Transactions(_)));
                if is_full {
                    held.connection.quit().await;
                    return;
                }
                handed.take(&outcome, &batch, speaker);
                pending.drain(..batch.len());
                self.keep(held).await;
            }
            Transacted::BrokenOff { outcome, broken, stand_in, has_begun } => {
                tracing::info!(host = speaker.name, %broken, "the connection broke off");
                let is_stale = was_used && !has_begun && std::mem::take(may_be_stale);
                if is_stale {
                    return;
                }
                let diagnostic = judge::broken_off(&broken, speaker.name);
                handed.take_broken(outcome.as_ref(), stand_in.as_ref(), &diagnostic, &batch, speaker);
                pending.drain(..batch.len());
                // Our own disk is no fault of theirs.
                if !matches!(broken, Broken::Unreadable(_)) {
                    handed.end = Some(ConnectionEnd::Throttled(diagnostic));
                }
            }
        }
    }

    /// Keeps a connection for the next message, if it may have one.
    async fn keep(&mut self, held: Held) {
        let allowance = held.connection.client.allowance().transactions.unwrap_or(u32::MAX);
        if allowance == 0
            || held.is_for_one
            || held.connection.transactions >= self.live.settings.messages_max
        {
            held.connection.quit().await;
        } else {
            self.held = Some(held);
        }
    }

    /// Ends the connection that is open.
    pub(crate) async fn close(mut self) {
        if let Some(held) = self.held.take() {
            held.connection.quit().await;
        }
    }

    fn wanted(&self, message: &NewMessage) -> Wanted {
        let sender = match &message.reverse_path {
            ReversePath::Address(sender) => Some(sender),
            ReversePath::Null => None,
        };
        // RFC 8689 §5: a report says REQUIRETLS where it can, and is not lost where it cannot.
        let demand = match (message.kind, message.require_tls && sender.is_some()) {
            (MessageKind::TlsReport, _) => Demand::Arrival,
            (_, true) => Demand::RequireTls,
            (_, false) => Demand::None,
        };
        Wanted { identity: self.live.settings.identity_for(sender).clone(), demand }
    }

    /// Sees to it that a connection is open that is as wanted.
    async fn connection(&mut self, wanted: &Wanted, lease: &mut Lease) -> Result<(), NoWay> {
        if let Some(held) = self.held.take() {
            let is_safe_enough = wanted.demand != Demand::RequireTls || held.connection.is_verified;
            if held.identity == wanted.identity && is_safe_enough {
                self.held = Some(held);
                return Ok(());
            }
            held.connection.quit().await;
        }
        let reached = tokio::select! {
            biased;
            // Cancelled, no mail was under way.
            reached = self.reach(wanted) => reached,
            // Cancelled, the lease is as it was.
            () = lease.give_way() => Err(NoWay::GaveWay),
        };
        match reached {
            Ok(connection) => {
                self.gate.counts.connections_made.increment();
                self.gate.counts.tls(connection.tls.as_ref().map(|session| session.version));
                self.held = Some(Held {
                    connection,
                    identity: wanted.identity.clone(),
                    is_for_one: wanted.demand == Demand::Arrival,
                });
                Ok(())
            }
            Err(NoWay::GaveWay) => {
                self.gate.counts.connections_given_up.increment();
                Err(NoWay::GaveWay)
            }
            Err(no_way) => {
                self.gate.counts.connections_failed.increment();
                Err(no_way)
            }
        }
    }

    async fn reach(&self, wanted: &Wanted) -> Result<Connection, NoWay> {
        let (resolver, settings) = (&self.gate.rooms.resolver, &self.live.settings);
        match &self.destination {
            Destination::Domain(domain) => {
                let search = Search::begin(resolver, settings, domain).await?;
                self.reach_exchanger(search, wanted).await
            }
            Destination::Literal(literal) => {
                let host = mx::literal_host(settings, *literal)?;
                self.reach_host(&host, wanted, Protocol::Smtp, settings.port, None).await
            }
            Destination::Relay(relay) => self.reach_relay(relay, wanted).await,
            Destination::Lmtp(LmtpServer::Tcp { host, port }) => {
                let host = self.named_host(host).await?;
                self.reach_host(&host, wanted, Protocol::Lmtp, *port, None).await
            }
            Destination::Lmtp(server @ LmtpServer::Unix(path)) => {
                let manner = Manner {
                    protocol: Protocol::Lmtp,
                    identity: &wanted.identity,
                    policy: &TlsPolicy::Never,
                    login: None,
                    port: 0,
                };
                let reached = connect::to_socket(&self.live, server, manner).await;
                reached.map_err(|no_use| NoWay::Later(judge::no_use(&no_use, path)))
            }
        }
    }

    /// The first of a domain's exchangers that takes mail, better ones first.
    async fn reach_exchanger(&self, mut search: Search<'_>, wanted: &Wanted) -> Result<Connection, NoWay> {
        let mut last = None;
        while let Some(hosts) = search.next().await {
            for host in hosts {
                let reached =
                    self.reach_host(&host, wanted, Protocol::Smtp, self.live.settings.port, None).await;
                match (reached, &last) {
                    (Ok(connection), _) => return Ok(connection),
                    // One that may take it later outweighs all that never will.
                    (Err(NoWay::Never(_)), Some(NoWay::Later(_))) => {}
                    (Err(no_way), _) => last = Some(no_way),
                }
            }
        }
        match (search.conclusion(), search.failure(), last) {
            (Some(no_host), ..) => Err(no_host.into()),
            (None, Some(failure), None | Some(NoWay::Never(_))) => Err(failure.into()),
            (None, _, Some(no_way)) => Err(no_way),
            (None, None, None) => Err(NoHost::Never(Situation::NoRoute).into()),
        }
    }

    async fn reach_relay(&self, relay: &Relay, wanted: &Wanted) -> Result<Connection, NoWay> {
        let host = self.named_host(&relay.host).await?;
        let later = |detail: String| NoHost::Later(Situation::LoginFailed, detail);
        let login = match &relay.credentials {
            None => None,
            Some(name) => {
                let found = self.live.settings.credentials.get(name);
                let found = found.ok_or_else(|| later(format!("no credentials {}", name.as_str())))?;
                if !matches!(relay.tls, RelayTls::StartTls | RelayTls::Implicit) {
                    return Err(later("a password goes over verified TLS alone".into()).into());
                }
                Some(RelayLogin {
                    user: found.user.clone(),
                    password: found.password.clone(),
                    workers: self.gate.rooms.workers.clone(),
                })
            }
        };
        self.reach_host(&host, wanted, Protocol::Smtp, relay.port, login.as_ref()).await
    }

    async fn named_host(&self, host: &RelayHost) -> Result<Host, NoWay> {
        let (resolver, settings) = (&self.gate.rooms.resolver, &self.live.settings);
        match host {
            RelayHost::Name(name) => Ok(mx::relay_host(resolver, settings, name).await?),
            // The operator may name any address, one of this machine too.
            RelayHost::Address(literal) => Ok(Host {
                name: literal.to_string().into(),
                addresses: vec![literal.0],
                security: dns::Security::Secure,
                proof: None,
            }),
        }
    }

    async fn reach_host(
        &self,
        host: &Host,
        wanted: &Wanted,
        protocol: Protocol,
        port: u16,
        login: Option<&RelayLogin>,
    ) -> Result<Connection, NoWay> {
        let undertaking = Undertaking {
            gate: &self.gate,
            live: &self.live,
            destination: &self.destination,
            host,
            port,
            identity: &wanted.identity,
            demand: wanted.demand,
        };
        let decision = undertaking.policy().await?;
        let policy = &decision.policy;
        let manner = Manner { protocol, identity: &wanted.identity, policy, login, port };
        let mut reached = connect::to_host(&self.gate, &self.live, host, manner).await;
        if let Ok(connection) = &mut reached {
            connection.protection = Some(proven(policy, decision.source, connection.tls.as_ref()));
        }
        undertaking.tell_outcome(decision, &reached);
        let no_use = match reached {
            Ok(connection) => return Ok(connection),
            Err(no_use) => no_use,
        };
        let diagnostic = judge::no_use(&no_use, &host.name);
        tracing::info!(host = &*host.name, %diagnostic, "the host is of no use");
        let lacks_tls = matches!(no_use, NoUse::Tls(_) | NoUse::Lacks(Missing::StartTls));
        if lacks_tls {
            self.gate.counts.tls_failures.increment();
        }
        let is_final = judge::takes_no_mail(&no_use)
            || (wanted.demand == Demand::RequireTls && judge::never_has_tls(&no_use));
        Err(if is_final { NoWay::Never(diagnostic) } else { NoWay::Later(diagnostic) })
    }
}

impl Handed {
    /// Takes down what a transaction came to.
    fn take(&mut self, outcome: &Outcome, batch: &Pending<'_>, speaker: Speaker<'_>) {
        match outcome {
            Outcome::Answered(answers) => {
                let judged = batch.iter().zip(&answers.replies);
                self.outcomes
                    .extend(judged.map(|((number, _), reply)| (*number, judge::recipient(reply, speaker))));
                self.left_out = answers.left_out;
                self.end = judge::destination(answers, speaker);
            }
            Outcome::Lacks(missing) => self.all(batch, judge::lacking(*missing, speaker)),
            Outcome::Exceeds(limit) => self.all(batch, judge::exceeding(*limit, speaker)),
        }
    }

    /// Takes down what was answered before the connection broke off; who was not answered is tried again.
    fn take_broken(
        &mut self,
        outcome: Option<&Outcome>,
        stand_in: Option<&Reply>,
        diagnostic: &Diagnostic,
        batch: &Pending<'_>,
        speaker: Speaker<'_>,
    ) {
        let replies = match outcome {
            Some(Outcome::Answered(answers)) => answers.replies.as_slice(),
            _ => &[],
        };
        for (at, (number, _)) in batch.iter().enumerate() {
            let answer = replies.get(at).filter(|reply| Some(*reply) != stand_in);
            let judged = answer.map(|reply| judge::recipient(reply, speaker));
            self.outcomes
                .push((*number, judged.unwrap_or_else(|| RecipientOutcome::Deferred(diagnostic.clone()))));
        }
    }

    fn all(&mut self, batch: &Pending<'_>, outcome: RecipientOutcome) {
        self.outcomes.extend(batch.iter().map(|(number, _)| (*number, outcome.clone())));
    }
}

/// As many recipients as one transaction may have; one at the least.
fn batch<'a>(pending: &Pending<'a>, allowance: Allowance, recipients_max: usize) -> Pending<'a> {
    let within =
        |most: Option<u32>| most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let most = recipients_max.min(within(allowance.recipients_max)).max(1);
    let domains_max = within(allowance.domains_max).max(1);
    let mut domains = HashSet::new();
    let fits = |(_, recipient): &&(RecipientNumber, &'a Recipient)| {
        domains.insert(recipient.forward_path.domain());
        domains.len() <= domains_max
    };
    pending.iter().take(most).take_while(fits).copied().collect()
}

/// The message's octets, without the Return-Path that is ours.
async fn open(parcel: &Parcel) -> Result<Body, Broken> {
    let unreadable = |error: queue::QueueError| {
        tracing::error!(%error, id = parcel.id().to_text(), "a queued message cannot be read");
        Broken::Unreadable(mailstore::StoreError::Busy)
    };
    let reader = parcel.open().await.map_err(unreadable)?;
    let beginning = reader.read(0..1_024).await.map_err(Broken::Unreadable)?;
    let begin = return_path_octets(&parcel.message().reverse_path, &beginning) as u64;
    Ok(Body { reader, begin })
}
