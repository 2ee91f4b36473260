//! Checkpoints are signed on a thread of their own: two signatures, one of them checked again, cost
//! a fifth of a lone report's commit, and meanwhile the disk can take its rows.

use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::ports::{Notary, NotaryError};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Where the writer has its checkpoints signed. Dropped, it ends its thread.
pub(crate) struct Signing {
    asked: SyncSender<(Checkpoint, u64)>,
    signed: Receiver<Result<Vec<u8>, NotaryError>>,
}

/// A signature on its way: taken, or dropped, before the next is asked for.
#[must_use = "a signature nobody takes would be taken for the next one"]
pub(crate) struct Signature<'a>(Option<&'a Receiver<Result<Vec<u8>, NotaryError>>>);

impl Signing {
    pub(crate) fn start(notary: Arc<dyn Notary>) -> std::io::Result<Self> {
        let (asked, asks) = sync_channel::<(Checkpoint, u64)>(1);
        let (answers, signed) = sync_channel(1);
        std::thread::Builder::new().name("notary".into()).spawn(move || {
            for (checkpoint, time_ms) in asks {
                let note = notary.sign(&checkpoint, time_ms).map(|signed| signed.to_bytes());
                if answers.send(note).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { asked, signed })
    }

    /// # Panics
    /// Where the notary has panicked: the writer ends with it.
    pub(crate) fn begin(&mut self, checkpoint: Checkpoint, time_ms: u64) -> Signature<'_> {
        self.asked.send((checkpoint, time_ms)).expect(PANICKED);
        Signature(Some(&self.signed))
    }
}

impl Signature<'_> {
    /// The signed note, as bytes.
    ///
    /// # Panics
    /// As [`Signing::begin`].
    pub(crate) fn wait(mut self) -> Result<Vec<u8>, NotaryError> {
        let signed = self.0.take().expect("it is taken once");
        signed.recv().expect(PANICKED)
    }
}

impl Drop for Signature<'_> {
    fn drop(&mut self) {
        if let Some(signed) = self.0.take() {
            let _ = signed.recv();
        }
    }
}

const PANICKED: &str = "the notary panicked";
