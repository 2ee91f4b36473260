//! From the bytes of a body to reports as the engine takes them.
//!
//! Details are hashed as the very bytes that stand in the body: they are cut out of it, never
//! parsed and written again. Everything else is read strictly: a field unknown here, or one that
//! stands twice, might mean something to whoever signed.

use crate::body::Format;
use crate::limits::Limits;
use crate::problem::{self, Problem};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::{batch_paths, batch_root};
use medtrail_ledger::proof::{BatchEvidence, Evidence};
use medtrail_ledger::schema::Report;
use medtrail_oracle::intake::Submission;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

/// What a body holds.
pub(super) enum Sent {
    One(Box<Submission>),
    /// A signed batch, whose root is right.
    Batch(Vec<Submission>),
    /// A line each, with its number from 1.
    Lines(Vec<(usize, Result<Submission, Problem>)>),
}

impl Sent {
    /// Reports in it, readable or not.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Batch(submissions) => submissions.len(),
            Self::Lines(lines) => lines.len(),
        }
    }

    /// Who is said to have signed each; nobody for lines that could not be read.
    pub(super) fn actors(&self) -> Vec<Option<Address>> {
        let actor = |submission: &Submission| Some(submission.report.actor);
        match self {
            Self::One(submission) => vec![actor(submission)],
            Self::Batch(submissions) => submissions.iter().map(actor).collect(),
            Self::Lines(lines) => {
                lines.iter().map(|(_, line)| line.as_ref().ok().and_then(actor)).collect()
            }
        }
    }
}

/// A report, or a batch of them. Which of the two, and that it is whole, is checked afterwards:
/// serde's untagged enums would copy the details.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    report: Option<Report>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
    signature: Bytes,
    root: Option<B256>,
    count: Option<u64>,
    #[serde(borrow)]
    items: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    report: Report,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

/// Reads a body.
pub(super) fn parse(format: Format, bytes: &[u8], limits: &Limits) -> Result<Sent, Problem> {
    match format {
        Format::Ndjson => lines(bytes, limits),
        Format::Json => {
            let body = from_json(bytes)?;
            if body.items.is_some() {
                return batch(body, limits);
            }
            require_length(bytes, limits)?;
            Ok(Sent::One(Box::new(one(body)?)))
        }
    }
}

fn one(body: Body<'_>) -> Result<Submission, Problem> {
    for (field, stands) in [
        ("root", body.root.is_some()),
        ("count", body.count.is_some()),
        ("items", body.items.is_some()),
    ] {
        if stands {
            let rule = format!("{field} belongs to a batch; here stands one report");
            return Err(Problem::new(&problem::INVALID_FIELD, rule).at(field));
        }
    }
    let report = body.report.ok_or_else(|| missing("report"))?;
    Ok(Submission {
        report,
        evidence: Evidence::Signed(body.signature),
        details: owned(body.details),
    })
}

fn batch(body: Body<'_>, limits: &Limits) -> Result<Sent, Problem> {
    let Body { report, details, signature, root, count, items } = body;
    for (field, stands) in [("report", report.is_some()), ("details", details.is_some())] {
        if stands {
            let rule = format!("{field} belongs into one of the items of a batch");
            return Err(Problem::new(&problem::INVALID_FIELD, rule).at(field));
        }
    }
    let items = items.unwrap_or_default();
    let root = root.ok_or_else(|| missing("root"))?;
    let count = count.ok_or_else(|| missing("count"))?;
    if items.is_empty() {
        let rule = "items is empty; a batch holds one report or more";
        return Err(Problem::new(&problem::INVALID_FIELD, rule).at("items"));
    }
    require_number(items.len(), limits).map_err(|problem| problem.at("items"))?;
    if count != items.len() as u64 {
        let rule = format!("count is {count}, but {} items were sent", items.len());
        return Err(Problem::new(&problem::COUNT_MISMATCH, rule).at("count"));
    }
    let hashes: Vec<B256> = items.iter().map(|item| item.report.hash()).collect();
    let computed = B256::from(batch_root(&hashes));
    if root != computed {
        let rule = format!("root is {root}, but that of the items is {computed}");
        return Err(Problem::new(&problem::ROOT_MISMATCH, rule).at("root"));
    }
    let submissions = items.into_iter().zip(batch_paths(&hashes)).zip(0..).map(
        |((Item { report, details }, path), index)| {
            let path = path.into_iter().map(B256::from).collect();
            let signature = signature.clone();
            let evidence = Evidence::Batch(BatchEvidence { count, index, root, path, signature });
            Submission { report, evidence, details: owned(details) }
        },
    );
    Ok(Sent::Batch(submissions.collect()))
}

fn lines(bytes: &[u8], limits: &Limits) -> Result<Sent, Problem> {
    let numbered = bytes.split(|byte| *byte == b'\n').zip(1..);
    let written: Vec<_> = numbered.filter(|(line, _)| !line.trim_ascii().is_empty()).collect();
    require_number(written.len(), limits)?;
    let read = |line: &[u8]| {
        require_length(line, limits)?;
        one(from_json(line)?)
    };
    Ok(Sent::Lines(written.into_iter().map(|(line, number)| (number, read(line))).collect()))
}

fn require_length(bytes: &[u8], limits: &Limits) -> Result<(), Problem> {
    let (found, most) = (bytes.len(), limits.body_bytes_max);
    if found <= most {
        return Ok(());
    }
    let rule = format!("one report has at most {most} bytes, this has {found}");
    Err(Problem::new(&problem::BODY_TOO_LONG, rule))
}

fn require_number(reports: usize, limits: &Limits) -> Result<(), Problem> {
    let most = limits.batch_reports_max;
    if reports <= most {
        return Ok(());
    }
    let rule = format!("at most {most} reports are taken at once, these are {reports}");
    Err(Problem::new(&problem::TOO_MANY_REPORTS, rule))
}

fn missing(field: &str) -> Problem {
    Problem::new(&problem::INVALID_FIELD, format!("{field} is missing")).at(field)
}

fn owned(details: Option<&RawValue>) -> Option<Vec<u8>> {
    details.map(|details| details.get().as_bytes().to_vec())
}

fn from_json(bytes: &[u8]) -> Result<Body<'_>, Problem> {
    serde_json::from_slice(bytes).map_err(|error| blame(bytes, &error))
}

/// Says which field is to blame. Read a second time for that: the first reading is the one that
/// every good report pays for.
fn blame(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if matches!(error.classify(), Category::Syntax | Category::Eof | Category::Io) {
        return Problem::new(&problem::MALFORMED_JSON, error.to_string());
    }
    let problem = Problem::new(&problem::INVALID_FIELD, error.to_string());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Err(traced) = serde_path_to_error::deserialize::<_, Body<'_>>(&mut reader) else {
        return problem;
    };
    let path = Some(traced.path().to_string()).filter(|path| path != ".");
    // A missing field has no place in the body, and a second one is not looked into: the path ends
    // at the object around it.
    let message = error.to_string();
    let named = ["missing field `", "duplicate field `"]
        .into_iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    let field: Vec<_> = path.as_deref().into_iter().chain(named).collect();
    match field.is_empty() {
        true => problem,
        false => problem.at(field.join(".")),
    }
}
