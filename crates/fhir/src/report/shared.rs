//! `medtrail/shared-v1`: what one patient is shown of an event about several.
//!
//! Nobody is shown another patient. So this keeps what is named here and drops the rest: free
//! text, names of records, queries and extensions may speak of anybody. What is kept stays byte
//! for byte.

use super::SHARED_VERSION;
use crate::event::{Event, Patient};
use crate::json::{Node, Value};
use alloy_primitives::B256;

/// Members of the event that speak of no patient.
const EVENT: [&str; 9] = [
    "resourceType",
    "id",
    "type",
    "subtype",
    "action",
    "period",
    "recorded",
    "outcome",
    "purposeOfEvent",
];
const AGENT: [&str; 9] =
    ["type", "role", "who", "altId", "name", "requestor", "policy", "network", "purposeOfUse"];
/// Of an agent that is a patient.
const AGENT_PATIENT: [&str; 2] = ["type", "requestor"];
const ENTITY: [&str; 4] = ["type", "role", "lifecycle", "securityLabel"];
const SOURCE: [&str; 3] = ["site", "observer", "type"];

/// `received` stands for the bytes: nothing of the others may be found out from it.
pub(super) fn document(event: &Event, bytes: &[u8], patient: &Patient, received: B256) -> Vec<u8> {
    let tree = Node::parse(bytes).ok();
    let shown = tree.map_or_else(|| "{}".to_owned(), |tree| shown(event, &tree, patient));
    let quoted = |text: &str| serde_json::to_string(text).expect("a string is JSON");
    let text = format!(
        r#"{{"version":"{SHARED_VERSION}","received":"{received:#x}","patient":{},"event":{shown}}}"#,
        quoted(&patient.identifier),
    );
    text.into_bytes()
}

fn shown(event: &Event, tree: &Node<'_>, patient: &Patient) -> String {
    let agents = tree.list("agent").iter().zip(&event.agents).map(|(node, agent)| {
        let is_patient = agent.who.resource_type.as_deref() == Some("Patient");
        object(if is_patient { members(node, &AGENT_PATIENT) } else { members(node, &AGENT) })
    });
    let entities = tree.list("entity").iter().zip(&event.entities).enumerate();
    let entities = entities.filter_map(|(place, (node, entity))| {
        if patient.entities.contains(&place) {
            return Some(object(members(node, &["what", "type", "role"])));
        }
        if entity.is_patient() {
            return None;
        }
        let mut kept = members(node, &ENTITY);
        // `Patient/p2/$everything` would name somebody, whatever its type says.
        let names_a_patient = |what: &&Node<'_>| what.raw.contains("Patient");
        if let Some(what) = node.get("what").filter(|what| !names_a_patient(what)) {
            kept.insert(0, ("what".into(), object(members(what, &["reference", "type"]))));
        }
        Some(object(kept))
    });
    let mut kept = members(tree, &EVENT);
    kept.push(("agent".into(), list(agents)));
    if let Some(source) = tree.get("source") {
        let is_patient = event.observer.resource_type.as_deref() == Some("Patient");
        let names = if is_patient { &["type"][..] } else { &SOURCE };
        kept.push(("source".into(), object(members(source, names))));
    }
    kept.push(("entity".into(), list(entities)));
    object(kept)
}

fn members(node: &Node<'_>, names: &[&str]) -> Vec<(String, String)> {
    let Value::Object(members) = &node.value else { return Vec::new() };
    let kept = members.iter().filter(|(name, _)| names.contains(&name.as_str()));
    kept.map(|(name, node)| (name.clone(), node.raw.to_owned())).collect()
}

fn object(members: Vec<(String, String)>) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, raw)| format!(r#""{name}":{raw}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}
