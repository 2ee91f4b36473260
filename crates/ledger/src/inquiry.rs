//! What a person and an organisation say to each other about a line: the details documents of
//! questions (kind 12), corrections (13) and claims (15); and that nobody answered about an emergency.
//!
//! They are read strictly. Some acts are only the log's own to tell, in a person's name: a document
//! that a second reader could take for such an act must not pass as an organisation's word.

mod claim;
mod correction;
mod emergency;
mod question;

pub use claim::{Billed, BilledAnswer, CLAIM_VERSION, Claim, Code, Reply, Service, Sum};
pub use correction::{CORRECTION_VERSION, Correction, Mended, Mistake};
pub use emergency::{EMERGENCY_VERSION, Unconfirmed};
pub use question::{Answered, Asked, QUESTION_VERSION, Question, Unanswered, Wanted};

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// Characters of a question, an answer or a reason at most.
pub const TEXT_CHARS_MAX: usize = 2000;
/// Bytes of a language tag at most (RFC 5646 recommends room for 35).
const LANGUAGE_BYTES_MAX: usize = 35;

/// A line of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRef {
    /// Where it stands.
    pub index: u64,
    /// What the log commits to there.
    pub commitment: B256,
}

/// Which rule a document breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InquiryError {
    /// Empty, too long, or with characters that nobody sees.
    #[error(
        "{0} must have 1 to {TEXT_CHARS_MAX} characters, begin and end with one that is seen, and \
         hold no control characters but line ends"
    )]
    Text(&'static str),
    /// Not the form of a language tag.
    #[error("language must be a tag of BCP 47, as en or et-EE, of at most {LANGUAGE_BYTES_MAX}")]
    Language,
    /// No day of the calendar.
    #[error("day must be a day of the calendar, as 2026-11-27")]
    Day,
    /// Not the form of an amount.
    #[error("amount must be digits with at most four after a point, and a currency of ISO 4217")]
    Amount,
    /// Not the form of a code.
    #[error("service.{0} must have 1 to 200 printable characters without blanks")]
    Code(&'static str),
    /// Neither mended nor a mistake, or both.
    #[error(
        "a correction names the fields it mends, at most 16 and each once, or says that the line \
         was a mistake; not both"
    )]
    Nothing,
}

impl InquiryError {
    /// The field it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Text(field) => field,
            Self::Language => "language",
            Self::Day => "day",
            Self::Amount => "amount",
            Self::Code(_) => "service",
            Self::Nothing => "fields",
        }
    }
}

/// Whether a text may be shown to the other side.
pub fn check_text(field: &'static str, text: &str) -> Result<(), InquiryError> {
    let is_shown = |char: char| char == '\n' || !(char.is_control() || is_hidden(char));
    let fits = (1..=TEXT_CHARS_MAX).contains(&text.chars().count());
    match fits && text.trim() == text && text.chars().all(is_shown) {
        true => Ok(()),
        false => Err(InquiryError::Text(field)),
    }
}

/// Whether a language tag has the form of one.
pub fn check_language(language: &str) -> Result<(), InquiryError> {
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let first = language.split('-').next().unwrap_or_default();
    let is_first = (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic());
    match is_first && language.len() <= LANGUAGE_BYTES_MAX && language.split('-').all(is_part) {
        true => Ok(()),
        false => Err(InquiryError::Language),
    }
}

fn check_optional(
    field: &'static str,
    text: Option<&str>,
    language: Option<&str>,
) -> Result<(), InquiryError> {
    text.map_or(Ok(()), |text| check_text(field, text))?;
    language.map_or(Ok(()), check_language)
}

/// What hides text or turns it around.
fn is_hidden(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(char, '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// A type whose only value is one text: another version or act is another type.
macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $word:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub(crate) struct $name;

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($word)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                match text == $word {
                    true => Ok(Self),
                    false => Err(serde::de::Error::custom(concat!("not ", stringify!($name)))),
                }
            }
        }
    };
}
pub(crate) use word;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_hide_something_or_are_none_are_refused() {
        let is_fine = |text: &str| check_text("text", text).is_ok();
        assert!(is_fine("Why was my note opened?\nI was not there."));
        assert!(is_fine(&"õ".repeat(TEXT_CHARS_MAX)));
        for bad in ["", " ", " why", "why\n", "a\u{202e}b", "a\u{200b}b", "a\0b", "a\u{1b}[31m"] {
            assert!(!is_fine(bad), "{bad:?}");
        }
        assert!(!is_fine(&"a".repeat(TEXT_CHARS_MAX + 1)));
    }

    /// The examples of docs/formats.md: each must be read as what it calls itself, and spelled so.
    #[test]
    fn the_documents_in_the_docs_are_read_and_written_as_they_stand_there() {
        let docs = include_str!("../../../docs/formats.md");
        let example = |line: &&str| line.starts_with(r#"{"version":"medtrail/"#);
        let mut acts = Vec::new();
        for line in docs.lines().filter(example) {
            let again = if line.contains(QUESTION_VERSION) {
                let question: Question = serde_json::from_str(line).unwrap();
                acts.push(match &question {
                    Question::Asked(asked) => asked.check().map(|()| "asked"),
                    Question::Answered(answered) => answered.check().map(|()| "answered"),
                    Question::Unanswered(_) => Ok("unanswered"),
                });
                serde_json::to_string(&question)
            } else if line.contains(CLAIM_VERSION) {
                let claim: Claim = serde_json::from_str(line).unwrap();
                acts.push(match &claim {
                    Claim::Billed(billed) => billed.check().map(|()| "billed"),
                    Claim::Answered(answer) => answer.check().map(|()| "answered"),
                });
                serde_json::to_string(&claim)
            } else if line.contains(CORRECTION_VERSION) {
                let correction: Correction = serde_json::from_str(line).unwrap();
                acts.push(correction.check().map(|()| "corrected"));
                serde_json::to_string(&correction)
            } else if line.contains(EMERGENCY_VERSION) {
                let told: Unconfirmed = serde_json::from_str(line).unwrap();
                acts.push(Ok("unconfirmed"));
                serde_json::to_string(&told)
            } else {
                continue;
            };
            assert_eq!(again.unwrap(), line);
        }
        let expected =
            ["asked", "answered", "unanswered", "corrected", "corrected", "billed", "answered"];
        let expected: Vec<_> = expected.into_iter().chain(["unconfirmed"]).map(Ok).collect();
        assert_eq!(acts, expected);
    }

    #[test]
    fn language_tags_have_their_form() {
        for good in ["en", "et-EE", "zh-Hant-TW", "sl-rozaj-biske"] {
            assert_eq!(check_language(good), Ok(()), "{good}");
        }
        for bad in ["", "e", "-en", "en-", "en_GB", "1n", "englishish", "en--GB", "en-toolongpart"]
        {
            assert_eq!(check_language(bad), Err(InquiryError::Language), "{bad}");
        }
    }
}
