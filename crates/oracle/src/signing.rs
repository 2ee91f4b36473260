//! Checkpoints are signed on two threads: the operator's signature stands in the way of every lone
//! report. Meanwhile the writer lets the disk take its rows, and signs the note; while the disk
//! makes all of it durable, the other thread checks what it has signed.

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
}

enum Ask {
    /// A checkpoint follows at once.
    Soon,
    Sign(Checkpoint, u64, Answers),
}

struct Answers {
    vouched: SyncSender<Result<Vouched, NotaryError>>,
    checked: SyncSender<Result<(), NotaryError>>,
}

/// A signature on its way.
pub(crate) struct Signature<'a> {
    notary: &'a dyn Notary,
    checkpoint: Checkpoint,
    vouched: Receiver<Result<Vouched, NotaryError>>,
    check: Check,
}

/// The check of a signature, on its way.
#[must_use = "nobody may be shown a checkpoint that was not checked"]
pub(crate) struct Check(Receiver<Result<(), NotaryError>>);

impl Signing {
    pub(crate) fn start(notary: Arc<dyn Notary>) -> std::io::Result<Self> {
        let (asked, asks) = sync_channel(2);
        let far = notary.clone();
        std::thread::Builder::new().name("notary".into()).spawn(move || {
            while let Ok(ask) = asks.recv() {
                let ask = match ask {
                    Ask::Soon => soon(&asks),
                    ask => Ok(ask),
                };
                if let Ok(Ask::Sign(checkpoint, time_ms, answers)) = ask {
                    sign(&*far, &checkpoint, time_ms, &answers);
                }
            }
        })?;
        Ok(Self { notary, asked })
    }

    /// Wakes the thread: a group that has begun will have a checkpoint.
    pub(crate) fn get_ready(&self) {
        let _ = self.asked.try_send(Ask::Soon);
    }

    /// # Panics
    /// Where the notary has panicked: the writer ends with it.
    pub(crate) fn begin(&self, checkpoint: Checkpoint, time_ms: u64) -> Signature<'_> {
        let (vouches, vouched) = sync_channel(1);
        let (checks, checked) = sync_channel(1);
        let answers = Answers { vouched: vouches, checked: checks };
        self.asked.send(Ask::Sign(checkpoint.clone(), time_ms, answers)).expect(PANICKED);
        Signature { notary: &*self.notary, checkpoint, vouched, check: Check(checked) }
    }
}

/// Whoever asked and went away has answers that nobody takes.
fn sign(notary: &dyn Notary, checkpoint: &Checkpoint, time_ms: u64, answers: &Answers) {
    let vouched = notary.vouch(checkpoint, time_ms);
    let signature = vouched.as_ref().ok().copied();
    let _ = answers.vouched.send(vouched);
    if let Some(signature) = signature {
        let _ = answers.checked.send(notary.check(checkpoint, &signature));
    }
}

impl Signature<'_> {
    /// The signed note, as bytes, and the check that must be waited for before anybody sees them.
    ///
    /// # Panics
    /// As [`Signing::begin`].
    pub(crate) fn wait(self) -> Result<(Vec<u8>, Check), NotaryError> {
        let note = self.notary.note(&self.checkpoint);
        let vouched = soon(&self.vouched).expect(PANICKED)?;
        let signed = self.notary.assemble(self.checkpoint, note, vouched);
        Ok((signed.to_bytes(), self.check))
    }
}

impl Check {
    /// # Panics
    /// As [`Signing::begin`].
    pub(crate) fn wait(self) -> Result<(), NotaryError> {
        self.0.recv().expect(PANICKED)
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

const PANICKED: &str = "the notary panicked";
