//! A record that may be sold, and what its own bytes say about it: a claim beside them could be of
//! another record.

use crate::json;
use crate::moment::Moment;
use alloy_primitives::{Address, B256};
use medtrail_permit::confidentiality::Confidentiality;
use medtrail_permit::scopes::Data;
use serde::{Deserialize, Serialize};

/// Whose word a version of a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Word {
    /// The organisation's whose key this is: it signed the entry.
    Signed(Address),
    /// The operator's only: nobody signed. Such a version is never sold.
    Relayed,
    /// The person's own.
    Uploaded,
}

/// Where the entry stands that records a version: what a proof is asked for by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// The entry's place in the log.
    pub index: u64,
    /// Its commitment.
    pub commitment: B256,
}

/// One version of one record, as the vault has it.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Which record.
    pub record: B256,
    /// SHA-256 of the bytes, as the log has it.
    pub version: B256,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Their media type.
    pub media_type: &'a str,
    /// Whose record it is by name: who keeps or made it.
    pub source: &'a str,
    /// Whose word it is.
    pub word: Word,
    /// Whether this is the version that counts: permitted by the person.
    pub counts: bool,
    /// What the log says about it; its bytes may say more, and nothing less.
    pub told: &'a Data,
    /// When it came about, by the log.
    pub time_ms: u64,
    /// Its entry.
    pub proof: Proof,
}

/// What a record is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// `Type/id` of a FHIR resource.
    pub(crate) name: Option<String>,
    pub(crate) data: Data,
    pub(crate) codes: Vec<String>,
    /// The seconds it is about, from one up to before another; none: a person's own details are of
    /// no time.
    pub(crate) span_s: Option<(i64, i64)>,
}

/// Elements that say when a resource happened: the first that stands there counts.
const TIMES: [&str; 14] = [
    "effectiveDateTime",
    "effectiveInstant",
    "effectivePeriod",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "onsetDateTime",
    "onsetPeriod",
    "authoredOn",
    "period",
    "recordedDate",
    "date",
    "issued",
    "created",
];

impl Record<'_> {
    /// Whether its media type says JSON, in any case and with any parameters.
    fn is_json(&self) -> bool {
        let (kind, _) = self.media_type.split_once(';').unwrap_or((self.media_type, ""));
        let kind = kind.trim();
        ["application/fhir+json", "application/json"]
            .iter()
            .any(|json| kind.eq_ignore_ascii_case(json))
    }

    /// Its bytes as text, if they are a FHIR resource in JSON.
    pub(crate) fn resource(&self) -> Option<&str> {
        self.is_json().then(|| std::str::from_utf8(self.bytes).ok()).flatten()
    }

    /// What it is about; none if nobody can tell: then it is not sold.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let at_s = i64::try_from(self.time_ms / 1000).ok()?;
        let told = Facts {
            name: None,
            data: self.told.clone(),
            codes: Vec::new(),
            span_s: Some((at_s, at_s + 1)),
        };
        // JSON that is no text has marks that nobody here reads.
        let Some(text) = self.resource() else { return (!self.is_json()).then_some(told) };
        let members = json::members(text)?;
        let member = |name: &str| json::member(&members, name);
        let kind = member("resourceType").and_then(json::string)?;
        // Types, marks, codes and dates are those of what stands in it, and nobody here reads that.
        if matches!(kind.as_str(), "Bundle" | "Parameters") {
            return None;
        }
        // A label that says something else than the bytes is somebody's mistake, or a trick.
        if self.told.resource.as_ref().is_some_and(|told| *told != kind) {
            return None;
        }
        let mut facts = told;
        facts.name = member("id").and_then(json::string).map(|id| format!("{kind}/{id}"));
        if kind == "Patient" {
            facts.span_s = None;
        }
        facts.data.resource = Some(kind);
        if let Some(meta) = member("meta") {
            marks(meta, &mut facts.data)?;
        }
        for (element, parameter) in [
            ("code", "code"),
            ("vaccineCode", "vaccine-code"),
            ("medicationCodeableConcept", "code"),
        ] {
            if let Some(raw) = member(element) {
                facts.codes.extend(tokens(raw));
                facts.data.parameters.extend(tokens(raw).map(|code| format!("{parameter}={code}")));
            }
        }
        if let Some(raw) = member("category") {
            // An object in some types, a list in others, plain codes in one.
            let items = json::items(raw).unwrap_or_else(|| vec![raw]);
            for item in items {
                facts.data.parameters.extend(tokens(item).map(|code| format!("category={code}")));
            }
        }
        let time = TIMES.iter().find_map(|name| member(name));
        if let Some(raw) = time.filter(|_| facts.span_s.is_some()) {
            facts.span_s = Some(span_s(raw)?);
        }
        Some(facts)
    }
}

fn tokens(concept: &str) -> std::vec::IntoIter<String> {
    let codings = json::members(concept)
        .and_then(|members| json::member(&members, "coding").and_then(json::items))
        .unwrap_or_default();
    let token = |coding: &str| {
        let members = json::members(coding)?;
        let text = |name| json::member(&members, name).and_then(json::string);
        Some(format!("{}|{}", text("system")?, text("code")?))
    };
    let tokens: Vec<String> = codings.into_iter().filter_map(token).collect();
    tokens.into_iter()
}

/// Adds the marks of `meta.security`; none where they cannot be read: unread is not unmarked.
fn marks(meta: &str, data: &mut Data) -> Option<()> {
    use Confidentiality::{L, M, N, R, U, V};
    let members = json::members(meta)?;
    let Some(labels) = json::member(&members, "security") else { return Some(()) };
    for label in json::items(labels)? {
        let members = json::members(label)?;
        let code = json::member(&members, "code").and_then(json::string)?;
        let level = [("U", U), ("L", L), ("M", M), ("N", N), ("R", R), ("V", V)];
        match level.into_iter().find(|(name, _)| *name == code) {
            Some((_, level)) => {
                data.confidentiality = Some(data.confidentiality.unwrap_or(N).max(level));
            }
            None if !data.topics.contains(&code) => data.topics.push(code),
            None => {}
        }
    }
    Some(())
}

/// The span of a moment or a period; none if it has no beginning or is none.
fn span_s(raw: &str) -> Option<(i64, i64)> {
    if let Some(text) = json::string(raw) {
        return Moment::parse(&text)?.span_s();
    }
    let members = json::members(raw)?;
    let end = |name| {
        let Some(raw) = json::member(&members, name) else { return Some(None) };
        Some(Some(Moment::parse(&json::string(raw)?)?.span_s()?))
    };
    let (start, finish) = (end("start")??, end("end")?);
    let until = finish.map_or(start.1, |(_, until)| until);
    (start.0 < until).then_some((start.0, until))
}
