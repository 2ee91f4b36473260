//! A sealed file, whole or in pieces (RFC 9110 section 14), for whoever may have it.

use crate::problem::{self, Problem};
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, Header, IF_RANGE, Range,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use medtrail_ledger::directory::SealedFile;
use std::error::Error;

/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// The part that was asked for, read by `piece` (from where, at most how much) as it is sent.
pub(super) fn answer<F, E>(
    request: &HttpRequest,
    file: &SealedFile,
    piece: impl Fn(u64, usize) -> F + 'static,
) -> Result<HttpResponse, Problem>
where
    F: Future<Output = Result<Vec<u8>, E>> + 'static,
    E: Error + 'static,
{
    let etag = format!("\"{:x}\"", file.hash);
    // A piece of another file would spoil what the caller has.
    let is_same =
        request.headers().get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    let range = Range::parse(request).ok().filter(|_| is_same);
    let (status, from, length) = match range {
        // Several at once are answered as if none was asked for.
        Some(Range::Bytes(specs)) if specs.len() == 1 => {
            let Some((from, last)) = specs[0].to_satisfiable_range(file.bytes) else {
                let told = format!("the file has {} bytes", file.bytes);
                return Err(Problem::new(&problem::RANGE, told).at("Range"));
            };
            (StatusCode::PARTIAL_CONTENT, from, last - from + 1)
        }
        _ => (StatusCode::OK, 0, file.bytes),
    };
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((ETAG, etag))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, "private, no-store"));
    if status == StatusCode::PARTIAL_CONTENT {
        let told = format!("bytes {from}-{}/{}", from + length - 1, file.bytes);
        answer.insert_header((CONTENT_RANGE, told));
    }
    let pieces = futures::stream::try_unfold((from, length), move |(from, left)| {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let reading = (left > 0).then(|| piece(from, most));
        async move {
            let Some(reading) = reading else { return Ok::<_, E>(None) };
            let piece = reading.await?;
            let read = piece.len() as u64;
            Ok(Some((Bytes::from(piece), (from + read, left - read))))
        }
    });
    Ok(answer.body(SizedStream::new(length, Box::pin(pieces))))
}
