//! How a pseudonym becomes a person's: the document that both sign, what the person reads in it,
//! and the details document of the two entries that record it.

pub mod alias;

use crate::entry::subject_of;
use crate::schema::{Binding, Eip712Domain, digest};
use crate::signature::{self, SignatureError};
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// The version of the details document this code writes.
pub const VERSION: &str = "medtrail/binding-v1";

/// What the person reads in the wallet: English, template 1. `name` is the organisation's.
///
/// A document whose statement is not exactly this is invalid: else a wallet could show one thing
/// and bind another.
pub fn statement(name: &str, document: &Binding) -> String {
    format!(
        "{name} ({custodian}) keeps entries about me under the pseudonym {pseudonym}. Join them \
         with my trail, that of {subject}. This does not let anybody see or change my data. It \
         cannot be undone. Valid until {until} UTC. (Medtrail binding 1)",
        custodian = document.custodian,
        pseudonym = document.pseudonym,
        subject = document.subject,
        until = minute(document.expiresAt),
    )
}

/// The document of a binding, its statement rendered. `expires_at_s` is in seconds since 1970.
pub fn document(
    name: &str,
    custodian: Address,
    pseudonym: B256,
    subject: Address,
    expires_at_s: u64,
) -> Binding {
    let bare = Binding {
        statement: String::new(),
        subject,
        custodian,
        pseudonym,
        expiresAt: expires_at_s,
    };
    Binding { statement: statement(name, &bare), ..bare }
}

/// Why a binding does not bind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindingDocumentError {
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// The person would have read something else.
    #[error("document.statement is not the statement of these fields")]
    Statement,
    /// An address cannot be bound: it is a person already.
    #[error("document.pseudonym is an address")]
    Pseudonym,
    /// Of an alias: two fields name two addresses.
    #[error("document.custodian and document.pseudonym must both be the address that joins")]
    NotItsAddress,
    /// Of an alias: an address joins another one.
    #[error("document.subject and document.custodian must be two addresses, and neither zero")]
    OneAddress,
    /// It came too late.
    #[error("the document expired at {expired_s} s, this was signed at {now_s} s")]
    Expired {
        /// `expiresAt`.
        expired_s: u64,
        /// When it was to be used.
        now_s: u64,
    },
    /// No signature of the accepted form.
    #[error("{whose}: {error}")]
    Signature {
        /// `signature` (the person's) or `countersignature` (the organisation's, or the alias's).
        whose: &'static str,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// Somebody else signed.
    #[error("{whose} is by {found}, it must be by {expected}")]
    Signer {
        /// `signature` (the person's) or `countersignature` (the organisation's, or the alias's).
        whose: &'static str,
        /// Who signed.
        found: Address,
        /// Who had to.
        expected: Address,
    },
}

/// Checks everything of a document but its signatures.
pub fn check(name: &str, document: &Binding, now_s: u64) -> Result<(), BindingDocumentError> {
    if document.pseudonym.0[..12] == [0; 12] {
        return Err(BindingDocumentError::Pseudonym);
    }
    if document.statement != statement(name, document) {
        return Err(BindingDocumentError::Statement);
    }
    if now_s >= document.expiresAt {
        return Err(BindingDocumentError::Expired { expired_s: document.expiresAt, now_s });
    }
    Ok(())
}

/// Checks the person's signature.
pub fn check_person(
    document: &Binding,
    signature: &[u8],
    domain: &Eip712Domain,
) -> Result<(), BindingDocumentError> {
    check_signer("signature", document, signature, document.subject, domain)
}

/// Checks the organisation's signature.
pub fn check_custodian(
    document: &Binding,
    signature: &[u8],
    domain: &Eip712Domain,
) -> Result<(), BindingDocumentError> {
    check_signer("countersignature", document, signature, document.custodian, domain)
}

fn check_signer(
    whose: &'static str,
    document: &Binding,
    signature: &[u8],
    expected: Address,
    domain: &Eip712Domain,
) -> Result<(), BindingDocumentError> {
    let recover = || signature::parse(signature)?.recover(digest(document, domain));
    let found = recover().map_err(|error| BindingDocumentError::Signature { whose, error })?;
    match found == expected {
        true => Ok(()),
        false => Err(BindingDocumentError::Signer { whose, found, expected }),
    }
}

/// An organisation as details documents name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its id.
    pub id: Address,
    /// Its name when this was written.
    pub name: String,
}

/// `medtrail/binding-v1`: the details of both entries of a binding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BindingDetails {
    /// [`VERSION`].
    pub version: String,
    /// Who kept the pseudonym.
    pub organisation: Named,
    /// What both signed.
    pub document: Binding,
    /// The person's signature, 65 bytes.
    pub signature: Bytes,
    /// The organisation's, 65 bytes.
    pub countersignature: Bytes,
}

impl BindingDetails {
    /// Whether this binds: the statement is what the fields say, the document lived at `time_s`
    /// (the entry's time, seconds), and both signed it. Whose key `document.custodian` is, the
    /// trust file says.
    pub fn verify(&self, domain: &Eip712Domain, time_s: u64) -> Result<(), BindingDocumentError> {
        if self.version != VERSION {
            return Err(BindingDocumentError::Version(self.version.clone()));
        }
        check(&self.organisation.name, &self.document, time_s)?;
        check_person(&self.document, &self.signature, domain)?;
        check_custodian(&self.document, &self.countersignature, domain)
    }

    /// The subject that has the pseudonym's entries now.
    pub fn subject(&self) -> B256 {
        subject_of(self.document.subject)
    }
}

/// `2026-11-22 14:05`, UTC; civil date by Howard Hinnant's `civil_from_days`.
pub fn minute(time_s: u64) -> String {
    let (day, second) = (time_s / 86_400, time_s % 86_400);
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", second / 3600, second / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::domain;
    use secp256k1::{Message, SecretKey};

    fn sign(seed: u8, document: &Binding, domain: &Eip712Domain) -> Bytes {
        let secret = SecretKey::from_secret_bytes([seed; 32]).unwrap();
        let message = Message::from_digest(digest(document, domain).0);
        let signed =
            secp256k1::ecdsa::RecoverableSignature::sign_ecdsa_recoverable(message, &secret);
        let (recovery, compact) = signed.serialize_compact();
        [compact.as_slice(), &[27 + recovery.to_u8()]].concat().into()
    }

    fn address(seed: u8) -> Address {
        let secret = SecretKey::from_secret_bytes([seed; 32]).unwrap();
        signature::address_of(&secp256k1::PublicKey::from_secret_key(&secret))
    }

    fn details() -> (BindingDetails, Eip712Domain) {
        let domain = domain(31338, Address::repeat_byte(5));
        let pseudonym = B256::repeat_byte(9);
        let document = document("Clinic", address(2), pseudonym, address(1), 2_000_000_000);
        let details = BindingDetails {
            version: VERSION.to_owned(),
            organisation: Named { id: address(2), name: "Clinic".to_owned() },
            signature: sign(1, &document, &domain),
            countersignature: sign(2, &document, &domain),
            document,
        };
        (details, domain)
    }

    #[test]
    fn a_minute_is_the_calendar_s() {
        let known = [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_767_605_459, "2026-01-05 09:30"),
            (4_107_542_399, "2100-02-28 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
        ];
        for (time_s, text) in known {
            assert_eq!(minute(time_s), text);
        }
    }

    #[test]
    fn a_binding_binds_only_with_both_signatures_its_statement_and_in_time() {
        let (good, domain) = details();
        good.verify(&domain, 1_999_999_999).unwrap();
        let late = good.verify(&domain, 2_000_000_000);
        assert!(matches!(late, Err(BindingDocumentError::Expired { .. })), "{late:?}");

        let mut other = good.clone();
        other.document.statement.push('.');
        assert_eq!(other.verify(&domain, 1), Err(BindingDocumentError::Statement));
        let mut other = good.clone();
        other.organisation.name = "Hospital".to_owned();
        assert_eq!(other.verify(&domain, 1), Err(BindingDocumentError::Statement));
        let mut other = good.clone();
        other.signature = good.countersignature.clone();
        let refused = other.verify(&domain, 1);
        assert!(
            matches!(refused, Err(BindingDocumentError::Signer { whose: "signature", .. })),
            "{refused:?}"
        );
        let mut other = good.clone();
        other.countersignature = good.signature.clone();
        other.verify(&domain, 1).unwrap_err();
        let mut other = good.clone();
        other.document.pseudonym = subject_of(address(3));
        other.document.statement = statement("Clinic", &other.document);
        assert_eq!(other.verify(&domain, 1), Err(BindingDocumentError::Pseudonym));
        let elsewhere = crate::schema::domain(1, Address::repeat_byte(5));
        good.verify(&elsewhere, 1).unwrap_err();
    }
}
