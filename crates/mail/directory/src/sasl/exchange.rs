//! One exchange as a state machine: a client's messages in, what to do next out (RFC 4422 §3).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plain::{read_plain, read_user};
use super::scram::{ClientFirst, ServerFirst};
use super::{Channel, Mechanism, ScramKeys};
use mail_types::Secret;

use crate::error::AuthenticationError;
use crate::login::PasswordClaim;

/// Octets of our half of a nonce; base64 makes 24 printable ones of them without padding.
pub const NONCE_OCTETS: usize = 18;

/// What the driver does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this challenge and bring the response.
    Challenge(Vec<u8>),
    /// Verify user and password; the exchange is over.
    Verify(PasswordClaim),
    /// Bring this user's SCRAM keys to [`Exchange::on_keys`], or those of nobody.
    FindKeys(String),
    /// The user has proven to know the password behind these keys, if they were somebody's; the exchange is over.
    Proven {
        /// Who.
        user: String,
        /// The keys that the proof fitted.
        keys: ScramKeys,
    },
}

/// One SASL exchange. After an error or its last step it accepts nothing more.
#[derive(Debug)]
pub struct Exchange {
    channel: Channel,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginUser,
    LoginPassword {
        user: String,
    },
    ScramFirst(Mechanism),
    ScramKeys(ClientFirst),
    ScramFinal {
        user: String,
        server_first: ServerFirst,
    },
    /// The client has our last message and answers it with an empty one (RFC 4954 §4: no data beside success).
    ScramLast {
        user: String,
        keys: ScramKeys,
    },
    Over,
}

impl Exchange {
    /// Begins an exchange; the nonce must be random.
    #[must_use]
    pub fn new(mechanism: Mechanism, channel: Channel, nonce: [u8; NONCE_OCTETS]) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => State::ScramFirst(mechanism),
        };
        Self { channel, nonce: STANDARD.encode(nonce), state }
    }

    /// The challenge that asks for the first message, where the AUTH command brought none.
    #[must_use]
    pub fn first_challenge(&self) -> &'static [u8] {
        match self.state {
            State::LoginUser => b"Username:",
            _ => b"",
        }
    }

    /// The user the client has named so far.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.state {
            State::LoginPassword { user }
            | State::ScramFinal { user, .. }
            | State::ScramLast { user, .. } => Some(user),
            State::ScramKeys(first) => Some(&first.user),
            State::Plain | State::LoginUser | State::ScramFirst(_) | State::Over => None,
        }
    }

    /// Whether the client has proven itself and only has to hear our last message.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        matches!(self.state, State::ScramLast { .. })
    }

    /// Takes a message of the client, base64 undone.
    ///
    /// # Errors
    /// The exchange is over: Malformed or Refused.
    pub fn on_message(&mut self, message: &[u8]) -> Result<Step, AuthenticationError> {
        let (state, step) = match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => (State::Over, Step::Verify(read_plain(message)?)),
            State::LoginUser => {
                (State::LoginPassword { user: read_user(message)? }, Step::Challenge(b"Password:".to_vec()))
            }
            State::LoginPassword { user } => {
                (State::Over, Step::Verify(PasswordClaim { user, password: Secret::new(message.to_vec()) }))
            }
            State::ScramFirst(mechanism) => {
                let first = ClientFirst::read(message, mechanism, &self.channel)?;
                let step = Step::FindKeys(first.user.clone());
                (State::ScramKeys(first), step)
            }
            State::ScramFinal { user, server_first } => {
                let last = server_first.verify(message)?;
                let keys = server_first.into_keys();
                (State::ScramLast { user, keys }, Step::Challenge(last.into_bytes()))
            }
            State::ScramLast { user, keys } if message.is_empty() => {
                (State::Over, Step::Proven { user, keys })
            }
            State::ScramLast { .. } | State::ScramKeys(_) | State::Over => {
                return Err(AuthenticationError::Malformed);
            }
        };
        self.state = state;
        Ok(step)
    }

    /// Takes the keys that [`Step::FindKeys`] asked for.
    ///
    /// # Errors
    /// Malformed where none were asked for.
    pub fn on_keys(&mut self, keys: ScramKeys) -> Result<Step, AuthenticationError> {
        let State::ScramKeys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(AuthenticationError::Malformed);
        };
        let user = first.user.clone();
        let (server_first, message) = first.answer(keys, &self.nonce);
        self.state = State::ScramFinal { user, server_first };
        Ok(Step::Challenge(message.into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exchange(mechanism: Mechanism) -> Exchange {
        Exchange::new(mechanism, Channel::Trusted, [0; NONCE_OCTETS])
    }

    fn claim(user: &str, password: &str) -> Step {
        Step::Verify(PasswordClaim { user: user.to_owned(), password: password.into() })
    }

    fn any_message() -> impl Strategy<Value = Vec<u8>> {
        let scram = "[nyp]?(=tls-exporter)?,(a=[a-z=23CD]{0,5})?,([nrxm]=[ -~]{0,9},?){0,4}";
        let last = "c=[a-zA-Z0-9+/]{0,8}={0,2},r=nonce[A]{0,24},p=[A-Za-z0-9+/=]{0,44}";
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            "(\0?[a-z]{0,4}){0,4}".prop_map(String::into_bytes),
            scram.prop_map(String::into_bytes),
            last.prop_map(String::into_bytes),
            Just(b"n,,n=ann,r=nonce".to_vec()),
            Just(Vec::new()),
        ]
    }

    fn any_mechanism() -> impl Strategy<Value = Mechanism> {
        prop_oneof![
            Just(Mechanism::Plain),
            Just(Mechanism::Login),
            Just(Mechanism::ScramSha256),
            Just(Mechanism::ScramSha256Plus)
        ]
    }

    proptest! {
        /// Whatever a client sends: no panic, an end after few messages, and no proof without the password.
        #[test]
        fn hostile_exchanges_end_without_proof(
            mechanism in any_mechanism(),
            messages in proptest::collection::vec(any_message(), 5),
        ) {
            let mut exchange = exchange(mechanism);
            let mut is_over = false;
            for message in &messages {
                let step = match exchange.on_message(message) {
                    Ok(Step::FindKeys(user)) => exchange.on_keys(ScramKeys::of_nobody(&user, &[7; 32], 4096)),
                    other => other,
                };
                prop_assert!(!is_over || step == Err(AuthenticationError::Malformed));
                prop_assert!(!matches!(step, Ok(Step::Proven { .. })), "proven without the password");
                is_over = is_over || !matches!(step, Ok(Step::Challenge(_)));
            }
            prop_assert!(is_over);
        }
    }

    #[test]
    fn plain_is_one_message() {
        let mut exchange = exchange(Mechanism::Plain);
        assert_eq!(exchange.first_challenge(), b"");
        assert_eq!(exchange.on_message(b"\0ann\0secret"), Ok(claim("ann", "secret")));
        assert_eq!(exchange.on_message(b"\0ann\0secret"), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn login_asks_for_user_and_password() {
        let mut exchange = exchange(Mechanism::Login);
        assert_eq!(exchange.first_challenge(), b"Username:");
        assert_eq!(exchange.on_message(b"ann"), Ok(Step::Challenge(b"Password:".to_vec())));
        assert_eq!(exchange.user(), Some("ann"));
        assert_eq!(exchange.on_message(b"secret"), Ok(claim("ann", "secret")));
        assert_eq!(exchange.on_message(b""), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn an_error_ends_the_exchange() {
        let mut exchange = exchange(Mechanism::Plain);
        assert_eq!(exchange.on_message(b"nonsense"), Err(AuthenticationError::Malformed));
        assert_eq!(exchange.on_message(b"\0ann\0secret"), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn scram_needs_keys_between_its_messages() {
        let mut exchange = exchange(Mechanism::ScramSha256);
        assert!(exchange.on_keys(ScramKeys::of_nobody("ann", &[0; 32], 4096)).is_err());
        let mut exchange = self::exchange(Mechanism::ScramSha256);
        assert_eq!(exchange.on_message(b"n,,n=ann,r=nonce"), Ok(Step::FindKeys("ann".to_owned())));
        let step = exchange.on_keys(ScramKeys::of_nobody("ann", &[0; 32], 4096)).unwrap();
        let Step::Challenge(challenge) = step else { panic!("{step:?}") };
        assert!(challenge.starts_with(b"r=nonceAAAAAAAAAAAAAAAAAAAAAAAA,s="), "{challenge:?}");
        assert_eq!(exchange.user(), Some("ann"));
        let proof = STANDARD.encode([0; 32]);
        let last = format!("c=biws,r=nonceAAAAAAAAAAAAAAAAAAAAAAAA,p={proof}");
        assert_eq!(exchange.on_message(last.as_bytes()), Err(AuthenticationError::Refused));
        assert_eq!(exchange.on_message(b""), Err(AuthenticationError::Malformed));
    }
}
