//! `/`: what this is, for somebody who opens it in a browser.

use crate::state::State;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpResponse, routes};

const PAGE: &str = include_str!("home.html");

#[routes]
#[get("/")]
#[head("/")]
pub(super) async fn page(state: Data<State>) -> HttpResponse {
    let trust = state.service.trust();
    let page = PAGE
        .replace("{origin}", &escape(&trust.origin))
        .replace("{operator}", &escape(&trust.operator.name));
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .content_type("text/html; charset=utf-8")
        .body(page)
}

/// Names come from the operator's own configuration; they are text here all the same.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
