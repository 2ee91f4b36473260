//! ITI-20: events in, with an organisation's API key. Nobody has signed them: they stand in the
//! log as the operator's word, and every view says so. An organisation with a key of its own sends
//! its events to its gateway, which signs.

use super::{fhir, prefers, refused, require_json_is_read, status_of};
use crate::answer::{blocking, json};
use crate::body::Format;
use crate::caller::{ApiCaller, Caller};
use crate::limits::PARTS_AT_ONCE_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Bytes, Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, routes};
use alloy_primitives::{Address, B256};
use futures::future::join_all;
use medtrail_fhir::bundle::{Answer, batch_response, read_batch};
use medtrail_fhir::event::{Issue, read};
use medtrail_fhir::outcome::OperationOutcome;
use medtrail_fhir::reading::{Facts, reading, sentence};
use medtrail_fhir::report::{Draft, Part, Reporter};
use medtrail_ledger::ports::SecretKey;
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::intake::{ReportError, Submission};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::Semaphore;
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
    create_one(Resource::AuditEvent, &request, payload, asked, caller, state).await
}

/// Takes one Provenance: a change, or a hand-over, of one record of one patient. Sending it again is
/// safe, as with an AuditEvent.
#[utoipa::path(post, path = "/fhir/Provenance", operation_id = "fhirCreateProvenance",
    tag = "fhir", params(Asked), request_body(description = "A Provenance, kept byte for byte",
        content(("application/fhir+json"), ("application/json"))),
    responses((status = 201, description = "Taken; `Location` says where it stands"),
        (status = 200, body = Checked, description = "With `check=true`")))]
#[routes]
#[post("/fhir/Provenance")]
#[post("/fhir/Provenance/")]
pub(crate) async fn create_provenance(
    request: HttpRequest,
    payload: Payload,
    asked: Result<Query<Asked>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    create_one(Resource::Provenance, &request, payload, asked, caller, state).await
}

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
}

async fn create_one(
    resource: Resource,
    request: &HttpRequest,
    payload: Payload,
    asked: Result<Query<Asked>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    if asked.check {
        let sender = Sender::checking(&caller, &state)?;
        let body = body(&caller, request, payload, &state).await?;
        return check(resource, sender, body, state).await;
    }
    let sender = Sender::relaying(&caller, &state).await?;
    let body = body(&caller, request, payload, &state).await?;
    let (by, bytes) = (sender.clone(), body.clone());
    let event = match blocking(move || Ok::<_, Problem>(by.event(resource, &bytes))).await? {
        Ok(event) => event,
        Err(issues) => {
            state.metrics.reported("fhir-refused");
            return Ok(refused(&issues));
        }
    };
    state.rates.relayed(sender.organisation, event.draft.parts())?;
    let turns = Semaphore::new(PARTS_AT_ONCE_MAX);
    let indexes = take(&state, &sender, event.draft, &turns).await?;
    let mut answer = HttpResponse::Created();
    answer.insert_header((LOCATION, location(resource, &indexes))).insert_header((ETAG, "W/\"1\""));
    if prefers(request, "return=minimal") {
        return Ok(answer.finish());
    }
    fhir(&mut answer);
    if prefers(request, "return=OperationOutcome") {
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
    let (by, counts, most) = (sender.clone(), state.clone(), state.limits.batch_reports_max);
    let reading = blocking(move || {
        let entries = match read_batch(&body) {
            Ok(entries) => entries,
            Err(issues) => return Ok(Err(issues)),
        };
        if entries.len() > most {
            let found = entries.len();
            let rule = format!("at most {most} events are taken at once, these are {found}");
            return Err(Problem::new(&problem::TOO_MANY_REPORTS, rule));
        }
        counts.rates.relayed(by.organisation, entries.len())?;
        let events = entries
            .into_iter()
            .map(|entry| entry.and_then(|bytes| by.event(Resource::AuditEvent, bytes)));
        Ok(Ok(events.collect::<Vec<_>>()))
    });
    let events = match reading.await? {
        Ok(events) => events,
        Err(issues) => return Ok(refused(&issues)),
    };
    // Each event was counted before it was read; of one about several each further part counts too.
    let further = events.iter().flatten().map(|event| event.draft.parts() - 1).sum();
    state.rates.relayed(sender.organisation, further)?;
    let turns = Semaphore::new(PARTS_AT_ONCE_MAX);
    let answers = events.into_iter().map(|event| one_of_many(&state, &sender, event, &turns));
    let answers = join_all(answers).await;
    Ok(fhir(&mut HttpResponse::Ok()).body(batch_response(&answers)))
}

async fn one_of_many(
    state: &Data<State>,
    sender: &Sender,
    event: Result<Event, Vec<Issue>>,
    turns: &Semaphore,
) -> Answer {
    let Event { draft, flags } = match event {
        Ok(event) => event,
        Err(issues) => {
            state.metrics.reported("fhir-refused");
            let outcome = Some(OperationOutcome::of(&issues));
            return Answer { status: status_of(&issues).as_u16(), location: None, outcome };
        }
    };
    match take(state, sender, draft, turns).await {
        Ok(indexes) => {
            let outcome = (!flags.is_empty()).then(|| OperationOutcome::of(&flags));
            Answer {
                status: 201,
                location: Some(location(Resource::AuditEvent, &indexes)),
                outcome,
            }
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
fn location(resource: Resource, indexes: &[u64]) -> String {
    format!("/fhir/{}/{}", resource.name(), indexes.first().copied().unwrap_or_default())
}

/// An event that was read, on its way to its reports.
struct Event {
    draft: Draft,
    flags: Vec<Issue>,
}

/// Whose events these are, and with what they become reports.
struct Sender {
    log: B256,
    organisation: Address,
    name: String,
    /// Who stands beside the entry.
    actor: Address,
    is_relayed: bool,
    key: SecretKey,
}

impl Sender {
    /// By an API key.
    async fn relaying(caller: &Caller, state: &Data<State>) -> Result<Arc<Self>, Problem> {
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
        let log = state.service.trust().log;
        Ok(Arc::new(Self { log, organisation, name, actor, is_relayed: true, key }))
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
        let log = state.service.trust().log;
        Ok(Self { log, organisation, name, actor, is_relayed, key: SecretKey([0; 32]) })
    }

    /// Reads an event. Blocks for as long as a processor takes for some hundred kilobytes.
    fn event(&self, resource: Resource, bytes: &[u8]) -> Result<Event, Vec<Issue>> {
        let event = match resource {
            Resource::AuditEvent => read(bytes)?,
            Resource::Provenance => medtrail_fhir::provenance::read(bytes)?,
        };
        let by = Reporter {
            log: self.log,
            organisation: self.organisation,
            actor: self.actor,
            key: &self.key,
            relayed_for: self.is_relayed.then_some(self.name.as_str()),
        };
        Ok(Event { draft: Draft::new(&event, bytes, &by), flags: event.flags })
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
    draft: Draft,
    turns: &Semaphore,
) -> Result<Vec<u64>, Problem> {
    let draft = Arc::new(draft);
    let parts = (0..draft.parts()).map(|place| enter(state, sender, &draft, place, turns));
    let outcome: Result<Vec<u64>, Problem> = join_all(parts).await.into_iter().collect();
    state.metrics.reported(outcome.as_ref().map_or_else(|problem| problem.kind.slug, |_| "taken"));
    outcome
}

/// Enters one part of an event. It is made when its turn comes: all of a batch would be many times
/// as long as the batch.
async fn enter(
    state: &Data<State>,
    sender: &Sender,
    draft: &Arc<Draft>,
    place: usize,
    turns: &Semaphore,
) -> Result<u64, Problem> {
    let _turn = turns.acquire().await.expect("it is never closed");
    let relay = async |moved_to: Option<B256>| {
        let draft = draft.clone();
        let Part { mut report, details, .. } =
            blocking(move || Ok::<_, Problem>(draft.part(place))).await?;
        report.subject = moved_to.unwrap_or(report.subject);
        let evidence = Evidence::Relayed;
        let submission = Submission { report, evidence, details: Some(details) };
        Ok::<_, Problem>(state.service.relay_for(sender.organisation, submission).await)
    };
    // As it was first sent, also where its patient was bound since: a repeated event is found again.
    let taken = match relay(None).await? {
        Err(ReportError::Moved { to, .. }) => relay(Some(to)).await?,
        other => other,
    };
    taken.map(|receipt| receipt.index).map_err(|error| Problem::from(&error))
}

/// What the patient would read.
async fn check(
    resource: Resource,
    sender: Sender,
    body: Bytes,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let is_relayed = sender.is_relayed;
    let reading_it = blocking(move || {
        let read = sender.event(resource, &body);
        Ok::<_, Problem>(read.map(|Event { draft, flags }| (draft.part(0), flags)))
    });
    let (part, issues) = match reading_it.await? {
        Ok(read) => read,
        Err(issues) => return Ok(refused(&issues)),
    };
    let names = |address: Address| Some(state.named(address).1).filter(|name| !name.is_empty());
    let facts = reading(&part.report, Some(&part.details), is_relayed, &names);
    let sentence = sentence(&facts);
    Ok(json(&Checked { sentence, facts, issues }))
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
