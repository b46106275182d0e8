//! One request by HTTPS to a server whose certificate must show its name: a GET of what other domains publish (RFC 8461
//! §3.3), a POST of what they want to be told (RFC 8460 §5.4). No redirections, no caches, bounded in octets and in time.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use platform::egress::{self, Egress};
use tls::{Connector, TlsError};

use crate::{HEADER_FIELDS_MAX, HEADER_OCTETS_MAX};

/// How long everything may take together (RFC 8461 §3.3: one minute).
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// Whom to ask.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The server's name.
    pub host: String,
    /// Where it answers.
    pub addresses: Vec<SocketAddr>,
    /// How to connect.
    pub egress: Egress,
    /// Whom to trust.
    pub connector: Connector,
}

/// What to get.
#[derive(Clone, Debug)]
pub struct Get {
    /// From whom.
    pub origin: Origin,
    /// The path.
    pub path: &'static str,
    /// The only media type that is taken.
    pub media_type: &'static str,
    /// Octets that are taken at the most.
    pub octets_max: usize,
}

/// What to post.
#[derive(Clone, Debug)]
pub struct Post {
    /// To whom.
    pub origin: Origin,
    /// Path and query.
    pub target: String,
    /// What it is.
    pub media_type: &'static str,
    /// It.
    pub octets: Vec<u8>,
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
    /// What is asked cannot stand in a request.
    #[error("no request: {0}")]
    Request(#[source] hyper::http::Error),
}

/// Gets it.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(get: Get) -> Result<Vec<u8>, FetchError> {
    let asked = Request::get(get.path).header(ACCEPT, get.media_type).body(Empty::<Bytes>::new());
    exchange(&get.origin, asked.map_err(FetchError::Request)?, async |response| read(response, &get).await)
        .await
}

/// Posts it. Any status of success will do; what else the server says is not read.
///
/// # Errors
/// [`FetchError`].
pub async fn post(post: Post) -> Result<(), FetchError> {
    let told = Request::post(&post.target).header(CONTENT_TYPE, post.media_type);
    let told = told.body(Full::from(post.octets)).map_err(FetchError::Request)?;
    let is_taken = async |response: Response<Incoming>| match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(FetchError::Status(status.as_u16())),
    };
    exchange(&post.origin, told, is_taken).await
}

/// One request and what its answer comes to, in time.
async fn exchange<B, T>(
    origin: &Origin,
    request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, FetchError>,
) -> Result<T, FetchError>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    match tokio::time::timeout(TIME_MAX, exchange_now(origin, request, read)).await {
        Ok(answer) => answer,
        Err(_) => Err(FetchError::Timeout),
    }
}

async fn exchange_now<B, T>(
    origin: &Origin,
    mut request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, FetchError>,
) -> Result<T, FetchError>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let connected = egress::connect(&origin.addresses, origin.egress).await;
    let (stream, address) = connected.map_err(FetchError::Connect)?;
    let (stream, _) = origin.connector.connect(stream, &origin.host).await?;
    introduce(&mut request, origin, address)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_OCTETS_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async { read(sender.send_request(request).await?).await });
    tokio::select! {
        biased;
        answer = answer.as_mut() => return answer,
        // What had come by then is still read.
        ended = connection.as_mut() => ended?,
    }
    answer.await
}

/// Says who is asked, who asks, and that nothing more will come.
fn introduce<B>(request: &mut Request<B>, origin: &Origin, address: SocketAddr) -> Result<(), FetchError> {
    let host = match address.port() {
        443 => origin.host.clone(),
        port => format!("{}:{port}", origin.host),
    };
    let host = HeaderValue::try_from(host).map_err(|error| FetchError::Request(error.into()))?;
    let fields = request.headers_mut();
    fields.insert(HOST, host);
    fields.insert(USER_AGENT, HeaderValue::from_static("mailstead"));
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(())
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
