//! `POST /v1/reports`: one report, a signed batch of them, or one a line.
//!
//! Sending the same report again is always safe: its event id is its idempotency key, for ever and
//! not for a day. A header `Idempotency-Key` is not needed and changes nothing.

mod wire;

use crate::body::Format;
use crate::client::Client;
use crate::limits::INLINE_PARSE_BYTES_MAX;
use crate::problem::Problem;
use crate::sequences;
use crate::state::State;
use actix_web::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use alloy_primitives::{Address, B256};
use medtrail_ledger::proof::spell;
use medtrail_ledger::receipt::Receipt;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::sequencer::PlaceError;
use serde::Serialize;
use std::ops::RangeInclusive;
use wire::Sent;

/// Takes reports. One is answered 201 with its receipt, new or repeated. Many are answered 200
/// with an outcome each, in order: each stands or falls by itself.
#[utoipa::path(post, path = "/v1/reports", operation_id = "report", tag = "reports",
    params(("Medtrail-Sequence" = Option<String>, Header,
        description = "The organisation's own number of the report, or `n-m` of several: gaps are \
            told in /v1/organisations")),
    request_body(description = "`{report, details, signature}`; a batch \
        `{root, count, signature, items: [{report, details}]}`; or one report a line",
        content(("application/json"), ("application/x-ndjson"))),
    responses((status = 201, description = "medtrail/receipt-v1", content_type = "application/json"),
        (status = 200, description = "An outcome for each of many",
            content_type = "application/json")))]
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
    let sent = sent.inspect_err(|problem| state.metrics.reported(problem.kind.slug))?;
    let numbered = sequences::numbers(request.headers(), sent.len())?;
    let (from, numbered_by) = (Client::of(&request), state.clone());
    match numbered {
        None => take(&state, sent, from, None).await,
        // To its end, also if the client goes away: what stands in the log came.
        Some(numbers) => {
            let taking = async move { take(&numbered_by, sent, from, Some(&numbers)).await };
            let taken = actix_web::rt::spawn(state.under_way.track_future(taking)).await;
            taken.unwrap_or_else(|error| Err(Problem::from(error)))
        }
    }
}

async fn take(
    state: &State,
    sent: Sent,
    from: Client,
    numbers: Option<&RangeInclusive<u64>>,
) -> Result<HttpResponse, Problem> {
    let actors = numbers.map_or_else(Vec::new, |_| sent.actors());
    // An entry that stood there before may have been repeated by anybody who has seen it, under any
    // number.
    let size = state.service.head().size;
    let is_new = |receipt: &Receipt| receipt.index >= size;
    let note = |outcomes: &[Result<Receipt, Problem>]| {
        if outcomes.iter().flatten().any(is_new) {
            state.bodies.know(from);
        }
        let first_new = outcomes.iter().position(|one| one.as_ref().is_ok_and(is_new));
        let first = first_new.or_else(|| outcomes.iter().position(Result::is_ok));
        let (Some(numbers), Some(first)) = (numbers, first) else { return };
        let actor = actors.get(first).copied().flatten();
        if let Some(organisation) = actor.and_then(|actor| state.organisation_of(actor)) {
            state.sequences.note(organisation, numbers, first_new.is_some());
        }
    };
    match sent {
        Sent::One(submission) => {
            let outcome = [one(state, *submission).await];
            note(&outcome);
            let [outcome] = outcome;
            Ok(answer_one(&outcome?))
        }
        Sent::Batch(submissions) => {
            let outcomes = many(state, submissions.into_iter().map(Ok).collect()).await;
            note(&outcomes);
            Ok(answer_batch(&outcomes))
        }
        Sent::Lines(lines) => {
            let (numbers, submissions): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
            let outcomes = many(state, submissions).await;
            note(&outcomes);
            Ok(answer_lines(&numbers, &outcomes))
        }
    }
}

async fn one(state: &State, submission: Submission) -> Result<Receipt, Problem> {
    let about = About::of(&submission);
    let taken = state.service.report(submission).await;
    counted(state, taken.map_err(|error| about.problem(state, &error)))
}

/// Who reported about whom.
#[derive(Clone, Copy)]
struct About {
    actor: Address,
    subject: B256,
}

impl About {
    fn of(submission: &Submission) -> Self {
        Self { actor: submission.report.actor, subject: submission.report.subject }
    }

    /// Whose a bound pseudonym is now, the organisation that made it may know: it countersigned.
    /// Anybody else has only seen the pseudonym, and would learn a person's address.
    fn problem(self, state: &State, error: &ReportError) -> Problem {
        let problem = Problem::from(error);
        match error {
            ReportError::Moved { to, .. } if self.is_own_pseudonym(state, *to) => {
                problem.instead(*to)
            }
            _ => problem,
        }
    }

    fn is_own_pseudonym(self, state: &State, to: B256) -> bool {
        let reporter = state.organisation_of(self.actor);
        let bound = state.service.own_bindings(Address::from_word(to)).into_iter();
        let mut of_this = bound.filter(|binding| binding.pseudonym == self.subject);
        reporter.is_some_and(|id| of_this.any(|binding| binding.organisation == id))
    }
}

fn answer_one(receipt: &Receipt) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((LOCATION, format!("/v1/entries/{}", receipt.index)))
        .body(spell(receipt))
}

/// Hands in all that could be read; what comes of them stands in the order they were sent in.
async fn many(
    state: &State,
    sent: Vec<Result<Submission, Problem>>,
) -> Vec<Result<Receipt, Problem>> {
    let mut submissions = Vec::with_capacity(sent.len());
    let mut hand_in = |submission: Submission| {
        let about = About::of(&submission);
        submissions.push(submission);
        about
    };
    let places: Vec<_> = sent.into_iter().map(|one| one.map(&mut hand_in)).collect();
    let mut taken = state.service.reports(submissions).await.into_iter();
    let stopped = || Err(ReportError::Place(PlaceError::Stopped));
    let mut outcome = |about: About| {
        let taken = taken.next().unwrap_or_else(stopped);
        taken.map_err(|error| about.problem(state, &error))
    };
    places.into_iter().map(|place| counted(state, place.and_then(&mut outcome))).collect()
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
