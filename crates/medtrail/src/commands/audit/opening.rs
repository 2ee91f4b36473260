//! What the operator's own auditor can see: each row opened with the keys, on all processors, and
//! then followed in the order of the log.

use super::permissions::Permissions;
use crate::exit::Failure;
use alloy_primitives::{Address, B256};
use medtrail_keys::masters::MasterFolder;
use medtrail_ledger::audit::content::{LastBatch, Opened, Rules, Word};
use medtrail_ledger::audit::evidence::OpenedEntry;
use medtrail_ledger::audit::history::History;
use medtrail_ledger::audit::joins::Joins;
use medtrail_ledger::audit::order::{Clock, ErasedLines, Erasures, InOrder, Kinds, Promise};
use medtrail_ledger::audit::rows::SealedRow;
use medtrail_ledger::audit::{Check, Fault, Flaw, Tally};
use medtrail_ledger::ports::{JournalError, KeyFile, KeyTag};
use medtrail_ledger::schema::domain;
use medtrail_ledger::trust::TrustFile;
use medtrail_oracle::erasure::{Part, read_done};
use medtrail_oracle::opener::{Entry, EntryError, Opener, tags};
use medtrail_permit::documents::{Document, Registries};
use medtrail_store::KeyFileDb;
use std::path::Path;
use std::sync::Arc;

/// Rows that are opened together at most, and their bytes.
const ROWS_TOGETHER: usize = 4096;
const BYTES_TOGETHER: usize = 8 << 20;

/// Opens rows and follows them.
pub(super) struct Opening<'a> {
    opener: Opener,
    rules: Rules<'a>,
    waiting: Vec<SealedRow>,
    waiting_bytes: usize,
    threads: usize,
    clock: Clock,
    promise: Promise,
    kinds: Kinds,
    erasures: Erasures,
    joins: Joins,
    words: Words,
    permissions: Option<Permissions<'a>>,
    /// The entry of the first fault.
    pub(super) entry: Option<OpenedEntry>,
}

/// How many entries are whose word.
#[derive(Default)]
struct Words {
    named: u64,
    persons: u64,
    signed: u64,
    relayed: u64,
}

/// What became of one row.
enum Seen {
    Opened(Box<Opened>, Result<Word, Box<Fault>>),
    /// Its key is gone.
    Gone,
    Damaged,
    Unreadable(JournalError),
}

/// The keys of a log in `folder`. Nothing is made where nothing is: a mistyped folder is not a log
/// whose keys are gone.
fn open_keys(folder: &Path, log: B256) -> Result<KeyFileDb, Failure> {
    for name in ["master.key", "keys.redb"] {
        if !folder.join(name).exists() {
            return Err(Failure::new(format!(
                "there is no {name} in {}: name the log's keys_dir, or a copy of it",
                folder.display()
            )));
        }
    }
    let masters = MasterFolder::new(folder, log);
    let keys = KeyFileDb::open(folder, Box::new(masters.load_present()?))?;
    let is_under_next = matches!(keys.open(KeyTag::Log), Err(JournalError::Damaged(_)));
    if !(is_under_next && masters.has_next()) {
        return Ok(keys);
    }
    // A copy made in the middle of a rewrap. Nothing is repaired here.
    drop(keys);
    Ok(KeyFileDb::open(folder, Box::new(masters.load_next()?))?)
}

impl<'a> Opening<'a> {
    pub(super) fn new(
        folder: &Path,
        history: &'a History,
        trust: Option<&'a TrustFile>,
        permissions: Option<Permissions<'a>>,
    ) -> Result<Self, Failure> {
        let keys = Arc::new(open_keys(folder, history.log)?);
        let none =
            || Failure::new(format!("the keys in {} are not those of this log", folder.display()));
        let log_key = keys.open(KeyTag::Log)?.ok_or_else(none)?;
        let opener = Opener::new(history.log, keys)?.ok_or_else(none)?;
        let domain = domain(history.chain_id, history.registry);
        let operators: &[Address] = &history.operators;
        let registries = Registries {
            chain_id: history.chain_id,
            // Owns no document that is read here.
            consent_registry: Address::ZERO,
            anchor_registry: history.registry,
        };
        let read_erasure = Box::new(move |entry: &Opened| erased_lines(entry, &registries));
        Ok(Self {
            opener,
            joins: Joins::new(domain.clone()),
            rules: Rules::new(history.log, domain, tags(&log_key), trust, operators),
            waiting: Vec::new(),
            waiting_bytes: 0,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            clock: Clock::default(),
            promise: Promise::new(history),
            kinds: Kinds::default(),
            erasures: Erasures::new(tags(&log_key), read_erasure),
            words: Words::default(),
            permissions,
            entry: None,
        })
    }

    /// Everything that follows the log in order.
    fn in_order(&mut self) -> impl Iterator<Item = &mut dyn InOrder> {
        let all: [&mut dyn InOrder; 5] = [
            &mut self.clock,
            &mut self.promise,
            &mut self.kinds,
            &mut self.erasures,
            &mut self.joins,
        ];
        let permissions = self.permissions.as_mut().map(Permissions::in_order);
        all.into_iter().chain(permissions)
    }

    /// Takes the next row.
    pub(super) fn push(&mut self, row: SealedRow, tally: &mut Tally) -> Result<(), Failure> {
        self.waiting_bytes += row.row.len();
        self.waiting.push(row);
        match self.waiting.len() >= ROWS_TOGETHER || self.waiting_bytes >= BYTES_TOGETHER {
            true => self.work(tally),
            false => Ok(()),
        }
    }

    /// There are no more rows.
    pub(super) fn finish(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        self.work(tally)?;
        self.in_order().for_each(|one| one.finish(tally));
        tally.say(Check::Content, "Rows open to what the log committed to.");
        let Words { named, persons, signed, relayed } = self.words;
        match signed {
            0 => tally.say(
                Check::Signatures,
                format!(
                    "{named} signed by whom your trust file names, {persons} by people themselves, \
                     {relayed} relayed."
                ),
            ),
            _ => tally.note(
                Check::Signatures,
                format!(
                    "{signed} are signed, {relayed} relayed: without --trust nobody says by whom."
                ),
            ),
        }
        Ok(())
    }

    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// What was found of permissions, and what shows the first fault of them.
    pub(super) fn permissions(&mut self) -> Option<Permissions<'a>> {
        self.permissions.take()
    }

    fn work(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let share = rows.len().div_ceil(self.threads).max(1);
        let (opener, rules) = (&self.opener, &self.rules);
        let seen: Vec<Seen> = std::thread::scope(|scope| {
            let look = |rows| move || look_at(opener, rules, rows);
            let threads: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(look(rows))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined
                .flat_map(|seen| seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        if let Some(permissions) = &mut self.permissions {
            let entries = seen.iter().filter_map(|seen| match seen {
                Seen::Opened(entry, _) => Some(&**entry),
                _ => None,
            });
            permissions.ask(entries)?;
        }
        for (row, seen) in rows.iter().zip(seen) {
            self.follow(row, seen, tally)?;
        }
        Ok(())
    }

    fn follow(&mut self, row: &SealedRow, seen: Seen, tally: &mut Tally) -> Result<(), Failure> {
        tally.count(Check::Content, 1);
        match seen {
            Seen::Opened(entry, outcome) => {
                let is_first = tally.first_fault().is_none();
                let mut is_itself = true;
                match outcome {
                    Ok(word) => {
                        tally.count(Check::Signatures, 1);
                        let Words { named, persons, signed, relayed } = &mut self.words;
                        *match word {
                            Word::Named => named,
                            Word::Person => persons,
                            Word::Signed => signed,
                            Word::Relayed => relayed,
                        } += 1;
                    }
                    Err(fault) => {
                        // What is not what the log committed to is not followed.
                        is_itself = fault.flaw.check() != Check::Content;
                        tally.fault(*fault);
                    }
                }
                if is_itself {
                    self.in_order().for_each(|one| one.opened(&entry, tally));
                }
                if is_first && tally.first_fault().is_some() {
                    self.entry = Some(OpenedEntry::from(&*entry));
                }
            }
            Seen::Gone => self.in_order().for_each(|one| one.unopenable(row)),
            Seen::Damaged => {
                let words = format!(
                    "row {} does not open under its key: it is not what was sealed.",
                    row.index
                );
                let fault = Fault::new(Flaw::RowDamaged, words).at(row.index);
                tally.fault(fault.in_file(medtrail_ledger::audit::rows::ROWS_FILE));
            }
            Seen::Unreadable(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// What an erasure's entry says that it destroyed, if the document in it was signed for this log.
fn erased_lines(entry: &Opened, registries: &Registries) -> Option<ErasedLines> {
    let done = read_done(entry.details.as_deref()?)?;
    let Document::Erase(erase) = &done.signed.document else { return None };
    let subject = erase.subject.into_word();
    let is_its = subject == entry.report.subject
        && erase.log == entry.report.log
        && done.signed.document.id(registries) == entry.report.permission;
    let signer = done.signed.signer(registries).ok()?.filter(|_| is_its)?;
    // Of the address's own part no more than was signed for.
    let end = |part: &Part| match part.subject == subject {
        true => part.through.min(erase.upToOrdinal),
        false => part.through,
    };
    let parts = done.parts.iter().map(|part| (part.subject, end(part))).collect();
    Some(ErasedLines { parts, is_own_key: signer == erase.subject })
}

fn look_at(opener: &Opener, rules: &Rules<'_>, rows: &[SealedRow]) -> Vec<Seen> {
    let mut batch = LastBatch::default();
    let look = |row: &SealedRow| match opener.open(row.index, &row.row) {
        Ok(Entry { index, report, place, evidence, details }) => {
            let SealedRow { header, commitment, previous, .. } = *row;
            let entry =
                Opened { index, header, commitment, previous, report, place, evidence, details };
            let word = rules.check(&entry, &mut batch);
            Seen::Opened(Box::new(entry), word)
        }
        Err(EntryError::Erased(_)) => Seen::Gone,
        Err(EntryError::Journal(error)) => Seen::Unreadable(error),
        Err(_) => Seen::Damaged,
    };
    rows.iter().map(look).collect()
}
