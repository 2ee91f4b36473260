//! `/v1/reports`: custodians report.

use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::server::Limits;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, LOCATION};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, post};
use alloy_primitives::{B256, Bytes as Hex};
use medtrail_ledger::entry::{batch_paths, batch_root};
use medtrail_ledger::proof::{BatchEvidence, Evidence, spell};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::service::Service;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One<'a> {
    report: Report,
    /// Hashed as the exact bytes of this JSON value.
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
    signature: Hex,
}

/// Many reports under one signature.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    root: B256,
    count: u64,
    signature: Hex,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    report: Report,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

/// What came of one of many reports.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Receipt(Receipt),
    Problem(Problem),
}

impl From<Result<Receipt, ReportError>> for Outcome {
    fn from(outcome: Result<Receipt, ReportError>) -> Self {
        match outcome {
            Ok(receipt) => Self::Receipt(receipt),
            Err(error) => Self::Problem(Problem::from(&error)),
        }
    }
}

/// Takes one report, a signed batch, or a line for each report. The event id is the idempotency
/// key: the same report sent again gets the same place.
#[post("/v1/reports")]
pub(super) async fn post(
    request: HttpRequest,
    body: Bytes,
    service: Data<Service>,
    limits: Data<Limits>,
    metrics: Data<Metrics>,
) -> Result<HttpResponse, Problem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        Some("application/json") if is_batch(&body) => {
            many(batch(&body, &limits)?, &service, &metrics).await.map(json)
        }
        Some("application/json") => one(&body, &service, &limits, &metrics).await,
        Some("application/x-ndjson") => {
            let submissions = lines(&body, &limits)?;
            many(submissions, &service, &metrics).await.map(|outcomes| ndjson(&outcomes))
        }
        _ => {
            let detail = "Content-Type must be application/json or application/x-ndjson.";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Problem::new(status, "media-type", "Unsupported media type", detail))
        }
    }
}

async fn one(
    body: &[u8],
    service: &Service,
    limits: &Limits,
    metrics: &Metrics,
) -> Result<HttpResponse, Problem> {
    if body.len() > limits.body_bytes_max {
        let (found, max) = (body.len(), limits.body_bytes_max);
        return Err(Problem::too_large(format!("The body has {found} bytes; at most {max}.")));
    }
    let One { report, details, signature } = read(body)?;
    let outcome = service.report(submission(report, details, Evidence::Signed(signature))).await;
    metrics.reported(&outcome);
    let receipt = outcome.map_err(|error| Problem::from(&error))?;
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/v1/entries/{}", receipt.index)))
        .content_type("application/json")
        .body(spell(&receipt)))
}

async fn many(
    submissions: Vec<Result<Submission, Problem>>,
    service: &Service,
    metrics: &Metrics,
) -> Result<Vec<Outcome>, Problem> {
    let mut unreadable = Vec::new();
    let mut readable = Vec::with_capacity(submissions.len());
    for (place, submission) in submissions.into_iter().enumerate() {
        match submission {
            Ok(submission) => readable.push(submission),
            Err(problem) => unreadable.push((place, problem)),
        }
    }
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(readable.len() + unreadable.len());
    for outcome in service.reports(readable).await {
        metrics.reported(&outcome);
        outcomes.push(outcome.into());
    }
    for (place, problem) in unreadable {
        outcomes.insert(place, Outcome::Problem(problem));
    }
    Ok(outcomes)
}

fn submission(report: Report, details: Option<&RawValue>, evidence: Evidence) -> Submission {
    let details = details.map(|value| value.get().as_bytes().to_vec());
    Submission { report, evidence, details }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::unreadable(&error))
}

/// Whether the object has `items`; whatever else is wrong with it is said when it is read.
fn is_batch(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Shape<'a> {
        #[serde(borrow)]
        items: Option<&'a RawValue>,
    }
    serde_json::from_slice::<Shape<'_>>(body).is_ok_and(|shape| shape.items.is_some())
}

fn batch(body: &[u8], limits: &Limits) -> Result<Vec<Result<Submission, Problem>>, Problem> {
    let Batch { root, count, signature, items } = read(body)?;
    check_count(items.len(), limits)?;
    if count != items.len() as u64 {
        let detail = format!("count is {count}, but items has {}.", items.len());
        return Err(Problem::rule("count", detail));
    }
    let hashes: Vec<B256> = items.iter().map(|item| item.report.hash()).collect();
    let computed = B256::from(batch_root(&hashes));
    if computed != root {
        let detail =
            format!("root is {root}, but the RFC 9162 root of the report hashes is {computed}.");
        return Err(Problem::rule("root", detail));
    }
    let paths = batch_paths(&hashes);
    let with_place = |(index, (item, path)): (usize, (Item<'_>, Vec<[u8; 32]>))| {
        let evidence = Evidence::Batch(BatchEvidence {
            count,
            index: index as u64,
            root,
            path: path.into_iter().map(B256::from).collect(),
            signature: signature.clone(),
        });
        Ok(submission(item.report, item.details, evidence))
    };
    Ok(items.into_iter().zip(paths).enumerate().map(with_place).collect())
}

fn lines(body: &[u8], limits: &Limits) -> Result<Vec<Result<Submission, Problem>>, Problem> {
    let lines: Vec<&[u8]> = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .collect();
    check_count(lines.len(), limits)?;
    let one = |line: &&[u8]| {
        let One { report, details, signature } = read(line)?;
        Ok(submission(report, details, Evidence::Signed(signature)))
    };
    Ok(lines.iter().map(one).collect())
}

fn check_count(found: usize, limits: &Limits) -> Result<(), Problem> {
    let max = limits.batch_reports_max;
    match found {
        0 => Err(Problem::rule("items", "There is no report in this.")),
        found if found > max => {
            Err(Problem::too_large(format!("There are {found} reports in this; at most {max}.")))
        }
        _ => Ok(()),
    }
}

fn json(outcomes: Vec<Outcome>) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "outcomes": outcomes }))
}

fn ndjson(outcomes: &[Outcome]) -> HttpResponse {
    let mut body = Vec::new();
    for outcome in outcomes {
        // A receipt or a problem always has a JSON form.
        body.extend(serde_json::to_vec(outcome).unwrap_or_default());
        body.push(b'\n');
    }
    HttpResponse::Ok().content_type("application/x-ndjson").body(body)
}
