//! Base R4: what is missed here is refused. One walk over the whole tree tells all of it at once.

use super::shapes::{AUDIT_EVENT, Element, Holds, PROVENANCE, Shape, extension_value};
use crate::event::{ISSUES_MAX, ITEMS_MAX, Issue, Severity};
use crate::json::{Node, Value};
use crate::moment;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::HashSet;

/// Every base rule that a tree misses, at most [`ISSUES_MAX`].
pub(crate) fn issues(tree: &Node<'_>) -> Vec<Issue> {
    let mut walk = Walk { issues: Vec::new(), told: 0 };
    if let Some(kind) = tree.text("resourceType").filter(|kind| *kind != "AuditEvent") {
        let text = format!("This is a {}; only AuditEvents are taken here.", cut(kind));
        walk.add("AuditEvent.resourceType", "r4.code", text);
        return walk.issues;
    }
    walk.shape(tree, &AUDIT_EVENT, "AuditEvent");
    invariants(&mut walk, tree);
    walk.told("AuditEvent")
}

/// The same of a Provenance.
pub(crate) fn provenance_issues(tree: &Node<'_>) -> Vec<Issue> {
    let mut walk = Walk { issues: Vec::new(), told: 0 };
    if let Some(kind) = tree.text("resourceType").filter(|kind| *kind != "Provenance") {
        let text = format!("This is a {}; only Provenances are taken here.", cut(kind));
        walk.add("Provenance.resourceType", "r4.code", text);
        return walk.issues;
    }
    walk.shape(tree, &PROVENANCE, "Provenance");
    if tree.get("occurredPeriod").is_some() && tree.get("occurredDateTime").is_some() {
        walk.add(
            "Provenance.occurred[x]",
            "r4.invariant",
            "Send the time or the period, not both.",
        );
    }
    walk.told("Provenance")
}

/// What another shape misses.
#[cfg(test)]
pub(super) fn shape_issues(tree: &Node<'_>, shape: &Shape, path: &str) -> Vec<Issue> {
    let mut walk = Walk { issues: Vec::new(), told: 0 };
    walk.shape(tree, shape, path);
    walk.told(path)
}

struct Walk {
    issues: Vec<Issue>,
    told: usize,
}

impl Walk {
    /// All that was found, and how much more.
    fn told(mut self, path: &str) -> Vec<Issue> {
        if self.told > self.issues.len() {
            let more = self.told - self.issues.len();
            self.issues.push(issue(path, "limit.issues", format!("{more} more issues.")));
        }
        self.issues
    }

    fn add(&mut self, path: &str, rule: &'static str, text: impl Into<String>) {
        self.told += 1;
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(issue(path, rule, text.into()));
        }
    }

    fn shape(&mut self, node: &Node<'_>, shape: &Shape, path: &str) {
        let Value::Object(members) = &node.value else {
            return self.add(path, "r4.type", "Send an object here.");
        };
        if members.is_empty() {
            return self.add(path, "r4.empty", "Nothing is in here: leave it out.");
        }
        let mut seen = HashSet::with_capacity(members.len());
        for (name, value) in members {
            let at = format!("{path}.{}", cut(name));
            if !seen.insert(name.as_str()) {
                // Readers differ in which of two they take: no two people may see two events.
                self.add(&at, "r4.double", "This stands here twice: send it once.");
                continue;
            }
            self.member(node, shape, name, value, &at);
        }
        for element in shape.elements.iter().filter(|element| element.is_required) {
            if node.get(element.name).is_none() {
                let at = format!("{path}.{}", element.name);
                self.add(&at, "r4.required", "R4 requires it: add it.");
            }
        }
    }

    fn member(&mut self, node: &Node<'_>, shape: &Shape, name: &str, value: &Node<'_>, at: &str) {
        if let Some(element) = shape.elements.iter().find(|element| element.name == name) {
            return self.element(node, element, value, at);
        }
        match name {
            "id" => self.value(value, Holds::Text, at),
            "extension" => self.extensions(value, at),
            "modifierExtension" if shape.is_backbone => self.extensions(value, at),
            // The sibling of a primitive holds its id and extensions (R4 2.1.0.2, JSON).
            _ => match name.strip_prefix('_').and_then(|name| primitive(shape, name)) {
                Some(element) => self.sibling(value, element.is_list, at),
                None => self.add(at, "r4.unknown", "R4 knows no such element here: remove it."),
            },
        }
    }

    fn element(&mut self, parent: &Node<'_>, element: &Element, value: &Node<'_>, at: &str) {
        match (&value.value, element.is_list) {
            (Value::List(items), true) => {
                if items.is_empty() {
                    return self.add(at, "r4.empty", "An empty list: leave it out.");
                }
                if items.len() > ITEMS_MAX {
                    let text = format!("{} items; at most {ITEMS_MAX}.", items.len());
                    return self.add(at, "limit.items", text);
                }
                let has_sibling = parent.get(&format!("_{}", element.name)).is_some();
                for (place, item) in items.iter().enumerate() {
                    if has_sibling && matches!(item.value, Value::Null) {
                        continue;
                    }
                    self.value(item, element.holds, &format!("{at}[{place}]"));
                }
            }
            (Value::List(_), false) => self.add(at, "r4.type", "Send one value, not a list."),
            (_, true) => self.add(at, "r4.type", "Send a list here."),
            (_, false) => self.value(value, element.holds, at),
        }
    }

    fn value(&mut self, node: &Node<'_>, holds: Holds, at: &str) {
        match holds {
            Holds::Shape(shape) => return self.shape(node, shape, at),
            Holds::Resource => {
                if node.text("resourceType").is_none_or(str::is_empty) {
                    self.add(at, "r4.type", "Send a resource with its resourceType here.");
                }
                return;
            }
            Holds::Bool => {
                if !matches!(node.value, Value::Bool(_)) {
                    self.add(at, "r4.type", "Send true or false here.");
                }
                return;
            }
            _ => {}
        }
        let Some(text) = node.as_text() else {
            return self.add(at, "r4.type", "Send text here.");
        };
        if text.trim().is_empty() {
            return self.add(at, "r4.empty", "Empty text: leave it out.");
        }
        match holds {
            Holds::Code(codes) if !codes.contains(&text) => {
                let text = format!("“{}” is not in the list: {}.", cut(text), codes.join(", "));
                self.add(at, "r4.code", text);
            }
            Holds::Instant => self.instant(text, at),
            Holds::DateTime if !moment::is_date_time(text) => {
                let example = "2026, 2026-11, 2026-11-21 or 2026-11-21T23:47:00+02:00";
                self.add(at, "r4.value", format!("Send a dateTime that exists: {example}."));
            }
            Holds::Base64 => {
                let packed: String = text.split_ascii_whitespace().collect();
                if BASE64.decode(packed).is_err() {
                    self.add(at, "r4.value", "Send base64 here.");
                }
            }
            Holds::Token if text.contains(char::is_whitespace) => {
                self.add(at, "r4.value", "No white space is allowed here.");
            }
            Holds::Id if !is_id(text) => {
                self.add(at, "r4.value", "1 to 64 letters, digits, '-' or '.': change the id.");
            }
            _ => {}
        }
    }

    fn instant(&mut self, text: &str, at: &str) {
        match moment::instant(text) {
            None => {
                let text = "Send a time that exists, with seconds and zone: \
                            2026-11-21T23:47:00+02:00.";
                self.add(at, "r4.instant", text);
            }
            Some(time) if time.ms < 0 => {
                self.add(at, "limit.time", "Times before 1970 are not taken.");
            }
            Some(_) => {}
        }
    }

    fn extensions(&mut self, node: &Node<'_>, at: &str) {
        let Value::List(items) = &node.value else {
            return self.add(at, "r4.type", "Send a list here.");
        };
        if items.is_empty() {
            self.add(at, "r4.empty", "An empty list: leave it out.");
        }
        for (place, item) in items.iter().enumerate() {
            self.extension(item, &format!("{at}[{place}]"));
        }
    }

    /// `ext-1`: a value or extensions, not both, not neither.
    fn extension(&mut self, node: &Node<'_>, at: &str) {
        let Value::Object(members) = &node.value else {
            return self.add(at, "r4.type", "Send an object here.");
        };
        let mut seen = HashSet::new();
        let mut contents = 0;
        for (name, value) in members {
            let at = format!("{at}.{}", cut(name));
            if !seen.insert(name.as_str()) {
                self.add(&at, "r4.double", "This stands here twice: send it once.");
                continue;
            }
            match name.as_str() {
                "url" => self.value(value, Holds::Token, &at),
                "id" => self.value(value, Holds::Text, &at),
                "extension" => {
                    contents += 1;
                    self.extensions(value, &at);
                }
                _ => match extension_value(name.strip_prefix('_').unwrap_or(name)) {
                    None => self.add(&at, "r4.unknown", "R4 knows no such value: remove it."),
                    Some(_) if name.starts_with('_') => {
                        contents += usize::from(node.get(&name[1..]).is_none());
                        self.sibling(value, false, &at);
                    }
                    Some(holds) => {
                        contents += 1;
                        if let Some(holds) = holds {
                            self.value(value, holds, &at);
                        }
                    }
                },
            }
        }
        if node.get("url").is_none() {
            self.add(&format!("{at}.url"), "r4.required", "R4 requires it: add it.");
        }
        if contents != 1 {
            let text = "An extension holds one value, or extensions (ext-1).";
            self.add(at, "r4.invariant", text);
        }
    }

    fn sibling(&mut self, node: &Node<'_>, is_list: bool, at: &str) {
        static SIBLING: Shape = Shape { elements: &[], is_backbone: false };
        match (&node.value, is_list) {
            (Value::List(items), true) => {
                for (place, item) in items.iter().enumerate() {
                    if !matches!(item.value, Value::Null) {
                        self.shape(item, &SIBLING, &format!("{at}[{place}]"));
                    }
                }
            }
            (Value::Object(_), false) => self.shape(node, &SIBLING, at),
            _ => self.add(at, "r4.type", "Send id and extension of the element here."),
        }
    }
}

/// What R4 asks beyond single elements.
fn invariants(walk: &mut Walk, tree: &Node<'_>) {
    for (place, entity) in tree.list("entity").iter().enumerate() {
        let at = format!("AuditEvent.entity[{place}]");
        if entity.get("name").is_some() && entity.get("query").is_some() {
            let text = "Either a name or a query, not both (sev-1): remove one.";
            walk.add(&at, "r4.invariant", text);
        }
        for (place, detail) in entity.list("detail").iter().enumerate() {
            let has = |name: &str| detail.get(name).is_some();
            let values = [
                has("valueString") || has("_valueString"),
                has("valueBase64Binary") || has("_valueBase64Binary"),
            ];
            if values[0] == values[1] {
                let at = format!("{at}.detail[{place}].value");
                walk.add(&at, "r4.required", "Send valueString or valueBase64Binary, one of them.");
            }
        }
    }
    if let Some(period) = tree.get("period") {
        let span = |name| period.text(name).and_then(moment::span);
        if let (Some(start), Some(end)) = (span("start"), span("end"))
            && start.0 >= end.1
        {
            let text = "It ends before it starts (per-1): change one of them.";
            walk.add("AuditEvent.period", "r4.invariant", text);
        }
    }
}

fn primitive<'a>(shape: &'a Shape, name: &str) -> Option<&'a Element> {
    let found = shape.elements.iter().find(|element| element.name == name)?;
    let is_complex = matches!(found.holds, Holds::Shape(_) | Holds::Resource | Holds::Xhtml);
    (!is_complex && name != "resourceType").then_some(found)
}

fn is_id(text: &str) -> bool {
    let is_allowed = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.');
    text.len() <= 64 && text.bytes().all(is_allowed)
}

/// Foreign text inside of ours: short, and without what moves a terminal's cursor.
fn cut(text: &str) -> String {
    crate::words::clean(text, 60)
}

fn issue(path: &str, rule: &'static str, text: String) -> Issue {
    Issue { path: path.to_owned(), rule, text, severity: Severity::Error }
}
