//! An outbox whose saving fails, in pairs: it did not happen, or it happened and we were told it
//! failed. And one that forgets, to see that forgetting is noticed.

use medtrail_ledger::plan::{Plan, PlanChange};
use medtrail_ledger::ports::{JournalError, Outbox};
use medtrail_store::Store;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SaveFault {
    /// The next saving fails and nothing is saved.
    NotSaved,
    /// The next saving fails, but all is saved.
    SavedAllTheSame,
    /// Every saving keeps only the newest attempt of each intent. A mutant of the sender's rule.
    ForgetsOldAttempts,
}

#[derive(Default)]
pub(super) struct SpoiledOutbox {
    inner: Mutex<Option<Arc<Store>>>,
    fault: Mutex<Option<SaveFault>>,
}

impl SpoiledOutbox {
    pub(super) fn set_inner(&self, store: Option<Arc<Store>>) {
        *self.inner.lock().unwrap() = store;
    }

    pub(super) fn spoil(&self, fault: SaveFault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub(super) fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }

    fn inner(&self) -> Arc<Store> {
        self.inner.lock().unwrap().clone().expect("the store is open")
    }
}

impl Outbox for SpoiledOutbox {
    fn load(&self) -> Result<Plan, JournalError> {
        self.inner().load()
    }

    fn save(&self, changes: &[PlanChange]) -> Result<(), JournalError> {
        let failed = || Err(JournalError::Storage("spoiled".to_owned()));
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            None => self.inner().save(changes),
            Some(SaveFault::NotSaved) => {
                *fault = None;
                failed()
            }
            Some(SaveFault::SavedAllTheSame) => {
                *fault = None;
                self.inner().save(changes)?;
                failed()
            }
            Some(SaveFault::ForgetsOldAttempts) => {
                let mut changes = changes.to_vec();
                for change in &mut changes {
                    if let PlanChange::PutIntent(intent) = change {
                        intent.attempts.drain(..intent.attempts.len() - 1);
                    }
                }
                self.inner().save(&changes)
            }
        }
    }

    fn kept_checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner().kept_checkpoint(size)
    }
}
