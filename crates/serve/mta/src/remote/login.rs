//! Logging in at a relay: SCRAM, bound to the TLS session where that can be, before the mechanisms that give the password
//! away (RFC 4954; RFC 5802, 7677, 9266).

use mail_types::Secret;
use platform::workers::{WorkError, Workers};
use smtp::client::Credentials;
use smtp::client::scram::{Binding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramBegun, ScramError, ScramProof};
use tls::ChannelBindings;

/// Random octets of a nonce; twice as many digits.
const NONCE_OCTETS: usize = 18;

/// Who we are to a relay, and who does the arithmetic.
#[derive(Clone, Debug)]
pub(crate) struct RelayLogin {
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) workers: Workers,
}

/// Why logging in fails without a word of the relay's that says so.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginFailure {
    #[error(transparent)]
    Scram(#[from] ScramError),
    /// It says that all is well before it has shown that it knows the password.
    #[error("the server skips the proof that it knows the password")]
    Skipped,
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("no random octets: {0}")]
    NoRandomness(String),
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    login: &'a RelayLogin,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No mechanism with turns has begun.
    Idle,
    Begun(ScramBegun),
    Proven(ScramProof),
    /// The relay knows the password.
    Trusted,
    Failed(LoginFailure),
}

impl RelayLogin {
    /// What the client logs in with: the mechanisms of this file first, the strongest before the others.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials {
            user: self.user.clone(),
            password: self.password.clone(),
            exchanges: vec![SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        }
    }

    pub(super) fn exchange(&self) -> Exchange<'_> {
        Exchange { login: self, state: State::Idle }
    }
}

impl Exchange<'_> {
    /// What is said next: the first message where there is no challenge. `None` gives up, before the first message only
    /// the mechanism.
    pub(super) async fn turn(
        &mut self,
        mechanism: &str,
        challenge: Option<Vec<u8>>,
        channel: Option<&ChannelBindings>,
    ) -> Option<Vec<u8>> {
        let turned = match challenge {
            None => self.begin(mechanism, channel),
            Some(challenge) => self.answer(&challenge).await.map(Some),
        };
        turned.unwrap_or_else(|failure| {
            self.state = State::Failed(failure);
            None
        })
    }

    fn begin(
        &mut self,
        mechanism: &str,
        channel: Option<&ChannelBindings>,
    ) -> Result<Option<Vec<u8>>, LoginFailure> {
        let binding = match (mechanism, channel.and_then(binding)) {
            (SCRAM_SHA_256_PLUS, Some(binding)) => binding,
            (SCRAM_SHA_256_PLUS, None) => return Ok(None),
            // It would have been PLUS, had that been offered.
            (_, Some(_)) => Binding::NotOffered,
            (_, None) => Binding::Impossible,
        };
        let mut random = [0; NONCE_OCTETS];
        directory::fill_random(&mut random).map_err(|error| LoginFailure::NoRandomness(error.to_string()))?;
        let nonce: String = random.iter().map(|octet| format!("{octet:02x}")).collect();
        let (begun, message) = ScramBegun::new(&self.login.user, binding, &nonce);
        self.state = State::Begun(begun);
        Ok(Some(message.into_bytes()))
    }

    async fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, LoginFailure> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Begun(begun) => {
                let puzzle = begun.read(challenge)?;
                let password = directory::prepare_password(&self.login.password);
                let (proof, message) = self.login.workers.run(move || puzzle.solve(&password)).await?;
                self.state = State::Proven(proof);
                Ok(message.into_bytes())
            }
            State::Proven(proof) => {
                proof.verify(challenge)?;
                self.state = State::Trusted;
                Ok(Vec::new())
            }
            State::Idle | State::Trusted | State::Failed(_) => Err(ScramError::Malformed.into()),
        }
    }

    /// Why the relay is not believed when it says that we are logged in, if it is not.
    pub(super) fn distrust(self) -> Option<LoginFailure> {
        match self.state {
            State::Idle | State::Trusted => None,
            State::Begun(_) | State::Proven(_) => Some(LoginFailure::Skipped),
            State::Failed(failure) => Some(failure),
        }
    }

    /// Why we gave up, if it was we who did.
    pub(super) fn failure(self) -> Option<LoginFailure> {
        match self.state {
            State::Failed(failure) => Some(failure),
            State::Idle | State::Begun(_) | State::Proven(_) | State::Trusted => None,
        }
    }
}

/// What both ends know the session by, the better first: an exporter's octets are the session's own, a certificate's are
/// those of all its sessions.
fn binding(channel: &ChannelBindings) -> Option<Binding> {
    let exporter = channel.exporter.map(|octets| ("tls-exporter", octets.to_vec()));
    let (name, octets) =
        exporter.or_else(|| Some(("tls-server-end-point", channel.server_end_point.clone()?)))?;
    Some(Binding::Channel { name, octets })
}
