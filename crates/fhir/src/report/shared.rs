//! `medtrail/shared-v1`: what one patient is shown of an event about several.
//!
//! Nobody is shown another patient. So this keeps what is named here and drops the rest: free
//! text, names of records, queries and extensions may speak of anybody. Of what is kept, nothing
//! stays that names a patient in any spelling. It stays byte for byte, but for references, which
//! lose their base URL.

use super::names::{Leads, Names, is_type};
use super::{SHARED_VERSION, text_bytes};
use crate::event::{Event, Patient};
use crate::json::{Node, Value};
use alloy_primitives::B256;

/// Members of the event that cannot speak of a patient: each is one of some codes, or a time.
const EVENT: [&str; 4] = ["resourceType", "action", "recorded", "outcome"];
/// Members of the event that should not.
const EVENT_NAMING_NOBODY: [&str; 5] = ["id", "type", "subtype", "period", "purposeOfEvent"];
const AGENT: [&str; 8] =
    ["type", "role", "altId", "name", "requestor", "policy", "network", "purposeOfUse"];
/// Of an agent that is a patient, or may be.
const AGENT_PATIENT: [&str; 2] = ["type", "requestor"];
const ENTITY: [&str; 4] = ["type", "role", "lifecycle", "securityLabel"];
const IDENTIFIER: [&str; 3] = ["use", "system", "value"];

type Members = Vec<(String, String)>;

/// An event about several patients, cut into what all of them are shown and what one is.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The event up to its entities.
    start: String,
    entities: Vec<Entity>,
}

#[derive(Clone, Debug)]
struct Entity {
    text: String,
    /// The only one who is shown it, by place among the patients.
    whose: Option<usize>,
}

impl Shared {
    pub(crate) fn of(event: &Event, tree: &Node<'_>) -> Self {
        let names = Names::of(event, tree);
        let keeper = Keeper { tree, names: &names };
        let nodes = tree.list("entity").iter().zip(&event.entities).enumerate();
        let entities = nodes.filter_map(|(place, (node, entity))| {
            let own = |patient: &Patient| patient.entities.contains(&place);
            let whose = event.patients.iter().position(own);
            let members = match whose {
                Some(own) => keeper.own_entity(node, own),
                None if entity.is_patient() => return None,
                None => keeper.entity(node),
            };
            Some(Entity { text: object(members), whose })
        });
        let entities = entities.collect();
        Self { start: keeper.start(), entities }
    }

    /// By how many ids an event names its patients.
    pub(crate) fn ids(event: &Event, tree: &Node<'_>) -> usize {
        Names::of(event, tree).len()
    }

    /// What this patient is shown. `received` stands for the bytes: nothing of the others may be
    /// found out from it.
    pub(super) fn document(&self, place: usize, identifier: &str, received: B256) -> Vec<u8> {
        let mut text = head(identifier, received);
        text.push_str(&self.start);
        let shown = self.entities.iter().filter(|entity| entity.is_shown_to(place));
        for (number, entity) in shown.enumerate() {
            text.push_str(if number > 0 { "," } else { "" });
            text.push_str(&entity.text);
        }
        text.push_str("]}}");
        text.into_bytes()
    }

    /// Bytes of all documents, each as text inside of another one. They are not made for it.
    pub(crate) fn bytes_as_text(&self, patients: &[Patient]) -> usize {
        let start = text_bytes(&self.start) + "]}}".len();
        let lengths = self.entities.iter().map(|entity| (entity.whose, text_bytes(&entity.text)));
        let lengths: Vec<_> = lengths.collect();
        let everybodys = lengths.iter().filter(|(whose, _)| whose.is_none());
        let (count, bytes) =
            everybodys.fold((0, 0), |(count, bytes), (_, length)| (count + 1, bytes + length));
        let of_one = |(place, patient): (usize, &Patient)| {
            let own = lengths.iter().filter(|(whose, _)| *whose == Some(place));
            let (count, bytes) =
                own.fold((count, bytes), |(count, bytes), (_, length)| (count + 1, bytes + length));
            let commas = usize::saturating_sub(count, 1);
            text_bytes(&head(&patient.identifier, B256::ZERO)) + start + bytes + commas
        };
        patients.iter().enumerate().map(of_one).sum()
    }
}

impl Entity {
    fn is_shown_to(&self, place: usize) -> bool {
        self.whose.is_none_or(|own| own == place)
    }
}

fn head(identifier: &str, received: B256) -> String {
    format!(
        r#"{{"version":"{SHARED_VERSION}","received":"{received:#x}","patient":{},"event":"#,
        quoted(identifier)
    )
}

/// Decides what is kept.
struct Keeper<'a> {
    tree: &'a Node<'a>,
    names: &'a Names,
}

impl Keeper<'_> {
    fn start(&self) -> String {
        let mut kept = members(self.tree, &EVENT);
        kept.extend(self.nobodys(self.tree, &EVENT_NAMING_NOBODY));
        let mut kept = in_order(self.tree, kept);
        let agents = self.tree.list("agent").iter().map(|agent| object(self.agent(agent)));
        kept.push(("agent".into(), list(agents)));
        if let Some(source) = self.tree.get("source") {
            kept.push(("source".into(), object(self.source(source))));
        }
        let open = object(kept);
        // The entities follow.
        format!("{},\"entity\":[", open.strip_suffix('}').unwrap_or(&open))
    }

    fn agent(&self, node: &Node<'_>) -> Members {
        let who = node.get("who");
        let texts = ["altId", "name"].into_iter().filter_map(|name| node.get(name));
        let is_named = texts.into_iter().any(|text| self.names.stand_in(text, None));
        if is_named || who.is_some_and(|who| self.names.may_be(who, self.tree)) {
            return self.nobodys(node, &AGENT_PATIENT);
        }
        let mut kept = self.nobodys(node, &AGENT);
        kept.extend(who.map(|who| ("who".into(), object(self.party(who)))));
        in_order(node, kept)
    }

    fn source(&self, node: &Node<'_>) -> Members {
        let mut kept = self.nobodys(node, &["site", "type"]);
        if let Some(observer) = node.get("observer") {
            if self.names.may_be(observer, self.tree) {
                return self.nobodys(node, &["type"]);
            }
            kept.push(("observer".into(), object(self.party(observer))));
        }
        in_order(node, kept)
    }

    /// Somebody or something that is no patient.
    fn party(&self, node: &Node<'_>) -> Members {
        let mut kept = self.reference(node);
        let identifier = node.get("identifier").filter(|node| !self.names.stand_in(node, None));
        let identifier = identifier.map(|node| object(members(node, &IDENTIFIER)));
        kept.extend(identifier.map(|identifier| ("identifier".into(), identifier)));
        // Where a logical reference is dropped, so is whom it was said to be.
        let is_local = node.text("reference").is_some_and(|text| text.starts_with('#'));
        if is_local || self.names.leads(node, self.tree) != Some(Leads::Nowhere) {
            kept.extend(self.nobodys(node, &["display"]));
        }
        in_order(node, kept)
    }

    fn reference(&self, node: &Node<'_>) -> Members {
        let mut kept = Vec::new();
        let leads = self.names.leads(node, self.tree);
        if let Some(Leads::To(short)) = leads {
            kept.push(("reference".into(), quoted(short)));
        }
        if node.text("type").is_some_and(is_type) && leads != Some(Leads::ToPerson) {
            kept.extend(self.nobodys(node, &["type"]));
        }
        kept
    }

    fn entity(&self, node: &Node<'_>) -> Members {
        let mut kept = self.nobodys(node, &ENTITY);
        if let Some(what) = node.get("what") {
            kept.push(("what".into(), object(self.reference(what))));
        }
        in_order(node, kept)
    }

    /// A patient's own: by it they are known again.
    fn own_entity(&self, node: &Node<'_>, own: usize) -> Members {
        let mut kept = members(node, &["type", "role"]);
        kept.retain(|(name, _)| {
            node.get(name).is_some_and(|member| !self.names.stand_in(member, Some(own)))
        });
        let Some(what) = node.get("what") else { return kept };
        let mut party = members(what, &["type"]);
        if what.text("reference").is_some_and(|reference| !self.names.share(reference, own)) {
            party.extend(members(what, &["reference"]));
        }
        let identifier = what.get("identifier").map(|node| object(members(node, &IDENTIFIER)));
        party.extend(identifier.map(|identifier| ("identifier".into(), identifier)));
        let display = what.get("display");
        if display.is_some_and(|display| !self.names.stand_in(display, Some(own))) {
            party.extend(members(what, &["display"]));
        }
        kept.push(("what".into(), object(in_order(what, party))));
        in_order(node, kept)
    }

    /// Members that name no patient.
    fn nobodys(&self, node: &Node<'_>, names: &[&str]) -> Members {
        let is_kept = |(name, member): &&(String, Node<'_>)| {
            names.contains(&name.as_str()) && !self.names.stand_in(member, None)
        };
        let kept = node.members().iter().filter(is_kept);
        kept.map(|(name, node)| (name.clone(), node.raw.to_owned())).collect()
    }
}

fn members(node: &Node<'_>, names: &[&str]) -> Members {
    let Value::Object(members) = &node.value else { return Vec::new() };
    let kept = members.iter().filter(|(name, _)| names.contains(&name.as_str()));
    kept.map(|(name, node)| (name.clone(), node.raw.to_owned())).collect()
}

/// In the order they came in.
fn in_order(node: &Node<'_>, mut kept: Members) -> Members {
    let place = |name: &str| node.members().iter().position(|(other, _)| other == name);
    kept.sort_by_key(|(name, _)| place(name));
    kept
}

fn object(members: Members) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, raw)| format!(r#""{name}":{raw}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_all_documents_are_known_before_they_are_made() {
        let what = |reference: &str| format!(r#"{{"what":{{"reference":"{reference}"}}}}"#);
        for entities in [
            [what("Patient/\\u0061\\\"1"), what("Patient/b-22")].join(" ,\n"),
            [what("Patient/a"), what("Observation/o"), what("Device/d"), what("Patient/b")]
                .join(","),
            [what("Patient/a"), r#"{"role":{"code":"1"}}"#.to_owned()].join(","),
        ] {
            let text = format!(
                r#"{{"resourceType":"AuditEvent","agent":[{{"name":"\"\n\u0007ä","who":{{}}}}],
                "source":{{ "site" : "x" }},"entity":[{entities}]}}"#
            );
            let tree = Node::parse(text.as_bytes()).unwrap();
            let event = Event::of(&tree);
            assert!(event.is_shared());
            let shared = Shared::of(&event, &tree);
            let of_one = |(place, patient): (usize, &Patient)| {
                let document = shared.document(place, &patient.identifier, B256::ZERO);
                serde_json::from_slice::<serde_json::Value>(&document).unwrap();
                quoted(std::str::from_utf8(&document).unwrap()).len() - 2
            };
            let bytes: usize = event.patients.iter().enumerate().map(of_one).sum();
            assert_eq!(shared.bytes_as_text(&event.patients), bytes, "{text}");
        }
    }
}
