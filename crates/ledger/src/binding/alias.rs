//! How a fresh address of a person joins their own: the same document, signed with two keys of
//! theirs. Nothing moves; whoever signs in with the first address sees what is reported about both.

use super::{BindingDocumentError, check_signer, minute};
use crate::entry::subject_of;
use crate::schema::{Binding, Eip712Domain};
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// The version of the details document this code writes.
pub const VERSION: &str = "medtrail/alias-v1";

/// The languages in which a person may read what they sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Estonian.
    Et,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Et];
}

/// What the person reads in the wallet, twice: template 1 of its language.
pub fn statement(document: &Binding, language: Language) -> String {
    let Binding { subject, custodian: alias, .. } = document;
    let until = minute(document.expiresAt);
    let (day, clock) = until.split_once(' ').unwrap_or((&until, ""));
    let estonian: Vec<&str> = day.rsplit('-').collect();
    match language {
        Language::En => format!(
            "{alias} is an address of mine, to sell under. Whoever signs in as {subject} sees what \
             is reported about both. Whoever signs in as {alias} sees nothing about {subject}. \
             Neither can permit anything for the other. It cannot be undone. Valid until {until} \
             UTC. (Medtrail alias 1)"
        ),
        Language::Et => format!(
            "{alias} on minu aadress, mille alt müün. Kes logib sisse aadressiga {subject}, näeb, \
             mida kummagi kohta teatatakse. Kes logib sisse aadressiga {alias}, ei näe aadressi \
             {subject} kohta midagi. Kumbki ei saa teise eest midagi lubada. Seda ei saa tagasi \
             võtta. Kehtib kuni {day} kell {clock} UTC. (Medtrail müügiaadress 1)",
            day = estonian.join("."),
        ),
    }
}

/// The document that joins `alias` to `subject`, its statement rendered. `expires_at_s` is in
/// seconds since 1970.
pub fn document(
    subject: Address,
    alias: Address,
    expires_at_s: u64,
    language: Language,
) -> Binding {
    let bare = Binding {
        statement: String::new(),
        subject,
        custodian: alias,
        pseudonym: subject_of(alias),
        expiresAt: expires_at_s,
    };
    Binding { statement: statement(&bare, language), ..bare }
}

/// Checks everything of a document but its signatures.
pub fn check(document: &Binding, now_s: u64) -> Result<(), BindingDocumentError> {
    let Binding { subject, custodian: alias, pseudonym, .. } = document;
    if *pseudonym != subject_of(*alias) {
        return Err(BindingDocumentError::NotItsAddress);
    }
    if subject == alias || subject.is_zero() || alias.is_zero() {
        return Err(BindingDocumentError::OneAddress);
    }
    let is_it = |language| statement(document, language) == document.statement;
    if !Language::ALL.into_iter().any(is_it) {
        return Err(BindingDocumentError::Statement);
    }
    if now_s >= document.expiresAt {
        return Err(BindingDocumentError::Expired { expired_s: document.expiresAt, now_s });
    }
    Ok(())
}

/// Checks the signatures of both keys.
pub fn check_signatures(
    document: &Binding,
    signature: &[u8],
    countersignature: &[u8],
    domain: &Eip712Domain,
) -> Result<(), BindingDocumentError> {
    check_signer("signature", document, signature, document.subject, domain)?;
    check_signer("countersignature", document, countersignature, document.custodian, domain)
}

/// `medtrail/alias-v1`: the details of both entries of an alias.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AliasDetails {
    /// [`VERSION`].
    pub version: String,
    /// What both keys signed.
    pub document: Binding,
    /// By the person's own address, 65 bytes.
    pub signature: Bytes,
    /// By the alias, 65 bytes.
    pub countersignature: Bytes,
}

impl AliasDetails {
    /// Whether this joins: the statement is what the fields say, the document lived at `time_s` (the
    /// entry's time, seconds), and both keys signed it.
    pub fn verify(&self, domain: &Eip712Domain, time_s: u64) -> Result<(), BindingDocumentError> {
        if self.version != VERSION {
            return Err(BindingDocumentError::Version(self.version.clone()));
        }
        check(&self.document, time_s)?;
        check_signatures(&self.document, &self.signature, &self.countersignature, domain)
    }

    /// The trails in which its entries stand: the alias's and that of the person's own address.
    pub fn trails(&self) -> [B256; 2] {
        [self.document.custodian, self.document.subject].map(subject_of)
    }
}

/// Whether a details document says that it joins an alias, sound or not.
pub fn is_alias(details: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Versioned {
        version: String,
    }
    serde_json::from_slice::<Versioned>(details).is_ok_and(|one| one.version == VERSION)
}
