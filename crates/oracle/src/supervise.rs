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
use std::time::Duration;
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
    filer: JoinHandle<()>,
    /// Changes when the writer has ended, for whatever reason.
    ended: watch::Receiver<bool>,
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
        let outcome = sequencer.run(asked);
        ended_in.send_replace(true);
        outcome
    });
    let filer = std::thread::Builder::new().name("filer".into());
    let filer = filer.spawn({
        let (journal, heads, ended) = (journal.clone(), heads.clone(), ended.clone());
        move || file(&*journal, &heads, &ended)
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
        let outcome = self.writer.join();
        let _ = self.filer.join();
        let panicked = || SequencerError::Contradiction("the writer panicked".into());
        outcome.unwrap_or_else(|_| Err(panicked()))
    }
}

/// How long new entries may gather before they are filed: filing few costs as much as many.
const FILING_PAUSE: Duration = Duration::from_millis(250);

/// Files behind the writer until it has ended.
fn file(journal: &dyn Journal, heads: &watch::Receiver<Arc<Head>>, ended: &watch::Receiver<bool>) {
    while !*ended.borrow() {
        let size = heads.borrow().size;
        match journal.filed() {
            Ok(filed) if filed < size => {
                if let Err(error) = journal.file_up_to(size) {
                    tracing::error!("filing waits: {error}");
                    std::thread::sleep(FILING_PAUSE);
                }
                // Far behind: no pause.
                if size - filed >= 16_384 {
                    continue;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::error!("filing waits: {error}"),
        }
        std::thread::sleep(FILING_PAUSE);
    }
}
