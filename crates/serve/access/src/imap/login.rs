//! LOGIN and AUTHENTICATE: from a stranger to somebody (RFC 9051 §6.2.2, §6.2.3). Passwords are the directory's to
//! judge; here failures are counted and slowed down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::sasl::{Channel, Mechanism};
use directory::{Authenticated, AuthenticationError, LoginStep, PasswordClaim};
use imap::command::{Authenticate, Login};
use platform::guard::Attempt;
use std::sync::Arc;
use tokio::time::Instant;

use super::connection::Event;
use super::person::{Enabled, Person};
use super::replies::{Farewell, Refusal, Stop};
use super::stranger::Stranger;

/// LOGIN.
pub(crate) async fn login(stranger: &mut Stranger, credentials: Login) -> Result<Box<Person>, Stop> {
    if stranger.channel == Channel::Clear {
        return Err(Refusal::PrivacyRequired.into());
    }
    let user = throttle_name(&credentials.user);
    wait_for_attempt(stranger, &user).await?;
    let claim = PasswordClaim { user: credentials.user, password: credentials.password };
    match stranger.door.rooms.directory.authenticate(claim).await {
        Ok(who) => enter(stranger, who, &user, "LOGIN").await,
        Err(error) => Err(refuse(stranger, error, &user, "LOGIN")),
    }
}

/// AUTHENTICATE.
pub(crate) async fn authenticate(
    stranger: &mut Stranger,
    exchange: Authenticate,
    deadline: Instant,
) -> Result<Box<Person>, Stop> {
    if stranger.channel == Channel::Clear {
        return Err(Refusal::PrivacyRequired.into());
    }
    let mechanism = Mechanism::from_name(&exchange.mechanism).ok_or(Refusal::SaslUnknown)?;
    let directory = stranger.door.rooms.directory.clone();
    let mut login = directory.login(mechanism, stranger.channel.clone()).ok_or(Refusal::SaslUnknown)?;
    // Who it is shows only within the exchange: by address first, by account when a password was wrong.
    wait_for_attempt(stranger, "").await?;

    let initial = exchange.initial_response.map(|response| match response.reveal() {
        [] => "=".to_owned(),
        octets => STANDARD.encode(octets),
    });
    let mut step = login.begin(initial.as_deref().map(str::as_bytes)).await;
    loop {
        match step {
            Ok(LoginStep::Challenge(challenge)) => {
                let line = answer_to(stranger, &challenge, deadline).await?;
                step = login.respond(&line).await;
            }
            Ok(LoginStep::Done(who)) => {
                let user = throttle_name(login.user().unwrap_or_default());
                return enter(stranger, who, &user, mechanism.name()).await;
            }
            Err(error) => {
                let user = throttle_name(login.user().unwrap_or_default());
                let stop = refuse(stranger, error, &user, mechanism.name());
                if error == AuthenticationError::Refused {
                    wait_for_attempt(stranger, &user).await?;
                }
                return Err(stop);
            }
        }
    }
}

/// Sends a challenge and waits for the line that answers it.
async fn answer_to(stranger: &mut Stranger, challenge: &str, deadline: Instant) -> Result<Vec<u8>, Stop> {
    let out = stranger.connection.wire.output();
    out.extend_from_slice(b"+ ");
    out.extend_from_slice(challenge.as_bytes());
    out.extend_from_slice(b"\r\n");
    stranger.connection.expect_line();
    match stranger.next(deadline).await? {
        Event::Line(line) => Ok(line),
        Event::Bad(bad) if !bad.must_close() => Err(Refusal::SaslMalformed.into()),
        _ => Err(Farewell::OutOfStep.into()),
    }
}

/// Waits as long as failed passwords have earned.
async fn wait_for_attempt(stranger: &Stranger, user: &str) -> Result<(), Stop> {
    match stranger.door.rooms.guard.attempt(stranger.peer, user) {
        Attempt::After(delay) => {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            Ok(())
        }
        Attempt::Blocked => {
            stranger.door.counts.logins_refused.increment();
            tracing::info!(user, "login refused: too many failures");
            Err(Refusal::Blocked.into())
        }
    }
}

fn refuse(stranger: &Stranger, error: AuthenticationError, user: &str, mechanism: &str) -> Stop {
    stranger.door.counts.logins_refused.increment();
    tracing::info!(user, mechanism, %error, "login refused");
    match error {
        AuthenticationError::Refused => {
            stranger.door.rooms.guard.failed(stranger.peer, user);
            Refusal::AuthenticationFailed.into()
        }
        AuthenticationError::Busy => Refusal::TooManyLogins.into(),
        AuthenticationError::Malformed => Refusal::SaslMalformed.into(),
        AuthenticationError::Cancelled => Refusal::SaslCancelled.into(),
    }
}

async fn enter(
    stranger: &Stranger,
    who: Authenticated,
    user: &str,
    mechanism: &str,
) -> Result<Box<Person>, Stop> {
    let door = &stranger.door;
    door.rooms.guard.succeeded(stranger.peer, user);
    let place = door.sessions.enter(who.account(), stranger.settings.sessions_per_account_max);
    let place = place.ok_or(Refusal::TooManySessions)?;
    let account = door.rooms.store.account(who.account()).await?;
    door.counts.logins.increment();
    tracing::info!(account = %who.address(), mechanism, "logged in");
    Ok(Box::new(Person {
        door: Arc::clone(door),
        settings: Arc::clone(&stranger.settings),
        who,
        account,
        enabled: Enabled::default(),
        selected: None,
        _counted: door.counts.sessions.hold(),
        _place: place,
    }))
}

/// The name as failures are counted by it: in one case, and not longer than a name can be.
fn throttle_name(user: &str) -> String {
    user.trim().chars().take(NAME_CHARACTERS_MAX).flat_map(char::to_lowercase).collect()
}

/// As long as an address may be (RFC 5321 §4.5.3.1).
const NAME_CHARACTERS_MAX: usize = 320;
