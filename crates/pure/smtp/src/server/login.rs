//! AUTH: who may say it when, and the lines of an exchange (RFC 4954). What they mean is the directory's affair.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::Secret;

use super::{AuthNeed, Channel, Session, Step, Transaction, replies};
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
    /// The mechanism has more to ask.
    Challenge(Vec<u8>),
    /// The client is who it says.
    Accepted,
    /// It is not, or cannot be told; the reply says which.
    Refused(Reply),
}

impl<R> Session<R> {
    pub(super) fn offered_mechanisms(&self) -> &[&'static str] {
        match self.channel {
            Channel::Clear => &self.settings.auth.in_clear,
            Channel::Tls => &self.settings.auth.under_tls,
        }
    }

    pub(super) fn lacks_login(&self) -> bool {
        self.settings.auth.need == AuthNeed::Required && self.login != Login::Done
    }

    pub(super) fn on_auth_command(
        &mut self,
        mechanism: &str,
        initial_response: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Step<R> {
        let mechanism = match self.check_auth(mechanism) {
            Ok(mechanism) => mechanism,
            Err(reply) => return self.fail(reply, out),
        };
        let initial_response = match initial_response.map(decode_initial).transpose() {
            Ok(initial_response) => initial_response,
            Err(reply) => return self.fail(reply, out),
        };
        Step::Authenticate { mechanism, initial_response }
    }

    fn check_auth(&self, mechanism: &str) -> Result<&'static str, Reply> {
        let offered = self.offered_mechanisms();
        if offered.is_empty() {
            return Err(match self.settings.auth.under_tls.is_empty() {
                true => CommandError::NotImplemented.reply(),
                false => replies::LOGIN_NEEDS_TLS,
            });
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
        let found = offered.iter().find(|name| name.eq_ignore_ascii_case(mechanism));
        found.copied().ok_or(replies::MECHANISM_UNKNOWN)
    }

    /// A response of the client, or `*` (RFC 4954 §4).
    pub(super) fn on_auth_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Step<R> {
        if line == b"*" {
            return self.abort_login(replies::LOGIN_CANCELLED, out);
        }
        match STANDARD.decode(line) {
            Ok(response) => {
                self.login = Login::None;
                Step::AuthResponse(Secret::new(response))
            }
            Err(_) => self.abort_login(replies::NOT_BASE64, out),
        }
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
            AuthAnswer::Challenge(octets) => {
                self.login = Login::Exchanging;
                out.extend_from_slice(b"334 ");
                out.extend_from_slice(STANDARD.encode(octets).as_bytes());
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

/// `=` stands for an empty response, which base64 cannot say in an argument.
fn decode_initial(text: &str) -> Result<Secret, Reply> {
    let octets =
        if text == "=" { Vec::new() } else { STANDARD.decode(text).map_err(|_| replies::NOT_BASE64)? };
    Ok(Secret::new(octets))
}
