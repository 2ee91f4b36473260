//! `medtrail/cohort-manifest-v1`: what the file of a call to many holds, and the consents that it
//! was made of.
//!
//! Consents stand in it whole: the call with its statement, the dataset's description, and of each
//! seller all that makes the acceptance again, with its signature. As it is, each person's records
//! name theirs. De-identified, they do not: an acceptance names an address, the chain shows it to
//! everybody, and an identifier beside de-identified data is what de-identification takes away. Who
//! knows the address of one seller would know which records are theirs. So a salted hash stands
//! there, which whoever holds the secret opens one by one ([`ConsentOpening`]).

use crate::harmless::Removed;
use crate::manifest::{
    Entry, File, MANIFEST_BYTES_MAX, ManifestError, RECORDS_MAX as SALE_RECORDS_MAX, is_path,
};
use crate::record::Proof;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::entry::details_hash;
use medtrail_permit::dataset::{Dataset, Form, Profile};
use medtrail_permit::sale::check::PLACES_MAX;
use medtrail_permit::sale::cohort::CohortMarket;
use medtrail_permit::sale::{Cohort, CohortAcceptance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version of the manifest this code writes.
pub const VERSION: &str = "medtrail/cohort-manifest-v1";
/// Sellers in one file.
pub const SELLERS_MAX: usize = PLACES_MAX as usize;
/// Records in one file, of all sellers.
pub const RECORDS_MAX: usize = 5 * SALE_RECORDS_MAX;
/// Bytes of all files beside the manifest; of one seller's, [`crate::assemble::BYTES_MAX`].
pub const BYTES_MAX: u64 = 4 << 30;
/// Bytes of a signature: a wallet with many owners has more than 65.
pub const SIGNATURE_BYTES_MAX: usize = 2048;

/// What the file of a call to many holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CohortManifest {
    /// [`VERSION`].
    pub version: String,
    /// The contract under whose domain the documents are signed.
    pub market: CohortMarket,
    /// The call, with the statement that each seller signed.
    pub cohort: Cohort,
    /// The dataset's description, byte for byte: the terms name its hash.
    pub dataset: String,
    /// By what the records were made harmless; none: they are as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<MadeBy>,
    /// Who agreed, by place: each whose records are in it, and nobody else.
    pub consents: Vec<Consent>,
    /// The files beside this one, in their order.
    pub files: Vec<File>,
    /// The persons in them, in their order, which tells nothing.
    pub persons: Vec<Person>,
}

/// How files were derived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeBy {
    /// The program and its version.
    pub tool: String,
    /// The profile.
    pub profile: Profile,
}

/// One seller's consent: with the call it makes the acceptance again, which the signature is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Consent {
    /// The place that was taken.
    pub place: u32,
    /// Who sells.
    pub seller: Address,
    /// The seller's epoch.
    pub epoch: u64,
    /// Until when it holds.
    pub expires_at: u64,
    /// 65 bytes, or what a contract wallet takes for a signature.
    pub signature: Bytes,
    /// The entry that records the acceptance: that it was there before the file was.
    pub logged: Proof,
}

/// One person's part of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Person {
    /// What files and ids of this person begin with: random, and of this file only.
    pub label: String,
    /// Whose consent it is.
    pub consent: ConsentOf,
    /// What was left out of this person's records; none: they are as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// The records, in their order.
    pub records: Vec<Entry>,
}

/// Whose consent a person's records stand on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConsentOf {
    /// That of this place.
    Place(u32),
    /// SHA-256 of the blind and of the consent.
    Hidden(B256),
}

/// Opens whose consent one person's records stand on, for an ethics board or a court.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentOpening {
    /// The consent.
    pub consent: Consent,
    /// What hid it.
    pub blind: B256,
}

impl ConsentOpening {
    /// What stands in the manifest of it.
    pub fn hidden(&self) -> B256 {
        let consent = serde_json::to_vec(&self.consent).expect("texts and hashes are JSON");
        details_hash(&[self.blind.as_slice(), &consent].concat())
    }
}

impl Consent {
    /// The acceptance that was signed.
    pub fn acceptance(&self, cohort: &Cohort, market: &CohortMarket) -> CohortAcceptance {
        cohort.acceptance(market, self.place, self.seller, self.epoch, self.expires_at)
    }
}

impl CohortManifest {
    /// Its bytes, in their one spelling.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and hashes are JSON")
    }

    /// SHA-256 of its bytes: what the entries of the deliveries name.
    pub fn hash(&self) -> B256 {
        details_hash(&self.bytes())
    }

    /// The consent of a place.
    pub fn consent(&self, place: u32) -> Option<&Consent> {
        let at = self.consents.binary_search_by_key(&place, |consent| consent.place).ok()?;
        self.consents.get(at)
    }

    /// The person whose consent this opens; none: it opens nobody's, or another one than stands in
    /// the file.
    pub fn opened(&self, opening: &ConsentOpening) -> Option<&Person> {
        let hidden = ConsentOf::Hidden(opening.hidden());
        let is_in_file = self.consent(opening.consent.place) == Some(&opening.consent);
        self.persons.iter().find(|person| is_in_file && person.consent == hidden)
    }

    /// Whether it has this part under this label: the hash that stands for the consent or, as it is,
    /// the acceptance's id.
    pub fn has_part(&self, label: &str, part: B256) -> bool {
        let person = self.persons.iter().find(|person| person.label == label);
        let named = person.and_then(|person| match person.consent {
            ConsentOf::Hidden(hash) => Some(hash),
            ConsentOf::Place(place) => {
                let acceptance = self.consent(place)?.acceptance(&self.cohort, &self.market);
                Some(acceptance.id(&self.market))
            }
        });
        named == Some(part)
    }

    /// Reads a manifest, strictly. Whether the acceptances are valid is not decided here.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Bytes(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.version != VERSION {
            return Err(ManifestError::CohortVersion(manifest.version));
        }
        manifest.check_call()?;
        manifest.check_consents()?;
        manifest.check_persons()?;
        if manifest.bytes() == bytes { Ok(manifest) } else { Err(ManifestError::Spelling) }
    }

    fn check_call(&self) -> Result<(), ManifestError> {
        let wrong = || ManifestError::Cohort("dataset is not the description that the terms name");
        let dataset = Dataset::parse(self.dataset.as_bytes()).map_err(|_| wrong())?;
        if dataset.id() != self.cohort.terms.dataset {
            return Err(wrong());
        }
        let is_made_so = match (dataset.form(), &self.made) {
            (Form::AsItIs, None) => true,
            (Form::DeIdentified(profile, _), Some(made)) => made.profile == profile,
            _ => false,
        };
        let wrong = ManifestError::Cohort("made is not the form that was agreed on");
        if is_made_so { Ok(()) } else { Err(wrong) }
    }

    fn check_consents(&self) -> Result<(), ManifestError> {
        let consents = &self.consents;
        if !consents.is_sorted_by(|one, next| one.place < next.place) {
            return Err(ManifestError::Cohort("consents must stand by ascending place, each once"));
        }
        let sellers: BTreeSet<Address> = consents.iter().map(|consent| consent.seller).collect();
        if sellers.len() != consents.len() {
            return Err(ManifestError::Cohort("a seller has two consents"));
        }
        if consents.iter().any(|consent| consent.signature.len() > SIGNATURE_BYTES_MAX) {
            return Err(ManifestError::Cohort("a signature is longer than is read"));
        }
        let is_counted = (1..=SELLERS_MAX).contains(&consents.len());
        let wrong =
            ManifestError::Cohort("there must be one to 10,000 consents, and a person to each");
        if is_counted && consents.len() == self.persons.len() { Ok(()) } else { Err(wrong) }
    }

    fn check_persons(&self) -> Result<(), ManifestError> {
        let records = self.persons.iter().map(|person| person.records.len()).sum::<usize>();
        let count = self.files.len().max(records);
        if count > RECORDS_MAX {
            return Err(ManifestError::Records(count));
        }
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        if !paths.is_sorted_by(|one, next| one < next) || !paths.iter().all(|path| is_path(path)) {
            return Err(ManifestError::Paths);
        }
        if !self.persons.is_sorted_by(|one, next| one.label < next.label) {
            return Err(ManifestError::Cohort("persons must stand by ascending label, each once"));
        }
        let (mut named, mut places, mut place) = (BTreeSet::new(), BTreeSet::new(), 0);
        for person in &self.persons {
            let is_whose = match (&self.made, person.consent) {
                (None, ConsentOf::Place(place)) => {
                    self.consent(place).is_some() && places.insert(place)
                }
                (Some(_), ConsentOf::Hidden(_)) => true,
                _ => false,
            };
            if !is_whose || person.removed.is_some() != self.made.is_some() {
                let words = "a person names no consent of this file, or not as its form asks";
                return Err(ManifestError::Cohort(words));
            }
            if person.records.is_empty() || !is_label(&person.label) {
                return Err(ManifestError::Cohort("a person without a label or a record"));
            }
            let own = format!("person-{}", person.label);
            for entry in &person.records {
                let file = paths.binary_search(&entry.path.as_str()).ok();
                let is_own = entry
                    .path
                    .strip_prefix(own.as_str())
                    .is_some_and(|rest| rest.starts_with(['.', '/']));
                let is_formed = file
                    .is_some_and(|file| entry.is_formed(&self.files[file], self.made.is_some()));
                if !is_own || !is_formed {
                    return Err(ManifestError::Entry(place));
                }
                named.extend(file);
                place += 1;
            }
        }
        let wrong = ManifestError::Cohort("a file is nobody's");
        if named.len() == self.files.len() { Ok(()) } else { Err(wrong) }
    }
}

fn is_label(label: &str) -> bool {
    label.len() == 16 && label.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
