//! ITI-81: the search parameters of AuditEvent.

use crate::event::{Agent, Event, Issue, Party, Severity, split_reference};
use crate::moment;

/// Results a page at most, and where none is asked for.
pub const COUNT_MAX: usize = 200;
/// See [`COUNT_MAX`].
pub const COUNT_DEFAULT: usize = 50;
/// Parameters of one search at most.
pub const PARAMETERS_MAX: usize = 64;

/// A parameter as the CapabilityStatement tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type (R4 `search-param-type`).
    pub kind: &'static str,
    /// What it finds here.
    pub text: &'static str,
}

pub(crate) const fn parameter(
    name: &'static str,
    kind: &'static str,
    text: &'static str,
) -> Parameter {
    Parameter { name, kind, text }
}

/// What may be searched by. Paging is by `_count` and `link.next`.
pub const PARAMETERS: [Parameter; 13] = [
    parameter("_id", "token", "The index of the line."),
    parameter("patient", "reference", "Patient/p1, or p1: whom it is about."),
    parameter("patient.identifier", "token", "system|value of the patient."),
    parameter("date", "date", "eq ge gt le lt sa eb; may be repeated; partial dates."),
    parameter("agent", "reference", "Who took part."),
    parameter("agent.identifier", "token", "system|value of who took part."),
    parameter("agent-name", "string", "Part of a name, from its start."),
    parameter("entity", "reference", "What was touched."),
    parameter("entity.identifier", "token", "system|value of what was touched."),
    parameter("action", "token", "C, R, U, D, E."),
    parameter("type", "token", "The event's type."),
    parameter("subtype", "token", "The event's subtype."),
    parameter("outcome", "token", "0, 4, 8, 12."),
];

/// A search, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// `_id`: the index of one line.
    pub id: Option<u64>,
    /// Whom it is about, as in [`Patient::identifier`](crate::event::Patient); `me` for whoever
    /// asks.
    pub patient: Option<String>,
    /// The first millisecond wanted.
    pub from_ms: Option<u64>,
    /// The first millisecond no longer wanted.
    pub until_ms: Option<u64>,
    /// References or identifiers of who took part: any of them.
    pub agents: Vec<String>,
    /// How a name starts.
    pub agent_names: Vec<String>,
    /// References or identifiers of what was touched: any of them.
    pub entities: Vec<String>,
    /// Actions, ASCII: any of them.
    pub actions: Vec<u8>,
    /// Types as `code` or `system|code`: any of them.
    pub types: Vec<String>,
    /// Subtypes likewise.
    pub subtypes: Vec<String>,
    /// Outcomes likewise.
    pub outcomes: Vec<String>,
    /// Results a page.
    pub count: usize,
    /// Lines below this index only: from `link.next`.
    pub cursor: Option<u64>,
    /// What was understood, for `link.self`.
    applied: Vec<(String, String)>,
    /// What was not, and is told so.
    pub ignored: Vec<Issue>,
}

/// The pairs of a query string or a form body, with `+` and `%xx` resolved.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

/// Whether a `Prefer` header asks that unknown parameters be refused (R4 3.1.1.4).
pub fn is_strict(prefer: &str) -> bool {
    let mut wishes = prefer.split([',', ';']);
    wishes.any(|wish| wish.trim().eq_ignore_ascii_case("handling=strict"))
}

/// Reads a search. `is_strict` is `Prefer: handling=strict`: unknown parameters are refused, and
/// not only told.
///
/// # Errors
///
/// Values that cannot be read, and unknown parameters of a strict search.
pub fn read(pairs: &[(String, String)], is_strict: bool) -> Result<Search, Vec<Issue>> {
    let mut search = Search { count: COUNT_DEFAULT, ..Search::default() };
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

impl Search {
    /// Takes one parameter; `false` if it is not known, an error (what is expected) if its value
    /// makes no sense.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, &'static str> {
        let some = |list: &mut Vec<String>, read: &dyn Fn(&str) -> String| {
            list.extend(value.split(',').filter(|one| !one.is_empty()).map(read));
            if list.is_empty() { Err("A value is missing.") } else { Ok(true) }
        };
        let reference = |value: &str| split_reference(value).1;
        match name {
            "_id" => {
                self.id = Some(value.parse().map_err(|_| "The index of a line.")?);
                Ok(true)
            }
            "_format" | "_pretty" | "_summary" | "_total" => Ok(true),
            "_sort" => match value {
                "-date" | "-_id" => Ok(true),
                _ => Err("Only -date: newest first."),
            },
            "_count" => {
                let count: usize = value.parse().map_err(|_| "A number from 0.")?;
                self.count = count.min(COUNT_MAX);
                Ok(true)
            }
            "_cursor" => {
                self.cursor = Some(value.parse().map_err(|_| "Take it from link.next.")?);
                Ok(true)
            }
            "patient" | "patient:Patient" => self.patient_is(patient_reference(value)),
            "patient.identifier" | "patient:identifier" => self.patient_is(token(value)),
            "date" => self.date(value),
            "agent" => some(&mut self.agents, &reference),
            "agent.identifier" | "agent:identifier" => some(&mut self.agents, &token),
            "agent-name" => some(&mut self.agent_names, &str::to_lowercase),
            "entity" | "entity:Patient" if reference(value).starts_with("Patient/") => {
                self.patient_is(patient_reference(value))
            }
            "entity" => some(&mut self.entities, &reference),
            "entity.identifier" | "entity:identifier" => some(&mut self.entities, &token),
            "action" => {
                for code in value.split(',') {
                    let code = code.rsplit('|').next().unwrap_or_default();
                    match code.as_bytes() {
                        &[letter @ (b'C' | b'R' | b'U' | b'D' | b'E')] => self.actions.push(letter),
                        _ => return Err("C, R, U, D or E."),
                    }
                }
                Ok(true)
            }
            "type" => some(&mut self.types, &str::to_owned),
            "subtype" => some(&mut self.subtypes, &str::to_owned),
            "outcome" => some(&mut self.outcomes, &str::to_owned),
            _ => Ok(false),
        }
    }

    fn patient_is(&mut self, patient: String) -> Result<bool, &'static str> {
        if patient.is_empty() || patient.contains(',') {
            return Err("One patient: Patient/p1.");
        }
        match &self.patient {
            Some(known) if *known != patient => Err("One patient only."),
            _ => {
                self.patient = Some(patient);
                Ok(true)
            }
        }
    }

    /// Narrows the span. Prefixes as in R4 (3.1.1.4.5): a bound is compared with the whole span
    /// that a partial date names.
    fn date(&mut self, value: &str) -> Result<bool, &'static str> {
        const EXPECTED: &str = "eq, ge, gt, le, lt, sa or eb, then 2026, 2026-11, 2026-11-21 or \
                                2026-11-21T23:47:00+02:00.";
        let has_prefix = value.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let (prefix, date) =
            if has_prefix { value.split_at_checked(2).ok_or(EXPECTED)? } else { ("eq", value) };
        // A form turns the `+` of an offset into a blank unless it was escaped.
        let (start, end) = moment::span(&date.replace(' ', "+")).ok_or(EXPECTED)?;
        let (from, until) = match prefix {
            "eq" => (Some(start), Some(end)),
            "ge" => (Some(start), None),
            "gt" | "sa" => (Some(end), None),
            "le" => (None, Some(end)),
            "lt" | "eb" => (None, Some(start)),
            _ => return Err(EXPECTED),
        };
        let ms = |at: i64| at.max(0) as u64;
        if let Some(from) = from.map(ms) {
            self.from_ms = Some(self.from_ms.map_or(from, |known| known.max(from)));
        }
        if let Some(until) = until.map(ms) {
            self.until_ms = Some(self.until_ms.map_or(until, |known| known.min(until)));
        }
        Ok(true)
    }

    /// Whether an event is among what is searched, patient and cursor apart: these the log knows
    /// better.
    pub fn admits(&self, event: &Event) -> bool {
        let any = |wanted: &[String], holds: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|wanted| holds(wanted))
        };
        let coding = |wanted: &str, system: &str, code: &str| match wanted.split_once('|') {
            Some((wanted, "")) => wanted == system,
            Some((wanted_system, wanted)) => wanted_system == system && wanted == code,
            None => wanted == code,
        };
        let named = |agent: &Agent, start: &str| {
            let names = [&agent.name, &agent.who.display];
            names.into_iter().flatten().any(|name| name.to_lowercase().starts_with(start))
        };
        self.from_ms.is_none_or(|from| event.recorded_ms >= from)
            && self.until_ms.is_none_or(|until| event.recorded_ms < until)
            && (self.actions.is_empty() || self.actions.contains(&event.action))
            && any(&self.agents, &|wanted| event.agents.iter().any(|agent| is(&agent.who, wanted)))
            && any(&self.agent_names, &|start| event.agents.iter().any(|agent| named(agent, start)))
            && any(&self.entities, &|wanted| {
                event.entities.iter().any(|entity| is(&entity.what, wanted))
            })
            && any(&self.types, &|wanted| coding(wanted, &event.code.system, &event.code.code))
            && any(&self.subtypes, &|wanted| {
                let mut subtypes = event.subtypes.iter();
                subtypes.any(|subtype| coding(wanted, &subtype.system, &subtype.code))
            })
            && any(&self.outcomes, &|wanted| wanted.rsplit('|').next() == event.outcome.as_deref())
    }

    /// `link.self`: what was understood, from `base` (`…/fhir/AuditEvent`).
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

fn is(party: &Party, wanted: &str) -> bool {
    let is_identifier = |wanted: &str| {
        party.identifier.as_deref() == Some(wanted)
            || !wanted.contains('|') && party.identifier_value.as_deref() == Some(wanted)
    };
    party.reference.as_deref() == Some(wanted) || is_identifier(wanted)
}

/// `Patient/p1` of `p1`, of `Patient/p1` and of an absolute reference; `system|value` as it is.
pub(crate) fn patient_reference(value: &str) -> String {
    let (_, short) = split_reference(value);
    let is_bare = !short.is_empty() && !short.contains(['/', '|', ':']) && short != "me";
    if is_bare { format!("Patient/{short}") } else { short }
}

/// A token without a system means any; here it is kept as sent.
fn token(value: &str) -> String {
    value.to_owned()
}

pub(crate) fn link<'a>(base: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    if pairs.is_empty() { base.to_owned() } else { format!("{base}?{}", pairs.join("&")) }
}

/// Percent-encoding of everything but RFC 3986's unreserved letters.
fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    });
    escaped.collect()
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = match (byte, hex(place + 1), hex(place + 2)) {
            (b'%', Some(high), Some(low)) => Some((high * 16 + low) as u8),
            _ => None,
        };
        plain.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        place += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

pub(crate) fn issue(name: &str, rule: &'static str, severity: Severity, text: String) -> Issue {
    let path = format!("http.{}", crate::words::clean(name, 60));
    Issue { path, rule, text, severity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(query: &str) -> Search {
        read(&pairs(query), false).unwrap()
    }

    #[test]
    fn patients_are_asked_for_in_every_usual_spelling() {
        for query in [
            "patient=Patient/p1",
            "patient=Patient%2Fp1",
            "patient=p1",
            "entity=Patient/p1",
            "patient=https://ehr.example/fhir/Patient/p1",
            "patient=p1&entity=Patient%2Fp1",
            "?patient=Patient/p1/_history/3",
        ] {
            assert_eq!(search(query).patient.as_deref(), Some("Patient/p1"), "{query}");
        }
        let identified = search("patient.identifier=https%3A%2F%2Fid.example%7C47");
        assert_eq!(identified.patient.as_deref(), Some("https://id.example|47"));
        assert!(read(&pairs("patient=p1&patient=p2"), false).is_err());
    }

    #[test]
    fn repeated_dates_narrow_the_span() {
        let span = |query: &str| {
            let found = search(query);
            (found.from_ms, found.until_ms)
        };
        let day = 86_400_000;
        assert_eq!(span("date=1970-01-02"), (Some(day), Some(2 * day)));
        assert_eq!(span("date=eq1970-01-02"), (Some(day), Some(2 * day)));
        assert_eq!(span("date=ge1970-01-02&date=le1970-01-03"), (Some(day), Some(3 * day)));
        assert_eq!(span("date=gt1970-01-02&date=lt1970-01-04"), (Some(2 * day), Some(3 * day)));
        assert_eq!(span("date=ge1970-01-02&date=ge1970-01-03"), (Some(2 * day), None));
        assert_eq!(span("date=ge1970-01-01T03:00:00+02:00"), (Some(3_600_000), None));
        assert_eq!(span("date=ge1970-01-01T03:00:00%2B02:00"), (Some(3_600_000), None));
        for wrong in ["date=", "date=ap1970", "date=ge", "date=yesterday", "date=geé", "date=é"] {
            assert!(read(&pairs(wrong), false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_parameters_are_told_and_only_a_strict_search_is_refused() {
        let lenient = search("site=north&patient=p1");
        assert_eq!(lenient.ignored[0].path, "http.site");
        assert_eq!(lenient.self_link("/fhir/AuditEvent"), "/fhir/AuditEvent?patient=p1");
        let issues = read(&pairs("site=north&patient=p1"), true).unwrap_err();
        assert_eq!((issues[0].rule, issues[0].severity), ("search.unknown", Severity::Error));
        assert!(is_strict("return=minimal, Handling=strict") && !is_strict("handling=lenient"));
        assert!(read(&pairs("_count=many"), false).is_err());
        assert_eq!(search("_count=100000").count, COUNT_MAX);
    }

    #[test]
    fn every_parameter_that_is_told_is_known() {
        for parameter in PARAMETERS {
            let value = match parameter.kind {
                "date" => "2026",
                "token" if parameter.name == "_id" => "7",
                "token" if parameter.name == "action" => "R",
                _ => "x",
            };
            let pairs = [(parameter.name.to_owned(), value.to_owned())];
            assert!(read(&pairs, true).is_ok(), "{}", parameter.name);
        }
    }

    #[test]
    fn the_next_page_asks_the_same_below_the_cursor() {
        let first = search("patient=Patient/p1&date=ge2026&date=le2026-11&_count=2");
        let next = first.next_link("https://log.example/fhir/AuditEvent", 51);
        let second = search(next.split_once('?').unwrap().1);
        assert_eq!(second.cursor, Some(51));
        assert_eq!((second.from_ms, second.until_ms), (first.from_ms, first.until_ms));
        assert_eq!((second.patient.clone(), second.count), (first.patient, 2));
        assert!(second.next_link("/x", 7).ends_with("_count=2&_cursor=7"));
    }
}
