//! From records to the files of a delivery: those that were sold, in the form that was sold, and
//! the same bytes whenever it is done again with the same secret.

use crate::harmless::{Removed, Rules, strip};
use crate::manifest::{
    Entry, File, Made, Manifest, Opening, Origin, Original, RECORDS_MAX, VERSION, Whose,
};
use crate::record::{Facts, Record, Word};
use crate::secret::SaleSecret;
use alloy_primitives::B256;
use medtrail_ledger::entry::details_hash;
use medtrail_permit::dataset::{self, Dataset, Form, Layout, Profile};
use medtrail_permit::scopes::{Data, Interactions};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of all records of a delivery, and of all files that are made of them.
pub const BYTES_MAX: usize = 256 << 20;
/// The program, as a manifest names it.
pub(crate) const TOOL: &str = concat!("medtrail ", env!("CARGO_PKG_VERSION"));

/// Which sale is assembled.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    /// The order's id.
    pub order: B256,
    /// What was sold.
    pub dataset: &'a Dataset,
    /// The sale's secret.
    pub secret: &'a SaleSecret,
    /// The year in which it is made; kept with the secret, so that it is the same after a crash.
    pub year: u16,
}

/// What is delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assembly {
    /// The manifest.
    pub manifest: Manifest,
    /// Path and bytes of each file, in the manifest's order.
    pub files: Vec<(String, Vec<u8>)>,
    /// What was not sold, counted for the seller. A buyer is told of `NotHarmless` alone.
    pub left_out: BTreeMap<Reason, u64>,
}

/// Why a record is not part of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Another version counts, or the person permitted none.
    DoesNotCount,
    /// Only the operator says so.
    Relayed,
    /// The person's own, and only signed ones were sold.
    Uploaded,
    /// Nobody can tell what it is about.
    Unread,
    /// Of another type, or marked and the mark was not named.
    OutOfScope,
    /// None of the codes.
    OtherCode,
    /// Not wholly within the period.
    OutOfPeriod,
    /// It could not be made harmless.
    NotHarmless,
}

impl Reason {
    /// In one word, for the seller.
    pub fn word(self) -> &'static str {
        match self {
            Self::DoesNotCount => "does-not-count",
            Self::Relayed => "relayed",
            Self::Uploaded => "uploaded",
            Self::Unread => "unread",
            Self::OutOfScope => "out-of-scope",
            Self::OtherCode => "other-code",
            Self::OutOfPeriod => "out-of-period",
            Self::NotHarmless => "not-harmless",
        }
    }
}

/// Why nothing was assembled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// Its bytes are not those that the log has the hash of.
    #[error("record {0}: its bytes are not those of its version")]
    Altered(B256),
    /// Two versions that both claim to count.
    #[error("record {0} stands there twice")]
    Twice(B256),
    /// More than one delivery holds.
    #[error("more than {RECORDS_MAX} records or {BYTES_MAX} bytes: sell a shorter period")]
    TooMuch,
    /// A delivery of nothing would be paid all the same.
    #[error("no record is what was sold")]
    Nothing {
        /// What is there and was not sold.
        left_out: BTreeMap<Reason, u64>,
    },
}

/// Assembles the files of a sale.
pub fn assemble(sale: &Sale<'_>, records: &[Record<'_>]) -> Result<Assembly, AssembleError> {
    within(sale, records, BYTES_MAX)
}

fn within(
    sale: &Sale<'_>,
    records: &[Record<'_>],
    bytes_max: usize,
) -> Result<Assembly, AssembleError> {
    let Sale { dataset, secret, year, .. } = *sale;
    let part = part(&One { dataset, secret, year, person: None }, records, bytes_max)?;
    let manifest = Manifest {
        version: VERSION.to_owned(),
        order: sale.order,
        dataset: sale.dataset.id(),
        made: part.made,
        files: listed(&part.files),
        records: part.entries,
    };
    Ok(Assembly { manifest, files: part.files, left_out: part.left_out })
}

/// One person's records, and how they are prepared.
#[derive(Clone, Copy)]
pub(crate) struct One<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) secret: &'a SaleSecret,
    pub(crate) year: u16,
    /// What tells this person's files and ids from others' in the same delivery; none: there are
    /// no others.
    pub(crate) person: Option<&'a str>,
}

impl One<'_> {
    fn record_path(&self, number: usize, ending: &str) -> String {
        match self.person {
            Some(person) => format!("person-{person}/{number:06}.{ending}"),
            None => format!("records/{number:06}.{ending}"),
        }
    }

    fn data_path(&self, layout: Layout) -> String {
        match (self.person, layout) {
            (Some(person), Layout::Ndjson) => format!("person-{person}.ndjson"),
            (Some(person), Layout::Bundle) => format!("person-{person}.json"),
            (None, Layout::Ndjson) => "data.ndjson".to_owned(),
            (None, Layout::Bundle) => "bundle.json".to_owned(),
        }
    }

    fn id(&self, number: usize) -> String {
        match self.person {
            Some(person) => format!("{person}-{number}"),
            None => number.to_string(),
        }
    }
}

/// What one person's records become.
pub(crate) struct Part {
    pub(crate) made: Option<Made>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) left_out: BTreeMap<Reason, u64>,
}

/// Prepares one person's records.
pub(crate) fn part(
    one: &One<'_>,
    records: &[Record<'_>],
    bytes_max: usize,
) -> Result<Part, AssembleError> {
    let mut left_out = BTreeMap::new();
    let mut chosen = Vec::new();
    let mut seen = BTreeSet::new();
    for record in records {
        match judge(one.dataset, record)? {
            Ok(_) if !seen.insert(record.record) => {
                return Err(AssembleError::Twice(record.record));
            }
            Ok(facts) => chosen.push((record, facts)),
            Err(reason) => *left_out.entry(reason).or_default() += 1,
        }
    }
    let bytes: usize = chosen.iter().map(|(record, _)| record.bytes.len()).sum();
    if chosen.len() > RECORDS_MAX || bytes > bytes_max {
        return Err(AssembleError::TooMuch);
    }
    // By date or record their order would tell something.
    chosen.sort_by_cached_key(|(record, _)| one.secret.rank(record.record));
    let (made, files, entries) = match one.dataset.form() {
        Form::AsItIs => as_it_is(one, &chosen),
        Form::DeIdentified(profile, layout) => {
            harmless(one, profile, layout, &chosen, &mut left_out)
        }
    };
    if entries.is_empty() {
        return Err(AssembleError::Nothing { left_out });
    }
    // A unit's system is spelt out where it was not, so that less may have become more: an archive
    // that no buyer could read.
    if files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > bytes_max {
        return Err(AssembleError::TooMuch);
    }
    Ok(Part { made, files, entries, left_out })
}

/// Files as a manifest lists them.
pub(crate) fn listed(files: &[(String, Vec<u8>)]) -> Vec<File> {
    let listed = files.iter().map(|(path, bytes)| File {
        path: path.clone(),
        hash: details_hash(bytes),
        bytes: bytes.len() as u64,
    });
    listed.collect()
}

/// Opens the origin of one record of a de-identified delivery, for its buyer or a court.
pub fn opening(secret: &SaleSecret, record: &Record<'_>) -> Opening {
    Opening { original: Original::of(record), blind: secret.blind(record.record) }
}

/// What a record is about, if it is part of what this dataset describes: what a delivery would hold,
/// as it is. None: it is not, for whatever reason.
///
/// # Errors
/// [`AssembleError::Altered`].
pub fn sold(dataset: &Dataset, record: &Record<'_>) -> Result<Option<Data>, AssembleError> {
    Ok(judge(dataset, record)?.ok().map(|facts| facts.data))
}

/// Whether a record was sold.
fn judge(dataset: &Dataset, record: &Record<'_>) -> Result<Result<Facts, Reason>, AssembleError> {
    if !record.counts {
        return Ok(Err(Reason::DoesNotCount));
    }
    match (record.word, dataset.origin()) {
        (Word::Relayed, _) => return Ok(Err(Reason::Relayed)),
        (Word::Uploaded, dataset::Origin::Signed) => return Ok(Err(Reason::Uploaded)),
        _ => {}
    }
    if details_hash(record.bytes) != record.version {
        return Err(AssembleError::Altered(record.record));
    }
    let Some(facts) = record.facts() else { return Ok(Err(Reason::Unread)) };
    let look = Interactions::READ.and(Interactions::SEARCH);
    if !dataset.scopes().iter().any(|scope| scope.allows(look, &facts.data)) {
        return Ok(Err(Reason::OutOfScope));
    }
    let codes = dataset.codes();
    if !codes.is_empty() && !facts.codes.iter().any(|code| codes.contains(code)) {
        return Ok(Err(Reason::OtherCode));
    }
    let period = dataset.period_s();
    let is_within = facts
        .span_s
        .is_none_or(|(from, to)| from >= period.start as i64 && to <= period.end as i64);
    Ok(if is_within { Ok(facts) } else { Err(Reason::OutOfPeriod) })
}

type Parts = (Option<Made>, Vec<(String, Vec<u8>)>, Vec<Entry>);

fn as_it_is(one: &One<'_>, chosen: &[(&Record<'_>, Facts)]) -> Parts {
    let mut files = Vec::with_capacity(chosen.len());
    let mut entries = Vec::with_capacity(chosen.len());
    for (place, (record, _)) in chosen.iter().enumerate() {
        let ending = if record.resource().is_some() { "json" } else { "bin" };
        let path = one.record_path(place + 1, ending);
        files.push((path.clone(), record.bytes.to_vec()));
        entries.push(Entry {
            path,
            number: None,
            word: Whose::of(record),
            origin: Origin::Open(Original::of(record)),
        });
    }
    (None, files, entries)
}

fn harmless(
    one: &One<'_>,
    profile: Profile,
    layout: Layout,
    chosen: &[(&Record<'_>, Facts)],
    left_out: &mut BTreeMap<Reason, u64>,
) -> Parts {
    let days = match profile {
        Profile::SafeHarbor => 0,
        Profile::ShiftedDates => one.secret.days(),
    };
    // A reference may lead to a resource that is dropped; nobody learns more by it than that it was.
    let mut fresh: BTreeMap<(&str, &str), Option<usize>> = BTreeMap::new();
    for (place, (record, facts)) in chosen.iter().enumerate() {
        if let Some(name) = &facts.name {
            let known = fresh.entry((record.source, name)).or_insert(Some(place + 1));
            // Two of one name: a reference to it leads to neither.
            if *known != Some(place + 1) {
                *known = None;
            }
        }
    }
    let mut removed = Removed::default();
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    let path = one.data_path(layout);
    for (place, (record, _)) in chosen.iter().enumerate() {
        let ids = |target: &str| {
            fresh.get(&(record.source, target)).copied().flatten().map(|place| one.id(place))
        };
        let rules = Rules { profile, days, year: i32::from(one.year), ids: &ids };
        let id = one.id(place + 1);
        let out = record.resource().and_then(|text| strip(text, &id, &rules, &mut removed));
        let Some(out) = out else {
            *left_out.entry(Reason::NotHarmless).or_default() += 1;
            continue;
        };
        let mut line = String::new();
        out.write(&mut line);
        lines.push(line);
        entries.push(Entry {
            path: path.clone(),
            number: Some(lines.len() as u64),
            word: Whose::of(record),
            origin: Origin::Hidden(opening(one.secret, record).hidden()),
        });
    }
    let text = match layout {
        Layout::Ndjson => lines.iter().map(|line| format!("{line}\n")).collect(),
        Layout::Bundle => {
            let entries: Vec<String> =
                lines.iter().map(|line| format!(r#"{{"resource":{line}}}"#)).collect();
            format!(
                r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#,
                entries.join(",")
            )
        }
    };
    let made = Made { tool: TOOL.to_owned(), profile, removed };
    (Some(made), vec![(path, text.into_bytes())], entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Proof;

    #[test]
    fn what_grew_beyond_what_a_buyer_can_read_is_not_delivered() {
        let component = r#"{"code":{"coding":[{"system":"http://loinc.org","code":"15074-8"}]},"valueQuantity":{"value":6,"unit":"g"}}"#;
        let text = format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"15074-8"}}]}},"component":[{}]}}"#,
            [component; 50].join(",")
        );
        let told = Data::default();
        let records = [Record {
            record: B256::repeat_byte(1),
            version: details_hash(text.as_bytes()),
            bytes: text.as_bytes(),
            media_type: "application/fhir+json",
            source: "Harbour Hospital",
            word: Word::Uploaded,
            counts: true,
            told: &told,
            time_ms: 1_767_614_400_000,
            proof: Proof { index: 1, commitment: B256::ZERO },
        }];
        let form = Form::DeIdentified(Profile::SafeHarbor, Layout::Ndjson);
        let origin = dataset::Origin::SignedAndUploaded;
        let dataset =
            Dataset::new("patient/*.rs", Vec::new(), 0, 4_102_444_800, form, origin).unwrap();
        let secret = SaleSecret::new([9; 32]);
        let sale = Sale { order: B256::ZERO, dataset: &dataset, secret: &secret, year: 2026 };
        let made = assemble(&sale, &records).unwrap().files[0].1.len();
        assert!(made > text.len(), "{made}");
        let grown = within(&sale, &records, made - 1);
        assert!(matches!(grown, Err(AssembleError::TooMuch)));
        within(&sale, &records, made).unwrap();
    }
}
