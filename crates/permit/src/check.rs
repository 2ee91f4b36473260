//! What makes a document valid by itself, whoever signed it: bounded fields, nothing left zero that
//! must name somebody, and a statement that says what the fields say.

use crate::documents::{
    ChangeApproval, Delegation, Document, Erase, Grant, Guardianship, RecoveryPolicy,
};
use crate::purposes::{self, PurposeError};
use crate::scopes::{self, Context, ScopesError};
use crate::statements;
use alloy_primitives::{Address, B256};

/// Bytes of a statement.
pub const STATEMENT_BYTES_MAX: usize = 16_384;
/// Bytes of a guardianship's ground.
pub const GROUND_BYTES_MAX: usize = 160;
/// Trustees of a recovery policy.
pub const TRUSTEES_MAX: usize = 16;
/// The longest delay of a recovery: a year.
pub const DELAY_S_MAX: u64 = 366 * 86_400;
/// The last second of the year 9999: a statement writes years in four digits.
pub const TIME_S_MAX: u64 = 253_402_300_799;

/// What a delegate or a guardian may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// See what the person may see.
    pub see: bool,
    /// Give permissions, and take them back.
    pub permit: bool,
}

impl Rights {
    /// Reads rights in their one spelling: `SEE`, `PERMIT` or `SEE PERMIT`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "SEE" => Some(Self { see: true, permit: false }),
            "PERMIT" => Some(Self { see: false, permit: true }),
            "SEE PERMIT" => Some(Self { see: true, permit: true }),
            _ => None,
        }
    }
}

/// What is wrong with a document.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The person would have read something else, or in no language that is known.
    #[error("statement is not what the fields say, in English or in Estonian")]
    Statement,
    /// Longer than is read.
    #[error("statement has {0} bytes, at most {STATEMENT_BYTES_MAX} are taken")]
    StatementBytes(usize),
    /// It names nobody or nothing.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// Nobody is asked to act for themselves.
    #[error("{0} is the person themself")]
    Oneself(&'static str),
    /// Never, or beyond what a calendar of four digits has.
    #[error("expiresAt is {0}, it must be from 1 to {TIME_S_MAX}")]
    ExpiresAt(u64),
    /// Scopes.
    #[error(transparent)]
    Scopes(#[from] ScopesError),
    /// A person can give what is theirs, not what others may see.
    #[error("scope {0:?} is not about one person: a grant has patient/ scopes only")]
    Context(String),
    /// Purposes.
    #[error(transparent)]
    Purposes(#[from] PurposeError),
    /// Nothing would change.
    #[error("fromVersion and toVersion are the same")]
    Versions,
    /// Rights in another spelling.
    #[error("rights must be SEE, PERMIT or SEE PERMIT")]
    Rights,
    /// A ground that a wallet could not show as it is.
    #[error(
        "ground must have 1 to {GROUND_BYTES_MAX} bytes of Latin letters, digits and plain \
         punctuation, single blanks within"
    )]
    Ground,
    /// Too few or too many, or one twice.
    #[error("trustees must be 1 to {TRUSTEES_MAX} different addresses")]
    Trustees,
    /// More than there are, or none.
    #[error("needed is {0}, it must be from 1 to the number of trustees")]
    Needed(u8),
    /// No time to object, or more than a life has patience for.
    #[error("delayS is {0}, it must be from 1 to {DELAY_S_MAX}")]
    Delay(u64),
    /// No line of a trail has number 0.
    #[error("upToOrdinal is 0")]
    Ordinal,
}

/// Checks everything of a document that its fields alone decide.
pub fn check(document: &Document) -> Result<(), DocumentError> {
    match document {
        Document::Grant(grant) => grant_fields(grant)?,
        Document::ChangeApproval(approval) => approval_fields(approval)?,
        Document::Revoke(revoke) => {
            not_zero("subject", revoke.subject)?;
            some("permission", revoke.permission)?;
        }
        Document::RevokeAll(all) => {
            not_zero("subject", all.subject)?;
            if all.epoch == 0 {
                return Err(DocumentError::Zero("epoch"));
            }
        }
        Document::RecoveryPolicy(policy) => policy_fields(policy)?,
        Document::Delegation(delegation) => delegation_fields(delegation)?,
        Document::Guardianship(guardianship) => guardianship_fields(guardianship)?,
        Document::Erase(erase) => erase_fields(erase)?,
    }
    let Some(statement) = document.statement() else { return Ok(()) };
    if statement.len() > STATEMENT_BYTES_MAX {
        return Err(DocumentError::StatementBytes(statement.len()));
    }
    match statements::language_of(document) {
        Some(_) => Ok(()),
        None => Err(DocumentError::Statement),
    }
}

fn not_zero(field: &'static str, address: Address) -> Result<(), DocumentError> {
    if address.is_zero() { Err(DocumentError::Zero(field)) } else { Ok(()) }
}

fn some(field: &'static str, value: B256) -> Result<(), DocumentError> {
    if value.is_zero() { Err(DocumentError::Zero(field)) } else { Ok(()) }
}

fn other(field: &'static str, address: Address, subject: Address) -> Result<(), DocumentError> {
    if address == subject { Err(DocumentError::Oneself(field)) } else { not_zero(field, address) }
}

fn expiry(time_s: u64) -> Result<(), DocumentError> {
    match time_s {
        1..=TIME_S_MAX => Ok(()),
        _ => Err(DocumentError::ExpiresAt(time_s)),
    }
}

fn grant_fields(grant: &Grant) -> Result<(), DocumentError> {
    not_zero("subject", grant.subject)?;
    not_zero("grantee", grant.grantee)?;
    let scopes = scopes::parse_list(&grant.scopes)?;
    if let Some(scope) = scopes.iter().find(|scope| scope.context != Context::Patient) {
        return Err(DocumentError::Context(scope.to_string()));
    }
    purposes::parse_list(&grant.purposes)?;
    expiry(grant.expiresAt)?;
    // Without it everybody who can guess the fields finds the id on the chain.
    some("salt", grant.salt)
}

fn approval_fields(approval: &ChangeApproval) -> Result<(), DocumentError> {
    not_zero("subject", approval.subject)?;
    not_zero("custodian", approval.custodian)?;
    some("record", approval.record)?;
    if approval.fromVersion == approval.toVersion {
        return Err(DocumentError::Versions);
    }
    expiry(approval.expiresAt)?;
    some("salt", approval.salt)
}

fn policy_fields(policy: &RecoveryPolicy) -> Result<(), DocumentError> {
    not_zero("subject", policy.subject)?;
    let trustees = &policy.trustees;
    let is_twice = |place: usize| trustees[..place].contains(&trustees[place]);
    if !(1..=TRUSTEES_MAX).contains(&trustees.len()) || (0..trustees.len()).any(is_twice) {
        return Err(DocumentError::Trustees);
    }
    for trustee in trustees {
        other("trustees", *trustee, policy.subject)?;
    }
    if policy.needed == 0 || usize::from(policy.needed) > trustees.len() {
        return Err(DocumentError::Needed(policy.needed));
    }
    match policy.delayS {
        1..=DELAY_S_MAX => Ok(()),
        delay => Err(DocumentError::Delay(delay)),
    }
}

fn delegation_fields(delegation: &Delegation) -> Result<(), DocumentError> {
    not_zero("subject", delegation.subject)?;
    other("delegate", delegation.delegate, delegation.subject)?;
    Rights::parse(&delegation.rights).ok_or(DocumentError::Rights)?;
    expiry(delegation.expiresAt)?;
    some("salt", delegation.salt)
}

fn guardianship_fields(guardianship: &Guardianship) -> Result<(), DocumentError> {
    some("subject", guardianship.subject)?;
    not_zero("guardian", guardianship.guardian)?;
    not_zero("custodian", guardianship.custodian)?;
    Rights::parse(&guardianship.rights).ok_or(DocumentError::Rights)?;
    if !is_plain(&guardianship.ground) {
        return Err(DocumentError::Ground);
    }
    expiry(guardianship.expiresAt)
}

/// Text that a wallet shows as it stands: Latin letters and plain punctuation, no quotes, nothing
/// that turns, hides or breaks a line. The ranges are the same in every language and every version
/// of Unicode.
fn is_plain(text: &str) -> bool {
    let is_plain_letter = |letter: char| match letter {
        '"' | '*' | '<' | '>' | '\\' | '`' | '{' | '}' => false,
        ' '..='~' | '\u{C0}'..='\u{17F}' => true,
        _ => false,
    };
    (1..=GROUND_BYTES_MAX).contains(&text.len())
        && text.chars().all(is_plain_letter)
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
}

fn erase_fields(erase: &Erase) -> Result<(), DocumentError> {
    not_zero("subject", erase.subject)?;
    some("log", erase.log)?;
    if erase.upToOrdinal == 0 {
        return Err(DocumentError::Ordinal);
    }
    expiry(erase.expiresAt)
}
