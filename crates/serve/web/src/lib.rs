//! HTTP: a server for the operator's monitor (`GET /metrics`, `GET /healthz`, meant for a loopback listener), a server for
//! the world (by HTTPS: our MTA-STS policies, RFC 8461 §3.3), and a client that fetches what other domains publish.
//!
//! No message passes here. Stands on hyper alone: a framework would bring a router and extractors for what is one
//! `match` (RFC 9110, RFC 9112).

pub mod fetch;
mod pages;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use platform::guard::{Guard, Offence, Refusal};
use platform::listener::{Accepted, ConnectionNumbers, Listener};
use platform::metrics::Metrics;
use platform::tasks::{Shutdown, Tasks};
use tls::Acceptor;

/// What a request's line and header fields may take together; a monitor needs a few hundred octets.
pub const HEADER_OCTETS_MAX: usize = 16 * 1024;

/// Header fields in a request.
pub const HEADER_FIELDS_MAX: usize = 64;

/// The web door's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a request's header may take to arrive; a connection may idle so long between requests.
    pub header_timeout: Duration,
    /// How long a connection may last in all: a monitor that does not read its answer goes then.
    pub connection_timeout: Duration,
}

/// What is shown at a listener.
#[derive(Clone)]
pub enum Site {
    /// To the operator's monitor, in clear.
    Monitor(Metrics),
    /// To everybody, by TLS.
    Public(Public),
}

/// What everybody may see.
#[derive(Clone)]
pub struct Public {
    /// Lays TLS over connections.
    pub acceptor: Acceptor,
    /// The text of a domain's MTA-STS policy; nothing for domains that have none here.
    pub policy: PolicyText,
}

/// Gives the text of a domain's MTA-STS policy, by the domain's name in small letters.
pub type PolicyText = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a refused connection is told.
#[must_use]
pub fn refusal(_: Refusal) -> &'static [u8] {
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
}

/// Serves until `stop` or the shutdown of `tasks`.
pub async fn serve(
    listener: Listener,
    settings: Settings,
    site: Site,
    tasks: Tasks,
    guard: Guard,
    numbers: ConnectionNumbers,
    stop: Shutdown,
) {
    let watch = guard.clone();
    let door = move |accepted| converse(accepted, settings, site.clone(), watch.clone());
    listener.serve(tasks, guard, numbers, stop, door).await;
}

/// One connection's life.
async fn converse(accepted: Accepted, settings: Settings, site: Site, guard: Guard) {
    let Accepted { stream, number, peer, visit: _visit, shutdown, .. } = accepted;
    let stream = match &site {
        Site::Monitor(_) => stream,
        Site::Public(public) => match public.acceptor.accept(stream).await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(connection = number.0, %peer, %error, "HTTPS connection ended");
                if error.is_no_tls() {
                    guard.offended(peer.address(), Offence::Probe);
                }
                return;
            }
        },
    };
    let answer = service_fn(move |request| {
        let response = pages::answer(&request, &site);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let mut conversation = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.header_timeout)
            .max_buf_size(HEADER_OCTETS_MAX)
            .max_headers(HEADER_FIELDS_MAX)
            .serve_connection(TokioIo::new(stream), answer)
    );
    let lasting = async {
        tokio::select! {
            ended = conversation.as_mut() => return ended,
            () = shutdown.triggered() => {}
        }
        // An answer on its way is still sent.
        conversation.as_mut().graceful_shutdown();
        conversation.await
    };
    match tokio::time::timeout(settings.connection_timeout, lasting).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(connection = number.0, %peer, %error, "HTTP connection ended");
            if error.is_parse() {
                guard.offended(peer.address(), Offence::Abuse);
            }
        }
        Err(_) => tracing::debug!(connection = number.0, %peer, "HTTP connection lasted too long"),
    }
}

#[cfg(test)]
mod tests;
