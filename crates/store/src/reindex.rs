use crate::OpenError;
use crate::db::Fault;
use crate::files::{Files, Folder};
use crate::log;
use crate::store::{Store, StoreOptions};
use medtrail_ledger::ports::JournalError;
use std::path::Path;
use std::sync::Arc;

/// Why the indexes were not rebuilt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReindexError {
    /// The log could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A row could not be read, or an index not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Throws the three indexes of the log in `dir` away and makes them again from the rows, which
/// need no key for that. Returns how many entries they cover; tells `progress` (done, of).
///
/// Until it is finished, a note in the file makes [`Store::open`] refuse
/// ([`OpenError::IndexesIncomplete`]); after a crash, calling this again goes on where it stopped.
pub fn reindex(
    dir: &Path,
    options: StoreOptions,
    progress: impl FnMut(u64, u64),
) -> Result<u64, ReindexError> {
    reindex_on(Arc::new(Folder::lock(dir)?), options, progress)
}

/// The same over other files than those of a folder.
pub fn reindex_on(
    files: Arc<dyn Files>,
    options: StoreOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, ReindexError> {
    let store = Store::assemble(files, options)?;
    let filed = store.filed_now();
    let mut rebuild = || -> Result<(), Fault> {
        if store.log.read(log::reindexed)?.is_none() {
            store.log.write(log::begin_reindex)?;
        }
        while store.log.read(log::reindexed)?.is_some() {
            let done = store.log.write(|txn| log::reindex_some(txn, options.rows_per_filing))?;
            progress(done, filed);
        }
        Ok(())
    };
    rebuild().map_err(JournalError::from)?;
    Ok(filed)
}
