//! The desk: gives out one-time codes to people it has identified, and countersigns what they sign
//! with them.
//!
//! The log is not trusted here. A countersignature is made only for a pseudonym this gateway gave a
//! code for, over a document that it checked, under the domain of its own enrolment, and for one
//! address ever: that address is durable before the signature leaves.

use crate::session::{SessionError, read};
use crate::state::{Board, State};
use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Json, ServiceConfig};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::binding::{check, check_person};
use medtrail_ledger::custodian::{DeskCode, SpoolError};
use medtrail_ledger::directory::code_hash;
use medtrail_ledger::entry::pseudonym;
use medtrail_ledger::schema::{Binding, digest};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Codes that nobody has used, at once. The log takes 10,000 of an organisation.
const UNUSED_MAX: u64 = 5_000;
/// Characters of a code: 60 bits.
const CODE_LETTERS: usize = 12;
/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/desk/codes", web::post().to(issue));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    identifier: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    /// Shown this once; nobody keeps it.
    code: String,
    expires_ms: u64,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error("identifier is none of a patient: Patient/p1, or system|value")]
    Identifier,
    #[error("{UNUSED_MAX} codes are open: wait until some have expired")]
    TooMany,
    #[error("no randomness")]
    Random,
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Log(#[from] SessionError),
}

async fn issue(asked: Json<Asked>, state: Data<State>) -> HttpResponse {
    match give(&state.into_inner(), &asked.identifier).await {
        Ok(issued) => {
            HttpResponse::Created().insert_header((CACHE_CONTROL, "no-store")).json(issued)
        }
        Err(error) => {
            let mut answer = match &error {
                DeskError::Identifier => HttpResponse::UnprocessableEntity(),
                DeskError::TooMany => HttpResponse::TooManyRequests(),
                DeskError::Random | DeskError::Spool(_) => HttpResponse::ServiceUnavailable(),
                DeskError::Log(_) => HttpResponse::BadGateway(),
            };
            let told = json!({ "title": "No code", "detail": error.to_string() });
            answer.content_type("application/problem+json").body(told.to_string())
        }
    }
}

async fn give(state: &Arc<State>, identifier: &str) -> Result<Issued, DeskError> {
    let identifier = canonical(identifier).ok_or(DeskError::Identifier)?;
    let pseudonym = pseudonym(&state.key, identifier.as_bytes());
    let code = draw().ok_or(DeskError::Random)?;
    let code_hash = code_hash(&code);
    let now_ms = state.now_ms();
    // Whole seconds: the document names its end in them.
    let expires_ms = (now_ms + state.options.code_ms) / 1000 * 1000;
    let kept = state.on_spool(move |state| {
        state.spool.drop_codes(now_ms)?;
        if state.spool.unused_codes()? >= UNUSED_MAX {
            return Ok(false);
        }
        state.spool.keep_code(&DeskCode { code_hash, pseudonym, expires_ms, subject: None })?;
        Ok(true)
    });
    if !kept.await? {
        return Err(DeskError::TooMany);
    }
    let body = json!({ "pseudonym": pseudonym, "codeHash": code_hash, "expiresMs": expires_ms });
    let body = Some(body.to_string().into_bytes());
    state.call(Method::POST, "/v1/bindings/codes", body).await?;
    Ok(Issued { code, expires_ms })
}

/// As events name the patient: read by the same code, in a smallest event.
fn canonical(identifier: &str) -> Option<String> {
    let what = match identifier.split_once('|') {
        Some((system, value)) => json!({ "identifier": { "system": system, "value": value } }),
        None => json!({ "reference": identifier }),
    };
    let coding =
        json!({ "system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1" });
    let event = json!({
        "resourceType": "AuditEvent",
        "type": { "system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest" },
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{ "requestor": true }],
        "source": { "observer": { "display": "desk" } },
        "entity": [{ "what": what, "role": coding }],
    });
    let event = medtrail_fhir::event::read(event.to_string().as_bytes()).ok()?;
    match event.patients.as_slice() {
        [patient] => Some(patient.identifier.clone()),
        _ => None,
    }
}

/// Twelve characters of the system's randomness; 256 is a multiple of 32, so that none is likelier.
fn draw() -> Option<String> {
    let mut drawn = [0u8; CODE_LETTERS];
    aws_lc_rs::rand::fill(&mut drawn).ok()?;
    let mut code = String::with_capacity(CODE_LETTERS + 2);
    for (place, byte) in drawn.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Some(code)
}

#[derive(Deserialize)]
struct Bindings {
    pending: Vec<Pending>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    id: B256,
    code_hash: B256,
    document: Message,
    signature: Bytes,
}

/// A `Binding` as the log spells it: numbers as text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    statement: String,
    subject: Address,
    custodian: Address,
    pseudonym: B256,
    expires_at: String,
}

/// Countersigns what waits. Codes survive a restart: their hashes stand in the spool.
pub(crate) async fn run(state: Arc<State>) {
    // A countersignature that was promised before a crash may not have left.
    let mut is_owed = true;
    loop {
        let unused = state.on_spool(|state| state.spool.unused_codes()).await.unwrap_or(1);
        if is_owed || unused > 0 {
            is_owed = countersign_all(&state).await.is_err();
        }
        state.clock().sleep(state.options.poll).await;
    }
}

async fn countersign_all(state: &Arc<State>) -> Result<(), SessionError> {
    let answer = state.call(Method::GET, "/v1/bindings", None).await?;
    let Bindings { pending } = read(&answer)?;
    let mut outcome = Ok(());
    for one in pending {
        if let Err(error) = countersign(state, one).await {
            tracing::warn!("a countersignature waits: {error}");
            outcome = Err(error);
        }
    }
    outcome
}

async fn countersign(state: &Arc<State>, pending: Pending) -> Result<(), SessionError> {
    let Pending { id, code_hash, document, signature } = pending;
    let expires_at = document.expires_at.parse();
    let document = Binding {
        statement: document.statement,
        subject: document.subject,
        custodian: document.custodian,
        pseudonym: document.pseudonym,
        expiresAt: expires_at.map_err(|_| SessionError::Malformed("expiresAt".to_owned()))?,
    };
    let subject = document.subject;
    let is_for_other = document.custodian != state.signer.address();
    if is_for_other && matches!(state.on_spool(move |s| s.spool.code(code_hash)).await, Ok(None)) {
        // Another gateway of the organisation gave this code out, and signs by its own key.
        return Ok(());
    }
    let allowed = state.on_spool(move |state| {
        Ok(allow(state, code_hash, &document, &signature)?
            .map(|()| digest(&document, &state.domain)))
    });
    let digest = match allowed.await {
        Ok(Ok(digest)) => digest,
        Ok(Err(reason)) => {
            let text = format!("a binding to {subject} is not countersigned: {reason}");
            if !state.board().alarms.contains(&text) {
                state.alarm(text);
            }
            return Ok(());
        }
        Err(error) => return Err(SessionError::Malformed(error.to_string())),
    };
    let body = json!({ "signature": state.signer.sign(digest) }).to_string().into_bytes();
    state.call(Method::POST, &format!("/v1/bindings/{id}/countersignature"), Some(body)).await?;
    tracing::info!("a patient's pseudonym was connected with {subject}");
    let mut board = state.board();
    if !board.bound.contains(&subject) {
        Board::remember(&mut board.bound, subject);
    }
    Ok(())
}

/// Whether this document may be countersigned; if so, its subject is durable now.
fn allow(
    state: &State,
    code_hash: B256,
    document: &Binding,
    signature: &[u8],
) -> Result<Result<(), String>, SpoolError> {
    let Some(code) = state.spool.code(code_hash)? else {
        return Ok(Err("this desk gave out no such code".to_owned()));
    };
    if document.custodian != state.signer.address() {
        return Ok(Err("it names another key of the organisation".to_owned()));
    }
    let now_ms = state.now_ms();
    if code.pseudonym != document.pseudonym {
        return Ok(Err("its code was given out for another patient".to_owned()));
    }
    if code.expires_ms <= now_ms {
        return Ok(Err("its code has expired".to_owned()));
    }
    let checked = check(&state.enrolment.name, document, now_ms / 1000)
        .and_then(|()| check_person(document, signature, &state.domain));
    if let Err(error) = checked {
        return Ok(Err(error.to_string()));
    }
    match state.spool.keep_code(&DeskCode { subject: Some(document.subject), ..code }) {
        Err(error @ SpoolError::Bound(_)) => Ok(Err(error.to_string())),
        other => other.map(Ok),
    }
}
