//! The threads of a running log, and how they end.

use crate::anchorer::Status;
use crate::opener::Opener;
use crate::sequencer::{self, Ask, Head, Sequencer, SequencerError};
use crate::service::{Inner, QUEUE_REPORTS_MAX, Service};
use medtrail_ledger::entry::Keyed;
use medtrail_ledger::ports::{Journal, JournalError, KeyFile, KeyTag, Notary, Outbox};
use medtrail_ledger::trust::TrustFile;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What a log runs on.
pub struct Setup {
    /// The log on disk.
    pub journal: Arc<dyn Journal>,
    /// The sender's memory, for anchors and their checkpoints.
    pub outbox: Arc<dyn Outbox>,
    /// Subject keys.
    pub keys: Arc<dyn KeyFile>,
    /// Signs checkpoints.
    pub notary: Arc<dyn Notary>,
    /// Whose log it is and who reports to it.
    pub trust: TrustFile,
    /// How anchoring is doing.
    pub status: watch::Receiver<Status>,
    /// Milliseconds since 1970.
    pub now_ms: fn() -> u64,
}

/// The threads behind a [`Service`].
pub struct Running {
    queue: mpsc::Sender<Ask>,
    writer: JoinHandle<Result<(), SequencerError>>,
    filer: JoinHandle<Result<(), JournalError>>,
    /// Changes when the writer has ended, for whatever reason.
    ended: watch::Receiver<bool>,
}

/// Says that its thread has ended, also if by a panic: the process must not outlive its writer.
struct Ended(watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Ends the writer with its own thread, also if by a panic: unfiled entries would pile up.
struct StopsWriter(mpsc::Sender<Ask>);

impl Drop for StopsWriter {
    fn drop(&mut self) {
        let _ = self.0.blocking_send(Ask::Stop);
    }
}

/// Opens the log, starts its writer and its filer.
pub fn start(setup: Setup) -> Result<(Service, Running), SequencerError> {
    let Setup { journal, outbox, keys, notary, trust, status, now_ms } = setup;
    let log_key = keys.create(&[KeyTag::Log])?.pop();
    let log_key = log_key.ok_or_else(|| JournalError::Damaged("no log key".into()))?;
    let tags = Keyed::derived(&log_key, "medtrail tags v1");
    let opener = Opener::with_log_key(trust.log, &log_key, keys.clone());
    let (heads_in, heads) = watch::channel(Arc::new(Head::default()));
    let (queue, asked) = mpsc::channel(QUEUE_REPORTS_MAX);
    let ports = sequencer::Ports { journal: journal.clone(), keys: keys.clone(), notary, now_ms };
    let sequencer = Sequencer::open(ports, trust.log, trust.origin.clone(), &log_key, heads_in)?;
    let (ended_in, ended) = watch::channel(false);
    let writer = std::thread::Builder::new().name("sequencer".into());
    let writer = writer.spawn(move || {
        let _ended = Ended(ended_in);
        sequencer.run(asked)
    });
    let filer = std::thread::Builder::new().name("filer".into());
    let filer = filer.spawn({
        let (journal, heads, ended) = (journal.clone(), heads.clone(), ended.clone());
        let stops_writer = StopsWriter(queue.clone());
        move || {
            let _stops_writer = stops_writer;
            file(&*journal, &heads, &ended)
        }
    });
    let no_thread = |error: std::io::Error| JournalError::Storage(error.to_string());
    let (writer, filer) = (writer.map_err(no_thread)?, filer.map_err(no_thread)?);
    let inner =
        Inner { journal, outbox, trust, tags, opener, queue: queue.clone(), heads, status, now_ms };
    Ok((Service::new(inner), Running { queue, writer, filer, ended }))
}

impl Running {
    /// Resolves when the writer has ended by itself: the process must end too.
    pub async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Lets the writer take what already waits, and waits for both threads. Blocks.
    pub fn stop(self) -> Result<(), SequencerError> {
        let _ = self.queue.blocking_send(Ask::Stop);
        let (writer, filer) = (self.writer.join(), self.filer.join());
        let panicked = |who| SequencerError::Contradiction(format!("the {who} panicked"));
        writer.unwrap_or_else(|_| Err(panicked("writer")))?;
        Ok(filer.map_err(|_| panicked("filer"))??)
    }
}

/// How often the filer looks what is to do.
const FILING_PAUSE: Duration = Duration::from_millis(250);
/// Entries that wait for a quiet moment at most. Indexes cost the disk more than the entries
/// themselves, and filing many at once costs less an entry: in a burst the disk is the writer's.
const HELD_ENTRIES_MAX: u64 = 131_072;
/// How long entries wait for a quiet moment at most.
const HELD_MAX: Duration = Duration::from_secs(5);

/// Files behind the writer until it has ended. Fails only where the process must end.
fn file(
    journal: &dyn Journal,
    heads: &watch::Receiver<Arc<Head>>,
    ended: &watch::Receiver<bool>,
) -> Result<(), JournalError> {
    let (mut seen, mut held_since) = (0, None);
    while !*ended.borrow() {
        std::thread::sleep(FILING_PAUSE);
        let size = heads.borrow().size;
        let is_quiet = size == std::mem::replace(&mut seen, size);
        let unfiled = match journal.filed() {
            Ok(filed) => size.saturating_sub(filed),
            Err(error) => {
                tracing::error!("filing waits: {error}");
                continue;
            }
        };
        if unfiled == 0 {
            held_since = None;
            continue;
        }
        let held = held_since.get_or_insert_with(Instant::now).elapsed();
        if !is_quiet && unfiled < HELD_ENTRIES_MAX && held < HELD_MAX {
            continue;
        }
        held_since = None;
        match journal.file_up_to(size) {
            Ok(_) => {}
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => tracing::error!("filing waits: {error}"),
        }
    }
    Ok(())
}
