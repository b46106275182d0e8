//! The client's side of a connection: greet, start TLS, log in, hand over one message after another (RFC 5321 §4,
//! PIPELINING RFC 2920, CHUNKING RFC 3030, LMTP RFC 2033).
//!
//! The last step of a message's way out, driven by whoever owns the socket; tests speak to servers with it. The door
//! gives what it reads to [`Client::on_octets`], writes what gathers in the output and carries out the
//! [`ClientStep`].

mod delivery;
mod login;
mod order;
pub mod scram;
mod writer;

use std::collections::VecDeque;

use mail_types::{ReplyCode, Severity};

use crate::extension::Extensions;
use crate::reply::{Reply, ReplyError, ReplyReader};
use crate::server::Protocol;

use delivery::Delivery;

pub use delivery::ANSWER_OCTETS_MAX;
pub use login::Credentials;
pub use order::{Allowance, Answers, LeftOut, Limit, Missing, Order, OrderRecipient, Outcome};
pub use writer::DataWriter;

/// How one connection is to be used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// The name we give ourselves.
    pub hostname: Box<str>,
    /// STARTTLS.
    pub starttls: StartTlsUse,
    /// Who we are, where the server wants to know.
    pub credentials: Option<Credentials>,
    /// Whether messages go in chunks where the server takes them.
    pub chunking: ChunkingUse,
}

/// When STARTTLS is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartTlsUse {
    /// Never: the connection began with TLS.
    Begun,
    /// Never: the connection is not to have TLS.
    Never,
    /// When offered.
    WhenOffered,
    /// No mail without.
    Required,
}

/// When BDAT is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkingUse {
    /// Only for what DATA cannot carry: BINARYMIME.
    WhenNeeded,
    /// Wherever the server offers it.
    WhenOffered,
}

/// What the door does next. The output goes out first.
#[derive(PartialEq, Eq, Debug)]
pub enum ClientStep {
    /// Read more and give it.
    Read,
    /// Shake hands, then call [`Client::on_tls_started`].
    StartTls,
    /// Let the mechanism speak that [`Credentials::exchanges`] named, and call [`Client::respond`].
    Authenticate {
        /// Which.
        mechanism: &'static str,
        /// The server's challenge; none where the client speaks first.
        challenge: Option<Vec<u8>>,
    },
    /// Everything is prepared: call [`Client::send`] or [`Client::quit`].
    Ready(Readiness),
    /// Send the message: with [`Client::data_writer`] and [`Client::data_sent`], or with [`Client::write_chunk_header`].
    SendMessage(Transfer),
    /// The transaction is over; the connection is ready for another.
    Done(Outcome),
    /// The server said good-bye or was asked to.
    Closed,
}

/// Whether a connection is of use.
#[derive(PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Mail can be sent.
    Ready,
    /// The server does not want us: at the greeting, EHLO, STARTTLS or AUTH.
    Refused(Reply),
    /// The server lacks what the settings demand.
    Lacks(Missing),
}

/// Where a chunk stands in its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkPlace {
    /// Others follow.
    Middle,
    /// The message ends with it.
    Last,
}

/// How the message's octets go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// After 354, with dots.
    Data,
    /// In counted chunks.
    Chunks,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What came is no reply.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// Octets after the reply to STARTTLS, not protected by it: somebody on the way put them there.
    #[error("the server's replies go on in clear after STARTTLS")]
    InjectedReplies,
    /// A reply nobody asked for, or one that came before the question.
    #[error("the server sent a reply nobody asked for")]
    Unasked,
    /// A connection closed with 421 in mid-session, asked or not (RFC 5321 §3.8).
    #[error("the server closes the connection: {0:?}")]
    Closing(Reply),
}

/// What a reply that is still owed will tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owed {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Recipient(usize),
    Data,
    Chunk,
    /// The message, for all recipients or in LMTP for the next of them.
    Message,
    Reset,
    Quit,
}

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    reader: ReplyReader,
    /// Commands not yet sent: without PIPELINING each waits for the reply to the one before.
    unsent: VecDeque<(String, Owed)>,
    owed: VecDeque<Owed>,
    extensions: Extensions,
    security: Security,
    login: Option<login::Exchange>,
    delivery: Option<Delivery>,
    /// MAIL commands said.
    transactions: u32,
    /// Replies that came.
    heard: u64,
    /// Octets came although no reply was owed: whatever they say, it was no answer.
    is_ahead: bool,
}

/// Where STARTTLS stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Security {
    NotTried,
    /// It was said.
    Asked,
    /// The server offered it and then refused.
    Refused(Reply),
    /// TLS stands, and nothing was heard within it yet.
    Fresh,
    Tls,
}

impl Client {
    /// A connection just opened, whose greeting has not come.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            reader: ReplyReader::default(),
            unsent: VecDeque::new(),
            owed: VecDeque::from([Owed::Greeting]),
            extensions: Extensions::default(),
            security: Security::NotTried,
            login: None,
            delivery: None,
            transactions: 0,
            heard: 0,
            is_ahead: false,
        }
    }

    /// What the server offers, as of its last reply to EHLO.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Gives octets read from the server; the number says how many were used. Give the rest again, unless the step
    /// was [`ClientStep::StartTls`]: then there is none.
    ///
    /// # Errors
    /// [`ClientError`]: close the connection.
    pub fn on_octets(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, ClientStep), ClientError> {
        self.is_ahead |= self.owed.is_empty() && !input.is_empty();
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            let (taken, reply) = self.reader.next(rest)?;
            used += taken;
            let Some(reply) = reply else { break };
            let step = self.on_reply(reply, used < input.len(), out)?;
            if step == ClientStep::StartTls && used < input.len() {
                return Err(ClientError::InjectedReplies);
            }
            if step != ClientStep::Read {
                return Ok((used, step));
            }
        }
        Ok((used, ClientStep::Read))
    }

    /// TLS stands: everything the server said before is forgotten (RFC 3207 §4.2).
    pub fn on_tls_started(&mut self, out: &mut Vec<u8>) -> ClientStep {
        self.security = Security::Fresh;
        self.extensions = Extensions::default();
        self.say_hello(out)
    }

    /// Whether the connection has TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.security, Security::Fresh | Security::Tls)
            || self.settings.starttls == StartTlsUse::Begun
    }

    /// Whether STARTTLS was said and nothing was heard within TLS yet: what breaks off now is TLS. With TLS 1.3 a server
    /// may refuse a handshake that our side takes for done.
    #[must_use]
    pub fn is_securing(&self) -> bool {
        matches!(self.security, Security::Asked | Security::Fresh)
    }

    /// What the server said to STARTTLS after it had offered it, where that was no.
    #[must_use]
    pub fn starttls_refusal(&self) -> Option<&Reply> {
        match &self.security {
            Security::Refused(reply) => Some(reply),
            _ => None,
        }
    }

    /// How much more the server takes on this connection, as far as it says (RFC 9422).
    #[must_use]
    pub fn allowance(&self) -> Allowance {
        let limits = self.extensions.limits.unwrap_or_default();
        Allowance {
            recipients_max: limits.recipients_max,
            domains_max: limits.domains_max,
            transactions: limits.transactions_max.map(|most| most.saturating_sub(self.transactions)),
        }
    }

    /// Replies that came so far. A server that goes on answering is alive, however many questions it was asked.
    #[must_use]
    pub fn replies_heard(&self) -> u64 {
        self.heard
    }

    /// Whether something was asked and not yet answered.
    #[must_use]
    pub fn awaits_reply(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Whether the message on its way was refused for everyone: what is left of it need not be sent.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.delivery.as_ref().is_some_and(Delivery::is_refused)
    }

    /// Says good-bye.
    pub fn quit(&mut self, out: &mut Vec<u8>) -> ClientStep {
        self.say("QUIT", Owed::Quit, out)
    }

    /// The connection is over, after an error or because it broke off: the outcome of the message that was on its
    /// way, if one was. `last` is the word on recipients of whom the server said none; a 4yz, since nobody knows.
    pub fn broken_off(&mut self, last: Reply) -> Option<Outcome> {
        self.delivery.take().map(|delivery| delivery.into_outcome(last))
    }

    /// One reply, and whether the server has said more than that already.
    fn on_reply(
        &mut self,
        reply: Reply,
        more_came: bool,
        out: &mut Vec<u8>,
    ) -> Result<ClientStep, ClientError> {
        self.heard += 1;
        if self.security == Security::Fresh {
            self.security = Security::Tls;
        }
        let owed = self.owed.pop_front().filter(|_| !self.is_ahead);
        if reply.code == ReplyCode::new(421) && !matches!(owed, Some(Owed::Greeting | Owed::Quit)) {
            return Err(ClientError::Closing(reply));
        }
        let owed = owed.ok_or(ClientError::Unasked)?;
        // Everything was answered, so what came with it came before our next command. Were it taken for the answer to
        // that, somebody on the way could speak for the server, and each reply would be taken for the one after it.
        self.is_ahead = self.owed.is_empty() && more_came;
        let step = match owed {
            Owed::Greeting if reply.severity() == Severity::Done => self.say_hello(out),
            Owed::Greeting => ClientStep::Ready(Readiness::Refused(reply)),
            Owed::Ehlo => self.on_hello_reply(reply, out),
            Owed::Helo if reply.severity() == Severity::Done => self.after_hello(out),
            Owed::Helo => ClientStep::Ready(Readiness::Refused(reply)),
            Owed::StartTls => self.on_starttls_reply(reply, out),
            Owed::Auth => self.on_auth_reply(reply, out),
            Owed::Quit => ClientStep::Closed,
            Owed::Mail | Owed::Recipient(_) | Owed::Data | Owed::Chunk | Owed::Message | Owed::Reset => {
                self.on_delivery_reply(owed, reply, out)
            }
        };
        self.send_unsent(out);
        Ok(step)
    }

    fn say_hello(&mut self, out: &mut Vec<u8>) -> ClientStep {
        let verb = match self.settings.protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        self.say(&format!("{verb} {}", self.settings.hostname), Owed::Ehlo, out)
    }

    fn on_hello_reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        if let Some(extensions) = Extensions::from_reply(&reply) {
            self.extensions = extensions;
            return self.after_hello(out);
        }
        // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
        if reply.severity() == Severity::Permanent && self.settings.protocol == Protocol::Smtp {
            return self.say(&format!("HELO {}", self.settings.hostname), Owed::Helo, out);
        }
        ClientStep::Ready(Readiness::Refused(reply))
    }

    fn after_hello(&mut self, out: &mut Vec<u8>) -> ClientStep {
        let wanted = matches!(self.settings.starttls, StartTlsUse::WhenOffered | StartTlsUse::Required);
        if wanted && !self.is_encrypted() {
            if self.security == Security::NotTried && self.extensions.starttls {
                self.security = Security::Asked;
                return self.say("STARTTLS", Owed::StartTls, out);
            }
            // A password never goes in clear just because somebody struck STARTTLS from the offer.
            if self.settings.starttls == StartTlsUse::Required || self.settings.credentials.is_some() {
                return ClientStep::Ready(Readiness::Lacks(Missing::StartTls));
            }
        }
        self.log_in(out)
    }

    fn on_starttls_reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        if reply.severity() == Severity::Done {
            return ClientStep::StartTls;
        }
        self.security = Security::Refused(reply.clone());
        if self.settings.starttls == StartTlsUse::Required {
            return ClientStep::Ready(Readiness::Refused(reply));
        }
        self.after_hello(out)
    }

    fn say(&mut self, command: &str, owed: Owed, out: &mut Vec<u8>) -> ClientStep {
        self.unsent.push_back((command.to_owned(), owed));
        self.send_unsent(out);
        ClientStep::Read
    }

    /// Sends what may go now: all of it where the server pipelines, else one command at a time.
    fn send_unsent(&mut self, out: &mut Vec<u8>) {
        while self.extensions.pipelining || self.owed.is_empty() {
            let Some((command, owed)) = self.unsent.pop_front() else { return };
            out.extend_from_slice(command.as_bytes());
            out.extend_from_slice(b"\r\n");
            self.owed.push_back(owed);
        }
    }
}

#[cfg(test)]
mod tests;
