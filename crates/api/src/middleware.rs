//! What happens to every request, whatever its path.

use crate::client::Client;
use crate::problem::{self, Problem};
use crate::routes::fhir;
use crate::state::State;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Counts, times and names the request, and dresses its answer.
pub(crate) async fn around(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let state = request.app_data::<Data<State>>().cloned().expect("every app has its state");
    let _under_way = state.under_way.token();
    let id = request_id();
    let method = request.method().clone();
    let is_fhir = request.path().starts_with("/fhir");
    let mut response = match admit(&request, &state) {
        Err(problem) if is_fhir => request.into_response(fhir::outcome(&problem)),
        Err(problem) => request.into_response(problem.error_response()),
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
    };
    if is_fhir {
        response = in_fhir(response);
    }
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

/// Reports are not counted here: the queue in front of the writer limits them, and an organisation
/// with one address sends many. Mirrors read all tiles, and supervisors must be answered.
fn admit(request: &ServiceRequest, state: &State) -> Result<(), Problem> {
    match is_free(request.method(), request.path(), request.query_string()) {
        true => Ok(()),
        false => state.rates.ask(Client::of(request.request())),
    }
}

/// With a query, a FHIR report may be a check, which nothing in front of a writer limits; a search
/// is none at all.
fn is_free(method: &Method, path: &str, query: &str) -> bool {
    let is_fhir_report = method == Method::POST
        && query.is_empty()
        && matches!(path, "/fhir" | "/fhir/" | "/fhir/AuditEvent" | "/fhir/AuditEvent/");
    let is_report = method == Method::POST && path == "/v1/reports";
    let is_supervised = matches!(path, "/healthz" | "/readyz");
    is_fhir_report || is_report || is_supervised || path.starts_with("/log/")
}

/// Clients of FHIR read refusals as OperationOutcome (FHIR R4, section 3.1.0.1.5).
fn in_fhir(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let refused = response.response().error().and_then(|error| error.as_error::<Problem>());
    match refused.map(fhir::outcome) {
        Some(outcome) => response.into_response(outcome),
        None => response,
    }
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

/// What nothing on the operator's port has taken.
pub(crate) async fn nothing() -> Result<HttpResponse, Problem> {
    Err(Problem::new(&problem::NOT_FOUND, "there is nothing at this path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_mirrors_and_supervisors_are_free_and_nothing_that_looks_like_them() {
        for path in ["/v1/reports", "/fhir", "/fhir/", "/fhir/AuditEvent", "/fhir/AuditEvent/"] {
            assert!(is_free(&Method::POST, path, ""), "{path}");
            assert!(!is_free(&Method::GET, path, ""), "{path}");
        }
        for path in ["/healthz", "/readyz", "/log/checkpoint", "/log/tile/0/000"] {
            assert!(is_free(&Method::GET, path, ""), "{path}");
        }
        for (path, query) in [
            ("/fhir/AuditEvent/_search", ""),
            ("/fhir/AuditEvent", "check=true"),
            ("/fhir/AuditEvent", "che%63k=true"),
            ("/fhirish", ""),
            ("/v1/session", ""),
        ] {
            assert!(!is_free(&Method::POST, path, query), "{path}?{query}");
        }
    }
}
