//! What an act used, as a permission asks: which data, how they are marked, what for.
//!
//! Plain facts of a details document. Everything that is told counts: of two purposes both, of data
//! whatever mark stands anywhere in the event.

use crate::event::{Coding, Event};
use crate::json::Node;
use crate::reading::{is_search, is_sheet, searched_type};
use crate::report::{RELAYED_VERSION, SHARED_VERSION};

/// What an act used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Which data; none, if the document does not say.
    pub data: Vec<UsedData>,
    /// Purposes of use, each once: codes, or words where there is no code.
    pub purposes: Vec<String>,
    /// It was a search, not a look at one thing.
    pub is_search: bool,
}

/// Data that were used.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UsedData {
    /// The resource type, if it is told.
    pub resource_type: Option<String>,
    /// Its security labels.
    pub labels: Vec<Coding>,
}

/// What a details document tells of what was used; nothing, if it is no AuditEvent.
pub fn usage(details: &[u8]) -> Usage {
    let Ok(tree) = Node::parse(details) else { return Usage::default() };
    if tree.text("version") != Some(RELAYED_VERSION) {
        return of(&tree);
    }
    let inner = tree.text("document").map(str::as_bytes).map(Node::parse);
    inner.and_then(Result::ok).map_or_else(Usage::default, |tree| of(&tree))
}

fn of(tree: &Node<'_>) -> Usage {
    let tree = match tree.text("version") {
        Some(SHARED_VERSION) => tree.get("event").unwrap_or(tree),
        _ => tree,
    };
    if tree.text("resourceType") != Some("AuditEvent") {
        return Usage::default();
    }
    let event = Event::of(tree);
    Usage { data: data(&event), purposes: purposes(&event), is_search: is_search(&event) }
}

fn data(event: &Event) -> Vec<UsedData> {
    let mut data: Vec<UsedData> = event
        .data()
        .map(|entity| {
            let coded = (entity.kind.system == "http://hl7.org/fhir/resource-types")
                .then(|| entity.kind.code.clone());
            let asked = || entity.query.as_deref().and_then(searched_type);
            let resource_type =
                entity.what.resource_type.clone().or(coded).or_else(|| asked().map(str::to_owned));
            UsedData { resource_type, labels: entity.labels.clone() }
        })
        .collect();
    if data.is_empty() && is_sheet(event) {
        data.push(UsedData { resource_type: Some("Patient".to_owned()), labels: Vec::new() });
    }
    // A mark on the patient is one on all that was used of theirs.
    let on_patient = || event.entities.iter().filter(|one| one.is_patient());
    for one in &mut data {
        one.labels.extend(on_patient().flat_map(|patient| patient.labels.iter().cloned()));
    }
    data
}

fn purposes(event: &Event) -> Vec<String> {
    let of_agents = event.agents.iter().flat_map(|agent| &agent.purposes);
    let mut told: Vec<String> = event
        .purposes
        .iter()
        .chain(of_agents)
        .map(|purpose| match purpose.code.as_str() {
            "" => purpose.display.clone().unwrap_or_default(),
            code => code.to_owned(),
        })
        .collect();
    told.sort_unstable();
    told.dedup();
    told
}
