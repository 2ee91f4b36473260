//! IHE Basic Audit Log Patterns (BALP) 1.1. What is missed here flags an event; it never keeps
//! one out.
//!
//! An event is held against the pattern that it claims in
//! `meta.profile`; without a claim, against the REST or disclosure pattern that its type fits.

use crate::event::{Agent, Coding, Event, Issue, Severity};
use crate::json::{Node, Value};
use crate::rules::patterns::{
    Codes, Data, PATTERNS, PatientRule, Pattern, RESOURCE_TYPES, REST_TYPE, Role,
};

const BASE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";

/// Canonical URLs of the patterns that are checked.
pub(crate) fn profiles() -> impl Iterator<Item = String> {
    PATTERNS.iter().flat_map(|pattern| {
        let plain = format!("{BASE}{}", pattern.id);
        let variant = pattern.patient == PatientRule::Variant;
        std::iter::once(plain).chain(variant.then(|| format!("{BASE}Patient{}", pattern.id)))
    })
}

/// The BALP rules that an event misses.
pub(crate) fn flags(event: &Event, tree: &Node<'_>) -> Vec<Issue> {
    let mut flags = Flags(Vec::new());
    let mut is_claimed = false;
    for claim in &event.profiles {
        let url = claim.split('|').next().unwrap_or_default();
        let Some(id) = url.strip_prefix(BASE) else { continue };
        let found = PATTERNS.iter().find_map(|pattern| match id.strip_prefix("Patient") {
            Some(id) if id == pattern.id && pattern.patient == PatientRule::Variant => {
                Some((pattern, true))
            }
            _ => (id == pattern.id).then_some((pattern, pattern.patient == PatientRule::Always)),
        });
        if let Some((pattern, wants_patient)) = found {
            is_claimed = true;
            flags.pattern(pattern, wants_patient, event, tree);
        }
    }
    if !is_claimed {
        let fits = |pattern: &&Pattern| {
            let subtype = |coding: &Coding| in_codes(coding, pattern.subtypes);
            let is_kind =
                pattern.kind == Some((event.code.system.as_str(), event.code.code.as_str()));
            is_kind
                && (pattern.kind != Some((REST_TYPE, "rest")) || event.subtypes.iter().any(subtype))
        };
        match PATTERNS.iter().find(fits) {
            Some(pattern) => {
                let wants_patient = match pattern.patient {
                    PatientRule::Variant => !event.patients.is_empty(),
                    rule => rule == PatientRule::Always,
                };
                flags.pattern(pattern, wants_patient, event, tree);
            }
            None => {
                let text = "It fits no BALP pattern and claims none in meta.profile.";
                flags.add("AuditEvent.type", "balp.pattern", text.into());
                if let Some(last) = flags.0.last_mut() {
                    last.severity = Severity::Information;
                }
            }
        }
    }
    flags.0
}

struct Flags(Vec<Issue>);

impl Flags {
    fn add(&mut self, path: &str, rule: &'static str, text: String) {
        let issue = Issue { path: path.to_owned(), rule, text, severity: Severity::Warning };
        // Two claimed patterns may ask for the same.
        if !self.0.contains(&issue) {
            self.0.push(issue);
        }
    }

    fn pattern(&mut self, pattern: &Pattern, wants_patient: bool, event: &Event, tree: &Node<'_>) {
        if tree.get("modifierExtension").is_some() {
            let text = "BALP allows no modifierExtension: remove it.";
            self.add("AuditEvent.modifierExtension", "balp.modifier", text.into());
        }
        self.head(pattern, event);
        for role in pattern.roles {
            self.role(role, event, tree);
        }
        self.data(pattern.data, event, tree);
        if wants_patient {
            self.patient(event);
        }
        for (place, entity) in event.entities.iter().enumerate() {
            if entity.kind.code == "XrequestId" && entity.what.identifier_value.is_none() {
                let at = format!("AuditEvent.entity[{place}].what.identifier.value");
                self.add(&at, "balp.entity.transaction", "Put the X-Request-Id here.".into());
            }
        }
    }

    fn head(&mut self, pattern: &Pattern, event: &Event) {
        if let Some((system, code)) = pattern.kind {
            if (event.code.system.as_str(), event.code.code.as_str()) != (system, code) {
                let text = format!("BALP {} wants {system}|{code}.", pattern.id);
                self.add("AuditEvent.type", "balp.type", text);
            }
            if !event.subtypes.iter().any(|coding| in_codes(coding, pattern.subtypes)) {
                let (system, codes) = pattern.subtypes;
                let text =
                    format!("BALP {} wants one of {system}|{}.", pattern.id, codes.join(" | "));
                self.add("AuditEvent.subtype", "balp.subtype", text);
            }
        }
        if let Some(action) = pattern.action
            && action.as_bytes() != [event.action]
        {
            let text = format!("BALP {} wants action {action}.", pattern.id);
            self.add("AuditEvent.action", "balp.action", text);
        }
        let is_outcome_wrong = match event.outcome.as_deref() {
            None => pattern.kind.is_some(),
            Some(outcome) => pattern.succeeds && outcome != "0",
        };
        if is_outcome_wrong {
            let text = if pattern.succeeds {
                format!("BALP {} is for successes: outcome 0.", pattern.id)
            } else {
                format!("BALP {} wants an outcome.", pattern.id)
            };
            self.add("AuditEvent.outcome", "balp.outcome", text);
        }
    }

    fn role(&mut self, role: &Role, event: &Event, tree: &Node<'_>) {
        let (system, codes) = role.codes;
        let is_role = |agent: &Agent| codes.iter().any(|code| agent.is(system, code));
        let agents = event.agents.iter().zip(tree.list("agent")).enumerate();
        let found: Vec<_> = agents.filter(|(_, (agent, _))| is_role(agent)).collect();
        if found.is_empty() && role.is_required {
            let text = format!(
                "BALP wants the {}: an agent of type {system}|{}.",
                role.name,
                codes.join(" | ")
            );
            self.add("AuditEvent.agent", "balp.agent", text);
        }
        for (place, (agent, node)) in found {
            let at = format!("AuditEvent.agent[{place}]");
            for &needed in role.needs {
                if !has(node, needed) {
                    let text = format!("BALP wants it of the {}: add it.", role.name);
                    self.add(&format!("{at}.{needed}"), "balp.agent.missing", text);
                }
            }
            for &banned in role.bans {
                if has(node, banned) {
                    let text = format!("BALP does not want it of the {}: remove it.", role.name);
                    self.add(&format!("{at}.{banned}"), "balp.agent.extra", text);
                }
            }
            if role.requestor.is_some_and(|wanted| wanted != agent.requestor) {
                let text = format!("BALP wants {} of the {}.", !agent.requestor, role.name);
                self.add(&format!("{at}.requestor"), "balp.agent.requestor", text);
            }
        }
    }

    fn data(&mut self, data: Data, event: &Event, tree: &Node<'_>) {
        let is_data = |kind: &Coding| match data {
            Data::Consent => kind.system == RESOURCE_TYPES && kind.code == "Consent",
            _ => kind.code == "2" && kind.system.ends_with("/audit-entity-type"),
        };
        let (wanted, roles): (&str, &[&str]) = match data {
            Data::Any => return,
            Data::Record => ("the record: an entity of type 2", &["3", "4", "20"]),
            Data::Query => ("the query: an entity of type 2 and role 24", &["24"]),
            Data::Consent => ("the consent: an entity of type Consent", &[]),
        };
        let entities = event.entities.iter().zip(tree.list("entity")).enumerate();
        let found: Vec<_> = entities.filter(|(_, (entity, _))| is_data(&entity.kind)).collect();
        if found.is_empty() {
            self.add("AuditEvent.entity", "balp.entity.data", format!("BALP wants {wanted}."));
        }
        if found.len() > 1 && matches!(data, Data::Record | Data::Query) {
            let text = format!("BALP wants {wanted}, once: send one event for each.");
            self.add("AuditEvent.entity", "balp.entity.data", text);
        }
        for (place, (entity, node)) in found {
            let at = format!("AuditEvent.entity[{place}]");
            if !roles.is_empty() && !roles.contains(&entity.role.code.as_str()) {
                let text = format!("BALP wants role {} (object-role).", roles.join(" | "));
                self.add(&format!("{at}.role"), "balp.entity.role", text);
            }
            let (needed, banned): (&str, &[&str]) = match data {
                Data::Query => ("query", &["what", "detail", "lifecycle"]),
                _ => ("what", &[]),
            };
            if !has(node, needed) {
                let text = format!("BALP wants {wanted}, with its {needed}.");
                self.add(&format!("{at}.{needed}"), "balp.entity.missing", text);
            }
            for &banned in banned {
                if has(node, banned) {
                    let text = "BALP does not want it of a query: remove it.";
                    self.add(&format!("{at}.{banned}"), "balp.entity.extra", text.into());
                }
            }
        }
    }

    fn patient(&mut self, event: &Event) {
        let is_person =
            |kind: &Coding| kind.code == "1" && kind.system.ends_with("/audit-entity-type");
        let mut persons =
            event.entities.iter().enumerate().filter(|(_, entity)| is_person(&entity.kind));
        let Some((place, person)) = persons.next() else {
            let text = "BALP wants the patient: an entity of type 1 (Person), role 1 (Patient).";
            return self.add("AuditEvent.entity", "balp.entity.patient", text.into());
        };
        let at = format!("AuditEvent.entity[{place}]");
        if person.role.code != "1" || !person.role.system.ends_with("/object-role") {
            let text = "BALP wants role 1 (object-role: Patient).";
            self.add(&format!("{at}.role"), "balp.entity.role", text.into());
        }
        let kind = person.what.resource_type.as_deref();
        let is_named = person.what.reference.is_some() || person.what.identifier.is_some();
        if !is_named || kind.is_some_and(|kind| kind != "Patient") {
            let text = "BALP wants a reference to the Patient.";
            self.add(&format!("{at}.what"), "balp.entity.patient", text.into());
        }
        if persons.next().is_some() {
            let text = "BALP wants one event for each patient: send one each.";
            self.add("AuditEvent.entity", "balp.entity.patient", text.into());
        }
    }
}

fn in_codes(coding: &Coding, (system, codes): Codes) -> bool {
    coding.system == system && codes.contains(&coding.code.as_str())
}

/// Whether a path of member names leads somewhere.
fn has(node: &Node<'_>, path: &str) -> bool {
    let found = path.split('.').try_fold(node, |node, name| node.get(name));
    found.is_some_and(|node| !matches!(node.value, Value::Null))
}
