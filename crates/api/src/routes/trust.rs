//! Whose log this is, and who reports to it.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get};
use medtrail_ledger::entry::details_hash;
use medtrail_ledger::proof::spell;
use medtrail_oracle::service::Service;

/// The trust file: a verifier keeps it, and need not trust this answer twice.
#[get("/.well-known/medtrail.json")]
pub(super) async fn file(request: HttpRequest, service: Data<Service>) -> HttpResponse {
    let body = spell(service.trust());
    let tag = format!("\"{}\"", details_hash(&body));
    let seen = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if seen == Some(tag.as_str()) {
        return HttpResponse::NotModified().insert_header((ETAG, tag)).finish();
    }
    HttpResponse::Ok()
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "public, max-age=60"))
        .content_type("application/json")
        .body(body)
}

#[get("/v1/organisations")]
pub(super) async fn organisations(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "organisations": service.trust().organisations }))
}
