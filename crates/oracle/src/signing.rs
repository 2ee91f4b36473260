//! Checkpoints are signed on two threads: the operator's signature, which is checked again, costs a
//! fifth of a lone report's commit. Meanwhile the writer lets the disk take its rows, and signs the
//! note.

use medtrail_ledger::checkpoint::Checkpoint;
use medtrail_ledger::ports::{Notary, NotaryError, Vouched};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// How long a thread looks for what is about to come before it sleeps. A local key needs half of it,
/// and to be woken costs as much as to sign.
const WATCHFUL: Duration = Duration::from_micros(200);

/// Where the writer has its checkpoints signed. Dropped, it ends its thread.
pub(crate) struct Signing {
    notary: Arc<dyn Notary>,
    asked: SyncSender<Ask>,
    vouched: Receiver<Result<Vouched, NotaryError>>,
}

enum Ask {
    /// A checkpoint follows at once.
    Soon,
    Vouch(Checkpoint, u64),
}

/// A signature on its way: taken, or dropped, before the next is asked for.
#[must_use = "a signature nobody takes would be taken for the next one"]
pub(crate) struct Signature<'a> {
    notary: &'a dyn Notary,
    checkpoint: Checkpoint,
    vouched: Option<&'a Receiver<Result<Vouched, NotaryError>>>,
}

impl Signing {
    pub(crate) fn start(notary: Arc<dyn Notary>) -> std::io::Result<Self> {
        let (asked, asks) = sync_channel(2);
        let (answers, vouched) = sync_channel(1);
        let far = notary.clone();
        std::thread::Builder::new().name("notary".into()).spawn(move || {
            while let Ok(ask) = asks.recv() {
                let vouch = match ask {
                    Ask::Soon => soon(&asks),
                    vouch => Ok(vouch),
                };
                let Ok(Ask::Vouch(checkpoint, time_ms)) = vouch else { continue };
                if answers.send(far.vouch(&checkpoint, time_ms)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { notary, asked, vouched })
    }

    /// Wakes the thread: a group that has begun will have a checkpoint.
    pub(crate) fn get_ready(&self) {
        let _ = self.asked.try_send(Ask::Soon);
    }

    /// # Panics
    /// Where the notary has panicked: the writer ends with it.
    pub(crate) fn begin(&mut self, checkpoint: Checkpoint, time_ms: u64) -> Signature<'_> {
        self.asked.send(Ask::Vouch(checkpoint.clone(), time_ms)).expect(PANICKED);
        Signature { notary: &*self.notary, checkpoint, vouched: Some(&self.vouched) }
    }
}

impl Signature<'_> {
    /// The signed note, as bytes.
    ///
    /// # Panics
    /// As [`Signing::begin`].
    pub(crate) fn wait(mut self) -> Result<Vec<u8>, NotaryError> {
        let vouched = self.vouched.take().expect("it is taken once");
        let note = self.notary.note(&self.checkpoint);
        let vouched = soon(vouched).expect(PANICKED)?;
        Ok(self.notary.assemble(self.checkpoint.clone(), note, vouched).to_bytes())
    }
}

fn soon<T>(awaited: &Receiver<T>) -> Result<T, RecvError> {
    let watching = Instant::now();
    while watching.elapsed() < WATCHFUL {
        match awaited.try_recv() {
            Err(TryRecvError::Empty) => std::thread::yield_now(),
            outcome => return outcome.map_err(|_| RecvError),
        }
    }
    awaited.recv()
}

impl Drop for Signature<'_> {
    fn drop(&mut self) {
        if let Some(vouched) = self.vouched.take() {
            let _ = vouched.recv();
        }
    }
}

const PANICKED: &str = "the notary panicked";
