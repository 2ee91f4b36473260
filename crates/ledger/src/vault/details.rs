//! The details documents of the vault: what a version is, what was read, what is asked for. Those
//! who write or ask sign them by their hash; nothing outside the vault takes them, so that whoever
//! holds a line knows from its bytes alone that it happened in the vault.

use crate::ports::JournalError;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The version of [`VersionDetails`].
pub const VERSION_VERSION: &str = "medtrail/version-v1";
/// The version of [`ReadDetails`].
pub const READ_VERSION: &str = "medtrail/read-v1";
/// The version of [`ChangeRequestDetails`].
pub const REQUEST_VERSION: &str = "medtrail/change-request-v1";

/// Characters of a title at most.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of the reason of a request at most.
pub const WHY_CHARS_MAX: usize = 1000;
/// Characters of a media type, a resource type, a code.
pub const LABEL_CHARS_MAX: usize = 128;
/// Sensitive topics and purposes at most.
pub const TOPICS_MAX: usize = 16;

/// An organisation asks.
pub const ASKED: &str = "asked";
/// The person says no.
pub const DECLINED: &str = "declined";
/// The organisation takes it back.
pub const WITHDRAWN: &str = "withdrawn";
/// Nobody answered in time.
pub const EXPIRED: &str = "expired";

/// What a version is, in the words of whoever writes it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    /// What a person calls it.
    pub title: String,
    /// Media type (RFC 6838).
    pub media_type: String,
    /// Its type, if it is a FHIR R4 resource: what scopes are about.
    pub resource_type: Option<String>,
    /// Its level (HL7 v3-Confidentiality); none is normal.
    pub confidentiality: Option<String>,
    /// Codes of sensitive topics (v3-ActCode).
    pub topics: Vec<String>,
}

impl About {
    /// What of it breaks a rule: (field, rule).
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let is_text = |text: &str, most: usize| {
            let length = text.chars().count();
            (1..=most).contains(&length)
                && text.trim() == text
                && !text.chars().any(char::is_control)
        };
        let is_label = |text: &String| is_text(text, LABEL_CHARS_MAX) && text.is_ascii();
        if !is_text(&self.title, TITLE_CHARS_MAX) {
            return Some(("title", "1 to 200 characters on one line, without blanks around them"));
        }
        if !is_label(&self.media_type) || self.media_type.matches('/').count() != 1 {
            return Some(("mediaType", "a media type like application/fhir+json"));
        }
        if !self.resource_type.as_ref().is_none_or(is_label) {
            return Some(("resourceType", "a type of FHIR R4"));
        }
        let levels = ["U", "L", "M", "N", "R", "V"];
        if self.confidentiality.as_ref().is_some_and(|level| !levels.contains(&level.as_str())) {
            return Some(("confidentiality", "one of U, L, M, N, R, V"));
        }
        if self.topics.len() > TOPICS_MAX || !self.topics.iter().all(is_label) {
            return Some(("topics", "at most 16 codes of sensitive topics"));
        }
        None
    }
}

/// `medtrail/version-v1`: the details of a change in the vault (kind 2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionDetails {
    /// `medtrail/version-v1`.
    pub version: String,
    /// What it is; of a deletion, what it was.
    pub about: About,
    /// How many bytes the new version has; 0 for a deletion.
    pub bytes: u64,
    /// What for (v3-ActReason); a person's own needs none.
    pub purposes: Vec<String>,
}

/// `medtrail/read-v1`: the details of an access in the vault (kind 1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadDetails {
    /// `medtrail/read-v1`.
    pub version: String,
    /// What for (v3-ActReason).
    pub purposes: Vec<String>,
    /// How many records a list showed; none: one record was read, the one the report names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<u64>,
    /// Who signed in to read, where the log itself says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<alloy_primitives::Address>,
}

/// `medtrail/change-request-v1`: the details of a request (kind 12). Record and versions stand in
/// the report; the acts after the first name the commitment of the first as `permission`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRequestDetails {
    /// `medtrail/change-request-v1`.
    pub version: String,
    /// `asked`, `declined`, `withdrawn` or `expired`.
    pub act: String,
    /// Of the first: what the new version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Of the first: how many bytes it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Of the first: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of the first: until when an answer is waited for, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Of the others: the request, by the event id of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<B256>,
    /// Of the others: the organisation that asked, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<alloy_primitives::Address>,
}

impl VersionDetails {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in serde's words.
    pub fn read(document: &[u8]) -> Result<Self, JournalError> {
        let read: Result<Self, _> = serde_json::from_slice(document);
        let read = read.map_err(|error| JournalError::Damaged(error.to_string()))?;
        match read.version == VERSION_VERSION {
            true => Ok(read),
            false => Err(JournalError::Damaged(format!("version is not {VERSION_VERSION}"))),
        }
    }
}

impl ReadDetails {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in serde's words.
    pub fn read(document: &[u8]) -> Result<Self, JournalError> {
        let read: Result<Self, _> = serde_json::from_slice(document);
        let read = read.map_err(|error| JournalError::Damaged(error.to_string()))?;
        match read.version == READ_VERSION {
            true => Ok(read),
            false => Err(JournalError::Damaged(format!("version is not {READ_VERSION}"))),
        }
    }
}

/// Whether a details document says that its change happened in the vault. Cheap for what is none.
pub fn is_version(document: Option<&[u8]>) -> bool {
    document.is_some_and(|document| VersionDetails::read(document).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation_are_read_and_written_the_same() {
        const FORMATS: &str = include_str!("../../../../docs/formats.md");
        let example = |version: &str| {
            let start = format!(r#"{{"version":"{version}""#);
            let mut lines = FORMATS.lines().filter(|line| line.starts_with(&start));
            lines.next().expect("an example")
        };
        let version = VersionDetails::read(example(VERSION_VERSION).as_bytes()).unwrap();
        assert_eq!(version.about.fault(), None);
        assert_eq!(serde_json::to_string(&version).unwrap(), example(VERSION_VERSION));
        let read: ReadDetails = serde_json::from_str(example(READ_VERSION)).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), example(READ_VERSION));
        let request: ChangeRequestDetails = serde_json::from_str(example(REQUEST_VERSION)).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), example(REQUEST_VERSION));
    }

    #[test]
    fn a_document_with_anything_else_in_it_is_none() {
        let good = r#"{"version":"medtrail/version-v1","about":{"title":"A","mediaType":"text/plain","resourceType":null,"confidentiality":null,"topics":[]},"bytes":1,"purposes":[]}"#;
        assert!(is_version(Some(good.as_bytes())));
        for (from, to) in [
            ("\"bytes\":1", "\"bytes\":1,\"bytes\":2"),
            ("\"bytes\":1", "\"bytes\":1,\"x\":2"),
            ("version-v1", "version-v2"),
            ("\"bytes\":1,", ""),
        ] {
            assert!(!is_version(Some(good.replacen(from, to, 1).as_bytes())), "{to}");
        }
        assert!(!is_version(None));
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let good = About {
            title: "A".to_owned(),
            media_type: "text/plain".to_owned(),
            ..About::default()
        };
        assert_eq!(good.fault(), None);
        let long = "x".repeat(TITLE_CHARS_MAX + 1);
        for (title, media_type, level, field) in [
            ("", "text/plain", None, "title"),
            (" A", "text/plain", None, "title"),
            ("A\nB", "text/plain", None, "title"),
            (long.as_str(), "text/plain", None, "title"),
            ("A", "text", None, "mediaType"),
            ("A", "text/pläin", None, "mediaType"),
            ("A", "text/plain", Some("X"), "confidentiality"),
        ] {
            let about = About {
                title: title.to_owned(),
                media_type: media_type.to_owned(),
                confidentiality: level.map(str::to_owned),
                ..good.clone()
            };
            assert_eq!(about.fault().map(|(field, _)| field), Some(field), "{title} {media_type}");
        }
    }
}
