//! The admin socket of a running server: one request a line, one answer a line, for whoever may open the file.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use platform::tasks::{Shutdown, Tasks};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Answer, Request};
use crate::house::House;
use crate::settings::Settings;

/// Longest request: a bulk of ten thousand accounts fits, and the longest script.
const REQUEST_OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the socket is.
pub(super) fn path(settings: &Settings) -> PathBuf {
    settings.path("data").join("run/admin.sock")
}

/// The bound socket.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds the socket; only the server's own user may open it. The data lock must be held: what lies there is stale.
    pub(crate) fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let path = path(settings);
        let folder = path.parent().unwrap_or(&path);
        let make = || -> std::io::Result<UnixListener> {
            std::fs::create_dir_all(folder)?;
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
            if path.exists() {
                std::fs::remove_file(&path)?;
            }
            UnixListener::bind(&path)
        };
        let listener = make().with_context(|| format!("cannot make the admin socket {}", path.display()))?;
        Ok(Self { listener, path })
    }

    /// Answers until told to stop.
    pub(crate) async fn serve(self, house: House, tasks: Tasks, stop: Shutdown) {
        loop {
            // Neither arm loses anything when cancelled: a connection not yet accepted waits in the kernel.
            tokio::select! {
                () = stop.triggered() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let house = house.clone();
                        tasks.spawn("admin", async move { answer(stream, &house).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the admin socket failed to accept");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the admin socket could not be removed");
        }
    }
}

async fn answer(stream: UnixStream, house: &House) {
    let (reading, mut writing) = stream.into_split();
    let mut line = Vec::new();
    let mut limited = BufReader::new(reading.take(REQUEST_OCTETS_MAX));
    let read = tokio::time::timeout(REQUEST_TIMEOUT, limited.read_until(b'\n', &mut line)).await;
    let answer = match read {
        Ok(Ok(_)) => match serde_json::from_slice::<Request>(&line) {
            Ok(request) => Box::pin(super::execute(house, request)).await,
            Err(error) => Answer::Failed {
                why: format!(
                    "this server does not understand the request ({error}); is the command of another version?"
                ),
            },
        },
        Ok(Err(_)) | Err(_) => return,
    };
    let mut text = serde_json::to_vec(&answer).unwrap_or_default();
    text.push(b'\n');
    if writing.write_all(&text).await.is_err() {
        tracing::debug!("an admin command did not wait for its answer");
    }
}
