//! Accountings of disclosures: whoever takes one of their own trail leaves a line in it first.

use crate::intake::ReportError;
use crate::own::{NoRandomness, random};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::schema::Report;
use serde::Serialize;

/// The version of the details of such a line.
pub const VERSION: &str = "medtrail/accounting-v1";

/// What is told of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountingDetails {
    version: &'static str,
    from_ms: u64,
    until_ms: u64,
    form: &'static str,
    /// Who took it, where that was not the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<Address>,
}

/// Why the line was not entered: then nothing may leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountingError {
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// It got no place.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Whether these details are of a line that tells of an accounting.
pub fn is_accounting(details: &[u8]) -> bool {
    details.starts_with(br#"{"version":"medtrail/accounting-v1","#)
}

impl Service {
    /// Enters that `who` takes an accounting of the trail of `subject`; durable when this returns.
    /// Blocks.
    ///
    /// # Errors
    /// [`AccountingError`].
    pub fn take_accounting(
        &self,
        who: Address,
        subject: B256,
        from_ms: u64,
        until_ms: u64,
        form: &'static str,
    ) -> Result<u64, AccountingError> {
        let reader = Some(who).filter(|who| subject_of(*who) != subject);
        let details = AccountingDetails { version: VERSION, from_ms, until_ms, form, reader };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let report = Report {
            eventId: event_id(who, &[b"accounting\0", random::<32>()?.as_slice()].concat()),
            kind: Kind::Access.number(),
            action: b'R',
            timeMs: (self.0.now_ms)(),
            subject,
            details: details_hash(&details),
            ..self.own_report()
        };
        Ok(self.enter_own(report, details)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_format_is_what_is_written() {
        let formats = include_str!("../../../docs/formats.md");
        let is_it = |line: &&str| line.starts_with(r#"{"version":"medtrail/accounting-v1""#);
        let example = formats.lines().find(is_it).expect("an example");
        let details = AccountingDetails {
            version: VERSION,
            from_ms: 1_577_836_800_000,
            until_ms: 1_767_225_600_000,
            form: "csv",
            reader: None,
        };
        assert_eq!(serde_json::to_string(&details).unwrap(), example);
        assert!(is_accounting(example.as_bytes()));
        assert!(!is_accounting(br#"{"version":"medtrail/accounting-v2"}"#));
    }
}
