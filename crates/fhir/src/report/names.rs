//! By what an event names its patients, and what else might name one: a document for one of them
//! keeps clear of all others.

use crate::event::{Event, Party};
use crate::json::{Node, Value};
use std::borrow::Cow;

/// An id of so many bytes is looked for inside of other words too.
const INSIDE_BYTES_MIN: usize = 6;
/// A shorter id is looked for as a word, and one of fewer bytes not at all: `2` and `p1` may stand
/// for anything.
const WORD_BYTES_MIN: usize = 4;
/// Bytes of a resource's id at most (R4 `id`).
const ID_BYTES_MAX: usize = 64;
/// How often a text may have been percent-encoded over.
const ENCODED_MAX: usize = 3;

/// A name in lower case, and whose it is, by place among the event's patients; none is somebody
/// whom nothing identifies, or who only took part.
type Name = (String, Option<usize>);

/// By what an event names its patients.
pub(super) struct Names {
    ids: Vec<Name>,
    displays: Vec<Name>,
}

/// What a reference leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leads<'a> {
    /// To a patient or to somebody around one, or nobody can say where.
    ToPerson,
    /// To something else, but not from here, or it says more than that.
    Nowhere,
    /// To something else; `Type/id`, perhaps with a version.
    To(&'a str),
}

impl Names {
    pub(super) fn of(event: &Event, tree: &Node<'_>) -> Self {
        let mut names = Self { ids: Vec::new(), displays: Vec::new() };
        let whose = |place| event.patients.iter().position(|one| one.entities.contains(&place));
        for (place, entity) in event.entities.iter().enumerate() {
            if entity.is_patient() {
                names.add(&entity.what, whose(place), tree);
                let name = tree.list("entity").get(place).and_then(|node| node.text("name"));
                names.displays.extend(name.map(|name| (plain(name), whose(place))));
            }
        }
        let parties = event.agents.iter().map(|agent| &agent.who).chain([&event.observer]);
        for party in parties.filter(|party| is_person_type(party)) {
            names.add(party, None, tree);
        }
        for list in [&mut names.ids, &mut names.displays] {
            list.retain(|(text, _)| !text.is_empty());
            list.sort();
            list.dedup();
        }
        names
    }

    /// How many ids there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    fn add(&mut self, party: &Party, whose: Option<usize>, tree: &Node<'_>) {
        let reference = party.reference.as_deref().map(|reference| {
            let id = reference.rsplit_once('/').map_or(reference, |(_, id)| id);
            id.strip_prefix('#').unwrap_or(id)
        });
        let contained = party.reference.as_deref().and_then(|reference| contained(tree, reference));
        let identifiers = contained.map_or(&[][..], |node| node.list("identifier"));
        let numbers = identifiers.iter().filter_map(|identifier| identifier.text("value"));
        let ids = reference.into_iter().chain(party.identifier_value.as_deref()).chain(numbers);
        self.ids.extend(ids.map(|id| (plain(id), whose)));
        self.displays.extend(party.display.iter().map(|display| (plain(display), whose)));
    }

    /// Whether any text in it names a patient other than `own`.
    pub(super) fn stand_in(&self, node: &Node<'_>, own: Option<usize>) -> bool {
        match &node.value {
            Value::Text(text) => self.stand_in_text(text, own),
            Value::List(items) => items.iter().any(|item| self.stand_in(item, own)),
            Value::Object(members) => members
                .iter()
                .any(|(name, node)| self.stand_in_text(name, own) || self.stand_in(node, own)),
            Value::Null | Value::Bool(_) | Value::Number => false,
        }
    }

    fn stand_in_text(&self, text: &str, own: Option<usize>) -> bool {
        let text = plain(text);
        let is_there = |id: &str| match id.len() {
            INSIDE_BYTES_MIN.. => text.contains(id),
            WORD_BYTES_MIN.. => words(&text).any(|word| word == id),
            _ => false,
        };
        let of_others = |names: &[Name], is_there: &dyn Fn(&str) -> bool| {
            let is_others = |whose: &Option<usize>| own.is_none() || *whose != own;
            names.iter().any(|(name, whose)| is_others(whose) && is_there(name))
        };
        of_others(&self.ids, &is_there) || of_others(&self.displays, &|name| text == name)
    }

    /// Whether a patient's own reference names another one too. `Patient/1234567` is not
    /// `Patient/123456`.
    pub(super) fn share(&self, reference: &str, own: usize) -> bool {
        let reference = plain(reference);
        let mut others = self.ids.iter().filter(|(_, whose)| *whose != Some(own));
        others.any(|(id, _)| words(&reference).any(|word| word == id))
    }

    /// Whether this party may be a patient, or somebody around one.
    pub(super) fn may_be(&self, node: &Node<'_>, tree: &Node<'_>) -> bool {
        let identifier = node.get("identifier").and_then(|identifier| identifier.text("value"));
        let named = [identifier, node.text("display")].into_iter().flatten();
        node.text("type").is_some_and(names_person_type)
            || self.leads(node, tree) == Some(Leads::ToPerson)
            || named.into_iter().any(|text| self.stand_in_text(text, None))
    }

    /// What a party's reference leads to; none if it has none.
    pub(super) fn leads<'a>(&self, node: &'a Node<'_>, tree: &Node<'_>) -> Option<Leads<'a>> {
        let reference = node.text("reference")?;
        if self.stand_in_text(reference, None) {
            return Some(Leads::ToPerson);
        }
        if reference.starts_with('#') {
            let kind = contained(tree, reference).and_then(|node| node.text("resourceType"));
            let is_other = kind.is_some_and(|kind| !names_person_type(kind));
            return Some(if is_other { Leads::Nowhere } else { Leads::ToPerson });
        }
        Some(match short(reference) {
            Some((kind, _)) if names_person_type(kind) => Leads::ToPerson,
            Some((_, short)) => Leads::To(short),
            // Of a logical reference the type has to say what it is.
            None if node.text("type").is_some_and(is_type) => Leads::Nowhere,
            None => Leads::ToPerson,
        })
    }
}

fn is_person_type(party: &Party) -> bool {
    party.resource_type.as_deref().is_some_and(names_person_type)
}

/// Types of resources that are people with a medical record, or people around them.
fn names_person_type(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["patient", "person"].iter().any(|person| kind.contains(person))
        || ["group", "researchsubject"].contains(&kind.as_str())
}

/// Whether it is the name of a type of resources.
pub(super) fn is_type(kind: &str) -> bool {
    kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.bytes().all(|letter| letter.is_ascii_alphabetic())
}

/// Type, and `Type/id` or `Type/id/_history/version` without base URL, if the reference is nothing
/// else: a search (`Observation?patient=…`) or an operation may name anybody, a base URL too.
fn short(reference: &str) -> Option<(&str, &str)> {
    let is_id = |id: &str| {
        let allowed = |letter: u8| letter.is_ascii_alphanumeric() || b"-.".contains(&letter);
        (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(allowed)
    };
    let (current, version) = match reference.split_once("/_history/") {
        Some((current, version)) => (current, Some(version)),
        None => (reference, None),
    };
    let is_absolute = current.starts_with("http://") || current.starts_with("https://");
    let start = match (is_absolute, current.rmatch_indices('/').nth(1)) {
        (true, Some((slash, _))) => slash + 1,
        (true, None) => return None,
        (false, _) => 0,
    };
    let (kind, id) = current[start..].split_once('/')?;
    let is_short = is_type(kind) && is_id(id) && version.is_none_or(is_id);
    is_short.then(|| (kind, &reference[start..]))
}

fn contained<'a, 'b>(tree: &'b Node<'a>, reference: &str) -> Option<&'b Node<'a>> {
    let local = reference.strip_prefix('#')?;
    tree.list("contained").iter().find(|node| node.text("id") == Some(local))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && !"-._".contains(letter))
}

/// In lower case, and without percent-encoding.
fn plain(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ENCODED_MAX {
        match decoded(&text) {
            Some(decoded) => text = Cow::Owned(decoded),
            None => break,
        }
    }
    text.to_lowercase()
}

/// With one layer of percent-encoding taken off, if there is any.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut rest, mut is_encoded) = (text.as_bytes(), false);
    while let Some((&first, others)) = rest.split_first() {
        let hex = (first == b'%').then(|| others.split_at_checked(2)).flatten();
        let hex = hex.and_then(|(hex, others)| Some((std::str::from_utf8(hex).ok()?, others)));
        match hex.and_then(|(hex, others)| Some((u8::from_str_radix(hex, 16).ok()?, others))) {
            Some((byte, others)) => {
                bytes.push(byte);
                (rest, is_encoded) = (others, true);
            }
            None => {
                bytes.push(first);
                rest = others;
            }
        }
    }
    is_encoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_kept_only_if_it_is_type_and_id() {
        for (reference, kept) in [
            ("Observation/o9", "Observation/o9"),
            ("Observation/o9/_history/2", "Observation/o9/_history/2"),
            ("https://ehr.example/fhir/Observation/o9", "Observation/o9"),
            ("http://ehr.example/fhir/Observation/o9/_history/2", "Observation/o9/_history/2"),
            ("Patient/p1", "Patient/p1"),
        ] {
            assert_eq!(short(reference).map(|(_, short)| short), Some(kept), "{reference}");
        }
        let long = format!("Observation/{}", "x".repeat(65));
        for reference in [
            "",
            "Observation",
            "observation/o9",
            "Observation/",
            "Observation/o9/_history/",
            "Observation/o9/_history/2/_history/3",
            "Observation?patient=jaan-1",
            "Observation/o9?patient=jaan-1",
            "Observation/o9#jaan-1",
            "Observation/%6aaan",
            "Patient/jaan-1/Observation/o9",
            "https://Observation",
            "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
            &long,
        ] {
            assert_eq!(short(reference), None, "{reference}");
        }
    }

    #[test]
    fn people_are_known_by_any_spelling_of_their_type() {
        for kind in ["Patient", "patient", "PATIENT", "RelatedPerson", "Person", "Group"] {
            assert!(names_person_type(kind), "{kind}");
        }
        for kind in ["Observation", "Practitioner", "Device", "Organization", "CareTeam"] {
            assert!(!names_person_type(kind), "{kind}");
        }
    }

    #[test]
    fn texts_are_compared_without_case_and_encoding() {
        assert_eq!(plain("Jaan%2d1"), "jaan-1");
        assert_eq!(plain("%2525 %4A%61an %zz %f"), "% jaan %zz %f");
        assert_eq!(plain("%%34a"), "j");
    }
}
