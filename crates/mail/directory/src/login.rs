//! Logging in: a door's conversation with the directory until there is proof of who is there.
//!
//! Whatever is wrong, the answer is the same and takes as long: a user who does not exist is verified against a hash of
//! nobody's password, and has SCRAM keys that fit none.

use mail_types::{AccountId, Address, AddressDomain, Secret};

use crate::account::AccountState;
use crate::directory::Directory;
use crate::error::AuthenticationError;
use crate::password::{PASSWORD_OCTETS_MAX, random};
use crate::sasl::{Channel, Exchange, Mechanism, Response, ScramKeys, Step, challenge_line, read_line};
use crate::snapshot::Entry;

/// Proof that somebody has logged in. Only the directory can make one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticated {
    account: AccountId,
    address: Address,
    /// Which of the account's passwords it was, counted.
    generation: u32,
}

impl Authenticated {
    fn new(entry: &Entry) -> Self {
        Self {
            account: entry.account.id,
            address: entry.account.address.clone(),
            generation: entry.credential.generation,
        }
    }

    /// Whose account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's own address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }
}

/// A user name and a password, as claimed by a client: IMAP's LOGIN, POP3's USER and PASS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasswordClaim {
    /// The name as typed: an address, or a bare local part where there is a default domain.
    pub user: String,
    /// The password as typed.
    pub password: Secret,
}

/// One SASL exchange, from the AUTH command to its end. Base64 is undone and done here.
#[derive(Debug)]
pub struct Login {
    directory: Directory,
    exchange: Exchange,
    user: Option<String>,
    /// The password that was claimed, where the mechanism shows it.
    password: Option<Secret>,
}

/// What the door does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LoginStep {
    /// Send this challenge, already in base64 (`334 …`, `+ …`), and bring the answer line to [`Login::respond`].
    Challenge(String),
    /// Logged in.
    Done(Authenticated),
}

impl Directory {
    /// The mechanisms to offer on this channel, the best first.
    ///
    /// SCRAM is offered once every account that has a password has SCRAM keys: a client that finds it offered insists on
    /// it, and an account whose password came as another server's hash could not log in. Its first PLAIN log-in makes
    /// the keys.
    #[must_use]
    pub fn mechanisms(&self, channel: &Channel) -> Vec<Mechanism> {
        let has_keys = self.snapshot().has_all_scram_keys();
        let mut mechanisms = Mechanism::offered(channel);
        mechanisms.retain(|mechanism| has_keys || !mechanism.is_scram());
        mechanisms
    }

    /// Starts a SASL exchange, or `None` where the mechanism is not offered on this channel (504 5.5.4, `NO`).
    #[must_use]
    pub fn login(&self, mechanism: Mechanism, channel: Channel) -> Option<Login> {
        if !self.mechanisms(&channel).contains(&mechanism) {
            return None;
        }
        // Without randomness a nonce could come twice; then nobody may log in by it.
        let exchange = Exchange::new(mechanism, channel, random().ok()?);
        Some(Login { directory: self.clone(), exchange, user: None, password: None })
    }

    /// Verifies a user name and password. Who stops waiting loses nothing.
    ///
    /// # Errors
    /// Refused or Busy.
    pub async fn authenticate(&self, claim: PasswordClaim) -> Result<Authenticated, AuthenticationError> {
        if !(1..=PASSWORD_OCTETS_MAX).contains(&claim.password.reveal().len()) {
            return Err(AuthenticationError::Refused);
        }
        let entry = self.find_user(&claim.user);
        if let Some(authenticated) = entry.as_ref().and_then(|entry| self.recall(entry, &claim.password)) {
            return Ok(authenticated);
        }
        let directory = self.clone();
        let verification = self.inner.workers.run(move || directory.verify(entry, &claim.password));
        verification.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a password was not verified");
            Err(AuthenticationError::Busy)
        })
    }

    /// Whether a user name means somebody. Never for what a client is told.
    #[must_use]
    pub fn is_user(&self, user: &str) -> bool {
        self.find_user(user).is_some()
    }

    /// The account a user name means.
    fn find_user(&self, user: &str) -> Option<Entry> {
        let address = match (Address::parse(user), &self.settings().default_domain) {
            (Ok(address), _) => address,
            (Err(_), Some(domain)) if !user.contains('@') => {
                Address::new(user, AddressDomain::Name(domain.clone())).ok()?
            }
            (Err(_), _) => return None,
        };
        self.snapshot().entry_by_address(&address).cloned()
    }

    /// Accepts a password that was verified a short while ago.
    fn recall(&self, entry: &Entry, password: &Secret) -> Option<Authenticated> {
        if entry.account.state != AccountState::Enabled || entry.credential.hash.is_none() {
            return None;
        }
        let verified = self.inner.verified.lock();
        let key = verified.key(entry.account.id, entry.credential.generation, password);
        verified.contains(key, self.inner.clock.monotonic()).then(|| Authenticated::new(entry))
    }

    /// Verifies a password at its full cost, on a worker's thread. Everything that refuses comes after the hash.
    fn verify(&self, entry: Option<Entry>, password: &Secret) -> Result<Authenticated, AuthenticationError> {
        // Of five connections that came at once, the first has paid for the others.
        if let Some(authenticated) = entry.as_ref().and_then(|entry| self.recall(entry, password)) {
            return Ok(authenticated);
        }
        let stored = entry.as_ref().and_then(|entry| entry.credential.hash.as_ref());
        let hash = stored.unwrap_or(&self.inner.nobody_hash);
        let is_right = {
            let _one_at_a_time = hash.needs_much_memory().then(|| self.inner.much_memory.lock());
            hash.verify(password)
        };
        let entry = entry.filter(|entry| is_right && entry.credential.hash.is_some());
        let authenticated = entry.as_ref().map(Authenticated::new);
        // It may have been disabled, removed or given another password while we verified this one.
        let (Some(entry), Some(authenticated)) =
            (entry, authenticated.filter(|authenticated| self.is_current(authenticated)))
        else {
            return Err(AuthenticationError::Refused);
        };
        self.remember(&entry, password);
        Ok(authenticated)
    }

    /// After a right password: the next connection is cheap, and what is stored is of today's kind.
    fn remember(&self, entry: &Entry, password: &Secret) {
        {
            let mut verified = self.inner.verified.lock();
            let key = verified.key(entry.account.id, entry.credential.generation, password);
            verified.insert(key, self.inner.clock.monotonic());
        }
        if let Some(better) = entry.credential.upgraded(password, &self.settings())
            && let Err(error) = self.upgrade_credential(entry.account.id, better)
        {
            // The log-in is good all the same; the next one tries again.
            tracing::warn!(account = %entry.account.id, %error, "the password's hash could not be renewed");
        }
    }

    /// The SCRAM keys of a user, or those of nobody.
    fn scram_keys(&self, user: &str) -> ScramKeys {
        let keys = self.find_user(user).and_then(|entry| entry.credential.scram.clone());
        keys.unwrap_or_else(|| {
            let iterations = self.settings().scram_iterations();
            ScramKeys::of_nobody(&user.to_lowercase(), &self.inner.nobody_secret, iterations)
        })
    }

    /// Accepts a user whose proof fitted these keys, if they were somebody's and still are.
    fn accept_proof(&self, user: &str, keys: &ScramKeys) -> Result<Authenticated, AuthenticationError> {
        let entry = self.find_user(user).filter(|entry| entry.credential.scram.as_ref() == Some(keys));
        entry
            .map(|entry| Authenticated::new(&entry))
            .filter(|authenticated| self.is_current(authenticated))
            .ok_or(AuthenticationError::Refused)
    }
}

impl Login {
    /// Begins with the AUTH command's initial response, if it had one (base64; `=` is an empty one, RFC 4954 §4).
    ///
    /// # Errors
    /// The exchange is over; the error says with which reply.
    pub async fn begin(&mut self, initial_response: Option<&[u8]>) -> Result<LoginStep, AuthenticationError> {
        match initial_response {
            None => Ok(LoginStep::Challenge(challenge_line(self.exchange.first_challenge()))),
            Some(line) => self.advance(&read_line(line, Response::Initial)?).await,
        }
    }

    /// Goes on with one line from the client, without its CRLF: base64, or `*` to give up.
    ///
    /// # Errors
    /// The exchange is over; the error says with which reply.
    pub async fn respond(&mut self, line: &[u8]) -> Result<LoginStep, AuthenticationError> {
        self.advance(&read_line(line, Response::Following)?).await
    }

    /// The user name the client has claimed so far: for the log and for throttling.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref().or_else(|| self.exchange.user())
    }

    /// The password that the client has claimed, where the mechanism shows it: to know a wrong one that comes again.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// Whether the challenge just given is the mechanism's last word, to a client that has proven itself: a protocol
    /// that sends it along with success (RFC 4422 §3.6) brings an empty message to [`Login::respond`] at once.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.exchange.is_proven()
    }

    async fn advance(&mut self, message: &[u8]) -> Result<LoginStep, AuthenticationError> {
        match self.exchange.on_message(message)? {
            Step::Challenge(challenge) => Ok(LoginStep::Challenge(challenge_line(&challenge))),
            Step::FindKeys(user) => {
                let keys = self.directory.scram_keys(&user);
                self.user = Some(user);
                match self.exchange.on_keys(keys)? {
                    Step::Challenge(challenge) => Ok(LoginStep::Challenge(challenge_line(&challenge))),
                    _ => Err(AuthenticationError::Malformed),
                }
            }
            Step::Verify(claim) => {
                self.user = Some(claim.user.clone());
                self.password = Some(claim.password.clone());
                self.directory.authenticate(claim).await.map(LoginStep::Done)
            }
            Step::Proven { user, keys } => self.directory.accept_proof(&user, &keys).map(LoginStep::Done),
        }
    }
}
