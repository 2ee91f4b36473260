//! `/v1/anchors`: what stands on the chain.

use super::blocking;
use crate::limits::ANCHORS_MAX;
use crate::problem::Problem;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use medtrail_oracle::service::Service;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorsQuery {
    /// Only anchors before this number: where the last answer ended.
    before: Option<u64>,
    limit: Option<usize>,
}

/// Anchors, newest first.
#[get("/v1/anchors")]
pub(super) async fn get(
    query: Query<AnchorsQuery>,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(100).clamp(1, ANCHORS_MAX);
    let before = query.before.unwrap_or(u64::MAX);
    let anchors = blocking(move || service.anchors()).await?;
    let shown: Vec<_> = anchors
        .iter()
        .rev()
        .filter(|record| record.anchor.number < before)
        .take(limit)
        .map(|record| {
            json!({
                "number": record.anchor.number,
                "size": record.anchor.size,
                "root": record.anchor.root,
                "timeS": record.anchor.time_s,
                "tx": record.tx,
                "block": record.block.number,
                "state": if record.is_final { "final" } else { "mined" },
            })
        })
        .collect();
    let last = shown.last().and_then(|anchor| anchor["number"].as_u64());
    let next = last
        .filter(|number| *number > 1)
        .map(|number| format!("/v1/anchors?before={number}&limit={limit}"));
    Ok(HttpResponse::Ok().json(json!({ "anchors": shown, "next": next })))
}
