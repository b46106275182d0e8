//! The server's side of a connection: which command may come when, and what is answered (RFC 5321 §3, §4; RFC 2033).
//!
//! Step 3 of a message's way in: between `receive/session.rs`, which owns socket and clock, and the policy it asks.
//! The door calls [`Session::on_line`] and carries out the [`Step`]; replies gather in its output buffer, to be
//! written together when no further command waits (RFC 2920 §3.2).

mod chunking;
mod login;
mod replies;
mod transaction;

use std::sync::Arc;

use mail_types::Secret;

use crate::command::{self, Command, CommandError, HelloVerb};
use crate::extension::{Extensions, FutureRelease, Offers, SessionLimits, SizeLimit};
use crate::framing::{BareNewlines, ChunkReader, DataReader};
use crate::reply::Reply;

pub use login::AuthAnswer;
pub use transaction::{Envelope, Recipient, RecipientQuestion, SenderQuestion};

use chunking::RefusedChunk;
use login::Login;
use transaction::Transaction;

/// Which protocol a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// SMTP, for relays and for submission.
    Smtp,
    /// LMTP (RFC 2033): one reply for each recipient.
    Lmtp,
}

/// Whether the connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// Anyone on the way can read it.
    Clear,
    /// TLS.
    Tls,
}

/// What STARTTLS means on a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartTlsOffer {
    /// Not offered: there is no certificate, or the listener begins with TLS.
    Absent,
    /// Offered.
    Offered,
    /// Offered, and no mail is taken without.
    Required,
}

/// What AUTH means on a listener (RFC 4954). Which mechanisms a connection gets, the door says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthOffer {
    /// Nobody logs in here.
    Absent,
    /// Who likes may.
    Optional,
    /// Submission: no mail from strangers (RFC 6409 §4.3).
    Required,
}

/// What all sessions of one listener have in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The protocol.
    pub protocol: Protocol,
    /// The name this server greets with.
    pub hostname: Box<str>,
    /// Largest message in octets (RFC 1870).
    pub message_octets_max: u64,
    /// Most recipients of one message (at least 100: RFC 5321 §4.5.3.1.8).
    pub recipients_max: u32,
    /// Most MAIL commands in one session.
    pub transactions_max: u32,
    /// Errors after which the session ends.
    pub errors_max: u32,
    /// Refused recipients after which the session ends: who tries names does not get far.
    pub refused_recipients_max: u32,
    /// Commands without a message after which the session ends.
    pub idle_commands_max: u32,
    /// Failed log-ins after which the session ends.
    pub login_failures_max: u32,
    /// STARTTLS.
    pub starttls: StartTlsOffer,
    /// AUTH.
    pub auth: AuthOffer,
    /// What becomes of lone CR and LF in messages.
    pub bare_newlines: BareNewlines,
    /// What else is offered, because there is a queue that carries it on.
    pub offers: Offers,
    /// Whether others have a say in more than senders and recipients: [`Step::Ask`].
    pub asks: bool,
}

/// What others may have a say in, beside senders and recipients.
#[derive(PartialEq, Eq, Debug)]
pub enum Question {
    /// A greeting.
    Hello(Hello),
    /// The wish to send the message's octets.
    Data,
    /// A command that is none.
    Unknown {
        /// As it came.
        line: Box<str>,
        /// What is said of it, if nobody has other words.
        reply: Reply,
    },
}

/// What the door does next. Replies were already put into the output.
#[derive(Debug)]
pub enum Step<R> {
    /// Give the next line.
    NextLine,
    /// Judge the sender and call [`Session::on_sender`].
    JudgeSender(SenderQuestion),
    /// Judge the recipient and call [`Session::on_recipient`].
    JudgeRecipient(RecipientQuestion),
    /// Ask those who have a say and call [`Session::on_asked`]; only where [`Settings::asks`] says so.
    Ask(Question),
    /// Begin a SASL exchange and call [`Session::on_auth`].
    Authenticate {
        /// One of the offered mechanisms.
        mechanism: &'static str,
        /// The initial response in base64, `=` for an empty one (RFC 4954 §4).
        initial_response: Option<Secret>,
    },
    /// Give the line to the exchange (base64, or `*` to give up) and call [`Session::on_auth`].
    AuthResponse(Secret),
    /// Forget the exchange and give the next line.
    AuthAborted,
    /// Send the replies, throw away all input read so far (RFC 3207 §4.2), shake hands, call
    /// [`Session::on_tls_started`].
    StartTls,
    /// Send the replies, read the message, call [`Session::on_end_of_data`].
    ReadData(DataReader),
    /// Read the chunk, call [`Session::on_end_of_chunk`].
    ReadChunk(ChunkReader),
    /// The message is whole: deliver it and call [`Session::on_delivered`].
    Deliver(Envelope<R>),
    /// Send the replies and close.
    Close,
}

/// One connection. `R` is what the door learns about a recipient and wants back with the message.
#[derive(Debug)]
pub struct Session<R> {
    settings: Arc<Settings>,
    channel: Channel,
    /// SASL mechanisms that this channel allows.
    mechanisms: Vec<&'static str>,
    hello: Option<Hello>,
    login: Login,
    transaction: Transaction<R>,
    /// The reply to a chunk that was refused and is still being read over.
    refused_chunk: Option<Box<RefusedChunk<R>>>,
    counts: Counts,
    /// Seconds since 1970-01-01T00:00:00Z, as the door last told.
    now: Option<i64>,
}

/// How the client greeted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// With which verb.
    pub verb: HelloVerb,
    /// The name it gave itself: unproven, any octets but controls and blanks.
    pub name: Box<str>,
}

#[derive(Debug, Default)]
struct Counts {
    errors: u32,
    refused_recipients: u32,
    idle_commands: u32,
    login_failures: u32,
    transactions: u32,
}

impl<R> Session<R> {
    /// A new connection, with the SASL mechanisms to offer on it: none in clear where a network lies between.
    #[must_use]
    pub fn new(settings: Arc<Settings>, channel: Channel, mechanisms: Vec<&'static str>) -> Self {
        Self {
            settings,
            channel,
            mechanisms,
            hello: None,
            login: Login::None,
            transaction: Transaction::Idle,
            refused_chunk: None,
            counts: Counts::default(),
            now: None,
        }
    }

    /// Tells the time, in seconds since 1970-01-01T00:00:00Z. Whoever offers FUTURERELEASE says it before each line;
    /// without it that extension is not offered.
    pub fn on_time(&mut self, unix_seconds: i64) {
        self.now = Some(unix_seconds);
    }

    /// Writes the greeting.
    pub fn greet(&self, out: &mut Vec<u8>) {
        let protocol = match self.settings.protocol {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        let text = format!("{} {protocol} mailstead", self.settings.hostname);
        Reply::plain(220, "").with_text(text).write_to(out);
    }

    /// One line, without its CRLF.
    pub fn on_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Step<R> {
        if let Login::Exchanging = self.login {
            return self.on_auth_line(line);
        }
        match command::parse(line, &self.offers()) {
            Ok(command) => self.on_command(command, out),
            Err(error) => self.on_bad_command(line, error, out),
        }
    }

    /// A line beyond the bound was read over.
    pub fn on_overlong_line(&mut self, out: &mut Vec<u8>) -> Step<R> {
        if let Login::Exchanging = self.login {
            return self.abort_login(replies::AUTH_LINE_TOO_LONG, out);
        }
        self.fail(replies::LINE_TOO_LONG, out)
    }

    /// A line ended with LF alone. Such a peer and we could disagree about where commands end, so nothing more of it
    /// is read.
    pub fn on_bare_newline(&mut self, out: &mut Vec<u8>) -> Step<R> {
        replies::BARE_NEWLINE.write_to(out);
        Step::Close
    }

    /// TLS stands, and allows these SASL mechanisms. All that was said before is forgotten (RFC 3207 §4.2).
    pub fn on_tls_started(&mut self, mechanisms: Vec<&'static str>) {
        self.channel = Channel::Tls;
        self.mechanisms = mechanisms;
        self.hello = None;
        self.login = Login::None;
        self.transaction = Transaction::Idle;
    }

    /// How the client greeted, since the last TLS handshake.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// The envelope of the message being received, or being read over.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope<R>> {
        let refused = || self.refused_chunk.as_ref().and_then(|refused| refused.envelope.as_ref());
        self.transaction.envelope().or_else(refused)
    }

    /// The same, for those who may change it until it is delivered.
    pub fn envelope_mut(&mut self) -> Option<&mut Envelope<R>> {
        self.transaction.envelope_mut()
    }

    /// Whether a transaction is open, so that an end of the connection loses something.
    #[must_use]
    pub fn is_within_transaction(&self) -> bool {
        !matches!(self.transaction, Transaction::Idle)
    }

    /// Whether the session was ended for its errors.
    #[must_use]
    pub fn has_erred_too_often(&self) -> bool {
        self.counts.errors >= self.settings.errors_max
    }

    fn on_command(&mut self, command: Command<'_>, out: &mut Vec<u8>) -> Step<R> {
        if !matches!(command, Command::Rcpt(..) | Command::Data | Command::Bdat { .. } | Command::Quit)
            && self.is_idle_too_long()
        {
            return self.hang_up(replies::TOO_MANY_COMMANDS, out);
        }
        match command {
            Command::Hello(verb, name) => self.on_hello(verb, name, out),
            Command::Mail(path, parameters) => self.on_mail(path, parameters, out),
            Command::Rcpt(path, parameters) => self.on_rcpt(path, parameters, out),
            Command::Data => self.on_data(out),
            Command::Bdat { octets, last } => self.on_bdat(octets, last, out),
            Command::Rset => {
                self.transaction = Transaction::Idle;
                self.answer(replies::RESET, out)
            }
            Command::Noop => self.answer(replies::NOTHING_DONE, out),
            Command::Quit => self.hang_up(replies::BYE, out),
            Command::Vrfy => self.answer(replies::CANNOT_VERIFY, out),
            Command::Expn => self.fail(CommandError::NotImplemented.reply(), out),
            Command::Help => self.answer(replies::HELP, out),
            Command::StartTls => self.on_starttls(out),
            Command::Auth { mechanism, initial_response } => {
                self.on_auth_command(mechanism, initial_response, out)
            }
        }
    }

    fn on_bad_command(&mut self, line: &[u8], error: CommandError, out: &mut Vec<u8>) -> Step<R> {
        let first_word = line.split(|&octet| octet == b' ').next().unwrap_or_default();
        // A browser was made to speak to us: what follows is not for our eyes.
        let is_http = [&b"GET"[..], b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"]
            .iter()
            .any(|verb| verb.eq_ignore_ascii_case(first_word));
        // After a BDAT whose octet count we could not read, nobody knows where the next command begins.
        if is_http || b"BDAT".eq_ignore_ascii_case(first_word) {
            return self.hang_up(error.reply(), out);
        }
        if self.settings.asks && matches!(error, CommandError::Unknown) {
            let line = String::from_utf8_lossy(line).into_owned().into();
            return Step::Ask(Question::Unknown { line, reply: error.reply() });
        }
        self.fail(error.reply(), out)
    }

    /// Those who have a say were asked.
    pub fn on_asked(&mut self, question: Question, verdict: Result<(), Reply>, out: &mut Vec<u8>) -> Step<R> {
        match (question, verdict) {
            (Question::Hello(hello), Ok(())) => self.greeted(hello, out),
            (Question::Data, Ok(())) => self.begin_data(out),
            (Question::Hello(_) | Question::Data, Err(reply)) => {
                // Whoever refused has lost sight of the message: it cannot come unseen.
                self.transaction = Transaction::Idle;
                self.fail(reply, out)
            }
            (Question::Unknown { reply, .. }, Ok(())) | (Question::Unknown { .. }, Err(reply)) => {
                self.fail(reply, out)
            }
        }
    }

    fn on_hello(&mut self, verb: HelloVerb, name: &str, out: &mut Vec<u8>) -> Step<R> {
        let fits = match self.settings.protocol {
            Protocol::Smtp => verb != HelloVerb::Lhlo,
            Protocol::Lmtp => verb == HelloVerb::Lhlo,
        };
        if !fits {
            return self.fail(CommandError::Unknown.reply(), out);
        }
        let hello = Hello { verb, name: name.into() };
        if self.settings.asks {
            return Step::Ask(Question::Hello(hello));
        }
        self.greeted(hello, out)
    }

    fn greeted(&mut self, hello: Hello, out: &mut Vec<u8>) -> Step<R> {
        // RFC 5321 §4.1.4: a greeting in the middle of a session is a RSET too.
        self.transaction = Transaction::Idle;
        let verb = hello.verb;
        self.hello = Some(hello);
        let reply = match verb {
            HelloVerb::Helo => Reply::plain(250, "").with_text(self.settings.hostname.to_string()),
            HelloVerb::Ehlo | HelloVerb::Lhlo => self.extensions().to_reply(&self.settings.hostname),
        };
        self.answer(reply, out)
    }

    /// What of the switched-on extensions this connection gets now.
    fn offers(&self) -> Offers {
        let offers = self.settings.offers;
        let may_hold = self.settings.auth != AuthOffer::Absent && self.now.is_some();
        Offers {
            // RFC 8689 §2: only within TLS, where nobody on the way can have put it there.
            require_tls: offers.require_tls && self.channel == Channel::Tls,
            // RFC 4865 §3: an extension of submission.
            future_release: offers.future_release.filter(|_| may_hold),
            ..offers
        }
    }

    fn extensions(&self) -> Extensions {
        let offers = self.offers();
        let now = self.now.unwrap_or_default();
        Extensions {
            pipelining: true,
            size: Some(SizeLimit::Octets(self.settings.message_octets_max)),
            eight_bit: true,
            smtputf8: true,
            enhanced_codes: true,
            chunking: true,
            binary: true,
            starttls: self.offers_starttls(),
            auth: match self.settings.auth {
                AuthOffer::Absent => Vec::new(),
                _ => self.mechanisms.iter().map(|&name| name.to_owned()).collect(),
            },
            limits: Some(SessionLimits {
                recipients_max: Some(self.settings.recipients_max),
                transactions_max: Some(self.settings.transactions_max),
                domains_max: None,
            }),
            dsn: offers.dsn,
            require_tls: offers.require_tls,
            priority: offers.priority,
            deliver_by: offers.deliver_by,
            future_release: offers.future_release.map(|offer| FutureRelease {
                seconds_max: offer.seconds_max,
                until_unix_seconds: now.saturating_add(i64::from(offer.seconds_max)),
            }),
        }
    }

    fn offers_starttls(&self) -> bool {
        self.settings.starttls != StartTlsOffer::Absent && self.channel == Channel::Clear
    }

    fn on_starttls(&mut self, out: &mut Vec<u8>) -> Step<R> {
        if self.channel == Channel::Tls {
            return self.fail(replies::TLS_ALREADY, out);
        }
        if !self.offers_starttls() {
            return self.fail(CommandError::NotImplemented.reply(), out);
        }
        // Who has logged in cannot be forgotten half-way.
        if self.login == Login::Done {
            return self.fail(replies::TLS_AFTER_LOGIN, out);
        }
        replies::TLS_READY.write_to(out);
        Step::StartTls
    }

    /// Counts a command that brings no mail; tells whether there were too many of them.
    fn is_idle_too_long(&mut self) -> bool {
        self.counts.idle_commands += 1;
        self.counts.idle_commands > self.settings.idle_commands_max
    }

    /// An answer that is nobody's fault.
    fn answer(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        reply.write_to(out);
        Step::NextLine
    }

    /// An answer to something wrong; enough of them end the session.
    fn fail(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        reply.write_to(out);
        self.counts.errors += 1;
        if self.counts.errors >= self.settings.errors_max {
            return self.hang_up(replies::TOO_MANY_ERRORS, out);
        }
        Step::NextLine
    }

    fn hang_up(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        reply.write_to(out);
        Step::Close
    }
}

#[cfg(test)]
mod tests;
