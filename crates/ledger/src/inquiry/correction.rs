//! `medtrail/correction-v1`: who reported a line says that it was wrong. The line stays as it is;
//! it is shown struck through, with this beside it.

use super::{InquiryError, LineRef, check_language, check_text, word};
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const CORRECTION_VERSION: &str = "medtrail/correction-v1";
/// Fields that one correction mends at most.
const FIELDS_MAX: usize = 16;

word!(
    /// `medtrail/correction-v1`.
    CorrectionV1, CORRECTION_VERSION
);
word!(
    /// `corrected`.
    ActCorrected, "corrected"
);

/// How a whole line is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mistake {
    /// It did not happen.
    DidNotHappen,
    /// It was about somebody else. What it says is theirs, and is not shown here any more.
    WrongPerson,
}

/// One thing that was told wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mended {
    /// What was wrong: `time`, `who`, `purpose`, `data`, `action`, or a word of the reporter's own.
    pub field: String,
    /// What the line said, if that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What is right.
    pub is: String,
}

/// The correction of a line, by who reported it: signed, or its word by API key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    version: CorrectionV1,
    act: ActCorrected,
    /// The line; the report names its commitment as its permission, too.
    pub line: LineRef,
    /// Why it is corrected.
    pub reason: String,
    /// Of the texts (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What was told wrong, if not all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Mended>,
    /// How all of it is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mistake: Option<Mistake>,
}

impl Correction {
    /// Of a line, for a reason.
    pub fn new(line: LineRef, reason: String) -> Self {
        let (version, act) = (CorrectionV1, ActCorrected);
        Self { version, act, line, reason, language: None, fields: Vec::new(), mistake: None }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), InquiryError> {
        check_text("reason", &self.reason)?;
        self.language.as_deref().map_or(Ok(()), check_language)?;
        if self.fields.is_empty() == self.mistake.is_none() || self.fields.len() > FIELDS_MAX {
            return Err(InquiryError::Nothing);
        }
        let mut names: Vec<&str> = self.fields.iter().map(|one| one.field.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(InquiryError::Nothing);
        }
        self.fields.iter().try_for_each(|one| {
            check_text("fields", &one.field)?;
            one.was.as_deref().map_or(Ok(()), |was| check_text("fields", was))?;
            check_text("fields", &one.is)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_correction_mends_fields_or_says_that_all_was_a_mistake() {
        let line = LineRef { index: 3, commitment: B256::repeat_byte(3) };
        let bare = Correction::new(line, "Another patient of the same name.".into());
        assert_eq!(bare.check(), Err(InquiryError::Nothing));
        let mistaken = Correction { mistake: Some(Mistake::WrongPerson), ..bare.clone() };
        assert_eq!(mistaken.check(), Ok(()));
        let text = serde_json::to_string(&mistaken).unwrap();
        assert!(text.ends_with(r#""mistake":"wrongPerson"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Correction>(&text).unwrap(), mistaken);
        let mended = |field: &str| Mended { field: field.into(), was: None, is: "11:05".into() };
        let one = Correction { fields: vec![mended("time")], ..bare.clone() };
        assert_eq!(one.check(), Ok(()));
        let twice = Correction { fields: vec![mended("time"), mended("time")], ..bare.clone() };
        assert_eq!(twice.check(), Err(InquiryError::Nothing));
        let both = Correction { mistake: mistaken.mistake, ..one };
        assert_eq!(both.check(), Err(InquiryError::Nothing));
        let hidden = Correction { fields: vec![mended("\u{202e}emit")], ..bare };
        assert_eq!(hidden.check(), Err(InquiryError::Text("fields")));
    }
}
