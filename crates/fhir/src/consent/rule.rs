//! `Consent.provision`: what is permitted, by the rules of R4's own elements.
//!
//! R4 reads a confidentiality in `securityLabel` as a high-water mark ("R or lower"), and other
//! labels with what stands below them.

use super::{
    ADDRESS_SYSTEM, Permission, SCOPE_EXTENSION, Scope, Standing, TERMS, WITHIN_EXTENSION,
};
use crate::moment;
use serde_json::{Value, json};

const SECURITY: &str = "_security";

/// The root: what all rules have in common, and the rules. It has no `type`, as R4 has it. Of what
/// does not stand it holds no rule: whether something was permitted in the past a line's verdict
/// says, and software that overlooks a status must find nothing to act on.
pub(super) fn root(of: &Permission<'_>) -> Value {
    let scopes: Vec<&str> = of.scopes.iter().map(|scope| scope.text.as_str()).collect();
    let mut root = common(of);
    root["extension"] = json!([{ "url": SCOPE_EXTENSION, "valueString": scopes.join(" ") }]);
    if of.standing == Standing::Standing {
        let rules = of.scopes.iter().map(|scope| permit(of, scope));
        root["provision"] = rules.collect();
    }
    root
}

/// Grantee, purposes and time.
fn common(of: &Permission<'_>) -> Value {
    let purpose = |code: &&str| json!({ "system": format!("{TERMS}/v3-ActReason"), "code": code });
    let mut grantee = json!({ "identifier": { "system": ADDRESS_SYSTEM, "value": of.grantee } });
    if let Some(name) = of.grantee_name {
        grantee["type"] = json!("Organization");
        grantee["display"] = json!(name);
    }
    let mut common = json!({
        "actor": [{
            "role": super::concept(&format!("{TERMS}/v3-ParticipationType"), "IRCP"),
            "reference": grantee,
        }],
        "purpose": of.purposes.iter().map(purpose).collect::<Vec<_>>(),
    });
    if let Some((start_ms, end_ms)) = of.span() {
        // R4 counts the end as in it.
        let (start, end) = (moment::written(start_ms), moment::written(end_ms - 1));
        common["period"] = json!({ "start": start, "end": end });
    }
    common
}

fn permit(of: &Permission<'_>, scope: &Scope) -> Value {
    let mut rule = common(of);
    rule["extension"] = json!([{ "url": SCOPE_EXTENSION, "valueString": scope.text }]);
    rule["type"] = json!("permit");
    rule["action"] = scope.letters.chars().map(action).collect();
    if let Some(resource) = &scope.resource {
        rule["class"] =
            json!([{ "system": "http://hl7.org/fhir/resource-types", "code": resource }]);
    }
    let only_where = |name: &str, value: &str| json!([{ "url": WITHIN_EXTENSION, "valueString": format!("{name}={value}") }]);
    match &scope.parameter {
        // "V or lower, but not N or lower": what the scope says of R and V.
        Some((name, mark)) if name == SECURITY && matches!(mark.as_str(), "R" | "V") => {
            rule["securityLabel"] = json!([confidentiality(mark)]);
            rule["provision"] = json!([deny(&confidentiality("N"))]);
        }
        // That the topic does not open what is very restricted R4 cannot say.
        Some((name, topic)) if name == SECURITY => {
            rule["securityLabel"] = json!([act_code(topic)]);
            rule["modifierExtension"] = only_where(name, topic);
        }
        // `code` in R4 finds a code anywhere in an instance, a search parameter does not.
        Some((name, value)) => {
            ordinary(&mut rule, of);
            rule["modifierExtension"] = only_where(name, value);
            if name == "code" {
                let coding = match value.split_once('|') {
                    Some((system, code)) => json!({ "system": system, "code": code }),
                    None => json!({ "code": value }),
                };
                let has_all = coding.as_object().is_some_and(|members| {
                    members.values().all(|member| member.as_str() != Some(""))
                });
                // R4 forbids empty texts.
                if has_all {
                    rule["code"] = json!([{ "coding": [coding] }]);
                }
            }
        }
        None => ordinary(&mut rule, of),
    }
    rule
}

/// Ends where the marks begin.
fn ordinary(rule: &mut Value, of: &Permission<'_>) {
    rule["securityLabel"] = json!([confidentiality("N")]);
    // One rule each: in one list they could be read as *all of these*.
    rule["provision"] = of.topics.iter().map(|topic| deny(&act_code(topic))).collect();
}

fn deny(label: &Value) -> Value {
    json!({ "type": "deny", "securityLabel": [label] })
}

fn confidentiality(level: &str) -> Value {
    json!({ "system": format!("{TERMS}/v3-Confidentiality"), "code": level })
}

fn act_code(topic: &str) -> Value {
    json!({ "system": format!("{TERMS}/v3-ActCode"), "code": topic })
}

/// The interaction as FHIR's REST names it. Of HL7's own consent actions only `access` (retrieval)
/// says no more than the letter does: `correct` would also mean to read.
fn action(letter: char) -> Value {
    let coding =
        |code| json!({ "system": "http://hl7.org/fhir/restful-interaction", "code": code });
    match letter {
        'r' => json!({ "coding": [
            { "system": format!("{TERMS}/consentaction"), "code": "access" },
            coding("read"),
        ] }),
        'c' => json!({ "coding": [coding("create")] }),
        'u' => json!({ "coding": [coding("update")] }),
        'd' => json!({ "coding": [coding("delete")] }),
        _ => json!({ "coding": [coding("search-type")] }),
    }
}
