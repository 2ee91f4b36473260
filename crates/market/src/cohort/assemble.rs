//! The file of a call to many, made of one seller at a time.
//!
//! The manifest stands first in the archive and has the hash of every file, so each seller's
//! records are prepared twice: [`Gather`] keeps of them what the manifest says, [`Plan::write`]
//! asks for their files again, which are the same bytes. What is in memory is the manifest and the
//! records of one seller.

use super::manifest::{
    BYTES_MAX, CohortManifest, Consent, ConsentOf, ConsentOpening, MadeBy, Person, RECORDS_MAX,
    SELLERS_MAX, SIGNATURE_BYTES_MAX, VERSION,
};
use crate::archive::{self, MANIFEST};
use crate::assemble::{self as sale, AssembleError, One, Part, Reason, TOOL, listed, part};
use crate::manifest::{File, MANIFEST_BYTES_MAX, Opening};
use crate::record::Record;
use crate::secret::SaleSecret;
use alloy_primitives::B256;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Which call is assembled.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The contract.
    pub market: &'a CohortMarket,
    /// The call.
    pub cohort: &'a Cohort,
    /// What is sold.
    pub dataset: &'a Dataset,
    /// The secret of this file: another file of the same call has another.
    pub secret: &'a SaleSecret,
    /// The year in which it is made; kept with the secret, so that it is the same after a crash.
    pub year: u16,
}

/// Why a seller is not in the file. It is the same file without them.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatherError {
    /// The call or the acceptance is not valid by itself.
    #[error(transparent)]
    Documents(#[from] SaleError),
    /// No wallet signs so.
    #[error("the signature has {0} bytes, it must have 1 to {SIGNATURE_BYTES_MAX}")]
    Signature(usize),
    /// The place or the seller is in it.
    #[error("the place or its seller is in the file already")]
    Twice,
    /// This seller's records.
    #[error(transparent)]
    Records(#[from] AssembleError),
    /// No more fits.
    #[error(
        "the file is full: it holds {SELLERS_MAX} sellers, {RECORDS_MAX} records, {BYTES_MAX} bytes \
         and a manifest of {MANIFEST_BYTES_MAX}"
    )]
    Full,
    /// Nobody is in it.
    #[error("no seller is in the file")]
    Nobody,
}

/// How much one file holds.
#[derive(Clone, Copy)]
struct Room {
    records: usize,
    bytes: u64,
    manifest_bytes: usize,
}

const ROOM: Room =
    Room { records: RECORDS_MAX, bytes: BYTES_MAX, manifest_bytes: MANIFEST_BYTES_MAX };

/// A file that is being made.
pub struct Gather<'a> {
    call: Call<'a>,
    room: Room,
    taken: Vec<(Consent, Person, Vec<File>)>,
}

/// A file that can be written.
pub struct Plan {
    manifest: CohortManifest,
    /// ConsentOf the persons are, in their order.
    places: Vec<u32>,
}

impl<'a> Gather<'a> {
    /// Begins a file.
    pub fn new(call: Call<'a>) -> Result<Self, GatherError> {
        cohort::check(call.cohort, call.dataset)?;
        let mut gather = Self { call, room: ROOM, taken: Vec::new() };
        let empty = gather.manifest(None).bytes().len();
        gather.room.manifest_bytes = gather.room.manifest_bytes.saturating_sub(empty + 1024);
        Ok(gather)
    }

    /// Takes one seller in, and says what of the records was not sold, counted for the seller. ConsentOf
    /// signature it is must be known before. Where this fails, nothing was taken.
    pub fn add(
        &mut self,
        consent: &Consent,
        records: &[Record<'_>],
    ) -> Result<BTreeMap<Reason, u64>, GatherError> {
        let Call { market, cohort, dataset, .. } = self.call;
        let acceptance = consent.acceptance(cohort, market);
        cohort::check_acceptance(&acceptance, cohort, market, dataset)?;
        if !(1..=SIGNATURE_BYTES_MAX).contains(&consent.signature.len()) {
            return Err(GatherError::Signature(consent.signature.len()));
        }
        let is_taken = |(other, ..): &(Consent, Person, Vec<File>)| {
            other.place == consent.place || other.seller == consent.seller
        };
        if self.taken.iter().any(is_taken) {
            return Err(GatherError::Twice);
        }
        let id = acceptance.id(market);
        let label = self.call.secret.label(id);
        // One in 2^64: another secret has other labels.
        if self.taken.iter().any(|(_, person, _)| person.label == label) {
            return Err(GatherError::Twice);
        }
        let Part { made, files, entries, left_out } = self.call.part(id, records)?;
        let files = listed(&files);
        let whose = match made {
            Some(_) => ConsentOf::Hidden(consent_opening(self.call.secret, consent, id).hidden()),
            None => ConsentOf::Place(consent.place),
        };
        let removed = made.map(|made| made.removed);
        let person = Person { label, consent: whose, removed, records: entries };
        let room = self.room.without(consent, &person, &files).ok_or(GatherError::Full)?;
        if self.taken.len() >= SELLERS_MAX {
            return Err(GatherError::Full);
        }
        self.room = room;
        self.taken.push((consent.clone(), person, files));
        Ok(left_out)
    }

    /// ConsentOf files are to be written, and the manifest.
    pub fn finish(mut self) -> Result<Plan, GatherError> {
        if self.taken.is_empty() {
            return Err(GatherError::Nobody);
        }
        let profile = match self.call.dataset.form() {
            Form::AsItIs => None,
            Form::DeIdentified(profile, _) => Some(profile),
        };
        let made = profile.map(|profile| MadeBy { tool: TOOL.to_owned(), profile });
        let mut manifest = self.manifest(made);
        // By place their order would tell whose they are.
        self.taken.sort_by(|(_, one, _), (_, other, _)| one.label.cmp(&other.label));
        let mut places = Vec::with_capacity(self.taken.len());
        for (consent, person, files) in self.taken {
            places.push(consent.place);
            manifest.consents.push(consent);
            manifest.persons.push(person);
            manifest.files.extend(files);
        }
        manifest.consents.sort_by_key(|consent| consent.place);
        Ok(Plan { manifest, places })
    }

    fn manifest(&self, made: Option<MadeBy>) -> CohortManifest {
        let dataset = String::from_utf8(self.call.dataset.bytes()).expect("JSON is text");
        CohortManifest {
            version: VERSION.to_owned(),
            market: *self.call.market,
            cohort: self.call.cohort.clone(),
            dataset,
            made,
            consents: Vec::new(),
            files: Vec::new(),
            persons: Vec::new(),
        }
    }
}

impl Room {
    fn without(self, consent: &Consent, person: &Person, files: &[File]) -> Option<Self> {
        let json = |bytes: serde_json::Result<Vec<u8>>| bytes.expect("hashes are JSON").len() + 1;
        let manifest_bytes = json(serde_json::to_vec(consent))
            + json(serde_json::to_vec(person))
            + json(serde_json::to_vec(files));
        // Files of a person who has one each count as records do.
        let records = person.records.len().max(files.len());
        Some(Self {
            records: self.records.checked_sub(records)?,
            bytes: self.bytes.checked_sub(files.iter().map(|file| file.bytes).sum())?,
            manifest_bytes: self.manifest_bytes.checked_sub(manifest_bytes)?,
        })
    }
}

impl Call<'_> {
    fn part(&self, acceptance: B256, records: &[Record<'_>]) -> Result<Part, AssembleError> {
        let Self { dataset, year, .. } = *self;
        let label = self.secret.label(acceptance);
        let secret = self.secret.of_seller(acceptance);
        let one = One { dataset, secret: &secret, year, person: Some(&label) };
        part(&one, records, sale::BYTES_MAX)
    }

    /// One seller's files: the same bytes whenever they are made of the same records.
    pub fn files(
        &self,
        consent: &Consent,
        records: &[Record<'_>],
    ) -> Result<Vec<(String, Vec<u8>)>, AssembleError> {
        let id = consent.acceptance(self.cohort, self.market).id(self.market);
        Ok(self.part(id, records)?.files)
    }
}

/// Opens whose consent one person's records stand on.
pub fn consent_opening(secret: &SaleSecret, consent: &Consent, acceptance: B256) -> ConsentOpening {
    ConsentOpening { consent: consent.clone(), blind: secret.consent_blind(acceptance) }
}

/// Opens the origin of one record in a de-identified file.
pub fn record_opening(secret: &SaleSecret, acceptance: B256, record: &Record<'_>) -> Opening {
    sale::opening(&secret.of_seller(acceptance), record)
}

impl Plan {
    /// The manifest.
    pub fn manifest(&self) -> &CohortManifest {
        &self.manifest
    }

    /// Writes the archive. `files` is asked for each seller's ([`Call::files`]), by place, once, in
    /// an order that is this file's. Records that have changed meanwhile end it with an error: the
    /// file is to be made anew.
    pub fn write(
        &self,
        files: &mut dyn FnMut(u32) -> io::Result<Vec<(String, Vec<u8>)>>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        archive::file(MANIFEST, &self.manifest.bytes(), to)?;
        let mut expected = self.manifest.files.as_slice();
        for (person, place) in self.manifest.persons.iter().zip(&self.places) {
            let own = format!("person-{}", person.label);
            let count = expected.iter().take_while(|file| is_of(file, &own)).count();
            let (theirs, rest) = expected.split_at(count);
            expected = rest;
            let found = files(*place)?;
            let is_same = listed(&found) == theirs;
            if !is_same {
                let words = format!("the records of place {place} have changed: make it anew");
                return Err(io::Error::new(io::ErrorKind::InvalidData, words));
            }
            for (path, bytes) in &found {
                archive::file(path, bytes, to)?;
            }
        }
        archive::end(to)
    }
}

fn is_of(file: &File, own: &str) -> bool {
    file.path.strip_prefix(own).is_some_and(|rest| rest.starts_with(['.', '/']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};

    #[test]
    fn room_is_counted_and_never_less_than_none() {
        let consent = Consent {
            place: 0,
            seller: Address::repeat_byte(1),
            epoch: 0,
            expires_at: 1,
            signature: Bytes::from_static(&[7; 65]),
            logged: crate::record::Proof { index: 1, commitment: B256::ZERO },
        };
        let person = Person {
            label: "0".repeat(16),
            consent: ConsentOf::Place(0),
            removed: None,
            records: Vec::new(),
        };
        let file = |bytes| File { path: "person-a.json".into(), hash: B256::ZERO, bytes };
        let room = ROOM.without(&consent, &person, &[file(BYTES_MAX)]).unwrap();
        assert_eq!((room.bytes, room.records), (0, RECORDS_MAX - 1));
        assert!(room.manifest_bytes < MANIFEST_BYTES_MAX);
        assert!(room.without(&consent, &person, &[file(1)]).is_none());
        let full = Room { records: 0, ..ROOM };
        assert!(full.without(&consent, &person, &[file(1)]).is_none());
        let full = Room { manifest_bytes: 300, ..ROOM };
        assert!(full.without(&consent, &person, &[file(1)]).is_none());
    }
}
