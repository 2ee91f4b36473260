//! One redb file: opened, watched for failing IO, and opened again after it.

use crate::OpenError;
use crate::files::{FileName, Files};
use medtrail_ledger::ports::{CommitError, JournalError};
use parking_lot::{RwLock, RwLockReadGuard};
use redb::{
    BackendError, Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase,
    StorageBackend, TableDefinition, TableError, WriteTransaction,
};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The file format this code writes; a file of a newer one is refused.
pub(crate) const FORMAT: u32 = 1;

/// Small rows that a file keeps about itself.
pub(crate) const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const FORMAT_ROW: &str = "format";

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine refused.
    Engine(String),
    /// No room, and the failing write was none that could have committed.
    Full(String),
    /// A sync failed.
    Fatal(String),
    /// Bytes that this code did not write.
    Damaged(String),
    /// The tail moved.
    Fenced { expected: u64, found: u64 },
    /// Rows or tiles that are none.
    Malformed(String),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Engine(error.into().to_string())
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Engine(reason) | Fault::Damaged(reason) => Self::Unknown(reason),
            Fault::Full(reason) => Self::Full(reason),
            Fault::Fatal(reason) => Self::Fatal(reason),
            Fault::Fenced { expected, found } => Self::Fenced { expected, found },
            Fault::Malformed(reason) => Self::Malformed(reason),
        }
    }
}

impl From<Fault> for JournalError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Engine(reason) => Self::Storage(reason),
            Fault::Full(reason) => Self::Full(reason),
            Fault::Fatal(reason) => Self::Fatal(reason),
            Fault::Damaged(what) | Fault::Malformed(what) => Self::Damaged(what),
            Fault::Fenced { .. } => Self::Storage("the log moved".to_owned()),
        }
    }
}

/// What of the backend's calls failed so far. redb reports all of them alike, but a caller must
/// act differently on each.
#[derive(Debug, Default)]
struct Health {
    sync_failed: AtomicBool,
    /// No room in a place that holds no commit slot: the transaction cannot have happened.
    full: AtomicBool,
    failed: AtomicBool,
}

/// A backend that notes failures on their way to redb.
#[derive(Debug)]
struct Watched {
    inner: Box<dyn StorageBackend>,
    health: Arc<Health>,
}

impl Watched {
    fn noted<T>(&self, result: io::Result<T>, is_header: bool) -> io::Result<T> {
        if let Err(error) = &result {
            let no_room = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded];
            if no_room.contains(&error.kind()) && !is_header {
                self.health.full.store(true, Ordering::SeqCst);
            } else {
                self.health.failed.store(true, Ordering::SeqCst);
            }
        }
        result
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.noted(self.inner.len(), false)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.noted(self.inner.read(offset, out), false)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.noted(self.inner.set_len(len), false)
    }

    fn sync_data(&self) -> io::Result<()> {
        let result = self.inner.sync_data();
        if result.is_err() {
            self.health.sync_failed.store(true, Ordering::SeqCst);
        }
        result
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        // Both commit slots stand in the header at offset 0: only a write there can commit.
        self.noted(self.inner.write(offset, data), offset == 0)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[derive(Debug)]
struct Opened {
    database: Database,
    health: Arc<Health>,
}

impl Opened {
    /// What an engine's error means for the caller.
    fn judge(&self, fault: Fault) -> Fault {
        let Fault::Engine(reason) = fault else { return fault };
        if self.health.sync_failed.load(Ordering::SeqCst) {
            Fault::Fatal(reason)
        } else if self.health.failed.load(Ordering::SeqCst) {
            Fault::Engine(reason)
        } else if self.health.full.load(Ordering::SeqCst) {
            Fault::Full(reason)
        } else {
            Fault::Engine(reason)
        }
    }

    fn must_reopen(&self) -> bool {
        let Health { sync_failed, failed, full } = &*self.health;
        let healable = failed.load(Ordering::SeqCst) || full.load(Ordering::SeqCst);
        healable && !sync_failed.load(Ordering::SeqCst)
    }
}

/// Which file, and how to open it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DbOptions {
    pub(crate) name: FileName,
    pub(crate) cache_bytes: usize,
    /// Read the whole file at open and verify the checksum of every page.
    pub(crate) check_every_page: bool,
}

/// One redb file.
///
/// After one failed read or write redb serves nothing more through that handle. The next access
/// therefore closes the file and opens it again, and goes by what it finds there. Only a failed
/// sync stays for the life of the process: not even a reopened file can be believed after it.
#[derive(Debug)]
pub(crate) struct Db {
    options: DbOptions,
    files: Arc<dyn Files>,
    /// `None` after an attempt to open again that failed; the next access tries once more.
    opened: RwLock<Option<Opened>>,
}

impl Db {
    /// Opens the file, or returns `None` if there is none.
    pub(crate) fn open(
        options: DbOptions,
        files: &Arc<dyn Files>,
    ) -> Result<Option<Self>, OpenError> {
        let name = options.name;
        let backend = files.open(name).map_err(|source| OpenError::file(name, source))?;
        let Some(backend) = backend else { return Ok(None) };
        // redb takes an empty file for a new database. Ours are never empty under their final
        // name, so this one was cut, and what it held must not be forgotten silently.
        if backend.len().map_err(|source| OpenError::file(name, source))? == 0 {
            let what = "the file is empty".to_owned();
            return Err(OpenError::Damaged { file: name, what });
        }
        let opened = Self::open_backend(options, backend)?;
        let files = Arc::clone(files);
        let db = Self { options, files, opened: RwLock::new(Some(opened)) };
        db.check_format()?;
        Ok(Some(db))
    }

    /// Creates the file with what `fill` puts in, and opens it.
    pub(crate) fn create(
        options: DbOptions,
        files: &Arc<dyn Files>,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
    ) -> Result<Self, OpenError> {
        let name = options.name;
        Self::fill(options, files, fill)?;
        files.publish(name).map_err(|source| OpenError::file(name, source))?;
        Self::open(options, files)?.ok_or(OpenError::Missing { file: name })
    }

    /// Makes a file under a temporary name.
    fn fill(
        options: DbOptions,
        files: &Arc<dyn Files>,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
    ) -> Result<(), OpenError> {
        let name = options.name;
        let backend = files.create(name).map_err(|source| OpenError::file(name, source))?;
        let opened = Self::open_backend(options, backend)?;
        let filled = begin(&opened.database).and_then(|txn| {
            txn.open_table(STATE)?.insert(FORMAT_ROW, FORMAT.to_le_bytes().as_slice())?;
            fill(&txn)?;
            Ok(txn.commit()?)
        });
        filled.map_err(|fault| OpenError::fault(name, opened.judge(fault)))?;
        opened.database.close().map_err(|error| OpenError::fault(name, error.into()))
    }

    /// Puts a new file with what `fill` puts in into the place of this one, which stands untouched
    /// unless this returns `Ok`, or [`Fault::Fatal`]: then nobody knows which of them will be there
    /// after a power loss. No other access may be under way.
    pub(crate) fn replace(
        &self,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        Self::fill(self.options, &self.files, fill).map_err(|error| match error {
            OpenError::Full { reason, .. } => Fault::Full(reason),
            other => Fault::Engine(other.to_string()),
        })?;
        let mut opened = self.opened.write();
        // Opened again by the next access, which finds the new one.
        *opened = None;
        self.files.publish(self.options.name).map_err(|error| Fault::Fatal(error.to_string()))
    }

    fn open_backend(
        options: DbOptions,
        backend: Box<dyn StorageBackend>,
    ) -> Result<Opened, OpenError> {
        let DbOptions { name, cache_bytes, check_every_page } = options;
        let health = Arc::new(Health::default());
        let watched = Watched { inner: backend, health: Arc::clone(&health) };
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(check_every_page);
        builder.set_repair_callback(move |repair| {
            tracing::info!(file = %name, progress = repair.progress(), "repairing");
        });
        match builder.create_with_backend(watched) {
            Ok(database) => Ok(Opened { database, health }),
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                Err(OpenError::AlreadyOpen { path: name.as_str().into() })
            }
            Err(error) => Err(OpenError::fault(name, error.into())),
        }
    }

    fn check_format(&self) -> Result<(), OpenError> {
        let found = self.read(|txn| {
            let state = match txn.open_table(STATE) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            let row = state.get(FORMAT_ROW)?;
            Ok(row.and_then(|row| row.value().try_into().ok()).map(u32::from_le_bytes))
        });
        match found.map_err(|fault| OpenError::fault(self.options.name, fault))? {
            Some(found) if found > FORMAT => {
                Err(OpenError::Newer { file: self.options.name, found, known: FORMAT })
            }
            Some(1..=FORMAT) => Ok(()),
            Some(_) | None => {
                let what = "not a file of a Medtrail log".to_owned();
                Err(OpenError::Damaged { file: self.options.name, what })
            }
        }
    }

    /// Runs `body` on a snapshot. Keep it short: pages freed since stay in the file until it ends.
    /// Never call it from inside another access to the same file; from both files take the head
    /// first, since either may be waiting to be opened again.
    pub(crate) fn read<R>(
        &self,
        body: impl FnOnce(&ReadTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        self.with(|opened| body(&opened.database.begin_read()?))
    }

    /// Runs `body` and commits; what it did survives power loss once this returns `Ok`. On `Err`
    /// of `body` nothing was written.
    pub(crate) fn write<R>(
        &self,
        body: impl FnOnce(&WriteTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut writing = self.begin()?;
        let done = writing.with(body)?;
        writing.commit()?;
        Ok(done)
    }

    /// Begins a transaction; dropped without a commit, it never was. Until then nobody else can
    /// write to this file, nor open it again.
    pub(crate) fn begin(&self) -> Result<Writing<'_>, Fault> {
        let opened = self.usable()?;
        let txn = opened
            .as_ref()
            .map(|opened| begin(&opened.database).map_err(|error| opened.judge(error)));
        let txn = txn.transpose()?;
        Ok(Writing { txn, opened })
    }

    fn with<R>(&self, access: impl FnOnce(&Opened) -> Result<R, Fault>) -> Result<R, Fault> {
        let opened = self.usable()?;
        let opened = opened.as_ref().ok_or_else(|| Fault::Engine(NOT_OPEN.to_owned()))?;
        access(opened).map_err(|fault| opened.judge(fault))
    }

    /// The file, opened again if its last access failed. The lock is taken again by the thread
    /// that writes, when it reads what it builds on: a thread that waits to open the file must
    /// not come between.
    fn usable(&self) -> Result<RwLockReadGuard<'_, Option<Opened>>, Fault> {
        loop {
            let opened = self.opened.read_recursive();
            if opened.as_ref().is_some_and(|opened| !opened.must_reopen()) {
                return Ok(opened);
            }
            drop(opened);
            self.reopen()?;
        }
    }

    fn reopen(&self) -> Result<(), Fault> {
        // The transaction that keeps it may be the caller's own: it fails at its end, and is
        // dropped then.
        let Some(mut opened) = self.opened.try_write_for(REOPEN_WAIT) else {
            return Err(Fault::Engine("the file waits to be opened again".to_owned()));
        };
        if opened.as_ref().is_some_and(|opened| !opened.must_reopen()) {
            return Ok(());
        }
        *opened = None;
        tracing::warn!(file = %self.options.name, "opening again after a failed access");
        let reopened = match self.files.open(self.options.name) {
            Ok(Some(backend)) => Self::open_backend(self.options, backend),
            Ok(None) => Err(OpenError::Missing { file: self.options.name }),
            Err(source) => Err(OpenError::file(self.options.name, source)),
        };
        *opened = Some(reopened.map_err(|error| match error {
            OpenError::Full { reason, .. } => Fault::Full(reason),
            other => Fault::Engine(other.to_string()),
        })?);
        Ok(())
    }
}

/// How long an access waits until transactions under way let go of a file that failed.
const REOPEN_WAIT: Duration = Duration::from_secs(1);
const NOT_OPEN: &str = "the file is not open";

/// A transaction under way.
pub(crate) struct Writing<'a> {
    /// Dropped before the guard: whoever waits to open the file again must not find it in use.
    txn: Option<WriteTransaction>,
    opened: RwLockReadGuard<'a, Option<Opened>>,
}

impl Writing<'_> {
    /// A part of it. After an `Err` it must be dropped: nothing of it was written.
    pub(crate) fn with<R>(
        &mut self,
        body: impl FnOnce(&WriteTransaction) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let txn = self.txn.as_ref().ok_or_else(|| Fault::Engine(NOT_OPEN.to_owned()))?;
        body(txn).map_err(|fault| self.judge(fault))
    }

    /// Durable once this returns `Ok`.
    pub(crate) fn commit(mut self) -> Result<(), Fault> {
        let txn = self.txn.take().ok_or_else(|| Fault::Engine(NOT_OPEN.to_owned()))?;
        txn.commit().map_err(|error| self.judge(error.into()))
    }

    fn judge(&self, fault: Fault) -> Fault {
        match &*self.opened {
            Some(opened) => opened.judge(fault),
            None => fault,
        }
    }
}

/// A transaction that is durable once committed.
///
/// Two phases: redb's one-phase commits lost acknowledged data in crashes during recovery before
/// 4.2. Quick repair: a restart after power loss reads no more than one small table.
fn begin(database: &Database) -> Result<WriteTransaction, Fault> {
    let mut txn = database.begin_write()?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}
