//! Reads a request's body: its media type, its length, and how long it may take.

use crate::limits::{CLIENT_BODY_MS_MAX, LONG_BODIES_MAX, Limits};
use crate::problem::{self, Problem};
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, Payload};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What a body of reports is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// One JSON document: a report or a batch.
    Json,
    /// A report a line.
    Ndjson,
}

impl Format {
    /// From `Content-Type`; UTF-8 is the only charset, and nothing is unpacked: a small packed
    /// body could become any length.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let refused = |what: String| Err(Problem::new(&problem::MEDIA_TYPE, what));
        if let Some(encoding) = request.headers().get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return refused(format!("Content-Encoding is {encoding:?}; only identity is taken"));
        }
        let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut parts = header.unwrap_or_default().split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let is_utf8 = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        };
        match essence.to_ascii_lowercase().as_str() {
            "application/json" if parts.all(is_utf8) => Ok(Self::Json),
            "application/x-ndjson" if parts.all(is_utf8) => Ok(Self::Ndjson),
            _ => refused(format!("Content-Type is {:?}", header.unwrap_or("missing"))),
        }
    }
}

/// Reads bodies, few long ones at a time.
#[derive(Debug)]
pub(crate) struct Bodies {
    limits: Limits,
    long: Semaphore,
    stopping: CancellationToken,
}

impl Bodies {
    pub(crate) fn new(limits: Limits, stopping: CancellationToken) -> Self {
        Self { limits, stopping, long: Semaphore::new(LONG_BODIES_MAX) }
    }

    /// The whole body, or why not. Bodies that may become long wait for nobody: above the number
    /// that is read at once the caller is told to come back, so that the memory is bounded.
    pub(crate) async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let _turn = match announced {
            Some(length) if length <= self.limits.body_bytes_max => None,
            Some(length) if length > self.limits.batch_bytes_max() => return Err(self.too_long()),
            _ => Some(self.long.try_acquire().map_err(|_| {
                Problem::new(&problem::BUSY, "too many long bodies are being read just now")
            })?),
        };
        let reading = payload.to_bytes_limited(self.limits.batch_bytes_max());
        let in_time = tokio::time::timeout(Duration::from_millis(CLIENT_BODY_MS_MAX), reading);
        // Nothing of it was handed in yet, so that a server which is to end need not wait for it.
        let Some(read) = self.stopping.run_until_cancelled(in_time).await else {
            return Err(Problem::new(&problem::STOPPED, "the server ends; nothing was written"));
        };
        match read {
            Err(_) => Err(Problem::new(
                &problem::BODY_TOO_SLOW,
                format!("the body was not complete after {CLIENT_BODY_MS_MAX} ms"),
            )),
            Ok(Err(_)) => Err(self.too_long()),
            Ok(Ok(Err(error))) => {
                Err(Problem::new(&problem::MALFORMED_REQUEST, format!("the body ended: {error}")))
            }
            Ok(Ok(Ok(bytes))) => Ok(bytes),
        }
    }

    fn too_long(&self) -> Problem {
        let most = self.limits.batch_bytes_max();
        Problem::new(&problem::BODY_TOO_LONG, format!("a body has at most {most} bytes"))
    }
}
