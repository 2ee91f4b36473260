//! What is made for a delivery to a call: its key, its file, its entries. Each durable before the
//! next, and the same whenever it is done again.

use super::listing::{cohort_in, dataset_in};
use super::{Calls, CallsError};
use crate::opener::EntryError;
use alloy_primitives::{B256, keccak256};
use aws_lc_rs::hmac;
use medtrail_ledger::directory::{
    AcceptanceRow, CallDelivery, CallRow, DeliveredRow, DirectoryChange, FileKey, SealedFile,
};
use medtrail_ledger::entry::{commitment, event_id, subject_of};
use medtrail_ledger::ports::{JournalError, KeyTag, SecretKey};
use medtrail_market::assemble::AssembleError;
use medtrail_market::cohort::assemble::{Call, Gather, GatherError, Plan};
use medtrail_market::cohort::delivery::Refusal;
use medtrail_market::cohort::entry::report;
use medtrail_market::cohort::manifest::Consent;
use medtrail_market::entry::{Delivered, DeliveryDetails};
use medtrail_market::record::Proof;
use medtrail_market::seal::{LockKey, SealError, Sealed, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_market::year_at;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Cohort;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Entries that wait for the disk together.
const ENTRIES_AT_ONCE: usize = 64;

/// What a file's own key is made into. Each is 32 bytes that tell nothing of the others.
#[derive(Clone, Copy)]
enum Purpose {
    /// The outer seal's key, which the contract shows.
    Lock,
    /// What hides consents and origins, and moves dates.
    Secret,
    /// The random bytes in the details of one seller's entry.
    Details(B256),
}

fn derived(key: &SecretKey, purpose: Purpose) -> [u8; 32] {
    let label = match purpose {
        Purpose::Lock => b"medtrail/call/lock".to_vec(),
        Purpose::Secret => b"medtrail/call/secret".to_vec(),
        Purpose::Details(of) => [b"medtrail/call/details".as_slice(), of.as_slice()].concat(),
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), &label);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

/// What key and file of one attempt are kept by: nothing of one is ever taken for another's.
fn name_of(call: B256, attempt: u32) -> B256 {
    keccak256([b"medtrail/call-file\0", call.as_slice(), &attempt.to_be_bytes()].concat())
}

/// A file that can be written, and who is in it, by place.
type Gathered = (Plan, BTreeMap<u32, Inside>);

/// One who is in the file.
struct Inside {
    row: AcceptanceRow,
    consent: Consent,
}

impl Calls {
    pub(super) fn is_kept(&self, row: &CallRow) -> Result<bool, CallsError> {
        let Some((key, file, _)) = row.delivery.file() else { return Ok(false) };
        Ok(self.0.parcels.bytes(name_of(row.id, key.attempt))? == Some(file.bytes))
    }

    /// Bytes of the file of an attempt.
    pub(super) fn bytes_of(
        &self,
        call: B256,
        attempt: u32,
        offset: u64,
        most: usize,
    ) -> Result<Vec<u8>, CallsError> {
        Ok(self.0.parcels.read(name_of(call, attempt), offset, most)?)
    }

    /// Destroys file and key of an attempt, in this order.
    pub(super) fn discard(&self, call: B256, attempt: u32) -> Result<(), CallsError> {
        let name = name_of(call, attempt);
        self.0.parcels.remove(name)?;
        Ok(self.service().0.keys.destroy(KeyTag::Sale(name))?)
    }

    fn key(&self, call: B256, key: &FileKey) -> Result<SecretKey, CallsError> {
        let found = self.service().0.keys.open(KeyTag::Sale(name_of(call, key.attempt)))?;
        let gone = || JournalError::Damaged(format!("the key of call {call} is gone"));
        Ok(found.ok_or_else(gone)?)
    }

    /// The lock's key, which the contract is shown.
    pub(super) fn lock_key(&self, call: B256, key: &FileKey) -> Result<B256, CallsError> {
        Ok(derived(&self.key(call, key)?, Purpose::Lock).into())
    }

    /// Destroys the key and file before, and draws all that is random of the next; durable before
    /// anything is made with it.
    pub(super) fn draw(
        &self,
        row: &CallRow,
        sellers: Vec<B256>,
        looked: &BTreeSet<B256>,
    ) -> Result<bool, CallsError> {
        let (keys, year) = (&self.service().0.keys, year_at(self.now_ms() / 1000));
        let before = row.delivery.attempt();
        self.to_if(row, |acceptances| {
            let is_first = row.delivery == CallDelivery::Collecting;
            if is_first && !Self::are_all(acceptances, looked) {
                return Ok(None);
            }
            if before > 0 {
                self.discard(row.id, before)?;
            }
            let attempt = before.saturating_add(1);
            let drawn = keys.create(&[KeyTag::Sale(name_of(row.id, attempt))])?;
            let Some(drawn) = drawn.first() else { return Ok(None) };
            let lock = LockKey::new(derived(drawn, Purpose::Lock)).lock();
            Ok(Some(CallDelivery::Keyed { key: FileKey { attempt, year, lock }, sellers }))
        })
    }

    /// Assembles and seals; the file is durable before its hash is.
    pub(super) fn make(
        &self,
        row: &CallRow,
        cohort: &Cohort,
        dataset: &Dataset,
        sellers: &[B256],
    ) -> Result<bool, CallsError> {
        let CallDelivery::Keyed { key, .. } = row.delivery else { return Ok(false) };
        let drawn = self.key(row.id, &key)?;
        let secret = SaleSecret::new(derived(&drawn, Purpose::Secret));
        let market = self.market();
        let call = Call { market: &market, cohort, dataset, secret: &secret, year: key.year };
        let Some((plan, inside)) = self.gather(call, sellers)? else {
            self.refuse(row, Refusal::Nobody)?;
            return Ok(true);
        };
        let ids: Vec<B256> = sellers
            .iter()
            .filter(|id| inside.values().any(|one| one.row.id == **id))
            .copied()
            .collect();
        let lock = LockKey::new(derived(&drawn, Purpose::Lock));
        let mut sealed: Option<Result<Sealed, SealError>> = None;
        self.0.parcels.put(name_of(row.id, key.attempt), &mut |to: &mut dyn Write| {
            let mut files = |place: u32| self.files(call, inside.get(&place));
            let done = seal(cohort.recipient, &lock, to, |plain| plan.write(&mut files, plain));
            let outcome = match &done {
                Ok(_) => Ok(()),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            sealed = Some(done);
            outcome
        })?;
        let Some(Ok(Sealed { hash, bytes })) = sealed else {
            return Err(JournalError::Storage("nothing was sealed".to_owned()).into());
        };
        let manifest = plan.manifest().hash();
        let file = SealedFile { hash, bytes, manifest, time_ms: self.now_ms() };
        self.to(row, CallDelivery::Sealed { key, file, sellers: ids })
    }

    /// Who is in the file, by place; none: nobody. Who has nothing of it or does not fit is left out.
    fn gather(&self, call: Call<'_>, sellers: &[B256]) -> Result<Option<Gathered>, CallsError> {
        let damaged = |error: GatherError| JournalError::Damaged(error.to_string());
        let mut gather = Gather::new(call).map_err(damaged)?;
        let mut inside = BTreeMap::new();
        for id in sellers {
            let row = self.service().0.live.rows().board.acceptance(*id).cloned();
            let Some(row) = row else { continue };
            let Some(consent) = self.consent(&row)? else { continue };
            let kept = self.kept_of(&row)?;
            let records: Vec<_> = kept.iter().map(|one| one.record()).collect();
            match gather.add(&consent, &records) {
                Ok(_) => _ = inside.insert(row.place, Inside { row, consent }),
                // Damage to one is no reason to deliver nobody's.
                Err(GatherError::Records(
                    error @ (AssembleError::Altered(_) | AssembleError::Twice(_)),
                )) => tracing::error!(place = row.place, "left out of a file: {error}"),
                Err(error) => tracing::info!(place = row.place, "left out of a file: {error}"),
            }
        }
        if inside.is_empty() {
            return Ok(None);
        }
        Ok(Some((gather.finish().map_err(damaged)?, inside)))
    }

    fn kept_of(&self, row: &AcceptanceRow) -> Result<Vec<crate::vault::sold::Kept>, CallsError> {
        let person = self.0.sales.person_of(row.seller);
        Ok(self.0.sales.vault().all_of(person).map_err(crate::sales::SalesError::from)?)
    }

    /// None: the entry of the acceptance was erased.
    fn consent(&self, row: &AcceptanceRow) -> Result<Option<Consent>, CallsError> {
        let owed = || JournalError::Storage("an acceptance has no entry yet".to_owned());
        let index = row.accepted_entry.ok_or_else(owed)?;
        let entry = match self.service().entry(index) {
            Ok(entry) => entry,
            Err(EntryError::Erased(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(Consent {
            place: row.place,
            seller: row.seller,
            epoch: row.epoch,
            expires_at: row.expires_at_s,
            signature: row.signature.clone(),
            logged: Proof { index, commitment: commitment(&entry.report, &entry.place) },
        }))
    }

    fn files(&self, call: Call<'_>, of: Option<&Inside>) -> io::Result<Vec<(String, Vec<u8>)>> {
        let Some(Inside { row, consent }) = of else { return Err(io::Error::other("nobody's")) };
        let kept = self.kept_of(row).map_err(|error| io::Error::other(error.to_string()))?;
        let records: Vec<_> = kept.iter().map(|one| one.record()).collect();
        let files = call.files(consent, &records);
        files.map_err(|error| io::Error::other(error.to_string()))
    }

    /// Enters deliveries, some at once. A crash after it finds them by their events.
    pub(super) fn enter(&self, row: &CallRow, missing: &[B256]) -> Result<(), CallsError> {
        let CallDelivery::Sealed { key, file, .. } = row.delivery else { return Ok(()) };
        let (service, drawn) = (self.service(), self.key(row.id, &key)?);
        let log = service.trust().log;
        let secret = SaleSecret::new(derived(&drawn, Purpose::Secret));
        let (cohort, dataset, market) = (cohort_in(row)?, dataset_in(row)?, self.market());
        let (cohort, dataset, market) = (&cohort, &dataset, &market);
        let call = Call { market, cohort, dataset, secret: &secret, year: key.year };
        for some in missing.chunks(ENTRIES_AT_ONCE) {
            let (mut found, mut new, mut ids) = (Vec::new(), Vec::new(), Vec::new());
            for id in some {
                let one = service.0.live.rows().board.acceptance(*id).cloned();
                let Some(one) = one else { continue };
                // Who is being erased is gone by the next tick.
                let Some(consent) = self.consent(&one)? else { continue };
                let name = call.named(&consent);
                if let Some((file, index)) = self.entered(&one, &key, &file)? {
                    found.push((*id, DeliveredRow { lock: key.lock, file, index, name }));
                    continue;
                }
                let random = derived(&drawn, Purpose::Details(*id));
                let details = DeliveryDetails::new(random.into(), file.manifest);
                let report = report(&Delivered {
                    log,
                    order: *id,
                    seller: one.seller,
                    actor: service.operator(),
                    time_ms: file.time_ms,
                    lock: key.lock,
                    sealed: Sealed { hash: file.hash, bytes: file.bytes },
                    details: &details,
                });
                new.push((report, details.bytes()));
                ids.push((*id, name));
            }
            let indexes = service.enter_all(new)?;
            let (lock, file) = (key.lock, file.hash);
            let delivered = |((id, name), index)| (id, DeliveredRow { lock, file, index, name });
            found.extend(ids.into_iter().zip(indexes).map(delivered));
            self.note_entered(&found)?;
        }
        Ok(())
    }

    fn note_entered(&self, found: &[(B256, DeliveredRow)]) -> Result<(), CallsError> {
        let live = &self.service().0.live;
        let _act = live.begin()?;
        let changes: Vec<DirectoryChange> = {
            let rows = live.rows();
            let row = |(id, delivered): &(B256, DeliveredRow)| {
                let row = rows.board.acceptance(*id)?.clone();
                let row = AcceptanceRow { delivered: Some(*delivered), ..row };
                Some(DirectoryChange::PutAcceptance(row))
            };
            found.iter().filter_map(row).collect()
        };
        Ok(live.apply(changes)?)
    }

    /// The log's entry of a delivery under this key, whichever key the operator had then: the file
    /// that it names, and its place.
    fn entered(
        &self,
        row: &AcceptanceRow,
        key: &FileKey,
        file: &SealedFile,
    ) -> Result<Option<(B256, u64)>, CallsError> {
        let (service, lock) = (self.service(), key.lock);
        let event = [row.id.as_slice(), lock.as_slice()].concat();
        for operator in service.trust().operator.keys.iter().rev() {
            let event = event_id(operator.address, &event);
            let Some(index) = service.find_own(subject_of(row.seller), event)? else { continue };
            let file = match service.entry(index) {
                Ok(entry) => entry.report.toVersion,
                // What was erased is known by its place.
                Err(EntryError::Erased(_)) => file.hash,
                Err(error) => return Err(error.into()),
            };
            return Ok(Some((file, index)));
        }
        Ok(None)
    }
}
