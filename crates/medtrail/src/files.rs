//! The files of a log: opened, made once at its first start, and held against the configuration.

use crate::clock::now_ms;
use crate::config::Config;
use crate::node::StartError;
use alloy_primitives::{Address, B256};
use medtrail_keys::file;
use medtrail_keys::masters::{self, MasterFolder};
use medtrail_keys::seal::DirectorySeal;
use medtrail_keys::vault::VaultKeys;
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::directory::Directory;
use medtrail_ledger::ports::{Journal, JournalError, KeyFile, KeyTag};
use medtrail_ledger::vault::Shelves;
use medtrail_store::{DirectoryDb, KeyFileDb, Store, StoreOptions, VaultDb};
use std::path::Path;
use std::sync::Arc;

/// The files of a log.
pub(crate) struct Opened {
    pub(crate) store: Arc<Store>,
    pub(crate) key_file: Arc<dyn KeyFile>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) shelves: Arc<dyn Shelves>,
}

/// Opens all files, and holds the configuration against what was stored at first start.
pub(crate) fn open(config: &Config, operator: Address) -> Result<Opened, StartError> {
    let store = Store::open(&config.log_dir(), StoreOptions::default())?;
    fixed(&store, "origin", &config.origin)?;
    fixed(&store, "chain.chain_id", &config.chain.chain_id.to_string())?;
    fixed(&store, "chain.registry", &config.chain.registry.to_string())?;
    // The log's id is made of its opener: a rotated key is another address, but the same log.
    fixed(&store, "opener", &operator.to_string())?;
    let log = config.log_of(operator);
    let key_file = open_keys(config, log, store.tail()?.size == 0)?;
    let log_key = key_file.create(&[KeyTag::Log])?.remove(0);
    let directory = open_directory(config, &store, DirectorySeal::new(&log_key, log))?;
    let key_file: Arc<dyn KeyFile> = Arc::new(key_file);
    let vault = open_vault(config, &store, VaultKeys::new(&log_key, log, key_file.clone()))?;
    Ok(Opened {
        store: Arc::new(store),
        key_file,
        directory: Arc::new(directory),
        shelves: Arc::new(vault),
    })
}

/// The directory, made once: without it a log would go on as if nobody had ever been added, and
/// take reports for pseudonyms that were bound.
fn open_directory(
    config: &Config,
    store: &Store,
    seal: DirectorySeal,
) -> Result<DirectoryDb, StartError> {
    const NAME: &str = "directory";
    let is_new = store.meta(NAME)?.is_none();
    let directory = DirectoryDb::open(&config.data_dir.join("directory"), is_new, Box::new(seal))?;
    if is_new {
        store.set_meta(NAME, b"made")?;
    }
    Ok(directory)
}

/// The folder of the vault, and the note that there is one.
const VAULT: &str = "vault";

/// The vault, made once, also for a log of before there was one: without it a log would go on as if
/// nobody had ever kept a record.
fn open_vault(config: &Config, store: &Store, seal: VaultKeys) -> Result<VaultDb, StartError> {
    let is_new = store.meta(VAULT)?.is_none();
    let vault = VaultDb::open(&config.data_dir.join(VAULT), is_new, Box::new(seal))?;
    if is_new {
        store.set_meta(VAULT, b"made")?;
    }
    Ok(vault)
}

/// The vault of a stopped log; none: it never had one.
pub(crate) fn existing_vault(
    config: &Config,
    store: &Store,
    log: B256,
    keys: Arc<dyn KeyFile>,
) -> Result<Option<VaultDb>, StartError> {
    let Some(log_key) = keys.open(KeyTag::Log)? else { return Ok(None) };
    if store.meta(VAULT)?.is_none() {
        return Ok(None);
    }
    let seal = Box::new(VaultKeys::new(&log_key, log, keys));
    Ok(Some(VaultDb::open(&config.data_dir.join(VAULT), false, seal)?))
}

/// The key file under its master key. Both are made at the first start of a log and never again:
/// under new keys every event would look new, and every trail would begin anew.
pub(crate) fn open_keys(config: &Config, log: B256, is_new: bool) -> Result<KeyFileDb, StartError> {
    let masters = MasterFolder::new(&config.keys_dir, log);
    let path = config.keys_dir.join(masters::PRESENT);
    if masters.has_next() {
        complete_rewrap(config, &masters)?;
    }
    let master = match (path.exists(), is_new) {
        (true, _) => MasterKey::load(&path, log)?,
        (false, true) => MasterKey::create(&path, log)?,
        (false, false) => return Err(StartError::KeysLost { file: path }),
    };
    let keys = KeyFileDb::open(&config.keys_dir, Box::new(master))?;
    if !is_new && keys.open(KeyTag::Log)?.is_none() {
        return Err(StartError::KeysLost { file: config.keys_dir.join("keys.redb") });
    }
    Ok(keys)
}

/// A crash left two master keys. Whichever opens the key file is the one in use: the next one takes
/// the present one's place, or is dropped.
fn complete_rewrap(config: &Config, masters: &MasterFolder) -> Result<(), StartError> {
    let is_next = match opens(&config.keys_dir, masters.load_next())? {
        true => true,
        false if opens(&config.keys_dir, masters.load_present())? => false,
        // Neither: nothing is destroyed, and the start says what is wrong.
        false => return Ok(()),
    };
    match is_next {
        true => masters.take_next()?,
        false => masters.drop_next()?,
    }
    Ok(())
}

/// Whether a master key opens the key file. One that is half written opens nothing.
fn opens(folder: &Path, master: Result<MasterKey, file::FileError>) -> Result<bool, StartError> {
    let Ok(master) = master else { return Ok(false) };
    let keys = KeyFileDb::open(folder, Box::new(master))?;
    match keys.open(KeyTag::Log) {
        Ok(found) => Ok(found.is_some()),
        Err(JournalError::Damaged(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn fixed(store: &Store, name: &'static str, value: &str) -> Result<(), StartError> {
    match store.meta(name)? {
        None => Ok(store.set_meta(name, value.as_bytes())?),
        Some(was) if was == value.as_bytes() => Ok(()),
        Some(was) => {
            let was = String::from_utf8_lossy(&was).into_owned();
            Err(StartError::Changed { name, was, is: value.to_owned() })
        }
    }
}

/// When this operator's key began to speak for the log: at its first start.
pub(crate) fn since_ms(store: &Store) -> Result<u64, JournalError> {
    const NAME: &str = "operator_since_ms";
    if let Some(stored) = store.meta(NAME)? {
        let text = String::from_utf8_lossy(&stored).into_owned();
        return text.parse().map_err(|_| JournalError::Damaged(format!("{NAME}: {text}")));
    }
    let now = now_ms();
    store.set_meta(NAME, now.to_string().as_bytes())?;
    Ok(now)
}
