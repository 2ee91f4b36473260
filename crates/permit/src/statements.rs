//! What a person reads in the wallet: one text for each document and language, made of the other
//! fields and nothing else, so that every verifier makes it again. With any other text a document
//! is invalid: else a wallet could show one thing and allow another.
//!
//! A text ends with its template and version. A template never changes: a new wording is a new
//! version beside the old one, since what was signed must go on being valid.

pub(crate) mod english;
pub(crate) mod estonian;

use crate::documents::Document;
use crate::scopes::Scope;
use crate::{purposes, scopes};
use serde::{Deserialize, Serialize};

/// The languages of the templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Estonian.
    Et,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Et];
}

/// The statement of a document; none if it has none, or its fields cannot be told.
pub fn render(document: &Document, language: Language) -> Option<String> {
    match language {
        Language::En => english::render(document),
        Language::Et => estonian::render(document),
    }
}

/// The same document with its statement in this language; none if its fields cannot be told.
pub fn worded(document: Document, language: Language) -> Option<Document> {
    let text = render(&document, language)?;
    Some(document.with_statement(text))
}

/// In which language the statement says what the fields say; none: in none.
pub fn language_of(document: &Document) -> Option<Language> {
    let statement = document.statement()?;
    Language::ALL
        .into_iter()
        .find(|language| render(document, *language).is_some_and(|text| text == statement))
}

/// What is told of a grant: its scopes, and the codes of its purposes.
fn terms(scopes: &str, purposes: &str) -> Option<(Vec<Scope>, Vec<&'static str>)> {
    Some((scopes::parse_list(scopes).ok()?, purposes::parse_list(purposes).ok()?))
}

/// Some things and a last one: `a, b and c`.
fn enumerate(things: &[String], and: &str) -> String {
    match things {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// A span of time in the largest unit that it has a whole number of: (number, unit), units being
/// 0 days, 1 hours, 2 minutes, 3 seconds.
pub(crate) fn span(seconds: u64) -> (u64, usize) {
    let units = [86_400, 3600, 60, 1];
    let unit = units.iter().position(|unit| seconds.is_multiple_of(*unit)).unwrap_or(3);
    (seconds / units[unit], unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{Grant, Revoke};

    #[test]
    fn things_are_enumerated_as_people_do() {
        let things = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(enumerate(&things[..1], "and"), "a");
        assert_eq!(enumerate(&things[..2], "ja"), "a ja b");
        assert_eq!(enumerate(&things, "and"), "a, b and c");
    }

    #[test]
    fn a_span_is_told_in_its_largest_whole_unit() {
        for (seconds, told) in
            [(604_800, (7, 0)), (90_000, (25, 1)), (5400, (90, 2)), (61, (61, 3)), (86_400, (1, 0))]
        {
            assert_eq!(span(seconds), told);
        }
    }

    #[test]
    fn what_cannot_be_told_has_no_statement() {
        let grant = Grant { scopes: "all of it".into(), ..Grant::default() };
        assert_eq!(render(&Document::Grant(grant), Language::En), None);
        assert_eq!(render(&Document::Revoke(Revoke::default()), Language::Et), None);
    }
}
