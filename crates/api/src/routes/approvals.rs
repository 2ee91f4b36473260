//! `/v1/approvals`: changes that organisations ask people to allow. The person's yes is a document
//! that they sign (`POST /v1/permissions`); no, and taking it back, are said here.

use super::records::{Described, Named, base64, organisation, submission};
use crate::answer::{created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::VAULT_BODY_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::RequestRow;
use medtrail_oracle::vault::{Ask, AskedChange, Side, Standing, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// About whom.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The person who was asked: an address or a pseudonym. Left out by the person themself, and by
    /// the organisation that asked.
    subject: Option<String>,
}

type AskedQuery = Result<Query<Asked>, actix_web::Error>;

fn side(query: AskedQuery, caller: &Caller, state: &State) -> Result<Side, Problem> {
    let read = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    caller.side(state, read.subject.as_deref())
}

/// What somebody else's request is answered like.
fn hidden(error: VaultError) -> Problem {
    match error {
        VaultError::NotFound => Problem::no_such_request(),
        other => other.into(),
    }
}

fn id(text: &str) -> Result<B256, Problem> {
    text.parse().map_err(|_| Problem::no_such_request())
}

/// Requests, newest first.
#[derive(Serialize, ToSchema)]
struct Requests {
    /// `medtrail/change-requests-v1`.
    version: &'static str,
    requests: Vec<Request>,
}

/// A change that an organisation asks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Request {
    /// The request's id.
    #[schema(value_type = String)]
    id: B256,
    #[schema(value_type = String)]
    subject: B256,
    /// Who asks.
    organisation: Option<Named>,
    /// The key that signed: what the approval names as custodian.
    #[schema(value_type = String)]
    custodian: Address,
    #[schema(value_type = String)]
    record: B256,
    /// The version it has; zero: the record is new.
    #[schema(value_type = String)]
    from_version: B256,
    /// The version it is to have; zero: it is to be deleted.
    #[schema(value_type = String)]
    to_version: B256,
    /// In the organisation's words.
    why: String,
    /// What the new version is.
    #[serde(flatten)]
    about: Described,
    bytes: u64,
    /// Milliseconds since 1970.
    asked_ms: u64,
    until_ms: u64,
    /// Its line in the log.
    index: Option<u64>,
    /// `asked`, `approved` (the version may be written), `done`, `declined`, `withdrawn`, `expired`.
    state: &'static str,
    /// The approval's id: what the version names as its permission.
    #[schema(value_type = Option<String>)]
    permission: Option<B256>,
}

fn request(state: &State, asked: AskedChange) -> Request {
    let AskedChange { row, standing, approval } = asked;
    let index = row.state.asked_at();
    let RequestRow { id, subject, custodian, record, why, about, bytes, .. } = row;
    let word = match standing {
        Standing::Asked => "asked",
        Standing::Approved => "approved",
        Standing::Done => "done",
        Standing::Declined => "declined",
        Standing::Withdrawn => "withdrawn",
        Standing::Expired => "expired",
    };
    Request {
        id,
        subject,
        organisation: organisation(state, row.organisation),
        custodian,
        record,
        from_version: row.from,
        to_version: row.to,
        why,
        about: about.into(),
        bytes,
        asked_ms: row.asked_ms,
        until_ms: row.until_ms,
        index,
        state: word,
        permission: approval,
    }
}

/// The requests that concern whoever asks: as the person, or as the organisation.
#[utoipa::path(get, path = "/v1/approvals", operation_id = "changeRequests", tag = "approvals",
    params(Asked), responses((status = 200, body = Requests)))]
#[routes]
#[get("/v1/approvals")]
#[head("/v1/approvals")]
pub(super) async fn list(
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let side = side(query, &caller, &state)?;
    let found = state.vault()?.requests(side).await.map_err(hidden)?;
    let requests = found.into_iter().map(|asked| request(&state, asked)).collect();
    Ok(json(&Requests { version: "medtrail/change-requests-v1", requests }))
}

/// A signed request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Kind 12, action 0, with record and both versions.
    #[schema(value_type = Object)]
    report: Report,
    /// `medtrail/change-request-v1`, act `asked`.
    #[schema(value_type = Object)]
    details: Option<Box<RawValue>>,
    /// The organisation's: r, s, v.
    #[schema(value_type = String)]
    signature: Bytes,
    /// The proposed bytes in base64; none for a deletion.
    content: Option<String>,
}

/// A request that stands.
#[derive(Serialize, ToSchema)]
struct Stands {
    #[schema(value_type = String)]
    id: B256,
    /// Its line in the log.
    index: u64,
    /// medtrail/receipt-v1, the place hashed.
    #[schema(value_type = Object)]
    receipt: Receipt,
}

/// Asks a person for a change. Sending the same again changes nothing.
#[utoipa::path(post, path = "/v1/approvals", operation_id = "askForChange", tag = "approvals",
    request_body = Sent, responses((status = 201, body = Stands)))]
#[post("/v1/approvals")]
pub(super) async fn ask(
    http: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&http))?;
    let sent: Sent = state.bodies.long_json(VAULT_BODY_BYTES_MAX, &http, payload).await?;
    let content = base64(sent.content.as_deref(), "content")?;
    let submission = submission(sent.report, sent.details.as_deref(), sent.signature);
    let (id, receipt) = state.vault()?.ask(Ask { submission, content }).await?;
    Ok(created(&Stands { id, index: receipt.index, receipt }))
}

/// One request, for the two whom it concerns.
#[utoipa::path(get, path = "/v1/approvals/{id}", operation_id = "changeRequest",
    tag = "approvals", params(("id" = String, Path, description = "The request"), Asked),
    responses((status = 200, body = Request)))]
#[routes]
#[get("/v1/approvals/{id}")]
#[head("/v1/approvals/{id}")]
pub(super) async fn get(
    path: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let side = side(query, &caller, &state)?;
    let asked = state.vault()?.request(side, id(&path)?).await.map_err(hidden)?;
    Ok(json(&request(&state, asked)))
}

/// The bytes that a request proposes, while it waits. Those of now are read from the record.
#[utoipa::path(get, path = "/v1/approvals/{id}/content", operation_id = "proposedContent",
    tag = "approvals", params(("id" = String, Path, description = "The request"), Asked),
    responses((status = 200, description = "The bytes; `ETag` is the version they would be",
        content_type = "application/octet-stream")))]
#[routes]
#[get("/v1/approvals/{id}/content")]
pub(super) async fn proposed(
    path: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let side = side(query, &caller, &state)?;
    let (row, bytes) = state.vault()?.proposal(side, id(&path)?).await.map_err(hidden)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((ETAG, format!("\"{}\"", row.to)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .body(bytes))
}

/// The person says no.
#[utoipa::path(post, path = "/v1/approvals/{id}/decline", operation_id = "declineChange",
    tag = "approvals", params(("id" = String, Path, description = "The request"), Asked),
    responses((status = 200, body = Request)))]
#[post("/v1/approvals/{id}/decline")]
pub(super) async fn decline(
    path: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let session = caller.session()?;
    let (who, own) = (session.address, session.address.into_word());
    let side = match side(query, &caller, &state)? {
        named @ Side::Person { .. } => named,
        // A key of an organisation may be a person's too.
        _ => Side::Person { who, subject: own },
    };
    let asked = state.vault()?.end_request(side, id(&path)?).await.map_err(hidden)?;
    Ok(json(&request(&state, asked)))
}

/// The organisation takes it back.
#[utoipa::path(post, path = "/v1/approvals/{id}/withdraw", operation_id = "withdrawChange",
    tag = "approvals", params(("id" = String, Path, description = "The request")),
    responses((status = 200, body = Request)))]
#[post("/v1/approvals/{id}/withdraw")]
pub(super) async fn withdraw(
    path: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let side = Side::Organisation(caller.organisation(&state)?);
    let asked = state.vault()?.end_request(side, id(&path)?).await.map_err(hidden)?;
    Ok(json(&request(&state, asked)))
}
