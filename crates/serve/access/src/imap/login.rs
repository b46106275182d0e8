//! LOGIN and AUTHENTICATE on IMAP's lines (RFC 9051 §6.2.2, §6.2.3); who may enter is [`crate::login`]'s to say.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use directory::PasswordClaim;
use imap::command::{Authenticate, Login};
use tokio::time::Instant;

use super::connection::Event;
use super::person::{Enabled, Person};
use super::replies::{Farewell, Refusal, Stop};
use super::stranger::Stranger;
use crate::login::{Admitted, Caller, LoginRefusal, Turn};

/// LOGIN.
pub(crate) async fn login(stranger: &mut Stranger, credentials: Login) -> Result<Box<Person>, Stop> {
    let claim = PasswordClaim { user: credentials.user, password: credentials.password };
    let admitted = stranger.door.entrance.by_password(caller(stranger), claim).await?;
    Ok(enter(stranger, *admitted))
}

/// AUTHENTICATE.
pub(crate) async fn authenticate(
    stranger: &mut Stranger,
    exchange: Authenticate,
    deadline: Instant,
) -> Result<Box<Person>, Stop> {
    let door = Arc::clone(&stranger.door);
    let initial = exchange.initial_response.map(|response| match response.reveal() {
        [] => "=".to_owned(),
        octets => STANDARD.encode(octets),
    });
    let initial = initial.as_deref().map(str::as_bytes);
    let (mut exchange, mut turn) =
        door.entrance.begin(caller(stranger), &exchange.mechanism, initial).await?;
    loop {
        match turn {
            Turn::Challenge(challenge) => {
                let line = answer_to(stranger, &challenge, deadline).await?;
                turn = door.entrance.respond(caller(stranger), &mut exchange, &line).await?;
            }
            Turn::Admitted(admitted) => return Ok(enter(stranger, *admitted)),
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

fn caller(stranger: &Stranger) -> Caller<'_> {
    Caller {
        peer: stranger.peer,
        channel: &stranger.channel,
        sessions_max: stranger.settings.sessions_per_account_max,
    }
}

fn enter(stranger: &Stranger, Admitted { who, account, place }: Admitted) -> Box<Person> {
    let door = &stranger.door;
    Box::new(Person {
        door: Arc::clone(door),
        settings: Arc::clone(&stranger.settings),
        who,
        account,
        enabled: Enabled::default(),
        selected: None,
        annotations_told: None,
        _counted: door.counts.sessions.hold(),
        _place: place,
    })
}

impl From<LoginRefusal> for Stop {
    fn from(refusal: LoginRefusal) -> Self {
        Self::Refused(match refusal {
            LoginRefusal::PrivacyRequired => Refusal::PrivacyRequired,
            LoginRefusal::MechanismUnknown => Refusal::SaslUnknown,
            LoginRefusal::Failed => Refusal::AuthenticationFailed,
            LoginRefusal::Blocked => Refusal::Blocked,
            LoginRefusal::Busy => Refusal::TooManyLogins,
            LoginRefusal::Malformed => Refusal::SaslMalformed,
            LoginRefusal::Cancelled => Refusal::SaslCancelled,
            LoginRefusal::TooManySessions => Refusal::TooManySessions,
            LoginRefusal::Store(error) => Refusal::Store(error),
        })
    }
}
