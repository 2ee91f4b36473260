//! `/v1/market`: what may be sold here and through which contract, and a person's no to all of it.

use crate::answer::json;
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, put, routes};
use alloy_primitives::{Address, B256};
use medtrail_oracle::sales::{Rule, Rules};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What may be sold here.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Market {
    /// `medtrail/market-v1`.
    version: &'static str,
    /// The contract; none: nothing is sold here.
    #[schema(value_type = Option<String>)]
    data_market: Option<Address>,
    /// The contract of calls to many; none: there are none here.
    #[schema(value_type = Option<String>)]
    cohort_market: Option<Address>,
    /// EIP-155.
    chain_id: u64,
    /// Who acts for whom stands there.
    #[schema(value_type = String)]
    consent_registry: Address,
    /// The `log` of an offer.
    #[schema(value_type = String)]
    log: B256,
    rules: Option<Told>,
}

/// What the operator allows, and asks of orders.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Told {
    /// `off`, `de-identified` or `on`, where nothing else is said.
    #[schema(value_type = String)]
    default: Rule,
    /// The same by country of the seller (ISO 3166-1 alpha-2).
    #[schema(value_type = Object)]
    countries: BTreeMap<String, Rule>,
    /// From payment to `deliverBy` at least, seconds; an order that leaves less is not delivered.
    delivery_s_min: u64,
    /// `grace` at least, seconds.
    grace_s_min: u64,
}

impl From<&Rules> for Told {
    fn from(rules: &Rules) -> Self {
        Self {
            default: rules.default,
            countries: rules.countries.clone(),
            delivery_s_min: rules.windows.delivery_s_min,
            grace_s_min: rules.windows.grace_s_min,
        }
    }
}

/// The market of this log.
#[utoipa::path(get, path = "/v1/market", operation_id = "market", tag = "sales",
    responses((status = 200, body = Market)))]
#[routes]
#[get("/v1/market")]
#[head("/v1/market")]
pub(super) async fn get(state: Data<State>) -> HttpResponse {
    let (trust, registries) = (state.service.trust(), state.service.registries());
    let sales = state.extras.sales.as_ref();
    json(&Market {
        version: "medtrail/market-v1",
        data_market: sales.map(|sales| sales.market().data_market),
        cohort_market: state.extras.calls.as_ref().map(|calls| calls.market().cohort_market),
        chain_id: trust.chain_id,
        consent_registry: registries.consent_registry,
        log: trust.log,
        rules: sales.map(|sales| Told::from(sales.rules())),
    })
}

/// What a person wants of sales in general.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wish {
    /// Nothing of theirs is sold, whatever they signed.
    is_out: bool,
}

/// What a person wants of sales in general.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OptOut {
    is_out: bool,
    /// Since when, milliseconds since 1970; none: they never said anything.
    since_ms: Option<u64>,
}

/// Whether whoever is signed in has opted out of all sales.
#[utoipa::path(get, path = "/v1/market/opt-out", operation_id = "optOut", tag = "sales",
    responses((status = 200, body = OptOut)))]
#[routes]
#[get("/v1/market/opt-out")]
#[head("/v1/market/opt-out")]
pub(super) async fn get_opt_out(
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let known = state.sales()?.opt_out(who);
    let (is_out, since_ms) = known.map_or((false, None), |(is_out, at)| (is_out, Some(at)));
    Ok(json(&OptOut { is_out, since_ms }))
}

/// Opts out of all sales, or in again. Deliveries whose key nobody has seen end with it.
#[utoipa::path(put, path = "/v1/market/opt-out", operation_id = "setOptOut", tag = "sales",
    request_body = Wish, responses((status = 200, body = OptOut)))]
#[put("/v1/market/opt-out")]
pub(super) async fn set_opt_out(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let sales = state.sales()?;
    state.rates.document(Client::of(&request))?;
    let Wish { is_out } = state.bodies.json(&request, payload).await?;
    let since_ms = sales.set_opt_out(who, is_out).await?;
    Ok(json(&OptOut { is_out, since_ms: Some(since_ms) }))
}
