//! Step 4 of a message's way, for strangers on port 25: the conversation's side of `screen/`. Nothing is asked before a
//! recipient of ours has been named, and what is refused is refused at RCPT, so that the record tells whose mail it was.

use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{AddressDomain, DomainName, ForwardPath, ReversePath};
use platform::guard::Offence;
use platform::lines::{Wire, WireError};
use platform::stream::Endpoint;
use sender_auth::iprev::{self, Iprev};
use sender_auth::spf::{self, SpfResult};
use smtp::Reply;
use tokio::time::Instant;

use super::replies;
use super::session::{Conversation, Stop};
use crate::deliver::route::{Discarded, Route};
use crate::inspect::findings::Bringer;
use crate::inspect::settle;
use crate::screen::greeting::{hello_fault, reverse_evidence};
use crate::screen::rates::{Brought, Place};
use crate::screen::senders::Origin;
use crate::screen::{
    Consequence, Evidence, ListAction, ListHit, OnTrap, Refused, Screen, ScreenSettings, Sender,
};
use crate::settings::{Live, Settings};
use crate::{Door, Listener, Rooms};

/// Messages to traps, aged, from which on their address or network is told of.
const TRAPPED_MIN: f32 = 0.5;
const NETWORK_TRAPPED_MIN: f32 = 1.5;

/// A stranger who is judged.
pub(crate) struct Screening {
    pub(super) screen: Screen,
    pub(super) address: IpAddr,
    /// The address of ours that it has come to.
    local: Option<IpAddr>,
    /// Of a private network: without a public name, on no list, and perhaps the world's mail by way of one host.
    pub(super) is_neighbour: bool,
    _place: Option<Place>,
    pub(super) client: Judged,
    is_client_judged: bool,
}

/// What was found about something.
#[derive(Clone, Default)]
pub(super) struct Judged {
    evidence: Vec<Evidence>,
    /// Why mail is refused, and in which words.
    refusal: Option<(Refused, Reply)>,
    /// Whether an allow list has the client.
    pub(super) is_vouched: bool,
}

/// What was found about a transaction.
#[derive(Default)]
pub(crate) struct Screened {
    /// Of the client and of the envelope, for the content filter to add up.
    pub(crate) evidence: Vec<Evidence>,
    /// Whether a trap is among the recipients: what comes is spam to learn from.
    pub(crate) is_trapped: bool,
    refusal: Option<(Refused, Reply)>,
    is_judged: bool,
    pub(super) spf: Option<SpfResult>,
}

impl Judged {
    fn note(&mut self, evidence: Evidence, consequence: Consequence, refused: Refused, reply: &Reply) {
        if consequence == Consequence::Refuse && self.refusal.is_none() {
            self.refusal = Some((refused, reply.clone()));
        }
        self.evidence.push(evidence);
    }

    fn add_hits(&mut self, hits: &[ListHit]) {
        for hit in hits {
            let said = hit.words.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
            let words = format!("{} is listed by {}{said}", hit.asked, hit.list);
            self.is_vouched |= hit.points < 0.0;
            if hit.action == ListAction::Refuse && self.refusal.is_none() {
                self.refusal = Some((Refused::List, replies::LISTED.with_text(words.clone())));
            }
            self.evidence.push(Evidence::new(format!("LIST_{}", hit.list), hit.points, words));
        }
    }
}

impl Screening {
    /// Begins to judge a client, if it is a stranger who is judged.
    ///
    /// # Errors
    /// When its network has as many connections as it may have.
    pub(crate) fn begin(
        door: &Door,
        live: &Live,
        listener: Listener,
        (peer, local): (Endpoint, Endpoint),
    ) -> Result<Option<Box<Self>>, Reply> {
        let settings = &live.settings;
        let Some(address) = stranger(settings, listener, peer).filter(|_| settings.screen.is_on) else {
            return Ok(None);
        };
        let Some(screen) = &door.rooms.screen else { return Ok(None) };
        let is_neighbour = is_neighbour(address, local);
        let local = local.address().map(|address| address.to_canonical());
        let place = match is_neighbour {
            true => None,
            false => match screen.rates.admit(address, settings.screen.rates) {
                Some(place) => Some(place),
                None => {
                    screen.counts.refused(Refused::Network);
                    return Err(replies::NETWORK_FULL);
                }
            },
        };
        Ok(Some(Box::new(Self {
            screen: screen.clone(),
            address,
            local,
            is_neighbour,
            _place: place,
            client: Judged::default(),
            is_client_judged: false,
        })))
    }

    /// Notes that a client has not waited for its turn.
    fn note_early(&mut self, settings: &ScreenSettings, name: &str, points: f32, words: &str) {
        if settings.early_talkers == Consequence::Off
            || self.client.evidence.iter().any(|known| known.name == name)
        {
            return;
        }
        self.screen.counts.early_talkers.increment();
        let evidence = Evidence::new(name, points, words);
        self.client.note(evidence, settings.early_talkers, Refused::EarlyTalker, &replies::SPOKE_EARLY);
    }

    /// Asks about the client itself, once.
    pub(super) async fn judge_client(&mut self, rooms: &Rooms, settings: &ScreenSettings) {
        if std::mem::replace(&mut self.is_client_judged, true) {
            return;
        }
        let whom = Sender { domain: None, address: Some(self.address) };
        let known = self.screen.senders().reputation(&whom).await;
        if known.trapped >= TRAPPED_MIN {
            self.client.evidence.push(Evidence::new("TRAPPED_ADDRESS", 4.0, "this address wrote to a trap"));
        } else if known.network_trapped >= NETWORK_TRAPPED_MIN {
            let words = "addresses of this network wrote to traps";
            self.client.evidence.push(Evidence::new("TRAPPED_NETWORK", 1.5, words));
        }
        if self.is_neighbour {
            return;
        }
        let name = async {
            let resolver = rooms.resolver.as_ref()?;
            let check = |answers: &_| iprev::check(self.address, answers);
            Some(settle(resolver, settings.lists.time_max, check).await)
        };
        let (hits, name): (_, Option<Iprev>) =
            tokio::join!(self.screen.lists().ask_address(self.address), name);
        self.client.add_hits(&hits);
        let name = name.and_then(|name| reverse_evidence(&name, self.address));
        self.client.evidence.extend(name);
    }
}

impl Conversation {
    /// Lets the client wait for the greeting: programs that cannot wait are no mail servers (RFC 5321 §4.3.1). Whoever has
    /// brought mail before is greeted at once.
    pub(crate) async fn pause(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        let live = Arc::clone(&self.live);
        let settings = &live.settings.screen;
        let Some(screening) = self.screening.as_deref_mut() else { return Ok(()) };
        let is_off = settings.greet_pause.is_zero() || settings.early_talkers == Consequence::Off;
        if is_off
            || screening.is_neighbour
            || screening.screen.senders().has_brought_mail(screening.address).await
        {
            return Ok(());
        }
        tokio::select! {
            biased;
            // Cancelling the wait for the signal loses nothing, nor does cancelling the read.
            () = self.shutdown.triggered() => Err(Stop::Farewell(replies::SHUTTING_DOWN)),
            read = wire.fill_until(Instant::now() + settings.greet_pause) => match read {
                Err(WireError::ReadTimeout) => Ok(()),
                Ok(()) => {
                    screening.note_early(settings, "EARLY_TALKER", 4.0, "the client spoke before our greeting");
                    self.offended(Offence::Abuse);
                    Ok(())
                }
                Err(error) => Err(Stop::Lost(error)),
            },
        }
    }

    /// A command has come behind which nothing may be sent before it is answered, and something was (RFC 2920 §3.1).
    pub(crate) fn note_early_pipelining(&mut self) {
        let live = Arc::clone(&self.live);
        if let Some(screening) = self.screening.as_deref_mut() {
            let words = "the client did not wait for our reply where it has to";
            screening.note_early(&live.settings.screen, "PIPELINED_EARLY", 2.0, words);
        }
    }

    /// Whether a stranger may bring one more message now.
    pub(crate) fn screen_sender(&self) -> Result<(), Reply> {
        let Some(screening) = self.screening.as_deref() else { return Ok(()) };
        self.may_bring(screening, Brought::Message)
    }

    fn may_bring(&self, screening: &Screening, what: Brought) -> Result<(), Reply> {
        let limits = self.live.settings.screen.rates;
        let Screening { screen, address, is_neighbour, .. } = screening;
        if *is_neighbour || screen.rates.may_bring(*address, what, limits, &self.door.rooms.clock) {
            return Ok(());
        }
        screen.counts.refused(Refused::Rate);
        Err(replies::TOO_FAST)
    }

    /// Judges a recipient that a stranger names, of whom the directory has told what is `found`.
    pub(crate) async fn screen_recipient(
        &mut self,
        forward_path: &ForwardPath,
        named: usize,
        found: Result<Route, Reply>,
    ) -> Result<Route, Reply> {
        let Some(mut screening) = self.screening.take() else { return found };
        // On the heap: most connections hold nothing.
        let verdict = Box::pin(self.judge_stranger(&mut screening, forward_path, named, found)).await;
        self.screening = Some(screening);
        verdict
    }

    async fn judge_stranger(
        &mut self,
        screening: &mut Screening,
        forward_path: &ForwardPath,
        named: usize,
        found: Result<Route, Reply>,
    ) -> Result<Route, Reply> {
        let live = Arc::clone(&self.live);
        let settings = &live.settings.screen;
        self.may_bring(screening, Brought::Recipient)?;
        if self.is_trap(&screening.screen, forward_path).await {
            return self.spring_trap(screening, settings.on_trap).await;
        }
        let route = found?;
        screening.judge_client(&self.door.rooms, settings).await;
        self.judge_envelope(screening, settings, named).await;
        if is_always_reached(forward_path) {
            return Ok(route);
        }
        self.refuse_stranger(&screening.screen, settings)?;
        self.greylist(screening, settings, forward_path, &route).await?;
        Ok(route)
    }

    /// Whether an address is a trap. An account's or an alias's never is: somebody's mail would be thrown away.
    async fn is_trap(&self, screen: &Screen, path: &ForwardPath) -> bool {
        let ForwardPath::Address(address) = path else { return false };
        screen.is_trap(address).await && !self.door.rooms.directory.is_taken(address)
    }

    async fn spring_trap(&mut self, screening: &mut Screening, on_trap: OnTrap) -> Result<Route, Reply> {
        screening.screen.counts.trapped.increment();
        screening.screen.senders().trapped(screening.address).await;
        let evidence = Evidence::new("TRAP", 8.0, "a recipient is a trap, which was nobody's address ever");
        if let Some(transaction) = self.transaction.as_mut()
            && !std::mem::replace(&mut transaction.screened.is_trapped, true)
        {
            transaction.note(evidence);
        }
        match on_trap {
            OnTrap::Discard => Ok(Route::Discard(Discarded::by_trap())),
            OnTrap::Refuse => Err(replies::UNKNOWN_USER),
        }
    }

    /// Asks about the envelope, once.
    async fn judge_envelope(&mut self, screening: &Screening, settings: &ScreenSettings, named: usize) {
        let reverse_path = match self.session.envelope() {
            Some(envelope) => envelope.reverse_path.clone(),
            None => ReversePath::Null,
        };
        let Some(transaction) = self.transaction.as_mut() else { return };
        if std::mem::replace(&mut transaction.screened.is_judged, true) {
            let name = "NULL_SENDER_MANY";
            // RFC 5321 §4.5.5: what has no sender tells one person of one message.
            let is_new = transaction.screened.evidence.iter().all(|known| known.name != name);
            if named > 0 && reverse_path == ReversePath::Null && is_new {
                let words = "a message without a sender has several recipients";
                transaction.note(Evidence::new(name, 2.0, words));
            }
            return;
        }
        let mut judged = screening.client.clone();
        let hello = self.session.hello().map(|hello| hello.name.clone()).unwrap_or_default();
        if !screening.is_neighbour && settings.hello != Consequence::Off {
            let (hostname, directory) = (&self.live.settings.hostname, &self.door.rooms.directory);
            let ours = screening.local.as_slice();
            if let Some(fault) = hello_fault(&hello, screening.address, ours, hostname, directory) {
                let reply = replies::HELLO_REFUSED.with_text(fault.words().to_owned());
                judged.note(fault.evidence(&hello), settings.hello, Refused::Hello, &reply);
            }
        }
        let hello_name = DomainName::parse(&hello).ok();
        let sender = sender_domain(&reverse_path);
        let domains: Vec<DomainName> = hello_name.into_iter().chain(sender.cloned()).collect();
        let spf = async {
            if screening.is_neighbour {
                return None;
            }
            self.spf(settings, &hello, &reverse_path).await
        };
        let (mut hits, spf) = tokio::join!(screening.screen.lists().ask_domains(&domains), spf);
        let proven = sender.filter(|_| spf == Some(SpfResult::Pass));
        hits.retain(|hit| hit.is_believed(proven));
        judged.add_hits(&hits);
        if let Some(domain) = sender
            && self.door.rooms.directory.is_local_domain(domain)
            && !matches!(spf, None | Some(SpfResult::Pass | SpfResult::TempError))
            && settings.own_domain != Consequence::Off
        {
            let words =
                format!("it claims to come from {domain}, which is ours, and SPF does not vouch for it");
            let evidence = Evidence::new("OWN_DOMAIN", 3.0, words);
            judged.note(evidence, settings.own_domain, Refused::OwnDomain, &replies::OWN_DOMAIN_REFUSED);
        }
        let Some(transaction) = self.transaction.as_mut() else { return };
        for evidence in judged.evidence {
            transaction.note(evidence);
        }
        transaction.screened.refusal = judged.refusal;
        transaction.screened.spf = spf;
    }

    /// SPF of the sender; nothing where there is none or nobody can be asked.
    pub(super) async fn spf(
        &self,
        settings: &ScreenSettings,
        hello: &str,
        reverse_path: &ReversePath,
    ) -> Option<SpfResult> {
        let (Some(resolver), Some(address)) = (&self.door.rooms.resolver, self.client.peer.address()) else {
            return None;
        };
        if *reverse_path == ReversePath::Null {
            return None;
        }
        let bringer = Bringer {
            address,
            hello,
            reverse_path,
            receiver: self.live.settings.hostname.as_str(),
            now_seconds: self.door.rooms.clock.now().unix_seconds(),
        };
        let (query, limits) = (bringer.query(), spf::Limits::default());
        let check = |answers: &_| spf::check(spf::Identity::MailFrom, &query, limits, answers);
        // Not as long as when the message is judged: nobody is to wait twice where DNS is silent.
        Some(settle(resolver, settings.lists.time_max, check).await.result)
    }

    /// Refuses what the operator wants refused: for one thing, or for all together.
    fn refuse_stranger(&self, screen: &Screen, settings: &ScreenSettings) -> Result<(), Reply> {
        let Some(transaction) = self.transaction.as_ref() else { return Ok(()) };
        if let Some((why, reply)) = &transaction.screened.refusal {
            screen.counts.refused(*why);
            return Err(reply.clone());
        }
        let evidence = &transaction.screened.evidence;
        let points: f32 = evidence.iter().map(|one| one.points).sum();
        if settings.refuse_points.is_some_and(|most| points >= most) {
            screen.counts.refused(Refused::Points);
            let names: Vec<&str> =
                evidence.iter().filter(|one| one.points > 0.0).map(|one| one.name.as_str()).collect();
            let words = format!("Too much speaks against this mail: {}", names.join(", "));
            return Err(replies::LISTED.with_text(words));
        }
        Ok(())
    }
}

impl Screened {
    /// Where the mail came from, for whoever remembers that it was taken.
    pub(crate) fn origin(&self, reverse_path: &ReversePath, address: IpAddr) -> Option<(Origin, String)> {
        let domain = sender_domain(reverse_path)?.to_string();
        let origin = Origin::of(self.spf, reverse_path, address)?;
        (self.is_judged && !self.is_trapped).then_some((origin, domain))
    }
}

/// The address of a client of port 25 for whom nobody vouches: neither a host that may relay nor one whose mail is not checked.
pub(super) fn stranger(settings: &Settings, listener: Listener, peer: Endpoint) -> Option<IpAddr> {
    let address = peer.address().filter(|_| listener == Listener::Relay)?;
    let is_trusted = settings.routing.may_relay(Some(address)) || settings.checks.has_unchecked(address);
    (!is_trusted).then_some(address)
}

/// Whether a client is of a private network, or this host: who comes from the address that it comes to.
pub(super) fn is_neighbour(address: IpAddr, local: Endpoint) -> bool {
    let local = local.address().map(|address| address.to_canonical());
    !platform::network::is_public(address) || local == Some(address.to_canonical())
}

pub(super) fn sender_domain(reverse_path: &ReversePath) -> Option<&DomainName> {
    match reverse_path {
        ReversePath::Address(address) => match address.domain() {
            AddressDomain::Name(name) => Some(name),
            AddressDomain::Literal(_) => None,
        },
        ReversePath::Null => None,
    }
}

/// Those who can be told that somebody is refused wrongly are reached whatever is found (RFC 5321 §4.5.1, RFC 2142 §2).
fn is_always_reached(forward_path: &ForwardPath) -> bool {
    match forward_path {
        ForwardPath::Postmaster => true,
        ForwardPath::Address(address) => {
            ["postmaster", "abuse"].iter().any(|name| address.local_part().eq_ignore_ascii_case(name))
        }
    }
}
