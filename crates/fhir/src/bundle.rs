//! Bundles: a batch of events in, its answers and pages of a search out. Each resource keeps its
//! bytes.

use crate::event::{Event, Issue, Severity};
use crate::json::Node;
use crate::outcome::OperationOutcome;
use crate::report::{RELAYED_VERSION, Relayed, SHARED_VERSION};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Entries of one batch at most.
pub const ENTRIES_MAX: usize = 1_000;

/// The events of a batch, in order: the bytes of each resource as they came, or why that entry is
/// none.
pub type Batch<'a> = Vec<Result<&'a [u8], Vec<Issue>>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received<'a> {
    resource_type: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    entry: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct ReceivedEntry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
}

/// Reads a batch Bundle (ITI-20). One bad entry leaves the others as they are.
///
/// # Errors
///
/// What is no Bundle of type `batch` with 1 to [`ENTRIES_MAX`] entries.
pub fn read_batch(bytes: &[u8]) -> Result<Batch<'_>, Vec<Issue>> {
    let bundle: Received<'_> = serde_json::from_slice(bytes)
        .map_err(|error| vec![issue("Bundle", "r4.json", format!("{error}. Send a Bundle."))])?;
    if bundle.resource_type != "Bundle" {
        return Err(vec![issue("Bundle.resourceType", "r4.code", "Send a Bundle.".into())]);
    }
    if bundle.kind != "batch" {
        let text = "Send type batch: each entry is taken or refused for itself.";
        return Err(vec![issue("Bundle.type", "r4.code", text.into())]);
    }
    if bundle.entry.is_empty() || bundle.entry.len() > ENTRIES_MAX {
        let text = format!("{} entries; 1 to {ENTRIES_MAX} are taken.", bundle.entry.len());
        return Err(vec![issue("Bundle.entry", "limit.items", text)]);
    }
    let entries = bundle.entry.into_iter().enumerate();
    Ok(entries.map(|(place, entry)| resource(entry, place).map_err(|issue| vec![issue])).collect())
}

fn resource(entry: &RawValue, place: usize) -> Result<&[u8], Issue> {
    let at = format!("Bundle.entry[{place}]");
    let entry: ReceivedEntry<'_> = serde_json::from_str(entry.get())
        .map_err(|error| issue(&at, "r4.type", format!("{error}. Send resource and request.")))?;
    let resource = entry.resource.ok_or_else(|| {
        issue(&format!("{at}.resource"), "r4.required", "Send the AuditEvent here.".into())
    })?;
    // Clients that leave the request out mean to create; any other wish is not granted silently.
    if let Some(request) = entry.request {
        let url = request.url.trim_matches('/');
        if request.method != "POST" || url != "AuditEvent" {
            let text = "Send method POST and url AuditEvent: nothing else is taken in a batch.";
            return Err(issue(&format!("{at}.request"), "r4.value", text.into()));
        }
    }
    Ok(resource.get().as_bytes())
}

/// The answer to one entry of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP status: 201, 422, 503…
    pub status: u16,
    /// Where the event stands now.
    pub location: Option<String>,
    /// What was wrong, or could be better.
    pub outcome: Option<OperationOutcome>,
}

/// The batch-response Bundle.
pub fn batch_response(answers: &[Answer]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Response<'a> {
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        outcome: Option<&'a OperationOutcome>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        response: Response<'a>,
    }
    let entry = answers.iter().map(|answer| Entry {
        response: Response {
            status: status_line(answer.status),
            location: answer.location.as_deref(),
            outcome: answer.outcome.as_ref(),
        },
    });
    let bundle = Bundle {
        resource_type: "Bundle",
        kind: "batch-response",
        link: Vec::new(),
        entry: entry.collect(),
    };
    serde_json::to_vec(&bundle).expect("an answer of strings is JSON")
}

fn status_line(status: u16) -> String {
    let words = match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => return status.to_string(),
    };
    format!("{status} {words}")
}

/// One result of a search.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its URL.
    pub full_url: String,
    /// The resource, as JSON text ([`resource_of`]).
    pub resource: String,
}

/// A searchset Bundle. No `total`: it would count what a reader may not see. `notes` (parameters
/// that were not applied) become an entry of mode `outcome`.
///
/// # Errors
///
/// A resource that is not JSON.
pub fn searchset(
    self_link: String,
    next_link: Option<String>,
    found: Vec<Found>,
    notes: &[Issue],
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Search {
        mode: &'static str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        #[serde(skip_serializing_if = "Option::is_none")]
        full_url: Option<String>,
        resource: Box<RawValue>,
        search: Search,
    }
    let mut entry = Vec::with_capacity(found.len());
    for Found { full_url, resource } in found {
        let resource = RawValue::from_string(resource)?;
        entry.push(Entry { full_url: Some(full_url), resource, search: Search { mode: "match" } });
    }
    if !notes.is_empty() {
        let resource = serde_json::value::to_raw_value(&OperationOutcome::of(notes))?;
        entry.push(Entry { full_url: None, resource, search: Search { mode: "outcome" } });
    }
    let mut link = vec![Link { relation: "self", url: self_link }];
    link.extend(next_link.map(|url| Link { relation: "next", url }));
    serde_json::to_vec(&Bundle { resource_type: "Bundle", kind: "searchset", link, entry })
}

#[derive(Serialize)]
struct Link {
    relation: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<E> {
    resource_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    // R4 forbids empty lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    link: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<E>,
}

/// The Provenance inside a details document, byte for byte: the document itself, or the one that a
/// relayed document carries. None if there is none.
pub fn provenance_of(details: &[u8]) -> Option<Cow<'_, str>> {
    let is_it = |tree: &Node<'_>| tree.text("resourceType") == Some("Provenance");
    let tree = Node::parse(details).ok()?;
    if is_it(&tree) {
        return Some(Cow::Borrowed(tree.raw));
    }
    if tree.text("version")? != RELAYED_VERSION {
        return None;
    }
    let relayed: Relayed = serde_json::from_slice(details).ok()?;
    let inner = Node::parse(relayed.document.as_bytes()).ok()?;
    is_it(&inner).then(|| Cow::Owned(inner.raw.to_owned()))
}

/// The AuditEvent inside a details document, byte for byte: the document itself, the one that a
/// relayed document carries, or what one patient sees of a shared one. None if there is none.
pub fn resource_of(details: &[u8]) -> Option<Cow<'_, str>> {
    let tree = Node::parse(details).ok()?;
    if tree.text("resourceType") == Some("AuditEvent") {
        return Some(Cow::Borrowed(tree.raw));
    }
    match tree.text("version")? {
        SHARED_VERSION => Some(Cow::Borrowed(tree.get("event")?.raw)),
        RELAYED_VERSION => {
            let relayed: Relayed = serde_json::from_slice(details).ok()?;
            let inner = Node::parse(relayed.document.as_bytes()).ok()?;
            // A relayed document is never itself relayed: one step, no recursion.
            let event = match inner.text("version") {
                Some(SHARED_VERSION) => inner.get("event")?,
                _ => &inner,
            };
            let is_event = event.text("resourceType") == Some("AuditEvent");
            is_event.then(|| Cow::Owned(event.raw.to_owned()))
        }
        _ => None,
    }
}

/// The event inside a details document, for [`Search::admits`](crate::search::Search::admits).
pub fn event_of(details: &[u8]) -> Option<Event> {
    let resource = resource_of(details)?;
    let tree = Node::parse(resource.as_bytes()).ok()?;
    Some(Event::of(&tree))
}

fn issue(path: &str, rule: &'static str, text: String) -> Issue {
    Issue { path: path.to_owned(), rule, text, severity: Severity::Error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_of_a_batch_keeps_its_bytes() {
        let event = r#"{ "resourceType":"AuditEvent",  "x":1.50,"y":"\u00e9" }"#;
        let post = r#""request":{"method":"POST","url":"AuditEvent"}"#;
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"batch","entry":[
            {{"fullUrl":"urn:uuid:1","resource":{event},{post}}}, {{"resource":{event}}},
            {{{post}}}, {{"resource":{event},"request":{{"method":"DELETE","url":"AuditEvent/1"}}}}]}}"#
        );
        let batch = read_batch(text.as_bytes()).unwrap();
        assert_eq!(batch[0].as_ref().unwrap(), &event.as_bytes());
        assert_eq!(batch[1].as_ref().unwrap(), &event.as_bytes());
        assert_eq!(batch[2].as_ref().unwrap_err()[0].path, "Bundle.entry[2].resource");
        assert_eq!(batch[3].as_ref().unwrap_err()[0].path, "Bundle.entry[3].request");
    }

    #[test]
    fn only_batches_are_taken() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"resourceType":"Bundle","type":"transaction","entry":[{}]}"#,
            r#"{"resourceType":"Bundle","type":"batch"}"#,
            r#"{"resourceType":"List","type":"batch","entry":[{}]}"#,
        ] {
            assert!(read_batch(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_come_in_order() {
        let refused = OperationOutcome::one(Severity::Error, "invalid", "No.");
        let answers = [
            Answer { status: 201, location: Some("/fhir/AuditEvent/7".into()), outcome: None },
            Answer { status: 422, location: None, outcome: Some(refused) },
        ];
        let json: serde_json::Value = serde_json::from_slice(&batch_response(&answers)).unwrap();
        assert_eq!(json["type"], "batch-response");
        assert_eq!(json["entry"][0]["response"]["status"], "201 Created");
        assert_eq!(json["entry"][1]["response"]["outcome"]["issue"][0]["diagnostics"], "No.");
    }

    #[test]
    fn a_page_of_results_has_no_total_and_keeps_bytes() {
        let resource = r#"{"resourceType":"AuditEvent","recorded":"2026-01-05T09:30:00.120Z"}"#;
        let found = Found { full_url: "https://x/AuditEvent/1".into(), resource: resource.into() };
        let page = searchset("https://x?a=1".into(), Some("https://x?b".into()), vec![found], &[]);
        let text = String::from_utf8(page.unwrap()).unwrap();
        assert!(text.contains(resource), "{text}");
        assert!(text.contains(r#"{"relation":"next","url":"https://x?b"}"#), "{text}");
        assert!(!text.contains("total"), "{text}");
    }
}
