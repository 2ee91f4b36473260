//! The log on disk.
//!
//! Two redb files, because redb has one write transaction a file: `head.redb` takes what is
//! acknowledged, in group commits whose keys only grow; the filer moves it to `log.redb`, which
//! keeps the indexes, whose keys are random and slow. An entry is filed durably before it is
//! dropped from the head: a crash leaves a double, never a hole.
//!
//! Nothing here runs by itself: the caller owns the threads. Every method blocks.
//!
//! - [`Store`]: the [`Journal`] and the [`Outbox`] over the two files
//! - [`KeyFileDb`]: the [`KeyFile`], in a folder of its own
//! - [`DirectoryDb`]: the [`Directory`], in a folder of its own
//! - [`VaultDb`]: the vault, its [`Shelves`], in a folder of its own
//! - [`ParcelFolder`]: sealed files on their way to buyers, its [`Parcels`]
//! - [`SpoolDb`]: a custodian's [`Spool`], in the folder of its gateway
//! - [`fsck`], [`reindex`], [`export`]: checks it all, rebuilds the indexes, reads it out
//!
//! [`Journal`]: medtrail_ledger::ports::Journal
//! [`Outbox`]: medtrail_ledger::ports::Outbox
//! [`KeyFile`]: medtrail_ledger::ports::KeyFile
//! [`Directory`]: medtrail_ledger::directory::Directory
//! [`Shelves`]: medtrail_ledger::vault::Shelves
//! [`Parcels`]: medtrail_ledger::ports::Parcels
//! [`Spool`]: medtrail_ledger::custodian::Spool

mod append;
mod db;
mod directory;
mod error;
mod export;
mod filer;
mod files;
mod fsck;
mod head;
mod index;
mod key_file;
mod log;
mod outbox;
mod parcels;
mod reindex;
mod rows;
mod spool;
mod store;
mod vault;

pub use directory::DirectoryDb;
pub use error::OpenError;
pub use export::{Export, Exported, export};
pub use files::{FileName, Files, Folder};
pub use fsck::{Damage, Finding, FsckReport, OpenRow, Place, fsck};
pub use key_file::KeyFileDb;
pub use parcels::ParcelFolder;
pub use reindex::{ReindexError, reindex, reindex_on};
pub use spool::SpoolDb;
pub use store::{Store, StoreOptions};
pub use vault::VaultDb;
