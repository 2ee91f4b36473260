//! What a person reads of a line.
//!
//! Facts are taken from the report and its details document and nothing else, so that the page,
//! with the same two, says the same (`tests/vectors/lines.json`).

mod said;
mod sale;
mod signed;
mod source;
mod vault;

use crate::event::{Agent, Coding, Event, Party};
use crate::json::Node;
use crate::report::{RELAYED_VERSION, SHARED_VERSION};
use crate::words::{self, clean};
use alloy_primitives::Address;
use medtrail_ledger::binding;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use said::Voice;
use serde::{Deserialize, Serialize};

pub use crate::words::sentence;

/// The version of a document that somebody signed, in the log.
const PERMISSION_VERSION: &str = "medtrail/permission-v1";
const ACCOUNTING_VERSION: &str = "medtrail/accounting-v1";
/// The version of what the log tells of a look by somebody who acts for the person.
const LOOK_VERSION: &str = "medtrail/look-v1";
const SALE_VERSION: &str = "medtrail/sale-v1";
const CALL_VERSION: &str = "medtrail/call-v1";
const DOWNLOAD_VERSION: &str = "medtrail/download-v1";
const ERASURE_VERSION: &str = "medtrail/erasure-v1";
/// The version of what the log tells of something refused.
const REFUSAL_VERSION: &str = "medtrail/refusal-v1";

/// Letters of a name that are shown.
pub const NAME_LETTERS_MAX: usize = 80;
/// Letters of a number, code or record name that are shown.
pub const CODE_LETTERS_MAX: usize = 64;
/// Letters of a query that are shown.
pub const QUERY_LETTERS_MAX: usize = 200;
/// Categories of one line that are shown.
pub const CATEGORIES_MAX: usize = 4;

/// The category of a FHIR resource type, as [`Facts::categories`] has it.
pub fn category_of(resource_type: &str) -> &'static str {
    words::category(resource_type)
}

/// What can be told of a line. Texts that came from outside are cleaned and cut.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// What the log calls it: `access`, `change`, … , `other`.
    pub kind: String,
    /// The organisation that reports, or for which was relayed; none if nobody knows its name.
    pub organisation: Option<String>,
    /// Only the operator's word: no signature of the organisation stands beside it. Entries that
    /// the log makes of its own acts (permissions, operations…) are not called so.
    pub relayed: bool,
    /// Who did it, if that is told.
    pub who: Option<Who>,
    /// For which other organisation.
    pub on_behalf_of: Option<String>,
    /// Of data passed on: to whom, or from whom. Of a permission: whose it is, by name or address. Of
    /// a request that ended: who had asked. Of a sale: who buys.
    pub counterpart: Option<String>,
    /// No person did this.
    pub is_machine: bool,
    /// The person of the trail did this.
    pub is_self: bool,
    /// What was done: `read`, `search`, `create`, `change`, `delete`, `use`, `passOn`, `receive`,
    /// `ask`; of permissions `permitRead`, `permitChange`, `permitBoth`, `approve`, `delegate`,
    /// `guard`, `endGuard`, `takeBack`, `takeBackAll`, and of a change that was not permitted `notPermit`; in the
    /// vault `lookFor` (somebody who acts for the person looked), `askChange`, `declineChange`,
    /// `withdrawChange`, `expireChange`; of questions `askWhy`, `askCorrection`, `answer`,
    /// `noAnswer`, of an emergency `noWord`; of corrections `correct`, `didNotHappen`, `wrongPerson`; of claims `bill`,
    /// `hadIt`, `hadItNot`; of notices `noticeByMail`, `noticeByWebhook`; of erasures `eraseAsk`,
    /// `eraseAskRecords`, `eraseCancel`, `eraseDuty`, `eraseHold`, `eraseDone`, `eraseDoneRecords`;
    /// of sales `salePaid`, `saleSettled`, `saleRefunded`, `saleWithdrawn`, `saleDeleted`, `saleSilent`,
    /// `saleOptOut`, `saleOptIn`, `download`, `lookSold`, of calls to many `callAccepted`, `callWithdrawn`,
    /// `callSettled`, `callClosed`; `account`: a table of their own lines was taken; `none` for all others.
    pub verb: String,
    /// Which data, as codes (`allergies`, `medicines`… or `other`), each once, at most
    /// [`CATEGORIES_MAX`].
    pub categories: Vec<String>,
    /// There are more categories than these.
    pub more: bool,
    /// A sensitive topic (v3-ActCode): `PSY`, `HIV`, `ETH`, `SDV`…
    pub topic: Option<String>,
    /// The first record, as the organisation names it: `Observation/o9`.
    pub resource: Option<String>,
    /// Purpose of use (v3-ActReason).
    pub purpose: Option<String>,
    /// An emergency was declared (BTG, ETREAT).
    pub emergency: bool,
    /// The data are of a sensitive topic, or restricted (confidentiality R, V).
    pub sensitive: bool,
    /// It was tried and did not succeed.
    pub failed: bool,
    /// It was asked for, and not allowed.
    pub refused: bool,
    /// The query, as far as it is text.
    pub query: Option<String>,
    /// What is worth a second look: `noReason` (a person gave none), `atNight` (from 22 to 6 on
    /// the reporter's clock), `unusual` (a person, sensitive data, and one of the two).
    pub flags: Vec<String>,
    /// Where the data came from.
    pub origin: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What was asked, answered, billed or given as the reason, in the words of who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The day for which something was billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// Of a change: of what, in the words of who reports it. Never of sensitive data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// What it was; of a change that was refused, the title of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is now, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Who did something: a name, or a role and a number.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// Their name.
    pub name: Option<String>,
    /// Their number or login.
    pub id: Option<String>,
    /// Their job in plain words.
    pub role: Option<String>,
}

/// The facts of a report and its details document. Never fails: of an unknown or missing document
/// it gives what the report alone says.
///
/// `is_relayed`: the entry's evidence is that nobody signed. Whose word a line is comes from there
/// alone. A document could say anything: that a signed report is another organisation's, or that
/// the operator's own invention is somebody's.
pub fn reading(
    report: &Report,
    details: Option<&[u8]>,
    is_relayed: bool,
    names: &dyn Fn(Address) -> Option<String>,
) -> Facts {
    let kind = Kind::from_number(report.kind);
    // The actor of a relayed report is the operator: never name it as who reports.
    let signer = (!is_relayed).then_some(report.actor);
    let mut facts = Facts {
        kind: kind.word().to_owned(),
        organisation: signer.and_then(names).and_then(|name| text(&name, NAME_LETTERS_MAX)),
        relayed: is_relayed && !is_of_the_log(kind),
        verb: verb_of(kind, report.action).to_owned(),
        refused: kind == Kind::Refusal,
        at_ms: report.timeMs,
        ..Facts::default()
    };
    let Some(tree) = details.and_then(|bytes| Node::parse(bytes).ok()) else { return facts };
    let name_in = |id: Option<&str>, told: Option<&str>| {
        let id = id.and_then(|id| id.parse().ok());
        let name = id.and_then(names).or_else(|| told.map(str::to_owned));
        name.and_then(|name| text(&name, NAME_LETTERS_MAX))
    };
    match tree.text("version") {
        // Signed, it is a document that this version cannot read: its envelope is the log's.
        Some(RELAYED_VERSION) if !is_relayed => {}
        Some(RELAYED_VERSION) => {
            facts.relayed = true;
            facts.organisation = name_in(tree.text("organisation"), tree.text("name"));
            let inner = tree.text("document").map(str::as_bytes).map(Node::parse);
            if let Some(Ok(tree)) = inner
                && !facts.take_vault(report, &tree, true, names)
            {
                facts.take(report, &tree);
                facts.take_said(kind, &tree, Voice::Organisation);
            }
        }
        Some(binding::VERSION) if is_relayed && kind == Kind::Binding => {
            if let Some(named) = tree.get("organisation") {
                facts.organisation = name_in(named.text("id"), named.text("name"));
            }
        }
        Some(PERMISSION_VERSION) if is_relayed && kind == Kind::Permission => {
            facts.take_permission(&tree, names);
        }
        Some(version @ (ACCOUNTING_VERSION | LOOK_VERSION))
            if is_relayed && kind == Kind::Access =>
        {
            facts.relayed = false;
            match tree.text("reader").and_then(|id| id.parse().ok()) {
                Some(reader) => facts.take_reader(reader, names),
                None if version == ACCOUNTING_VERSION => {
                    facts.is_self = true;
                    facts.verb = "account".to_owned();
                }
                None => {}
            }
        }
        Some(SALE_VERSION) if is_relayed && kind == Kind::Sale => facts.take_sale(&tree, names),
        Some(CALL_VERSION) if is_relayed && kind == Kind::Sale => facts.take_call(&tree, names),
        Some(DOWNLOAD_VERSION) if is_relayed && kind == Kind::Access => {
            facts.take_download(&tree, names);
        }
        Some(ERASURE_VERSION) if is_relayed && kind == Kind::Erasure => facts.take_erasure(&tree),
        Some(REFUSAL_VERSION) if is_relayed && kind == Kind::Refusal => {
            // What else is refused only its kind tells.
            let verb = match tree.text("refused") {
                Some("change") => "notPermit",
                Some("write") => "change",
                Some("read") => "read",
                _ => return facts,
            };
            facts.relayed = false;
            facts.verb = verb.to_owned();
            facts.organisation = name_in(tree.text("organisation"), None);
            if verb == "change" {
                let title =
                    |member| tree.text(member).and_then(|title| text(title, CODE_LETTERS_MAX));
                (facts.before, facts.after) = (title("before"), title("after"));
            }
        }
        _ if facts.take_vault(report, &tree, !is_relayed, names) => {}
        _ if facts.take_source(report, &tree, !is_relayed) => {}
        _ if is_relayed => {
            facts.take(report, &tree);
            let named = facts.take_said(kind, &tree, Voice::Log);
            if let Some(id) = named {
                facts.organisation = name_in(Some(&id), None);
            }
        }
        _ => {
            facts.take(report, &tree);
            facts.take_said(kind, &tree, Voice::Organisation);
        }
    }
    facts
}

/// Kinds that the log enters of its own acts: nobody else could have signed them.
fn is_of_the_log(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Permission
            | Kind::Sale
            | Kind::Delivery
            | Kind::Roster
            | Kind::Erasure
            | Kind::Binding
            | Kind::Operation
            | Kind::Notice
    )
}

/// What a report alone tells.
fn verb_of(kind: Kind, action: u8) -> &'static str {
    match (kind, action) {
        (Kind::HandOver, b'C') => "receive",
        (Kind::HandOver, _) => "passOn",
        (Kind::Access | Kind::Change | Kind::Refusal, b'C') => "create",
        (Kind::Access | Kind::Change | Kind::Refusal, b'U') => "change",
        (Kind::Access | Kind::Change | Kind::Refusal, b'D') => "delete",
        (Kind::Access | Kind::Refusal, b'R') => "read",
        (Kind::Change, _) => "change",
        (Kind::Access | Kind::Refusal, _) => "use",
        _ => "none",
    }
}

/// An address in a few letters: what stands where nobody knows a name.
fn short_of(address: Address) -> String {
    let text = format!("{address:#x}");
    format!("{}…{}", &text[..8], &text[38..])
}

impl Facts {
    /// Somebody looked who acts for the person.
    fn take_reader(&mut self, reader: Address, names: &dyn Fn(Address) -> Option<String>) {
        let name = names(reader).and_then(|name| text(&name, NAME_LETTERS_MAX));
        self.counterpart = name.or_else(|| Some(short_of(reader)));
        self.verb = "lookFor".to_owned();
    }

    /// Adds what an AuditEvent, or what is shared of one, tells.
    fn take(&mut self, report: &Report, tree: &Node<'_>) {
        let tree = match tree.text("version") {
            Some(SHARED_VERSION) => tree.get("event").unwrap_or(tree),
            _ => tree,
        };
        if tree.text("resourceType") != Some("AuditEvent") || self.verb == "none" {
            return;
        }
        let event = Event::of(tree);
        // What was signed is the report: a document that tells of another act changes no verb.
        if event.kind.number() == report.kind && event.action == report.action {
            self.take_act(&event);
        }
        self.take_people(&event);
        self.take_data(&event);
        self.take_purpose(&event);
        self.take_flags(&event);
    }

    fn take_act(&mut self, event: &Event) {
        let is_subtype = |codes: &[&str]| {
            event.subtypes.iter().any(|subtype| codes.contains(&subtype.code.as_str()))
        };
        let is_failure = event.outcome.as_deref().is_some_and(|outcome| outcome != "0");
        if event.kind == Kind::HandOver {
            let is_import = event.code.code == crate::event::IMPORT;
            self.verb = if is_import { "receive" } else { "passOn" }.to_owned();
        } else if is_subtype(&["AuthZ-Consent", "AuthZ-Role"]) {
            self.verb = "ask".to_owned();
            self.refused = is_failure;
            return;
        } else if event.kind == Kind::Access && event.action == b'E' {
            self.verb = if is_search(event) { "search" } else { "use" }.to_owned();
        }
        self.failed = is_failure;
    }

    fn take_people(&mut self, event: &Event) {
        let is_hand_over = event.kind == Kind::HandOver;
        let user = event.user();
        let patients = || event.entities.iter().filter(|entity| entity.is_patient());
        let is_self = |user: &Agent| {
            let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
            user.who.resource_type.as_deref() == Some("Patient")
                && (event.patients.iter().any(|patient| patient.entities.is_empty())
                    || patients().any(|patient| {
                        same(&patient.what.reference, &user.who.reference)
                            || same(&patient.what.identifier, &user.who.identifier)
                    }))
        };
        let is_patient = user.is_some_and(is_self);
        // Who authorises that data are passed on does not pass them on.
        self.is_self = is_patient && !is_hand_over;
        // A legacy event may call nobody requestor: whoever is no machine may have been a person,
        // and a person's look must never pass as an automatic one.
        let others = || event.agents.iter().filter(|_| user.is_none());
        let person = user.into_iter().chain(others()).find(|agent| is_person(agent));
        let is_unnamed_hand_over = is_hand_over && user.is_none();
        let person = person.filter(|_| !is_patient && !is_unnamed_hand_over);
        let is_all_machine = event.agents.iter().all(|agent| is_machine(agent) || !agent.requestor);
        let has_agents = !event.agents.is_empty();
        self.is_machine =
            person.is_none() && !is_patient && !is_hand_over && has_agents && is_all_machine;
        self.who = person.map(who);
        if is_hand_over {
            let code = if self.verb == "receive" { "110153" } else { "110152" };
            let other = event.agents.iter().find(|agent| has_code(agent, code));
            self.counterpart = other.and_then(|agent| name_of(&agent.who));
        }
        let organisation = event.agents.iter().find(|agent| has_code(agent, "PROV"));
        let organisation = organisation.and_then(|agent| name_of(&agent.who));
        self.on_behalf_of = organisation.filter(|name| Some(name) != self.organisation.as_ref());
        self.origin = name_of(&event.observer)
            .or_else(|| event.site.as_deref().and_then(|site| text(site, NAME_LETTERS_MAX)));
    }

    fn take_data(&mut self, event: &Event) {
        let mut categories: Vec<&'static str> = Vec::new();
        let mut add = |category: &'static str| {
            if !categories.contains(&category) {
                categories.push(category);
            }
        };
        for entity in event.data() {
            let kind = entity.what.resource_type.as_deref();
            let coded = (entity.kind.system == "http://hl7.org/fhir/resource-types")
                .then_some(entity.kind.code.as_str());
            match (kind.or(coded), entity.query.as_deref()) {
                (Some(kind), _) => add(words::category(kind)),
                (None, Some(query)) => {
                    if let Some(category) = searched(query) {
                        add(category);
                    }
                }
                (None, None) => {}
            }
        }
        if categories.is_empty() && is_sheet(event) {
            categories.push("personalDetails");
        }
        self.more = categories.len() > CATEGORIES_MAX;
        categories.truncate(CATEGORIES_MAX);
        self.categories = categories.into_iter().map(str::to_owned).collect();
        let record = event.record.as_ref().map(|record| record.external.as_str());
        self.resource = record.and_then(|record| text(record, CODE_LETTERS_MAX));
        let query = event.data().find_map(|entity| entity.query.as_deref());
        self.query = query.and_then(|query| text(query, QUERY_LETTERS_MAX));
        let labels = || event.entities.iter().flat_map(|entity| &entity.labels);
        let topic = labels().find(|label| words::is_topic(&label.code));
        self.topic = topic.map(|label| label.code.clone());
        let is_restricted = |label: &Coding| {
            label.system.ends_with("/v3-Confidentiality")
                && matches!(label.code.as_str(), "R" | "V")
        };
        self.sensitive = self.topic.is_some() || labels().any(is_restricted);
        self.take_change(event);
    }

    /// Who looks over a person's shoulder is not to read what is sensitive.
    fn take_change(&mut self, event: &Event) {
        if self.verb != "change" || self.sensitive {
            return;
        }
        let Some(change) = event.data().find_map(|entity| entity.change.as_ref()) else { return };
        let cut = |words: &str| text(words, CODE_LETTERS_MAX);
        let told = (cut(&change.item), cut(&change.before), cut(&change.after));
        if let (Some(item), Some(before), Some(after)) = told {
            (self.item, self.before, self.after) = (Some(item), Some(before), Some(after));
        }
    }

    fn take_purpose(&mut self, event: &Event) {
        let of_user = event.user().into_iter().flat_map(|user| &user.purposes);
        let of_agents = event.agents.iter().flat_map(|agent| &agent.purposes);
        let all: Vec<&Coding> = of_user.chain(&event.purposes).chain(of_agents).collect();
        let urgent = |code: &str| all.iter().any(|purpose| purpose.code == code);
        // One declared emergency outweighs every other reason given beside it.
        let urgent = ["BTG", "ETREAT"].into_iter().find(|code| urgent(code));
        self.emergency = urgent.is_some();
        let given = |purpose: &&Coding| {
            let code = Some(purpose.code.as_str()).filter(|code| !code.is_empty());
            text(code.or(purpose.display.as_deref())?, CODE_LETTERS_MAX)
        };
        self.purpose = urgent.map(str::to_owned).or_else(|| all.iter().find_map(given));
    }

    fn take_flags(&mut self, event: &Event) {
        if self.is_machine || self.is_self || self.verb == "ask" {
            return;
        }
        let has_person = self.who.is_some();
        let is_unreasoned = has_person && self.purpose.is_none();
        let is_at_night =
            has_person && event.local_hour.is_some_and(|hour| !(6..22).contains(&hour));
        let is_unusual = self.sensitive && !self.emergency && (is_unreasoned || is_at_night);
        let flags =
            [("unusual", is_unusual), ("noReason", is_unreasoned), ("atNight", is_at_night)];
        self.flags = flags.into_iter().filter(|(_, is)| *is).map(|(flag, _)| flag.into()).collect();
    }
}

/// Whether an event tells of a search: by its subtype, or since it has a query.
pub(crate) fn is_search(event: &Event) -> bool {
    let codes = ["search", "search-type", "search-system"];
    event.subtypes.iter().any(|subtype| codes.contains(&subtype.code.as_str()))
        || event.entities.iter().any(|entity| entity.query.is_some())
}

/// Whether a record that was touched is the patient's own data sheet.
pub(crate) fn is_sheet(event: &Event) -> bool {
    event.entities.iter().any(|one| one.is_patient() && one.kind.code == "2")
}

/// The category that a raw search asks for: the last path segment that is a known resource type.
fn searched(query: &str) -> Option<&'static str> {
    searched_path(query).find_map(words::known_category)
}

/// The resource type that a raw search asks for: the last path segment that looks like one.
pub(crate) fn searched_type(query: &str) -> Option<&str> {
    let is_type = |part: &&str| {
        part.starts_with(|letter: char| letter.is_ascii_uppercase())
            && part.bytes().all(|letter| letter.is_ascii_alphabetic())
    };
    searched_path(query).find(is_type)
}

/// The segments of a search's path, the last first.
fn searched_path(query: &str) -> impl Iterator<Item = &str> {
    let query = query.trim_start();
    let query =
        ["GET ", "POST "].iter().find_map(|method| query.strip_prefix(method)).unwrap_or(query);
    let path = query.split(['?', ' ', '\r', '\n']).next().unwrap_or_default();
    path.rsplit('/')
}

/// Device, or one of the codes of DICOM and BALP that machines alone have.
fn is_machine(agent: &Agent) -> bool {
    let codes = [
        "110150",
        "110152",
        "110153",
        "110154",
        "110155",
        "authserver",
        "AuthzOauthService",
        "custodian",
    ];
    agent.who.resource_type.as_deref() == Some("Device")
        || codes.iter().any(|code| has_code(agent, code))
}

fn is_person(agent: &Agent) -> bool {
    let is_organisation = agent.who.resource_type.as_deref() == Some("Organization")
        || ["PROV", "homeCommunityId"].iter().any(|code| has_code(agent, code));
    !is_machine(agent) && !is_organisation
}

fn has_code(agent: &Agent, code: &str) -> bool {
    agent.codes.iter().any(|coding| coding.code == code)
}

/// Name, or role and number; an agent that tells neither is somebody all the same.
fn who(agent: &Agent) -> Who {
    let short = |value: &Option<String>, max| value.as_deref().and_then(|value| text(value, max));
    let name = short(&agent.name, NAME_LETTERS_MAX)
        .or_else(|| short(&agent.who.display, NAME_LETTERS_MAX));
    let id = short(&agent.who.identifier_value, CODE_LETTERS_MAX)
        .or_else(|| short(&agent.alt_id, CODE_LETTERS_MAX));
    let known = agent.roles.iter().find_map(|role| words::role(&role.code)).map(str::to_owned);
    let told = || agent.roles.iter().find_map(|role| short(&role.display, CODE_LETTERS_MAX));
    Who { name, id, role: known.or_else(told) }
}

fn name_of(party: &Party) -> Option<String> {
    let names = [&party.display, &party.identifier_value];
    names.into_iter().flatten().find_map(|name| text(name, NAME_LETTERS_MAX))
}

/// Cleaned and cut; none if nothing is left.
pub(crate) fn text(text: &str, letters_max: usize) -> Option<String> {
    Some(clean(text, letters_max)).filter(|text| !text.is_empty())
}
