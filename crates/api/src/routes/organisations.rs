//! Whose log this is, and who reports to it: the trust file and the directory, invites, enrolment
//! and API keys. Each change of them is an entry of the log, written before it is answered.

use crate::answer::{Document, created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::{HEARD_ROUND_MS, TRUST_CACHE_S};
use crate::problem::Problem;
use crate::sequences::Told;
use crate::state::State;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, delete, post, routes};
use alloy_primitives::{Address, B256};
use medtrail_ledger::proof::spell;
use medtrail_ledger::trust::Key;
use medtrail_oracle::organisations::{Enrolment, Invite, Listed, NewOrganisation, ReportsBy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The trust file: a verifier keeps it, and need not trust this answer twice.
#[utoipa::path(get, path = "/.well-known/medtrail.json", operation_id = "trust",
    tag = "organisations", responses((status = 200, description = "medtrail/trust-v1",
        content_type = "application/json")))]
#[routes]
#[get("/.well-known/medtrail.json")]
#[head("/.well-known/medtrail.json")]
pub(super) async fn file(request: HttpRequest, state: Data<State>) -> HttpResponse {
    Document::new(spell(&*state.service.trust()), TRUST_CACHE_S).answer(&request)
}

/// Everybody who reports here.
#[derive(Serialize, ToSchema)]
struct Directory {
    organisations: Vec<Organisation>,
}

/// Somebody who reports here.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organisation {
    /// Its id, for ever.
    #[schema(value_type = String)]
    id: Address,
    name: String,
    /// Number in a public register.
    #[serde(skip_serializing_if = "Option::is_none")]
    register_number: Option<String>,
    /// Internet domain.
    domain: String,
    /// Signing keys, newest last: `{address, fromMs, untilMs}`.
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Key>,
    /// `signature`, `apiKey` (the operator relays its word) or `nothing` yet.
    reports_by: &'static str,
    /// Since when it is listed, milliseconds since 1970.
    since_ms: u64,
    /// The minute in which a valid report of it last came, milliseconds since 1970.
    last_heard_ms: Option<u64>,
    /// What of its numbered reports came, since this server started; if it numbers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Told>,
}

impl Organisation {
    /// All of it for itself and the operator, else what everybody may know.
    fn of(listed: Listed, is_all: bool, state: &State) -> Self {
        let reports_by = match listed.reports_by {
            ReportsBy::Signature => "signature",
            ReportsBy::ApiKey => "apiKey",
            ReportsBy::Nothing => "nothing",
        };
        let Listed { id, name, register_number, domain, keys, since_ms, last_heard_ms, .. } =
            listed;
        Self {
            id,
            name,
            register_number,
            domain,
            keys,
            reports_by,
            since_ms,
            last_heard_ms: last_heard_ms.map(|ms| ms - ms % HEARD_ROUND_MS),
            coverage: state.sequences.of(id).map(|coverage| coverage.told(is_all)),
        }
    }
}

/// Who reports here, by what, and when they were last heard.
#[utoipa::path(get, path = "/v1/organisations", operation_id = "organisations",
    tag = "organisations", responses((status = 200, body = Directory)))]
#[routes]
#[get("/v1/organisations")]
#[head("/v1/organisations")]
pub(super) async fn list(request: HttpRequest, caller: Caller, state: Data<State>) -> HttpResponse {
    let is_operator = caller.operator(&state).is_ok();
    let own = caller.organisation(&state).ok();
    let listed = state.service.organisations().into_iter();
    let shown = |one: Listed| {
        let is_all = is_operator || own == Some(one.id);
        Organisation::of(one, is_all, &state)
    };
    let directory = Directory { organisations: listed.map(shown).collect() };
    if is_operator || own.is_some() {
        return json(&directory);
    }
    // When somebody was last heard changes all the time: asked for anew, answered by its tag.
    Document::new(spell(&directory), 0).answer(&request)
}

/// An organisation to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct New {
    /// As people know it.
    name: String,
    /// Internet domain.
    domain: String,
    /// Number in a public register.
    register_number: Option<String>,
    /// The key that will enrol, where it is known: no other may.
    #[schema(value_type = Option<String>)]
    address: Option<Address>,
}

/// An invite: whoever shows its code first joins the organisation with a key of their own.
#[derive(Serialize, ToSchema)]
struct Invited {
    /// The organisation.
    #[schema(value_type = String)]
    id: Address,
    invite: InviteShown,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct InviteShown {
    /// For `medtrail gateway init`. The code stands in the fragment, which no server is sent.
    url: String,
    /// Shown this once.
    code: String,
    /// Until when it is good, milliseconds since 1970.
    expires_ms: u64,
}

impl Invited {
    fn of(invite: Invite, state: &State) -> Self {
        let Invite { code, organisation: id, expires_ms } = invite;
        let url = format!("{}/#invite={code}", state.site.url);
        Self { id, invite: InviteShown { url, code, expires_ms } }
    }
}

/// Adds an organisation, and invites its first key. For the operator.
#[utoipa::path(post, path = "/v1/organisations", operation_id = "addOrganisation",
    tag = "organisations", security(("cookie" = []), ("bearer" = [])), request_body = New,
    responses((status = 201, body = Invited)))]
#[post("/v1/organisations")]
pub(super) async fn add(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let New { name, domain, register_number, address } =
        state.bodies.json(&request, payload).await?;
    let new = NewOrganisation { name, domain, register_number, address };
    let invite = state.service.add_organisation(new).await?;
    Ok(created(&Invited::of(invite, &state)))
}

/// Invites a further key of an organisation. For the operator.
#[utoipa::path(post, path = "/v1/organisations/{id}/invites", operation_id = "invite",
    tag = "organisations", params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 201, body = Invited)))]
#[post("/v1/organisations/{id}/invites")]
pub(super) async fn invite_again(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let invite = state.service.invite(organisation(&id)?).await?;
    Ok(created(&Invited::of(invite, &state)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Enrol {
    /// The code of the invite.
    code: String,
}

/// What a key gets when it joins an organisation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    organisation: Organisation,
    /// K: pseudonyms and record ids are made with it. To be kept like a password.
    #[schema(value_type = String)]
    shared_key: B256,
    /// The trust file.
    #[schema(value_type = Object)]
    trust: medtrail_ledger::trust::TrustFile,
}

/// Joins the key that is signed in to the organisation that the code invites. An invite works for
/// one key; the same key may repeat it, and gets the same answer.
#[utoipa::path(post, path = "/v1/enrolments", operation_id = "enrol", tag = "organisations",
    request_body = Enrol, responses((status = 201, body = Enrolled)))]
#[post("/v1/enrolments")]
pub(super) async fn enrol(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let key = caller.session()?.address;
    let Enrol { code } = state.bodies.json(&request, payload).await?;
    let Enrolment { organisation, shared_key, trust } =
        match state.service.enrol(&code, key).await.map_err(Problem::from) {
            Err(problem) if problem.is_wrong_code() => {
                state.rates.guess(Client::of(&request))?;
                return Err(problem);
            }
            other => other?,
        };
    Ok(created(&Enrolled {
        organisation: Organisation::of(organisation, true, &state),
        shared_key: B256::from(shared_key.0),
        trust: (*trust).clone(),
    }))
}

/// A fresh API key.
#[derive(Serialize, ToSchema)]
struct NewKey {
    /// By which it is revoked.
    id: String,
    /// `mtk_…`, for `Authorization: Bearer`. Shown this once.
    key: String,
}

/// A fresh API key for an organisation. What comes by it alone is relayed: the operator's word,
/// and every view says so. For the operator.
#[utoipa::path(post, path = "/v1/organisations/{id}/api-keys", operation_id = "createApiKey",
    tag = "organisations", params(("id" = String, Path, description = "The organisation's id")),
    responses((status = 201, body = NewKey)))]
#[post("/v1/organisations/{id}/api-keys")]
pub(super) async fn create_api_key(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let made = state.service.create_api_key(organisation(&id)?).await?;
    Ok(created(&NewKey { key: made.to_string(), id: made.id }))
}

/// Revokes an API key; from then on it opens nothing. For the operator.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", operation_id = "revokeApiKey",
    tag = "organisations", params(("id" = String, Path, description = "The API key's id")),
    responses((status = 204, description = "Revoked, now or before")))]
#[delete("/v1/api-keys/{id}")]
pub(super) async fn revoke_api_key(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    state.service.revoke_api_key(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id that is none is one more organisation that does not exist.
fn organisation(id: &str) -> Result<Address, Problem> {
    id.parse().map_err(|_| Problem::no_such_organisation())
}
