//! What a person's trail holds of permissions: the documents, and which approvals were used. Read
//! once, then only what came since.

use crate::opener::{Entry, EntryError};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::commitment;
use medtrail_ledger::proof::Evidence;
use medtrail_permit::documents::Registries;
use medtrail_permit::papers::{self, Line, Recorded};
use medtrail_permit::permits::{Act, ChainState, Need, World};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of documents of one generation of subjects, about; the older one is dropped when the
/// younger is full.
const GENERATION_BYTES: usize = 16 << 20;
/// What a subject without documents counts for.
const SUBJECT_BYTES: usize = 256;
/// Places of a trail that are looked up at once.
const CHUNK: u64 = 128;

/// All of one subject id, as far as it was read.
#[derive(Clone, Default)]
pub(crate) struct Papers {
    /// Entries of the trail that were read.
    read: u64,
    /// What that takes of memory, about.
    bytes: usize,
    /// Changes that name a permission are kept by their place.
    kept: papers::Papers<u64>,
}

impl Papers {
    pub(crate) fn documents(&self) -> &[Recorded] {
        self.kept.documents()
    }

    /// What permissions are judged by, with this state of the chain.
    pub(crate) fn world(&self, registries: Registries, chain: ChainState) -> World {
        self.kept.world(registries, chain)
    }

    /// The same as the log knew it before an entry.
    pub(crate) fn world_before(
        &self,
        index: u64,
        registries: Registries,
        chain: ChainState,
    ) -> World {
        self.kept.world_before(index, registries, chain)
    }
}

/// The subjects of late.
#[derive(Default)]
pub(crate) struct Cabinet(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    /// How often something was forgotten. What was read before is not kept after it.
    forgotten: u64,
    young: HashMap<B256, Papers>,
    young_bytes: usize,
    old: HashMap<B256, Papers>,
}

impl Cabinet {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, subject: B256) -> Papers {
        let kept = self.lock();
        kept.young.get(&subject).or_else(|| kept.old.get(&subject)).cloned().unwrap_or_default()
    }

    fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    /// Forgets what was read of a subject: it was erased.
    pub(crate) fn forget(&self, subject: B256) {
        let mut kept = self.lock();
        kept.forgotten += 1;
        if let Some(papers) = kept.young.remove(&subject) {
            kept.young_bytes -= papers.bytes + SUBJECT_BYTES;
        }
        kept.old.remove(&subject);
    }

    fn put_unless_forgotten(&self, subject: B256, papers: Papers, forgotten_before: u64) {
        if self.forgotten() == forgotten_before {
            self.put(subject, papers);
        }
    }

    fn put(&self, subject: B256, papers: Papers) {
        let mut kept = self.lock();
        if kept.young_bytes >= GENERATION_BYTES {
            kept.old = std::mem::take(&mut kept.young);
            kept.young_bytes = 0;
        }
        // Whoever read less meanwhile must not undo what another read.
        if kept.young.get(&subject).is_some_and(|known| known.read > papers.read) {
            return;
        }
        kept.young_bytes += papers.bytes + SUBJECT_BYTES;
        if let Some(before) = kept.young.insert(subject, papers) {
            kept.young_bytes -= before.bytes + SUBJECT_BYTES;
        }
    }
}

impl Service {
    /// The registries whose documents count here.
    pub fn registries(&self) -> Registries {
        let trust = self.trust();
        Registries {
            chain_id: trust.chain_id,
            consent_registry: self.0.permissions.consents.registry(),
            anchor_registry: trust.registry,
        }
    }

    /// What the trail of one subject id holds of permissions: all that was acknowledged before the
    /// call. Blocks.
    pub(crate) fn papers(&self, subject: B256) -> Result<Papers, EntryError> {
        self.0.recent.reach(self.head().size)?;
        let part = self.part(subject)?;
        let last = part.last.map_or(0, |line| line.ordinal);
        let forgotten_before = self.0.papers.forgotten();
        let mut papers = self.0.papers.get(subject);
        if papers.read >= last {
            return Ok(papers);
        }
        let registries = self.registries();
        while papers.read < last {
            let places = part.places(papers.read + 1, CHUNK.min(last - papers.read))?;
            papers.read += places.len() as u64;
            for place in places {
                match self.open_row(place.index) {
                    Ok(entry) => papers.take(&entry, &registries),
                    Err(EntryError::Erased(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        papers.kept.settle(&registries, |index: &u64| match self.open_row(*index) {
            Ok(entry) => Ok(Some(self.act_of(&entry, Need::default()))),
            Err(EntryError::Erased(_)) => Ok(None),
            Err(error) => Err(error),
        })?;
        self.0.papers.put_unless_forgotten(subject, papers.clone(), forgotten_before);
        Ok(papers)
    }

    /// An entry as it is judged.
    pub(crate) fn act_of(&self, entry: &Entry, need: Need) -> Act {
        let is_signed = entry.evidence != Evidence::Relayed;
        let signer = is_signed.then_some(entry.report.actor);
        let mut party: Vec<Address> = self.0.live.reporter_of(entry).into_iter().collect();
        party.extend(signer.filter(|signer| !party.contains(signer)));
        Act {
            report: entry.report.clone(),
            commitment: commitment(&entry.report, &entry.place),
            index: entry.index,
            received_ms: entry.place.receivedMs,
            in_vault: false,
            signer,
            party,
            need,
        }
    }
}

impl Papers {
    fn take(&mut self, entry: &Entry, registries: &Registries) {
        let line = Line {
            index: entry.index,
            report: &entry.report,
            received_ms: entry.place.receivedMs,
            is_relayed: entry.evidence == Evidence::Relayed,
            details: entry.details.as_deref(),
        };
        self.kept.take(line, registries, || entry.index);
        self.bytes = self.kept.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_bytes_are_kept_and_whoever_read_further_is_not_set_back() {
        let cabinet = Cabinet::default();
        let papers = Papers { read: 1, bytes: GENERATION_BYTES / 4, ..Papers::default() };
        let subject = |number: u64| B256::left_padding_from(&number.to_be_bytes());
        for number in 0..20 {
            cabinet.put(subject(number), papers.clone());
            assert_eq!(cabinet.get(subject(number)).read, 1);
        }
        let kept = (0..20).filter(|number| cabinet.get(subject(*number)).read == 1).count();
        assert!((4..=8).contains(&kept), "{kept}");
        // The same subject again takes no more room.
        let cabinet = Cabinet::default();
        for read in 1..100 {
            cabinet.put(subject(1), Papers { read, ..papers.clone() });
            cabinet.put(subject(2), Papers { read: 1, ..papers.clone() });
        }
        assert_eq!(cabinet.get(subject(1)).read, 99);
        cabinet.put(subject(1), Papers { read: 7, ..papers });
        assert_eq!(cabinet.get(subject(1)).read, 99);
        assert!(cabinet.lock().old.is_empty());
    }
}
