//! The search parameters of Consent.

use super::Permission;
use crate::event::{Issue, Severity};
use crate::moment;
use crate::search::{
    COUNT_DEFAULT, COUNT_MAX, PARAMETERS_MAX, Parameter, issue, link, parameter, patient_reference,
};
use alloy_primitives::{Address, B256};

/// What may be searched by. Paging is by `_count` and `link.next`.
pub const PARAMETERS: [Parameter; 10] = [
    parameter("_id", "token", "The index of the line that records it."),
    parameter(
        "identifier",
        "token",
        "The document's id (0x and 64 digits): a report's permission.",
    ),
    parameter("patient", "reference", "Patient/me, an address or a pseudonym (0x…)."),
    parameter("patient.identifier", "token", "urn:medtrail:subject|0x…"),
    parameter("status", "token", "active, inactive."),
    parameter(
        "date",
        "date",
        "When the log received it: eq ne ge gt le lt sa eb; may be repeated.",
    ),
    parameter("period", "date", "When it permits: likewise."),
    parameter("actor", "reference", "To whom it is given: an address (0x…)."),
    parameter("actor.identifier", "token", "urn:medtrail:address|0x…"),
    parameter("purpose", "token", "v3-ActReason, as it was signed: TREAT."),
];

const STATUSES: [&str; 6] =
    ["draft", "proposed", "active", "rejected", "inactive", "entered-in-error"];

/// A search, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsentSearch {
    /// Whom it is about; `me` or none: whoever asks.
    pub patient: Option<String>,
    /// Results a page.
    pub count: usize,
    /// Lines below this index only: from `link.next`.
    pub cursor: Option<u64>,
    /// What was not understood, and is told so.
    pub ignored: Vec<Issue>,
    ids: Option<Vec<u64>>,
    identifiers: Option<Vec<B256>>,
    statuses: Option<Vec<String>>,
    actors: Option<Vec<Address>>,
    purposes: Option<Vec<String>>,
    dates: Vec<When>,
    periods: Vec<When>,
    applied: Vec<(String, String)>,
}

/// Reads a search. `is_strict` is `Prefer: handling=strict`: unknown parameters are refused, and
/// not only told.
///
/// # Errors
///
/// Values that cannot be read, and unknown parameters of a strict search.
pub fn read(pairs: &[(String, String)], is_strict: bool) -> Result<ConsentSearch, Vec<Issue>> {
    let mut search = ConsentSearch { count: COUNT_DEFAULT, ..ConsentSearch::default() };
    let mut wrong = Vec::new();
    if pairs.len() > PARAMETERS_MAX {
        let text = format!("At most {PARAMETERS_MAX} parameters.");
        return Err(vec![issue("_", "search.value", Severity::Error, text)]);
    }
    for (name, value) in pairs {
        match search.take(name, value) {
            Ok(true) => search.applied.push((name.clone(), value.clone())),
            Ok(false) => {
                let text = "This parameter is not known here; see metadata.".to_owned();
                let severity = if is_strict { Severity::Error } else { Severity::Warning };
                let list = if is_strict { &mut wrong } else { &mut search.ignored };
                list.push(issue(name, "search.unknown", severity, text));
            }
            Err(text) => wrong.push(issue(name, "search.value", Severity::Error, text.into())),
        }
    }
    if wrong.is_empty() { Ok(search) } else { Err(wrong) }
}

impl ConsentSearch {
    fn take(&mut self, name: &str, value: &str) -> Result<bool, &'static str> {
        match name {
            "_format" | "_pretty" | "_summary" | "_total" => {}
            "_sort" => match value {
                "-date" | "-_id" => {}
                _ => return Err("Only -date: newest first."),
            },
            "_count" => {
                let count: usize = value.parse().map_err(|_| "A number from 0.")?;
                self.count = count.min(COUNT_MAX);
            }
            "_cursor" => {
                self.cursor = Some(value.parse().map_err(|_| "Take it from link.next.")?);
            }
            // An id that is none finds nothing, as one of nothing does.
            "_id" => narrow(&mut self.ids, value, |id| id.parse().ok())?,
            "identifier" => narrow(&mut self.identifiers, value, |id| last(id).parse().ok())?,
            "patient" | "patient:Patient" => self.patient_is(patient_reference(value))?,
            "patient.identifier" | "patient:identifier" => self.patient_is(value.to_owned())?,
            "status" => {
                if value.split(',').any(|one| !STATUSES.contains(&last(one))) {
                    return Err("draft, proposed, active, rejected, inactive or entered-in-error.");
                }
                narrow(&mut self.statuses, value, |one| Some(last(one).to_owned()))?;
            }
            "date" => self.dates.push(When::read(value)?),
            "period" => self.periods.push(When::read(value)?),
            "actor" | "actor.identifier" | "actor:identifier" => {
                narrow(&mut self.actors, value, |one| last(one).parse().ok())?;
            }
            "purpose" => narrow(&mut self.purposes, value, |one| Some(last(one).to_owned()))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn patient_is(&mut self, patient: String) -> Result<(), &'static str> {
        if patient.is_empty() || patient.contains(',') {
            return Err("One patient: Patient/me, or an address or pseudonym (0x…).");
        }
        match &self.patient {
            Some(known) if *known != patient => Err("One patient only."),
            _ => {
                self.patient = Some(patient);
                Ok(())
            }
        }
    }

    /// Whether a permission is among what is searched, the patient apart.
    pub fn admits(&self, permission: &Permission<'_>) -> bool {
        let is_purpose = |one: &String| permission.purposes.contains(&one.as_str());
        self.cursor.is_none_or(|cursor| permission.index < cursor)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&permission.index))
            && self.identifiers.as_ref().is_none_or(|ids| ids.contains(&permission.id))
            && self.actors.as_ref().is_none_or(|all| all.contains(&permission.grantee))
            && self.purposes.as_ref().is_none_or(|all| all.iter().any(is_purpose))
            && self
                .statuses
                .as_ref()
                .is_none_or(|all| all.iter().any(|one| one == permission.status()))
            && self.dates.iter().all(|date| {
                date.fits((permission.recorded_ms, permission.recorded_ms.saturating_add(1)))
            })
            && (self.periods.is_empty()
                || permission
                    .span()
                    .is_some_and(|span| self.periods.iter().all(|period| period.fits(span))))
    }

    /// `link.self`: what was understood, from `base` (`…/fhir/Consent`).
    pub fn self_link(&self, base: &str) -> String {
        link(base, self.applied.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// `link.next`: the same search for lines below `cursor`.
    pub fn next_link(&self, base: &str, cursor: u64) -> String {
        let cursor = cursor.to_string();
        let kept = self.applied.iter().filter(|(name, _)| name != "_cursor");
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        link(base, kept.chain([("_cursor", cursor.as_str())]))
    }
}

/// Any of the values; of a parameter that is repeated, all of its lists.
fn narrow<T: PartialEq>(
    known: &mut Option<Vec<T>>,
    value: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(), &'static str> {
    if value.split(',').all(str::is_empty) {
        return Err("A value is missing.");
    }
    let mut wanted: Vec<T> = value.split(',').filter_map(read).collect();
    if let Some(known) = known {
        wanted.retain(|one| known.contains(one));
    }
    *known = Some(wanted);
    Ok(())
}

/// What stands behind the system of a token, or the type of a reference.
fn last(token: &str) -> &str {
    token.rsplit(['|', '/']).next().unwrap_or_default()
}

/// A date of a search, with its prefix (R4 3.1.1.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct When {
    prefix: Prefix,
    start_ms: u64,
    end_ms: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
}

impl When {
    fn read(value: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "eq, ne, ge, gt, le, lt, sa or eb, then 2026, 2026-11, 2026-11-21 \
                                or 2026-11-21T23:47:00+02:00.";
        let has_prefix = value.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let (prefix, date) =
            if has_prefix { value.split_at_checked(2).ok_or(EXPECTED)? } else { ("eq", value) };
        let prefix = match prefix {
            "eq" => Prefix::Eq,
            "ne" => Prefix::Ne,
            "gt" => Prefix::Gt,
            "lt" => Prefix::Lt,
            "ge" => Prefix::Ge,
            "le" => Prefix::Le,
            "sa" => Prefix::Sa,
            "eb" => Prefix::Eb,
            _ => return Err(EXPECTED),
        };
        // A form turns the `+` of an offset into a blank unless it was escaped.
        let (start, end) = moment::span(&date.replace(' ', "+")).ok_or(EXPECTED)?;
        let ms = |at: i64| at.max(0) as u64;
        Ok(Self { prefix, start_ms: ms(start), end_ms: ms(end) })
    }

    /// Whether a span `[start, end)` fits, as R4 compares spans.
    fn fits(&self, (start_ms, end_ms): (u64, u64)) -> bool {
        let is_within = self.start_ms <= start_ms && end_ms <= self.end_ms;
        let reaches_above = end_ms > self.end_ms;
        let reaches_below = start_ms < self.start_ms;
        match self.prefix {
            Prefix::Eq => is_within,
            Prefix::Ne => !is_within,
            Prefix::Gt => reaches_above,
            Prefix::Lt => reaches_below,
            Prefix::Ge => reaches_above || is_within,
            Prefix::Le => reaches_below || is_within,
            Prefix::Sa => start_ms >= self.end_ms,
            Prefix::Eb => end_ms <= self.start_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::pairs;

    #[test]
    fn spans_are_compared_as_r4_does() {
        let day = 86_400_000;
        let span = (2 * day, 5 * day);
        for (value, fits) in [
            ("1970-01", true),
            ("1970-01-03", false),
            ("ne1970-01-03", true),
            ("gt1970-01-04", true),
            ("gt1970-01-05", false),
            ("ge1970-01-05", false),
            ("ge1970", true),
            ("lt1970-01-03", false),
            ("lt1970-01-04", true),
            ("le1970-01-02", false),
            ("sa1970-01-02", true),
            ("sa1970-01-03", false),
            ("eb1970-01-06", true),
            ("eb1970-01-05", false),
        ] {
            assert_eq!(When::read(value).unwrap().fits(span), fits, "{value}");
        }
        for wrong in ["", "ap1970", "ge", "yesterday", "geé", "1970-13"] {
            assert!(When::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_parameter_that_is_told_is_known_and_others_are_told() {
        for parameter in PARAMETERS {
            let value = match (parameter.kind, parameter.name) {
                ("date", _) => "2026",
                (_, "status") => "active",
                _ => "x",
            };
            let pairs = [(parameter.name.to_owned(), value.to_owned())];
            assert!(read(&pairs, true).is_ok(), "{}", parameter.name);
        }
        let lenient = read(&pairs("category=x&status=active"), false).unwrap();
        assert_eq!(lenient.ignored[0].path, "http.category");
        assert_eq!(lenient.self_link("/fhir/Consent"), "/fhir/Consent?status=active");
        assert_eq!(read(&pairs("category=x"), true).unwrap_err()[0].rule, "search.unknown");
        for wrong in [
            "status=alive",
            "_count=many",
            "patient=",
            "patient=a,b",
            "patient=a&patient=b",
            "actor=",
            "period=now",
            "_sort=status",
            "_cursor=x",
        ] {
            assert_eq!(read(&pairs(wrong), false).unwrap_err()[0].rule, "search.value", "{wrong}");
        }
    }
}
