//! `/v1/records`: the vault. Whoever signed a version or a look shows it by the signature; who signs
//! in reads their own; an organisation with an API key reads by the operator's word.

mod wire;

pub(super) use wire::{Described, base64, submission};

use crate::answer::{created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::{BATCH_VERSIONS_MAX, DOCUMENT_BYTES_MAX, PURPOSES_MAX, VAULT_BODY_BYTES_MAX};
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::vault::{LABEL_CHARS_MAX, RecordRow, VersionRow};
use medtrail_oracle::vault::{Content, Found, Reader, Written};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wire::{Batch, One, put_of, puts_of};

/// Whose records, and what for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Whose: an address or a pseudonym. A person leaves it out and means themself.
    subject: Option<String>,
    /// What for, as codes of HL7 v3-ActReason, a comma between; of an organisation only.
    purpose: Option<String>,
    /// Which version; the one that counts, if left out.
    version: Option<String>,
}

impl Asked {
    fn purposes(&self) -> Result<Vec<String>, Problem> {
        let codes: Vec<String> = match self.purpose.as_deref() {
            None | Some("") => Vec::new(),
            Some(codes) => codes.split(',').map(str::to_owned).collect(),
        };
        let is_code = |code: &String| (1..=LABEL_CHARS_MAX).contains(&code.len());
        match codes.len() <= PURPOSES_MAX && codes.iter().all(is_code) {
            true => Ok(codes),
            false => {
                let told = format!("at most {PURPOSES_MAX} codes, a comma between");
                Err(Problem::new(&problem::INVALID_QUERY, told).at("purpose"))
            }
        }
    }
}

type AskedQuery = Result<Query<Asked>, actix_web::Error>;

fn asked(query: AskedQuery) -> Result<Asked, Problem> {
    let read = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()));
    Ok(read?.into_inner())
}

/// An id that is none is one more record that does not exist.
fn id(text: &str) -> Result<B256, Problem> {
    text.parse().map_err(|_| Problem::no_such_record())
}

/// The records that somebody may know of.
#[derive(Serialize, ToSchema)]
struct Records {
    /// `medtrail/records-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    subject: B256,
    records: Vec<Listed>,
}

/// A record as a list shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[schema(value_type = String)]
    record: B256,
    /// The subject id under which it is kept: the address, or a pseudonym of before.
    #[schema(value_type = String)]
    subject: B256,
    /// The version that counts; zero: it was deleted.
    #[schema(value_type = String)]
    head: B256,
    /// How many versions there are.
    versions: usize,
    /// The version that counts; of a deleted record the deletion.
    current: Option<Version>,
}

/// A version.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Version {
    /// SHA-256 of its bytes; zero for a deletion.
    #[schema(value_type = String)]
    version: B256,
    /// The one before; zero for the first.
    #[schema(value_type = String)]
    from: B256,
    /// Its line in the log.
    index: u64,
    /// Milliseconds since 1970.
    received_ms: u64,
    /// The key that signed it.
    #[schema(value_type = String)]
    actor: Address,
    /// Whose key that is; none: the person's own, or nobody's here.
    organisation: Option<Named>,
    /// The permission it rests on; zero for the person's own.
    #[schema(value_type = String)]
    permission: B256,
    #[serde(flatten)]
    about: Described,
    bytes: u64,
    /// Its bytes can still be read.
    is_kept: bool,
}

/// An organisation.
#[derive(Serialize, ToSchema)]
pub(super) struct Named {
    #[schema(value_type = String)]
    pub(super) id: Address,
    pub(super) name: String,
}

fn listed(state: &State, found: Found) -> Listed {
    let Found { subject, row } = found;
    let RecordRow { record, head, versions } = row;
    let count = versions.len();
    let current = versions.into_iter().next_back().map(|version| told(state, version));
    Listed { record, subject, head, versions: count, current }
}

fn told(state: &State, row: VersionRow) -> Version {
    let VersionRow { version, from, index, received_ms, actor, permission, about, bytes, is_kept } =
        row;
    let organisation = organisation(state, actor);
    let about = about.into();
    Version {
        version,
        from,
        index,
        received_ms,
        actor,
        organisation,
        permission,
        about,
        bytes,
        is_kept,
    }
}

/// The organisation that has or had a key.
pub(super) fn organisation(state: &State, key: Address) -> Option<Named> {
    state.service.organisation_of(key)?;
    let (id, name) = state.named(key);
    Some(Named { id, name })
}

/// The records of a person: all of them for the person, for others those that a permission lets them
/// search, and then this very request is a line of the person's.
#[utoipa::path(get, path = "/v1/records", operation_id = "records", tag = "records",
    params(Asked), responses((status = 200, body = Records)))]
#[routes]
#[get("/v1/records")]
#[head("/v1/records")]
pub(super) async fn list(
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = asked(query)?;
    let (reader, subject) = caller.reader(&state, asked.subject.as_deref())?;
    let found = state.vault()?.list(reader, subject, asked.purposes()?).await?;
    let records = found.into_iter().map(|found| listed(&state, found)).collect();
    Ok(json(&Records { version: "medtrail/records-v1", subject, records }))
}

/// A record with its versions.
#[derive(Serialize, ToSchema)]
struct Record {
    /// `medtrail/record-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    record: B256,
    #[schema(value_type = String)]
    subject: B256,
    /// The version that counts; zero: it was deleted.
    #[schema(value_type = String)]
    head: B256,
    /// Oldest first.
    versions: Vec<Version>,
}

/// One record and its versions. For others than the person this is a line of the person's.
#[utoipa::path(get, path = "/v1/records/{record}", operation_id = "record", tag = "records",
    params(("record" = String, Path, description = "The record's id"), Asked),
    responses((status = 200, body = Record)))]
#[routes]
#[get("/v1/records/{record}")]
#[head("/v1/records/{record}")]
pub(super) async fn get(
    record: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    Ok(json(&one(&record, query, &caller, &state).await?))
}

/// The versions of a record, oldest first. As for the record itself.
#[utoipa::path(get, path = "/v1/records/{record}/versions", operation_id = "versions",
    tag = "records", params(("record" = String, Path, description = "The record's id"), Asked),
    responses((status = 200, body = Vec<Version>)))]
#[routes]
#[get("/v1/records/{record}/versions")]
#[head("/v1/records/{record}/versions")]
pub(super) async fn list_versions(
    record: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    Ok(json(&one(&record, query, &caller, &state).await?.versions))
}

async fn one(
    record: &str,
    query: AskedQuery,
    caller: &Caller,
    state: &Data<State>,
) -> Result<Record, Problem> {
    let asked = asked(query)?;
    let (reader, subject) = caller.reader(state, asked.subject.as_deref())?;
    let found = state.vault()?.record(reader, subject, id(record)?, asked.purposes()?).await?;
    let Found { subject, row: RecordRow { record, head, versions } } = found;
    let versions = versions.into_iter().map(|version| told(state, version)).collect();
    Ok(Record { version: "medtrail/record-v1", record, subject, head, versions })
}

/// The bytes of a version, once the log has the line that says they were read. By session: the
/// person, or who acts for them. By API key, or a session of an organisation's key: the operator
/// says that it read.
#[utoipa::path(get, path = "/v1/records/{record}/content", operation_id = "content",
    tag = "records", params(("record" = String, Path, description = "The record's id"), Asked),
    responses((status = 200, description = "The bytes; `ETag` is the version",
        content_type = "application/octet-stream")))]
#[routes]
#[get("/v1/records/{record}/content")]
pub(super) async fn read_content(
    record: Path<String>,
    query: AskedQuery,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let asked = asked(query)?;
    let (reader, subject) = caller.reader(&state, asked.subject.as_deref())?;
    let version = match asked.version.as_deref() {
        None => None,
        Some(text) => Some(text.parse::<B256>().map_err(|_| {
            Problem::new(&problem::INVALID_QUERY, "version is 32 bytes in 0x hex").at("version")
        })?),
    };
    let record = id(&record)?;
    let read = state.vault()?.read(reader, subject, record, version, asked.purposes()?).await?;
    Ok(bytes(read))
}

/// The same for an organisation that signs: the report (kind 1, details `medtrail/read-v1`) is the
/// line. Each look is a report of its own.
#[utoipa::path(post, path = "/v1/records/{record}/content", operation_id = "signedContent",
    tag = "records", params(("record" = String, Path, description = "The record's id")),
    request_body = One, responses((status = 200, description = "The bytes; `ETag` is the version",
        content_type = "application/octet-stream")))]
#[post("/v1/records/{record}/content")]
pub(super) async fn signed_read(
    record: Path<String>,
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&request))?;
    let sent: One = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    if sent.content.is_some() {
        let told = "content: nothing is written by a look";
        return Err(Problem::new(&problem::INVALID_FIELD, told).at("content"));
    }
    require_record(&record, sent.report.record)?;
    let submission = submission(sent.report, sent.details.as_deref(), sent.signature);
    let report = &submission.report;
    let (subject, record) = (report.subject, report.record);
    let version = Some(report.toVersion).filter(|version| !version.is_zero());
    let reader = Reader::Signed(Box::new(submission));
    let read = state.vault()?.read(reader, subject, record, version, Vec::new()).await?;
    Ok(bytes(read))
}

/// What browsers may show beside our page's own origin: whatever else, a record is a download. A
/// page that somebody put into a vault must not run here.
const SHOWN: [&str; 6] = [
    "application/fhir+json",
    "application/json",
    "application/pdf",
    "image/jpeg",
    "image/png",
    "text/plain",
];

fn bytes(read: Content) -> HttpResponse {
    let Content { version, bytes, receipt } = read;
    bytes_of(&version.about.media_type, version.version, receipt.index, bytes)
}

/// Bytes of a version, and the line that says who read them.
pub(super) fn bytes_of(
    media_type: &str,
    version: B256,
    index: u64,
    bytes: Vec<u8>,
) -> HttpResponse {
    let shown = SHOWN.into_iter().find(|known| *known == media_type);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, shown.unwrap_or("application/octet-stream")))
        .insert_header((ETAG, format!("\"{version}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_DISPOSITION, "attachment"))
        .insert_header((CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
        .insert_header((HeaderName::from_static("medtrail-entry"), index.to_string()))
        .body(bytes)
}

/// A version that counts.
#[derive(Serialize, ToSchema)]
pub(super) struct Counts {
    /// Its line in the log.
    index: u64,
    #[schema(value_type = String)]
    record: B256,
    #[schema(value_type = String)]
    version: B256,
    /// medtrail/receipt-v1, the place hashed.
    #[schema(value_type = Object)]
    receipt: Receipt,
}

impl From<Written> for Counts {
    fn from(written: Written) -> Self {
        let Written { receipt, record, version, .. } = written;
        Self { index: receipt.index, record, version, receipt }
    }
}

fn require_record(path: &str, report: B256) -> Result<(), Problem> {
    match path.parse::<B256>().is_ok_and(|record| record == report) {
        true => Ok(()),
        false => {
            let told = "report.record: the record of the path";
            Err(Problem::new(&problem::INVALID_FIELD, told).at("report.record"))
        }
    }
}

/// Writes a version, whoever carries it: a report (kind 2, details `medtrail/version-v1`) signed by
/// the person, or by whom they permitted it. 201 if it counts now, 200 if it did already; 403 with a
/// line in the person's trail if nobody permitted it; 409 with the version that counts if it builds
/// on another.
#[utoipa::path(post, path = "/v1/records/{record}/versions", operation_id = "putVersion",
    tag = "records", params(("record" = String, Path, description = "The record's id")),
    request_body = One, responses((status = 201, body = Counts), (status = 200, body = Counts)))]
#[post("/v1/records/{record}/versions")]
pub(super) async fn put(
    record: Path<String>,
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&request))?;
    let sent: One = state.bodies.long_json(VAULT_BODY_BYTES_MAX, &request, payload).await?;
    require_record(&record, sent.report.record)?;
    let written = state.vault()?.put(vec![put_of(sent)?]).await.pop();
    let written = written.unwrap_or(Err(medtrail_oracle::vault::VaultError::NotFound))?;
    let is_new = written.is_new;
    let counts = Counts::from(written);
    Ok(if is_new { created(&counts) } else { json(&counts) })
}

/// What became of each version of a request, in its order.
#[derive(Serialize, ToSchema)]
struct Imported {
    /// Each as for a single one, or the problem that it met.
    #[schema(value_type = Vec<Object>)]
    results: Vec<Outcome>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Written(Box<Counts>),
    Problem(Problem),
}

/// Writes versions of many records of one person under one signature, as a batch of reports is
/// signed. Each stands or falls by itself.
#[utoipa::path(post, path = "/v1/records", operation_id = "putVersions", tag = "records",
    request_body = Batch, responses((status = 200, body = Imported)))]
#[post("/v1/records")]
pub(super) async fn import(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    state.rates.document(Client::of(&request))?;
    let batch: Batch = state.bodies.long_json(VAULT_BODY_BYTES_MAX, &request, payload).await?;
    let puts = puts_of(batch, BATCH_VERSIONS_MAX)?;
    let outcomes = state.vault()?.put(puts).await.into_iter();
    let results = outcomes.map(|outcome| match outcome {
        Ok(written) => Outcome::Written(Box::new(written.into())),
        Err(error) => Outcome::Problem(error.into()),
    });
    Ok(json(&Imported { results: results.collect() }))
}
