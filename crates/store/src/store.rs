use crate::OpenError;
use crate::append::Append;
use crate::db::{Db, DbOptions};
use crate::files::{FileName, Files, Folder};
use crate::head::{self, META, Shape};
use crate::{log, outbox};
use medtrail_ledger::ports::{
    Appending, Batch, CommitError, EventKey, Journal, JournalError, RecordTag, SubjectTag, Tail,
    TrailHead,
};
use medtrail_ledger::tile::TileId;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much memory the store may take, and how it cuts its work.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Cache of `head.redb`, in bytes.
    pub head_cache_bytes: usize,
    /// Cache of `log.redb`, in bytes.
    pub log_cache_bytes: usize,
    /// Entries in one table of the head, which is dropped whole. Read only when the file is
    /// created; tests make it small.
    pub rows_per_table: u64,
    /// Entries one transaction files at most.
    pub rows_per_filing: u64,
    /// Verify the checksum of every page at open: reads both files whole, for maintenance.
    pub check_every_page: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            head_cache_bytes: 32 << 20,
            log_cache_bytes: 64 << 20,
            rows_per_table: 65_536,
            rows_per_filing: 16_384,
            check_every_page: false,
        }
    }
}

/// The log on disk: [`Journal`] and [`Outbox`](medtrail_ledger::ports::Outbox).
///
/// Reads never wait for writes. After a failed read or write the next access opens the file again
/// by itself and goes by what is there, so that after [`CommitError::Unknown`] or
/// [`CommitError::Full`] it is enough to read the [`tail`](Journal::tail). A batch whose outcome
/// was unknown may be committed again on the same tail: if it had happened, it is
/// [fenced](CommitError::Fenced). After a failed sync ([`CommitError::is_fatal`]) every write is
/// refused until the process was started anew.
#[derive(Debug)]
pub struct Store {
    pub(crate) head: Db,
    pub(crate) log: Db,
    pub(crate) shape: Shape,
    pub(crate) options: StoreOptions,
    /// Entries known to be filed; never more than are. Readers skip the head below it.
    pub(crate) filed: AtomicU64,
    /// Where the head's rows begin; never more than where they do.
    pub(crate) kept_from: AtomicU64,
}

impl Store {
    /// Opens the log in `dir` for writing, or creates one there. Fences every earlier writer.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(Folder::lock(dir)?), options)
    }

    /// The same over other files than those of a folder.
    pub fn open_on(files: Arc<dyn Files>, options: StoreOptions) -> Result<Self, OpenError> {
        let store = Self::assemble(files, options)?;
        let reindexed = store.log.read(log::reindexed);
        if let Some(done) = reindexed.map_err(|fault| OpenError::fault(FileName::Log, fault))? {
            return Err(OpenError::IndexesIncomplete { done });
        }
        let fenced = store.head.write(head::next_epoch);
        fenced.map_err(|fault| OpenError::fault(FileName::Head, fault))?;
        Ok(store)
    }

    /// Opens both files and checks that they belong together; the indexes may be incomplete.
    pub(crate) fn assemble(
        files: Arc<dyn Files>,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        let (head, log) = open_or_create(&files, options)?;
        let at_log = |fault| OpenError::fault(FileName::Log, fault);
        let at_head = |fault| OpenError::fault(FileName::Head, fault);
        let filed = log.read(log::filed).map_err(at_log)?;
        let (shape, kept_from, size) = head
            .read(|txn| Ok((head::shape(txn)?, head::kept_from(txn)?, head::tail(txn)?.size)))
            .map_err(at_head)?;
        // One of the two was put back from elsewhere: entries are missing in the middle, or the
        // tail was acknowledged further than this head knows.
        if kept_from > filed || filed > size {
            let what = format!(
                "{} holds the first {filed} entries, this file {kept_from} to {size}",
                FileName::Log,
            );
            return Err(OpenError::Damaged { file: FileName::Head, what });
        }
        let (filed, kept_from) = (AtomicU64::new(filed), AtomicU64::new(kept_from));
        Ok(Self { head, log, shape, options, filed, kept_from })
    }

    /// A small value kept under `name`.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let value = self.head.read(|txn| {
            let value = txn.open_table(META)?.get(name)?;
            Ok(value.map(|value| value.value().to_vec()))
        });
        Ok(value?)
    }

    /// Keeps a small value under `name`; durable when this returns.
    pub fn set_meta(&self, name: &str, value: &[u8]) -> Result<(), JournalError> {
        let written = self.head.write(|txn| {
            txn.open_table(META)?.insert(name, value)?;
            Ok(())
        });
        Ok(written?)
    }

    /// Indexes of **filed** entries about one record, from index `from` on, at most `limit`.
    pub fn of_record(
        &self,
        record: RecordTag,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, JournalError> {
        Ok(self.log.read(|txn| log::of_record(txn, record, from, limit))?)
    }

    pub(crate) fn filed_now(&self) -> u64 {
        self.filed.load(Ordering::SeqCst)
    }
}

fn open_or_create(files: &Arc<dyn Files>, options: StoreOptions) -> Result<(Db, Db), OpenError> {
    let open_options = |name| {
        let cache_bytes = match name {
            FileName::Head => options.head_cache_bytes,
            _ => options.log_cache_bytes,
        };
        DbOptions { name, cache_bytes, check_every_page: options.check_every_page }
    };
    let (at_head, at_log) = (open_options(FileName::Head), open_options(FileName::Log));
    let shape = Shape { rows_per_table: options.rows_per_table };
    let create_head = || {
        Db::create(at_head, files, |txn| {
            head::create(txn, shape)?;
            outbox::create(txn)
        })
    };
    match (Db::open(at_head, files)?, Db::open(at_log, files)?) {
        (Some(head), Some(log)) => Ok((head, log)),
        (Some(_), None) => Err(OpenError::Missing { file: FileName::Log }),
        (None, Some(log)) => {
            // The log is created first: alone and empty it is a first start cut short, alone and
            // filled it has lost its head.
            let filed = log.read(log::filed);
            match filed.map_err(|fault| OpenError::fault(FileName::Log, fault))? {
                0 => Ok((create_head()?, log)),
                _ => Err(OpenError::Missing { file: FileName::Head }),
            }
        }
        (None, None) => {
            let log = Db::create(at_log, files, log::create)?;
            Ok((create_head()?, log))
        }
    }
}

impl Journal for Store {
    fn tail(&self) -> Result<Tail, JournalError> {
        Ok(self.head.read(head::tail)?)
    }

    fn commit(&self, tail: &Tail, batch: &Batch) -> Result<Tail, CommitError> {
        Ok(Append::begin(self, tail).end(batch)?)
    }

    fn begin<'a>(&'a self, tail: &Tail) -> Box<dyn Appending + 'a> {
        Box::new(Append::begin(self, tail))
    }

    fn last_of(&self, subject: SubjectTag) -> Result<Option<TrailHead>, JournalError> {
        Ok(self.log.read(|txn| log::last_of(txn, subject))?)
    }

    fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        Ok(self.log.read(|txn| log::find(txn, event))?)
    }

    fn trail(
        &self,
        subject: SubjectTag,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, JournalError> {
        Ok(self.log.read(|txn| log::trail(txn, subject, from, limit))?)
    }

    fn rows(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut rows = Vec::new();
        self.visit_rows(range, |_, row| {
            rows.push(row.to_vec());
            Ok(())
        })?;
        Ok(rows)
    }

    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.stored_tile(id)?)
    }

    fn filed(&self) -> Result<u64, JournalError> {
        Ok(self.filed_now())
    }

    fn file_up_to(&self, size: u64) -> Result<u64, JournalError> {
        Ok(self.file(size)?)
    }
}
