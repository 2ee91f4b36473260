//! Which refusal an error of another part is. Whoever adds an error there decides it here.

use super::{
    ACCEPTED_OFTEN, ALIAS_NOT_FRESH, ALIAS_TAKEN, ALREADY_ACCEPTED, ALREADY_ANSWERED,
    ALREADY_BOUND, ANSWERED_OFTEN, BODY_TOO_LONG, BUSY, CALL_TOO_FAR, CHAIN_UNREADABLE,
    CODE_EXPIRED, CODE_TAKEN, CODE_USED, CONTENT_MISMATCH, CONTROL_MOVED, DAMAGED,
    DETAILS_MISMATCH, DETAILS_RESERVED, DETAILS_TOO_LONG, DISK_FULL, DOCUMENT_EXPIRED, ERASED,
    ERASURE_LINES, ERASURE_REFUSED, ERASURE_UNDER_WAY, ERASURE_WAITS, EVENT_CONFLICT,
    EVENT_ID_MISSING, FOREIGN_PSEUDONYM, INQUIRY_MISMATCH, INTERNAL, INVALID_FIELD,
    INVITE_FOR_ANOTHER, INVITE_USED, IS_ALIAS, KEY_TAKEN, KIND_NOT_REPORTED, MARKET_RULE, More,
    NEVER_SOLD, NO_DELIVERY, NO_LOOK, NO_SIGNING_KEY, NO_SUCH_API_KEY, NO_SUCH_CODE,
    NO_SUCH_ERASURE, NO_SUCH_INQUIRY, NO_SUCH_INVITE, NO_SUCH_SOURCE, NOBODY_TO_ASK, NONCE_UNKNOWN,
    NOT_ACCEPTED, NOT_ANCHORED, NOT_DELIVERED, NOT_ENTERED, NOT_FINAL, NOT_GRANTED, NOT_OPENED,
    NOT_PAID, NOT_PERMITTED, NOT_THEIR_WORD, NOT_WAITING, NOT_WITHDRAWN, NOTHING_TO_SELL,
    OPTED_OUT, ORGANISATION_EXISTS, OUTCOME_UNKNOWN, PERMISSIONS_FROZEN, PLACE_TAKEN, Problem,
    QUESTION_OPEN, SALE_TOO_FAR, SIGN_IN_REFUSED, SIGNATURE_REFUSED, SIGNER_MISMATCH,
    SOURCE_ELSEWHERE, STOPPED, STORAGE, SUBJECT_MOVED, TIME_AHEAD, TOO_MANY_ALIASES,
    TOO_MANY_CALLS, TOO_MANY_CODES, TOO_MANY_OFFERS, TOO_MANY_PERMISSIONS, TOO_MANY_QUESTIONS,
    TOO_MANY_RECORDS, TOO_MANY_SOURCES, TOO_MANY_TRIES, TOO_MUCH_TO_SELL, UNKNOWN_ACTION,
    UNKNOWN_CUSTODIAN, UNSIGNED, VAULT_FULL, VERSION_CONFLICT, WRONG_LOG,
};
use crate::sessions::UnknownNonce;
use crate::siwe::SiweError;
use actix_web::error::BlockingError;
use medtrail_ledger::binding::BindingDocumentError;
use medtrail_ledger::ports::{JournalError, RegistryError};
use medtrail_ledger::proof::EvidenceError;
use medtrail_oracle::accounting::AccountingError;
use medtrail_oracle::aliases::AliasError;
use medtrail_oracle::bindings::BindingError;
use medtrail_oracle::calls::CallsError;
use medtrail_oracle::erasure::{CancelError, HoldError};
use medtrail_oracle::inquiries::InquiryError;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::organisations::DirectoryError;
use medtrail_oracle::permissions::PermissionError;
use medtrail_oracle::sales::SalesError;
use medtrail_oracle::seeing::SeeingError;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_oracle::sources::SourceRefusal;
use medtrail_oracle::vault::VaultError;
use medtrail_permit::permits::Refusal;
use tokio::task::JoinError;

impl Problem {
    /// The caller is told to ask again; whoever reads the program's words, why. `/readyz` says
    /// whether the chain is away, and this is one request's.
    fn chain_unreadable(cause: &RegistryError, told: String) -> Self {
        tracing::debug!("a request met a chain that cannot be read: {cause}");
        Self::new(&CHAIN_UNREADABLE, told)
    }
}

impl From<&ReportError> for Problem {
    fn from(error: &ReportError) -> Self {
        let (kind, field) = match error {
            ReportError::Log { .. } => (&WRONG_LOG, "report.log"),
            ReportError::Kind(_) => (&KIND_NOT_REPORTED, "report.kind"),
            ReportError::Action(_) => (&UNKNOWN_ACTION, "report.action"),
            ReportError::EventId => (&EVENT_ID_MISSING, "report.eventId"),
            ReportError::Ahead { .. } => (&TIME_AHEAD, "report.timeMs"),
            ReportError::UnknownCustodian(_) => (&UNKNOWN_CUSTODIAN, "report.actor"),
            ReportError::Details { .. } => (&DETAILS_MISMATCH, "details"),
            ReportError::DetailsTooLong(_) => (&DETAILS_TOO_LONG, "details"),
            ReportError::LogsDocument(_) => (&DETAILS_RESERVED, "details"),
            ReportError::Word(_) | ReportError::End(_) => (&INVALID_FIELD, "details"),
            ReportError::Evidence(EvidenceError::Signer { .. }) => (&SIGNER_MISMATCH, "signature"),
            ReportError::Evidence(_) => (&SIGNATURE_REFUSED, "signature"),
            ReportError::Unsigned | ReportError::NotOperator(_) => (&UNSIGNED, "signature"),
            ReportError::Conflict { .. } => (&EVENT_CONFLICT, "report.eventId"),
            ReportError::Place(error) => return error.into(),
            ReportError::Journal(error) => return error.into(),
            ReportError::Moved { .. } => (&SUBJECT_MOVED, "report.subject"),
            ReportError::Erased { .. } => (&ERASED, "report.eventId"),
            other => return Self::fault(other),
        };
        match error {
            // Whose pseudonym it is now is told by whoever knows that the reporter may know it.
            ReportError::Moved { .. } => {
                Self::new(kind, "report.subject is a pseudonym that was bound").at(field)
            }
            ReportError::Conflict { index, .. } | ReportError::Erased { index } => {
                Self::new(kind, error.to_string())
                    .at(field)
                    .with(More { index: Some(*index), ..More::default() })
            }
            _ => Self::new(kind, error.to_string()).at(field),
        }
    }
}

impl From<&PlaceError> for Problem {
    fn from(error: &PlaceError) -> Self {
        let kind = match error {
            PlaceError::Busy => &BUSY,
            PlaceError::DiskFull => &DISK_FULL,
            PlaceError::OutcomeUnknown => &OUTCOME_UNKNOWN,
            _ => &STOPPED,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<&JournalError> for Problem {
    /// What fails on the disk may name files: it is for the operator, not for callers.
    fn from(error: &JournalError) -> Self {
        tracing::error!("a request failed: {error}");
        match error {
            JournalError::Damaged(_) => Self::new(&DAMAGED, "what was asked for is damaged"),
            JournalError::Full(_) => Self::new(&DISK_FULL, "the disk is full; nothing was written"),
            _ => Self::new(&STORAGE, "the disk could not be read; nothing was written"),
        }
    }
}

impl From<SiweError> for Problem {
    fn from(error: SiweError) -> Self {
        let field = match error {
            SiweError::Signature(_) | SiweError::Signer { .. } => "signature",
            _ => "message",
        };
        Self::new(&SIGN_IN_REFUSED, error.to_string()).at(field)
    }
}

impl From<UnknownNonce> for Problem {
    fn from(_: UnknownNonce) -> Self {
        Self::new(&NONCE_UNKNOWN, "this nonce is not waiting for this address").at("message")
    }
}

impl From<JournalError> for Problem {
    fn from(error: JournalError) -> Self {
        Self::from(&error)
    }
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        let told = error.to_string();
        match error {
            DirectoryError::Name => Self::new(&INVALID_FIELD, told).at("name"),
            DirectoryError::Domain => Self::new(&INVALID_FIELD, told).at("domain"),
            DirectoryError::Taken(_) => Self::new(&ORGANISATION_EXISTS, told),
            DirectoryError::UnknownOrganisation(_) => Self::no_such_organisation(),
            DirectoryError::Invite => Self::new(&NO_SUCH_INVITE, told).at("code"),
            DirectoryError::InviteUsed => Self::new(&INVITE_USED, told).at("code"),
            DirectoryError::OtherKey { .. } => Self::new(&INVITE_FOR_ANOTHER, told).at("code"),
            DirectoryError::KeyTaken(_) => Self::new(&KEY_TAKEN, told),
            DirectoryError::UnknownApiKey(_) => Self::new(&NO_SUCH_API_KEY, told),
            DirectoryError::Journal(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<AliasError> for Problem {
    fn from(error: AliasError) -> Self {
        let told = error.to_string();
        match error {
            AliasError::Document(error) => {
                let kind = match error {
                    BindingDocumentError::OneAddress => &INVALID_FIELD,
                    BindingDocumentError::Expired { .. } => &DOCUMENT_EXPIRED,
                    _ => &SIGNATURE_REFUSED,
                };
                let field = match error {
                    BindingDocumentError::OneAddress => "alias",
                    BindingDocumentError::Expired { .. } => "expiresAt",
                    BindingDocumentError::Signature { whose, .. }
                    | BindingDocumentError::Signer { whose, .. } => whose,
                    _ => "signature",
                };
                Self::new(kind, told).at(field)
            }
            AliasError::Expiry => Self::new(&INVALID_FIELD, told).at("expiresAt"),
            AliasError::Taken => Self::new(&ALIAS_TAKEN, told).at("alias"),
            AliasError::OfAlias => Self::new(&IS_ALIAS, told),
            AliasError::NotFresh => Self::new(&ALIAS_NOT_FRESH, told).at("alias"),
            AliasError::TooMany => Self::new(&TOO_MANY_ALIASES, told),
            AliasError::ControlMoved => Self::new(&CONTROL_MOVED, told),
            AliasError::ChainUnreadable(cause) => Self::chain_unreadable(&cause, told),
            AliasError::NotEntered(_) => Self::new(&NOT_ENTERED, told),
            AliasError::Journal(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<BindingError> for Problem {
    fn from(error: BindingError) -> Self {
        let told = error.to_string();
        match error {
            BindingError::NotSigning(_) => Self::new(&NO_SIGNING_KEY, told),
            BindingError::Pseudonym => Self::new(&INVALID_FIELD, told).at("pseudonym"),
            BindingError::Foreign => Self::new(&FOREIGN_PSEUDONYM, told).at("pseudonym"),
            BindingError::Expiry => Self::new(&INVALID_FIELD, told).at("expiresMs"),
            BindingError::CodeTaken => Self::new(&CODE_TAKEN, told).at("codeHash"),
            BindingError::TooManyCodes => Self::new(&TOO_MANY_CODES, told),
            BindingError::AlreadyBound => Self::new(&ALREADY_BOUND, told),
            BindingError::Code => Self::new(&NO_SUCH_CODE, told).at("code"),
            BindingError::TooManyTries => Self::new(&TOO_MANY_TRIES, told),
            BindingError::Expired => Self::new(&CODE_EXPIRED, told).at("code"),
            BindingError::CodeUsed => Self::new(&CODE_USED, told).at("code"),
            BindingError::Alias => Self::new(&IS_ALIAS, told),
            BindingError::Unknown => Self::no_such_binding(),
            BindingError::Document(_) => Self::new(&SIGNATURE_REFUSED, told).at("signature"),
            BindingError::NotEntered(_) => Self::new(&NOT_ENTERED, told),
            BindingError::Journal(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl Problem {
    /// Why a document of this type was not recorded.
    pub(crate) fn of_document(word: &str, error: PermissionError) -> Self {
        let told = error.to_string();
        match error {
            PermissionError::Type(_) => Self::new(&INVALID_FIELD, told).at("document"),
            PermissionError::Document(error) => {
                Self::new(&INVALID_FIELD, told).at(format!("document.{word}.{}", error.field()))
            }
            PermissionError::NotAPseudonym => {
                Self::new(&INVALID_FIELD, told).at(format!("document.{word}.subject"))
            }
            // To whom it was connected is nobody's to know.
            PermissionError::Moved => {
                Self::new(&SUBJECT_MOVED, told).at(format!("document.{word}.subject"))
            }
            PermissionError::Countersigned => {
                Self::new(&INVALID_FIELD, told).at("countersignature")
            }
            PermissionError::Signature(_) => Self::new(&SIGNATURE_REFUSED, told).at("signature"),
            PermissionError::Countersignature(_) => {
                Self::new(&SIGNATURE_REFUSED, told).at("countersignature")
            }
            PermissionError::Refused(reason) => {
                let kind = match reason {
                    Refusal::NotSigned => &NOT_GRANTED,
                    Refusal::NotFinal => &NOT_FINAL,
                    Refusal::Frozen => &PERMISSIONS_FROZEN,
                    _ => &NOT_THEIR_WORD,
                };
                Self::new(kind, told).at("signature")
            }
            PermissionError::ChainUnreadable(cause) => Self::chain_unreadable(&cause, told),
            PermissionError::TooMany => Self::new(&TOO_MANY_PERMISSIONS, told),
            PermissionError::OtherLog => {
                Self::new(&WRONG_LOG, told).at(format!("document.{word}.log"))
            }
            PermissionError::Expired => {
                Self::new(&DOCUMENT_EXPIRED, told).at(format!("document.{word}.expiresAt"))
            }
            PermissionError::ErasureWaits => Self::new(&ERASURE_WAITS, told),
            PermissionError::Lines { .. } => {
                Self::new(&ERASURE_LINES, told).at(format!("document.{word}.upToOrdinal"))
            }
            PermissionError::ErasureRefused { index, .. } => Self::new(&ERASURE_REFUSED, told)
                .with(More { index: Some(index), ..More::default() }),
            PermissionError::Report(error) => Self::from(&error),
            PermissionError::Entry(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<InquiryError> for Problem {
    fn from(error: InquiryError) -> Self {
        let told = error.to_string();
        match error {
            InquiryError::NoSuchLine | InquiryError::NotReported => Self::no_such_entry(),
            InquiryError::NobodyToAsk => Self::new(&NOBODY_TO_ASK, told).at("index"),
            InquiryError::Open { .. } | InquiryError::AskedOften => {
                Self::new(&QUESTION_OPEN, told).at("index")
            }
            InquiryError::TooManyOfPerson | InquiryError::TooManyOfOrganisation => {
                Self::new(&TOO_MANY_QUESTIONS, told)
            }
            InquiryError::Field(error) => Self::new(&INVALID_FIELD, told).at(error.field()),
            InquiryError::NoSuchInquiry => Self::new(&NO_SUCH_INQUIRY, told),
            InquiryError::Answered { index } => Self::new(&ALREADY_ANSWERED, told)
                .with(More { index: Some(index), ..More::default() }),
            InquiryError::Mismatch(field) => {
                Self::new(&INQUIRY_MISMATCH, told).at(format!("report.{field}"))
            }
            InquiryError::RepliedOften => Self::new(&ANSWERED_OFTEN, told),
            InquiryError::Report(error) => Self::from(&error),
            InquiryError::Entry(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<SourceRefusal> for Problem {
    fn from(error: SourceRefusal) -> Self {
        let told = error.to_string();
        match error {
            SourceRefusal::Form => Self::new(&INVALID_FIELD, told).at("details"),
            SourceRefusal::Field(error) => {
                Self::new(&INVALID_FIELD, told).at(format!("details.{}", error.field()))
            }
            SourceRefusal::Report { field, .. } => {
                Self::new(&INVALID_FIELD, told).at(format!("report.{field}"))
            }
            SourceRefusal::NoSuchSource => Self::new(&NO_SUCH_SOURCE, told),
            SourceRefusal::Elsewhere => Self::new(&SOURCE_ELSEWHERE, told).at("details.from"),
            SourceRefusal::TooMany => Self::new(&TOO_MANY_SOURCES, told),
            SourceRefusal::NotTaken(error) => Self::from(&error),
            SourceRefusal::Entry(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<AccountingError> for Problem {
    fn from(error: AccountingError) -> Self {
        match error {
            AccountingError::Report(error) => Self::from(&error),
            other => Self::fault(&other),
        }
    }
}

impl From<SeeingError> for Problem {
    fn from(error: SeeingError) -> Self {
        let told = error.to_string();
        match error {
            SeeingError::ChainUnreadable(cause) => Self::chain_unreadable(&cause, told),
            SeeingError::Entry(error) => error.into(),
            SeeingError::Report(error) => Self::from(&error),
            other => Self::fault(&other),
        }
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        let told = error.to_string();
        match error {
            CancelError::None => Self::new(&NO_SUCH_ERASURE, told),
            CancelError::TooLate => Self::new(&ERASURE_UNDER_WAY, told),
            CancelError::Journal(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let told = error.to_string();
        match error {
            VaultError::Report(error) => Self::from(&error),
            VaultError::Field { field, .. } => Self::new(&INVALID_FIELD, told).at(field),
            VaultError::Content { .. } => Self::new(&CONTENT_MISMATCH, told).at("content"),
            VaultError::TooLong { .. } => Self::new(&BODY_TOO_LONG, told).at("content"),
            VaultError::NoRoom { .. } => Self::new(&VAULT_FULL, told),
            VaultError::TooMany(_) => Self::new(&TOO_MANY_RECORDS, told),
            VaultError::NotFound => Self::no_such_record(),
            VaultError::Refused { why, document } => Self::new(&NOT_PERMITTED, told).with(More {
                reason: Some(why),
                document,
                ..More::default()
            }),
            VaultError::Conflict { current } => Self::new(&VERSION_CONFLICT, told)
                .at("report.fromVersion")
                .with(More { current, ..More::default() }),
            VaultError::NotWaiting => Self::new(&NOT_WAITING, told),
            VaultError::ChainUnreadable(cause) => Self::chain_unreadable(&cause, told),
            VaultError::Entry(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<SalesError> for Problem {
    fn from(error: SalesError) -> Self {
        let told = error.to_string();
        match error {
            SalesError::Document(document) => Self::new(&INVALID_FIELD, told).at(document.field()),
            SalesError::Dataset(_) => Self::new(&INVALID_FIELD, told).at("dataset"),
            SalesError::Field { field, .. } => Self::new(&INVALID_FIELD, told).at(field),
            SalesError::Signature => Self::new(&NOT_THEIR_WORD, told).at("signature"),
            SalesError::Rule => Self::new(&MARKET_RULE, told).at("country"),
            SalesError::Child => Self::new(&NEVER_SOLD, told),
            SalesError::OptedOut => Self::new(&OPTED_OUT, told),
            SalesError::Nothing { .. } => Self::new(&NOTHING_TO_SELL, told).at("dataset"),
            SalesError::TooMuch => Self::new(&TOO_MUCH_TO_SELL, told).at("dataset"),
            SalesError::TooMany(_) => Self::new(&TOO_MANY_OFFERS, told),
            SalesError::NoSuchOffer => Self::no_such_offer(),
            SalesError::NoSuchSale => Self::no_such_sale(),
            SalesError::NotPaid => Self::new(&NOT_PAID, told),
            SalesError::NotDelivered => Self::new(&NOT_DELIVERED, told),
            SalesError::NotAsked => Self::new(&NOT_WITHDRAWN, told),
            SalesError::TooLate => Self::new(&SALE_TOO_FAR, told),
            SalesError::NoLook { why } => {
                Self::new(&NO_LOOK, told).with(More { reason: Some(why), ..More::default() })
            }
            SalesError::NoFile => Self::new(&NO_DELIVERY, told),
            SalesError::ChainUnreadable(cause) => Self::chain_unreadable(&cause, told),
            SalesError::Vault(error) => error.into(),
            SalesError::Report(error) => Self::from(&error),
            SalesError::Entry(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<CallsError> for Problem {
    fn from(error: CallsError) -> Self {
        let told = error.to_string();
        match error {
            CallsError::Document(document) => Self::new(&INVALID_FIELD, told).at(document.field()),
            CallsError::Dataset(_) => Self::new(&INVALID_FIELD, told).at("dataset"),
            CallsError::Field { field, .. } => Self::new(&INVALID_FIELD, told).at(field),
            CallsError::NoSuchCall => Self::no_such_call(),
            CallsError::NotOpened => Self::new(&NOT_OPENED, told),
            CallsError::TooMany(_) => Self::new(&TOO_MANY_CALLS, told),
            CallsError::TooLate => Self::new(&CALL_TOO_FAR, told),
            CallsError::Taken(_) => Self::new(&PLACE_TAKEN, told).at("acceptance.place"),
            CallsError::Twice => Self::new(&ALREADY_ACCEPTED, told),
            CallsError::TooOften(_) => Self::new(&ACCEPTED_OFTEN, told),
            CallsError::NoFile => Self::new(&NO_DELIVERY, told),
            CallsError::NotAccepted => Self::new(&NOT_ACCEPTED, told),
            CallsError::NotDelivered => Self::new(&NOT_DELIVERED, told),
            CallsError::Sales(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<HoldError> for Problem {
    fn from(error: HoldError) -> Self {
        let told = error.to_string();
        match error {
            HoldError::Subject => Self::new(&INVALID_FIELD, told).at("subject"),
            HoldError::Text(field) => Self::new(&INVALID_FIELD, told).at(field),
            HoldError::Unknown(_) => Self::no_such_hold(),
            HoldError::Journal(error) => error.into(),
            other => Self::fault(&other),
        }
    }
}

impl From<EntryError> for Problem {
    fn from(error: EntryError) -> Self {
        match error {
            // An erased entry has no place left by which a caller could show that it knows of it.
            EntryError::Absent { .. } | EntryError::Erased(_) => Self::no_such_entry(),
            EntryError::NotAnchored { .. } => Self::new(&NOT_ANCHORED, error.to_string()),
            EntryError::Journal(error) => error.into(),
            other => JournalError::Damaged(other.to_string()).into(),
        }
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        tracing::error!("a request's task ended early: {error}");
        Self::new(&INTERNAL, "the request could not be carried out")
    }
}

impl From<BlockingError> for Problem {
    fn from(error: BlockingError) -> Self {
        tracing::error!("a request's thread ended early: {error}");
        Self::new(&INTERNAL, "the request could not be carried out")
    }
}
