//! Which path answers what.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use platform::metrics::Metrics;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The exposition format that [`Metrics::render`] writes.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers a request; its body is not looked at.
pub(crate) fn answer<B>(request: &Request<B>, metrics: &Metrics) -> Response<Full<Bytes>> {
    match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => page(StatusCode::OK, PROMETHEUS, metrics.render()),
        ("/healthz", &Method::GET | &Method::HEAD) => page(StatusCode::OK, PLAIN, "ok\n"),
        ("/metrics" | "/healthz", _) => {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET is answered here\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => page(StatusCode::NOT_FOUND, PLAIN, "there is nothing here; try /metrics or /healthz\n"),
    }
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
