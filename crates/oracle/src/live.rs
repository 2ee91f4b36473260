//! The directory as it is now, in memory: who may report, and which pseudonym is whose. Every
//! change is durable before it shows here.

use crate::calls::board::Board;
use crate::emergencies::book::Emergencies;
use crate::inquiries::book::Book;
use crate::opener::Entry;
use crate::organisations::{Listed, ReportsBy};
use crate::sales::stall::Stall;
use crate::sources::register::Register;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    AliasRow, AliasState, ApiKeyRow, BindingRow, BindingState, ChannelsRow, Contents, Directory,
    DirectoryChange, DueNotice, ErasureRow, HoldRow, InviteRow, OrganisationRow, PendingEntry,
    organisation_id,
};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::trust::{Key, Organisation, TrustFile};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

/// Where a pseudonym's entries go now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    pub(crate) to: Address,
    /// Whether both entries of the binding are in the log. Until then nobody is told of the move:
    /// a report that came before it may still be on its way.
    pub(crate) is_settled: bool,
}

/// The directory's rows by what they are looked up by.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) organisations: BTreeMap<Address, OrganisationRow>,
    pub(crate) invites: HashMap<B256, InviteRow>,
    pub(crate) api_keys: HashMap<String, ApiKeyRow>,
    pub(crate) bindings: HashMap<B256, BindingRow>,
    pub(crate) pending: BTreeMap<B256, PendingEntry>,
    pub(crate) book: Book,
    pub(crate) erasures: HashMap<B256, ErasureRow>,
    pub(crate) holds: HashMap<B256, HoldRow>,
    pub(crate) channels: BTreeMap<Address, ChannelsRow>,
    pub(crate) due: BTreeMap<B256, DueNotice>,
    pub(crate) sources: Register,
    pub(crate) emergencies: Emergencies,
    pub(crate) stall: Stall,
    pub(crate) board: Board,
    /// Pseudonyms about which a document stands in the log: each takes the word of the organisation
    /// that keeps it, so that they are no more than organisations named guardians of.
    pub(crate) guarded: HashSet<B256>,
    /// Aliases by their own address.
    aliases: HashMap<Address, AliasRow>,
    /// The aliases of each person, oldest first.
    joined: HashMap<Address, Vec<Address>>,
    /// The bindings that made each person's parts, oldest first.
    parts: HashMap<Address, Vec<B256>>,
    /// The bindings that are not done: few, while those that are may be as many as people.
    open: BTreeSet<B256>,
    /// All organisations, the configured ones first; made from the rows.
    listed: Vec<Listed>,
    /// Organisations by their ids and by all keys they have or had.
    by_address: HashMap<Address, Address>,
}

impl Rows {
    fn of(mut contents: Contents) -> (Self, HashMap<B256, Moved>, HashMap<Address, u64>) {
        let (stall, board) = (Stall::of(&mut contents), Board::of(&mut contents));
        let mut rows = Self { book: Book::of(&mut contents), stall, board, ..Self::default() };
        let mut moved = HashMap::new();
        let channels = std::mem::take(&mut contents.channels);
        rows.channels.extend(channels.into_iter().map(|row| (row.subject, row)));
        let emergencies = std::mem::take(&mut contents.emergencies);
        emergencies.into_iter().for_each(|row| rows.emergencies.put(row));
        rows.guarded.extend(std::mem::take(&mut contents.guarded));
        std::mem::take(&mut contents.sources).into_iter().for_each(|row| rows.sources.put(row));
        let mut aliases = std::mem::take(&mut contents.aliases);
        aliases.sort_by_key(|row| match row.state {
            AliasState::Entered { entries: [first, _] } => first,
            AliasState::Entering { .. } => u64::MAX,
        });
        aliases.into_iter().for_each(|row| rows.put_alias(row));
        let due = std::mem::take(&mut contents.due);
        rows.due.extend(due.into_iter().map(|row| (row.id, row)));
        let Contents { organisations, invites, api_keys, bindings, pending, heard, .. } = contents;
        rows.erasures.extend(contents.erasures.into_iter().map(|row| (row.id, row)));
        rows.holds.extend(contents.holds.into_iter().map(|row| (row.id, row)));
        rows.organisations.extend(organisations.into_iter().map(|row| (row.id, row)));
        rows.invites.extend(invites.into_iter().map(|row| (row.code_hash, row)));
        rows.api_keys.extend(api_keys.into_iter().map(|row| (row.id.clone(), row)));
        rows.pending.extend(pending.into_iter().map(|row| (row.event, row)));
        let mut bindings = bindings;
        bindings.sort_by_key(|row| match row.state {
            BindingState::Entered { entries: [last, _], .. } => last,
            _ => u64::MAX,
        });
        bindings.into_iter().for_each(|row| rows.put_binding(row, &mut moved));
        (rows, moved, heard.into_iter().collect())
    }

    /// Lists the organisations anew, after rows changed.
    fn list(&mut self, configured: &TrustFile) -> Arc<TrustFile> {
        self.listed = organisations_of(configured, self);
        self.by_address.clear();
        for one in &self.listed {
            let keys = one.keys.iter().map(|key| key.address);
            keys.chain([one.id]).for_each(|address| {
                self.by_address.entry(address).or_insert(one.id);
            });
        }
        let organisations = self.listed.iter().map(|one| Organisation {
            name: one.name.clone(),
            register_number: one.register_number.clone(),
            domain: one.domain.clone(),
            keys: one.keys.clone(),
        });
        Arc::new(TrustFile { organisations: organisations.collect(), ..configured.clone() })
    }

    fn put_binding(&mut self, row: BindingRow, moved: &mut HashMap<B256, Moved>) {
        let moves = match &row.state {
            BindingState::Entering { parties, .. } => Some((parties.subject, false)),
            BindingState::Entered { subject, .. } => Some((*subject, true)),
            _ => None,
        };
        if let Some((to, is_settled)) = moves {
            moved.insert(row.pseudonym, Moved { to, is_settled });
            let parts = self.parts.entry(to).or_default();
            if !parts.contains(&row.id) {
                parts.push(row.id);
            }
        }
        match &row.state {
            BindingState::Entered { .. } => self.open.remove(&row.id),
            _ => self.open.insert(row.id),
        };
        self.bindings.insert(row.id, row);
    }

    fn put_alias(&mut self, row: AliasRow) {
        let own = self.joined.entry(row.subject).or_default();
        if !own.contains(&row.alias) {
            own.push(row.alias);
        }
        self.aliases.insert(row.alias, row);
    }

    /// All organisations, the configured ones first.
    pub(crate) fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// An alias.
    pub(crate) fn alias(&self, alias: Address) -> Option<&AliasRow> {
        self.aliases.get(&alias)
    }

    /// The aliases of a person.
    pub(crate) fn aliases_of(&self, subject: Address) -> impl Iterator<Item = &AliasRow> {
        let own = self.joined.get(&subject).into_iter().flatten();
        own.filter_map(|alias| self.aliases.get(alias))
    }

    /// The aliases whose entries are not in the log, or may not be.
    pub(crate) fn entering_aliases(&self) -> impl Iterator<Item = &AliasRow> {
        let is_entering = |row: &&AliasRow| matches!(row.state, AliasState::Entering { .. });
        self.aliases.values().filter(is_entering)
    }

    /// The bindings that are not done.
    pub(crate) fn open_bindings(&self) -> impl Iterator<Item = &BindingRow> {
        self.open.iter().filter_map(|id| self.bindings.get(id))
    }

    /// The bindings that made a person's parts.
    pub(crate) fn bindings_of(&self, subject: Address) -> impl Iterator<Item = &BindingRow> {
        let ids = self.parts.get(&subject).into_iter().flatten();
        ids.filter_map(|id| self.bindings.get(id))
    }

    fn apply(&mut self, change: DirectoryChange, moved: &mut HashMap<B256, Moved>) {
        match change {
            DirectoryChange::PutOrganisation(row) => {
                self.organisations.insert(row.id, row);
            }
            DirectoryChange::PutInvite(row) => {
                self.invites.insert(row.code_hash, row);
            }
            DirectoryChange::DropInvite(hash) => {
                self.invites.remove(&hash);
            }
            DirectoryChange::PutApiKey(row) => {
                self.api_keys.insert(row.id.clone(), row);
            }
            DirectoryChange::PutBinding(row) => self.put_binding(row, moved),
            DirectoryChange::DropBinding(id) => {
                self.bindings.remove(&id);
                self.open.remove(&id);
            }
            DirectoryChange::PutPending(row) => {
                self.pending.insert(row.event, row);
            }
            DirectoryChange::DropPending(event) => {
                self.pending.remove(&event);
            }
            DirectoryChange::PutInquiry(row) => self.book.put(row),
            DirectoryChange::DropInquiry(id) => self.book.drop(id),
            DirectoryChange::PutCorrection(row) => self.book.correct(row),
            DirectoryChange::PutErasure(row) => {
                self.erasures.insert(row.id, row);
            }
            DirectoryChange::PutHold(row) => {
                self.holds.insert(row.id, row);
            }
            DirectoryChange::DropHold(id) => {
                self.holds.remove(&id);
            }
            DirectoryChange::PutChannels(row) => {
                self.channels.insert(row.subject, row);
            }
            DirectoryChange::DropChannels(subject) => {
                self.channels.remove(&subject);
            }
            DirectoryChange::PutDue(row) => {
                self.due.insert(row.id, row);
            }
            DirectoryChange::DropDue(id) => {
                self.due.remove(&id);
            }
            DirectoryChange::PutSource(row) => self.sources.put(row),
            DirectoryChange::DropSource(id) => self.sources.drop(id),
            DirectoryChange::PutEmergency(row) => self.emergencies.put(row),
            DirectoryChange::DropEmergency(id) => self.emergencies.drop(id),
            DirectoryChange::PutAlias(row) => self.put_alias(row),
            DirectoryChange::PutOffer(row) => self.stall.put_offer(row),
            DirectoryChange::PutSale(row) => self.stall.put_sale(row),
            DirectoryChange::PutOptOut(row) => self.stall.put_opt_out(row),
            DirectoryChange::DropOffer(id) => self.stall.drop_offer(id),
            DirectoryChange::DropSale(id) => self.stall.drop_sale(id),
            DirectoryChange::Traded(read) => self.stall.traded = Some(read),
            DirectoryChange::PutCall(row) => self.board.put_call(row),
            DirectoryChange::DropCall(id) => self.board.drop_call(id),
            DirectoryChange::PutAcceptance(row) => self.board.put_acceptance(row),
            DirectoryChange::DropAcceptance(id) => self.board.drop_acceptance(id),
            DirectoryChange::PutGuarded(pseudonym) => {
                self.guarded.insert(pseudonym);
            }
            DirectoryChange::DropGuarded(pseudonym) => {
                self.guarded.remove(&pseudonym);
            }
            DirectoryChange::Heard(..)
            | DirectoryChange::Judged(_)
            | DirectoryChange::Guarded(_)
            | DirectoryChange::Inquired(_)
            | DirectoryChange::Noticed(_) => {}
        }
    }
}

/// When organisations were last heard.
#[derive(Default)]
struct Heard {
    at_ms: HashMap<Address, u64>,
    /// What is not saved yet.
    unsaved: HashMap<Address, u64>,
}

/// The directory, live.
pub(crate) struct Live {
    configured: TrustFile,
    directory: Arc<dyn Directory>,
    /// How far the log was judged when this was opened.
    judged: Option<u64>,
    /// How far it was known then about which pseudonyms documents stand.
    guarded_until: Option<u64>,
    /// How far its inquiries were known then.
    inquired: Option<u64>,
    /// How far it was read for notices then.
    noticed: Option<u64>,
    rows: RwLock<Rows>,
    trust: RwLock<Arc<TrustFile>>,
    moved: RwLock<HashMap<B256, Moved>>,
    heard: Mutex<Heard>,
    /// One act at a time.
    acts: Mutex<()>,
    /// A change may or may not be on disk: read it before the next act.
    is_in_doubt: AtomicBool,
    is_lost: AtomicBool,
    /// Until then the log is known to be busy: what is owed waits, and no thread with it.
    pub(crate) unpaid_until: Mutex<Option<Instant>>,
}

fn reading<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn writing<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn open(
        configured: TrustFile,
        directory: Arc<dyn Directory>,
    ) -> Result<Self, JournalError> {
        let contents = directory.load()?;
        let (judged, inquired) = (contents.judged, contents.inquired);
        let (noticed, guarded_until) = (contents.noticed, contents.guarded_until);
        let (mut rows, moved, at_ms) = Rows::of(contents);
        let trust = rows.list(&configured);
        Ok(Self {
            configured,
            directory,
            judged,
            guarded_until,
            inquired,
            noticed,
            rows: RwLock::new(rows),
            trust: RwLock::new(trust),
            moved: RwLock::new(moved),
            heard: Mutex::new(Heard { at_ms, unsaved: HashMap::new() }),
            acts: Mutex::default(),
            is_in_doubt: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
            unpaid_until: Mutex::default(),
        })
    }

    /// Begins an act: nobody else changes anything until the guard is dropped.
    pub(crate) fn begin(&self) -> Result<MutexGuard<'_, ()>, JournalError> {
        let guard = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_in_doubt.load(Ordering::SeqCst) {
            self.reload()?;
        }
        Ok(guard)
    }

    /// Reads everything anew: after a save that did not happen, or perhaps did.
    fn reload(&self) -> Result<(), JournalError> {
        let (mut rows, moved, _) = Rows::of(self.directory.load()?);
        *writing(&self.trust) = rows.list(&self.configured);
        *writing(&self.moved) = moved;
        *writing(&self.rows) = rows;
        self.is_in_doubt.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// How far the log was judged when this was opened; none: nobody had begun to.
    pub(crate) fn judged(&self) -> Option<u64> {
        self.judged
    }

    /// How far it was known when this was opened about which pseudonyms documents stand; none: nobody
    /// had looked.
    pub(crate) fn guarded_until(&self) -> Option<u64> {
        self.guarded_until
    }

    /// How far inquiries and corrections were known when this was opened; none: nobody had asked.
    pub(crate) fn inquired(&self) -> Option<u64> {
        self.inquired
    }

    /// How far the log was read for notices when this was opened; none: nobody had begun to.
    pub(crate) fn noticed(&self) -> Option<u64> {
        self.noticed
    }

    /// Whether a sync failed: nothing that this process reads of the file can be trusted any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// Makes changes durable, together; they show once this returns.
    pub(crate) fn apply(&self, changes: Vec<DirectoryChange>) -> Result<(), JournalError> {
        if let Err(error) = self.directory.save(&changes) {
            self.is_in_doubt.store(true, Ordering::SeqCst);
            match error.is_fatal() {
                true => self.is_lost.store(true, Ordering::SeqCst),
                false => {
                    if let Err(error) = self.reload() {
                        tracing::error!("the directory cannot be read: {error}");
                    }
                }
            }
            return Err(error);
        }
        let is_listed = |change: &DirectoryChange| {
            use DirectoryChange::{PutApiKey, PutOrganisation};
            matches!(change, PutOrganisation(_) | PutApiKey(_))
        };
        let lists = changes.iter().any(is_listed);
        let mut rows = writing(&self.rows);
        {
            let mut moved = writing(&self.moved);
            changes.into_iter().for_each(|change| rows.apply(change, &mut moved));
        }
        if lists {
            *writing(&self.trust) = rows.list(&self.configured);
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> RwLockReadGuard<'_, Rows> {
        reading(&self.rows)
    }

    pub(crate) fn trust(&self) -> Arc<TrustFile> {
        reading(&self.trust).clone()
    }

    /// Which pseudonyms are moved. Nobody marks one as moved while this is held.
    pub(crate) fn moved(&self) -> RwLockReadGuard<'_, HashMap<B256, Moved>> {
        reading(&self.moved)
    }

    /// The subject ids of a person, with whose pseudonym each was; the address itself first.
    pub(crate) fn parts(&self, subject: Address) -> Vec<(B256, Option<Address>)> {
        let rows = self.rows();
        let bound = rows.bindings_of(subject).map(|row| (row.pseudonym, Some(row.organisation)));
        std::iter::once((subject_of(subject), None)).chain(bound).collect()
    }

    /// The same with the aliases of a person, which nobody else may learn of.
    pub(crate) fn whole_parts(&self, subject: Address) -> Vec<(B256, Option<Address>)> {
        let mut parts = self.parts(subject);
        let rows = self.rows();
        parts.extend(rows.aliases_of(subject).map(|row| (subject_of(row.alias), None)));
        parts
    }

    /// All organisations, the configured ones first.
    pub(crate) fn listed(&self) -> Vec<Listed> {
        let mut listed = self.rows().listed.clone();
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for one in &mut listed {
            one.last_heard_ms = heard.at_ms.get(&one.id).copied();
        }
        listed
    }

    /// Notes that an organisation was heard.
    pub(crate) fn hear(&self, id: Address, now_ms: u64) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.at_ms.insert(id, now_ms);
        heard.unsaved.insert(id, now_ms);
    }

    /// Saves when organisations were last heard.
    pub(crate) fn save_heard(&self) -> Result<(), JournalError> {
        let unsaved = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut heard.unsaved)
        };
        if unsaved.is_empty() {
            return Ok(());
        }
        let changes: Vec<_> =
            unsaved.into_iter().map(|(id, at_ms)| DirectoryChange::Heard(id, at_ms)).collect();
        self.directory.save(&changes)
    }

    /// The organisation that has, or had, this key, or has this id.
    pub(crate) fn organisation_of(&self, address: Address) -> Option<Address> {
        self.rows().by_address.get(&address).copied()
    }

    /// The organisation whose word an entry is: that of the key that signed it, or the one for
    /// which the operator relayed it.
    pub(crate) fn reporter_of(&self, entry: &Entry) -> Option<Address> {
        #[derive(serde::Deserialize)]
        struct Relayed {
            version: String,
            organisation: Address,
        }
        if entry.evidence != Evidence::Relayed {
            return self.organisation_of(entry.report.actor);
        }
        let relayed: Relayed = serde_json::from_slice(entry.details.as_deref()?).ok()?;
        (relayed.version == "medtrail/relayed-v1").then_some(relayed.organisation)
    }
}

fn key_of(row: &medtrail_ledger::directory::KeyRow) -> Key {
    Key { address: row.address, from_ms: row.from_ms, until_ms: row.until_ms }
}

/// All organisations, configured and added, with their ids.
fn organisations_of(configured: &TrustFile, rows: &Rows) -> Vec<Listed> {
    let mut listed: Vec<Listed> = configured.organisations.iter().map(configured_one).collect();
    for row in rows.organisations.values() {
        let keys = row.keys.iter().map(key_of);
        match listed.iter_mut().find(|one| one.id == row.id) {
            Some(one) => one.keys.extend(keys),
            None => listed.push(Listed {
                id: row.id,
                name: row.name.clone(),
                register_number: row.register_number.clone(),
                domain: row.domain.clone(),
                keys: keys.collect(),
                reports_by: ReportsBy::Nothing,
                since_ms: row.since_ms,
                last_heard_ms: None,
            }),
        }
    }
    for one in &mut listed {
        let is_living = |key: &&ApiKeyRow| key.organisation == one.id && key.revoked_ms.is_none();
        one.reports_by = match one.keys.iter().any(|key| key.until_ms.is_none()) {
            true => ReportsBy::Signature,
            false if rows.api_keys.values().any(|key| is_living(&key)) => ReportsBy::ApiKey,
            false => ReportsBy::Nothing,
        };
    }
    listed
}

fn configured_one(organisation: &Organisation) -> Listed {
    let first = organisation.keys.first();
    Listed {
        id: first.map_or_else(|| organisation_id(&organisation.name), |key| key.address),
        name: organisation.name.clone(),
        register_number: organisation.register_number.clone(),
        domain: organisation.domain.clone(),
        keys: organisation.keys.clone(),
        reports_by: ReportsBy::Nothing,
        since_ms: first.map_or(0, |key| key.from_ms),
        last_heard_ms: None,
    }
}
