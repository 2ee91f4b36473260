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
use alloy_primitives::{Address, B256, hex};
use medtrail_ledger::directory::PartName;
use medtrail_permit::dataset::{Dataset, Form};
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::check::SaleError;
use medtrail_permit::sale::cohort::{self, CohortMarket};
use std::collections::{BTreeMap, BTreeSet};
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
    places: BTreeSet<u32>,
    sellers: BTreeSet<Address>,
    /// By label: in the order of places it would tell whose they are.
    taken: BTreeMap<String, (Consent, Person, Vec<File>)>,
}

/// A file that can be written.
pub struct Plan {
    manifest: CohortManifest,
    /// Whose the persons are, by place, in their order.
    places: Vec<u32>,
}

impl<'a> Gather<'a> {
    /// Begins a file.
    pub fn new(call: Call<'a>) -> Result<Self, GatherError> {
        cohort::check(call.cohort, call.dataset)?;
        let (places, sellers, taken) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        let mut gather = Self { call, room: ROOM, places, sellers, taken };
        let empty = gather.manifest(None).bytes().len();
        gather.room.manifest_bytes = gather.room.manifest_bytes.saturating_sub(empty + 1024);
        Ok(gather)
    }

    /// Takes one seller in, and says what of the records was not sold, counted for the seller. Whose
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
        let id = acceptance.id(market);
        let label = hex::encode(self.call.secret.label(id));
        // Two of one label are one in 2^64: another secret has others.
        if self.places.contains(&consent.place)
            || self.sellers.contains(&consent.seller)
            || self.taken.contains_key(&label)
        {
            return Err(GatherError::Twice);
        }
        let Part { made, files, entries, left_out } = self.call.part(id, records)?;
        let files = listed(&files);
        let whose = match made {
            Some(_) => ConsentOf::Hidden(consent_opening(self.call.secret, consent, id).hidden()),
            None => ConsentOf::Place(consent.place),
        };
        let removed = made.map(|made| made.removed);
        let person = Person { label: label.clone(), consent: whose, removed, records: entries };
        let room = self.room.without(consent, &person, &files).ok_or(GatherError::Full)?;
        if self.taken.len() >= SELLERS_MAX {
            return Err(GatherError::Full);
        }
        self.room = room;
        self.places.insert(consent.place);
        self.sellers.insert(consent.seller);
        self.taken.insert(label, (consent.clone(), person, files));
        Ok(left_out)
    }

    /// Ends it: the manifest is made, and whose files are to be written in which order.
    pub fn finish(self) -> Result<Plan, GatherError> {
        if self.taken.is_empty() {
            return Err(GatherError::Nobody);
        }
        let profile = match self.call.dataset.form() {
            Form::AsItIs => None,
            Form::DeIdentified(profile, _) => Some(profile),
        };
        let made = profile.map(|profile| MadeBy { tool: TOOL.to_owned(), profile });
        let mut manifest = self.manifest(made);
        let mut places = Vec::with_capacity(self.taken.len());
        for (consent, person, files) in self.taken.into_values() {
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
        let label = hex::encode(self.secret.label(acceptance));
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

    /// What one seller's part of the file is called: by the acceptance's id or, of de-identified data,
    /// by the hash that stands for it in the manifest.
    pub fn named(&self, consent: &Consent) -> PartName {
        let id = consent.acceptance(self.cohort, self.market).id(self.market);
        let part = match self.dataset.form() {
            Form::AsItIs => id,
            Form::DeIdentified(..) => consent_opening(self.secret, consent, id).hidden(),
        };
        PartName { label: self.secret.label(id), part }
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
    use crate::record::{Proof, Word};
    use alloy_primitives::{Bytes, U256};
    use medtrail_ledger::entry::details_hash;
    use medtrail_permit::dataset::Origin;
    use medtrail_permit::sale::Terms;
    use medtrail_permit::scopes::Data;
    use medtrail_permit::statements::Language;

    const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","gender":"female"}"#;

    #[test]
    fn who_does_not_fit_is_left_out_and_who_fits_after_is_not() {
        let form = Form::AsItIs;
        let origin = Origin::SignedAndUploaded;
        let dataset =
            Dataset::new("patient/*.rs", Vec::new(), 0, 4_102_444_800, form, origin).unwrap();
        let bare = Cohort {
            buyer: Address::repeat_byte(4),
            log: B256::repeat_byte(2),
            price: U256::from(5),
            places: 9,
            recipient: B256::repeat_byte(0x11),
            deliverBy: 1_767_614_400,
            grace: 86_400,
            terms: Terms {
                purpose: "HRESCH".into(),
                dataset: dataset.id(),
                salt: B256::repeat_byte(3),
                ..Terms::default()
            },
            salt: B256::repeat_byte(5),
            ..Cohort::default()
        };
        let cohort = &cohort::worded(bare, &dataset, Language::En).unwrap();
        let market = &CohortMarket { chain_id: 1, cohort_market: Address::repeat_byte(9) };
        let secret = &SaleSecret::new([9; 32]);
        let consent = |place: u32| Consent {
            place,
            seller: Address::repeat_byte(0x70 + place as u8),
            epoch: 0,
            expires_at: cohort.settled_by().unwrap(),
            signature: Bytes::from_static(&[7; 65]),
            logged: Proof { index: 1, commitment: B256::ZERO },
        };
        let told = Data::default();
        let records = |count: u8| -> Vec<Record<'_>> {
            let record = |number| Record {
                record: B256::repeat_byte(number),
                version: details_hash(PATIENT.as_bytes()),
                bytes: PATIENT.as_bytes(),
                media_type: "application/fhir+json",
                source: "Harbour Hospital",
                word: Word::Uploaded,
                counts: true,
                told: &told,
                time_ms: 1_767_614_400_000,
                proof: Proof { index: 1, commitment: B256::ZERO },
            };
            (1..=count).map(record).collect()
        };
        let call = Call { market, cohort, dataset: &dataset, secret, year: 2026 };
        let empty = Gather::new(call).unwrap();
        assert!(empty.room.manifest_bytes < MANIFEST_BYTES_MAX);
        let size = PATIENT.len() as u64;
        for room in [
            Room { records: 3, ..ROOM },
            Room { bytes: 3 * size, ..ROOM },
            Room { manifest_bytes: 2900, ..ROOM },
        ] {
            let mut gather = Gather::new(call).unwrap();
            gather.room = room;
            gather.add(&consent(0), &records(2)).unwrap();
            let full = gather.add(&consent(1), &records(2));
            assert_eq!(full, Err(GatherError::Full));
            gather.add(&consent(2), &records(1)).unwrap();
            // Nothing was taken of who did not fit.
            assert_eq!(gather.add(&consent(1), &records(1)), Err(GatherError::Full));
            let manifest = gather.finish().unwrap().manifest;
            let places: Vec<u32> = manifest.consents.iter().map(|consent| consent.place).collect();
            assert_eq!(places, [0, 2]);
            CohortManifest::parse(&manifest.bytes()).unwrap();
        }
    }
}
