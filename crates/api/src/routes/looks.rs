//! `/v1/sales/{order}/records`: what a buyer may look at where it is kept, for as long as the sale
//! gives it. What is shown is what the manifest of a delivery would say, and nothing of the person.

use super::records::bytes_of;
use super::sales::Asked;
use crate::answer::json;
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, routes};
use alloy_primitives::B256;
use medtrail_oracle::vault::{Original, Shown, Whose};
use serde::Serialize;
use utoipa::ToSchema;

/// The records that the buyer of a sale may look at.
#[derive(Serialize, ToSchema)]
struct SoldRecords {
    /// `medtrail/sale-records-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    order: B256,
    /// By record.
    records: Vec<SoldRecord>,
}

/// One of them, in the version that counts now.
#[derive(Serialize, ToSchema)]
struct SoldRecord {
    /// `signedByOrganisation` or `uploadedByPerson`.
    #[schema(value_type = String)]
    word: Whose,
    bytes: u64,
    /// As `origin.open` of a manifest: record, version, mediaType, source, signer and proof.
    #[schema(value_type = Object)]
    origin: Original,
}

impl From<Shown> for SoldRecord {
    fn from(Shown { word, origin, bytes }: Shown) -> Self {
        Self { word, bytes, origin }
    }
}

/// What the buyer may look at, once the log has the line that says it was asked for. For the buyer of
/// a settled sale that gives time for it.
#[utoipa::path(get, path = "/v1/sales/{order}/records", operation_id = "saleRecords", tag = "sales",
    params(("order" = String, Path, description = "The order's id")),
    responses((status = 200, body = SoldRecords)))]
#[routes]
#[get("/v1/sales/{order}/records")]
pub(super) async fn list(
    order: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    // Each reads the whole vault of a person, and is a line.
    state.rates.document(Client::of(&request))?;
    let records = sales.records(who, id).await?.into_iter().map(SoldRecord::from).collect();
    Ok(json(&SoldRecords { version: "medtrail/sale-records-v1", order: id, records }))
}

/// The bytes of one of them, once the log has the line that says they were read. A record that was
/// not sold is answered like one that is not there.
#[utoipa::path(get, path = "/v1/sales/{order}/records/{record}/content",
    operation_id = "saleContent", tag = "sales",
    params(("order" = String, Path, description = "The order's id"),
        ("record" = String, Path, description = "The record's id")),
    responses((status = 200, description = "The bytes; `ETag` is the version",
        content_type = "application/octet-stream")))]
#[routes]
#[get("/v1/sales/{order}/records/{record}/content")]
pub(super) async fn content(
    path: Path<(String, String)>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let (order, record) = path.into_inner();
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    // An id that is none is one more record that is not there.
    let seen = sales.record(who, id, record.parse().unwrap_or_default()).await?;
    let Original { version, media_type, .. } = &seen.shown.origin;
    Ok(bytes_of(media_type, *version, seen.receipt.index, seen.bytes))
}
