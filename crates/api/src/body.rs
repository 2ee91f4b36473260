//! Reads a request's body: its media type, its length, and how long it may take.

use crate::client::Client;
use crate::limits::{
    CLIENT_BODY_MS_MAX, KNOWN_CLIENTS_MAX, LONG_BODIES_MAX, Limits, SMALL_BODIES_BYTES_MAX,
    SMALL_BODY_BYTES_MAX, STRANGER_BODY_MS_MAX, STRANGER_BYTES_PER_S,
};
use crate::problem::{self, Problem};
use crate::shares::{Pool, Share};
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use alloy_primitives::Address;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
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
    /// From `Content-Type`; UTF-8 is the only charset, and nothing is unpacked.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        require_unpacked(request)?;
        match essence(request).as_deref() {
            Some("application/json") => Ok(Self::Json),
            Some("application/x-ndjson") => Ok(Self::Ndjson),
            _ => Err(strange(request)),
        }
    }

    /// JSON, by the names that FHIR's clients have for it.
    pub(crate) fn require_fhir(request: &HttpRequest) -> Result<(), Problem> {
        require_unpacked(request)?;
        match essence(request).as_deref() {
            Some("application/fhir+json" | "application/json" | "text/json") => Ok(()),
            _ => Err(strange(request)),
        }
    }
}

fn strange(request: &HttpRequest) -> Problem {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let told = format!("Content-Type is {:?}", header.unwrap_or("missing"));
    Problem::new(&problem::MEDIA_TYPE, told)
}

/// Refuses what is packed: a small packed body could become any length.
fn require_unpacked(request: &HttpRequest) -> Result<(), Problem> {
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let told = format!("Content-Encoding is {encoding:?}; only identity is taken");
            Err(Problem::new(&problem::MEDIA_TYPE, told))
        }
        _ => Ok(()),
    }
}

/// The media type in lower case; `None` where its charset is not UTF-8.
fn essence(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = header.unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    parts.all(is_utf8).then_some(essence)
}

/// Whose bytes are being read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Sender {
    /// Known by an address alone.
    Client(Client),
    /// Known by its API key.
    Organisation(Address),
}

/// Reads bodies, so many bytes at a time.
///
/// A signed report says only in its body who sends it. So that outsiders with slow bodies cannot
/// keep organisations out, one sender holds a part of the bytes at most, and so do all strangers
/// together: those from whose address no organisation has spoken yet.
#[derive(Debug)]
pub(crate) struct Bodies {
    limits: Limits,
    long: Pool<Sender>,
    small: Pool<Sender>,
    known: RwLock<HashSet<Client>>,
    stopping: CancellationToken,
}

impl Bodies {
    pub(crate) fn new(limits: Limits, stopping: CancellationToken) -> Self {
        Self {
            limits,
            stopping,
            long: Pool::new(limits.batch_bytes_max().saturating_mul(LONG_BODIES_MAX)),
            small: Pool::new(SMALL_BODIES_BYTES_MAX),
            known: RwLock::default(),
        }
    }

    /// Remembers that an organisation or the operator has spoken from there, by something fresh:
    /// what was signed before could be repeated by anybody who saw it.
    pub(crate) fn know(&self, client: Client) {
        if self.knows(client) {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_CLIENTS_MAX
            && let Some(any) = known.iter().next().copied()
        {
            // Whoever is forgotten is known again by its next report.
            known.remove(&any);
        }
        known.insert(client);
    }

    fn knows(&self, client: Client) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&client)
    }

    /// The whole body, or why not. Bodies wait for nobody: above what is read at once the caller is
    /// told to come back, so that the memory is bounded.
    pub(crate) async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        self.of_client(&self.long, self.limits.batch_bytes_max(), request, payload).await
    }

    /// The same, of an organisation that has shown its API key.
    pub(crate) async fn read_of(
        &self,
        organisation: Address,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        let share = self.long.share(Sender::Organisation(organisation), true);
        self.shared(share, self.limits.batch_bytes_max(), request, payload).await
    }

    /// A small body, whatever it is.
    pub(crate) async fn small(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        self.of_client(&self.small, SMALL_BODY_BYTES_MAX, request, payload).await
    }

    async fn of_client(
        &self,
        pool: &Pool<Sender>,
        most: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        let client = Client::of(request);
        let share = pool.share(Sender::Client(client), self.knows(client));
        self.shared(share, most, request, payload).await
    }

    async fn shared(
        &self,
        share: Share<'_, Sender>,
        most: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Bytes, Problem> {
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(too_long(most));
        }
        // Nothing of it was handed in yet, so that a server which is to end need not wait for it.
        let reading = self.stopping.run_until_cancelled(pieces(share, most, payload)).await;
        reading.unwrap_or_else(|| {
            Err(Problem::new(&problem::STOPPED, "the server ends; nothing was written"))
        })
    }

    /// A small JSON document, read strictly.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<T, Problem> {
        self.json_up_to(SMALL_BODY_BYTES_MAX, request, payload).await
    }

    /// The same of so many bytes at most.
    pub(crate) async fn json_up_to<T: DeserializeOwned>(
        &self,
        most: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<T, Problem> {
        self.json_from(&self.small, most, request, payload).await
    }

    /// The same of a long document, which takes its room from where reports take it.
    pub(crate) async fn long_json<T: DeserializeOwned>(
        &self,
        most: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<T, Problem> {
        self.json_from(&self.long, most, request, payload).await
    }

    async fn json_from<T: DeserializeOwned>(
        &self,
        pool: &Pool<Sender>,
        most: usize,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<T, Problem> {
        if Format::of(request)? != Format::Json {
            return Err(Problem::new(&problem::MEDIA_TYPE, "this is read as application/json"));
        }
        let body = self.of_client(pool, most, request, payload).await?;
        let mut reader = serde_json::Deserializer::from_slice(&body);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let cause = error.into_inner();
            match cause.classify() {
                Category::Data => {
                    let problem = Problem::new(&problem::INVALID_FIELD, cause.to_string());
                    if path == "." { problem } else { problem.at(path) }
                }
                _ => Problem::new(&problem::MALFORMED_JSON, cause.to_string()),
            }
        })?;
        reader.end().map_err(|error| Problem::new(&problem::MALFORMED_JSON, error.to_string()))?;
        Ok(read)
    }
}

/// Counts each piece as it comes: what was only announced is not held yet.
async fn pieces(
    mut share: Share<'_, Sender>,
    most: usize,
    mut payload: Payload,
) -> Result<Bytes, Problem> {
    let begun = Instant::now();
    let mut body = BytesMut::new();
    loop {
        let allowed_ms = body_ms(share.is_known(), body.len());
        let piece = timeout_at(begun + Duration::from_millis(allowed_ms), payload.next()).await;
        let piece = piece.map_err(|_| {
            let told = format!("the body was not complete after {allowed_ms} ms");
            Problem::new(&problem::BODY_TOO_SLOW, told)
        })?;
        let Some(piece) = piece else { return Ok(body.freeze()) };
        let piece = piece.map_err(|error| {
            Problem::new(&problem::MALFORMED_REQUEST, format!("the body ended: {error}"))
        })?;
        if body.len() + piece.len() > most {
            return Err(too_long(most));
        }
        if !share.grow(piece.len()) {
            return Err(Problem::new(&problem::BUSY, "too much is being read just now"));
        }
        body.extend_from_slice(&piece);
    }
}

/// How long a body may take of which so many bytes came, in milliseconds.
fn body_ms(is_known: bool, bytes: usize) -> u64 {
    match is_known {
        true => CLIENT_BODY_MS_MAX,
        false => {
            let earned = bytes as u64 * 1000 / STRANGER_BYTES_PER_S;
            CLIENT_BODY_MS_MAX.min(STRANGER_BODY_MS_MAX + earned)
        }
    }
}

fn too_long(most: usize) -> Problem {
    Problem::new(&problem::BODY_TOO_LONG, format!("this body has at most {most} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_earns_time_by_sending_and_an_organisation_has_all_of_it() {
        assert_eq!(body_ms(false, 0), STRANGER_BODY_MS_MAX);
        assert_eq!(body_ms(false, 2 * STRANGER_BYTES_PER_S as usize), STRANGER_BODY_MS_MAX + 2000);
        assert_eq!(body_ms(false, 4 << 20), CLIENT_BODY_MS_MAX);
        assert_eq!(body_ms(true, 0), CLIENT_BODY_MS_MAX);
    }

    #[test]
    fn only_so_many_clients_are_known() {
        let limits = Limits { body_bytes_max: 1, batch_reports_max: 1 };
        let bodies = Bodies::new(limits, CancellationToken::new());
        let client = |number: u32| Client::at(number.to_be_bytes().into());
        for number in 0..=KNOWN_CLIENTS_MAX as u32 {
            bodies.know(client(number));
            assert!(bodies.knows(client(number)));
        }
        assert_eq!(bodies.known.read().unwrap().len(), KNOWN_CLIENTS_MAX);
    }
}
