//! What is told at once, and what is not told at all: from the entry alone.

use crate::opener::Entry;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::proof::Evidence;
use serde_json::Value;

/// How soon a person is told of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Soon {
    /// What a person can act upon, or must know.
    AtOnce,
    /// Everything else that happened.
    InTheDigest,
    /// What they did themself, and notices.
    Never,
}

pub(super) fn soon(entry: &Entry) -> Soon {
    let details = entry.details.as_deref().unwrap_or_default();
    let is_own = entry.evidence == Evidence::Relayed;
    let says = |member: &str| {
        let tree: Value = serde_json::from_slice(details).unwrap_or_default();
        tree[member].as_str().unwrap_or_default().to_owned()
    };
    match Kind::from_number(entry.report.kind) {
        Kind::Notice | Kind::Roster | Kind::Operation | Kind::Coverage => Soon::Never,
        // Asked by the person: the change that an organisation asks for has another version.
        Kind::Question if is_own && says("version") == "medtrail/question-v1" => {
            match says("act").as_str() {
                "asked" => Soon::Never,
                _ => Soon::AtOnce,
            }
        }
        Kind::Claim if is_own && says("version") == "medtrail/claim-v1" => Soon::Never,
        Kind::Question
        | Kind::Claim
        | Kind::Correction
        | Kind::Refusal
        | Kind::Permission
        | Kind::Erasure
        | Kind::Binding
        | Kind::Sale
        | Kind::Delivery => Soon::AtOnce,
        Kind::Source if is_own && says("version") == "medtrail/source-v1" => Soon::AtOnce,
        Kind::Access | Kind::Change | Kind::HandOver if is_emergency(details) => Soon::AtOnce,
        Kind::Access | Kind::Change | Kind::HandOver | Kind::Source | Kind::Other(_) => {
            Soon::InTheDigest
        }
    }
}

/// Whether an event, also one that was relayed or is shared, gives an emergency as its purpose.
/// Telling once too often is the lesser harm: any `purposeOfUse`, `purposeOfEvent` or `policy`
/// counts, wherever it stands.
fn is_emergency(details: &[u8]) -> bool {
    fn holds(tree: &Value, within: bool) -> bool {
        match tree {
            Value::Object(members) => members.iter().any(|(name, value)| {
                let is_purpose = within || name == "purposeOfUse" || name == "purposeOfEvent";
                let is_code = name == "code" && is_purpose;
                let is_it = matches!(value.as_str(), Some("BTG" | "ETREAT"));
                let inner = value.as_str().filter(|_| name == "document");
                let inner = inner.and_then(|text| serde_json::from_str::<Value>(text).ok());
                (is_code && is_it)
                    || holds(value, is_purpose)
                    || inner.is_some_and(|inner| holds(&inner, false))
            }),
            Value::Array(items) => items.iter().any(|item| holds(item, within)),
            _ => false,
        }
    }
    serde_json::from_slice(details).is_ok_and(|tree| holds(&tree, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_ledger::schema::{Place, Report};

    fn entry(kind: Kind, is_own: bool, details: &str) -> Entry {
        Entry {
            index: 1,
            report: Report { kind: kind.number(), ..Report::default() },
            place: Place::default(),
            evidence: match is_own {
                true => Evidence::Relayed,
                false => Evidence::Signed(vec![1; 65].into()),
            },
            details: Some(details.as_bytes().to_vec()),
        }
    }

    #[test]
    fn what_a_person_can_act_upon_is_told_at_once_and_never_what_they_did() {
        use Soon::{AtOnce, InTheDigest, Never};
        let glass = r#"{"purposeOfEvent":[{"coding":[{"code":"BTG"}]}]}"#;
        let within = serde_json::json!({ "version": "medtrail/relayed-v1", "document": glass });
        let asked = r#"{"version":"medtrail/question-v1","act":"asked"}"#;
        let silence = r#"{"version":"medtrail/question-v1","act":"unanswered"}"#;
        let unconfirmed = r#"{"version":"medtrail/emergency-v1","act":"unanswered"}"#;
        let change = r#"{"version":"medtrail/change-request-v1","act":"asked"}"#;
        let answer = r#"{"version":"medtrail/claim-v1","act":"answered"}"#;
        for (kind, is_own, details, expected) in [
            (Kind::Access, false, "{}", InTheDigest),
            (Kind::Access, false, glass, AtOnce),
            (Kind::Access, true, &*within.to_string(), AtOnce),
            (Kind::Access, false, r#"{"type":{"code":"BTG"}}"#, InTheDigest),
            (Kind::Access, false, "no JSON", InTheDigest),
            (Kind::Question, true, asked, Never),
            (Kind::Question, true, silence, AtOnce),
            (Kind::Question, true, unconfirmed, AtOnce),
            (Kind::Question, true, change, AtOnce),
            // Signed, it is somebody else's word, whatever it calls itself.
            (Kind::Question, false, asked, AtOnce),
            (Kind::Claim, true, answer, Never),
            (Kind::Claim, false, "{}", AtOnce),
            (Kind::Source, true, r#"{"version":"medtrail/source-v1","act":"lost"}"#, AtOnce),
            (Kind::Source, false, r#"{"version":"medtrail/source-v1"}"#, InTheDigest),
            (Kind::Refusal, true, "{}", AtOnce),
            (Kind::Notice, true, "{}", Never),
            (Kind::Operation, true, "{}", Never),
            (Kind::Other(99), false, "{}", InTheDigest),
        ] {
            assert_eq!(soon(&entry(kind, is_own, details)), expected, "{kind:?} {details}");
        }
    }
}
