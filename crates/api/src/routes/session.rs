//! `/v1/session`: signing in with an Ethereum address, and out again.

use crate::answer::{blocking, json};
use crate::caller::{COOKIE, Caller, require_own_page};
use crate::client::Client;
use crate::limits::NONCE_MS_MAX;
use crate::problem::{self, Problem};
use crate::sessions::Session;
use crate::state::State;
use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, delete, post, routes};
use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NonceQuery {
    /// Who is to sign in.
    #[param(value_type = String, example = "0x00000000000000000000000000000000000000a1")]
    address: Address,
}

/// A text to sign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Challenge {
    /// EIP-4361; for `personal_sign`, byte for byte.
    message: String,
    /// Until when it may be signed, milliseconds since 1970.
    expires_ms: u64,
}

/// A signed text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The text of `/v1/session/nonce`.
    message: String,
    /// 65 bytes: r, s, v (27 or 28).
    #[schema(value_type = String)]
    signature: Bytes,
    /// Whether to answer with a token, for programs, and not with a cookie.
    #[serde(default)]
    bearer: bool,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhoAmI {
    #[schema(value_type = String)]
    address: Address,
    /// What this address is here: `person` always; `organisation`, `operator`.
    roles: Vec<&'static str>,
    /// The id of the organisation whose key it is.
    #[schema(value_type = Option<String>)]
    organisation: Option<Address>,
    /// Until when, milliseconds since 1970.
    expires_ms: u64,
    /// For `Authorization: Bearer`; only at sign-in, only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl WhoAmI {
    fn of(session: &Session, state: &State) -> Self {
        let organisation = state.organisation_of(session.address);
        let mut roles = vec!["person"];
        roles.extend(organisation.map(|_| "organisation"));
        roles.extend(state.is_operator(session.address).then_some("operator"));
        let Session { address, expires_ms, .. } = *session;
        Self { address, roles, organisation, expires_ms, token: None }
    }
}

/// A text for an address to sign. Good once, for five minutes.
#[utoipa::path(get, path = "/v1/session/nonce", operation_id = "challenge", tag = "session",
    params(NonceQuery), responses((status = 200, body = Challenge)))]
#[routes]
#[get("/v1/session/nonce")]
#[head("/v1/session/nonce")]
pub(super) async fn nonce(
    request: HttpRequest,
    query: Result<Query<NonceQuery>, actix_web::Error>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let query = query
        .map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()).at("address"))?;
    let from = Client::of(&request);
    state.rates.sign_in(from)?;
    let now_ms = state.now_ms();
    let nonce = state.sessions.nonce(query.address, from, now_ms);
    let message = state.site.message(query.address, &nonce, now_ms).ok_or_else(|| {
        Problem::new(&problem::INTERNAL, "the sign-in message could not be written")
    })?;
    Ok(json(&Challenge { message, expires_ms: now_ms + NONCE_MS_MAX }))
}

/// Signs in with the signed text: by cookie for the page, by token for programs.
#[utoipa::path(post, path = "/v1/session", operation_id = "signIn", tag = "session",
    request_body = SignIn, responses((status = 200, body = WhoAmI)))]
#[post("/v1/session")]
pub(super) async fn open(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let from = Client::of(&request);
    state.rates.sign_in(from)?;
    let sent: SignIn = state.bodies.json(&request, payload).await?;
    if !sent.bearer {
        // Else another site could sign a visitor in as somebody else.
        require_own_page(&request, &state)?;
    }
    let now_ms = state.now_ms();
    let signed = state.site.check(&sent.message, &sent.signature, now_ms)?;
    let address = signed.address;
    // Before the chain is asked: a message that was sent before costs nothing.
    let shown = state.sessions.spend(address, &signed.nonce, now_ms)?;
    let is_official = state.organisation_of(address).is_some() || state.is_operator(address);
    if !is_official {
        require_control(&state, address).await?;
    }
    let of = (!is_official).then_some(from);
    let (token, session) = state.sessions.open(shown, of, now_ms);
    if is_official {
        state.bodies.know(from);
    }
    let mut who = WhoAmI::of(&session, &state);
    if sent.bearer {
        who.token = Some(token);
        return Ok(json(&who));
    }
    let mut answer = json(&who);
    let set = answer.add_cookie(&cookie(token, state.sessions.session_ms() / 1000));
    set.map_err(|_| Problem::new(&problem::INTERNAL, "the cookie could not be written"))?;
    Ok(answer)
}

/// Refuses the key of an address that another key controls by now. With the chain away a person
/// still sees their lines: an outage must not shut everybody out.
async fn require_control(state: &Data<State>, address: Address) -> Result<(), Problem> {
    let service = state.service.clone();
    let look = move || Ok::<_, Problem>(service.has_lost_control(address));
    match blocking(look).await? {
        Ok(false) => Ok(()),
        Ok(true) => {
            let told = "control of this address has moved to another key";
            Err(Problem::new(&problem::CONTROL_LOST, told))
        }
        Err(error) => {
            tracing::warn!("signed in without a look at who controls the address: {error}");
            Ok(())
        }
    }
}

/// Who is signed in.
#[utoipa::path(get, path = "/v1/session", operation_id = "whoAmI", tag = "session",
    responses((status = 200, body = WhoAmI)))]
#[routes]
#[get("/v1/session")]
#[head("/v1/session")]
pub(super) async fn get(caller: Caller, state: Data<State>) -> Result<HttpResponse, Problem> {
    Ok(json(&WhoAmI::of(caller.session()?, &state)))
}

/// Signs out; streams of the session end.
#[utoipa::path(delete, path = "/v1/session", operation_id = "signOut", tag = "session",
    responses((status = 204, description = "Signed out")))]
#[delete("/v1/session")]
pub(super) async fn close(caller: Caller, state: Data<State>) -> Result<HttpResponse, Problem> {
    state.sessions.close(caller.session()?);
    let mut answer = HttpResponse::NoContent().finish();
    let set = answer.add_cookie(&cookie(String::new(), 0));
    set.map_err(|_| Problem::new(&problem::INTERNAL, "the cookie could not be written"))?;
    Ok(answer)
}

fn cookie(token: String, seconds: u64) -> Cookie<'static> {
    Cookie::build(COOKIE, token)
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(Duration::seconds(seconds as i64))
        .finish()
}
