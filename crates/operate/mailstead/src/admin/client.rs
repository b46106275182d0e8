//! Puts a request to the running server over `DATA/run/admin.sock`, or does it here where none runs.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;
use platform::clock::Clock;
use platform::metrics::Metrics;

use super::{Answer, Request};
use crate::house::House;
use crate::settings::Settings;

/// Asks whoever holds the data directory.
pub(crate) fn ask(config: &Path, request: Request) -> anyhow::Result<Answer> {
    let settings = Settings::load(config)?;
    let socket = super::socket::path(&settings);
    match UnixStream::connect(&socket) {
        Ok(stream) => {
            ask_server(stream, &request).with_context(|| format!("asking the server at {}", socket.display()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            act_alone(&settings, request)
        }
        Err(error) => Err(error).with_context(|| {
            format!(
                "cannot reach the server at {}; run this as the user it runs as, or as root",
                socket.display()
            )
        }),
    }
}

fn ask_server(mut stream: UnixStream, request: &Request) -> anyhow::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    anyhow::ensure!(!answer.is_empty(), "the server hung up without an answer; its log says why");
    Ok(serde_json::from_str(&answer)?)
}

fn act_alone(settings: &Settings, request: Request) -> anyhow::Result<Answer> {
    crate::rights::become_owner_of(&settings.path("data"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let house = House::open(settings, &Clock::system(), &Metrics::new())?;
        let answer = super::execute(&house, request).await;
        house.close().await?;
        Ok(answer)
    })
}
