//! OperationOutcome: what FHIR clients are told when something is refused, or could be better.

use crate::event::{Issue, Severity};
use serde::Serialize;

/// An OperationOutcome (R4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationOutcome {
    resource_type: &'static str,
    issue: Vec<OutcomeIssue>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct OutcomeIssue {
    severity: Severity,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<RuleText>,
    diagnostics: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    expression: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct RuleText {
    text: &'static str,
}

impl OperationOutcome {
    /// The outcome that names these issues. FHIR wants at least one: none becomes "all is well".
    pub fn of(issues: &[Issue]) -> Self {
        if issues.is_empty() {
            return Self::one(Severity::Information, "informational", "All is well.");
        }
        let issue = issues.iter().map(|issue| OutcomeIssue {
            severity: issue.severity,
            code: code_of(issue.rule),
            details: Some(RuleText { text: issue.rule }),
            diagnostics: issue.text.clone(),
            expression: vec![issue.path.clone()],
        });
        Self { resource_type: "OperationOutcome", issue: issue.collect() }
    }

    /// An outcome of one sentence. `code` is one of FHIR's issue types (R4 `issue-type`): `login`,
    /// `forbidden`, `not-found`, `not-supported`, `throttled`, `transient`, `exception`…
    pub fn one(severity: Severity, code: &'static str, text: impl Into<String>) -> Self {
        let issue = OutcomeIssue {
            severity,
            code,
            details: None,
            diagnostics: text.into(),
            expression: Vec::new(),
        };
        Self { resource_type: "OperationOutcome", issue: vec![issue] }
    }

    /// Its JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an outcome of strings is JSON")
    }
}

/// FHIR's issue type for one of our rules.
fn code_of(rule: &str) -> &'static str {
    match rule {
        "r4.required" => "required",
        "r4.value" | "r4.instant" => "value",
        "r4.code" => "code-invalid",
        "r4.invariant" => "invariant",
        "clock.ahead" => "business-rule",
        "search.unknown" => "not-supported",
        "search.value" => "invalid",
        _ if rule.starts_with("limit.") => "too-long",
        _ if rule.starts_with("balp.") => "business-rule",
        _ => "structure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_names_path_and_rule() {
        let issue = Issue {
            path: "AuditEvent.recorded".into(),
            rule: "r4.required",
            text: "Add it.".into(),
            severity: Severity::Error,
        };
        let json: serde_json::Value =
            serde_json::from_slice(&OperationOutcome::of(&[issue]).to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"resourceType": "OperationOutcome", "issue": [{
                "severity": "error", "code": "required", "details": {"text": "r4.required"},
                "diagnostics": "Add it.", "expression": ["AuditEvent.recorded"]
            }]})
        );
    }

    #[test]
    fn an_outcome_is_never_without_an_issue() {
        let json = String::from_utf8(OperationOutcome::of(&[]).to_json()).unwrap();
        assert!(json.contains(r#""severity":"information""#), "{json}");
    }
}
