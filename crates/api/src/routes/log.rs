//! `/log/`: the log as C2SP tlog-tiles. Public: commitments say nothing without their salts.

use crate::answer::blocking;
use crate::limits::{CHECKPOINT_CACHE_S, PARTIAL_TILE_CACHE_S};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, routes};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::tile::{TILE_HASHES, TileId, parse_tile_path};
use medtrail_oracle::service::Service;

/// The newest checkpoint.
#[utoipa::path(get, path = "/log/checkpoint", operation_id = "checkpoint", tag = "log",
    responses((status = 200, description = "A C2SP signed note", content_type = "text/plain")))]
#[routes]
#[get("/log/checkpoint")]
#[head("/log/checkpoint")]
pub(super) async fn checkpoint(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, format!("public, max-age={CHECKPOINT_CACHE_S}")))
        .content_type("text/plain; charset=utf-8")
        .body(state.service.head().checkpoint.clone())
}

/// A bundle of up to 256 commitments.
#[utoipa::path(get, path = "/log/tile/entries/{path}", operation_id = "entryTile", tag = "log",
    params(("path" = String, Path, description = "C2SP tlog-tiles: N, or N.p/W")),
    responses((status = 200, description = "Commitments, each after its length",
        content_type = "application/octet-stream")))]
#[routes]
#[get("/log/tile/entries/{path:.+}")]
#[head("/log/tile/entries/{path:.+}")]
pub(super) async fn entries(
    path: Path<String>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let (index, width) = parse_tile_path(&path).ok_or_else(no_tile)?;
    let id = TileId { level: 0, index };
    serve(state, id, width, move |service| service.entries(index, width)).await
}

/// A tile of the tree.
#[utoipa::path(get, path = "/log/tile/{level}/{path}", operation_id = "tile", tag = "log",
    params(("level" = u8, Path, description = "Level, from 0"),
        ("path" = String, Path, description = "C2SP tlog-tiles: N, or N.p/W")),
    responses((status = 200, description = "Up to 256 hashes",
        content_type = "application/octet-stream")))]
#[routes]
#[get("/log/tile/{level}/{path:.+}")]
#[head("/log/tile/{level}/{path:.+}")]
pub(super) async fn tile(
    asked: Path<(String, String)>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let (level, path) = asked.into_inner();
    let (index, width) = parse_tile_path(&path).ok_or_else(no_tile)?;
    let id = TileId { level: parse_level(&level).ok_or_else(no_tile)?, index };
    serve(state, id, width, move |service| service.tile(id, width)).await
}

async fn serve(
    state: Data<State>,
    id: TileId,
    width: usize,
    read: impl FnOnce(&Service) -> Result<Option<Vec<u8>>, JournalError> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    // The disk may be a commit ahead of the published checkpoint: nothing beyond it is shown.
    if width > id.width_at(state.service.head().size) {
        return Err(no_tile());
    }
    let bytes = blocking(move || read(&state.service)).await?.ok_or_else(no_tile)?;
    let cached = match width {
        TILE_HASHES => "public, max-age=31536000, immutable".to_owned(),
        _ => format!("public, max-age={PARTIAL_TILE_CACHE_S}"),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, cached))
        .content_type("application/octet-stream")
        .body(bytes))
}

/// One spelling for each level, 0 to 63 (C2SP tlog-tiles).
fn parse_level(text: &str) -> Option<u8> {
    let level: u8 = text.parse().ok()?;
    (level <= 63 && level.to_string() == text).then_some(level)
}

fn no_tile() -> Problem {
    Problem::new(&problem::NOT_FOUND, "the log has no tile of this name and width")
}
