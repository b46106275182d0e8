//! The client's side of AUTH (RFC 4954): PLAIN and LOGIN (RFC 4616) by itself, mechanisms that take time or chance with the
//! caller's help (SCRAM, in [`super::scram`]). For smart hosts, and for the tests of servers.

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
    /// Mechanisms that the caller speaks itself, in upper case, the best first: tried before PLAIN and LOGIN. Each
    /// turn of an exchange is a [`ClientStep::Authenticate`]. A mechanism that proves the server too has to have seen
    /// that proof when the connection is ready, for a server that says 235 early skips it.
    pub exchanges: Vec<&'static str>,
}

/// Where an exchange stands.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The responses still to give, the next one last, in base64.
    Prepared(Vec<Secret>),
    /// The caller was asked what to begin with.
    Beginning(&'static str),
    /// The caller answers challenges.
    Turns(&'static str),
}

impl Client {
    /// Logs in where there is something to log in with; else the connection is ready.
    pub(super) fn log_in(&mut self, out: &mut Vec<u8>) -> ClientStep {
        let Some(credentials) = &self.settings.credentials else {
            return ClientStep::Ready(Readiness::Ready);
        };
        let offered = |name: &str| self.extensions.auth.iter().any(|mechanism| mechanism == name);
        if let Some(mechanism) = credentials.exchanges.iter().copied().find(|name| offered(name)) {
            self.login = Some(Exchange::Beginning(mechanism));
            return ClientStep::Authenticate { mechanism, challenge: None };
        }
        let user = credentials.user.as_bytes();
        let password = credentials.password.reveal();
        let (command, responses) = if offered("PLAIN") {
            let message = [b"\0", user, b"\0", password].concat();
            (format!("AUTH PLAIN {}", STANDARD.encode(message)), Vec::new())
        } else if offered("LOGIN") {
            // Taken from the end.
            ("AUTH LOGIN".to_owned(), vec![encoded(password), encoded(user)])
        } else {
            return ClientStep::Ready(Readiness::Lacks(Missing::Auth));
        };
        self.login = Some(Exchange::Prepared(responses));
        self.say(&command, Owed::Auth, out)
    }

    /// What the caller's mechanism says; `None` gives up. Before it began, only the mechanism is given up, and the next
    /// best of those offered is tried.
    pub fn respond(&mut self, response: Option<&[u8]>, out: &mut Vec<u8>) -> ClientStep {
        match (self.login.take(), response) {
            (Some(Exchange::Beginning(mechanism)), Some(response)) => {
                self.login = Some(Exchange::Turns(mechanism));
                // RFC 4954 §4: an initial response of nothing is `=`.
                let response = match response {
                    [] => "=".to_owned(),
                    response => STANDARD.encode(response),
                };
                self.say(&format!("AUTH {mechanism} {response}"), Owed::Auth, out)
            }
            (Some(Exchange::Turns(mechanism)), Some(response)) => {
                self.login = Some(Exchange::Turns(mechanism));
                self.say(&STANDARD.encode(response), Owed::Auth, out)
            }
            (Some(Exchange::Turns(_)), None) => self.cancel_login(out),
            (Some(Exchange::Beginning(mechanism)), None) => {
                if let Some(credentials) = &mut self.settings.credentials {
                    credentials.exchanges.retain(|&other| other != mechanism);
                }
                self.log_in(out)
            }
            _ => ClientStep::Ready(Readiness::Lacks(Missing::Auth)),
        }
    }

    pub(super) fn on_auth_reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        match reply.severity() {
            Severity::Done => {
                self.login = None;
                ClientStep::Ready(Readiness::Ready)
            }
            Severity::Continue => self.on_challenge(reply, out),
            Severity::Transient | Severity::Permanent => {
                self.login = None;
                ClientStep::Ready(Readiness::Refused(reply))
            }
        }
    }

    fn on_challenge(&mut self, reply: Reply, out: &mut Vec<u8>) -> ClientStep {
        match &mut self.login {
            Some(Exchange::Prepared(responses)) => match responses.pop() {
                Some(response) => {
                    let response = String::from_utf8_lossy(response.reveal()).into_owned();
                    self.say(&response, Owed::Auth, out)
                }
                // Asked for more than the mechanism has.
                None => self.cancel_login(out),
            },
            Some(Exchange::Turns(mechanism)) => match STANDARD.decode(reply.text.trim().as_bytes()) {
                Ok(challenge) => ClientStep::Authenticate { mechanism, challenge: Some(challenge) },
                Err(_) => self.cancel_login(out),
            },
            // It was cancelled, and the server goes on asking.
            Some(Exchange::Beginning(_)) | None => ClientStep::Ready(Readiness::Refused(reply)),
        }
    }

    /// RFC 4954 §4; the server answers 501.
    fn cancel_login(&mut self, out: &mut Vec<u8>) -> ClientStep {
        self.login = None;
        self.say("*", Owed::Auth, out)
    }
}

fn encoded(octets: &[u8]) -> Secret {
    Secret::new(STANDARD.encode(octets).into_bytes())
}
