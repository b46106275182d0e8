//! AUTH: who may say it when, and the lines of an exchange (RFC 4954). What they mean, base64 included, is the
//! directory's affair.

use mail_types::Secret;

use super::{AuthOffer, Session, Step, Transaction, replies};
use crate::command::CommandError;
use crate::reply::Reply;

/// Where a connection's log-in stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Login {
    None,
    /// The next line is a response.
    Exchanging,
    Done,
}

/// What became of one step of a SASL exchange.
#[derive(Debug)]
pub enum AuthAnswer {
    /// The mechanism has more to ask; in base64.
    Challenge(String),
    /// The client is who it says.
    Accepted,
    /// It is not, or cannot be told; the reply says which.
    Refused(Reply),
}

impl<R> Session<R> {
    pub(super) fn lacks_login(&self) -> bool {
        self.settings.auth == AuthOffer::Required && self.login != Login::Done
    }

    pub(super) fn on_auth_command(
        &mut self,
        mechanism: &str,
        initial_response: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        match self.check_auth(mechanism) {
            Ok(mechanism) => {
                Step::Authenticate { mechanism, initial_response: initial_response.map(Secret::from) }
            }
            Err(reply) => self.fail(reply, out),
        }
    }

    fn check_auth(&self, mechanism: &str) -> Result<&'static str, Reply> {
        if self.settings.auth == AuthOffer::Absent {
            return Err(CommandError::NotImplemented.reply());
        }
        if self.mechanisms.is_empty() {
            return Err(replies::LOGIN_NEEDS_TLS);
        }
        if self.login == Login::Done {
            return Err(replies::LOGIN_ALREADY);
        }
        if self.hello.is_none() {
            return Err(replies::HELLO_FIRST);
        }
        if !matches!(self.transaction, Transaction::Idle) {
            return Err(replies::LOGIN_WITHIN_MAIL);
        }
        let found = self.mechanisms.iter().find(|name| name.eq_ignore_ascii_case(mechanism));
        found.copied().ok_or(replies::MECHANISM_UNKNOWN)
    }

    /// A response of the client; `*` gives up (RFC 4954 §4).
    pub(super) fn on_auth_line(&mut self, line: &[u8]) -> Step<R> {
        self.login = Login::None;
        Step::AuthResponse(Secret::new(line.to_vec()))
    }

    pub(super) fn abort_login(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        match self.refuse_login(reply, out) {
            Step::Close => Step::Close,
            _ => Step::AuthAborted,
        }
    }

    /// The directory has spoken.
    pub fn on_auth(&mut self, answer: AuthAnswer, out: &mut Vec<u8>) -> Step<R> {
        match answer {
            AuthAnswer::Challenge(challenge) => {
                self.login = Login::Exchanging;
                out.extend_from_slice(b"334 ");
                out.extend_from_slice(challenge.as_bytes());
                out.extend_from_slice(b"\r\n");
                Step::NextLine
            }
            AuthAnswer::Accepted => {
                self.login = Login::Done;
                self.answer(replies::LOGIN_OK, out)
            }
            AuthAnswer::Refused(reply) => self.refuse_login(reply, out),
        }
    }

    fn refuse_login(&mut self, reply: Reply, out: &mut Vec<u8>) -> Step<R> {
        self.login = Login::None;
        reply.write_to(out);
        self.counts.login_failures += 1;
        if self.counts.login_failures >= self.settings.login_failures_max {
            return self.hang_up(replies::TOO_MANY_LOGINS, out);
        }
        Step::NextLine
    }
}
