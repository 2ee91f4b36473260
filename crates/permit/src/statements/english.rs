//! The English templates.

use super::{enumerate, span, terms};
use crate::check::Rights;
use crate::confidentiality::MARKS;
use crate::documents::{
    ChangeApproval, Delegation, Document, Erase, Grant, Guardianship, RecoveryPolicy,
};
use crate::scopes::{Parameter, SECURITY, Scope};
use crate::{purposes, resources};
use alloy_primitives::Address;
use medtrail_ledger::binding::minute;

pub(super) fn render(document: &Document) -> Option<String> {
    match document {
        Document::Grant(grant) => self::grant(grant),
        Document::ChangeApproval(document) => Some(approval(document)),
        Document::RecoveryPolicy(document) => Some(recovery(document)),
        Document::Delegation(document) => delegation(document),
        Document::Guardianship(document) => guardianship(document),
        Document::Erase(document) => Some(erasure(document)),
        Document::Revoke(_) | Document::RevokeAll(_) => None,
    }
}

fn grant(grant: &Grant) -> Option<String> {
    let (scopes, codes) = terms(&grant.scopes, &grant.purposes)?;
    let acts: Vec<String> = scopes.iter().map(act).collect();
    let reasons = codes.iter().map(|code| purposes::find(code).map(|purpose| purpose.english));
    let reasons: Vec<&str> = reasons.collect::<Option<_>>()?;
    Some(format!(
        "I allow {grantee} to do this with the health data of {subject}: {acts}. Only for: \
         {reasons}. Data marked as restricted or sensitive are included only where that mark is \
         named here. Valid until {until} UTC; it can be taken back at any time. (Medtrail grant 1)",
        grantee = grant.grantee,
        subject = grant.subject,
        acts = acts.join("; "),
        reasons = reasons.join("; "),
        until = minute(grant.expiresAt),
    ))
}

/// `see and search measurements`.
fn act(scope: &Scope) -> String {
    let verbs: Vec<String> =
        scope.interactions.letters().map(|letter| verb(letter).into()).collect();
    format!("{} {}", enumerate(&verbs, "and"), data(scope))
}

/// `measurements`: what a scope is about.
pub(crate) fn data(scope: &Scope) -> String {
    let data = match scope.resource {
        None => "all data".to_owned(),
        Some(name) => match resources::words(name) {
            Some((english, _)) => english.to_owned(),
            None => format!("data of type {name}"),
        },
    };
    let only = scope.parameter.as_ref().map(only).unwrap_or_default();
    format!("{data}{only}")
}

fn verb(letter: char) -> &'static str {
    match letter {
        'c' => "add",
        'r' => "see",
        'u' => "change",
        'd' => "delete",
        _ => "search",
    }
}

fn only(Parameter { name, value }: &Parameter) -> String {
    let mark = MARKS.iter().find(|(code, ..)| name == SECURITY && code == value);
    match mark {
        Some((_, english, _)) => format!(" (only what is marked: {english})"),
        None => format!(" (only where {name} is {value})"),
    }
}

fn approval(document: &ChangeApproval) -> String {
    let ChangeApproval { subject, custodian, record, fromVersion: from, toVersion: to, .. } =
        document;
    let change = match (from.is_zero(), to.is_zero()) {
        (true, _) => format!("add record {record} as version {to}"),
        (_, true) => format!("delete record {record}, whose version is {from}"),
        _ => format!("change record {record} from version {from} to version {to}"),
    };
    format!(
        "I allow {custodian} to make one change in the health data of {subject}: {change}. It \
         allows no other change, and this one only once. Valid until {until} UTC. (Medtrail \
         approval 1)",
        until = minute(document.expiresAt),
    )
}

fn recovery(document: &RecoveryPolicy) -> String {
    let trustees: Vec<String> = document.trustees.iter().map(Address::to_string).collect();
    let (number, unit) = span(document.delayS);
    // Two days at least: never one of a unit.
    let unit = ["days", "hours", "minutes", "seconds"][unit];
    format!(
        "If I lose my key: of the {count} trustees named here, {needed} together may move control \
         of {subject} to a new address. Waiting time: {number} {unit}; until then my present key \
         can stop it. Each trustee alone can stop new permissions and sales at once. Trustees: \
         {trustees}. (Medtrail recovery 1)",
        count = trustees.len(),
        needed = document.needed,
        subject = document.subject,
        trustees = trustees.join(", "),
    )
}

fn rights(text: &str) -> Option<&'static str> {
    let Rights { see, permit } = Rights::parse(text)?;
    Some(match (see, permit) {
        (true, true) => {
            "see the health data and who used them, give permissions and take them back"
        }
        (true, false) => "see the health data and who used them",
        _ => "give permissions and take them back",
    })
}

fn delegation(document: &Delegation) -> Option<String> {
    Some(format!(
        "I let {delegate} act for {subject}. Allowed: {rights}. Not allowed: sell data, appoint \
         others, take over control. Valid until {until} UTC; it can be taken back at any time. \
         (Medtrail delegation 1)",
        delegate = document.delegate,
        subject = document.subject,
        rights = rights(&document.rights)?,
        until = minute(document.expiresAt),
    ))
}

fn guardianship(document: &Guardianship) -> Option<String> {
    Some(format!(
        "{guardian} acts for the person with the number {subject}, who has no key. Ground: \
         {ground}. Allowed: {rights}. Not allowed: sell data, appoint others, take over control. \
         {custodian} has checked this and can end it at any time. Valid until {until} UTC. \
         (Medtrail guardianship 1)",
        guardian = document.guardian,
        subject = document.subject,
        ground = document.ground,
        rights = rights(&document.rights)?,
        custodian = document.custodian,
        until = minute(document.expiresAt),
    ))
}

fn erasure(document: &Erase) -> String {
    let Erase { log, subject, .. } = document;
    let what = match document.upToOrdinal {
        0 => format!("Erase the records that log {log} keeps about {subject}. Its lines stay."),
        line => format!(
            "Erase what log {log} keeps about {subject}: all records, and the lines up to line \
             {line}. What was permitted until it is done ends with them."
        ),
    };
    format!(
        "{what} It is done 30 days after this is recorded and can be cancelled until then; \
         afterwards nobody can bring it back. What the law obliges to keep stays until that duty \
         ends. This request must be recorded by {until} UTC. (Medtrail erasure 2)",
        until = minute(document.expiresAt),
    )
}
