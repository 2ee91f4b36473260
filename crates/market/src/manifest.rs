//! `medtrail/manifest-v1`: what a delivery holds, and where each part of it comes from.
//!
//! As it is: each record is its own file, and its origin stands open. De-identified: the origin is
//! hidden behind a salted hash. The hash of an original tells who guesses its names right that they
//! did; an entry's place tells its day; a signer tells a town. Each can be opened later, one by one,
//! by whoever holds the sale's secret ([`Opening`]).

use crate::cohort::manifest::VERSION as COHORT_VERSION;
use crate::harmless::Removed;
use crate::record::{Proof, Record, Word};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::details_hash;
use medtrail_permit::dataset::Profile;
use serde::{Deserialize, Serialize};

/// The version of the manifest this code writes.
pub const VERSION: &str = "medtrail/manifest-v1";
/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 32 << 20;
/// Records in a delivery.
pub const RECORDS_MAX: usize = 10_000;

/// What a delivery holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: String,
    /// The order that it answers.
    pub order: B256,
    /// The dataset that was sold: SHA-256 of its description.
    pub dataset: B256,
    /// By what the records were made harmless; none: they are as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// The files beside this one, in their order.
    pub files: Vec<File>,
    /// The records in them, in their order.
    pub records: Vec<Entry>,
}

/// How files were derived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Made {
    /// The program and its version.
    pub tool: String,
    /// The profile.
    pub profile: Profile,
    /// What was left out.
    pub removed: Removed,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// Its name in the archive.
    pub path: String,
    /// SHA-256 of its bytes.
    pub hash: B256,
    /// How many.
    pub bytes: u64,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The file that it stands in.
    pub path: String,
    /// Where in the file, from 1: a line, or an entry of a Bundle. Absent: it is the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Whose word it is.
    pub word: Whose,
    /// Where it comes from.
    pub origin: Origin,
}

/// Whose word a record is, as far as a manifest says it in the open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Whose {
    /// An organisation signed it.
    SignedByOrganisation,
    /// The person uploaded it.
    UploadedByPerson,
}

/// Where a record comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// For everybody to check.
    Open(Original),
    /// SHA-256 of the blind and of the original's bytes.
    Hidden(B256),
}

/// The version of a record that was delivered, or that a delivered one was made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Original {
    /// Which record.
    pub record: B256,
    /// SHA-256 of its bytes.
    pub version: B256,
    /// Its media type.
    pub media_type: String,
    /// Who keeps or made it.
    pub source: String,
    /// The key that signed; none: the person uploaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Address>,
    /// The entry that records it.
    pub proof: Proof,
}

/// Opens one hidden origin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Opening {
    /// The original.
    pub original: Original,
    /// What hid it.
    pub blind: B256,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Longer than is read.
    #[error("{0} bytes, at most {MANIFEST_BYTES_MAX} are read")]
    Bytes(usize),
    /// Not of this form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("version is {0:?}, this reads {VERSION:?}")]
    Version(String),
    /// Another version of a cohort's.
    #[error("version is {0:?}, this reads {COHORT_VERSION:?}")]
    CohortVersion(String),
    /// A part of a cohort's manifest that does not fit its call or its other parts.
    #[error("{0}")]
    Cohort(&'static str),
    /// The same values in another spelling would have another hash.
    #[error("not in its one spelling")]
    Spelling,
    /// More than a delivery has.
    #[error("{0} records or files, at most {RECORDS_MAX} are read")]
    Records(usize),
    /// Files out of order, twice, or with a name that an archive would not have.
    #[error("files must stand in ascending order under plain names")]
    Paths,
    /// A record in a file that is not there, or in none.
    #[error("record {0} names no file of this manifest, or not as its form asks")]
    Entry(usize),
}

impl Manifest {
    /// Its bytes, in their one spelling.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and hashes are JSON")
    }

    /// SHA-256 of its bytes: what the entry of the delivery names.
    pub fn hash(&self) -> B256 {
        details_hash(&self.bytes())
    }

    /// Reads a manifest, strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Bytes(bytes.len()));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        if manifest.version != VERSION {
            return Err(ManifestError::Version(manifest.version));
        }
        let count = manifest.files.len().max(manifest.records.len());
        if count > RECORDS_MAX {
            return Err(ManifestError::Records(count));
        }
        let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        if !paths.is_sorted_by(|one, next| one < next) || !paths.iter().all(|path| is_path(path)) {
            return Err(ManifestError::Paths);
        }
        for (place, entry) in manifest.records.iter().enumerate() {
            let file = paths.binary_search(&entry.path.as_str()).ok();
            let is_formed = file.is_some_and(|file| {
                entry.is_formed(&manifest.files[file], manifest.made.is_some())
            });
            if !is_formed {
                return Err(ManifestError::Entry(place));
            }
        }
        if manifest.bytes() == bytes { Ok(manifest) } else { Err(ManifestError::Spelling) }
    }
}

/// `data.ndjson`, `records/000001.json`: plain names that lead nowhere else.
pub(crate) fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name =
        |name: &str| !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain);
    path.len() <= 100
        && path != crate::archive::MANIFEST
        && path.split('/').count() <= 2
        && path.split('/').all(is_name)
}

impl Whose {
    /// Of a record.
    pub fn of(record: &Record<'_>) -> Self {
        match record.word {
            Word::Signed(_) => Self::SignedByOrganisation,
            Word::Relayed | Word::Uploaded => Self::UploadedByPerson,
        }
    }
}

impl Entry {
    /// Whether it fits its file, in a delivery that was made harmless or was not.
    pub(crate) fn is_formed(&self, file: &File, is_made: bool) -> bool {
        match (is_made, &self.origin) {
            // A record that is delivered as it is has the hash of its version, or it is not.
            (false, Origin::Open(original)) => {
                self.number.is_none()
                    && file.hash == original.version
                    && (self.word == Whose::SignedByOrganisation) == original.signer.is_some()
            }
            (true, Origin::Hidden(_)) => self.number.is_some(),
            _ => false,
        }
    }
}

impl Original {
    /// What a manifest says in the open of a record.
    pub fn of(record: &Record<'_>) -> Self {
        let signer = match record.word {
            Word::Signed(signer) => Some(signer),
            Word::Relayed | Word::Uploaded => None,
        };
        Self {
            record: record.record,
            version: record.version,
            media_type: record.media_type.to_owned(),
            source: record.source.to_owned(),
            signer,
            proof: record.proof,
        }
    }
}

impl Opening {
    /// What stands in the manifest of it.
    pub fn hidden(&self) -> B256 {
        let original = serde_json::to_vec(&self.original).expect("texts and hashes are JSON");
        details_hash(&[self.blind.as_slice(), &original].concat())
    }
}
