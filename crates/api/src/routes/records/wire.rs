//! From the bytes of a body to versions as the vault takes them. Details are the very bytes that
//! stand in the body, as everywhere.

use crate::problem::{self, Problem};
use alloy_primitives::{B256, Bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use medtrail_ledger::entry::{batch_paths, batch_root};
use medtrail_ledger::proof::{BatchEvidence, Evidence};
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::About;
use medtrail_oracle::intake::Submission;
use medtrail_oracle::vault::Put;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A signed report of the vault.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct One {
    #[schema(value_type = Object)]
    pub(super) report: Report,
    /// Hashed byte for byte as it stands here.
    #[schema(value_type = Object)]
    pub(super) details: Option<Box<RawValue>>,
    /// 65 bytes: r, s, v (27 or 28).
    #[schema(value_type = String)]
    pub(super) signature: Bytes,
    /// The version's bytes in base64; none for a deletion.
    pub(super) content: Option<String>,
}

/// Many reports under one signature.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    #[schema(value_type = String)]
    root: B256,
    count: u64,
    #[schema(value_type = String)]
    signature: Bytes,
    items: Vec<Item>,
}

/// One of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    #[schema(value_type = Object)]
    report: Report,
    #[schema(value_type = Object)]
    details: Option<Box<RawValue>>,
    content: Option<String>,
}

/// What a version is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Described {
    title: String,
    media_type: String,
    /// Of FHIR R4.
    resource_type: Option<String>,
    /// U, L, M, N, R or V; none is normal.
    confidentiality: Option<String>,
    /// Codes of sensitive topics.
    topics: Vec<String>,
}

impl From<About> for Described {
    fn from(about: About) -> Self {
        let About { title, media_type, resource_type, confidentiality, topics } = about;
        Self { title, media_type, resource_type, confidentiality, topics }
    }
}

/// Bytes in base64 (RFC 4648 section 4, padded).
pub(crate) fn base64(text: Option<&str>, field: &str) -> Result<Option<Vec<u8>>, Problem> {
    let decoded = text.map(|text| STANDARD.decode(text)).transpose();
    decoded.map_err(|error| {
        Problem::new(&problem::INVALID_FIELD, format!("not base64: {error}")).at(field)
    })
}

pub(crate) fn submission(
    report: Report,
    details: Option<&RawValue>,
    signature: Bytes,
) -> Submission {
    let details = details.map(|details| details.get().as_bytes().to_vec());
    Submission { report, evidence: Evidence::Signed(signature), details }
}

pub(super) fn put_of(sent: One) -> Result<Put, Problem> {
    let content = base64(sent.content.as_deref(), "content")?;
    let submission = submission(sent.report, sent.details.as_deref(), sent.signature);
    Ok(Put { submission, content })
}

pub(super) fn puts_of(batch: Batch, most: usize) -> Result<Vec<Put>, Problem> {
    let Batch { root, count, signature, items } = batch;
    if items.is_empty() || items.len() > most {
        let told = format!("1 to {most} versions are taken at once, these are {}", items.len());
        return Err(Problem::new(&problem::TOO_MANY_REPORTS, told).at("items"));
    }
    if count != items.len() as u64 {
        let told = format!("count is {count}, but {} items were sent", items.len());
        return Err(Problem::new(&problem::COUNT_MISMATCH, told).at("count"));
    }
    let hashes: Vec<B256> = items.iter().map(|item| item.report.hash()).collect();
    let computed = B256::from(batch_root(&hashes));
    if root != computed {
        let told = format!("root is {root}, but that of the items is {computed}");
        return Err(Problem::new(&problem::ROOT_MISMATCH, told).at("root"));
    }
    let numbered = items.into_iter().zip(batch_paths(&hashes)).zip(0..);
    let puts = numbered.map(|((Item { report, details, content }, path), index)| {
        let path = path.into_iter().map(B256::from).collect();
        let signature = signature.clone();
        let evidence = Evidence::Batch(BatchEvidence { count, index, root, path, signature });
        let content = base64(content.as_deref(), &format!("items[{index}].content"))?;
        let details = details.map(|details| details.get().as_bytes().to_vec());
        Ok(Put { submission: Submission { report, evidence, details }, content })
    });
    puts.collect()
}
