//! `medtrail/dataset-v1`: which data a sale is about, and in what form they are delivered. A sale's
//! terms name it by the hash of its bytes; seller and buyer read it before they sign.

use crate::scopes::{self, Context, Interactions, Scope, ScopesError};
use alloy_primitives::B256;
use medtrail_ledger::entry::details_hash;
use serde::{Deserialize, Serialize};

/// The version of the description this code writes.
pub const VERSION: &str = "medtrail/dataset-v1";
/// Bytes of a description.
pub const DATASET_BYTES_MAX: usize = 16_384;
/// Codes that a description may be limited to.
pub const CODES_MAX: usize = 64;
/// Bytes of one code with its system.
pub const CODE_BYTES_MAX: usize = 128;

/// In what form the data are delivered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    /// The very bytes that are kept: what was signed can be checked, and everything stands in them.
    AsItIs,
    /// Made harmless by a profile.
    DeIdentified(Profile, Layout),
}

impl Form {
    /// In one word: `as-it-is`, or the profile's.
    pub fn word(self) -> &'static str {
        match self {
            Self::AsItIs => "as-it-is",
            Self::DeIdentified(profile, _) => profile.word(),
        }
    }
}

/// How data are made harmless. A profile never changes: what was sold by its name must go on
/// meaning the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Profile {
    /// The 18 identifiers of 45 CFR 164.514(b)(2) removed; of dates the year stays.
    #[serde(rename = "hipaa-safe-harbor-v1")]
    SafeHarbor,
    /// The same, but dates keep their distances, moved together by a secret number of days. That is
    /// **not** Safe Harbor, and the name does not say so.
    #[serde(rename = "shifted-dates-v1")]
    ShiftedDates,
}

impl Profile {
    /// Its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::SafeHarbor => "hipaa-safe-harbor-v1",
            Self::ShiftedDates => "shifted-dates-v1",
        }
    }
}

/// How de-identified resources stand in their file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One resource a line.
    Ndjson,
    /// A FHIR Bundle of type `collection`.
    Bundle,
}

/// Whose word the data are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Only what an organisation signed.
    Signed,
    /// That, and what the person uploaded.
    SignedAndUploaded,
}

impl Origin {
    /// Its name in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::SignedAndUploaded => "signed-and-uploaded",
        }
    }
}

/// A description that was read: its fields are within their bounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dataset {
    scopes: Vec<Scope>,
    codes: Vec<String>,
    from_s: u64,
    to_s: u64,
    form: Form,
    origin: Origin,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    version: String,
    scopes: String,
    codes: Vec<String>,
    from_s: u64,
    to_s: u64,
    form: FormWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layout: Option<Layout>,
    origin: Origin,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum FormWord {
    AsItIs,
    DeIdentified,
}

/// Why bytes are no description of a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Longer than is read.
    #[error("{0} bytes, at most {DATASET_BYTES_MAX} are read")]
    Bytes(usize),
    /// Not of this form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// The same values in another spelling would have another hash.
    #[error("not in its one spelling: no blanks, fields in their order, plain scopes")]
    Spelling,
    /// Scopes.
    #[error(transparent)]
    Scopes(#[from] ScopesError),
    /// A copy is read, and is about one person.
    #[error("scope {0:?}: a dataset has scopes patient/….rs only")]
    Scope(String),
    /// Codes that a wallet could not show, or in another order.
    #[error(
        "codes must be at most {CODES_MAX} of the form system|code, ascending, each of at most \
         {CODE_BYTES_MAX} bytes of printable ASCII without blanks and \" % & * , ? \\ ` < >"
    )]
    Codes,
    /// A period that a statement could not tell.
    #[error(
        "fromS and toS must be whole minutes, fromS before toS, toS at most {}",
        crate::check::TIME_S_MAX
    )]
    Period,
    /// A profile and a layout belong to `de-identified`, and to nothing else.
    #[error("profile and layout stand with the form de-identified, and only there")]
    Form,
}

impl Dataset {
    /// A description of these data.
    pub fn new(
        scopes: &str,
        codes: Vec<String>,
        from_s: u64,
        to_s: u64,
        form: Form,
        origin: Origin,
    ) -> Result<Self, DatasetError> {
        let scopes = scopes::parse_list(scopes)?;
        let read = Interactions::READ.and(Interactions::SEARCH);
        let is_other =
            |scope: &&Scope| scope.context != Context::Patient || scope.interactions != read;
        if let Some(scope) = scopes.iter().find(is_other) {
            return Err(DatasetError::Scope(scope.to_string()));
        }
        let is_ascending = codes.is_sorted_by(|one, next| one < next);
        if codes.len() > CODES_MAX || !is_ascending || !codes.iter().all(|code| is_token(code)) {
            return Err(DatasetError::Codes);
        }
        let is_minute = from_s.is_multiple_of(60) && to_s.is_multiple_of(60);
        if !is_minute || from_s >= to_s || to_s > crate::check::TIME_S_MAX {
            return Err(DatasetError::Period);
        }
        Ok(Self { scopes, codes, from_s, to_s, form, origin })
    }

    /// Reads a description, strictly: other bytes of the same meaning are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        if bytes.len() > DATASET_BYTES_MAX {
            return Err(DatasetError::Bytes(bytes.len()));
        }
        let written: Written = serde_json::from_slice(bytes)?;
        if written.version != VERSION {
            return Err(DatasetError::Version(written.version));
        }
        let form = match (written.form, written.profile, written.layout) {
            (FormWord::AsItIs, None, None) => Form::AsItIs,
            (FormWord::DeIdentified, Some(profile), Some(layout)) => {
                Form::DeIdentified(profile, layout)
            }
            _ => return Err(DatasetError::Form),
        };
        let Written { scopes, codes, from_s, to_s, origin, .. } = written;
        let dataset = Self::new(&scopes, codes, from_s, to_s, form, origin)?;
        if dataset.bytes() == bytes { Ok(dataset) } else { Err(DatasetError::Spelling) }
    }

    /// Its bytes, in their one spelling.
    pub fn bytes(&self) -> Vec<u8> {
        let scopes: Vec<String> = self.scopes.iter().map(Scope::to_string).collect();
        let (form, profile, layout) = match self.form {
            Form::AsItIs => (FormWord::AsItIs, None, None),
            Form::DeIdentified(profile, layout) => {
                (FormWord::DeIdentified, Some(profile), Some(layout))
            }
        };
        let written = Written {
            version: VERSION.to_owned(),
            scopes: scopes.join(" "),
            codes: self.codes.clone(),
            from_s: self.from_s,
            to_s: self.to_s,
            form,
            profile,
            layout,
            origin: self.origin,
        };
        serde_json::to_vec(&written).expect("texts and numbers are JSON")
    }

    /// What a sale's terms name it by: SHA-256 of its bytes.
    pub fn id(&self) -> B256 {
        details_hash(&self.bytes())
    }

    /// Data of which types, and with which marks.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Only data with one of these codes (`system|code`); none: whatever their codes.
    pub fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Data from this second on, up to before that one.
    pub fn period_s(&self) -> std::ops::Range<u64> {
        self.from_s..self.to_s
    }

    /// In what form.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whose word they are.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

/// `system|code`, of what a wallet shows as it stands.
fn is_token(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !br#""%&*,?\`<>"#.contains(&byte);
    let parts: Vec<&str> = text.split('|').collect();
    text.len() <= CODE_BYTES_MAX
        && text.bytes().all(is_plain)
        && matches!(*parts, [system, code] if !system.is_empty() && !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version":"medtrail/dataset-v1","scopes":"patient/Observation.rs","codes":["http://loinc.org|15074-8"],"fromS":1756512000,"toS":1764288000,"form":"de-identified","profile":"hipaa-safe-harbor-v1","layout":"ndjson","origin":"signed"}"#;

    fn refused(old: &str, new: &str) -> DatasetError {
        let text = TEXT.replacen(old, new, 1);
        assert_ne!(text, TEXT, "{old}");
        Dataset::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_description_has_one_spelling() {
        let dataset = Dataset::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(dataset.bytes(), TEXT.as_bytes());
        assert_eq!(dataset.id(), details_hash(TEXT.as_bytes()));
        for (old, new) in [
            (",\"codes\"", ", \"codes\""),
            ("Observation.rs", "Observation.read"),
            ("loinc.org", "loinc\\u002eorg"),
            (r#""toS":1764288000,"#, ""),
            (r#""form""#, r#""mood":1,"form""#),
        ] {
            refused(old, new);
        }
        let moved = format!("{TEXT}\n");
        assert!(matches!(Dataset::parse(moved.as_bytes()), Err(DatasetError::Spelling)));
        let long = format!("{TEXT}{}", " ".repeat(DATASET_BYTES_MAX));
        assert!(matches!(Dataset::parse(long.as_bytes()), Err(DatasetError::Bytes(_))));
        assert!(matches!(refused("dataset-v1", "dataset-v2"), DatasetError::Version(_)));
    }

    #[test]
    fn a_copy_is_read_and_of_one_person() {
        for scope in ["patient/Observation.r", "patient/Observation.cruds", "user/Observation.rs"] {
            let error = refused("patient/Observation.rs", scope);
            assert!(matches!(error, DatasetError::Scope(_)), "{error}");
        }
        let error = refused("patient/Observation.rs", "patient/Diary.rs");
        assert!(matches!(error, DatasetError::Scopes(_)), "{error}");
    }

    #[test]
    fn codes_are_told_as_they_stand_and_once() {
        for codes in [
            r#"["15074-8"]"#,
            r#"["|15074-8"]"#,
            r#"["a|b|c"]"#,
            r#"["b|c","a|c"]"#,
            r#"["a|c","a|c"]"#,
            r#"["a|c d"]"#,
            r#"["a|<b>"]"#,
            r#"["a|õ"]"#,
        ] {
            let error = refused(r#"["http://loinc.org|15074-8"]"#, codes);
            assert!(matches!(error, DatasetError::Codes), "{codes}: {error}");
        }
    }

    #[test]
    fn a_period_is_of_whole_minutes_and_not_empty() {
        for (old, new) in [
            ("\"toS\":1764288000", "\"toS\":1764288001"),
            ("\"fromS\":1756512000", "\"fromS\":1764288000"),
            ("\"toS\":1764288000", "\"toS\":253402300860"),
        ] {
            assert!(matches!(refused(old, new), DatasetError::Period), "{new}");
        }
    }

    #[test]
    fn what_stays_as_it_is_has_no_profile() {
        assert!(matches!(refused("de-identified", "as-it-is"), DatasetError::Form));
        assert!(matches!(refused(r#","layout":"ndjson""#, ""), DatasetError::Form));
        refused("hipaa-safe-harbor-v1", "hipaa-safe-harbor-v2");
    }
}
