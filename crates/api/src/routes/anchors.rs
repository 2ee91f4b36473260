//! `/v1/anchors`: what stands on the chain.

use crate::answer::{blocking, json};
use crate::limits::{ANCHORS_MAX, ANCHORS_USUAL};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, routes};
use alloy_primitives::B256;
use medtrail_ledger::plan::AnchorRecord;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AnchorsQuery {
    /// Only anchors before this number: where the last answer ended.
    before: Option<u64>,
    /// Anchors at most, to 1000.
    limit: Option<usize>,
}

/// Anchors, newest first.
#[derive(Serialize, ToSchema)]
struct Anchors {
    anchors: Vec<Anchor>,
    /// Where the older ones are; null if there are none.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Anchor {
    /// The n-th of the log, from 1.
    number: u64,
    /// Entries covered.
    size: u64,
    /// Root over them.
    #[schema(value_type = String)]
    root: B256,
    /// The block's time, in seconds.
    time_s: u64,
    /// The transaction.
    #[schema(value_type = String)]
    tx: B256,
    /// The block's number.
    block: u64,
    /// `mined` can still be reorganised away, `final` cannot.
    state: &'static str,
}

impl From<&AnchorRecord> for Anchor {
    fn from(AnchorRecord { anchor, tx, block, is_final }: &AnchorRecord) -> Self {
        Self {
            number: anchor.number,
            size: anchor.size,
            root: anchor.root,
            time_s: anchor.time_s,
            tx: *tx,
            block: block.number,
            state: if *is_final { "final" } else { "mined" },
        }
    }
}

/// The anchors of the log on the chain, newest first.
#[utoipa::path(get, path = "/v1/anchors", operation_id = "anchors", tag = "log",
    params(AnchorsQuery), responses((status = 200, body = Anchors)))]
#[routes]
#[get("/v1/anchors")]
#[head("/v1/anchors")]
pub(super) async fn get(
    query: Result<Query<AnchorsQuery>, actix_web::Error>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let query = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let limit = query.limit.unwrap_or(ANCHORS_USUAL);
    if !(1..=ANCHORS_MAX).contains(&limit) {
        let rule = format!("limit is {limit}; it must be from 1 to {ANCHORS_MAX}");
        return Err(Problem::new(&problem::INVALID_QUERY, rule).at("limit"));
    }
    let oldest_first = blocking(move || state.service.anchors()).await?;
    let before = query.before.unwrap_or(u64::MAX);
    let end = oldest_first.partition_point(|record| record.anchor.number < before);
    let start = end.saturating_sub(limit);
    let page = &oldest_first[start..end];
    let next = page
        .first()
        .filter(|_| start > 0)
        .map(|oldest| format!("/v1/anchors?before={}&limit={limit}", oldest.anchor.number));
    Ok(json(&Anchors { anchors: page.iter().rev().map(Anchor::from).collect(), next }))
}
