//! A line: an entry as a page shows it.

use crate::caller::View;
use alloy_primitives::B256;
use medtrail_ledger::directory::CorrectionRow;
use medtrail_ledger::plan::AnchorRecord;
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::{Document, Evidence, ShownPlace};
use medtrail_ledger::schema::Report;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::service::Service;
use serde::Serialize;
use utoipa::ToSchema;

/// The version this code writes.
const VERSION: &str = "medtrail/line-v1";

/// `medtrail/line-v1`. Report, place, details and evidence are spelled as in `medtrail/proof-v1`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// `medtrail/line-v1`.
    version: &'static str,
    /// Index in the log, from 0.
    index: u64,
    /// What was reported.
    #[schema(value_type = Object)]
    report: Report,
    /// `{"open": {…}}` for the subject, `{"hash": "0x…"}` for the reporter.
    #[schema(value_type = Object)]
    place: ShownPlace,
    /// `{"text": …}` or `{"base64": …}`; null if none was sent.
    #[schema(value_type = Option<Object>)]
    details: Option<Document>,
    /// `{"signed": …}`, `{"batch": …}` or `"relayed"`.
    #[schema(value_type = Object)]
    evidence: Evidence,
    /// `recorded`; `mined` once an anchor covers it; `final` once that cannot be reorganised away.
    state: &'static str,
    /// The first anchor that covers it.
    anchor: Option<LineAnchor>,
    /// Who reported it has corrected it, oldest first: shown struck through, with these
    /// beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    corrections: Vec<Corrected>,
    /// The line that this one corrects. A correction without it counts for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<u64>,
}

/// A correction of a line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LineCorrection)]
pub(crate) struct Corrected {
    /// Where it stands.
    index: u64,
    /// The line was about somebody else: its details are not shown to its subject any more.
    wrong_person: bool,
}

/// The anchor that covers a line.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LineAnchor {
    number: u64,
    size: u64,
    #[schema(value_type = String)]
    root: B256,
    time_s: u64,
    #[schema(value_type = String)]
    tx: B256,
    block: u64,
}

/// News about all lines below a size.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnchorNews {
    number: u64,
    size: u64,
    state: &'static str,
    tx: B256,
    block: u64,
    time_s: u64,
}

impl Line {
    /// The line of an entry, as it stands now. Blocks.
    pub(crate) fn read(service: &Service, entry: Entry, view: View) -> Result<Self, JournalError> {
        let covering = service.anchor_of(entry.index)?;
        let Entry { index, report, place, evidence, details } = entry;
        let corrected =
            |row: CorrectionRow| Corrected { index: row.by, wrong_person: row.is_wrong_person };
        let corrections = service.corrections_of(index);
        // The entry was read before: a correction that came in between is told here, and what it says
        // is another's must not stand beside it.
        let is_of_another =
            view == View::Opened && corrections.iter().any(|row| row.is_wrong_person);
        let details = details.filter(|_| !is_of_another);
        Ok(Self {
            version: VERSION,
            index,
            report,
            place: match view {
                View::Opened => ShownPlace::Open(place),
                View::PlaceHashed => ShownPlace::Hash(place.hash()),
            },
            details: details.as_deref().map(Document::of),
            evidence,
            state: covering.as_ref().map_or("recorded", |(_, is_final)| word(*is_final)),
            anchor: covering.as_ref().map(|(record, _)| LineAnchor::of(record)),
            corrections: corrections.into_iter().map(corrected).collect(),
            corrects: service.corrected_by(index),
        })
    }
}

impl LineAnchor {
    fn of(AnchorRecord { anchor, tx, block, .. }: &AnchorRecord) -> Self {
        Self {
            number: anchor.number,
            size: anchor.size,
            root: anchor.root,
            time_s: anchor.time_s,
            tx: *tx,
            block: block.number,
        }
    }
}

impl AnchorNews {
    pub(crate) fn of(record: &AnchorRecord, is_final: bool) -> Self {
        let LineAnchor { number, size, time_s, tx, block, .. } = LineAnchor::of(record);
        Self { number, size, state: word(is_final), tx, block, time_s }
    }
}

fn word(is_final: bool) -> &'static str {
    if is_final { "final" } else { "mined" }
}
