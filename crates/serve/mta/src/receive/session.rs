//! Step 2 of a message's way: owns the socket and its timeouts, hands lines to `smtp::server::Session` and carries out
//! the steps it answers with.
//!
//! Replies gather until no further command waits, so a pipelined batch costs one write. While the client is silent the
//! connection holds no buffer.

use std::sync::Arc;

use directory::sasl::{Channel, ChannelBindings};
use directory::{Authenticated, Directory, Login};
use platform::guard::{Offence, is_foreign};
use platform::lines::{Wire, WireError};
use platform::listener::Accepted;
use platform::stream::{Endpoint, Stream};
use platform::tasks::Shutdown;
use smtp::Reply;
use smtp::framing::{LineFound, LineReader};
use smtp::server::{Question, Session, Step};
use tokio::time::Instant;

use super::intake::{Arrived, Receiving};
use super::milters::Milters;
use super::replies;
use super::screening::Screening;
use super::transaction::Transaction;
use crate::deliver::route::{Asking, Route};
use crate::settings::{Live, Reach};
use crate::way::TlsWay;
use crate::{Door, Listener};

/// One connection.
pub(crate) struct Conversation {
    pub(crate) door: Arc<Door>,
    pub(crate) live: Arc<Live>,
    pub(crate) client: Client,
    pub(crate) session: Session<Route>,
    lines: LineReader,
    /// Replies not yet given to the wire.
    pub(crate) out: Vec<u8>,
    pub(crate) login: Option<Login>,
    /// The transaction under way, for the record of its way.
    pub(crate) transaction: Option<Transaction>,
    /// The message that is coming in chunks.
    pub(crate) receiving: Option<Box<Receiving>>,
    /// What is judged of a stranger.
    pub(crate) screening: Option<Box<Screening>>,
    /// People who are not here that it has named.
    pub(super) unknown_named: u32,
    /// The message that has come whole.
    pub(crate) arrived: Option<Arrived>,
    /// Whether a line has come.
    has_spoken: bool,
    /// Others who have a say, where there are some.
    pub(crate) milters: Option<Box<Milters>>,
    /// When the connection has lasted long enough.
    deadline: Instant,
    pub(super) shutdown: Shutdown,
}

/// Who is at the other end, as far as we know.
pub(crate) struct Client {
    pub(crate) listener: Listener,
    pub(crate) connection: u64,
    pub(crate) peer: Endpoint,
    pub(crate) local: Endpoint,
    pub(crate) channel: Channel,
    pub(crate) tls: Option<TlsWay>,
    pub(crate) who: Option<Authenticated>,
    /// By which mechanism it has logged in.
    pub(crate) mechanism: &'static str,
}

/// Why a conversation stops, for now or for good.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The client wants TLS.
    StartTls,
    /// The last reply was written.
    Closed,
    /// We say good-bye with this reply.
    Farewell(Reply),
    /// The client is gone, or as good as gone.
    Lost(WireError),
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        match error {
            WireError::ReadTimeout => Self::Farewell(replies::TOO_SLOW),
            WireError::Closed | WireError::WriteTimeout | WireError::InputFull | WireError::Io(_) => {
                Self::Lost(error)
            }
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn run(door: Arc<Door>, accepted: Accepted, listener: Listener) {
    let Accepted { stream, number, peer, local, visit, shutdown } = accepted;
    let live = door.live.load_full();
    let Some((stream, tls)) = greet_with_tls(&door, stream, listener, peer).await else { return };
    let mut wire = Wire::new(stream, live.wire());
    let reach = reach_of(&live, peer);
    let channel = channel_of(tls.as_ref(), reach);
    let client = Client {
        listener,
        connection: number.0,
        peer,
        local,
        tls: tls.as_ref().map(tls_way),
        channel: channel.clone(),
        who: None,
        mechanism: "",
    };
    let security = if tls.is_some() { smtp::server::Channel::Tls } else { smtp::server::Channel::Clear };
    let mechanisms = mechanisms(&door.rooms.directory, listener, &channel);
    let session = Session::new(live.protocol(listener, reach), security, mechanisms);
    let screening = match Screening::begin(&door, &live, listener, (peer, local)) {
        Ok(screening) => screening,
        Err(reply) => return turn_away(wire, &reply).await,
    };
    let deadline = Instant::now() + live.settings.session_timeout;
    let mut conversation = Conversation {
        door,
        live,
        client,
        session,
        lines: LineReader::default(),
        out: Vec::new(),
        login: None,
        transaction: None,
        receiving: None,
        screening,
        unknown_named: 0,
        arrived: None,
        has_spoken: false,
        milters: None,
        deadline,
        shutdown,
    };
    if let Err(stop) = conversation.pause(&mut wire).await {
        conversation.end(stop, wire).await;
        return;
    }
    match Box::pin(conversation.meet_milters()).await {
        Ok(()) => {
            conversation.session.greet(&mut conversation.out);
            while let Some(next) = conversation.talk(wire).await {
                wire = next;
            }
        }
        Err(reply) => {
            reply.write_to(wire.output());
            Box::pin(wire.close()).await;
        }
    }
    conversation.close_transaction();
    Box::pin(conversation.part_from_milters()).await;
    // The place among the connections is given back only now.
    drop(visit);
}

/// Tells a client why it may not come in.
async fn turn_away(mut wire: Wire, reply: &Reply) {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    wire.put(&out);
    Box::pin(wire.close()).await;
}

/// TLS before anything else, where the listener has it so.
async fn greet_with_tls(
    door: &Door,
    stream: Stream,
    listener: Listener,
    peer: Endpoint,
) -> Option<(Stream, Option<tls::Session>)> {
    if listener != Listener::ImplicitSubmission {
        return Some((stream, None));
    }
    let acceptor = door.rooms.acceptor.as_ref()?;
    match Box::pin(acceptor.accept(stream)).await {
        Ok((stream, session)) => Some((stream, Some(session))),
        Err(error) => {
            door.counts.handshakes_failed.increment();
            tracing::debug!(%error, "TLS handshake failed");
            if error.is_no_tls() {
                door.rooms.guard.offended(peer.address(), Offence::Probe);
            }
            None
        }
    }
}

fn reach_of(live: &Live, peer: Endpoint) -> Reach {
    let is_local = peer.address().is_none_or(|address| address.is_loopback());
    if live.settings.plaintext_on_loopback && is_local { Reach::ThisMachine } else { Reach::Network }
}

fn channel_of(tls: Option<&tls::Session>, reach: Reach) -> Channel {
    match (tls, reach) {
        (Some(session), _) => Channel::Tls(ChannelBindings {
            exporter: session.bindings.exporter.map(|octets| octets.to_vec()),
            server_end_point: session.bindings.server_end_point.clone(),
        }),
        (None, Reach::ThisMachine) => Channel::Trusted,
        (None, Reach::Network) => Channel::Clear,
    }
}

/// How a session is encrypted, for the record.
pub(crate) fn tls_way(session: &tls::Session) -> TlsWay {
    let version = match session.version {
        tls::Version::Tls12 => "TLS1.2",
        tls::Version::Tls13 => "TLS1.3",
    };
    TlsWay { version, cipher: session.cipher }
}

/// Whether a line is of another protocol, or asks who exists (RFC 5321 §7.3).
fn is_probe(line: &[u8]) -> bool {
    let asks = |verb: &[u8]| line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(verb));
    is_foreign(line) || asks(b"VRFY") || asks(b"EXPN")
}

fn mechanisms(directory: &Directory, listener: Listener, channel: &Channel) -> Vec<&'static str> {
    if !listener.is_submission() {
        return Vec::new();
    }
    directory.mechanisms(channel).into_iter().map(directory::sasl::Mechanism::name).collect()
}

/// Whether a client has to wait for the reply to a line before it goes on.
fn is_hello(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"HELO"))
}

impl Conversation {
    /// Talks until the client wants TLS, which gives a new wire, or until one side has had enough.
    async fn talk(&mut self, mut wire: Wire) -> Option<Wire> {
        let stop = loop {
            if let Err(stop) = self.next_line(&mut wire).await {
                break stop;
            }
        };
        match stop {
            Stop::StartTls => Box::pin(self.start_tls(wire)).await,
            stop => {
                self.end(stop, wire).await;
                None
            }
        }
    }

    /// Says the last words, if the client still hears them.
    async fn end(&mut self, stop: Stop, mut wire: Wire) {
        match stop {
            Stop::Lost(error) => {
                if !self.has_spoken {
                    let is_foreign = is_foreign(wire.input());
                    self.offended(if is_foreign { Offence::Probe } else { Offence::Silence });
                }
                return tracing::debug!(%error, "connection lost");
            }
            Stop::Farewell(reply) => reply.write_to(&mut self.out),
            Stop::Closed | Stop::StartTls => {}
        }
        wire.put(&self.out);
        Box::pin(wire.close()).await;
    }

    async fn start_tls(&mut self, mut wire: Wire) -> Option<Wire> {
        wire.put(&self.out);
        self.out.clear();
        let acceptor = self.door.rooms.acceptor.as_ref()?;
        match acceptor.start_tls(wire, self.live.wire()).await {
            Ok((wire, session)) => {
                self.client.channel = channel_of(Some(&session), Reach::Network);
                self.client.tls = Some(tls_way(&session));
                // What was begun in clear and what was said of it is forgotten (RFC 3207 §4.2).
                self.lines = LineReader::default();
                self.login = None;
                let mechanisms =
                    mechanisms(&self.door.rooms.directory, self.client.listener, &self.client.channel);
                self.session.on_tls_started(mechanisms);
                self.tidy();
                Some(wire)
            }
            Err(error) => {
                self.door.counts.handshakes_failed.increment();
                tracing::debug!(%error, "TLS handshake failed");
                None
            }
        }
    }

    /// One line, from the wire to the end of all that follows from it.
    async fn next_line(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        if self.client.listener.is_submission() {
            self.session.on_time(self.door.rooms.clock.now().unix_seconds());
        }
        let mut has_to_wait = false;
        let (consumed, step) = match self.lines.next(wire.input()) {
            LineFound::Line { line, consumed } => {
                self.has_spoken = true;
                has_to_wait = is_hello(line);
                if is_probe(line) && self.login.is_none() {
                    self.offended(Offence::Probe);
                }
                (consumed, self.session.on_line(line, &mut self.out))
            }
            LineFound::TooLong { consumed } => {
                self.offended(Offence::Abuse);
                (consumed, self.session.on_overlong_line(&mut self.out))
            }
            LineFound::BareNewline => {
                self.offended(Offence::Abuse);
                (0, self.session.on_bare_newline(&mut self.out))
            }
            LineFound::Incomplete { consumed } => {
                wire.consume(consumed);
                return self.await_command(wire).await;
            }
        };
        wire.consume(consumed);
        has_to_wait |= matches!(step, Step::ReadData(_) | Step::Ask(Question::Data));
        if has_to_wait && !wire.input().is_empty() {
            self.note_early_pipelining();
        }
        let done = self.carry_out(step, wire).await;
        self.tidy();
        match done {
            Ok(()) if self.is_hung_up_on() => Err(Stop::Closed),
            Ok(()) if self.is_banned() => Err(Stop::Farewell(replies::BANNED)),
            done => done,
        }
    }

    /// Whether the client has been banned meanwhile: what is open would else go on, by as many connections as it has. Who has
    /// logged in stays.
    fn is_banned(&self) -> bool {
        self.client.who.is_none()
            && self.client.listener != Listener::Lmtp
            && self.door.rooms.guard.is_banned(self.client.peer.address())
    }

    async fn carry_out(&mut self, mut step: Step<Route>, wire: &mut Wire) -> Result<(), Stop> {
        loop {
            step = match step {
                Step::NextLine => return Ok(()),
                Step::Ask(question) => Box::pin(self.ask_milters(question)).await,
                Step::JudgeSender(question) => Box::pin(self.judge_sender(question)).await,
                Step::JudgeRecipient(question) => Box::pin(self.judge_recipient(question)).await,
                Step::Authenticate { mechanism, initial_response } => {
                    Box::pin(self.begin_login(mechanism, initial_response)).await
                }
                Step::AuthResponse(line) => Box::pin(self.continue_login(line)).await,
                Step::AuthAborted => {
                    self.login = None;
                    return Ok(());
                }
                Step::StartTls => return Err(Stop::StartTls),
                Step::ReadData(reader) => Box::pin(self.read_data(reader, wire)).await?,
                Step::ReadChunk(reader) => Box::pin(self.read_chunk(reader, wire)).await?,
                Step::Deliver(envelope) => Box::pin(self.deliver(envelope)).await,
                Step::Close => {
                    if self.session.has_erred_too_often() {
                        self.offended(Offence::Abuse);
                    }
                    return Err(Stop::Closed);
                }
            };
        }
    }

    /// Tells the guard what a stranger did. Our own people and hosts, and servers in front of us, are no strangers.
    pub(crate) fn offended(&self, offence: Offence) {
        if self.client.listener != Listener::Lmtp && self.asking() == Asking::Stranger {
            self.door.rooms.guard.offended(self.client.peer.address(), offence);
        }
    }

    /// Lets go of what belongs to a transaction that is over.
    fn tidy(&mut self) {
        if !self.session.is_within_transaction() {
            self.receiving = None;
            self.arrived = None;
            self.forget_message_at_milters();
            self.close_transaction();
        }
    }

    /// Sends what was said and waits for more from the client.
    async fn await_command(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        self.flush(wire).await?;
        let deadline = Instant::now() + self.live.settings.command_timeout;
        tokio::select! {
            biased;
            // Cancelling the wait for the signal loses nothing, nor does cancelling the read.
            () = self.shutdown.triggered() => Err(Stop::Farewell(replies::SHUTTING_DOWN)),
            read = wire.fill_until(deadline.min(self.deadline)) => match read {
                Err(WireError::ReadTimeout) if self.deadline < deadline => {
                    Err(Stop::Farewell(replies::SESSION_TOO_LONG))
                }
                read => Ok(read?),
            },
        }
    }

    /// Sends what was said and waits for more of a message. A shutdown lets the message end.
    pub(crate) async fn await_piece(&mut self, wire: &mut Wire) -> Result<(), Stop> {
        self.flush(wire).await?;
        let deadline = Instant::now() + self.live.settings.data_timeout;
        Ok(wire.fill_until(deadline.min(self.deadline)).await?)
    }

    async fn flush(&mut self, wire: &mut Wire) -> Result<(), WireError> {
        if self.out.is_empty() && wire.output_octets() == 0 {
            return Ok(());
        }
        wire.put(&self.out);
        // Taken, not cleared: an idle connection holds no buffer.
        self.out = Vec::new();
        wire.flush().await
    }
}
