//! What happens to every request, whatever its path.

use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts, times and names the request, and dresses its answer.
pub(crate) async fn around(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let begun = Instant::now();
    let state = request.app_data::<Data<State>>().cloned().expect("every app has its state");
    let _under_way = state.under_way.token();
    let id = request_id();
    let method = request.method().clone();
    let mut response = next.call(request).await?;
    // The pattern and never the path: an index or a tile number is nobody's label.
    let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
    let status = response.status().as_u16();
    let took = begun.elapsed();
    tracing::debug!(%id, %method, route, status, took_us = took.as_micros() as u64, "answered");
    state.metrics.answered(&method, route, status, took);
    if state.stopping.is_cancelled() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(X_REQUEST_ID, id);
    }
    dress(headers);
    Ok(response)
}

/// Headers of every answer. A path that is meant to be cached, or to show a page, has said so.
fn dress(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let nothing = "default-src 'none'; frame-ancestors 'none'";
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(nothing));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Unique within a process, and with high probability across them. Ours alone: an id a caller
/// chose could forge lines of our own log.
fn request_id() -> String {
    static PROCESS: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(0u8) as u32);
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("{:08x}{:08x}", *PROCESS, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// What no route has taken: no such path, or no such method of it.
pub(crate) async fn unrouted(request: HttpRequest) -> Result<HttpResponse, Problem> {
    use actix_web::ResponseError;
    let Some(route) = request.match_pattern() else {
        return Err(Problem::new(&problem::NOT_FOUND, "there is nothing at this path"));
    };
    let allowed = if route == "/v1/reports" { "POST" } else { "GET, HEAD" };
    if allowed.split(", ").any(|method| method == request.method().as_str()) {
        return Err(Problem::new(&problem::NOT_FOUND, "there is nothing at this path"));
    }
    let refused = format!("{} is not taken here, {allowed} is", short(request.method()));
    let mut response = Problem::new(&problem::METHOD_NOT_ALLOWED, refused).error_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    Ok(response)
}

fn short(method: &Method) -> &str {
    method.as_str().get(..16).unwrap_or(method.as_str())
}
