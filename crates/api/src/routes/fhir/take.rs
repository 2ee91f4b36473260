//! ITI-20: events in, with an organisation's API key. Nobody has signed them: they stand in the
//! log as the operator's word, and every view says so. An organisation with a key of its own sends
//! its events to its gateway, which signs.

use super::{fhir, prefers, refused, require_json_is_read, status_of};
use crate::answer::{blocking, json};
use crate::body::Format;
use crate::caller::{ApiCaller, Caller};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Bytes, Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, routes};
use alloy_primitives::Address;
use futures::future::join_all;
use medtrail_fhir::bundle::{Answer, batch_response, read_batch};
use medtrail_fhir::event::{Event, Issue, read};
use medtrail_fhir::outcome::OperationOutcome;
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_fhir::report::{Part, Reporter, reports};
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::intake::{ReportError, Submission};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Whether only to say what the patient would read and which rules are missed. Nothing is
    /// stored.
    #[serde(default)]
    check: bool,
}

/// What a patient would read of an event.
#[derive(Serialize, ToSchema)]
struct Checked {
    sentence: String,
    #[schema(value_type = Object)]
    facts: Facts,
    /// Rules of IHE BALP that are missed: `{path, rule, text, severity}`. The event is taken all
    /// the same, and flagged.
    #[schema(value_type = Vec<Object>)]
    issues: Vec<Issue>,
}

/// Takes one AuditEvent (IHE ITI-20). Sending it again is safe: the same event, by its id or its
/// bytes, gets the same place.
#[utoipa::path(post, path = "/fhir/AuditEvent", operation_id = "fhirCreate", tag = "fhir",
    params(Asked), request_body(description = "An AuditEvent, kept byte for byte",
        content(("application/fhir+json"), ("application/json"))),
    responses((status = 201, description = "Taken; `Location` says where it stands"),
        (status = 200, body = Checked, description = "With `check=true`")))]
#[routes]
#[post("/fhir/AuditEvent")]
#[post("/fhir/AuditEvent/")]
pub(crate) async fn create(
    request: HttpRequest,
    payload: Payload,
    asked: Result<Query<Asked>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    if asked.check {
        let sender = Sender::checking(&caller, &state)?;
        let body = body(&caller, &request, payload, &state).await?;
        return check(sender, body, state).await;
    }
    let sender = Sender::relaying(&caller, &state).await?;
    let body = body(&caller, &request, payload, &state).await?;
    let event = match read(&body) {
        Ok(event) => event,
        Err(issues) => {
            state.metrics.reported("fhir-refused");
            return Ok(refused(&issues));
        }
    };
    state.rates.relayed(sender.organisation, 1)?;
    let indexes = take(&state, &sender, &event, &body).await?;
    let mut answer = HttpResponse::Created();
    answer.insert_header((LOCATION, location(&indexes))).insert_header((ETAG, "W/\"1\""));
    if prefers(&request, "return=minimal") {
        return Ok(answer.finish());
    }
    fhir(&mut answer);
    if prefers(&request, "return=OperationOutcome") {
        return Ok(answer.body(OperationOutcome::of(&event.flags).to_json()));
    }
    Ok(answer.body(body))
}

/// Takes a batch Bundle of AuditEvents (IHE ITI-20). Each stands or falls by itself.
#[utoipa::path(post, path = "/fhir", operation_id = "fhirBatch", tag = "fhir",
    request_body(description = "A Bundle of type batch",
        content(("application/fhir+json"), ("application/json"))),
    responses((status = 200, description = "A batch-response",
        content_type = "application/fhir+json")))]
#[routes]
#[post("/fhir")]
#[post("/fhir/")]
pub(crate) async fn batch(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let sender = Sender::relaying(&caller, &state).await?;
    let body = body(&caller, &request, payload, &state).await?;
    let entries = match read_batch(&body) {
        Ok(entries) => entries,
        Err(issues) => return Ok(refused(&issues)),
    };
    let most = state.limits.batch_reports_max;
    if entries.len() > most {
        let rule = format!("at most {most} events are taken at once, these are {}", entries.len());
        return Err(Problem::new(&problem::TOO_MANY_REPORTS, rule));
    }
    state.rates.relayed(sender.organisation, entries.len())?;
    let answers = entries.into_iter().map(|entry| one_of_many(&state, &sender, entry));
    let answers = join_all(answers).await;
    Ok(fhir(&mut HttpResponse::Ok()).body(batch_response(&answers)))
}

async fn one_of_many(
    state: &Data<State>,
    sender: &Sender,
    entry: Result<&[u8], Vec<Issue>>,
) -> Answer {
    let event = entry.and_then(|bytes| read(bytes).map(|event| (event, bytes)));
    let (event, bytes) = match event {
        Ok(read) => read,
        Err(issues) => {
            state.metrics.reported("fhir-refused");
            let outcome = Some(OperationOutcome::of(&issues));
            return Answer { status: status_of(&issues).as_u16(), location: None, outcome };
        }
    };
    match take(state, sender, &event, bytes).await {
        Ok(indexes) => {
            let outcome = (!event.flags.is_empty()).then(|| OperationOutcome::of(&event.flags));
            Answer { status: 201, location: Some(location(&indexes)), outcome }
        }
        Err(problem) => Answer {
            status: problem.kind.status.as_u16(),
            location: None,
            outcome: Some(outcome_of(&problem)),
        },
    }
}

fn outcome_of(problem: &Problem) -> OperationOutcome {
    let code = if problem.retry_after_s().is_some() { "transient" } else { "processing" };
    let text = format!("{} {}", problem.detail(), problem.advice());
    OperationOutcome::one(medtrail_fhir::event::Severity::Error, code, text)
}

/// Where the first of an event's entries stands.
fn location(indexes: &[u64]) -> String {
    format!("/fhir/AuditEvent/{}", indexes.first().copied().unwrap_or_default())
}

/// Whose events these are, and with what they become reports.
struct Sender {
    organisation: Address,
    name: String,
    /// Who stands beside the entry.
    actor: Address,
    is_relayed: bool,
    key: SecretKey,
}

impl Sender {
    /// By an API key.
    async fn relaying(caller: &Caller, state: &Data<State>) -> Result<Self, Problem> {
        let ApiCaller { organisation, name } = match caller {
            Caller::Organisation(api) => api.clone(),
            other => {
                other.organisation(state)?;
                let told = "a session's events are nobody's signed word";
                return Err(Problem::new(&problem::SIGN_YOURSELF, told));
            }
        };
        let actor = state.operator_now().ok_or_else(|| {
            Problem::new(&problem::INTERNAL, "the operator has no key that speaks now")
        })?;
        let service = state.service.clone();
        let key = blocking(move || Ok::<_, Problem>(service.key_of(organisation))).await?;
        let key = key.ok_or_else(no_key)?;
        Ok(Self { organisation, name, actor, is_relayed: true, key })
    }

    /// By an API key, or by whoever is signed in for an organisation. Nothing of it is stored, so
    /// that any key makes the ids.
    fn checking(caller: &Caller, state: &State) -> Result<Self, Problem> {
        let organisation = caller.organisation(state)?;
        let (_, name) = state.named(organisation);
        let (actor, is_relayed) = match caller {
            Caller::SignedIn(session) => (session.address, false),
            _ => (state.operator_now().unwrap_or_default(), true),
        };
        Ok(Self { organisation, name, actor, is_relayed, key: SecretKey([0; 32]) })
    }

    fn parts(&self, state: &State, event: &Event, bytes: &[u8]) -> Vec<Part> {
        let by = Reporter {
            log: state.service.trust().log,
            organisation: self.organisation,
            actor: self.actor,
            key: &self.key,
            relayed_for: self.is_relayed.then_some(self.name.as_str()),
        };
        reports(event, bytes, &by)
    }
}

fn no_key() -> Problem {
    Problem::new(&problem::STORAGE, "the organisation's key could not be read")
}

/// Enters an event: an entry a patient, or one without a subject. Repeating it is safe, so that an
/// event of which only some entries were written is simply sent again.
async fn take(
    state: &Data<State>,
    sender: &Sender,
    event: &Event,
    bytes: &[u8],
) -> Result<Vec<u64>, Problem> {
    let parts = sender.parts(state, event, bytes);
    let entered = join_all(parts.into_iter().map(|part| enter(state, part))).await;
    let outcome: Result<Vec<u64>, Problem> = entered.into_iter().collect();
    state.metrics.reported(outcome.as_ref().map_or_else(|problem| problem.kind.slug, |_| "taken"));
    outcome
}

async fn enter(state: &Data<State>, part: Part) -> Result<u64, Problem> {
    let Part { report, details, .. } = part;
    let mut submission = Submission { report, evidence: Evidence::Relayed, details: Some(details) };
    // As it was first sent, also where its patient was bound since: a repeated event is found again.
    let taken = match state.service.relay(submission.clone()).await {
        Err(ReportError::Moved { to, .. }) => {
            submission.report.subject = to;
            state.service.relay(submission).await
        }
        other => other,
    };
    taken.map(|receipt| receipt.index).map_err(|error| Problem::from(&error))
}

/// What the patient would read.
async fn check(sender: Sender, body: Bytes, state: Data<State>) -> Result<HttpResponse, Problem> {
    let event = match read(&body) {
        Ok(event) => event,
        Err(issues) => return Ok(refused(&issues)),
    };
    let parts = sender.parts(&state, &event, &body);
    let Some(part) = parts.first() else { return Ok(refused(&event.flags)) };
    let names = |address: Address| Some(state.named(address).1).filter(|name| !name.is_empty());
    let facts = reading(&part.report, Some(&part.details), sender.is_relayed, &names);
    let sentence = sentence(&facts);
    Ok(json(&Checked { sentence, facts, issues: event.flags }))
}

/// The bytes of an event or a Bundle, as they are.
async fn body(
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    state: &State,
) -> Result<Bytes, Problem> {
    require_json_is_read(request)?;
    Format::require_fhir(request)?;
    let organisation = caller.organisation(state)?;
    state.bodies.read_of(organisation, request, payload).await
}
