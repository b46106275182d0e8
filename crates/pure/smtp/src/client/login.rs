//! The client's side of AUTH: PLAIN and LOGIN (RFC 4954, RFC 4616), for the tests of servers and for smart hosts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Secret, Severity};

use super::{Client, ClientStep, Missing, Owed, Readiness};
use crate::reply::Reply;

/// A name and its password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// Where an exchange stands: the responses still to give.
#[derive(Debug)]
pub(super) struct Exchange {
    responses: Vec<String>,
}

impl Client {
    /// Logs in where there is something to log in with; else the connection is ready.
    pub(super) fn log_in(&mut self, out: &mut Vec<u8>) -> ClientStep {
        let Some(credentials) = &self.settings.credentials else {
            return ClientStep::Ready(Readiness::Ready);
        };
        let user = credentials.user.as_bytes();
        let password = credentials.password.reveal();
        let offered = |name: &str| self.extensions.auth.iter().any(|mechanism| mechanism == name);
        let (command, responses) = if offered("PLAIN") {
            let message = [b"\0", user, b"\0", password].concat();
            (format!("AUTH PLAIN {}", STANDARD.encode(message)), Vec::new())
        } else if offered("LOGIN") {
            // Taken from the end.
            ("AUTH LOGIN".to_owned(), vec![STANDARD.encode(password), STANDARD.encode(user)])
        } else {
            return ClientStep::Ready(Readiness::Lacks(Missing::Auth));
        };
        self.login = Some(Exchange { responses });
        self.say(&command, Owed::Auth, out)
    }

    pub(super) fn on_auth_reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        match reply.severity() {
            Severity::Done => ClientStep::Ready(Readiness::Ready),
            Severity::Continue => {
                let response = self.login.as_mut().and_then(|exchange| exchange.responses.pop());
                // Asked for more than the mechanism has: cancel (RFC 4954 §4).
                self.say(&response.unwrap_or_else(|| "*".to_owned()), Owed::Auth, out)
            }
            Severity::Transient | Severity::Permanent => ClientStep::Ready(Readiness::Refused(reply)),
        }
    }
}
