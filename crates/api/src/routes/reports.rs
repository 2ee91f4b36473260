//! `POST /v1/reports`: one report, a signed batch of them, or one a line.
//!
//! Sending the same report again is always safe: its event id is its idempotency key, for ever and
//! not for a day. A header `Idempotency-Key` is not needed and changes nothing.

mod wire;

use crate::body::Format;
use crate::limits::INLINE_PARSE_BYTES_MAX;
use crate::problem::Problem;
use crate::state::State;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use medtrail_ledger::proof::spell;
use medtrail_ledger::receipt::Receipt;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::sequencer::PlaceError;
use serde::Serialize;
use wire::Sent;

/// Takes reports. One is answered 201 with its receipt, new or repeated. Many are answered 200
/// with an outcome each, in order: each stands or falls by itself.
#[post("/v1/reports")]
pub(super) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let format = Format::of(&request)?;
    let body = state.bodies.read(&request, payload).await?;
    let limits = state.limits;
    let sent = match body.len() <= INLINE_PARSE_BYTES_MAX {
        true => wire::parse(format, &body, &limits),
        false => web::block(move || wire::parse(format, &body, &limits)).await?,
    };
    match sent.inspect_err(|problem| state.metrics.reported(problem.kind.slug))? {
        Sent::One(submission) => one(&state, *submission).await,
        Sent::Batch(submissions) => {
            let outcomes = many(&state, submissions.into_iter().map(Ok).collect()).await;
            Ok(answer_batch(&outcomes))
        }
        Sent::Lines(lines) => {
            let (numbers, submissions): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
            Ok(answer_lines(&numbers, &many(&state, submissions).await))
        }
    }
}

async fn one(state: &State, submission: Submission) -> Result<HttpResponse, Problem> {
    let taken = state.service.report(submission).await;
    let receipt = counted(state, taken.map_err(|error| Problem::from(&error)))?;
    Ok(HttpResponse::Created()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((LOCATION, format!("/v1/entries/{}", receipt.index)))
        .body(spell(&receipt)))
}

/// Hands in all that could be read; what comes of them stands in the order they were sent in.
async fn many(
    state: &State,
    sent: Vec<Result<Submission, Problem>>,
) -> Vec<Result<Receipt, Problem>> {
    let mut submissions = Vec::with_capacity(sent.len());
    let places: Vec<Result<(), Problem>> =
        sent.into_iter().map(|one| one.map(|submission| submissions.push(submission))).collect();
    let mut taken = state.service.reports(submissions).await.into_iter();
    let stopped = || Err(ReportError::Place(PlaceError::Stopped));
    let mut outcome =
        || taken.next().unwrap_or_else(stopped).map_err(|error| Problem::from(&error));
    places.into_iter().map(|place| counted(state, place.and_then(|()| outcome()))).collect()
}

fn counted(state: &State, outcome: Result<Receipt, Problem>) -> Result<Receipt, Problem> {
    state.metrics.reported(outcome.as_ref().map_or_else(|problem| problem.kind.slug, |_| "taken"));
    outcome
}

/// What came of one of many reports: a receipt or a problem.
#[derive(Serialize)]
struct Outcome<'a> {
    /// Its number among the items of a batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<usize>,
    /// Its line in an NDJSON body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The status it would have had alone.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<&'a Receipt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
}

impl<'a> From<&'a Result<Receipt, Problem>> for Outcome<'a> {
    fn from(outcome: &'a Result<Receipt, Problem>) -> Self {
        let status = outcome.as_ref().map_or_else(|problem| problem.kind.status.as_u16(), |_| 201);
        let (receipt, problem) = (outcome.as_ref().ok(), outcome.as_ref().err());
        Self { item: None, line: None, status, receipt, problem }
    }
}

fn answer_batch(outcomes: &[Result<Receipt, Problem>]) -> HttpResponse {
    #[derive(Serialize)]
    struct Answer<'a> {
        outcomes: Vec<Outcome<'a>>,
    }
    let numbered = outcomes.iter().enumerate();
    let told = numbered.map(|(item, one)| Outcome { item: Some(item), ..one.into() }).collect();
    answer_many(outcomes, "application/json", bytes(&Answer { outcomes: told }))
}

fn answer_lines(numbers: &[usize], outcomes: &[Result<Receipt, Problem>]) -> HttpResponse {
    let mut body = Vec::new();
    for (number, one) in numbers.iter().zip(outcomes) {
        body.extend(bytes(&Outcome { line: Some(*number), ..one.into() }));
        body.push(b'\n');
    }
    answer_many(outcomes, "application/x-ndjson", body)
}

/// Where one is told to come back, so is the whole request: sending all of it again is safe.
fn answer_many(
    outcomes: &[Result<Receipt, Problem>],
    media_type: &'static str,
    body: Vec<u8>,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, media_type));
    let waits = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()?.kind.retry_after_s);
    if let Some(seconds) = waits.max() {
        answer.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    answer.body(body)
}

fn bytes<T: Serialize>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).expect("our answers are JSON")
}
