//! Which path answers what.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

use crate::{Public, Site};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The exposition format that [`Metrics::render`] writes.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Where a domain's MTA-STS policy lies (RFC 8461 §3.3).
const STS_PATH: &str = "/.well-known/mta-sts.txt";

/// Answers a request; its body is not looked at.
pub(crate) fn answer<B>(request: &Request<B>, site: &Site) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let found = match (site, path) {
        (Site::Monitor(metrics), "/metrics") => Some((PROMETHEUS, metrics.render())),
        (Site::Monitor(_), "/healthz") => Some((PLAIN, "ok\n".to_owned())),
        (Site::Public(public), STS_PATH) => policy(request, public).map(|text| (PLAIN, text)),
        _ => None,
    };
    match (found, request.method(), site) {
        (Some((kind, text)), &Method::GET | &Method::HEAD, _) => page(StatusCode::OK, kind, text),
        (Some(_), ..) => {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET is answered here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        (None, _, Site::Monitor(_)) => {
            page(StatusCode::NOT_FOUND, PLAIN, "there is nothing here; try /metrics or /healthz\n")
        }
        (None, _, Site::Public(_)) => page(StatusCode::NOT_FOUND, PLAIN, "there is nothing here\n"),
    }
}

/// The policy of the domain that the client asks for by the server's name, `mta-sts.DOMAIN`.
fn policy<B>(request: &Request<B>, public: &Public) -> Option<String> {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or(named)?.to_ascii_lowercase();
    let host = host.split_once(':').map_or(host.as_str(), |(host, _)| host);
    (public.policy)(host.strip_prefix("mta-sts.")?)
}

fn page(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
