//! What people ask this organisation about its lines, and its answers, signed here.
//!
//! The log tells what is asked; it cannot make the gateway say more than the answer that somebody
//! at the organisation wrote: question, subject and text stand in what is signed.

use crate::session::{SessionError, read};
use crate::sign::document;
use crate::state::State;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::inquiry::{Answered, InquiryError};
use medtrail_ledger::schema::Report;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/questions", web::get().to(list));
    config.route("/questions/{id}/answer", web::post().to(answer));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    all: bool,
    before: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    text: String,
    language: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("the question's id is 0x and 64 hexadecimal digits")]
    Id,
    #[error(transparent)]
    Text(#[from] InquiryError),
    #[error("this question is to another organisation")]
    NotOurs,
    #[error(transparent)]
    Log(#[from] SessionError),
}

/// The questions, as the log tells them: those without an answer, or `all`.
async fn list(wish: Query<Wish>, state: Data<State>) -> HttpResponse {
    let which = if wish.all { "all" } else { "open" };
    let before = wish.before.map_or_else(String::new, |before| format!("&before={before}"));
    let path = format!("/v1/questions?as=organisation&state={which}{before}");
    match state.call(Method::GET, &path, None).await {
        Ok(questions) => told(StatusCode::OK, questions),
        Err(error) => refused(&error.into()),
    }
}

async fn answer(id: Path<String>, said: Json<Said>, state: Data<State>) -> HttpResponse {
    match sign_and_send(&state, &id, said.into_inner()).await {
        Ok(noted) => told(StatusCode::CREATED, noted),
        Err(error) => refused(&error),
    }
}

/// What is needed of a question.
#[derive(Deserialize)]
struct Question {
    subject: B256,
    organisation: Named,
}

#[derive(Deserialize)]
struct Named {
    id: Address,
}

async fn sign_and_send(state: &State, id: &str, said: Said) -> Result<Vec<u8>, AnswerError> {
    let id: B256 = id.parse().map_err(|_| AnswerError::Id)?;
    let answered = Answered::new(id, said.text, said.language);
    answered.check()?;
    let path = format!("/v1/questions/{id}");
    let question = state.call(Method::GET, &path, None).await?;
    let Question { subject, organisation } = read(&question)?;
    if organisation.id != state.enrolment.organisation {
        return Err(AnswerError::NotOurs);
    }
    let details = serde_json::to_string(&answered).expect("plain data encodes");
    let event = [b"answer\0", id.as_slice()].concat();
    let report = Report {
        log: state.log(),
        // A question has one answer: a second, whoever signs it here, is the same event.
        eventId: event_id(state.enrolment.organisation, &event),
        kind: Kind::Question.number(),
        timeMs: state.now_ms(),
        subject,
        actor: state.signer.address(),
        permission: id,
        details: details_hash(details.as_bytes()),
        ..Report::default()
    };
    let body = document(state, report, details.as_bytes()).expect("it was encoded as JSON");
    let body = Some(body.to_vec());
    let noted = state.call(Method::POST, &format!("{path}/answer"), body).await?;
    tracing::info!("question {id} was answered");
    Ok(noted)
}

fn told(status: StatusCode, json: Vec<u8>) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).content_type("application/json").body(json)
}

fn refused(error: &AnswerError) -> HttpResponse {
    let mut answer = match error {
        AnswerError::Id | AnswerError::NotOurs => HttpResponse::NotFound(),
        AnswerError::Text(_) => HttpResponse::UnprocessableEntity(),
        AnswerError::Log(SessionError::Refused { status: 404, .. }) => HttpResponse::NotFound(),
        AnswerError::Log(SessionError::Refused { status: 409, .. }) => HttpResponse::Conflict(),
        AnswerError::Log(_) => HttpResponse::BadGateway(),
    };
    let told = json!({ "title": "No answer", "detail": error.to_string() });
    answer.content_type("application/problem+json").body(told.to_string())
}
