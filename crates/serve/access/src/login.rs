//! From a stranger to somebody, for every door of this room: a password or a SASL exchange, judged by the directory; here
//! failures are counted and slowed down, and sessions get their places.

use std::net::IpAddr;
use std::sync::Arc;

use directory::sasl::{Channel, Mechanism};
use directory::{Authenticated, AuthenticationError, Directory, Login, LoginStep, PasswordClaim};
use mail_types::{AccountId, Secret};
use mailstore::{Account, Store, StoreError};
use platform::guard::{Attempt, Guard, Offence, Place, counted_name};
use platform::metrics::{Counter, Metrics};

use crate::sessions::{SessionPlace, Sessions};

/// What of a door lets people in. Each door counts its own sessions.
pub(crate) struct Entrance {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) guard: Guard,
    new_places: NewPlaceSink,
    sessions: Sessions,
    accepted: Counter,
    refused: Counter,
}

/// Hears of a log-in from where the account's owner has not been before.
pub type NewPlaceSink = Arc<dyn Fn(AccountId, IpAddr) + Send + Sync>;

/// Who knocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) peer: Option<IpAddr>,
    pub(crate) channel: &'a Channel,
    /// Sessions that one account may have at this door.
    pub(crate) sessions_max: usize,
}

/// Somebody who may enter.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) who: Authenticated,
    pub(crate) account: Account,
    pub(crate) place: SessionPlace,
}

/// Why somebody may not.
#[derive(Clone, Debug)]
pub(crate) enum LoginRefusal {
    /// A password in clear text.
    PrivacyRequired,
    /// A SASL mechanism that is not offered.
    MechanismUnknown,
    /// Wrong user or password.
    Failed,
    /// Too many wrong passwords.
    Blocked,
    /// Too many are logging in at this moment.
    Busy,
    /// A SASL exchange that breaks its mechanism's grammar.
    Malformed,
    /// A SASL exchange that the client gave up.
    Cancelled,
    /// The account has as many sessions as it may have.
    TooManySessions,
    /// What the store says.
    Store(StoreError),
}

impl From<StoreError> for LoginRefusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A SASL exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    mechanism: Mechanism,
    login: Login,
}

/// What a message of a SASL exchange came to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Send this, which is in base64 already, and bring the answer.
    Challenge(String),
    /// The end.
    Admitted(Box<Admitted>),
}

impl Entrance {
    /// A door's entrance. The metric is named for the door.
    pub(crate) fn new(
        (store, directory, guard, new_places): (&Store, &Directory, &Guard, &NewPlaceSink),
        metrics: &Metrics,
        (name, help): (&'static str, &'static str),
    ) -> Self {
        Self {
            store: store.clone(),
            directory: directory.clone(),
            guard: guard.clone(),
            new_places: Arc::clone(new_places),
            sessions: Sessions::default(),
            accepted: metrics.counter(name, help, &[("result", "accepted")]),
            refused: metrics.counter(name, help, &[("result", "refused")]),
        }
    }

    /// A user name and a password.
    pub(crate) async fn by_password(
        &self,
        caller: Caller<'_>,
        claim: PasswordClaim,
    ) -> Result<Box<Admitted>, LoginRefusal> {
        if *caller.channel == Channel::Clear {
            return Err(LoginRefusal::PrivacyRequired);
        }
        let user = counted_name(&claim.user);
        self.wait_for_attempt(caller, &user).await?;
        let password = claim.password.clone();
        match self.directory.authenticate(claim).await {
            Ok(who) => self.enter(caller, who, &user, "LOGIN").await,
            Err(error) => Err(self.refuse(caller, error, (&user, Some(&password)), "LOGIN").await),
        }
    }

    /// Begins a SASL exchange with the client's first message, if it came along; in base64, an empty one as `=`.
    pub(crate) async fn begin(
        &self,
        caller: Caller<'_>,
        mechanism: &str,
        initial_response: Option<&[u8]>,
    ) -> Result<(Exchange, Turn), LoginRefusal> {
        if *caller.channel == Channel::Clear {
            return Err(LoginRefusal::PrivacyRequired);
        }
        let mechanism = Mechanism::from_name(mechanism).ok_or(LoginRefusal::MechanismUnknown)?;
        let login = self.directory.login(mechanism, caller.channel.clone());
        let mut exchange = Exchange { mechanism, login: login.ok_or(LoginRefusal::MechanismUnknown)? };
        // Who it is shows only within the exchange: by address first, by account when a password was wrong.
        self.wait_for_attempt(caller, "").await?;
        let step = exchange.login.begin(initial_response).await;
        let turn = self.judge(caller, &exchange, step).await?;
        Ok((exchange, turn))
    }

    /// Goes on with the client's answer to a challenge: base64, or `*` to give up.
    pub(crate) async fn respond(
        &self,
        caller: Caller<'_>,
        exchange: &mut Exchange,
        line: &[u8],
    ) -> Result<Turn, LoginRefusal> {
        let step = exchange.login.respond(line).await;
        self.judge(caller, exchange, step).await
    }

    async fn judge(
        &self,
        caller: Caller<'_>,
        exchange: &Exchange,
        step: Result<LoginStep, AuthenticationError>,
    ) -> Result<Turn, LoginRefusal> {
        let (user, mechanism) = (exchange.login.user().unwrap_or_default(), exchange.mechanism.name());
        match step {
            Ok(LoginStep::Challenge(challenge)) => Ok(Turn::Challenge(challenge)),
            Ok(LoginStep::Done(who)) => {
                self.enter(caller, who, &counted_name(user), mechanism).await.map(Turn::Admitted)
            }
            Err(error) => {
                let claimed = (counted_name(user), exchange.login.password());
                Err(self.refuse(caller, error, (&claimed.0, claimed.1), mechanism).await)
            }
        }
    }

    async fn wait_for_attempt(&self, caller: Caller<'_>, user: &str) -> Result<(), LoginRefusal> {
        self.wait(self.guard.attempt(caller.peer, user), user).await
    }

    /// Waits as long as failed passwords have earned.
    async fn wait(&self, attempt: Attempt, user: &str) -> Result<(), LoginRefusal> {
        match attempt {
            Attempt::After(delay) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                Ok(())
            }
            Attempt::Banned => {
                self.refused.increment();
                tracing::info!(user, "login refused: too many failures");
                Err(LoginRefusal::Blocked)
            }
        }
    }

    /// Counts a log-in that failed, and waits before it is answered.
    async fn refuse(
        &self,
        caller: Caller<'_>,
        error: AuthenticationError,
        (user, password): (&str, Option<&Secret>),
        mechanism: &str,
    ) -> LoginRefusal {
        self.refused.increment();
        tracing::info!(user, mechanism, %error, "login refused");
        match error {
            AuthenticationError::Refused => {
                let is_somebody = self.directory.is_user(user);
                let offence = if is_somebody { Offence::WrongPassword } else { Offence::UnknownName };
                let attempt = self.guard.failed(caller.peer, user, offence, password.map(Secret::reveal));
                self.wait(attempt, user).await.err().unwrap_or(LoginRefusal::Failed)
            }
            AuthenticationError::Busy => LoginRefusal::Busy,
            AuthenticationError::Malformed => LoginRefusal::Malformed,
            AuthenticationError::Cancelled => LoginRefusal::Cancelled,
        }
    }

    async fn enter(
        &self,
        caller: Caller<'_>,
        who: Authenticated,
        user: &str,
        mechanism: &str,
    ) -> Result<Box<Admitted>, LoginRefusal> {
        if let (Place::New, Some(peer)) = (self.guard.succeeded(caller.peer, user), caller.peer) {
            (self.new_places)(who.account(), peer);
        }
        let place = self.sessions.enter(who.account(), caller.sessions_max);
        let place = place.ok_or(LoginRefusal::TooManySessions)?;
        let account = self.store.account(who.account()).await?;
        self.accepted.increment();
        tracing::info!(account = %who.address(), mechanism, "logged in");
        Ok(Box::new(Admitted { who, account, place }))
    }
}

impl Exchange {
    /// Whether the challenge that was just given is the last, by which the server proves itself to a client that has
    /// proven itself: a protocol that can send it along with its OK need not wait for an answer, which is empty.
    pub(crate) fn is_proven(&self) -> bool {
        self.login.is_proven()
    }
}
