//! What a record was made of: extracted from, de-identified from… As FHIR's Provenance says it, or
//! our own JSON documents in `derivedFrom`.

use crate::json::Node;
use crate::reading::text as shown;
use crate::report::{RELAYED_VERSION, SHARED_VERSION};
use serde::{Deserialize, Serialize};

/// Origins of one step that are told; what follows is left out.
const DERIVATIONS_MAX: usize = 32;
/// Letters of an origin's name that are told.
const LETTERS_MAX: usize = 128;

/// One origin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Derivation {
    /// How.
    pub how: How,
    /// The origin, as whoever made it calls it: `Observation/o9`, or a record's id.
    pub what: String,
}

/// How something was made of something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// A part of it.
    Extracted,
    /// Who it is about was taken out.
    Deidentified,
    /// Who it is about was replaced by another name.
    Pseudonymised,
    /// Another form of it.
    Transformed,
    /// It repeats it.
    Quoted,
    /// A newer version of it.
    Revised,
    /// Made with it, in a way nobody tells.
    Derived,
}

/// The origins that a details document tells, each once.
pub fn derivations(details: &[u8]) -> Vec<Derivation> {
    let Ok(tree) = Node::parse(details) else { return Vec::new() };
    if tree.text("version") != Some(RELAYED_VERSION) {
        return of(&tree);
    }
    let inner = tree.text("document").map(str::as_bytes).map(Node::parse);
    inner.and_then(Result::ok).map_or_else(Vec::new, |tree| of(&tree))
}

fn of(tree: &Node<'_>) -> Vec<Derivation> {
    let tree = match tree.text("version") {
        Some(SHARED_VERSION) => tree.get("event").unwrap_or(tree),
        _ => tree,
    };
    let told: Vec<Derivation> = match tree.text("resourceType") {
        Some("Provenance") => of_provenance(tree),
        Some(_) => Vec::new(),
        None => tree.list("derivedFrom").iter().filter_map(of_ours).collect(),
    };
    let mut each: Vec<Derivation> = Vec::new();
    for one in told {
        if !each.contains(&one) && each.len() < DERIVATIONS_MAX {
            each.push(one);
        }
    }
    each
}

fn of_ours(node: &Node<'_>) -> Option<Derivation> {
    let how = match node.text("how")? {
        "extracted" => How::Extracted,
        "deidentified" => How::Deidentified,
        "pseudonymised" => How::Pseudonymised,
        "transformed" => How::Transformed,
        "quoted" => How::Quoted,
        "revised" => How::Revised,
        _ => How::Derived,
    };
    Some(Derivation { how, what: shown(node.text("what")?, LETTERS_MAX)? })
}

/// Roles of R4's provenance-entity-role; a derivation is told more closely by the activity
/// (ISO 21089 lifecycle).
fn of_provenance(tree: &Node<'_>) -> Vec<Derivation> {
    let activity = activity(tree);
    let origins = tree.list("entity").iter().filter_map(|entity| {
        let what = entity.get("what")?;
        let identifier = || what.get("identifier").and_then(|one| one.text("value"));
        let name = what.text("reference").or_else(identifier)?;
        let how = match (entity.text("role")?, activity) {
            ("revision", _) => How::Revised,
            ("quotation", _) => How::Quoted,
            ("derivation" | "source", Some("extract")) => How::Extracted,
            ("derivation" | "source", Some("deidentify")) => How::Deidentified,
            ("derivation" | "source", Some("pseudonymize")) => How::Pseudonymised,
            ("derivation" | "source", Some("transform" | "translate")) => How::Transformed,
            ("derivation" | "source", _) => How::Derived,
            _ => return None,
        };
        Some(Derivation { how, what: shown(name, LETTERS_MAX)? })
    });
    origins.collect()
}

/// The first code of `activity`.
pub(crate) fn activity<'a>(tree: &'a Node<'_>) -> Option<&'a str> {
    tree.get("activity")?.list("coding").iter().find_map(|coding| coding.text("code"))
}
