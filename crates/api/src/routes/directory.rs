//! Whose log this is, and who reports to it.

use crate::state::State;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, routes};

#[routes]
#[get("/.well-known/medtrail.json")]
#[head("/.well-known/medtrail.json")]
pub(super) async fn trust_file(state: Data<State>, request: HttpRequest) -> HttpResponse {
    state.trust.answer(&request)
}

#[routes]
#[get("/v1/organisations")]
#[head("/v1/organisations")]
pub(super) async fn organisations(state: Data<State>, request: HttpRequest) -> HttpResponse {
    state.organisations.answer(&request)
}
