//! `medtrail/source-v1`: where the bytes of a record's version are kept (entries of kind 7), and the
//! port by which the log looks whether they still are.
//!
//! Who registered a source says so and moves it, signed. That it fell silent, came back or answers
//! with other bytes only the log says: the SHA-256 of what it answers decides, and nothing else.
//! Read as strictly as an [`inquiry`](crate::inquiry).

use crate::inquiry::{InquiryError, LineRef, check_language, check_text, word};
use crate::notices::{URL_BYTES_MAX, is_outward_url};
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const SOURCE_VERSION: &str = "medtrail/source-v1";

word!(
    /// `medtrail/source-v1`.
    SourceV1, SOURCE_VERSION
);
word!(
    /// `registered`.
    ActRegistered, "registered"
);
word!(
    /// `moved`.
    ActMoved, "moved"
);
word!(
    /// `lost`.
    ActLost, "lost"
);
word!(
    /// `changed`.
    ActChanged, "changed"
);
word!(
    /// `back`.
    ActBack, "back"
);

/// Which rule a document breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceError {
    /// A text, or its language.
    #[error(transparent)]
    Text(#[from] InquiryError),
    /// No address that could be asked.
    #[error("{0}.url must be https://…, without a user, at most {URL_BYTES_MAX} bytes")]
    Url(&'static str),
    /// It stays where it is.
    #[error("to must be another place than from")]
    Same,
}

impl SourceError {
    /// The field it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Text(error) => error.field(),
            Self::Url(field) => field,
            Self::Same => "to",
        }
    }
}

/// Where something is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whereabouts {
    /// An address that answers with its bytes.
    Url(String),
    /// A place that nobody can ask from here: `a binder in room 4`.
    Described(String),
}

impl Whereabouts {
    /// The address to ask, if it has one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url(url) => Some(url),
            Self::Described(_) => None,
        }
    }

    fn check(&self, field: &'static str) -> Result<(), SourceError> {
        match self {
            Self::Url(url) if !is_outward_url(url) => Err(SourceError::Url(field)),
            Self::Url(_) => Ok(()),
            Self::Described(text) => Ok(check_text(field, text)?),
        }
    }
}

/// The version of a record is kept there: the signed report of an organisation, or of the person.
/// The report names record and version; its commitment is the source's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    version: SourceV1,
    act: ActRegistered,
    /// What is kept, in words a person knows: `90 days of readings`.
    pub title: String,
    /// Who keeps it, by the name its person knows.
    pub keeper: String,
    /// Where.
    pub at: Whereabouts,
    /// Of the texts (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Registered {
    /// Of these parts.
    pub fn new(title: String, keeper: String, at: Whereabouts) -> Self {
        let (version, act) = (SourceV1, ActRegistered);
        Self { version, act, title, keeper, at, language: None }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), SourceError> {
        check_text("title", &self.title)?;
        check_text("keeper", &self.keeper)?;
        self.at.check("at")?;
        Ok(self.language.as_deref().map_or(Ok(()), check_language)?)
    }
}

/// It is kept elsewhere now: the signed report of who registered it, or of the person whose data it
/// is. The report names the source's id as its permission.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relocated {
    version: SourceV1,
    act: ActMoved,
    /// The source's id.
    pub source: B256,
    /// Where it was: who does not know that moves nothing.
    pub from: Whereabouts,
    /// Where it is.
    pub to: Whereabouts,
    /// Who keeps it from now on.
    pub keeper: String,
}

impl Relocated {
    /// Of these parts.
    pub fn new(source: B256, from: Whereabouts, to: Whereabouts, keeper: String) -> Self {
        Self { version: SourceV1, act: ActMoved, source, from, to, keeper }
    }

    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), SourceError> {
        self.from.check("from")?;
        self.to.check("to")?;
        check_text("keeper", &self.keeper)?;
        if self.from == self.to { Err(SourceError::Same) } else { Ok(()) }
    }
}

/// Where else the same bytes were when a source was lost, as far as the log knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Elsewhere {
    /// In this log's own vault.
    Here,
    /// At another source, which answered with them when it was asked last.
    Elsewhere,
    /// Nowhere.
    Nowhere,
}

/// What the log's own acts have in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watched {
    /// The source's id.
    pub id: B256,
    /// The last act before this one, which it follows.
    pub after: LineRef,
    /// As it was registered.
    pub title: String,
    /// Who keeps it, or did.
    pub keeper: String,
}

/// It did not answer, again and again. The log's own entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lost {
    version: SourceV1,
    act: ActLost,
    /// Which.
    pub source: Watched,
    /// When it was first in vain, milliseconds since 1970.
    pub since_ms: u64,
    /// How often in a row.
    pub tries: u32,
    /// Whether anybody else has it.
    pub kept: Elsewhere,
}

impl Lost {
    /// Of these parts.
    pub fn new(source: Watched, since_ms: u64, tries: u32, kept: Elsewhere) -> Self {
        Self { version: SourceV1, act: ActLost, source, since_ms, tries, kept }
    }
}

/// It answers with other bytes: that is not the same data. The log's own entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Altered {
    version: SourceV1,
    act: ActChanged,
    /// Which.
    pub source: Watched,
    /// SHA-256 of what it answers.
    pub found: B256,
    /// Whether anybody has what was registered.
    pub kept: Elsewhere,
}

impl Altered {
    /// Of these parts.
    pub fn new(source: Watched, found: B256, kept: Elsewhere) -> Self {
        Self { version: SourceV1, act: ActChanged, source, found, kept }
    }
}

/// It answers with the same bytes again. The log's own entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Returned {
    version: SourceV1,
    act: ActBack,
    /// Which.
    pub source: Watched,
    /// Since when it had been away, milliseconds since 1970.
    pub since_ms: u64,
}

impl Returned {
    /// Of these parts.
    pub fn new(source: Watched, since_ms: u64) -> Self {
        Self { version: SourceV1, act: ActBack, source, since_ms }
    }
}

/// What whoever keeps a source may say of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Told {
    /// It is there.
    Registered(Registered),
    /// It is elsewhere now.
    Moved(Relocated),
}

impl Told {
    /// What JSON alone does not tell.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), SourceError> {
        match self {
            Self::Registered(registered) => registered.check(),
            Self::Moved(moved) => moved.check(),
        }
    }
}

/// What the log says of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Found {
    /// It fell silent.
    Lost(Lost),
    /// It is something else.
    Changed(Altered),
    /// It is the same again.
    Back(Returned),
}

impl Found {
    /// Which source, and after what.
    pub fn source(&self) -> &Watched {
        match self {
            Self::Lost(lost) => &lost.source,
            Self::Changed(changed) => &changed.source,
            Self::Back(back) => &back.source,
        }
    }
}

/// Why a source did not answer with bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// No such name, or nobody there.
    #[error("it is not reached")]
    Unreached,
    /// An address that nothing of this log may knock at.
    #[error("its address is not one on the internet")]
    Forbidden,
    /// It took longer than it may.
    #[error("it took too long")]
    Late,
    /// It sends more than is read.
    #[error("it sends more than is read")]
    TooLong,
    /// Another status than 200.
    #[error("it answered {0}")]
    Status(u16),
}

/// Asks a source for its bytes. Blocking; called on threads of its own, several at once. Each call
/// must have an end, however slow or long the answer.
pub trait Fetcher: Send + Sync {
    /// SHA-256 of what `url` answers.
    ///
    /// # Errors
    /// [`Unanswered`].
    fn fetch(&self, url: &str) -> Result<B256, Unanswered>;
}

/// Reaches nothing. For tools and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Fetcher for Nothing {
    fn fetch(&self, _: &str) -> Result<B256, Unanswered> {
        Err(Unanswered::Forbidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Whereabouts {
        Whereabouts::Url(text.into())
    }

    /// The examples of docs/formats.md: each must be read as what it calls itself, and spelled so.
    #[test]
    fn the_documents_in_the_docs_are_read_and_written_as_they_stand_there() {
        let docs = include_str!("../../../docs/formats.md");
        let example = |line: &&str| line.starts_with(r#"{"version":"medtrail/source-v1""#);
        let mut acts = Vec::new();
        for line in docs.lines().filter(example) {
            let told = serde_json::from_str::<Told>(line);
            let found = serde_json::from_str::<Found>(line);
            let (act, again) = match (told, found) {
                (Ok(told), Err(_)) => {
                    assert_eq!(told.check(), Ok(()));
                    let act = match &told {
                        Told::Registered(_) => "registered",
                        Told::Moved(_) => "moved",
                    };
                    (act, serde_json::to_string(&told).unwrap())
                }
                (Err(_), Ok(found)) => {
                    let act = match &found {
                        Found::Lost(_) => "lost",
                        Found::Changed(_) => "changed",
                        Found::Back(_) => "back",
                    };
                    (act, serde_json::to_string(&found).unwrap())
                }
                both => panic!("{line}: {both:?}"),
            };
            assert_eq!(again, line);
            acts.push(act);
        }
        assert_eq!(acts, ["registered", "moved", "lost", "changed", "back"]);
    }

    #[test]
    fn a_place_is_one_of_two_and_said_once() {
        let of = |at: &str| {
            let text = format!(
                r#"{{"version":"medtrail/source-v1","act":"registered","title":"a","keeper":"b","at":{at}}}"#
            );
            serde_json::from_str::<Told>(&text).map(|told| told.check())
        };
        assert!(matches!(of(r#"{"url":"https://a.example/1"}"#), Ok(Ok(()))));
        assert!(matches!(of(r#"{"described":"a binder in room 4"}"#), Ok(Ok(()))));
        for bad in [
            r#"{}"#,
            r#""https://a.example""#,
            r#"{"url":"https://a.example","described":"b"}"#,
            r#"{"url":"https://a.example","url":"https://b.example"}"#,
            r#"{"url":"https://a.example"},"at":{"described":"b"}"#,
            r#"{"url":"https://a.example"},"found":"x""#,
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        for bad in ["http://a.example/", "https://user@a.example/", "https:///", "file:///etc"] {
            let refused = of(&format!(r#"{{"url":"{bad}"}}"#)).unwrap();
            assert_eq!(refused, Err(SourceError::Url("at")), "{bad}");
        }
        let hidden = of(r#"{"described":"a\u202eb"}"#).unwrap();
        assert_eq!(hidden, Err(SourceError::Text(InquiryError::Text("at"))));
    }

    #[test]
    fn who_moves_nothing_is_told_so() {
        let (a, b) = (url("https://a.example/1"), url("https://b.example/1"));
        let moved = |from: &Whereabouts, to: &Whereabouts| {
            Relocated::new(B256::ZERO, from.clone(), to.clone(), "Tide Sensors".into()).check()
        };
        assert_eq!(moved(&a, &b), Ok(()));
        assert_eq!(moved(&a, &a), Err(SourceError::Same));
    }
}
