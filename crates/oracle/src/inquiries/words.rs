//! Which of these documents an organisation may say: checked on its reporter's thread.

use crate::intake::{ReportError, versions};
use alloy_primitives::B256;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::inquiry::{
    Answered, Billed, CLAIM_VERSION, CORRECTION_VERSION, Correction, InquiryError, QUESTION_VERSION,
};
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::{SOURCE_VERSION, SourceError, Told};
use serde::de::DeserializeOwned;

/// Why a document is not one that an organisation may say.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// It is not of the form.
    #[error(
        "a {version} of an organisation is {form}, with no other members and none of them twice: \
         {reason}"
    )]
    Form {
        /// Which document.
        version: &'static str,
        /// What it has to be.
        form: &'static str,
        /// What the reader met.
        reason: String,
    },
    /// A field breaks its rule.
    #[error(transparent)]
    Field(#[from] InquiryError),
    /// A field of a source does.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The report is of another kind.
    #[error("a {version} belongs into a report of kind {kind}")]
    Kind {
        /// Which document.
        version: &'static str,
        /// The kind it belongs to.
        kind: u8,
    },
    /// The report names something else than its document.
    #[error(
        "report.permission must be the commitment that the document names, or zero if it names none"
    )]
    Permission,
}

/// How versions of these documents begin.
const FAMILIES: [(&str, &str); 4] = [
    ("medtrail/question-", QUESTION_VERSION),
    ("medtrail/claim-", CLAIM_VERSION),
    ("medtrail/correction-", CORRECTION_VERSION),
    ("medtrail/source-", SOURCE_VERSION),
];

/// Checks an organisation's report whose document gives one of these texts as its version. A person
/// would read `asked` as their own word and `unanswered` as the log's, whoever had signed it.
pub(crate) fn check_word(
    report: &Report,
    document: &[u8],
    versions: &[String],
) -> Result<(), WordError> {
    let is_of = |prefix: &str| versions.iter().any(|version| version.starts_with(prefix));
    let Some((_, version)) = FAMILIES.iter().find(|(prefix, _)| is_of(prefix)) else {
        return Ok(());
    };
    let (kind, named) = match *version {
        QUESTION_VERSION => {
            let answered: Answered = read(version, "an answer (act `answered`)", document)?;
            answered.check()?;
            (Kind::Question, Some(answered.question))
        }
        CLAIM_VERSION => {
            read::<Billed>(version, "a bill (act `billed`)", document)?.check()?;
            (Kind::Claim, None)
        }
        SOURCE_VERSION => {
            let form = "one that keeps it (act `registered` or `moved`)";
            let told: Told = read(version, form, document)?;
            told.check()?;
            let named = match told {
                Told::Registered(_) => B256::ZERO,
                Told::Moved(moved) => moved.source,
            };
            (Kind::Source, Some(named))
        }
        _ => {
            let correction: Correction = read(version, "a correction (act `corrected`)", document)?;
            correction.check()?;
            (Kind::Correction, Some(correction.line.commitment))
        }
    };
    if report.kind != kind.number() {
        return Err(WordError::Kind { version, kind: kind.number() });
    }
    match named.is_none_or(|named| report.permission == named) {
        true => Ok(()),
        false => Err(WordError::Permission),
    }
}

/// The same for a person's report, which names its versions itself.
pub(crate) fn check_word_of(report: &Report, document: &[u8]) -> Result<(), ReportError> {
    Ok(check_word(report, document, &versions(document))?)
}

fn read<T: DeserializeOwned>(
    version: &'static str,
    form: &'static str,
    document: &[u8],
) -> Result<T, WordError> {
    serde_json::from_slice(document).map_err(|error| WordError::Form {
        version,
        form,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_answers_bills_and_corrects_and_says_nothing_for_others() {
        let id = B256::repeat_byte(1);
        let check = |kind: u8, permission: B256, document: &str| {
            let version = ["question-v1", "claim-v1", "correction-v1", "question-v9"]
                .into_iter()
                .filter(|version| document.contains(version));
            let versions: Vec<String> = version.map(|name| format!("medtrail/{name}")).collect();
            let report = Report { kind, permission, ..Report::default() };
            check_word(&report, document.as_bytes(), &versions)
        };
        let answer = format!(
            r#"{{"version":"medtrail/question-v1","act":"answered","question":"{id}","text":"a"}}"#
        );
        let bill = r#"{"version":"medtrail/claim-v1","act":"billed","day":"2026-11-27","service":{"text":"MRI"}}"#;
        assert_eq!(check(12, id, &answer), Ok(()));
        assert_eq!(check(15, B256::ZERO, bill), Ok(()));
        assert_eq!(check(1, B256::ZERO, r#"{"resourceType":"AuditEvent"}"#), Ok(()));
        assert_eq!(check(12, B256::ZERO, &answer), Err(WordError::Permission));
        assert!(matches!(check(1, id, &answer), Err(WordError::Kind { .. })));
        let day = bill.replace("27", "31");
        assert_eq!(check(15, B256::ZERO, &day), Err(WordError::Field(InquiryError::Day)));
        for forged in [
            answer.replace("answered", "asked"),
            answer.replace(r#""text":"a""#, r#""text":"a","act":"asked""#),
            answer.replace("question-v1", "question-v9"),
            bill.replace("billed", "answered"),
            bill.replace(r#""day""#, r#""version":"medtrail/question-v1","day""#),
        ] {
            let refused = check(12, id, &forged);
            assert!(matches!(refused, Err(WordError::Form { .. })), "{forged}: {refused:?}");
        }
    }
}
