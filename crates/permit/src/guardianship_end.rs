//! `medtrail/guardianship-end-v1`: by a report of its own (kind 11) the organisation that keeps a
//! pseudonym ends a guardianship at once, and names the order by which it does.

use crate::check::is_plain;
use alloy_primitives::B256;
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde::{Deserialize, Serialize};

/// The version of the details document this code writes.
pub const VERSION: &str = "medtrail/guardianship-end-v1";

/// The details of such a report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardianshipEnd {
    /// [`VERSION`].
    pub version: String,
    /// The id of the guardianship; the report's `permission` is the same.
    pub guardianship: B256,
    /// Whose order, and its number, as people read it.
    pub order: String,
}

/// Why a report ends no guardianship.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndError {
    /// It is not of the form.
    #[error(
        "a {VERSION} has the members version, guardianship and order, no others and none of them \
         twice"
    )]
    Form,
    /// The report is of another kind.
    #[error("a {VERSION} belongs into a report of kind 11 with action D")]
    Kind,
    /// The report names something else.
    #[error("report.permission must be the guardianship that the document names")]
    Permission,
    /// The order could not be shown as it stands.
    #[error(
        "order must have 1 to 160 bytes of Latin letters, digits and plain punctuation, single \
         blanks within"
    )]
    Order,
    /// It is none of a person whose pseudonym this organisation keeps. Alike for one that does not
    /// exist.
    #[error("guardianship is none that this organisation may end for this person")]
    Unknown,
}

impl GuardianshipEnd {
    /// The details that end a guardianship.
    pub fn new(guardianship: B256, order: String) -> Self {
        Self { version: VERSION.to_owned(), guardianship, order }
    }

    /// Reads the details of a report, and holds the report against them.
    ///
    /// # Errors
    /// [`EndError`]; whose pseudonym it is, is not asked here.
    pub fn read(report: &Report, details: &[u8]) -> Result<Self, EndError> {
        let end: Self = serde_json::from_slice(details).map_err(|_| EndError::Form)?;
        if end.version != VERSION {
            return Err(EndError::Form);
        }
        if report.kind != Kind::Binding.number() || report.action != b'D' {
            return Err(EndError::Kind);
        }
        if report.permission != end.guardianship || end.guardianship.is_zero() {
            return Err(EndError::Permission);
        }
        match is_plain(&end.order) {
            true => Ok(end),
            false => Err(EndError::Order),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl FnOnce(&mut Report, &mut String)) -> Result<GuardianshipEnd, EndError> {
        let id = B256::repeat_byte(7);
        let mut report = Report { kind: 11, action: b'D', permission: id, ..Report::default() };
        let end = GuardianshipEnd::new(id, "Harju Maakohus 2-26-77".to_owned());
        let mut text = serde_json::to_string(&end).unwrap();
        change(&mut report, &mut text);
        GuardianshipEnd::read(&report, text.as_bytes())
    }

    #[test]
    fn an_end_is_of_one_form_in_one_kind_of_report_and_names_one_guardianship() {
        assert_eq!(read(|_, _| ()).unwrap().order, "Harju Maakohus 2-26-77");
        assert_eq!(read(|report, _| report.kind = 4), Err(EndError::Kind));
        assert_eq!(read(|report, _| report.action = b'C'), Err(EndError::Kind));
        let other = |report: &mut Report, _: &mut String| report.permission = B256::ZERO;
        assert_eq!(read(other), Err(EndError::Permission));
        for (from, to, error) in [
            ("end-v1", "end-v2", EndError::Form),
            ("{", "{\"x\":1,", EndError::Form),
            ("{", "{\"order\":\"a\",", EndError::Form),
            ("Harju", "Har\\nju", EndError::Order),
            ("Harju Maakohus 2-26-77", "", EndError::Order),
        ] {
            let changed = read(|_, text| *text = text.replacen(from, to, 1));
            assert_eq!(changed, Err(error), "{to}");
        }
    }

    #[test]
    fn the_example_of_the_format_is_read() {
        let formats = include_str!("../../../docs/formats.md");
        let start = format!(r#"{{"version":"{VERSION}""#);
        let example = formats.lines().find(|line| line.starts_with(&start)).expect("an example");
        let end: GuardianshipEnd = serde_json::from_str(example).unwrap();
        assert_eq!(serde_json::to_string(&end).unwrap(), example);
    }
}
