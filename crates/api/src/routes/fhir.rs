//! `/fhir`: HL7 FHIR R4, for software that speaks nothing else. An IHE Audit Record Repository:
//! ITI-20 in (`take`), ITI-81 out (`find`); Provenance in (`take`) and out (`provenance`). Permissions
//! out (`consent`), and a person's accounting of disclosures (`accounting`).
//!
//! Refusals are OperationOutcomes: `middleware` rewrites every problem of these paths by
//! [`outcome`].

pub(super) mod accounting;
pub(super) mod consent;
pub(super) mod find;
pub(super) mod provenance;
pub(super) mod take;

use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, routes};
use medtrail_fhir::capability::{Side, smart_configuration, statement};
use medtrail_fhir::event::{Issue, Severity};
use medtrail_fhir::outcome::OperationOutcome;
use medtrail_fhir::search::pairs;
use std::fmt::Display;

/// The media type of everything here.
const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
/// When what the statement says last changed.
const STATEMENT_DATE: &str = "2026-11-28";

/// A refusal as FHIR's clients read it.
pub(crate) fn outcome(problem: &Problem) -> HttpResponse {
    let code = match problem.kind.status {
        StatusCode::UNAUTHORIZED => "login",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_ACCEPTABLE => "not-supported",
        StatusCode::CONFLICT => "conflict",
        StatusCode::PAYLOAD_TOO_LARGE => "too-long",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::TOO_MANY_REQUESTS => "throttled",
        StatusCode::SERVICE_UNAVAILABLE => "transient",
        StatusCode::INTERNAL_SERVER_ERROR => "exception",
        _ => "invalid",
    };
    let text = format!("{} {}", problem.detail(), problem.advice());
    let outcome = OperationOutcome::one(Severity::Error, code, text);
    let mut answer = HttpResponse::build(problem.kind.status);
    problem.dress(&mut answer);
    fhir(&mut answer).body(outcome.to_json())
}

/// The refusal of bytes that break rules, each by its element's path.
fn refused(issues: &[Issue]) -> HttpResponse {
    fhir(&mut HttpResponse::build(status_of(issues))).body(OperationOutcome::of(issues).to_json())
}

/// 400 for what is no JSON, 413 for too much of it, else 422 (FHIR R4, 3.1.0.8.1).
fn status_of(issues: &[Issue]) -> StatusCode {
    match issues.first().map_or("", |issue| issue.rule) {
        "r4.json" | "search.value" | "search.unknown" => StatusCode::BAD_REQUEST,
        rule if rule.starts_with("limit.") => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn fhir(answer: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    answer.insert_header((CONTENT_TYPE, FHIR_JSON))
}

/// Refuses who cannot read JSON. Clients ask for it by many names: `application/fhir+json`,
/// `application/json`, `fhir+json`, `*/*`.
fn require_json_is_read(request: &HttpRequest) -> Result<(), Problem> {
    let Some(accept) = request.headers().get(ACCEPT) else { return Ok(()) };
    let accept = accept.to_str().unwrap_or_default().to_ascii_lowercase();
    let takes = |range: &str| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        essence.is_empty()
            || matches!(essence, "*/*" | "application/*" | "fhir+json" | "json")
            || essence.ends_with("json")
    };
    match accept.split(',').any(takes) {
        true => Ok(()),
        false => Err(Problem::new(&problem::NOT_ACCEPTABLE, "only JSON is spoken here")),
    }
}

/// What a client prefers of the answer (`Prefer: return=…`, `handling=…`; RFC 7240).
fn prefers(request: &HttpRequest, what: &str) -> bool {
    let given = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split([',', ';'])).any(|one| one.trim().eq_ignore_ascii_case(what))
}

/// The parameters of a search by POST: those of the address, then those of the form.
async fn posted(
    request: &HttpRequest,
    payload: Payload,
    state: &State,
) -> Result<Vec<(String, String)>, Problem> {
    let body = state.bodies.small(request, payload).await?;
    let form = std::str::from_utf8(&body)
        .map_err(|_| Problem::new(&problem::MALFORMED_REQUEST, "a form is UTF-8"))?;
    Ok([pairs(request.query_string()), pairs(form)].concat())
}

/// A page of a search, written.
fn written<T, E: Display>(page: Result<T, E>) -> Result<T, Problem> {
    page.map_err(|error| {
        tracing::error!("a page of a search could not be written: {error}");
        Problem::new(&problem::INTERNAL, "the answer could not be written")
    })
}

/// What this endpoint can do.
#[utoipa::path(get, path = "/fhir/metadata", operation_id = "fhirMetadata", tag = "fhir",
    responses((status = 200, description = "A CapabilityStatement",
        content_type = "application/fhir+json")))]
#[routes]
#[get("/fhir/metadata")]
#[head("/fhir/metadata")]
pub(super) async fn metadata(
    request: HttpRequest,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    require_json_is_read(&request)?;
    let base = format!("{}/fhir", state.site.url);
    let version = env!("CARGO_PKG_VERSION");
    let statement = statement(Side::Repository, &base, version, STATEMENT_DATE);
    Ok(fhir(&mut HttpResponse::Ok())
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(statement.to_string()))
}

/// How to sign in, for clients that look for OAuth.
#[utoipa::path(get, path = "/fhir/.well-known/smart-configuration", operation_id = "fhirSmart",
    tag = "fhir", responses((status = 200, description = "A SMART configuration",
        content_type = "application/json")))]
#[routes]
#[get("/fhir/.well-known/smart-configuration")]
#[head("/fhir/.well-known/smart-configuration")]
pub(super) async fn smart(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(smart_configuration(&state.site.url).to_string())
}
