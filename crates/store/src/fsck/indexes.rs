//! Rows against indexes, both ways, and rows against their doubles.

use super::{Check, Damage, OpenRow, Place};
use crate::db::Fault;
use crate::files::FileName;
use crate::head;
use crate::index::OpenIndex;
use crate::log::{self, EVENTS, RECORDS, ROWS, TRAILS, number_of, tagged};
use medtrail_ledger::merkle::Hash;
use medtrail_ledger::ports::{EventKey, RecordTag, RowHeader, SubjectTag};
use medtrail_ledger::tile::{TILE_HASHES, TileId, hashes};
use std::collections::HashMap;

/// How often a caller hears how far it is, in entries.
const PROGRESS_EVERY: u64 = 4_096;

struct Indexes {
    trails: OpenIndex<24, u64>,
    events: OpenIndex<16, u64>,
    records: OpenIndex<24, ()>,
}

/// Index rows that the rows account for.
#[derive(Default)]
struct Expected {
    trails: u64,
    events: u64,
    records: u64,
}

impl Check<'_> {
    /// Every row: there, readable, found by each index, equal to its double, and what the log
    /// committed to.
    pub(super) fn rows(
        &mut self,
        open_row: &mut Option<OpenRow<'_>>,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<(), Fault> {
        let indexes = self.open_indexes()?;
        let rows = self.log.open_table(ROWS)?;
        let mut tile = (u64::MAX, Vec::new());
        let mut unfiled_trails = HashMap::new();
        for index in 0..self.tail.size {
            let in_head = match index >= self.kept_from {
                true => head::row(self.head, self.shape, index)?,
                false => None,
            };
            let (file, row) = if index < self.filed {
                let row = rows.get(index)?.map(|row| row.value().to_vec());
                if in_head.is_some() && row.is_some() && row != in_head {
                    self.found(FileName::Head, Place::Row(index), Damage::Doubles);
                }
                (FileName::Log, row)
            } else {
                (FileName::Head, in_head)
            };
            let Some(row) = row else {
                self.found(file, Place::Row(index), Damage::Missing);
                continue;
            };
            let Some(header) = RowHeader::decode(&row) else {
                self.found(file, Place::Row(index), Damage::Unreadable);
                continue;
            };
            if file == FileName::Log {
                self.find_in_indexes(&indexes, index, &header)?;
            } else {
                self.follow_unfiled(&mut unfiled_trails, index, &header)?;
            }
            if let Some(open_row) = open_row
                && let Some(made) = open_row(index, &row)
            {
                self.report.opened += 1;
                if self.commitment(&mut tile, index)?.is_some_and(|stored| stored != made) {
                    self.found(file, Place::Commitment(index), Damage::Differs);
                }
            }
            if index % PROGRESS_EVERY == 0 {
                progress(index, self.tail.size);
            }
        }
        progress(self.tail.size, self.tail.size);
        Ok(())
    }

    fn open_indexes(&self) -> Result<Indexes, Fault> {
        Ok(Indexes {
            trails: TRAILS.open(self.log)?,
            events: EVENTS.open(self.log)?,
            records: RECORDS.open(self.log)?,
        })
    }

    fn find_in_indexes(
        &mut self,
        indexes: &Indexes,
        index: u64,
        header: &RowHeader,
    ) -> Result<(), Fault> {
        let event = indexes.events.get(&header.event.0)?;
        self.leads_to(Place::Event(header.event), event, index);
        if header.ordinal > 0 {
            let key = tagged(&header.subject.0, header.ordinal);
            let trail = indexes.trails.get(&key)?;
            self.leads_to(Place::Trail(header.subject, header.ordinal), trail, index);
        }
        if header.record != RecordTag([0; 16]) {
            let stands = indexes.records.get(&tagged(&header.record.0, index))?.is_some();
            self.leads_to(Place::Record(header.record, index), stands.then_some(index), index);
        }
        Ok(())
    }

    fn leads_to(&mut self, place: Place, found: Option<u64>, expected: u64) {
        match found {
            Some(found) if found == expected => {}
            Some(found) => self.found(FileName::Log, place, Damage::LeadsTo { found, expected }),
            None => self.found(FileName::Log, place, Damage::Missing),
        }
    }

    /// Trails go on from where the index ends.
    fn follow_unfiled(
        &mut self,
        trails: &mut HashMap<SubjectTag, u64>,
        index: u64,
        header: &RowHeader,
    ) -> Result<(), Fault> {
        if header.ordinal == 0 {
            return Ok(());
        }
        let last = match trails.get(&header.subject) {
            Some(&last) => last,
            None => log::last_of(self.log, header.subject)?.map_or(0, |head| head.ordinal),
        };
        if header.ordinal != last + 1 {
            self.found(FileName::Head, Place::Row(index), Damage::NotNext);
        }
        trails.insert(header.subject, header.ordinal);
        Ok(())
    }

    fn commitment(&self, tile: &mut (u64, Vec<Hash>), index: u64) -> Result<Option<Hash>, Fault> {
        let id = TileId { level: 0, index: index / TILE_HASHES as u64 };
        if tile.0 != id.index {
            let stored = match crate::rows::tile_in(self.log, id)? {
                Some(stored) => Some(stored),
                None => crate::rows::tile_in(self.head, id)?,
            };
            *tile = (id.index, hashes(&stored.unwrap_or_default()));
        }
        Ok(tile.1.get((index % TILE_HASHES as u64) as usize).copied())
    }

    /// Every index row belongs to a row, and each trail counts 1, 2, 3… along the log.
    pub(super) fn indexes(&mut self) -> Result<(), Fault> {
        let indexes = self.open_indexes()?;
        let rows = self.log.open_table(ROWS)?;
        let mut expected = Expected::default();
        for (place, row) in rows.range::<u64>(..)?.enumerate() {
            let (index, row) = row?;
            if index.value() >= self.filed {
                self.found(FileName::Log, Place::Row(index.value()), Damage::Surplus);
            }
            if let Some(header) = RowHeader::decode(row.value()) {
                expected.trails += u64::from(header.ordinal > 0);
                expected.records += u64::from(header.record != RecordTag([0; 16]));
            }
            expected.events = place as u64 + 1;
        }
        self.follow_trails(&indexes)?;
        // All rows were found through the indexes. So, unless something is wrong already, equal
        // numbers mean that nothing else is in them, and the slow way back is not needed.
        let header_of = |index: u64| -> Result<Option<RowHeader>, Fault> {
            Ok(rows.get(index)?.and_then(|row| RowHeader::decode(row.value())))
        };
        if indexes.trails.len()? != expected.trails || !self.report.is_clean() {
            for row in indexes.trails.all()? {
                let (key, index) = row?;
                let (subject, ordinal) = (tag_of(&key), number_of(&key));
                let header = header_of(index)?;
                if header
                    .is_none_or(|header| (header.subject.0, header.ordinal) != (subject, ordinal))
                {
                    let place = Place::Trail(SubjectTag(subject), ordinal);
                    self.found(FileName::Log, place, Damage::Surplus);
                }
            }
        }
        if indexes.events.len()? != expected.events || !self.report.is_clean() {
            for row in indexes.events.all()? {
                let (key, index) = row?;
                let event = EventKey(key);
                if header_of(index)?.is_none_or(|header| header.event != event) {
                    self.found(FileName::Log, Place::Event(event), Damage::Surplus);
                }
            }
        }
        if indexes.records.len()? != expected.records || !self.report.is_clean() {
            for row in indexes.records.all()? {
                let key = row?.0;
                let (record, index) = (RecordTag(tag_of(&key)), number_of(&key));
                if header_of(index)?.is_none_or(|header| header.record != record) {
                    self.found(FileName::Log, Place::Record(record, index), Damage::Surplus);
                }
            }
        }
        Ok(())
    }

    fn follow_trails(&mut self, indexes: &Indexes) -> Result<(), Fault> {
        let mut before: Option<([u8; 16], u64, u64)> = None;
        for row in indexes.trails.all()? {
            let (key, index) = row?;
            let (subject, ordinal) = (tag_of(&key), number_of(&key));
            let follows = match before {
                Some((same, last, last_index)) if same == subject => {
                    ordinal == last + 1 && index > last_index
                }
                _ => ordinal == 1,
            };
            if !follows {
                let place = Place::Trail(SubjectTag(subject), ordinal);
                self.found(FileName::Log, place, Damage::NotNext);
            }
            before = Some((subject, ordinal, index));
        }
        Ok(())
    }
}

fn tag_of(key: &[u8; 24]) -> [u8; 16] {
    key[..16].try_into().expect("16 bytes")
}
