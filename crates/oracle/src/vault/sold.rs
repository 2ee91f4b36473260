//! What of a person's records may be sold: the version that counts of each, with its entry.

use super::{Vault, VaultError};
use crate::opener::EntryError;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::commitment;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::vault::About;
use medtrail_market::record::{Proof, Record, Word};
use medtrail_permit::permits::Data;

/// The version that counts of one record.
pub(crate) struct Kept {
    record: B256,
    version: B256,
    bytes: Vec<u8>,
    about: About,
    told: Data,
    source: String,
    word: Word,
    time_ms: u64,
    proof: Proof,
}

impl Kept {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            record: self.record,
            version: self.version,
            bytes: &self.bytes,
            media_type: &self.about.media_type,
            source: &self.source,
            word: self.word,
            counts: true,
            told: &self.told,
            time_ms: self.time_ms,
            proof: self.proof,
        }
    }
}

/// The source of what a person put in themself.
const OWN: &str = "the person";

impl Vault {
    /// All records of a person, under whichever of their subject ids. No more than a person has in
    /// the vault, which is bounded. Blocks.
    pub(crate) fn all_of(&self, person: Address) -> Result<Vec<Kept>, VaultError> {
        let mut all = Vec::new();
        self.each_of(person, |kept| {
            all.push(kept);
            Ok(())
        })?;
        Ok(all)
    }

    /// The same, one after the other. Blocks.
    pub(super) fn each_of(
        &self,
        person: Address,
        mut take: impl FnMut(Kept) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        for part in self.0.service.parts(person) {
            let records = {
                let _one_at_a_time = self.lock(part);
                self.settle_if_it_can_be(part)?;
                self.0.shelves.shelf(part)?.records
            };
            for record in records {
                if let Some(kept) = self.kept_of(part, record)? {
                    take(kept)?;
                }
            }
        }
        Ok(())
    }

    /// One record of a person, under whichever of their subject ids. Blocks.
    pub(super) fn find_of(
        &self,
        person: Address,
        record: B256,
    ) -> Result<Option<Kept>, VaultError> {
        for part in self.0.service.parts(person) {
            {
                let _one_at_a_time = self.lock(part);
                self.settle_if_it_can_be(part)?;
            }
            if let Some(kept) = self.kept_of(part, record)? {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn kept_of(&self, part: B256, record: B256) -> Result<Option<Kept>, VaultError> {
        let service = &self.0.service;
        let Some(row) = self.0.shelves.record(part, record)? else { return Ok(None) };
        let Some(head) = row.version(row.head).filter(|head| head.is_kept) else {
            return Ok(None);
        };
        let Some(bytes) = self.0.shelves.content(part, record, head.version)? else {
            return Ok(None);
        };
        let entry = match service.entry(head.index) {
            Ok(entry) => entry,
            Err(EntryError::Erased(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let organisation = service.organisation_of(entry.report.actor);
        let (word, source) = match (&entry.evidence, organisation) {
            (Evidence::Relayed, _) => (Word::Relayed, OWN.to_owned()),
            (_, Some(id)) => (Word::Signed(entry.report.actor), service.name_of(id)),
            (_, None) => (Word::Uploaded, OWN.to_owned()),
        };
        let index = entry.index;
        Ok(Some(Kept {
            record,
            version: head.version,
            bytes,
            told: super::bench::data_of(&head.about),
            about: head.about.clone(),
            source,
            word,
            time_ms: entry.report.timeMs,
            proof: Proof { index, commitment: commitment(&entry.report, &entry.place) },
        }))
    }
}
