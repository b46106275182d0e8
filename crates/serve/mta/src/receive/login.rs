//! Logging in for submission (RFC 4954): the directory judges, here failures are counted and slowed down.

use directory::sasl::Mechanism;
use directory::{Authenticated, AuthenticationError, LoginStep};
use mail_types::Secret;
use platform::guard::{Attempt, Offence, Place, counted_name};
use smtp::Reply;
use smtp::server::{AuthAnswer, Step};

use super::replies;
use super::session::Conversation;
use crate::breaker::Signal;
use crate::deliver::route::Route;

impl Conversation {
    /// AUTH.
    pub(crate) async fn begin_login(
        &mut self,
        mechanism: &'static str,
        initial_response: Option<Secret>,
    ) -> Step<Route> {
        let answer = self.try_begin_login(mechanism, initial_response).await;
        self.session.on_auth(answer, &mut self.out)
    }

    async fn try_begin_login(
        &mut self,
        mechanism: &'static str,
        initial_response: Option<Secret>,
    ) -> AuthAnswer {
        let found = Mechanism::from_name(mechanism);
        let channel = self.client.channel.clone();
        let Some(mut login) = found.and_then(|mechanism| self.door.rooms.directory.login(mechanism, channel))
        else {
            return AuthAnswer::Refused(replies::MECHANISM_UNKNOWN);
        };
        // Who it is shows only within the exchange: by address first, by account when a password was wrong.
        if let Err(reply) = self.wait_for_attempt("").await {
            return AuthAnswer::Refused(reply);
        }
        let step = login.begin(initial_response.as_ref().map(Secret::reveal)).await;
        self.client.mechanism = mechanism;
        self.login = Some(login);
        self.judge_login(step).await
    }

    /// A line of the exchange.
    pub(crate) async fn continue_login(&mut self, line: Secret) -> Step<Route> {
        let answer = match self.login.as_mut() {
            Some(login) => {
                let step = login.respond(line.reveal()).await;
                self.judge_login(step).await
            }
            None => AuthAnswer::Refused(replies::LOGIN_MALFORMED),
        };
        self.session.on_auth(answer, &mut self.out)
    }

    async fn judge_login(&mut self, step: Result<LoginStep, AuthenticationError>) -> AuthAnswer {
        if let Ok(LoginStep::Challenge(challenge)) = step {
            return AuthAnswer::Challenge(challenge);
        }
        let login = self.login.take();
        let user = counted_name(login.as_ref().and_then(|login| login.user()).unwrap_or_default());
        match step {
            Ok(LoginStep::Done(who)) => {
                self.enter(who, &user);
                AuthAnswer::Accepted
            }
            Ok(LoginStep::Challenge(challenge)) => AuthAnswer::Challenge(challenge),
            Err(error) => {
                let password = login.as_ref().and_then(|login| login.password());
                AuthAnswer::Refused(self.refuse_login(error, &user, password).await)
            }
        }
    }

    fn enter(&mut self, who: Authenticated, user: &str) {
        let peer = self.client.peer.address();
        if let (Place::New, Some(peer)) = (self.door.rooms.guard.succeeded(peer, user), peer) {
            self.door.rooms.breaker.note(who.account(), Signal::NewPlace(peer));
        }
        self.door.counts.logins.increment();
        tracing::debug!(account = %who.address(), "logged in");
        self.client.who = Some(who);
    }

    /// Counts a log-in that failed, and waits before it is answered.
    async fn refuse_login(&self, error: AuthenticationError, user: &str, password: Option<&Secret>) -> Reply {
        self.door.counts.logins_refused.increment();
        tracing::info!(user, %error, "login refused");
        if error == AuthenticationError::Refused {
            let is_somebody = self.door.rooms.directory.is_user(user);
            let offence = if is_somebody { Offence::WrongPassword } else { Offence::UnknownName };
            let (guard, peer) = (&self.door.rooms.guard, self.client.peer.address());
            if let Err(reply) = wait(guard.failed(peer, user, offence, password.map(Secret::reveal))).await {
                return reply;
            }
        }
        replies::login_error(error)
    }

    async fn wait_for_attempt(&self, user: &str) -> Result<(), Reply> {
        wait(self.door.rooms.guard.attempt(self.client.peer.address(), user)).await
    }
}

/// Waits as long as failed passwords have earned.
async fn wait(attempt: Attempt) -> Result<(), Reply> {
    match attempt {
        Attempt::After(delay) if delay.is_zero() => Ok(()),
        Attempt::After(delay) => {
            tokio::time::sleep(delay).await;
            Ok(())
        }
        Attempt::Banned => Err(replies::LOGIN_BLOCKED),
    }
}
