//! `/v1/permissions`: anybody carries to the log what a person signed, and the person reads how all
//! of it stands.

use crate::answer::{blocking, created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::receipt::Receipt;
use medtrail_oracle::permissions::{Entered, GivenDocument, OnChain};
use medtrail_permit::documents::{Document, Registries};
use medtrail_permit::permits::State as Stand;
use medtrail_permit::signed::{Signed, VERSION as SIGNED_VERSION};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The version this code writes.
const VERSION: &str = "medtrail/permissions-v1";

/// A document and who signed it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Carried {
    /// `medtrail/permission-v1`.
    version: String,
    /// `{"grant": {…}}`, or `changeApproval`, `revoke`, `revokeAll`, `delegation`, `guardianship`,
    /// `erase`.
    #[schema(value_type = Object)]
    document: Document,
    /// 65 bytes: r, s, v (27 or 28). Left out: it was granted on chain, as a contract wallet must.
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
    /// Of a guardianship: the organisation's.
    #[schema(value_type = Option<String>)]
    countersignature: Option<Bytes>,
}

/// About whom.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whom {
    /// The pseudonym of a person without a key, for whom a guardian signs: the document names its
    /// last 20 bytes only.
    subject: Option<String>,
}

/// Where a document stands in the log.
#[derive(Serialize, ToSchema)]
struct Recorded {
    index: u64,
    /// The document's id.
    #[schema(value_type = String)]
    id: B256,
    /// medtrail/receipt-v1, the place hashed.
    #[schema(value_type = Object)]
    receipt: Receipt,
}

/// Records what a person signed in their trail, whoever carries it. 201 if it was not there yet,
/// 200 if it was: sending it again is always safe.
#[utoipa::path(post, path = "/v1/permissions", operation_id = "recordPermission",
    tag = "permissions", params(Whom), request_body = Carried, responses(
        (status = 201, body = Recorded), (status = 200, body = Recorded)))]
#[post("/v1/permissions")]
pub(super) async fn record(
    request: HttpRequest,
    payload: Payload,
    whom: Result<Query<Whom>, actix_web::Error>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&request))?;
    let whom = whom.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let pseudonym = whom.subject.as_deref().map(str::parse::<B256>).transpose().map_err(|_| {
        Problem::new(&problem::INVALID_QUERY, "subject is a pseudonym, in 32 bytes").at("subject")
    })?;
    let carried = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Carried { version, document, signature, countersignature } = carried;
    if version != SIGNED_VERSION {
        let told = format!("version must be {SIGNED_VERSION}");
        return Err(Problem::new(&problem::INVALID_FIELD, told).at("version"));
    }
    let word = document.word();
    let signed = Signed { document, signature, countersignature };
    let entered = state.service.record_about(signed, pseudonym).await;
    let Entered { id, receipt, is_new } =
        entered.map_err(|error| Problem::of_document(word, error))?;
    let index = receipt.index;
    let recorded = Recorded { index, id, receipt };
    let mut answer = if is_new { created(&recorded) } else { json(&recorded) };
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/entries/{index}")) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// What a wallet must know before it signs: documents of another chain or registry count nowhere.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Signable {
    /// `medtrail/permissions-domain-v1`.
    version: &'static str,
    /// EIP-155.
    chain_id: u64,
    /// `verifyingContract` of grants, approvals and what takes them back (EIP-712 name `Medtrail`,
    /// version `1`).
    #[schema(value_type = String)]
    consent_registry: Address,
    /// `verifyingContract` of delegations, guardianships and erasures.
    #[schema(value_type = String)]
    anchor_registry: Address,
}

/// For which chain and registry permissions are signed here.
#[utoipa::path(get, path = "/v1/permissions", operation_id = "permissionsDomain",
    tag = "permissions", responses((status = 200, body = Signable)))]
#[routes]
#[get("/v1/permissions")]
#[head("/v1/permissions")]
pub(super) async fn domain(state: Data<State>) -> HttpResponse {
    let Registries { chain_id, consent_registry, anchor_registry } = state.service.registries();
    let version = "medtrail/permissions-domain-v1";
    json(&Signable { version, chain_id, consent_registry, anchor_registry })
}

/// What a person gave, and how it stands.
#[derive(Serialize, ToSchema)]
struct Permissions {
    /// `medtrail/permissions-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    subject: B256,
    /// The address that acts for the person now; while the chain is unreadable, the person's own.
    #[schema(value_type = String)]
    controller: Address,
    /// The epoch that a new permission names; while the chain is unreadable, by the log alone.
    epoch: u64,
    /// What was given, newest first, each document once. What takes back shows in their states.
    permissions: Vec<Given>,
    /// `read`, or `unreadable`: then all of this is by the log alone.
    chain: &'static str,
}

/// A document that gives something.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Given {
    #[schema(value_type = String)]
    id: B256,
    /// Its first line.
    index: u64,
    /// When the log received that, milliseconds since 1970.
    received_ms: u64,
    /// `{"grant": {…}}`, or `changeApproval`, `delegation`, `guardianship`.
    #[schema(value_type = Object)]
    document: Document,
    /// None: it was granted on chain only.
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
    /// `standing`; `revoked`; `expired`; `ended` with its epoch, with the right of who gave it, or
    /// by its one use.
    state: &'static str,
    /// When it was taken back, milliseconds since 1970.
    revoked_ms: Option<u64>,
    /// What the ConsentRegistry says of it.
    on_chain: Option<Registered>,
}

/// A document in the ConsentRegistry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Registered {
    /// Seconds since 1970.
    granted_at_s: Option<u64>,
    /// Seconds since 1970.
    revoked_at_s: Option<u64>,
    /// No reorganisation takes any of it back.
    is_final: bool,
}

/// How everything stands that was given for a person: for that person, and for who acts for them with
/// the right SEE.
#[utoipa::path(get, path = "/v1/subjects/{subject}/permissions", operation_id = "permissions",
    tag = "permissions",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes; or who the caller acts for")),
    responses((status = 200, body = Permissions)))]
#[routes]
#[get("/v1/subjects/{subject}/permissions")]
#[head("/v1/subjects/{subject}/permissions")]
pub(super) async fn list(
    subject: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let subject = caller.sees(&state, &subject).await?.subject;
    let overview = blocking(move || state.service.overview_about(subject)).await?;
    Ok(json(&Permissions {
        version: VERSION,
        subject,
        controller: overview.controller,
        epoch: overview.epoch,
        permissions: overview.given.into_iter().map(given).collect(),
        chain: if overview.is_chain_read { "read" } else { "unreadable" },
    }))
}

fn given(given: GivenDocument) -> Given {
    let GivenDocument { id, index, received_ms, signed, state, on_chain } = given;
    let (state, revoked_ms) = match state {
        Stand::Standing => ("standing", None),
        Stand::Revoked { at_ms } => ("revoked", Some(at_ms)),
        Stand::Expired => ("expired", None),
        Stand::Ended => ("ended", None),
    };
    let on_chain = on_chain.map(|OnChain { granted_at_s, revoked_at_s, is_final }| Registered {
        granted_at_s,
        revoked_at_s,
        is_final,
    });
    let Signed { document, signature, .. } = signed;
    Given { id, index, received_ms, document, signature, state, revoked_ms, on_chain }
}
