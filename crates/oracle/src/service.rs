//! What everyone outside calls: reports in; receipts, proofs, tiles and heads out.

use crate::anchorer::Status;
use crate::bindings::Tries;
use crate::feed::Anchors;
use crate::intake::{Intake, ReportError, Submission};
use crate::judge::Judging;
use crate::live::Live;
use crate::opener::{Entry, EntryError, Opener};
use crate::papers::Cabinet;
use crate::permissions::Permissions;
use crate::recent::Recent;
use crate::row::encode_report;
use crate::sequencer::{Ask, Head, PlaceError, Placed, Waiting};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Keyed, Kind, subject_of};
use medtrail_ledger::merkle::{Hash, leaf_hash};
use medtrail_ledger::plan::AnchorRecord;
use medtrail_ledger::ports::{EventKey, Journal, JournalError, KeyFile, Outbox, RowHeader};
use medtrail_ledger::proof::{self, AnchorClaim, Extension, Proof, ShownPlace};
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::tile::{TILE_HASHES, TileId, TileReader};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot, watch};

/// Reports waiting for the writer at most.
pub const QUEUE_REPORTS_MAX: usize = 8192;
/// Anchors the registry remembers.
const RING: u64 = 64;

/// A running log. Cheap to clone.
#[derive(Clone)]
pub struct Service(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) live: Live,
    pub(crate) recent: Arc<Recent>,
    pub(crate) keys: Arc<dyn KeyFile>,
    pub(crate) anchors: Anchors,
    pub(crate) tries: Tries,
    pub(crate) permissions: Permissions,
    pub(crate) papers: Cabinet,
    pub(crate) judging: Mutex<Judging>,
    pub(crate) tags: Keyed,
    pub(crate) opener: Opener,
    pub(crate) queue: mpsc::Sender<Ask>,
    pub(crate) heads: watch::Receiver<Arc<Head>>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) now_ms: fn() -> u64,
}

impl Service {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The newest head.
    pub fn head(&self) -> Arc<Head> {
        self.0.heads.borrow().clone()
    }

    /// The newest heads, as they come.
    pub fn heads(&self) -> watch::Receiver<Arc<Head>> {
        self.0.heads.clone()
    }

    /// How anchoring is doing.
    pub fn status(&self) -> Status {
        self.0.status.borrow().clone()
    }

    /// Whether the writer runs: once it has ended, the process is about to.
    pub fn takes_reports(&self) -> bool {
        !self.0.queue.is_closed()
    }

    /// Reports waiting for the writer now.
    pub fn queued(&self) -> usize {
        self.0.queue.max_capacity() - self.0.queue.capacity()
    }

    /// Entries that are filed.
    pub fn filed(&self) -> Result<u64, JournalError> {
        self.0.journal.filed()
    }

    /// Takes one report; the receipt comes once it is durable.
    pub async fn report(&self, submission: Submission) -> Result<Receipt, ReportError> {
        let mut outcomes = self.reports(vec![submission]).await;
        outcomes.pop().unwrap_or(Err(ReportError::Place(PlaceError::Stopped)))
    }

    /// Takes many reports; each stands or falls by itself, in order. None is queued unless there
    /// is room for all that passed their checks.
    pub async fn reports(&self, submissions: Vec<Submission>) -> Vec<Result<Receipt, ReportError>> {
        let service = self.clone();
        let count = submissions.len();
        // Signatures cost 30 µs each and the index may wait for the disk: off the async threads.
        let checking = tokio::task::spawn_blocking(move || {
            let (trust, now_ms) = (service.trust(), (service.0.now_ms)());
            let mut intake = Intake::new(&trust, now_ms);
            let mut heard = None;
            let check = |one: Submission| {
                intake.check(&one)?;
                if heard.replace(one.report.actor) != Some(one.report.actor) {
                    service.0.live.hear(one.report.actor, now_ms);
                }
                service.prepare(one)
            };
            submissions.into_iter().map(check).collect::<Vec<_>>()
        });
        match checking.await {
            Ok(prepared) => self.place(prepared).await,
            Err(_) => (0..count).map(|_| Err(PlaceError::Stopped.into())).collect(),
        }
    }

    /// Enters a report that nobody signed, as the operator's own word; every view says so.
    pub async fn relay(&self, submission: Submission) -> Result<Receipt, ReportError> {
        let service = self.clone();
        let checking = tokio::task::spawn_blocking(move || service.check_relayed(submission));
        self.enter(checking.await.unwrap_or_else(|_| Err(PlaceError::Stopped.into()))?).await
    }

    /// The first half of [`Self::relay`], for callers with threads of their own. Blocks.
    pub fn check_relayed(&self, submission: Submission) -> Result<Checked, ReportError> {
        Intake::new(&self.trust(), (self.0.now_ms)()).check_relayed(&submission)?;
        self.prepare(submission).map(Checked)
    }

    /// The second half: a place in the log, and the receipt once it is durable.
    pub async fn enter(&self, checked: Checked) -> Result<Receipt, ReportError> {
        let mut outcomes = self.place(vec![Ok(checked.0)]).await;
        outcomes.pop().unwrap_or(Err(ReportError::Place(PlaceError::Stopped)))
    }

    async fn place(
        &self,
        prepared: Vec<Result<Prepared, ReportError>>,
    ) -> Vec<Result<Receipt, ReportError>> {
        let passed = prepared.iter().filter(|one| one.is_ok()).count();
        let mut room = match self.0.queue.try_reserve_many(passed) {
            Ok(room) => room,
            Err(error) => {
                let told = match error {
                    mpsc::error::TrySendError::Full(()) => PlaceError::Busy,
                    mpsc::error::TrySendError::Closed(()) => PlaceError::Stopped,
                };
                let refuse = |one: Result<_, _>| one.and(Err(ReportError::Place(told.clone())));
                return prepared.into_iter().map(refuse).collect();
            }
        };
        let mut waiting = Vec::with_capacity(prepared.len());
        {
            // Held until all are queued: whoever marks a pseudonym as moved waits for this, and
            // queues the entry that ends its trail after it. So nothing lands behind that entry.
            let moved = self.0.live.moved();
            for one in prepared {
                waiting.push(one.and_then(|prepared| {
                    let permit = room.next().expect("room for each that passed");
                    let Prepared { waiting, report_hash, event, answer } = prepared;
                    let outcome = match moved.get(&waiting.subject) {
                        None => {
                            permit.send(Ask::Place(Box::new(waiting)));
                            Queued::Waits(answer)
                        }
                        Some(moved) if moved.is_settled => {
                            Queued::Moved { event: waiting.header.event, to: moved.to }
                        }
                        // What came before the move may still be on its way, this very report
                        // among it: nobody can say yet what to do.
                        Some(_) => return Err(PlaceError::Busy.into()),
                    };
                    Ok((report_hash, event, outcome))
                }));
            }
        }
        drop(room);
        let mut outcomes = Vec::with_capacity(waiting.len());
        for one in waiting {
            outcomes.push(match one {
                Err(error) => Err(error),
                Ok((report_hash, event, Queued::Moved { event: key, to })) => {
                    match self.find(key).await {
                        Err(error) => Err(error.into()),
                        Ok(None) => Err(ReportError::Moved { to: subject_of(to) }),
                        Ok(Some(index)) => {
                            self.receipt_of(Placed::Known { index }, report_hash, event).await
                        }
                    }
                }
                Ok((report_hash, event, Queued::Waits(answer))) => match answer.await {
                    Err(_) => Err(PlaceError::OutcomeUnknown.into()),
                    Ok(Err(error)) => Err(error.into()),
                    Ok(Ok(placed)) => self.receipt_of(placed, report_hash, event).await,
                },
            });
        }
        outcomes
    }

    /// Where a report stands that was acknowledged before this is called.
    async fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        let service = self.clone();
        let finding = tokio::task::spawn_blocking(move || {
            service.0.recent.reach(service.head().size)?;
            match service.0.recent.find(event) {
                Some(index) => Ok(Some(index)),
                None => service.0.journal.find(event),
            }
        });
        finding.await.unwrap_or_else(|lost| Err(JournalError::Storage(lost.to_string())))
    }

    /// Hashes and encodes a checked report and looks for it among the filed ones.
    pub(crate) fn prepare(&self, submission: Submission) -> Result<Prepared, ReportError> {
        let Submission { report, evidence, details } = &submission;
        let kind = Kind::from_number(report.kind);
        let is_person = !report.subject.is_zero() && !kind.has_no_subject();
        let header = RowHeader {
            subject: self.0.tags.subject_tag(report.subject),
            // The writer counts; any number but zero says that there is a trail to count in.
            ordinal: u64::from(is_person),
            event: self.0.tags.event_key(report.actor, report.subject, report.eventId),
            record: self.0.tags.record_tag(report.record),
        };
        let filed = self.0.journal.filed()?;
        let known = self.0.journal.find(header.event)?;
        let report_hash = report.hash();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            header,
            report_hash,
            subject: report.subject,
            is_salted_by_index: !is_person || kind.is_salted_by_index(),
            is_change: kind == Kind::Change,
            known,
            filed,
            encoded: encode_report(report, evidence, details.as_deref()),
            answer,
        };
        Ok(Prepared { waiting, report_hash, event: report.eventId, answer: answered })
    }

    pub(crate) async fn receipt_of(
        &self,
        placed: Placed,
        report_hash: B256,
        event: B256,
    ) -> Result<Receipt, ReportError> {
        match placed {
            Placed::New(appended) => Ok(Receipt {
                version: receipt::VERSION.to_owned(),
                index: appended.index,
                report_hash,
                place_hash: appended.place_hash,
                path: words(appended.path),
                checkpoint: appended.head.checkpoint.clone(),
            }),
            Placed::Known { index } => {
                let service = self.clone();
                let again = blocking(move || service.receipt(index)).await;
                let again = again.map_err(|error| match error {
                    EntryError::Journal(error) => ReportError::Journal(error),
                    other => ReportError::Journal(JournalError::Damaged(other.to_string())),
                })?;
                match again.report_hash == report_hash {
                    true => Ok(again),
                    false => Err(ReportError::Conflict { event, index }),
                }
            }
        }
    }

    /// The entry at `index`. Blocks.
    pub fn entry(&self, index: u64) -> Result<Entry, EntryError> {
        // The disk may be a commit ahead of the published head, which leads to no such entry.
        let size = self.head().size;
        if index >= size {
            return Err(EntryError::Absent { index, size });
        }
        let row = self.0.journal.rows(index..index + 1)?.pop();
        self.0.opener.open(index, &row.ok_or(EntryError::Damaged(index))?)
    }

    /// A receipt for entry `index` under the newest checkpoint. Blocks.
    pub fn receipt(&self, index: u64) -> Result<Receipt, EntryError> {
        let entry = self.entry(index)?;
        let head = self.head();
        let path = self.path(index, head.size)?;
        Ok(Receipt {
            version: receipt::VERSION.to_owned(),
            index,
            report_hash: entry.report.hash(),
            place_hash: entry.place.hash(),
            path: words(path),
            checkpoint: head.checkpoint.clone(),
        })
    }

    /// A proof for entry `index` under the first anchor that covers it: the line and its check, the
    /// place hashed, no details. Blocks.
    pub fn proof(&self, index: u64) -> Result<Proof, EntryError> {
        let entry = self.entry(index)?;
        let anchors = self.anchors()?;
        let not_anchored = || {
            let anchored = anchors.last().map_or(0, |last| last.anchor.size);
            EntryError::NotAnchored { index, anchored }
        };
        let covering = anchors.partition_point(|record| record.anchor.size <= index);
        let record = anchors.get(covering).ok_or_else(not_anchored)?;
        let size = record.anchor.size;
        let checkpoint = self.0.outbox.kept_checkpoint(size)?.ok_or_else(|| {
            JournalError::Damaged(format!("the checkpoint of anchored size {size} is missing"))
        })?;
        let trust = self.trust();
        Ok(Proof {
            version: proof::VERSION.to_owned(),
            index,
            path: words(self.path(index, size)?),
            place: ShownPlace::Hash(entry.place.hash()),
            details: None,
            report: entry.report,
            evidence: entry.evidence,
            checkpoint: String::from_utf8_lossy(&checkpoint).into_owned(),
            anchor: AnchorClaim {
                chain_id: trust.chain_id,
                registry: trust.registry,
                log: trust.log,
                number: record.anchor.number,
                size,
                root: record.anchor.root,
                time_s: record.anchor.time_s,
                tx: record.tx,
                block: record.block.number,
            },
            extension: self.extension(record, &anchors)?,
        })
    }

    /// The way to the newest anchor, where the registry's ring is about to lose this one.
    fn extension(
        &self,
        record: &AnchorRecord,
        anchors: &[AnchorRecord],
    ) -> Result<Option<Extension>, EntryError> {
        let newest = anchors.last().unwrap_or(record);
        if newest.anchor.number < record.anchor.number + RING / 2 {
            return Ok(None);
        }
        let mut reader = self.tiles();
        let path = reader
            .consistency_path(record.anchor.size, newest.anchor.size)
            .map_err(|error| JournalError::Damaged(error.to_string()))?;
        Ok(Some(Extension { anchor: newest.anchor, path: words(path) }))
    }

    /// All anchors of this log that stand in a canonical block, oldest first. Blocks.
    pub fn anchors(&self) -> Result<Vec<AnchorRecord>, JournalError> {
        Ok(self.0.outbox.load()?.anchors)
    }

    /// The inclusion path of `index` in the log of `size` entries. Blocks.
    pub fn path(&self, index: u64, size: u64) -> Result<Vec<Hash>, JournalError> {
        self.tiles()
            .inclusion_path(index, size)
            .map_err(|error| JournalError::Damaged(error.to_string()))
    }

    fn tiles(
        &self,
    ) -> TileReader<impl Fn(TileId) -> Result<Option<Vec<u8>>, JournalError> + use<'_>> {
        TileReader::new(|id| self.0.journal.tile(id))
    }

    /// The first `width` hashes of a tile, as C2SP tlog-tiles serves it; `None` if the log is not
    /// that wide. Blocks.
    pub fn tile(&self, id: TileId, width: usize) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(mut stored) = self.stored(id, width)? else { return Ok(None) };
        if id.level == 0 {
            let (commitments, _) = stored.as_chunks_mut::<32>();
            commitments.iter_mut().for_each(|commitment| *commitment = leaf_hash(commitment));
        }
        Ok(Some(stored))
    }

    /// An entry bundle of C2SP tlog-tiles: `width` times `uint16be 32 ‖ commitment`. Blocks.
    pub fn entries(&self, index: u64, width: usize) -> Result<Option<Vec<u8>>, JournalError> {
        let stored = self.stored(TileId { level: 0, index }, width)?;
        Ok(stored.map(|commitments| {
            let (commitments, _) = commitments.as_chunks::<32>();
            commitments.iter().flat_map(|one| [&[0, 32], one.as_slice()].concat()).collect()
        }))
    }

    fn stored(&self, id: TileId, width: usize) -> Result<Option<Vec<u8>>, JournalError> {
        if width == 0 || width > TILE_HASHES {
            return Ok(None);
        }
        let stored = self.0.journal.tile(id)?;
        Ok(stored.and_then(|mut bytes| {
            (bytes.len() >= width * 32).then(|| {
                bytes.truncate(width * 32);
                bytes
            })
        }))
    }
}

/// What became of a report at the door of the queue.
enum Queued {
    Waits(oneshot::Receiver<Result<Placed, PlaceError>>),
    /// Its subject is a pseudonym that was bound.
    Moved {
        event: EventKey,
        to: Address,
    },
}

/// A report that was checked, and waits for nothing but its place.
pub struct Checked(Prepared);

/// What the reporter's thread has made of a report.
pub(crate) struct Prepared {
    pub(crate) waiting: Waiting,
    pub(crate) report_hash: B256,
    pub(crate) event: B256,
    pub(crate) answer: oneshot::Receiver<Result<Placed, PlaceError>>,
}

fn words(path: Vec<Hash>) -> Vec<B256> {
    path.into_iter().map(B256::from).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EntryError> + Send + 'static,
) -> Result<T, EntryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(JournalError::Storage(error.to_string()).into()),
    }
}
