//! The threads of a running log, and how they end.

use crate::anchorer::Status;
use crate::behind::{TOLD_MAX, Told};
use crate::bindings::Tries;
use crate::erasure::{self, Erasing};
use crate::feed::Anchors;
use crate::inquiries::clerk::{self, Clerk};
use crate::judge::{self, Judge};
use crate::live::Live;
use crate::notices::Notices;
use crate::notices::herald::Herald;
use crate::opener::{Opener, tags};
use crate::papers::Cabinet;
use crate::permissions::Permissions;
use crate::recent::Recent;
use crate::room::{QUEUE_REPORTS_MAX, Room};
use crate::sequencer::{self, Ask, Committed, Head, Sequencer, SequencerError};
use crate::service::{Inner, Service};
use crate::sources::Sources;
use crate::sources::prober::Prober;
use medtrail_ledger::directory::{Contents, Directory, DirectoryChange};
use medtrail_ledger::ports::{Journal, JournalError, KeyFile, KeyTag, Notary, Outbox};
use medtrail_ledger::trust::TrustFile;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
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
    /// What permissions need to be recorded and judged.
    pub permissions: Permissions,
    /// How long an organisation has for the answer to a question, in milliseconds.
    pub answer_within_ms: u64,
    /// How what people ask to be erased is erased.
    pub erasing: Erasing,
    /// How people are told that something happened.
    pub notices: Notices,
    /// How the places where records are kept are asked.
    pub sources: Sources,
    /// Milliseconds since 1970.
    pub now_ms: fn() -> u64,
}

/// The threads behind a [`Service`].
pub struct Running {
    queue: mpsc::Sender<Ask>,
    writer: JoinHandle<Result<(), SequencerError>>,
    filer: JoinHandle<Result<(), JournalError>>,
    follower: JoinHandle<()>,
    judge: JoinHandle<()>,
    clerk: JoinHandle<()>,
    eraser: JoinHandle<()>,
    herald: JoinHandle<()>,
    prober: JoinHandle<()>,
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

/// A log whose organisations all stand in its trust file: whatever is added, and every binding, is
/// forgotten with the process. For tools and tests; see [`start_with`].
pub fn start(setup: Setup) -> Result<(Service, Running), SequencerError> {
    start_with(setup, Arc::new(Forgetful))
}

/// Opens the log with its directory, starts its writer, filer, follower, judge, clerk, herald, prober
/// and eraser.
pub fn start_with(
    setup: Setup,
    directory: Arc<dyn Directory>,
) -> Result<(Service, Running), SequencerError> {
    let Setup { journal, outbox, keys, notary, trust, status, permissions, erasing, .. } = setup;
    let Setup { answer_within_ms, notices, sources, now_ms, .. } = setup;
    let log_key = keys.create(&[KeyTag::Log])?.pop();
    let log_key = log_key.ok_or_else(|| JournalError::Damaged("no log key".into()))?;
    let tags = tags(&log_key);
    let opener = Opener::with_log_key(trust.log, &log_key, keys.clone());
    let (heads_in, heads) = watch::channel(Arc::new(Head::default()));
    let (queue, asked) = mpsc::channel(QUEUE_REPORTS_MAX);
    let (follower, committed) = mpsc::channel(COMMITS_FOLLOWED_MAX);
    let (ports_journal, ports_keys) = (journal.clone(), keys.clone());
    let ports =
        sequencer::Ports { journal: ports_journal, keys: ports_keys, notary, now_ms, follower };
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
    let service = Service::new(Inner {
        recent: Arc::new(Recent::new(journal.clone())?),
        live: Live::open(trust, directory)?,
        anchors: Anchors::default(),
        tries: Tries::default(),
        room: Room::default(),
        permissions,
        papers: Cabinet::default(),
        judging: Mutex::default(),
        clerking: Mutex::default(),
        answer_within_ms,
        erasing,
        notices,
        heralding: Mutex::default(),
        eraser_problem: Mutex::default(),
        sources,
        probing: Mutex::default(),
        queue: queue.clone(),
        journal,
        outbox,
        keys,
        tags,
        opener,
        heads,
        status,
        now_ms,
    });
    let (telling, told) = sync_channel(TOLD_MAX);
    let judge = Judge::new(service.clone(), told, ended.clone())?;
    let judging = std::thread::Builder::new().name("judge".into());
    let judge = judging.spawn(move || judge.run()).map_err(no_thread)?;
    let (telling_clerk, told) = sync_channel(TOLD_MAX);
    let clerk = Clerk::new(service.clone(), told, ended.clone())?;
    let clerking = std::thread::Builder::new().name("clerk".into());
    let clerk = clerking.spawn(move || clerk.run()).map_err(no_thread)?;
    let eraser = std::thread::Builder::new().name("eraser".into());
    let eraser = eraser.spawn({
        let (service, ended) = (service.clone(), ended.clone());
        move || erasure::run(&service, &ended)
    });
    let eraser = eraser.map_err(no_thread)?;
    let herald = Herald::new(service.clone(), ended.clone())?;
    let heralding = std::thread::Builder::new().name("herald".into());
    let herald = heralding.spawn(move || herald.run()).map_err(no_thread)?;
    let prober = Prober::new(service.clone(), ended.clone());
    let probing = std::thread::Builder::new().name("prober".into());
    let prober = probing.spawn(move || prober.run()).map_err(no_thread)?;
    let follower = std::thread::Builder::new().name("follower".into());
    let follower = follower.spawn({
        let service = service.clone();
        move || follow(&service, committed, &Telling { judge: telling, clerk: telling_clerk })
    });
    let follower = follower.map_err(no_thread)?;
    let running =
        Running { queue, writer, filer, follower, judge, clerk, herald, prober, eraser, ended };
    Ok((service, running))
}

impl Running {
    /// Resolves when the writer has ended by itself: the process must end too.
    pub async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Lets the writer take what already waits, and waits for all threads. Blocks.
    pub fn stop(self) -> Result<(), SequencerError> {
        let _ = self.queue.blocking_send(Ask::Stop);
        let (writer, filer) = (self.writer.join(), self.filer.join());
        // Ends with the writer, whose last commits it still takes in.
        let (follower, judge) = (self.follower.join(), self.judge.join());
        let (clerk, herald) = (self.clerk.join(), self.herald.join());
        let (eraser, prober) = (self.eraser.join(), self.prober.join());
        let panicked = |who| SequencerError::Contradiction(format!("the {who} panicked"));
        writer.unwrap_or_else(|_| Err(panicked("writer")))?;
        filer.map_err(|_| panicked("filer"))??;
        follower.map_err(|_| panicked("follower"))?;
        judge.map_err(|_| panicked("judge"))?;
        clerk.map_err(|_| panicked("clerk"))?;
        herald.map_err(|_| panicked("herald"))?;
        prober.map_err(|_| panicked("prober"))?;
        eraser.map_err(|_| panicked("eraser"))
    }
}

/// How often it is saved when organisations were last heard, and what is owed is tried again.
const HEARD_PAUSE: Duration = Duration::from_secs(60);

/// Who is told which entries concern them.
struct Telling {
    judge: SyncSender<Told>,
    clerk: SyncSender<Told>,
}

/// Follows the writer for readers, judge and clerk until it has ended. First completes what a crash left
/// of bindings and of entries that acts owe.
fn follow(service: &Service, mut committed: mpsc::Receiver<Committed>, telling: &Telling) {
    service.resume();
    let mut heard = Instant::now();
    while let Some(commit) = committed.blocking_recv() {
        // Never waited for: who lags reads the rows.
        let _ = telling.judge.try_send(Told::of(&commit, judge::concerns));
        let _ = telling.clerk.try_send(Told::of(&commit, clerk::is_inquiry));
        let recent = &service.0.recent;
        let mut taken = recent.take(commit);
        if taken.is_ok() && committed.is_empty() {
            // What the writer could not tell, since the queue was full, nobody tells again.
            taken = recent.reach(service.head().size);
        }
        if let Err(error) = taken {
            tracing::error!("readers wait for the disk: {error}");
        }
        if heard.elapsed() >= HEARD_PAUSE {
            heard = Instant::now();
            save_heard(service);
            service.resume();
        }
    }
    save_heard(service);
}

fn save_heard(service: &Service) {
    if let Err(error) = service.0.live.save_heard() {
        tracing::warn!("when organisations were last heard is not saved: {error}");
    }
}

/// A directory that forgets everything with the process.
struct Forgetful;

impl Directory for Forgetful {
    fn load(&self) -> Result<Contents, JournalError> {
        Ok(Contents::default())
    }

    fn save(&self, _: &[DirectoryChange]) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Commits that a follower may lag behind before it has to read rows.
const COMMITS_FOLLOWED_MAX: usize = 1024;
/// How often the filer looks what is to do.
const FILING_PAUSE: Duration = Duration::from_millis(250);
/// Entries that wait for a quiet moment at most. Indexes cost the disk more than the entries
/// themselves, and filing many at once costs less an entry: in a burst the disk is the writer's.
const HELD_ENTRIES_MAX: u64 = 262_144;
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
