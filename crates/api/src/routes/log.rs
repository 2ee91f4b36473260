//! `/log/`: the log as C2SP tlog-tiles. Public: commitments say nothing without their salts.

use super::blocking;
use crate::problem::Problem;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get};
use medtrail_ledger::tile::{TILE_HASHES, TileId, parse_tile_path};
use medtrail_oracle::service::Service;

#[get("/log/checkpoint")]
pub(super) async fn checkpoint(service: Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=1"))
        .content_type("text/plain; charset=utf-8")
        .body(service.head().checkpoint.clone())
}

#[get("/log/tile/entries/{path:.+}")]
pub(super) async fn entries(
    path: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let (index, width) = parse_tile_path(&path).ok_or_else(Problem::not_found)?;
    found(blocking(move || service.entries(index, width)).await?, width)
}

#[get("/log/tile/{level}/{path:.+}")]
pub(super) async fn tile(
    asked: Path<(String, String)>,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let (level, path) = asked.into_inner();
    let parsed: u8 = level.parse().map_err(|_| Problem::not_found())?;
    if parsed > 63 || parsed.to_string() != level {
        return Err(Problem::not_found());
    }
    let (index, width) = parse_tile_path(&path).ok_or_else(Problem::not_found)?;
    let id = TileId { level: parsed, index };
    found(blocking(move || service.tile(id, width)).await?, width)
}

fn found(bytes: Option<Vec<u8>>, width: usize) -> Result<HttpResponse, Problem> {
    let bytes = bytes.ok_or_else(Problem::not_found)?;
    // Neither ever changes; but a partial one is soon of no use.
    let cached = match width {
        TILE_HASHES => "public, max-age=31536000, immutable",
        _ => "public, max-age=3600",
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, cached))
        .content_type("application/octet-stream")
        .body(bytes))
}
