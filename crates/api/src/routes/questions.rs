//! `/v1/questions`: a person asks about a line of theirs, the organisation that reported it
//! answers, and a clock runs.

use super::said::{Listed, Noted, Said, Whom};
use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::inquiry::Wanted;
use medtrail_ledger::schema::Report;
use medtrail_oracle::inquiries::{Ask, QuestionView};
use medtrail_oracle::opener::Entry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/questions-v1";

/// A question about a line.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewQuestion)]
struct Asked {
    /// The line.
    index: u64,
    /// `reason` (left out: this): why it was done; `correction`: that it be corrected.
    #[schema(value_type = Option<String>)]
    wants: Option<Wanted>,
    /// In one's own words, at most 2,000 characters. Left out: just why.
    text: Option<String>,
    /// Of the text, and of the answer that is hoped for (BCP 47).
    language: Option<String>,
}

/// Asks the organisation that reported a line of one's own, or for which it was relayed. 201; 200 if
/// this very question waits already.
#[utoipa::path(post, path = "/v1/questions", operation_id = "ask", tag = "questions",
    request_body = Asked, responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/questions")]
pub(super) async fn ask(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let person = caller.session()?.address;
    state.rates.document(Client::of(&request))?;
    let asked = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Asked { index, wants, text, language } = asked;
    let wants = wants.unwrap_or(Wanted::Reason);
    let ask = Ask { line: index, wants, text, language };
    Ok(Noted::answer(state.service.ask(person, ask).await?))
}

/// Questions, newest first.
#[derive(Serialize, ToSchema)]
struct Questions {
    /// `medtrail/questions-v1`.
    version: &'static str,
    /// How long an organisation has for an answer, in milliseconds.
    #[serde(rename = "answerWithinMs")]
    answer_within_ms: u64,
    questions: Vec<Question>,
    /// The `before` of the next page.
    next: Option<u64>,
}

/// A question and what became of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// What an answer names: the commitment of the entry that asked.
    #[schema(value_type = String)]
    id: B256,
    /// The line that asked.
    index: u64,
    /// Whose trail it stands in: an answer is reported for this subject.
    #[schema(value_type = String)]
    subject: B256,
    /// The line it is about.
    line: Line,
    organisation: Named,
    /// `reason` or `correction`.
    #[schema(value_type = String)]
    wants: Wanted,
    text: Option<String>,
    language: Option<String>,
    /// Milliseconds since 1970.
    asked_ms: u64,
    /// Until when an answer is due, milliseconds since 1970.
    due_ms: u64,
    /// `open`, `answered`, `answered-late` or `unanswered`.
    state: &'static str,
    answer: Option<Answer>,
    /// The line that says that nobody answered in time.
    unanswered: Option<u64>,
}

/// The line that a question is about. By `eventId` and `record` the organisation finds it in its own
/// system.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuestionLine)]
struct Line {
    index: u64,
    #[schema(value_type = String)]
    commitment: B256,
    /// What was reported, unless it cannot be opened any more.
    #[schema(value_type = Option<Object>)]
    report: Option<Report>,
    /// The corrections of it that came since.
    corrections: Vec<u64>,
}

/// An organisation by its name.
#[derive(Serialize, ToSchema)]
#[schema(as = NamedOrganisation)]
pub(super) struct Named {
    #[schema(value_type = String)]
    id: Address,
    name: String,
}

impl Named {
    pub(super) fn of(state: &State, id: Address) -> Self {
        let (id, name) = state.named(id);
        Self { id, name }
    }
}

/// An organisation's answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QuestionAnswer)]
struct Answer {
    /// Its line.
    index: u64,
    text: String,
    language: Option<String>,
    /// When the log took it, milliseconds since 1970.
    at_ms: u64,
    /// The organisation signed it; else it came by its API key.
    signed: bool,
    /// The corrections of it that came since.
    corrections: Vec<u64>,
}

impl Question {
    fn of(state: &State, view: QuestionView) -> Self {
        let stands = view.state();
        let QuestionView { id, index, asked_ms, subject, asked, line, answer, unanswered } = view;
        let corrections = |index: u64| {
            state.service.corrections_of(index).into_iter().map(|row| row.by).collect()
        };
        let answer = answer.map(|answer| Answer {
            index: answer.index,
            corrections: corrections(answer.index),
            text: answer.answered.text,
            language: answer.answered.language,
            at_ms: answer.at_ms,
            signed: answer.is_signed,
        });
        Self {
            id,
            index,
            subject,
            line: Line {
                index: asked.line.index,
                commitment: asked.line.commitment,
                report: line.map(|Entry { report, .. }| report),
                corrections: corrections(asked.line.index),
            },
            organisation: Named::of(state, asked.organisation),
            wants: asked.wants,
            text: asked.text,
            language: asked.language,
            asked_ms,
            due_ms: asked.due_ms,
            state: stands,
            answer,
            unanswered,
        }
    }
}

/// What a person has asked, or what an organisation is asked. A session that is both says by `as`
/// which is meant; left out, it is the organisation.
#[utoipa::path(get, path = "/v1/questions", operation_id = "questions", tag = "questions",
    params(Listed), responses((status = 200, body = Questions)))]
#[routes]
#[get("/v1/questions")]
#[head("/v1/questions")]
pub(super) async fn list(
    listed: Result<Query<Listed>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Whom { whose, wish } = Whom::of(&caller, listed, &state).await?;
    let asked = state.clone();
    let (views, next) = blocking(move || asked.service.questions(whose, wish)).await?;
    Ok(json(&Questions {
        version: VERSION,
        answer_within_ms: state.service.answer_within_ms(),
        questions: views.into_iter().map(|view| Question::of(&state, view)).collect(),
        next,
    }))
}

/// One question, for who asked and who is asked.
#[utoipa::path(get, path = "/v1/questions/{id}", operation_id = "question", tag = "questions",
    params(("id" = String, Path, description = "The question")),
    responses((status = 200, body = Question)))]
#[routes]
#[get("/v1/questions/{id}")]
#[head("/v1/questions/{id}")]
pub(super) async fn get(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let sides = Whom::sides(&caller, &state)?;
    let id = inquiry(&id)?;
    let asked = state.clone();
    let found = blocking(move || {
        for whose in sides {
            if let Some(view) = asked.service.question(whose, id)? {
                return Ok(view);
            }
        }
        Err(Problem::no_such_inquiry())
    });
    Ok(json(&Question::of(&state, found.await?)))
}

/// An answer: with an API key `text` (and `language`); else `report`, `details`, `signature`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAnswer)]
struct Answered {
    /// At most 2,000 characters.
    text: Option<String>,
    /// Of the text (BCP 47).
    language: Option<String>,
    /// Kind 12; `subject` and `permission` are the question's.
    #[schema(value_type = Option<Object>)]
    report: Option<Report>,
    /// `medtrail/question-v1`, act `answered`.
    #[schema(value_type = Option<Object>)]
    details: Option<Box<RawValue>>,
    /// 65 bytes, by a key of the organisation.
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
}

/// Answers a question. The signed report may go to `POST /v1/reports` as well. 201; 200 if this very
/// answer stands already.
#[utoipa::path(post, path = "/v1/questions/{id}/answer", operation_id = "answerQuestion",
    tag = "questions", params(("id" = String, Path, description = "The question")),
    request_body = Answered,
    responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/questions/{id}/answer")]
pub(super) async fn take_answer(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let organisation = caller.organisation(&state)?;
    let body = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Answered { text, language, report, details, signature } = body;
    let noted = match Said::of(report, details, signature, text.is_some() || language.is_some())? {
        Said::Signed(submission) => {
            state.service.answer_signed(organisation, inquiry(&id)?, *submission).await?
        }
        Said::Plain => {
            let text = text.ok_or_else(|| {
                Problem::new(&problem::INVALID_FIELD, "text is missing").at("text")
            })?;
            Said::require_api_key(&caller)?;
            state.service.answer(organisation, inquiry(&id)?, text, language).await?
        }
    };
    Ok(Noted::answer(noted))
}

/// An id that is none is one more that does not exist.
pub(super) fn inquiry(id: &str) -> Result<B256, Problem> {
    id.parse().map_err(|_| Problem::no_such_inquiry())
}
