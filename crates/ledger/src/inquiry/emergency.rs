//! `medtrail/emergency-v1`: a change was made without asking, and nobody said in time whether it was
//! right.

use super::{LineRef, question::ActUnanswered, word};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// The version this code writes.
pub const EMERGENCY_VERSION: &str = "medtrail/emergency-v1";

word!(
    /// `medtrail/emergency-v1`.
    EmergencyV1, EMERGENCY_VERSION
);

/// The time in which a person is asked about an emergency change has passed. The log's own entry; it
/// permits nothing and refuses nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unconfirmed {
    version: EmergencyV1,
    act: ActUnanswered,
    /// The change.
    pub line: LineRef,
    /// Whose word it is, if an organisation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Address>,
    /// Since when somebody was asked, milliseconds since 1970.
    pub since_ms: u64,
    /// Until when, milliseconds since 1970.
    pub due_ms: u64,
}

impl Unconfirmed {
    /// Of these parts.
    pub fn new(line: LineRef, organisation: Option<Address>, since_ms: u64, due_ms: u64) -> Self {
        let (version, act) = (EmergencyV1, ActUnanswered);
        Self { version, act, line, organisation, since_ms, due_ms }
    }
}
