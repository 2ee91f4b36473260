//! What everyone outside calls: reports in; receipts, proofs, tiles and heads out.

mod enter;

pub use enter::Checked;
pub(crate) use enter::Prepared;

use crate::anchorer::{Problem, Status};
use crate::bindings::Tries;
use crate::erasure::Erasing;
use crate::feed::Anchors;
use crate::inquiries::clerk::Clerking;
use crate::judge::Judging;
use crate::live::Live;
use crate::notices::Notices;
use crate::notices::herald::Heralding;
use crate::opener::{Entry, EntryError, Opener};
use crate::papers::Cabinet;
use crate::permissions::Permissions;
use crate::recent::Recent;
use crate::room::Room;
use crate::sequencer::{Ask, Head};
use crate::sources::Sources;
use crate::sources::prober::Probing;
use alloy_primitives::B256;
use medtrail_ledger::entry::Keyed;
use medtrail_ledger::merkle::{Hash, leaf_hash};
use medtrail_ledger::plan::AnchorRecord;
use medtrail_ledger::ports::{Journal, JournalError, KeyFile, Outbox};
use medtrail_ledger::proof::{self, AnchorClaim, Extension, Proof, ShownPlace};
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::tile::{TILE_HASHES, TileId, TileReader};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

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
    pub(crate) room: Room,
    pub(crate) permissions: Permissions,
    pub(crate) papers: Cabinet,
    pub(crate) judging: Mutex<Judging>,
    pub(crate) clerking: Mutex<Clerking>,
    pub(crate) answer_within_ms: u64,
    pub(crate) erasing: Erasing,
    pub(crate) notices: Notices,
    pub(crate) heralding: Mutex<Heralding>,
    /// What is in the way of an erasure whose day has come.
    pub(crate) eraser_problem: Mutex<Option<Problem>>,
    pub(crate) sources: Sources,
    pub(crate) probing: Mutex<Probing>,
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

    /// What time it is here, milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        (self.0.now_ms)()
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
        Ok(self.receipt_for(&self.entry(index)?)?)
    }

    fn receipt_for(&self, entry: &Entry) -> Result<Receipt, JournalError> {
        let head = self.head();
        let path = self.path(entry.index, head.size)?;
        Ok(Receipt {
            version: receipt::VERSION.to_owned(),
            index: entry.index,
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
