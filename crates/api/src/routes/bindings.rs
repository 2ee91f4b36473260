//! `/v1/bindings`: a pseudonym of an organisation joins a person. The organisation's desk gives
//! out a code, the person signs, the organisation countersigns; two entries record it.

use crate::answer::{blocking, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::schema::Binding;
use medtrail_oracle::bindings::{OwnBinding, Pending, Progress};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json as value};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewCode {
    /// Whom the code is for.
    #[schema(value_type = String)]
    pseudonym: B256,
    /// `SHA-256("medtrail/desk-code" ‖ 0x00 ‖ code)`: the code itself stays at the desk.
    #[schema(value_type = String)]
    code_hash: B256,
    /// Until when it is good, milliseconds since 1970; at most 7 days ahead.
    expires_ms: u64,
}

/// Notes that an organisation's desk gave out a code. Sending it again changes nothing.
#[utoipa::path(post, path = "/v1/bindings/codes", operation_id = "issueCode", tag = "bindings",
    request_body = NewCode, responses((status = 204, description = "Noted")))]
#[post("/v1/bindings/codes")]
pub(super) async fn issue(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let organisation = caller.organisation(&state)?;
    let NewCode { pseudonym, code_hash, expires_ms } = state.bodies.json(&request, payload).await?;
    let by = caller.session().ok().map(|session| session.address);
    state.service.issue_code(organisation, by, pseudonym, code_hash, expires_ms).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// The code from the desk. Blanks, hyphens and case do not count.
    code: String,
}

/// A document to sign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ToSign {
    #[schema(value_type = String)]
    id: B256,
    /// For `eth_signTypedData_v4`.
    #[schema(value_type = Object)]
    typed_data: Value,
    organisation: Named,
    /// Until when it can be signed, milliseconds since 1970.
    expires_ms: u64,
}

/// An organisation by its name.
#[derive(Serialize, ToSchema)]
struct Named {
    #[schema(value_type = String)]
    id: Address,
    name: String,
}

/// The document that joins the code's pseudonym to whoever is signed in. From now on the code is
/// theirs alone.
#[utoipa::path(post, path = "/v1/bindings", operation_id = "claimCode", tag = "bindings",
    request_body = Claim, responses((status = 200, body = ToSign)))]
#[post("/v1/bindings")]
pub(super) async fn claim(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let subject = caller.session()?.address;
    let Claim { code } = state.bodies.json(&request, payload).await?;
    let service = state.service.clone();
    let (id, document) = match blocking(move || service.binding_for(subject, &code)).await {
        Err(problem) if problem.is_wrong_code() => {
            state.rates.guess(Client::of(&request))?;
            return Err(problem);
        }
        other => other?,
    };
    let organisation = state.named(document.custodian);
    let trust = state.service.trust();
    Ok(json(&ToSign {
        id,
        typed_data: typed_data(&document, trust.chain_id, trust.registry),
        organisation: Named { id: organisation.0, name: organisation.1 },
        expires_ms: document.expiresAt * 1000,
    }))
}

/// EIP-712 as wallets take it. Numbers are text where a wallet might round them.
fn typed_data(document: &Binding, chain_id: u64, registry: Address) -> Value {
    let field = |name: &str, r#type: &str| value!({ "name": name, "type": r#type });
    value!({
        "domain": {
            "name": "Medtrail",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": registry,
        },
        "primaryType": "Binding",
        "types": {
            "EIP712Domain": [
                field("name", "string"),
                field("version", "string"),
                field("chainId", "uint256"),
                field("verifyingContract", "address"),
            ],
            "Binding": [
                field("statement", "string"),
                field("subject", "address"),
                field("custodian", "address"),
                field("pseudonym", "bytes32"),
                field("expiresAt", "uint64"),
            ],
        },
        "message": message(document),
    })
}

fn message(document: &Binding) -> Value {
    value!({
        "statement": document.statement,
        "subject": document.subject,
        "custodian": document.custodian,
        "pseudonym": document.pseudonym,
        "expiresAt": document.expiresAt.to_string(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// 65 bytes: r, s, v (27 or 28).
    #[schema(value_type = String)]
    signature: Bytes,
}

/// Takes the person's signature; the organisation's is next.
#[utoipa::path(post, path = "/v1/bindings/{id}/signature", operation_id = "signBinding",
    tag = "bindings", params(("id" = String, Path, description = "The binding")),
    request_body = Signed, responses((status = 204, description = "Signed")))]
#[post("/v1/bindings/{id}/signature")]
pub(super) async fn sign(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let subject = caller.session()?.address;
    let Signed { signature } = state.bodies.json(&request, payload).await?;
    state.service.sign_binding(subject, binding(&id)?, signature).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The entries of a binding.
#[derive(Serialize, ToSchema)]
struct Entered {
    /// Indexes of the last entry of the pseudonym and of the same in the person's own part.
    entries: [u64; 2],
}

/// Takes the organisation's signature over the same document, and enters the binding. May be
/// repeated until it succeeds, and after.
#[utoipa::path(post, path = "/v1/bindings/{id}/countersignature", operation_id = "countersign",
    tag = "bindings", params(("id" = String, Path, description = "The binding")),
    request_body = Signed, responses((status = 200, body = Entered)))]
#[post("/v1/bindings/{id}/countersignature")]
pub(super) async fn countersign(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let organisation = caller.organisation(&state)?;
    let Signed { signature } = state.bodies.json(&request, payload).await?;
    let entries = state.service.countersign(organisation, binding(&id)?, signature).await?;
    Ok(json(&Entered { entries }))
}

/// Bindings, as far as they concern whoever asks.
#[derive(Serialize, ToSchema)]
struct Bindings {
    /// The person's own.
    own: Vec<Own>,
    /// Those that wait for the organisation's signature.
    pending: Vec<Waiting>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Own {
    #[schema(value_type = String)]
    id: B256,
    organisation: Named,
    #[schema(value_type = String)]
    pseudonym: B256,
    /// Until when it can be signed, milliseconds since 1970.
    expires_ms: u64,
    /// `to-sign`, `to-countersign`, `entering`, `entered`; `refused` if another one came first.
    state: &'static str,
    /// Its entries, once they are in the log.
    entries: Option<[u64; 2]>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    #[schema(value_type = String)]
    id: B256,
    /// The hash of its code.
    #[schema(value_type = String)]
    code_hash: B256,
    #[schema(value_type = String)]
    pseudonym: B256,
    /// What the person signed: the message of its typed data.
    #[schema(value_type = Object)]
    document: Value,
    /// The person's signature.
    #[schema(value_type = String)]
    signature: Bytes,
    /// Until when it can be countersigned, milliseconds since 1970.
    expires_ms: u64,
}

/// A person's own bindings, and those that wait for the signature of an organisation.
#[utoipa::path(get, path = "/v1/bindings", operation_id = "bindings", tag = "bindings",
    responses((status = 200, body = Bindings)))]
#[routes]
#[get("/v1/bindings")]
#[head("/v1/bindings")]
pub(super) async fn list(caller: Caller, state: Data<State>) -> Result<HttpResponse, Problem> {
    let organisation = caller.organisation(&state);
    let person = caller.session();
    if let (Err(_), Err(nobody)) = (&organisation, person.as_ref()) {
        return Err(Problem::new(nobody.kind, nobody.detail()));
    }
    let own = person.map_or_else(|_| Vec::new(), |one| state.service.own_bindings(one.address));
    let pending = organisation.map_or_else(|_| Vec::new(), |id| state.service.pending_bindings(id));
    Ok(json(&Bindings {
        own: own.into_iter().map(|one| shown(one, &state)).collect(),
        pending: pending.into_iter().map(waiting).collect(),
    }))
}

/// What bound a pseudonym.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Bound {
    /// When, milliseconds since 1970.
    time_ms: u64,
    /// The `medtrail/binding-v1` document with both signatures.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
}

/// By what a pseudonym of the caller's organisation became a person's: for its gateways, which
/// follow a person only where both signatures show it.
#[utoipa::path(get, path = "/v1/bindings/of/{pseudonym}", operation_id = "bindingOf",
    tag = "bindings", params(("pseudonym" = String, Path, description = "The pseudonym")),
    responses((status = 200, body = Bound)))]
#[routes]
#[get("/v1/bindings/of/{pseudonym}")]
#[head("/v1/bindings/of/{pseudonym}")]
pub(super) async fn of(
    pseudonym: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    if let Caller::Organisation(_) = caller {
        let told = "an API key signs nothing: sign in with a key of the organisation";
        return Err(Problem::new(&problem::NO_SIGNING_KEY, told));
    }
    let organisation = caller.organisation(&state)?;
    let (pseudonym, service) = (binding(&pseudonym)?, state.service.clone());
    let bound = blocking(move || service.binding_of(organisation, pseudonym)).await?;
    let details = serde_json::from_slice(&bound.details);
    let details =
        details.map_err(|error| Problem::from(JournalError::Damaged(error.to_string())))?;
    Ok(json(&Bound { time_ms: bound.time_ms, details }))
}

fn shown(own: OwnBinding, state: &State) -> Own {
    let OwnBinding { id, organisation, pseudonym, expires_ms, progress } = own;
    let (word, entries) = match progress {
        Progress::ToSign => ("to-sign", None),
        Progress::ToCountersign => ("to-countersign", None),
        Progress::Entering => ("entering", None),
        Progress::Entered(entries) => ("entered", Some(entries)),
        Progress::Refused => ("refused", None),
    };
    let (_, name) = state.named(organisation);
    let organisation = Named { id: organisation, name };
    Own { id, organisation, pseudonym, expires_ms, state: word, entries }
}

fn waiting(pending: Pending) -> Waiting {
    let Pending { id, document, signature, expires_ms } = pending;
    let (pseudonym, document) = (document.pseudonym, message(&document));
    Waiting { id, code_hash: id, pseudonym, document, signature, expires_ms }
}

/// An id that is none is one more binding that does not exist.
fn binding(id: &str) -> Result<B256, Problem> {
    id.parse().map_err(|_| Problem::no_such_binding())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_sol_types::SolStruct;

    /// What a wallet hashes is made of the types it is sent.
    #[test]
    fn the_types_sent_to_a_wallet_are_those_of_the_schema() {
        let sent = typed_data(&Binding::default(), 4242, Address::ZERO);
        let fields = sent["types"]["Binding"].as_array().unwrap().iter();
        let fields: Vec<_> = fields
            .map(|field| {
                format!("{} {}", field["type"].as_str().unwrap(), field["name"].as_str().unwrap())
            })
            .collect();
        assert_eq!(format!("Binding({})", fields.join(",")), Binding::eip712_encode_type());
        let named: Vec<_> = sent["message"].as_object().unwrap().keys().collect();
        let in_type = sent["types"]["Binding"].as_array().unwrap().iter();
        let mut in_type: Vec<_> = in_type.map(|field| field["name"].as_str().unwrap()).collect();
        in_type.sort_unstable();
        assert_eq!(named, in_type);
    }
}
