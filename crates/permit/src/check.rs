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
/// The shortest delay of a recovery that the registry takes: a veto must get through.
pub const DELAY_S_MIN: u64 = 2 * 86_400;
/// The longest.
pub const DELAY_S_MAX: u64 = 90 * 86_400;
/// The last second of the year 9999: a statement writes years in four digits.
pub const TIME_S_MAX: u64 = 253_402_300_799;

/// The largest whole number in a document: JSON's numbers mean one thing up to here.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

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
    /// More than every reader of JSON reads alike.
    #[error("{0} is above {NUMBER_MAX}")]
    Number(&'static str),
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
    /// Too few or too many, one twice, or in another order than the registry takes.
    #[error("trustees must be 1 to {TRUSTEES_MAX} addresses, ascending")]
    Trustees,
    /// More than there are, or none.
    #[error("needed is {0}, it must be from 1 to the number of trustees")]
    Needed(u8),
    /// No time to object, or too much.
    #[error("delayS is {0}, it must be from {DELAY_S_MIN} to {DELAY_S_MAX}")]
    Delay(u64),
}

impl DocumentError {
    /// The field to blame, as it is called in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Statement | Self::StatementBytes(_) => "statement",
            Self::Zero(field) | Self::Oneself(field) | Self::Number(field) => field,
            Self::ExpiresAt(_) => "expiresAt",
            Self::Scopes(_) | Self::Context(_) => "scopes",
            Self::Purposes(_) => "purposes",
            Self::Versions => "toVersion",
            Self::Rights => "rights",
            Self::Ground => "ground",
            Self::Trustees => "trustees",
            Self::Needed(_) => "needed",
            Self::Delay(_) => "delayS",
        }
    }
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
            number("epoch", all.epoch)?;
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

fn number(field: &'static str, number: u64) -> Result<(), DocumentError> {
    if number > NUMBER_MAX { Err(DocumentError::Number(field)) } else { Ok(()) }
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
    number("epoch", grant.epoch)?;
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
    number("epoch", approval.epoch)?;
    expiry(approval.expiresAt)?;
    some("salt", approval.salt)
}

fn policy_fields(policy: &RecoveryPolicy) -> Result<(), DocumentError> {
    not_zero("subject", policy.subject)?;
    let trustees = &policy.trustees;
    let is_ascending = trustees.is_sorted_by(|one, next| one < next);
    if !(1..=TRUSTEES_MAX).contains(&trustees.len()) || !is_ascending {
        return Err(DocumentError::Trustees);
    }
    for trustee in trustees {
        other("trustees", *trustee, policy.subject)?;
    }
    if policy.needed == 0 || usize::from(policy.needed) > trustees.len() {
        return Err(DocumentError::Needed(policy.needed));
    }
    number("epoch", policy.epoch)?;
    match policy.delayS {
        DELAY_S_MIN..=DELAY_S_MAX => Ok(()),
        delay => Err(DocumentError::Delay(delay)),
    }
}

fn delegation_fields(delegation: &Delegation) -> Result<(), DocumentError> {
    not_zero("subject", delegation.subject)?;
    other("delegate", delegation.delegate, delegation.subject)?;
    Rights::parse(&delegation.rights).ok_or(DocumentError::Rights)?;
    number("epoch", delegation.epoch)?;
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
pub(crate) fn is_plain(text: &str) -> bool {
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
    // Up to line 0 is no line: only the records.
    number("upToOrdinal", erase.upToOrdinal)?;
    expiry(erase.expiresAt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{Revoke, RevokeAll};
    use crate::statements::{Language, worded};

    fn told(document: Document) -> Result<(), DocumentError> {
        let bare = document.clone();
        check(&worded(document, Language::En).unwrap_or(bare))
    }

    fn policy(change: impl FnOnce(&mut RecoveryPolicy)) -> Result<(), DocumentError> {
        let mut policy = RecoveryPolicy {
            subject: Address::repeat_byte(1),
            trustees: vec![Address::repeat_byte(2), Address::repeat_byte(3)],
            needed: 2,
            delayS: 604_800,
            ..RecoveryPolicy::default()
        };
        change(&mut policy);
        told(Document::RecoveryPolicy(policy))
    }

    #[test]
    fn a_recovery_policy_names_others_in_order_and_leaves_time_to_object() {
        policy(|_| {}).unwrap();
        let one = Address::repeat_byte(2);
        assert_eq!(policy(|policy| policy.trustees.clear()), Err(DocumentError::Trustees));
        assert_eq!(policy(|policy| policy.trustees = vec![one, one]), Err(DocumentError::Trustees));
        let descending = |policy: &mut RecoveryPolicy| policy.trustees.reverse();
        assert_eq!(policy(descending), Err(DocumentError::Trustees));
        let many = |policy: &mut RecoveryPolicy| {
            policy.trustees = (2..=18).map(Address::repeat_byte).collect();
        };
        assert_eq!(policy(many), Err(DocumentError::Trustees));
        let own = |policy: &mut RecoveryPolicy| policy.subject = policy.trustees[1];
        assert_eq!(policy(own), Err(DocumentError::Oneself("trustees")));
        let nobody = |policy: &mut RecoveryPolicy| policy.trustees[0] = Address::ZERO;
        assert_eq!(policy(nobody), Err(DocumentError::Zero("trustees")));
        assert_eq!(policy(|policy| policy.needed = 0), Err(DocumentError::Needed(0)));
        assert_eq!(policy(|policy| policy.needed = 3), Err(DocumentError::Needed(3)));
        for delay in [0, DELAY_S_MIN - 1, DELAY_S_MAX + 1] {
            assert_eq!(policy(|policy| policy.delayS = delay), Err(DocumentError::Delay(delay)));
        }
    }

    fn guardianship(ground: &str, rights: &str) -> Result<(), DocumentError> {
        told(Document::Guardianship(Guardianship {
            subject: B256::repeat_byte(9),
            guardian: Address::repeat_byte(2),
            custodian: Address::repeat_byte(3),
            rights: rights.into(),
            ground: ground.into(),
            expiresAt: 1,
            ..Guardianship::default()
        }))
    }

    #[test]
    fn a_ground_is_shown_as_it_stands() {
        for ground in ["lapsevanem", "Harju Maakohtu määrus 2-24-123", "parent (register)"] {
            guardianship(ground, "SEE").unwrap();
        }
        let long = "x".repeat(GROUND_BYTES_MAX + 1);
        for ground in [
            "",
            " x",
            "x ",
            "a  b",
            "a\nb",
            "\u{202e}x",
            "x\u{200b}",
            "say \"x\"",
            "a\\b",
            "м",
            &long,
        ] {
            assert_eq!(guardianship(ground, "SEE"), Err(DocumentError::Ground), "{ground:?}");
        }
    }

    #[test]
    fn rights_have_one_spelling() {
        guardianship("parent", "SEE PERMIT").unwrap();
        for rights in ["", "see", "PERMIT SEE", "SEE,PERMIT", "SEE  PERMIT", "SEE SELL", "SELL"] {
            assert_eq!(guardianship("parent", rights), Err(DocumentError::Rights), "{rights}");
        }
    }

    #[test]
    fn nobody_delegates_to_themself() {
        let delegation = Delegation {
            subject: Address::repeat_byte(1),
            delegate: Address::repeat_byte(1),
            rights: "SEE".into(),
            expiresAt: 1,
            salt: B256::repeat_byte(1),
            ..Delegation::default()
        };
        let refused = told(Document::Delegation(delegation));
        assert_eq!(refused, Err(DocumentError::Oneself("delegate")));
    }

    #[test]
    fn a_revocation_names_somebody_and_something() {
        let (subject, permission) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let revoke = |subject, permission| check(&Document::Revoke(Revoke { subject, permission }));
        revoke(subject, permission).unwrap();
        assert_eq!(revoke(Address::ZERO, permission), Err(DocumentError::Zero("subject")));
        assert_eq!(revoke(subject, B256::ZERO), Err(DocumentError::Zero("permission")));
        check(&Document::RevokeAll(RevokeAll { subject, epoch: 0 })).unwrap();
        let all = check(&Document::RevokeAll(RevokeAll { subject: Address::ZERO, epoch: 0 }));
        assert_eq!(all, Err(DocumentError::Zero("subject")));
        let all = |epoch| check(&Document::RevokeAll(RevokeAll { subject, epoch }));
        all(NUMBER_MAX).unwrap();
        assert_eq!(all(NUMBER_MAX + 1), Err(DocumentError::Number("epoch")));
    }

    #[test]
    fn an_erasure_names_a_log_a_line_and_a_day() {
        let erase = |line, expires_at| {
            told(Document::Erase(Erase {
                subject: Address::repeat_byte(1),
                log: B256::repeat_byte(1),
                upToOrdinal: line,
                expiresAt: expires_at,
                ..Erase::default()
            }))
        };
        erase(1, TIME_S_MAX).unwrap();
        erase(0, 1).unwrap();
        assert_eq!(erase(1, 0), Err(DocumentError::ExpiresAt(0)));
        assert_eq!(erase(1, TIME_S_MAX + 1), Err(DocumentError::ExpiresAt(TIME_S_MAX + 1)));
    }

    #[test]
    fn a_long_statement_is_not_compared() {
        let statement = "x".repeat(STATEMENT_BYTES_MAX + 1);
        let erase = Erase {
            statement,
            subject: Address::repeat_byte(1),
            log: B256::repeat_byte(1),
            upToOrdinal: 1,
            expiresAt: 1,
        };
        let refused = check(&Document::Erase(erase));
        assert_eq!(refused, Err(DocumentError::StatementBytes(STATEMENT_BYTES_MAX + 1)));
    }
}
