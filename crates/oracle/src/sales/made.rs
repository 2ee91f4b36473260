//! What is made for a delivery: its key, its file, its entry. Each durable before the next, and the
//! same whenever it is done again.

use super::offers::{dataset_in, told};
use super::{Sales, SalesError};
use crate::opener::EntryError;
use alloy_primitives::B256;
use aws_lc_rs::hmac;
use medtrail_ledger::directory::{OfferRow, SaleRow, SaleState, SealedFile};
use medtrail_ledger::entry::{event_id, subject_of};
use medtrail_ledger::ports::{JournalError, KeyTag, SecretKey};
use medtrail_market::archive;
use medtrail_market::assemble::{AssembleError, Sale, assemble};
use medtrail_market::delivery::{Entered, Refusal};
use medtrail_market::entry::{Delivered, DeliveryDetails, report};
use medtrail_market::seal::{LockKey, SealError, Sealed, seal};
use medtrail_market::secret::SaleSecret;
use medtrail_market::year_at;
use medtrail_permit::sale::Order;
use std::io::Write;

/// What a sale's own key is made into. Each is 32 bytes that tell nothing of the others.
#[derive(Clone, Copy)]
enum Purpose {
    /// The outer seal's key, which the contract shows.
    Lock,
    /// What hides origins and moves dates.
    Secret,
    /// The random bytes in the entry's details.
    Details,
}

fn derived(key: &SecretKey, purpose: Purpose) -> [u8; 32] {
    let label: &[u8] = match purpose {
        Purpose::Lock => b"medtrail/sale/lock",
        Purpose::Secret => b"medtrail/sale/secret",
        Purpose::Details => b"medtrail/sale/details",
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), label);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

impl Sales {
    /// The log's entry for this order.
    pub(super) fn entered(&self, row: &SaleRow) -> Result<Option<Entered>, SalesError> {
        let service = &self.0.service;
        let subject = subject_of(row.seller);
        // Whichever of its keys the operator had when it was entered.
        let mut found = None;
        for key in service.trust().operator.keys.iter().rev() {
            found = service.find_own(subject, event_id(key.address, row.id.as_slice()))?;
            if found.is_some() {
                break;
            }
        }
        let Some(index) = found else { return Ok(None) };
        match service.entry(index) {
            Ok(entry) => Ok(Some(Entered { index, file: entry.report.toVersion })),
            // What was erased is known by its place.
            Err(EntryError::Erased(_)) => {
                let file = row.state.file().map(|(file, _)| file.hash).unwrap_or_default();
                Ok(Some(Entered { index, file }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The lock's key, which the contract is shown.
    pub(super) fn lock_key(&self, order: B256) -> Result<B256, SalesError> {
        Ok(derived(&self.key(order)?, Purpose::Lock).into())
    }

    fn key(&self, order: B256) -> Result<SecretKey, SalesError> {
        let key = self.0.service.0.keys.open(KeyTag::Sale(order))?;
        Ok(key.ok_or_else(|| JournalError::Damaged(format!("the key of sale {order} is gone")))?)
    }

    /// Draws all that is random of a sale; durable before anything is made with it.
    pub(super) fn draw(&self, row: &SaleRow) -> Result<(), SalesError> {
        let (keys, year) = (&self.0.service.0.keys, year_at(self.now_ms() / 1000));
        // While nobody erases: what was erased meanwhile must leave no key behind.
        self.change(row.id, |row| {
            keys.create(&[KeyTag::Sale(row.id)])?;
            row.state = SaleState::Keyed { year };
            Ok(())
        })?;
        Ok(())
    }

    /// Assembles and seals; the file is durable before its hash is.
    pub(super) fn make(
        &self,
        row: &SaleRow,
        offer: &OfferRow,
        order: &Order,
    ) -> Result<(), SalesError> {
        let (SaleState::Keyed { year } | SaleState::Sealed { year, .. }) = row.state else {
            return Ok(());
        };
        let (dataset, key) = (dataset_in(offer)?, self.key(row.id)?);
        let kept = self.0.vault.all_of(self.person_of(row.seller))?;
        let records: Vec<_> = kept.iter().map(|one| one.record()).collect();
        let secret = SaleSecret::new(derived(&key, Purpose::Secret));
        let sale = Sale { order: row.id, dataset: &dataset, secret: &secret, year };
        let made = match assemble(&sale, &records) {
            Ok(made) => made,
            Err(AssembleError::Nothing { .. } | AssembleError::TooMuch) => {
                return self.refuse(row.id, Refusal::Nothing);
            }
            Err(error) => return Err(JournalError::Damaged(error.to_string()).into()),
        };
        drop(records);
        drop(kept);
        let lock = LockKey::new(derived(&key, Purpose::Lock));
        let mut sealed: Option<Result<Sealed, SealError>> = None;
        self.0.parcels.put(row.id, &mut |to: &mut dyn Write| {
            let done = seal(order.recipient, &lock, to, |plain| archive::write(&made, plain));
            let outcome = match &done {
                Ok(_) => Ok(()),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            };
            sealed = Some(done);
            outcome
        })?;
        let Some(Ok(Sealed { hash, bytes })) = sealed else {
            return Err(JournalError::Storage("nothing was sealed".to_owned()).into());
        };
        let manifest = made.manifest.hash();
        let file = SealedFile { hash, bytes, manifest, time_ms: self.now_ms() };
        let left_out = told(&made.left_out);
        self.change(row.id, |row| {
            row.state = SaleState::Sealed { year, file };
            row.left_out = left_out;
            Ok(())
        })?;
        Ok(())
    }

    /// Enters the delivery. A crash after it finds the entry by its event.
    pub(super) fn enter(&self, row: &SaleRow) -> Result<(), SalesError> {
        let SaleState::Sealed { file, .. } = row.state else { return Ok(()) };
        let (service, key) = (&self.0.service, self.key(row.id)?);
        let random = derived(&key, Purpose::Details);
        let details = DeliveryDetails::new(random.into(), file.manifest);
        let report = report(&Delivered {
            log: service.trust().log,
            order: row.id,
            seller: row.seller,
            actor: service.operator(),
            time_ms: file.time_ms,
            lock: LockKey::new(derived(&key, Purpose::Lock)).lock(),
            sealed: Sealed { hash: file.hash, bytes: file.bytes },
            details: &details,
        });
        let index = service.enter_own(report, details.bytes())?;
        self.to(row.id, |_| Some(SaleState::Entered { file, index }))
    }
}
