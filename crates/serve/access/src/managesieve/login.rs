//! AUTHENTICATE on ManageSieve's lines (RFC 5804 §2.1); who may enter is [`crate::login`]'s to say.

use std::sync::Arc;

use mail_types::Secret;
use managesieve::{BadCommand, Received, response};

use super::replies::{Ending, Farewell, Stop};
use super::session::Client;
use crate::login::{Admitted, Caller, LoginRefusal, Turn};

/// Lets somebody in. Gives the server's last word too, where the mechanism has one: it goes out with the OK.
pub(crate) async fn authenticate(
    client: &mut Client,
    mechanism: &str,
    initial_response: Option<Secret>,
) -> Result<(Box<Admitted>, Option<String>), Stop> {
    let door = Arc::clone(&client.door);
    let initial = initial_response.as_ref().map(|response| match response.reveal() {
        [] => b"=",
        octets => octets,
    });
    let (mut exchange, mut turn) = door.entrance.begin(caller(client), mechanism, initial).await?;
    let mut last = None;
    loop {
        match turn {
            Turn::Challenge(challenge) if exchange.is_proven() => {
                last = Some(challenge);
                turn = door.entrance.respond(caller(client), &mut exchange, b"").await?;
            }
            Turn::Challenge(challenge) => {
                let answer = answer_to(client, &challenge).await?;
                turn = door.entrance.respond(caller(client), &mut exchange, answer.reveal()).await?;
            }
            Turn::Admitted(admitted) => return Ok((admitted, last)),
        }
    }
}

/// Sends a challenge and waits for the string that answers it.
async fn answer_to(client: &mut Client, challenge: &str) -> Result<Secret, Stop> {
    response::write_challenge(client.connection.wire.output(), challenge);
    client.connection.expect_response();
    match client.next().await? {
        Received::Response(response) => Ok(response),
        Received::Bad(BadCommand::OutOfStep) => Err(Ending::Bye(Farewell::OutOfStep).into()),
        _ => Err(LoginRefusal::Malformed.into()),
    }
}

fn caller(client: &Client) -> Caller<'_> {
    Caller {
        peer: client.peer,
        channel: &client.channel,
        sessions_max: client.settings.sessions_per_account_max,
    }
}
