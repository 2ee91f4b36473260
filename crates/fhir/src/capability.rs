//! CapabilityStatement: what this FHIR endpoint can do (`GET metadata`).

use serde_json::{Value, json};

/// What differs between the service and a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The Audit Record Repository: takes in and is searched.
    Repository,
    /// The gateway at an organisation: takes in only.
    Gateway,
}

/// The CapabilityStatement of the endpoint at `base` (no trailing slash). `date` is the build's
/// date as FHIR writes it, `version` the software's.
pub fn statement(side: Side, base: &str, version: &str, date: &str) -> Value {
    let transactions = match side {
        Side::Repository => "ITI-20 (Record Audit Event) and ITI-81 (Retrieve ATNA Audit Event)",
        Side::Gateway => "ITI-20 (Record Audit Event)",
    };
    let mut interactions = vec![json!({"code": "create"})];
    let mut parameters = Vec::new();
    if side == Side::Repository {
        interactions.extend(["read", "search-type"].map(|code| json!({"code": code})));
        parameters.extend(crate::search::PARAMETERS.iter().map(|parameter| {
            json!({"name": parameter.name, "type": parameter.kind, "documentation": parameter.text})
        }));
    }
    let mut resource = json!({
        "type": "AuditEvent",
        "supportedProfile": crate::rules::balp::profiles().collect::<Vec<_>>(),
        "documentation": "Bytes are kept as received. A missed BALP rule flags, it never refuses.",
        "interaction": interactions,
        "versioning": "no-version",
        "readHistory": false,
        "updateCreate": false,
    });
    // R4 forbids empty lists.
    if !parameters.is_empty() {
        resource["searchParam"] = Value::Array(parameters);
    }
    let mut provenance = provenance();
    if side == Side::Gateway {
        provenance["interaction"] = json!([{"code": "create"}]);
        provenance.as_object_mut().map(|members| members.remove("searchParam"));
    }
    let mut resources = vec![resource, provenance];
    if side == Side::Repository {
        resources.extend([consent(), patient(base)]);
    }
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "Medtrail", "version": version},
        "implementation": {"description": format!("Medtrail: {transactions}"), "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": transactions,
            "security": {
                "description": "A Bearer token: of a signed-in session, or an organisation's API key.",
            },
            "resource": resources,
            "interaction": [{"code": "batch"}],
        }],
    })
}

fn provenance() -> Value {
    json!({
        "type": "Provenance",
        "documentation": "In: a change or a hand-over of one record of one patient; bytes are kept. \
            Out: what was received, and of other changes and hand-overs one that is made from the \
            entry (meta.source).",
        "interaction": [{"code": "create"}, {"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "readHistory": false,
        "updateCreate": false,
        "searchParam": [
            {"name": "patient", "type": "reference", "documentation": "As with AuditEvent."},
            {"name": "target", "type": "reference",
             "documentation": "Type/id, an identifier, or a record's id (0x and 64 digits)."},
        ],
    })
}

fn consent() -> Value {
    let parameters = crate::consent::PARAMETERS.iter().map(|parameter| {
        json!({"name": parameter.name, "type": parameter.kind, "documentation": parameter.text})
    });
    json!({
        "type": "Consent",
        "documentation": "A person's permissions (grants), read-only: one is given and taken back \
            by a signature of the person, which POST /v1/permissions carries to the log. For the \
            person, and who acts for them with the right SEE; for everybody else there are none.",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "readHistory": false,
        "updateCreate": false,
        "searchParam": parameters.collect::<Vec<_>>(),
    })
}

fn patient(base: &str) -> Value {
    let operation = crate::accounting::OPERATION;
    json!({
        "type": "Patient",
        "documentation": "Not kept here: the operation alone, of an address or a pseudonym (0x…) \
            or me.",
        "operation": [{
            "name": operation,
            "definition": format!("{base}/OperationDefinition/{operation}"),
        }],
    })
}

/// The SMART configuration (`.well-known/smart-configuration`). There is no OAuth server here yet:
/// clients that probe learn how to sign in instead of a 404.
pub fn smart_configuration(public_url: &str) -> Value {
    json!({
        "token_endpoint": format!("{public_url}/v1/session"),
        "grant_types_supported": [],
        "code_challenge_methods_supported": [],
        "scopes_supported": ["patient/AuditEvent.rs", "system/AuditEvent.c", "patient/Provenance.rs", "system/Provenance.c", "patient/Consent.rs"],
        "capabilities": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_repository_is_searched() {
        let all = statement(Side::Repository, "https://log.example/fhir", "1", "2026-11-22");
        let resource = &all["rest"][0]["resource"][0];
        let names: Vec<_> = resource["searchParam"].as_array().unwrap().iter().collect();
        assert!(names.iter().any(|parameter| parameter["name"] == "patient"));
        let names = |statement: &Value| -> Vec<String> {
            let all = statement["rest"][0]["resource"].as_array().unwrap().iter();
            all.map(|one| one["type"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&all), ["AuditEvent", "Provenance", "Consent", "Patient"]);
        let operation = &all["rest"][0]["resource"][3]["operation"][0];
        let url = "https://log.example/fhir/OperationDefinition/accounting";
        assert_eq!(operation["definition"], url);
        assert_eq!(crate::accounting::definition("https://log.example/fhir", "2026")["url"], url);
        let taking = statement(Side::Gateway, "http://localhost/fhir", "1", "2026-11-22");
        assert_eq!(names(&taking), ["AuditEvent", "Provenance"]);
        let resource = &taking["rest"][0]["resource"][0];
        assert_eq!(resource["interaction"], json!([{"code": "create"}]));
        assert_eq!(resource.get("searchParam"), None);
    }
}
