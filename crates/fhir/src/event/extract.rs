//! From a JSON tree to what it says. Nothing fails here: what cannot be read is not there.

use super::{Agent, Changed, Coding, Entity, Event, Party, Patient, RecordRef};
use crate::json::{Node, Value};
use crate::moment;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use medtrail_ledger::entry::Kind;

/// Audit event types that are hand-overs (DICOM PS3.16 CID 400): Export, Import.
const EXPORT: &str = "110106";
/// See `EXPORT`.
pub(crate) const IMPORT: &str = "110107";

impl Event {
    /// What a tree says, whether or not it keeps the rules. Nothing fails; what cannot be read is
    /// not there.
    pub(crate) fn of(tree: &Node<'_>) -> Self {
        let agents: Vec<Agent> = tree.list("agent").iter().map(Agent::of).collect();
        let entities: Vec<Entity> = tree.list("entity").iter().map(Entity::of).collect();
        let code = tree.get("type").map(Coding::of).unwrap_or_default();
        let action = match tree.text("action").map(str::as_bytes) {
            Some(&[letter]) => letter,
            _ => 0,
        };
        let kind = match (code.code.as_str(), action) {
            (EXPORT | IMPORT, _) => Kind::HandOver,
            (_, b'C' | b'U' | b'D') => Kind::Change,
            _ => Kind::Access,
        };
        let recorded = tree.text("recorded").and_then(moment::instant);
        let source = tree.get("source");
        let observer = source.and_then(|source| source.get("observer")).map(Party::of);
        let request = entities.iter().find(|entity| entity.kind.code == "XrequestId");
        let mut event = Self {
            id: tree.text("id").map(str::to_owned),
            recorded_ms: recorded.map_or(0, |at| at.ms.max(0) as u64),
            local_hour: recorded.and_then(|at| at.local_hour),
            kind,
            action,
            outcome: tree.text("outcome").map(str::to_owned),
            code,
            subtypes: tree.list("subtype").iter().map(Coding::of).collect(),
            purposes: concepts(tree.list("purposeOfEvent")),
            profiles: tree.get("meta").map(|meta| texts(meta.list("profile"))).unwrap_or_default(),
            patients: patients(tree, &entities, &agents),
            x_request_id: request.and_then(|entity| entity.what.identifier_value.clone()),
            observer: observer.unwrap_or_default(),
            site: source.and_then(|source| source.text("site")).map(str::to_owned),
            record: None,
            flags: Vec::new(),
            agents,
            entities,
        };
        event.record = event.record_ref();
        event
    }

    /// The person, or what acted in a person's place: by the codes that BALP gives to users, else
    /// who requested it.
    pub fn user(&self) -> Option<&Agent> {
        let with = |codes: &[&str]| {
            let is = |code: &Coding| codes.contains(&code.code.as_str());
            self.agents.iter().find(|agent| agent.codes.iter().any(is))
        };
        with(&["IRCP", "AUT", "INF", "CST", "UserOauthAgent", "UserSamlAgent"])
            .or_else(|| with(&[crate::rules::patterns::PATIENT_ADVOCATE]))
            .or_else(|| self.agents.iter().find(|agent| agent.requestor))
    }

    /// Entities that are neither a patient nor the transaction: the data.
    pub fn data(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter().filter(|entity| !entity.is_patient() && entity.is_data())
    }

    fn record_ref(&self) -> Option<RecordRef> {
        let named = |entity: &Entity| {
            entity.what.reference.clone().or_else(|| entity.what.identifier.clone())
        };
        let (entity, external) = self.data().find_map(|data| Some((data, named(data)?)))?;
        let observer = [
            &self.observer.identifier_value,
            &self.observer.display,
            &self.observer.reference,
            &self.site,
        ];
        let host = entity.what.base.as_deref().map(host_of);
        let source = observer.into_iter().flatten().next().cloned();
        Some(RecordRef { source: source.or(host).unwrap_or_default(), external })
    }
}

impl Coding {
    fn of(node: &Node<'_>) -> Self {
        let text = |name| node.text(name).unwrap_or_default().to_owned();
        let display = node.text("display").map(str::to_owned);
        Self { system: text("system"), code: text("code"), display }
    }
}

/// The codings of a list of CodeableConcepts; one without a coding gives its text.
fn concepts(nodes: &[Node<'_>]) -> Vec<Coding> {
    nodes.iter().flat_map(concept).collect()
}

fn concept(node: &Node<'_>) -> Vec<Coding> {
    let text = node.text("text").map(str::to_owned);
    let mut codings: Vec<Coding> = node.list("coding").iter().map(Coding::of).collect();
    match (codings.first_mut(), text) {
        (Some(first), text) => first.display = text.or_else(|| first.display.take()),
        (None, Some(text)) => {
            codings.push(Coding { display: Some(text), ..Coding::default() });
        }
        (None, None) => {}
    }
    codings
}

fn texts(nodes: &[Node<'_>]) -> Vec<String> {
    nodes.iter().filter_map(Node::as_text).map(str::to_owned).collect()
}

impl Party {
    pub(crate) fn of(node: &Node<'_>) -> Self {
        let (base, reference) = match node.text("reference") {
            Some(reference) => {
                let (base, short) = split_reference(reference);
                (base, Some(short))
            }
            None => (None, None),
        };
        let identifier = node.get("identifier");
        let value = identifier.and_then(|identifier| identifier.text("value"));
        let system = identifier.and_then(|identifier| identifier.text("system"));
        let from_reference = reference.as_deref().and_then(|reference| reference.split_once('/'));
        let from_reference = from_reference
            .map(|(kind, _)| kind.to_owned())
            .filter(|kind| kind.bytes().all(|letter| letter.is_ascii_alphabetic()));
        Self {
            resource_type: from_reference.or_else(|| node.text("type").map(str::to_owned)),
            identifier: value.map(|value| format!("{}|{value}", system.unwrap_or_default())),
            identifier_value: value.map(str::to_owned),
            display: node.text("display").map(str::to_owned),
            reference,
            base,
        }
    }

    /// What names it: identifier first, for it outlives a move of the server.
    pub(crate) fn canonical(&self) -> Option<String> {
        self.identifier.clone().or_else(|| self.reference.clone())
    }
}

/// The base URL, if there is one, and `Type/id` without history (R4 references).
pub(crate) fn split_reference(reference: &str) -> (Option<String>, String) {
    let current = reference.split_once("/_history/").map_or(reference, |(current, _)| current);
    if !current.starts_with("http://") && !current.starts_with("https://") {
        return (None, current.to_owned());
    }
    let mut parts = current.rsplitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(kind), Some(base)) if !base.ends_with('/') && !base.ends_with(':') => {
            (Some(base.to_owned()), format!("{kind}/{id}"))
        }
        _ => (None, current.to_owned()),
    }
}

pub(crate) fn host_of(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

impl Agent {
    fn of(node: &Node<'_>) -> Self {
        let text = |name| node.text(name).map(str::to_owned);
        Self {
            codes: node.get("type").map(concept).unwrap_or_default(),
            who: node.get("who").map(Party::of).unwrap_or_default(),
            alt_id: text("altId"),
            name: text("name"),
            requestor: matches!(
                node.get("requestor").map(|node| &node.value),
                Some(Value::Bool(true))
            ),
            roles: concepts(node.list("role")),
            purposes: concepts(node.list("purposeOfUse")),
            policies: texts(node.list("policy")),
            network: node.get("network").and_then(|at| at.text("address")).map(str::to_owned),
        }
    }

    /// Whether it takes part as this code of this system.
    pub(crate) fn is(&self, system: &str, code: &str) -> bool {
        self.codes.iter().any(|coding| coding.system == system && coding.code == code)
    }
}

impl Entity {
    fn of(node: &Node<'_>) -> Self {
        let packed = |query: &str| query.split_ascii_whitespace().collect::<String>();
        let query = node.text("query").and_then(|query| BASE64.decode(packed(query)).ok());
        Self {
            what: node.get("what").map(Party::of).unwrap_or_default(),
            kind: node.get("type").map(Coding::of).unwrap_or_default(),
            role: node.get("role").map(Coding::of).unwrap_or_default(),
            labels: node.list("securityLabel").iter().map(Coding::of).collect(),
            query: query.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            change: Changed::of(node),
        }
    }

    /// Whether it is a patient: by its role (object-role 1) or what it points to.
    pub fn is_patient(&self) -> bool {
        let has_role = self.role.code == "1"
            && (self.role.system.is_empty() || self.role.system.ends_with("/object-role"));
        has_role || self.what.resource_type.as_deref() == Some("Patient")
    }

    fn is_data(&self) -> bool {
        self.kind.code != "XrequestId" && self.role.code != "13"
    }
}

impl Changed {
    fn of(entity: &Node<'_>) -> Option<Self> {
        let value = |kind: &str| {
            let mut details = entity.list("detail").iter();
            let found = details.find(|detail| detail.text("type") == Some(kind));
            found.and_then(|detail| detail.text("valueString")).map(str::to_owned)
        };
        let item = entity.text("description")?.to_owned();
        Some(Self { item, before: value("before")?, after: value("after")? })
    }
}

/// Whom the event is about: patients among the entities; if there are none, an agent who is a
/// patient (people who sign in, or look at their own data).
fn patients(tree: &Node<'_>, entities: &[Entity], agents: &[Agent]) -> Vec<Patient> {
    let mut patients: Vec<Patient> = Vec::new();
    for (place, entity) in entities.iter().enumerate().filter(|(_, entity)| entity.is_patient()) {
        let Some(identifier) = identity(tree, &entity.what) else { continue };
        // Two elements with one reference are one patient if only one tells an identifier. Two
        // identifiers are two people, whatever the references say.
        let is_same = |patient: &&mut Patient| {
            let (reference, base) = (&entity.what.reference, &entity.what.base);
            let may_be =
                entity.what.identifier.is_none() || Some(&patient.identifier) == reference.as_ref();
            let mut known = patient.entities.iter().map(|place| &entities[*place].what);
            let is_known = |it: &Party| it.reference == *reference && it.base == *base;
            patient.identifier == identifier || may_be && reference.is_some() && known.any(is_known)
        };
        match patients.iter_mut().find(is_same) {
            Some(known) => {
                known.entities.push(place);
                // Whichever element came first: the pseudonym is made of the identifier.
                if Some(&known.identifier) == entity.what.reference.as_ref() {
                    known.identifier = identifier;
                }
            }
            None => patients.push(Patient { identifier, entities: vec![place] }),
        }
    }
    if patients.is_empty() {
        let is_patient = |agent: &&Agent| agent.who.resource_type.as_deref() == Some("Patient");
        let found = agents.iter().filter(is_patient).find_map(|agent| identity(tree, &agent.who));
        patients.extend(found.map(|identifier| Patient { identifier, entities: Vec::new() }));
    }
    patients
}

/// What names a patient. A contained one is named by its first identifier; its local id means
/// nothing outside of the event.
fn identity(tree: &Node<'_>, who: &Party) -> Option<String> {
    let local = who.reference.as_deref().and_then(|reference| reference.strip_prefix('#'));
    let (Some(local), None) = (local, &who.identifier) else { return who.canonical() };
    let contained = tree.list("contained").iter().find(|node| node.text("id") == Some(local))?;
    let identifier = contained.list("identifier").first()?;
    let system = identifier.text("system").unwrap_or_default();
    Some(format!("{system}|{}", identifier.text("value")?))
}
