//! `medtrail/question-v1`: a person asks about a line of theirs; the organisation whose word it is
//! answers, or its time passes.

use super::{InquiryError, LineRef, check_language, check_optional, check_text, word};
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const QUESTION_VERSION: &str = "medtrail/question-v1";

word!(
    /// `medtrail/question-v1`.
    QuestionV1, QUESTION_VERSION
);
word!(
    /// `asked`.
    ActAsked, "asked"
);
word!(
    /// `answered`.
    ActAnswered, "answered"
);
word!(
    /// `unanswered`.
    ActUnanswered, "unanswered"
);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// Why it was done.
    Reason,
    /// That the line be corrected.
    Correction,
}

/// A person asks. The log's own entry, in that person's trail: their session is in it, no signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    version: QuestionV1,
    act: ActAsked,
    /// The line it is about.
    pub line: LineRef,
    /// Who is asked: the organisation whose word the line is.
    pub organisation: Address,
    /// What is asked for.
    pub wants: Wanted,
    /// In the person's words, if they found some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of the text, and of the answer that is hoped for (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Until when an answer is due, milliseconds since 1970.
    pub due_ms: u64,
}

impl Asked {
    /// Of these parts.
    pub fn new(line: LineRef, organisation: Address, wants: Wanted, due_ms: u64) -> Self {
        let (text, language) = (None, None);
        let (version, act) = (QuestionV1, ActAsked);
        Self { version, act, line, organisation, wants, text, language, due_ms }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), InquiryError> {
        check_optional("text", self.text.as_deref(), self.language.as_deref())
    }
}

/// The organisation answers: its signed report, or its word by API key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    version: QuestionV1,
    act: ActAnswered,
    /// The commitment of the entry that asked; the report names it as its permission, too.
    pub question: B256,
    /// The answer.
    pub text: String,
    /// Of the text (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Answered {
    /// Of these parts.
    pub fn new(question: B256, text: String, language: Option<String>) -> Self {
        Self { version: QuestionV1, act: ActAnswered, question, text, language }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), InquiryError> {
        check_text("text", &self.text)?;
        self.language.as_deref().map_or(Ok(()), check_language)
    }
}

/// The time for an answer has passed. The log's own entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unanswered {
    version: QuestionV1,
    act: ActUnanswered,
    /// The commitment of the entry that asked.
    pub question: B256,
    /// The line it is about.
    pub line: LineRef,
    /// Who was asked.
    pub organisation: Address,
    /// Until when an answer was due, milliseconds since 1970.
    pub due_ms: u64,
}

impl Unanswered {
    /// Of these parts.
    pub fn new(question: B256, line: LineRef, organisation: Address, due_ms: u64) -> Self {
        let (version, act) = (QuestionV1, ActUnanswered);
        Self { version, act, question, line, organisation, due_ms }
    }
}

/// Any document of this version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Question {
    /// A person asks.
    Asked(Asked),
    /// The organisation answers.
    Answered(Answered),
    /// The time for an answer has passed.
    Unanswered(Unanswered),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> LineRef {
        LineRef { index: 7, commitment: B256::repeat_byte(7) }
    }

    #[test]
    fn each_act_is_read_back_as_itself_and_as_no_other() {
        let asked = Asked::new(line(), Address::repeat_byte(2), Wanted::Reason, 9);
        let answered = Answered::new(B256::repeat_byte(1), "For your treatment.".into(), None);
        let unanswered = Unanswered::new(B256::repeat_byte(1), line(), Address::ZERO, 9);
        for question in
            [Question::Asked(asked), Question::Answered(answered), Question::Unanswered(unanswered)]
        {
            let bytes = serde_json::to_vec(&question).unwrap();
            assert!(bytes.starts_with(br#"{"version":"medtrail/question-v1","act":""#));
            assert_eq!(serde_json::from_slice::<Question>(&bytes).unwrap(), question);
        }
    }

    #[test]
    fn a_document_that_another_reader_could_take_for_another_act_is_no_answer() {
        let good = r#"{"version":"medtrail/question-v1","act":"answered","question":"0x0101010101010101010101010101010101010101010101010101010101010101","text":"a"}"#;
        serde_json::from_str::<Answered>(good).unwrap();
        for bad in [
            good.replace(r#""act":"answered""#, r#""act":"asked""#),
            good.replace(r#""act":"answered""#, r#""act":"answered","act":"asked""#),
            good.replace(r#""act":"answered""#, r#""act":"asked","act":"answered""#),
            good.replace("question-v1", "question-v2"),
            good.replace(r#""text":"a""#, r#""text":"a","organisation":"0x""#),
            good.replace(r#","text":"a""#, ""),
        ] {
            assert!(serde_json::from_str::<Answered>(&bad).is_err(), "{bad}");
        }
    }
}
