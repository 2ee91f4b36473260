//! The parameters of `$accounting`: in a query, or in a Parameters resource.

use crate::event::{Issue, Severity};
use crate::json::Node;
use crate::moment;
use crate::search::issue as in_query;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asked {
    /// The first millisecond wanted.
    pub from_ms: Option<u64>,
    /// The first millisecond no longer wanted.
    pub until_ms: Option<u64>,
}

const EXPECTED: &str = "2026, 2026-11, 2026-11-21 or 2026-11-21T23:47:00+02:00.";
const UNKNOWN: &str =
    "Only start and end are known here: an accounting is whole, and has no pages.";

impl Asked {
    /// `false`: of another name.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, &'static str> {
        let place = match name {
            "start" => &mut self.from_ms,
            "end" => &mut self.until_ms,
            _ => return Ok(false),
        };
        // A query turns the `+` of an offset into a blank unless it was escaped.
        let (start, end) = moment::span(&value.replace(' ', "+")).ok_or(EXPECTED)?;
        let at = if name == "start" { start } else { end };
        match place.replace(at.max(0) as u64) {
            None => Ok(true),
            Some(_) => Err("Send it once."),
        }
    }
}

/// Reads the pairs of a query.
///
/// # Errors
///
/// What is no date, and whatever is not known.
pub fn read_query(pairs: &[(String, String)]) -> Result<Asked, Vec<Issue>> {
    let mut asked = Asked::default();
    let mut wrong = Vec::new();
    for (name, value) in pairs {
        if matches!(name.as_str(), "_format" | "_pretty") {
            continue;
        }
        match asked.take(name, value) {
            Ok(true) => {}
            Ok(false) => {
                wrong.push(in_query(name, "search.unknown", Severity::Error, UNKNOWN.into()));
            }
            Err(text) => {
                wrong.push(in_query(name, "search.value", Severity::Error, text.to_owned()));
            }
        }
    }
    if wrong.is_empty() { Ok(asked) } else { Err(wrong) }
}

/// Reads a Parameters resource, beside what a query `asked` already.
///
/// # Errors
///
/// What is no Parameters, no date, and whatever is not known.
pub fn read_parameters(bytes: &[u8], mut asked: Asked) -> Result<Asked, Vec<Issue>> {
    let issue = |path: String, rule, text: &str| {
        vec![Issue { path, rule, text: text.to_owned(), severity: Severity::Error }]
    };
    let tree = Node::parse(bytes).map_err(|error| {
        let text = format!("{error}. Send Parameters as UTF-8 JSON, or no body.");
        issue("Parameters".into(), "r4.json", &text)
    })?;
    if tree.text("resourceType") != Some("Parameters") {
        let text = "Send resourceType Parameters, or no body.";
        return Err(issue("Parameters.resourceType".into(), "r4.code", text));
    }
    for (place, parameter) in tree.list("parameter").iter().enumerate() {
        let path = format!("Parameters.parameter[{place}]");
        let name = parameter.text("name").unwrap_or_default();
        let values = ["valueDateTime", "valueDate", "valueInstant"];
        let value = values.iter().find_map(|value| parameter.text(value)).unwrap_or_default();
        match asked.take(name, value) {
            Ok(true) => {}
            Ok(false) => return Err(issue(format!("{path}.name"), "search.unknown", UNKNOWN)),
            Err(text) => {
                let text = format!("{name}: {text} As valueDate or valueDateTime.");
                return Err(issue(format!("{path}.value[x]"), "search.value", &text));
            }
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::pairs;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn a_time_begins_with_its_start_and_holds_all_of_its_end() {
        let all = Asked { from_ms: Some(DAY_MS), until_ms: Some(3 * DAY_MS) };
        let query = "start=1970-01-02&end=1970-01-03&_format=json";
        assert_eq!(read_query(&pairs(query)).unwrap(), all);
        let body = br#"{"resourceType":"Parameters","parameter":[
            {"name":"start","valueDate":"1970-01-02"},
            {"name":"end","valueDateTime":"1970-01-04T01:59:59+02:00"}]}"#;
        assert_eq!(read_parameters(body, Asked::default()).unwrap(), all);
        let none = br#"{"resourceType":"Parameters"}"#;
        assert_eq!(read_parameters(none, all).unwrap(), all);
    }

    #[test]
    fn what_is_no_date_or_not_known_is_told_with_its_path() {
        for (query, path, rule) in [
            ("start=soon", "http.start", "search.value"),
            ("start=", "http.start", "search.value"),
            ("start=ge2026", "http.start", "search.value"),
            ("end=2026&end=2027", "http.end", "search.value"),
            ("_count=5", "http._count", "search.unknown"),
            ("from=0", "http.from", "search.unknown"),
        ] {
            let issues = read_query(&pairs(query)).unwrap_err();
            assert_eq!((issues[0].path.as_str(), issues[0].rule), (path, rule), "{query}");
        }
        let parameter =
            |one: &str| format!(r#"{{"resourceType":"Parameters","parameter":[{one}]}}"#);
        for (body, rule) in [
            ("start=2026".to_owned(), "r4.json"),
            ("[]".into(), "r4.code"),
            (r#"{"resourceType":"Bundle"}"#.into(), "r4.code"),
            (parameter(r#"{"name":"start","valueString":"2026"}"#), "search.value"),
            (parameter(r#"{"name":"start","valueDate":2026}"#), "search.value"),
            (parameter(r#"{"name":"_count","valueInteger":3}"#), "search.unknown"),
            (parameter("{}"), "search.unknown"),
        ] {
            let issues = read_parameters(body.as_bytes(), Asked::default()).unwrap_err();
            assert_eq!(issues[0].rule, rule, "{body}");
        }
        let twice = Asked { from_ms: Some(0), until_ms: None };
        let body = parameter(r#"{"name":"start","valueDate":"2026"}"#);
        assert!(read_parameters(body.as_bytes(), twice).is_err());
    }
}
