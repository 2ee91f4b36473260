//! Whose log this is, and who reports to it.

use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, routes};

/// The trust file: a verifier keeps it, and need not trust this answer twice.
#[routes]
#[get("/.well-known/medtrail.json")]
#[head("/.well-known/medtrail.json")]
pub(super) async fn file(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.trust.answer(&request)
}

#[routes]
#[get("/v1/organisations")]
#[head("/v1/organisations")]
pub(super) async fn organisations(request: HttpRequest, state: Data<State>) -> HttpResponse {
    state.organisations.answer(&request)
}
