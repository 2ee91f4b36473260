//! `/log/…`: the log as every transparency-log tool reads it (C2SP tlog-tiles).
//!
//! Only commitments and hashes of them are here; anyone may copy all of it.

use crate::answer::blocking;
use crate::limits::{CHECKPOINT_CACHE_S, PARTIAL_TILE_CACHE_S};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, routes};
use medtrail_ledger::tile::{TILE_HASHES, TileId, parse_tile_path};

#[routes]
#[get("/log/checkpoint")]
#[head("/log/checkpoint")]
pub(super) async fn checkpoint(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, format!("public, max-age={CHECKPOINT_CACHE_S}")))
        .body(state.service.head().checkpoint.clone())
}

#[routes]
#[get("/log/tile/{level}/{number:.*}")]
#[head("/log/tile/{level}/{number:.*}")]
pub(super) async fn tile(
    state: Data<State>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (level, number) = path.into_inner();
    let (index, width) = parse_tile_path(&number).ok_or_else(no_tile)?;
    let id = TileId { level: parse_level(&level).ok_or_else(no_tile)?, index };
    serve(state, id, width, move |state| state.service.tile(id, width)).await
}

#[routes]
#[get("/log/tile/entries/{number:.*}")]
#[head("/log/tile/entries/{number:.*}")]
pub(super) async fn entry_bundle(
    state: Data<State>,
    number: Path<String>,
) -> Result<HttpResponse, Problem> {
    let (index, width) = parse_tile_path(&number).ok_or_else(no_tile)?;
    let id = TileId { level: 0, index };
    serve(state, id, width, move |state| state.service.entries(index, width)).await
}

async fn serve(
    state: Data<State>,
    id: TileId,
    width: usize,
    read: impl FnOnce(&State) -> Result<Option<Vec<u8>>, medtrail_ledger::ports::JournalError>
    + Send
    + 'static,
) -> Result<HttpResponse, Problem> {
    // The disk may be a commit ahead of the published checkpoint: nothing beyond it is shown.
    if width > id.width_at(state.service.head().size) {
        return Err(no_tile());
    }
    let bytes = blocking(move || read(&state)).await?.ok_or_else(no_tile)?;
    let cache = match width == TILE_HASHES {
        true => "public, max-age=31536000, immutable".to_owned(),
        false => format!("public, max-age={PARTIAL_TILE_CACHE_S}"),
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CACHE_CONTROL, cache))
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
