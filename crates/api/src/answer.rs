//! Shapes of answers that several paths share.

use crate::problem::Problem;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use medtrail_ledger::entry::details_hash;
use serde::Serialize;

/// Runs what blocks off the async threads.
pub(crate) async fn blocking<T: Send + 'static, E: Into<Problem> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    web::block(work).await?.map_err(Into::into)
}

/// An answer in JSON.
pub(crate) fn json<T: Serialize>(body: &T) -> HttpResponse {
    document(serde_json::to_vec(body).expect("our answers are JSON"))
}

/// An answer in JSON about something that was made.
pub(crate) fn created<T: Serialize>(body: &T) -> HttpResponse {
    let mut answer = json(body);
    *answer.status_mut() = StatusCode::CREATED;
    answer
}

/// A document that is JSON already.
pub(crate) fn document(body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(body.into())
}

/// A public document, with its entity tag.
#[derive(Debug)]
pub(crate) struct Document {
    bytes: Bytes,
    etag: String,
    cache_control: String,
}

impl Document {
    pub(crate) fn new(bytes: Vec<u8>, cache_s: u32) -> Self {
        let etag = format!("\"{:x}\"", details_hash(&bytes));
        Self { bytes: bytes.into(), etag, cache_control: format!("public, max-age={cache_s}") }
    }

    /// The document, or 304 if the caller has it (RFC 9110 section 13.1.2).
    pub(crate) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
        let mut answer = match is_known {
            true => HttpResponse::NotModified(),
            false => HttpResponse::Ok(),
        };
        answer.insert_header((ETAG, self.etag.as_str()));
        answer.insert_header((CACHE_CONTROL, self.cache_control.as_str()));
        if is_known {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, "application/json")).body(self.bytes.clone())
    }
}
