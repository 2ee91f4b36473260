//! `/v1/claims`: a payer says what was billed for a person; the person says whether they had it.

use super::questions::{Named, inquiry};
use super::said::{Listed, Noted, Said, Whom};
use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::{ACCOUNTING_LINES_MAX, DOCUMENT_BYTES_MAX};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_fhir::reading::reading;
use medtrail_ledger::entry::{Kind, pseudonym};
use medtrail_ledger::inquiry::{Billed, Reply, Service as Billable, Sum};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use medtrail_oracle::inquiries::{ClaimView, Whose, Wish};
use medtrail_oracle::trail::TrailQuery;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/claims-v1";
/// How far the clocks of the world are from UTC at most, in milliseconds.
const ZONE_MS: u64 = 14 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// A claim: with an API key the plain fields; else `report`, `details`, `signature`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewClaim)]
struct Billing {
    /// The payer's own number of it: the same again is the same line.
    id: Option<String>,
    /// For whom: an address or a pseudonym in 32 bytes.
    #[schema(value_type = Option<String>)]
    subject: Option<B256>,
    /// For whom, as the payer's own patient identifier (`system|value`, or `Patient/p1`).
    patient: Option<String>,
    /// The day it was billed for, as `2026-11-27`.
    day: Option<String>,
    /// `{"text", "code"?: {"system", "code"}, "resource"?, "place"?}`.
    #[schema(value_type = Option<Object>)]
    service: Option<Billable>,
    /// `{"value": "120.00", "currency": "EUR"}`.
    #[schema(value_type = Option<Object>)]
    amount: Option<Sum>,
    /// Of the texts (BCP 47).
    language: Option<String>,
    /// Kind 15.
    #[schema(value_type = Option<Object>)]
    report: Option<Report>,
    /// `medtrail/claim-v1`, act `billed`.
    #[schema(value_type = Option<Object>)]
    details: Option<Box<RawValue>>,
    /// 65 bytes, by a key of the payer.
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
}

/// Says that something was billed for a person, who is asked whether they had it. 201; 200 if it
/// stands already.
#[utoipa::path(post, path = "/v1/claims", operation_id = "claim", tag = "claims",
    request_body = Billing, responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/claims")]
pub(super) async fn bill(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let payer = caller.organisation(&state)?;
    let body = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Billing {
        id,
        subject,
        patient,
        day,
        service,
        amount,
        language,
        report,
        details,
        signature,
    } = body;
    let is_plain = id.is_some() || subject.is_some() || patient.is_some() || day.is_some();
    let is_plain = is_plain || service.is_some() || amount.is_some() || language.is_some();
    if let Said::Signed(submission) = Said::of(report, details, signature, is_plain)? {
        return Ok(Noted::answer(state.service.bill_signed(payer, *submission).await?));
    }
    let id = required("id", id)?;
    if !(1..=200).contains(&id.len()) {
        let told = "id has 1 to 200 bytes";
        return Err(Problem::new(&problem::INVALID_FIELD, told).at("id"));
    }
    let day = required("day", day)?;
    let service = required("service", service)?;
    Said::require_api_key(&caller)?;
    let subject = match (subject, patient) {
        (Some(subject), None) => subject,
        (None, Some(patient)) => {
            let asked = state.clone();
            let key = blocking(move || Ok::<_, Problem>(asked.service.key_of(payer))).await?;
            let key = key.ok_or_else(|| {
                Problem::new(&problem::STORAGE, "the organisation's key could not be read")
            })?;
            pseudonym(&key, patient.as_bytes())
        }
        _ => {
            let told = "either subject or patient says for whom";
            return Err(Problem::new(&problem::INVALID_FIELD, told).at("subject"));
        }
    };
    let mut billed = Billed::new(day, service);
    (billed.amount, billed.language) = (amount, language);
    Ok(Noted::answer(state.service.bill(payer, subject, id, billed).await?))
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, Problem> {
    let missing = || Problem::new(&problem::INVALID_FIELD, format!("{field} is missing")).at(field);
    value.ok_or_else(missing)
}

/// Claims, newest first.
#[derive(Serialize, ToSchema)]
struct Claims {
    /// `medtrail/claims-v1`.
    version: &'static str,
    claims: Vec<Claim>,
    /// The `before` of the next page.
    next: Option<u64>,
}

/// Something that was billed, and what the person says to it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BilledClaim)]
struct Claim {
    /// The commitment of its line.
    #[schema(value_type = String)]
    id: B256,
    /// Its line.
    index: u64,
    #[schema(value_type = String)]
    subject: B256,
    /// Who billed it.
    organisation: Named,
    /// `2026-11-27`.
    day: String,
    /// `{"text", "code"?, "resource"?, "place"?}`.
    #[schema(value_type = Object)]
    service: Billable,
    #[schema(value_type = Option<Object>)]
    amount: Option<Sum>,
    language: Option<String>,
    /// When the log took it, milliseconds since 1970.
    asked_ms: u64,
    /// The payer signed it; else it came by its API key.
    signed: bool,
    /// `open` or `answered`.
    state: &'static str,
    answer: Option<Answer>,
    /// For its person only: lines of that day, by others than the payer, that may account for it. A
    /// hint and no more: none may mean that nobody reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounted_for_by: Option<Vec<u64>>,
}

/// What the person says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClaimAnswer)]
struct Answer {
    /// Its line.
    index: u64,
    /// `yes` (I had it) or `no` (that was not me).
    #[schema(value_type = String)]
    answer: Reply,
    text: Option<String>,
    language: Option<String>,
    /// When the log took it, milliseconds since 1970.
    at_ms: u64,
}

/// What was billed for a person, or by a payer, and what the person says to it.
#[utoipa::path(get, path = "/v1/claims", operation_id = "claims", tag = "claims",
    params(Listed), responses((status = 200, body = Claims)))]
#[routes]
#[get("/v1/claims")]
#[head("/v1/claims")]
pub(super) async fn list(
    listed: Result<Query<Listed>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Whom { whose, wish } = Whom::of(&caller, listed, &state).await?;
    let asked = state.clone();
    let read = move || {
        let (views, next) = asked.service.claims(whose, Wish { claims: true, ..wish })?;
        let claims = views.into_iter().map(|view| claim(&asked, whose, view));
        Ok::<_, Problem>((claims.collect::<Result<Vec<_>, Problem>>()?, next))
    };
    let (claims, next) = blocking(read).await?;
    Ok(json(&Claims { version: VERSION, claims, next }))
}

fn claim(state: &State, whose: Whose, view: ClaimView) -> Result<Claim, Problem> {
    let accounted_for_by = match whose {
        Whose::Person(person) => Some(accounting(state, person.into_word(), &view)?),
        Whose::About(subject) => Some(accounting(state, subject, &view)?),
        Whose::Organisation(_) => None,
    };
    let ClaimView { id, index, asked_ms, subject, organisation, billed, is_signed, reply } = view;
    let answer = reply.map(|(index, at_ms, reply)| Answer {
        index,
        answer: reply.answer,
        text: reply.text,
        language: reply.language,
        at_ms,
    });
    Ok(Claim {
        id,
        index,
        subject,
        organisation: Named::of(state, organisation),
        day: billed.day,
        service: billed.service,
        amount: billed.amount,
        language: billed.language,
        asked_ms,
        signed: is_signed,
        state: if answer.is_some() { "answered" } else { "open" },
        answer,
        accounted_for_by,
    })
}

/// Lines of that day, wherever on earth it was that day, by others than the payer: of data that such
/// a service leaves behind, where the claim names them. Blocks.
fn accounting(state: &State, subject: B256, view: &ClaimView) -> Result<Vec<u64>, Problem> {
    let Some(day_ms) = view.billed.day_ms() else { return Ok(Vec::new()) };
    let query = TrailQuery {
        from_ms: Some(day_ms.saturating_sub(ZONE_MS)),
        until_ms: Some(day_ms + DAY_MS + ZONE_MS),
        kinds: vec![Kind::Access, Kind::Change, Kind::HandOver],
        limit: ACCOUNTING_LINES_MAX,
        ..TrailQuery::default()
    };
    let page = state.service.trail_about(subject, &query)?;
    let names = |_: Address| None;
    let wanted = view.billed.service.resource.as_deref().map(medtrail_fhir::reading::category_of);
    let accounts = |entry: &&medtrail_oracle::opener::Entry| {
        if state.service.may_read(view.organisation, entry) {
            return false;
        }
        let Some(wanted) = wanted else { return true };
        let is_relayed = entry.evidence == Evidence::Relayed;
        let facts = reading(&entry.report, entry.details.as_deref(), is_relayed, &names);
        facts.more || facts.categories.iter().any(|category| category == wanted)
    };
    Ok(page.entries.iter().filter(accounts).map(|entry| entry.index).collect())
}

/// What a person says to a claim.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewClaimAnswer)]
struct Replied {
    /// `yes` (I had it) or `no` (that was not me).
    #[schema(value_type = String)]
    answer: Reply,
    /// At most 2,000 characters.
    text: Option<String>,
    /// Of the text (BCP 47).
    language: Option<String>,
}

/// Says whether one had what was billed: a line that the payer may read. The last answer counts.
#[utoipa::path(post, path = "/v1/claims/{id}/answer", operation_id = "answerClaim", tag = "claims",
    params(("id" = String, Path, description = "The claim")), request_body = Replied,
    responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/claims/{id}/answer")]
pub(super) async fn take_answer(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let person = caller.session()?.address;
    state.rates.document(Client::of(&request))?;
    let replied = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Replied { answer, text, language } = replied;
    let noted = state.service.reply(person, inquiry(&id)?, answer, text, language).await?;
    Ok(Noted::answer(noted))
}
