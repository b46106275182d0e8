//! One GET by HTTPS, for what other domains publish under names that their certificates must show (RFC 8461 §3.3): no
//! redirections, no caches, bounded in octets and in time.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use platform::egress::{self, Egress};
use tls::{Connector, TlsError};

use crate::{HEADER_FIELDS_MAX, HEADER_OCTETS_MAX};

/// How long everything may take together (RFC 8461 §3.3: one minute).
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// What to get, from where.
#[derive(Clone, Debug)]
pub struct Get {
    /// The server's name.
    pub host: String,
    /// The path.
    pub path: &'static str,
    /// The only media type that is taken.
    pub media_type: &'static str,
    /// Octets that are taken at the most.
    pub octets_max: usize,
    /// Where the server answers.
    pub addresses: Vec<SocketAddr>,
    /// How to connect.
    pub egress: Egress,
    /// Whom to trust.
    pub connector: Connector,
}

/// Why there is nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answers.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// TLS failed, or the certificate is not right.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What came is no HTTP, or broke off.
    #[error("the server's answer cannot be read: {0}")]
    Http(#[from] hyper::Error),
    /// It is not there, or somewhere else.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// It is of another kind.
    #[error("the server sends {0:?}")]
    MediaType(String),
    /// It is larger than it may be.
    #[error("the answer is too large")]
    TooLarge,
    /// It took longer than [`TIME_MAX`].
    #[error("the server is too slow")]
    Timeout,
}

/// Gets it.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(get: Get) -> Result<Vec<u8>, FetchError> {
    match tokio::time::timeout(TIME_MAX, fetch_now(get)).await {
        Ok(fetched) => fetched,
        Err(_) => Err(FetchError::Timeout),
    }
}

async fn fetch_now(get: Get) -> Result<Vec<u8>, FetchError> {
    let (stream, address) = egress::connect(&get.addresses, get.egress).await.map_err(FetchError::Connect)?;
    let (stream, _) = get.connector.connect(stream, &get.host).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_OCTETS_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let response = sender.send_request(request(&get, address)?).await?;
        read(response, &get).await
    });
    tokio::select! {
        biased;
        answer = answer.as_mut() => return answer,
        // What had come by then is still read.
        ended = connection.as_mut() => ended?,
    }
    answer.await
}

fn request(get: &Get, address: SocketAddr) -> Result<Request<Empty<Bytes>>, FetchError> {
    let host = match address.port() {
        443 => get.host.clone(),
        port => format!("{}:{port}", get.host),
    };
    Request::get(get.path)
        .header(HOST, host)
        .header(ACCEPT, get.media_type)
        .header(USER_AGENT, "mailstead")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| FetchError::Connect(io::Error::other(error)))
}

async fn read(response: Response<Incoming>, get: &Get) -> Result<Vec<u8>, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let kind = response.headers().get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
    let kind = kind.unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(get.media_type) {
        return Err(FetchError::MediaType(kind.chars().take(100).collect()));
    }
    let mut body = response.into_body();
    let announced = hyper::body::Body::size_hint(&body).lower();
    if announced > get.octets_max as u64 {
        return Err(FetchError::TooLarge);
    }
    let mut octets = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if octets.len() + piece.len() > get.octets_max {
            return Err(FetchError::TooLarge);
        }
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}
