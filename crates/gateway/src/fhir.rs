//! ITI-20 as the custodian's software speaks it. An event is durable before it is answered 201.

use crate::intake::Refused;
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER,
};
use actix_web::web::{self, Bytes, Data, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures::StreamExt;
use futures::future::join_all;
use medtrail_fhir::bundle::{Answer, batch_response, read_batch};
use medtrail_fhir::capability::{Side, smart_configuration, statement};
use medtrail_fhir::event::{Event, Issue, Severity, read};
use medtrail_fhir::outcome::OperationOutcome;
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_fhir::report::reports;
use medtrail_ledger::custodian::{NewEvent, Taken};
use medtrail_ledger::entry::event_id;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const FHIR_JSON: &str = "application/fhir+json; charset=utf-8";
/// When what the statement says last changed.
const STATEMENT_DATE: &str = "2026-11-28";
/// How far ahead of this machine's clock an event may be recorded, in milliseconds: as far as the
/// log takes one.
pub(crate) const AHEAD_MS_MAX: u64 = 5 * 60 * 1000;
/// How long a body may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(20);
/// Seconds after which a sender that was refused for want of room may come back.
const ROOM_AFTER_S: u32 = 30;

pub(crate) fn routes(config: &mut ServiceConfig) {
    for path in ["/fhir/AuditEvent", "/fhir/AuditEvent/"] {
        config.route(path, web::post().to(create));
    }
    for path in ["/fhir/Provenance", "/fhir/Provenance/"] {
        config.route(path, web::post().to(create_provenance));
    }
    for path in ["/fhir", "/fhir/"] {
        config.route(path, web::post().to(batch));
    }
    config.route("/fhir/metadata", web::get().to(metadata));
    config.route("/fhir/.well-known/smart-configuration", web::get().to(smart));
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    check: bool,
}

#[derive(Serialize)]
struct Checked {
    sentence: String,
    facts: Facts,
    issues: Vec<Issue>,
}

/// A refusal: status, FHIR's issue type, words.
type Refusal = (StatusCode, &'static str, String);

/// What is taken.
#[derive(Clone, Copy)]
enum Resource {
    AuditEvent,
    Provenance,
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Self::AuditEvent => "AuditEvent",
            Self::Provenance => "Provenance",
        }
    }

    fn read(self, bytes: &[u8]) -> Result<Event, Vec<Issue>> {
        match self {
            Self::AuditEvent => read(bytes),
            Self::Provenance => medtrail_fhir::provenance::read(bytes),
        }
    }
}

async fn create(
    request: HttpRequest,
    payload: Payload,
    asked: Option<Query<Asked>>,
    state: Data<State>,
) -> HttpResponse {
    create_one(Resource::AuditEvent, request, payload, asked, state).await
}

async fn create_provenance(
    request: HttpRequest,
    payload: Payload,
    asked: Option<Query<Asked>>,
    state: Data<State>,
) -> HttpResponse {
    create_one(Resource::Provenance, request, payload, asked, state).await
}

async fn create_one(
    resource: Resource,
    request: HttpRequest,
    payload: Payload,
    asked: Option<Query<Asked>>,
    state: Data<State>,
) -> HttpResponse {
    let Some(asked) = asked else {
        let text = "check is true or false.".to_owned();
        return outcome((StatusCode::BAD_REQUEST, "invalid", text));
    };
    let body = match body(&request, payload, &state).await {
        Ok(body) => body,
        Err(refusal) => return outcome(refusal),
    };
    let bytes = trimmed(&body);
    let event = match read_ours(resource, bytes, state.now_ms()) {
        Ok(event) => event,
        Err(issues) => return refused(&issues),
    };
    if asked.check {
        return check(&state, &event, bytes);
    }
    let number = match take(resource, &state, &event, bytes).await {
        Ok(number) => number,
        Err(refusal) => return outcome(refusal),
    };
    let mut answer = HttpResponse::Created();
    answer.insert_header((LOCATION, location(resource, number))).insert_header((ETAG, "W/\"1\""));
    if prefers(&request, "return=minimal") {
        return answer.finish();
    }
    fhir(&mut answer);
    if prefers(&request, "return=OperationOutcome") {
        return answer.body(OperationOutcome::of(&event.flags).to_json());
    }
    answer.body(body)
}

async fn batch(request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let body = match body(&request, payload, &state).await {
        Ok(body) => body,
        Err(refusal) => return outcome(refusal),
    };
    let entries = match read_batch(&body) {
        Ok(entries) => entries,
        Err(issues) => return refused(&issues),
    };
    let answers = entries.into_iter().map(|entry| one_of_many(&state, entry));
    let answers = join_all(answers).await;
    fhir(&mut HttpResponse::Ok()).body(batch_response(&answers))
}

async fn one_of_many(state: &State, entry: Result<&[u8], Vec<Issue>>) -> Answer {
    let now_ms = state.now_ms();
    let read = entry.and_then(|bytes| {
        read_ours(Resource::AuditEvent, bytes, now_ms).map(|event| (event, bytes))
    });
    let (event, bytes) = match read {
        Ok(read) => read,
        Err(issues) => {
            let outcome = Some(OperationOutcome::of(&issues));
            return Answer { status: status_of(&issues).as_u16(), location: None, outcome };
        }
    };
    match take(Resource::AuditEvent, state, &event, bytes).await {
        Ok(number) => {
            let outcome = (!event.flags.is_empty()).then(|| OperationOutcome::of(&event.flags));
            Answer { status: 201, location: Some(location(Resource::AuditEvent, number)), outcome }
        }
        Err((status, code, text)) => {
            let outcome = Some(OperationOutcome::one(Severity::Error, code, text));
            Answer { status: status.as_u16(), location: None, outcome }
        }
    }
}

/// Where an event waits: its number in the spool.
fn location(resource: Resource, number: u64) -> String {
    format!("/fhir/{}/{number}", resource.name())
}

async fn take(
    resource: Resource,
    state: &State,
    event: &Event,
    bytes: &[u8],
) -> Result<u64, Refusal> {
    let id = event.id.as_ref().map_or(bytes, String::as_bytes);
    let new = NewEvent {
        id: event_id(state.enrolment.organisation, id),
        received_ms: state.now_ms(),
        bytes: bytes.to_vec().into(),
    };
    match state.intake.take(new).await {
        Ok(Taken::New(number) | Taken::Known(number)) => Ok(number),
        Ok(Taken::Conflict(number)) => {
            let text = format!(
                "Another event has this id: {}. Send this one with an id of its own.",
                location(resource, number)
            );
            Err((StatusCode::CONFLICT, "conflict", text))
        }
        Err(Refused::Full(told)) => {
            let text = format!("{told}. Nothing was taken; send it again later.");
            Err((StatusCode::INSUFFICIENT_STORAGE, "transient", text))
        }
        Err(Refused::Unavailable(told)) => {
            let text = format!("{told}. Send it again: the same event is never taken twice.");
            Err((StatusCode::SERVICE_UNAVAILABLE, "transient", text))
        }
    }
}

/// What is no AuditEvent alone is refused here: the log would refuse it for good. So is what is
/// recorded in the future: its sender can still mend its clock, while here it would wait for it.
fn read_ours(resource: Resource, bytes: &[u8], now_ms: u64) -> Result<Event, Vec<Issue>> {
    #[derive(Deserialize)]
    struct Versioned {
        version: Option<String>,
    }
    let event = resource.read(bytes)?;
    let error = |path: &str, rule, text: String| {
        Err(vec![Issue { path: path.to_owned(), rule, text, severity: Severity::Error }])
    };
    let ahead_ms = event.recorded_ms.saturating_sub(now_ms);
    if ahead_ms > AHEAD_MS_MAX {
        let text = format!(
            "{} s ahead of the gateway's clock; at most {} are taken. Set both clocks, by NTP.",
            ahead_ms / 1000,
            AHEAD_MS_MAX / 1000
        );
        return error(&format!("{}.recorded", resource.name()), "clock.ahead", text);
    }
    let version = serde_json::from_slice::<Versioned>(bytes).ok().and_then(|read| read.version);
    if version.is_some_and(|version| version.starts_with("medtrail/")) {
        let text = "Documents of the log's own are made by the log. Leave version out.".to_owned();
        return error(&format!("{}.version", resource.name()), "r4.structure", text);
    }
    Ok(event)
}

/// What the patient would read. Nothing is kept.
fn check(state: &State, event: &Event, bytes: &[u8]) -> HttpResponse {
    let parts = reports(event, bytes, &state.reporter());
    let Some(part) = parts.first() else { return refused(&event.flags) };
    let names = |address| state.name_of(address);
    let facts = reading(&part.report, Some(&part.details), false, &names);
    let issues = event.flags.clone();
    HttpResponse::Ok().json(Checked { sentence: sentence(&facts), facts, issues })
}

async fn metadata(request: HttpRequest) -> HttpResponse {
    let base = format!("http://{}/fhir", request.connection_info().host());
    let told = statement(Side::Gateway, &base, env!("CARGO_PKG_VERSION"), STATEMENT_DATE);
    let mut answer = HttpResponse::Ok();
    fhir(answer.insert_header((CACHE_CONTROL, "no-cache"))).body(told.to_string())
}

async fn smart(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(smart_configuration(&state.enrolment.upstream))
}

/// Blanks around a JSON value are no part of it: left in, they would be hashed here and not by the
/// log.
fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

async fn body(
    request: &HttpRequest,
    mut payload: Payload,
    state: &State,
) -> Result<Bytes, Refusal> {
    require_json(request)?;
    let most = state.options.body_bytes_max;
    let too_long = || {
        let text = format!("At most {most} bytes are taken at once.");
        (StatusCode::PAYLOAD_TOO_LARGE, "too-long", text)
    };
    let reading = async {
        let mut body = web::BytesMut::new();
        while let Some(piece) = payload.next().await {
            let broken = |error| (StatusCode::BAD_REQUEST, "invalid", format!("{error}"));
            let piece = piece.map_err(broken)?;
            if body.len() + piece.len() > most {
                return Err(too_long());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    let slow =
        |_| (StatusCode::REQUEST_TIMEOUT, "timeout", "The body did not come in time.".to_owned());
    tokio::time::timeout(BODY_TIME_MAX, reading).await.map_err(slow)?
}

fn require_json(request: &HttpRequest) -> Result<(), Refusal> {
    let text = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_ascii_lowercase()
    };
    let is_packed = !matches!(text(CONTENT_ENCODING).as_str(), "" | "identity");
    let kind = text(CONTENT_TYPE);
    let mut parts = kind.split(';').map(str::trim);
    let is_json =
        matches!(parts.next(), Some("application/fhir+json" | "application/json" | "text/json"));
    let is_utf8 = |part: &str| match part.strip_prefix("charset=") {
        Some(charset) => charset.trim_matches('"') == "utf-8",
        None => true,
    };
    if is_packed || !is_json || !parts.all(is_utf8) {
        let told = "Send application/fhir+json in UTF-8, not packed.".to_owned();
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", told));
    }
    let accept = text(ACCEPT);
    let takes = |range: &str| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        matches!(essence, "" | "*/*" | "application/*") || essence.ends_with("json")
    };
    match accept.split(',').any(takes) {
        true => Ok(()),
        false => {
            let told = "Only JSON is spoken here.".to_owned();
            Err((StatusCode::NOT_ACCEPTABLE, "not-supported", told))
        }
    }
}

fn prefers(request: &HttpRequest, what: &str) -> bool {
    let given = request.headers().get_all("prefer").filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split([',', ';'])).any(|one| one.trim().eq_ignore_ascii_case(what))
}

/// 400 for what is no JSON, 413 for too much of it, else 422 (FHIR R4, 3.1.0.8.1).
fn status_of(issues: &[Issue]) -> StatusCode {
    match issues.first().map_or("", |issue| issue.rule) {
        "r4.json" => StatusCode::BAD_REQUEST,
        rule if rule.starts_with("limit.") => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn refused(issues: &[Issue]) -> HttpResponse {
    fhir(&mut HttpResponse::build(status_of(issues))).body(OperationOutcome::of(issues).to_json())
}

fn outcome((status, code, text): Refusal) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    if code == "transient" {
        answer.insert_header((RETRY_AFTER, ROOM_AFTER_S.to_string()));
    }
    fhir(&mut answer).body(OperationOutcome::one(Severity::Error, code, text).to_json())
}

fn fhir(answer: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    answer.insert_header((CONTENT_TYPE, FHIR_JSON))
}
