//! Rows as an export writes them, held against the tiles: all are there, in order, and each
//! subject's entries are numbered without a gap. Needs no key.

use super::{Check, Fault, Flaw, Tally, word};
use crate::merkle::Hash;
use crate::ports::{RowHeader, SubjectTag};
use alloy_primitives::{B256, hex};
use std::collections::HashMap;

/// The file of an export that holds the rows.
pub const ROWS_FILE: &str = "rows.ndjson";
/// The longest line that an honest export writes is about half of this.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// A row that is at its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedRow {
    /// Its place in the log.
    pub index: u64,
    /// What of it stands in clear.
    pub header: RowHeader,
    /// Its commitment, from the tiles.
    pub commitment: B256,
    /// Commitment of the subject's entry before, from the tiles; zero for the first, or where no
    /// person is concerned.
    pub previous: B256,
    /// Header and seal.
    pub row: Vec<u8>,
}

/// A line of [`ROWS_FILE`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The place it claims.
    pub index: u64,
    /// The commitment it claims.
    pub commitment: Hash,
    /// The row.
    pub row: Vec<u8>,
}

impl Line {
    /// Reads a line without its newline. It has one spelling, `None` for any other.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(br#"{"index":"#)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let index: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        let is_canonical = number == b"0" || number.first().is_some_and(|first| *first != b'0');
        let rest = rest.strip_prefix(br#","commitment":"0x"#)?;
        let (commitment, rest) = rest.split_at_checked(64)?;
        let row = rest.strip_prefix(br#"","row":"0x"#)?.strip_suffix(br#""}"#)?;
        let is_lower = |digits: &[u8]| !digits.iter().any(u8::is_ascii_uppercase);
        if !is_canonical || !is_lower(commitment) || !is_lower(row) {
            return None;
        }
        let commitment = hex::decode(commitment).ok()?.try_into().ok()?;
        Some(Self { index, commitment, row: hex::decode(row).ok()? })
    }
}

/// Where a subject's trail ends: with its tag 64 bytes a subject, and what the table adds.
#[derive(Clone, Copy)]
struct TrailEnd {
    ordinal: u64,
    index: u64,
    commitment: B256,
}

/// Takes row by row. Grows with the number of subjects, not with that of entries.
#[derive(Default)]
pub struct RowsReplay {
    next: u64,
    trails: HashMap<SubjectTag, TrailEnd>,
    /// Nothing after a missing row can be held against its place.
    has_stopped: bool,
}

impl RowsReplay {
    /// Before the first row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Subjects met so far.
    pub fn subjects(&self) -> usize {
        self.trails.len()
    }

    /// Rows taken so far.
    pub fn taken(&self) -> u64 {
        self.next
    }

    /// Takes the next line (without its newline; `None` if the file has ended) of the row whose
    /// commitment the tiles have. `None` ends the replay of rows, which the fault says.
    pub fn take(
        &mut self,
        line: Option<&[u8]>,
        commitment: &Hash,
        tally: &mut Tally,
    ) -> Option<SealedRow> {
        if self.has_stopped {
            return None;
        }
        let taken = self.read(line, commitment, tally);
        match taken {
            Ok(row) => {
                self.next += 1;
                let previous = self.follow(&row.0, commitment, tally);
                let (header, row) = row;
                let commitment = word(commitment);
                Some(SealedRow { index: self.next - 1, header, commitment, previous, row })
            }
            Err(fault) => {
                self.has_stopped = true;
                tally.fault(*fault);
                None
            }
        }
    }

    /// There must be no line after the log's last.
    pub fn finish(&mut self, line: Option<&[u8]>, tally: &mut Tally) {
        if line.is_some() && !self.has_stopped {
            let words = format!(
                "{ROWS_FILE} goes on after row {}, where the log ends: the checkpoint hides entries.",
                self.next.saturating_sub(1)
            );
            tally.fault(Fault::new(Flaw::RowsSurplus, words).in_file(ROWS_FILE).at(self.next));
        }
    }

    fn read(
        &self,
        line: Option<&[u8]>,
        commitment: &Hash,
        tally: &mut Tally,
    ) -> Result<(RowHeader, Vec<u8>), Box<Fault>> {
        let index = self.next;
        let fault = |flaw, words: String| Fault::new(flaw, words).in_file(ROWS_FILE).at(index);
        let Some(line) = line else {
            let words = format!("{ROWS_FILE} ends before row {index}: rows are withheld.");
            return Err(fault(Flaw::RowsMissing, words).into());
        };
        let Some(Line { index: said, commitment: claimed, row }) = Line::parse(line) else {
            let words = format!("line {} of {ROWS_FILE} is not one of an export.", index + 1);
            return Err(fault(Flaw::RowUnreadable, words).into());
        };
        if said != index {
            let words = format!("line {} of {ROWS_FILE} is row {said}, not {index}.", index + 1);
            return Err(fault(Flaw::RowOutOfOrder, words).differs(index, said).into());
        }
        tally.count(Check::Rows, 1);
        if claimed != *commitment {
            let words = format!(
                "row {index} claims commitment {}; the tiles have {}.",
                word(&claimed),
                word(commitment)
            );
            let fault = fault(Flaw::RowCommitment, words);
            tally.fault(fault.bytes_differ(commitment, claimed));
        }
        let Some(header) = RowHeader::decode(&row) else {
            let words = format!("row {index} is empty, cut short, or of an unknown format.");
            let start = hex::encode_prefixed(&row[..row.len().min(RowHeader::BYTES)]);
            let mut fault = fault(Flaw::HeaderUnreadable, words);
            fault.found = Some(start);
            return Err(fault.into());
        };
        Ok((header, row))
    }

    /// Holds a row against the end of its trail, which it then is. Goes on from the number found, so
    /// that one gap is one fault.
    fn follow(&mut self, header: &RowHeader, commitment: &Hash, tally: &mut Tally) -> B256 {
        let index = self.next - 1;
        if header.ordinal == 0 {
            return B256::ZERO;
        }
        tally.count(Check::Trails, 1);
        let end = TrailEnd { ordinal: header.ordinal, index, commitment: B256::from(*commitment) };
        let before = self.trails.insert(header.subject, end);
        let expected = before.map_or(1, |before| before.ordinal.saturating_add(1));
        if header.ordinal != expected {
            let tag = hex::encode(header.subject.0);
            let after = match before {
                None => "it is the subject's first".to_owned(),
                Some(before) => {
                    format!("entry {} before it has number {}", before.index, before.ordinal)
                }
            };
            let words = format!(
                "row {index} has number {} in the trail {tag}, but {after}.",
                header.ordinal
            );
            let fault = Fault::new(Flaw::OrdinalOutOfOrder, words).in_file(ROWS_FILE).at(index);
            tally.fault(fault.differs(expected, header.ordinal));
        }
        before.map_or(B256::ZERO, |before| before.commitment)
    }
}
