//! Plain words: tables of codes, and the sentence that facts make.
//!
//! A person reads these. So none of the log's own words stands here, and no foreign text reaches a
//! line unless [`clean`] has been over it.

mod said;
mod source;

use crate::reading::{Facts, Who};

/// Resource types in plain words, the commonest first: (types, code, words after "your").
const CATEGORIES: [(&[&str], &str, &str); 22] = [
    (&["Observation"], "measurements", "measurements"),
    (&["AllergyIntolerance"], "allergies", "allergies"),
    (
        &[
            "MedicationRequest",
            "MedicationStatement",
            "MedicationAdministration",
            "MedicationDispense",
            "Medication",
        ],
        "medicines",
        "medicines",
    ),
    (&["Condition"], "diagnoses", "diagnoses"),
    (&["DocumentReference", "Composition", "Binary", "DocumentManifest"], "documents", "documents"),
    (&["DiagnosticReport"], "testResults", "test results"),
    (&["Encounter", "EpisodeOfCare"], "visits", "visits"),
    (&["Immunization"], "vaccinations", "vaccinations"),
    (&["Procedure"], "procedures", "procedures"),
    (&["Patient", "RelatedPerson", "Person"], "personalDetails", "personal details"),
    (&["ImagingStudy", "Media"], "images", "images"),
    (&["CarePlan", "CareTeam", "Goal"], "carePlan", "care plan"),
    (&["Appointment", "Schedule", "Slot"], "appointments", "appointments"),
    (&["ServiceRequest", "Task"], "orders", "orders"),
    (&["FamilyMemberHistory"], "familyHistory", "family history"),
    (
        &["Coverage", "Claim", "ClaimResponse", "ExplanationOfBenefit"],
        "bills",
        "insurance and bills",
    ),
    (&["Consent"], "permissions", "permissions"),
    (&["QuestionnaireResponse"], "answers", "answers to questions"),
    (&["Device", "DeviceUseStatement"], "devices", "devices"),
    (&["AuditEvent", "Provenance"], "trail", "trail"),
    (&["Communication", "CommunicationRequest"], "messages", "messages"),
    (&["List", "Bundle"], "lists", "lists"),
];

/// Sensitive topics (v3-ActCode, information sensitivity) as an adjective.
const TOPICS: [(&str, &str); 14] = [
    ("PSY", "psychiatric"),
    ("PSYTHPN", "psychotherapy"),
    ("MH", "mental health"),
    ("BH", "behavioural health"),
    ("HIV", "HIV"),
    ("STD", "sexual health"),
    ("SEX", "sexual health"),
    ("ETH", "substance use"),
    ("SUD", "substance use"),
    ("SDV", "sexual or domestic violence"),
    ("DVD", "developmental"),
    ("GDIS", "genetic"),
    ("SCA", "sickle cell"),
    ("PREGNANT", "pregnancy"),
];

/// Purposes of use (v3-ActReason).
const PURPOSES: [(&str, &str); 31] = [
    ("TREAT", "For your treatment."),
    ("CAREMGT", "To organise your care."),
    ("CLINTRL", "For a clinical trial."),
    ("CLINTRLNPC", "For a clinical trial without treatment."),
    ("CLINTRLPC", "For a clinical trial with treatment."),
    ("CLINTRCH", "For research on a clinical trial."),
    ("COC", "To coordinate your care."),
    ("COVERAGE", "For your insurance."),
    ("ETREAT", "For your emergency treatment."),
    ("HPAYMT", "For payment."),
    ("CLMATTCH", "For a bill."),
    ("REMITADV", "For a payment advice."),
    ("HOPERAT", "To run the organisation."),
    ("HSYSADMIN", "To run its computers."),
    ("HCOMPL", "To check that rules are kept."),
    ("HQUALIMP", "To improve quality."),
    ("PATSFTY", "For patient safety."),
    ("PATADMIN", "For patient administration."),
    ("TRAIN", "For training of staff."),
    ("HTEST", "For a test."),
    ("HRESCH", "For research."),
    ("BIORCH", "For biomedical research."),
    ("DSRCH", "For research on a disease."),
    ("POARCH", "For research on ancestry."),
    ("PUBHLTH", "For public health."),
    ("DISASTER", "For help in a disaster."),
    ("HMARKT", "For marketing."),
    ("HLEGAL", "For a legal matter."),
    ("PATRQT", "At your request."),
    ("FAMRQT", "At your family's request."),
    ("PWATRNY", "At the request of who may act for you."),
];

/// Jobs: SNOMED CT, ISCO-08 and FHIR practitioner-role codes.
const ROLES: [(&str, &str); 18] = [
    ("nurse", "nurse"),
    ("224535009", "nurse"),
    ("106292003", "nurse"),
    ("2221", "nurse"),
    ("309453006", "midwife"),
    ("2222", "midwife"),
    ("doctor", "doctor"),
    ("158965000", "doctor"),
    ("309343006", "doctor"),
    ("2211", "doctor"),
    ("2212", "specialist doctor"),
    ("59058001", "family doctor"),
    ("80584001", "psychiatrist"),
    ("pharmacist", "pharmacist"),
    ("46255001", "pharmacist"),
    ("2262", "pharmacist"),
    ("researcher", "researcher"),
    ("ict", "computer specialist"),
];

/// The category of a resource type: `other` if it is none of the common ones.
pub(crate) fn category(resource_type: &str) -> &'static str {
    known_category(resource_type).unwrap_or("other")
}

/// The category of a resource type, if it is one of the common ones.
pub(crate) fn known_category(resource_type: &str) -> Option<&'static str> {
    let found = CATEGORIES.iter().find(|(types, ..)| types.contains(&resource_type));
    found.map(|(_, code, _)| *code)
}

/// Whether a security label names a sensitive topic.
pub(crate) fn is_topic(code: &str) -> bool {
    TOPICS.iter().any(|(topic, _)| *topic == code)
}

/// A job in plain words.
pub(crate) fn role(code: &str) -> Option<&'static str> {
    ROLES.iter().find(|(known, _)| *known == code).map(|(_, word)| *word)
}

/// Foreign text made fit for a line. White space and control characters become one blank; what
/// turns or hides text (bidi controls, zero width, soft hyphen, tags) and the asterisk are
/// dropped; after `letters_max` letters it is cut with an ellipsis.
pub(crate) fn clean(text: &str, letters_max: usize) -> String {
    let mut cleaned = String::new();
    let mut letters = 0;
    let mut is_gap = false;
    for letter in text.chars().filter(|letter| !is_hidden(*letter)) {
        if letter.is_whitespace() || letter.is_control() {
            is_gap = letters > 0;
            continue;
        }
        let width = 1 + usize::from(is_gap);
        if letters + width > letters_max {
            cleaned.push('…');
            break;
        }
        if is_gap {
            cleaned.push(' ');
        }
        cleaned.push(letter);
        letters += width;
        is_gap = false;
    }
    cleaned
}

fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '*' | '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}

/// The sentence a person reads of these facts, in English.
pub fn sentence(facts: &Facts) -> String {
    if facts.verb == "none" {
        return relayed(facts, other_kind(facts));
    }
    let told = permission(facts).or_else(|| said::said(facts));
    if let Some(told) = told.or_else(|| source::source(facts)) {
        return relayed(facts, told);
    }
    let mut parts = Vec::new();
    if facts.refused {
        parts.push("Refused.".to_owned());
    } else if facts.emergency {
        parts.push("Emergency.".to_owned());
    } else if facts.flags.iter().any(|flag| flag == "unusual") {
        parts.push("Unusual.".to_owned());
    }
    parts.push(act(facts));
    parts.extend(ending(facts));
    parts.extend(purpose(facts));
    relayed(facts, parts.join(" "))
}

/// What is said of permissions, erasures and sales; none for all other lines.
fn permission(facts: &Facts) -> Option<String> {
    let whom = facts.counterpart.as_deref().unwrap_or("somebody");
    let asking = facts.counterpart.as_deref().unwrap_or("an organisation without a name");
    let may = |what: &str| {
        let marked = if facts.sensitive { ", also sensitive ones" } else { "" };
        let reason = purpose(facts).map_or_else(String::new, |reason| format!(" {reason}"));
        let data = data(facts);
        format!("You gave {whom} permission to {what} {data}{marked}.{reason}")
    };
    Some(match facts.verb.as_str() {
        "permitRead" => may("read"),
        "permitChange" => may("change"),
        "permitBoth" => may("read and change"),
        "approve" => format!("You approved one change by {whom}."),
        "delegate" => format!("You let {whom} act for you."),
        "guard" => match &facts.counterpart {
            Some(whom) => format!("{whom} was named to act for you."),
            None => "Somebody was named to act for you.".into(),
        },
        "account" => "You took a table of who was given your data.".into(),
        "takeBack" => "You took back a permission.".into(),
        "takeBackAll" => "You took back all permissions that you had given.".into(),
        "eraseAsk" => "You asked that your records and the lines until then be erased.".into(),
        "eraseAskRecords" => "You asked that your records be erased.".into(),
        "eraseCancel" => {
            "You took back what you had asked to be erased. Nothing was erased.".into()
        }
        "eraseDuty" => {
            "Nothing was erased: the law obliges this service to keep it for now.".into()
        }
        "eraseHold" => "Nothing was erased: this service was ordered to keep it.".into(),
        "eraseDone" => {
            "Your records and the lines until you asked were erased, as you wished.".into()
        }
        "eraseDoneRecords" => "Your records were erased, as you wished.".into(),
        "salePaid" => format!(
            "{} paid for data that you offer. Nothing is delivered unless you approve.",
            capital(whom)
        ),
        "saleSettled" => format!("The money for a sale to {whom} was paid out."),
        "saleRefunded" => format!("The money for a sale to {whom} went back. Nothing was opened."),
        "saleWithdrawn" => format!("You asked {whom} to delete what you had sold."),
        "saleDeleted" => format!("{} signed that what you had sold is deleted.", capital(whom)),
        "saleSilent" => {
            format!("{} did not say in time whether what you had sold is deleted.", capital(whom))
        }
        "saleOptOut" => "You said no to all sales of your data.".into(),
        "saleOptIn" => "You took back your no to all sales of your data.".into(),
        "callAccepted" => {
            format!("You agreed to sell a copy of your data to {whom}, together with others.")
        }
        "callWithdrawn" => {
            format!("You took back that you sell to {whom} together with others.")
        }
        "callSettled" => {
            format!("The money for a sale to {whom}, together with others, was paid out.")
        }
        "callClosed" => format!(
            "The money for a sale to {whom}, together with others, went back. You were not paid."
        ),
        "download" => format!("{} downloaded the sealed copy of what you sell.", capital(whom)),
        "lookSold" => format!("{} looked at {} that you sold.", capital(whom), data(facts)),
        "notPermit" => {
            let who = facts.organisation.as_deref().unwrap_or("an organisation without a name");
            format!("A change by {who} was not permitted by you.")
        }
        "lookFor" => format!("{whom} looked at {} for you.", data(facts)),
        "askChange" => {
            let who = facts.organisation.as_deref().unwrap_or("An organisation without a name");
            format!("{who} asks you to allow a change in {}.", data(facts))
        }
        "declineChange" => format!("You said no to a change that {asking} had asked for."),
        "withdrawChange" => format!("{} no longer asks you for a change.", capital(asking)),
        "expireChange" => format!("A change that {asking} had asked for was not answered in time."),
        _ => return None,
    })
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Who did what, as one sentence.
fn act(facts: &Facts) -> String {
    let who = opening(facts);
    let data = data(facts);
    let tried = facts.failed || facts.kind == "refusal";
    let other = facts.counterpart.as_deref();
    let done = match (facts.verb.as_str(), tried) {
        ("ask", _) if facts.refused => "asked to see your data".into(),
        ("ask", _) => "asked to see your data and was allowed".into(),
        ("passOn", false) => format!("passed {data} on{}", to(other, "to")),
        ("passOn", true) => format!("tried to pass {data} on{}", to(other, "to")),
        ("receive", false) => format!("received {data}{}", to(other, "from")),
        ("receive", true) => format!("tried to get {data}{}", to(other, "from")),
        ("read", false) if facts.emergency => format!("opened {data}"),
        ("change", true) if changed(facts).is_some() => {
            format!("tried to change {}", changed(facts).unwrap_or(data))
        }
        ("change", false) if changed(facts).is_some() => {
            format!("changed {data}: {}", changed(facts).unwrap_or_default())
        }
        (verb, false) => format!("{} {data}", past(verb)),
        (verb, true) => format!("tried to {} {data}", infinitive(verb)),
    };
    let without = if facts.kind == "refusal" { " without your permission" } else { "" };
    let unasked = if facts.purpose.as_deref() == Some("BTG") && !facts.refused {
        "; you could not be asked"
    } else {
        ""
    };
    format!("{who} {done}{without}{unasked}.")
}

/// From what to what, in foreign words.
fn changed(facts: &Facts) -> Option<String> {
    let (before, after) = (facts.before.as_deref()?, facts.after.as_deref()?);
    Some(match &facts.item {
        Some(item) => format!("“{item}” from “{before}” to “{after}”"),
        None => format!("“{before}” to “{after}”"),
    })
}

fn to(other: Option<&str>, word: &str) -> String {
    other.map_or_else(String::new, |other| format!(" {word} {other}"))
}

fn opening(facts: &Facts) -> String {
    let organisation = facts.organisation.as_deref().unwrap_or("an organisation without a name");
    let capital = facts.organisation.as_deref().unwrap_or("An organisation without a name");
    let on_behalf = facts.on_behalf_of.as_deref();
    let on_behalf = on_behalf.map_or_else(String::new, |other| format!(" for {other}"));
    if facts.is_self {
        return match &facts.organisation {
            Some(organisation) => format!("You, through {organisation},"),
            None => "You".into(),
        };
    }
    if facts.is_machine {
        return format!("Automatic check: {organisation}{on_behalf}");
    }
    match &facts.who {
        None => format!("{capital}{on_behalf}"),
        Some(Who { name: Some(name), .. }) => format!("{name}, {organisation}{on_behalf},"),
        Some(Who { id, role, .. }) => {
            let number = id.as_ref().map_or_else(String::new, |id| format!("no. {id}, "));
            let person = match role {
                Some(role)
                    if role.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) =>
                {
                    format!("An {role}")
                }
                Some(role) => format!("A {role}"),
                None => "Somebody".into(),
            };
            format!("{person} at {organisation}{on_behalf} ({number}name not given)")
        }
    }
}

fn data(facts: &Facts) -> String {
    let topic = facts.topic.as_deref();
    let topic = topic.and_then(|topic| TOPICS.iter().find(|(code, _)| *code == topic));
    if let Some((_, adjective)) = topic {
        let is_note = facts.categories == ["documents"];
        let article =
            if adjective.starts_with(['a', 'e', 'i', 'o', 'u', 'H']) { "an" } else { "a" };
        return match is_note {
            true if facts.verb == "create" => format!("your {adjective} notes"),
            true => format!("{article} {adjective} note"),
            false => format!("your {adjective} records"),
        };
    }
    let word = |code: &String| {
        let found = CATEGORIES.iter().find(|(_, known, _)| known == code);
        found.map_or("other records", |(.., words)| *words)
    };
    let mut words: Vec<&str> = facts.categories.iter().map(word).collect();
    if facts.more && !words.is_empty() {
        words.push("more");
    }
    match words.as_slice() {
        [] => "your data".into(),
        [only] => format!("your {only}"),
        [first @ .., last] => format!("your {} and {last}", first.join(", ")),
    }
}

fn past(verb: &str) -> &'static str {
    match verb {
        "read" => "read",
        "search" => "searched",
        "create" => "added to",
        "change" => "changed",
        "delete" => "deleted",
        _ => "used",
    }
}

fn infinitive(verb: &str) -> &'static str {
    match verb {
        "read" => "read",
        "search" => "search",
        "create" => "add to",
        "change" => "change",
        "delete" => "delete",
        _ => "use",
    }
}

fn ending(facts: &Facts) -> Option<String> {
    let is_writing = matches!(facts.verb.as_str(), "create" | "change" | "delete");
    let text = match facts.kind.as_str() {
        "refusal" if is_writing => "Nothing changed.",
        "refusal" => "Nothing was shown.",
        _ if facts.refused => "The answer was no.",
        _ if facts.failed => "It did not succeed.",
        _ => return None,
    };
    Some(text.into())
}

fn purpose(facts: &Facts) -> Option<String> {
    match facts.purpose.as_deref() {
        // The emergency was said at the start.
        Some("BTG") => None,
        Some(code) => {
            let known = PURPOSES.iter().find(|(known, _)| *known == code);
            Some(known.map_or_else(
                || format!("The reason given is “{code}”."),
                |(_, words)| (*words).to_owned(),
            ))
        }
        None if facts.flags.iter().any(|flag| flag == "noReason") => {
            Some("No reason given.".into())
        }
        None => None,
    }
}

fn relayed(facts: &Facts, text: String) -> String {
    if !facts.relayed {
        return text;
    }
    match &facts.organisation {
        Some(organisation) => format!("{text} Not signed by {organisation}."),
        None => format!("{text} Only the operator of this service says so."),
    }
}

/// What stands for kinds that are no looking, changing or passing on.
fn other_kind(facts: &Facts) -> String {
    let who = facts.organisation.as_deref().unwrap_or("An organisation without a name");
    match facts.kind.as_str() {
        "permission" => "A permission was given or taken back in your name.".into(),
        "sale" => "A sale of your data went one step further.".into(),
        "delivery" => "A copy of your data was delivered to a buyer.".into(),
        "source" => format!("{who} told something new about where your data are kept."),
        "roster" => "The lines of everybody were counted.".into(),
        "erasure" => "The content of lines was erased.".into(),
        // A line that joins an address is shown without its document to whoever has only that address.
        "binding" if facts.organisation.is_none() => {
            "Something was connected to your trail.".into()
        }
        "binding" => format!("{who} was connected to your trail."),
        "question" => "A question about a line was asked or answered.".into(),
        "correction" => format!("{who} corrected an earlier line."),
        "coverage" => format!("{who} told how many lines it has sent."),
        "claim" => format!("{who} billed something for you."),
        "operation" => "The operator of this service worked on it.".into(),
        "notice" => "A notice was sent to you.".into(),
        _ => "Something happened that this version cannot name.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_break_a_line() {
        let clean = |text: &str| clean(text, 20);
        assert_eq!(clean("  Dr\r\n\tLiis\u{a0} Kask "), "Dr Liis Kask");
        assert_eq!(clean("\u{202e}ksaK\u{202c} \u{200b}siiL\u{feff}"), "ksaK siiL");
        assert_eq!(clean("\u{1b}[31m**red**\0"), "[31mred");
        assert_eq!(clean("a\u{2028}b\u{85}c\u{ad}d"), "a b cd");
        assert_eq!(clean(&"x".repeat(10_000)), format!("{}…", "x".repeat(20)));
        assert_eq!(clean(&"ab ".repeat(9)), "ab ab ab ab ab ab ab…");
        assert_eq!(clean(&format!("{} ", "x".repeat(20))), "x".repeat(20));
        assert_eq!(clean(" \u{200b} "), "");
    }

    #[test]
    fn every_table_has_each_code_once() {
        let mut codes: Vec<&str> = PURPOSES.iter().map(|(code, _)| *code).collect();
        codes.extend(TOPICS.iter().map(|(code, _)| *code));
        codes.extend(CATEGORIES.iter().flat_map(|(types, ..)| types.iter().copied()));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
