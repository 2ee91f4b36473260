//! All events of a log in sorted runs, the full ones on disk: memory stays that of one run.

use medtrail_ledger::audit::doubles::{Double, Doubles, EventAt, RUN_EVENTS};
use medtrail_ledger::audit::{Check, Fault, Flaw, Tally};
use medtrail_ledger::ports::EventKey;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};

#[derive(Default)]
pub(super) struct Events {
    run: Vec<EventAt>,
    /// Each has no name and is gone with this process.
    runs: Vec<File>,
}

impl Events {
    pub(super) fn push(&mut self, event: EventKey, index: u64) -> io::Result<()> {
        self.run.push(EventAt { event, index });
        if self.run.len() < RUN_EVENTS {
            return Ok(());
        }
        self.run.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for event in self.run.drain(..) {
            file.write_all(&event.encode())?;
        }
        self.runs.push(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(())
    }

    /// Tells every event that stands twice; the first of them by where it is repeated.
    pub(super) fn finish(mut self, tally: &mut Tally) -> io::Result<()> {
        self.run.sort_unstable();
        let mut runs: Vec<Box<dyn Iterator<Item = io::Result<EventAt>>>> =
            vec![Box::new(self.run.into_iter().map(Ok))];
        for mut file in self.runs {
            file.rewind()?;
            runs.push(Box::new(FromDisk(BufReader::new(file))));
        }
        let (mut first, mut more): (Option<Double>, u64) = (None, 0);
        for double in Doubles::among(runs)? {
            let double = double?;
            more += 1;
            if first.is_none_or(|first| double.second < first.second) {
                first = Some(double);
            }
        }
        let Some(Double { event, first, second }) = first else {
            tally.say(Check::Events, "No event stands twice.");
            return Ok(());
        };
        let event = alloy_primitives::hex::encode(event.0);
        let words = format!(
            "entries {first} and {second} are one event of one actor about one subject ({event}); \
             {more} such repetitions in all."
        );
        tally.fault(Fault::new(Flaw::EventTwice, words).at(second).differs(first, second));
        Ok(())
    }
}

struct FromDisk(BufReader<File>);

impl Iterator for FromDisk {
    type Item = io::Result<EventAt>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; EventAt::BYTES];
        match self.0.read_exact(&mut bytes) {
            Ok(()) => Some(Ok(EventAt::decode(&bytes))),
            // Runs hold whole events: this is their end.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_found_across_runs_on_disk() {
        let mut events = Events::default();
        let mut tally = Tally::default();
        let key = |number: u64| {
            let mut key = [7; 16];
            key[8..].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
            EventKey(key)
        };
        let entries = 2 * RUN_EVENTS as u64 + 100;
        for index in 0..entries {
            // Entry 5 comes again in another run; entry 9 even later.
            let number = match index {
                1_500_000 => 5,
                2_000_000 => 9,
                _ => index,
            };
            events.push(key(number), index).unwrap();
        }
        events.finish(&mut tally).unwrap();
        let fault = tally.first_fault().unwrap();
        assert_eq!((fault.flaw, fault.index), (Flaw::EventTwice, Some(1_500_000)));
        assert!(fault.words.contains("2 such repetitions"), "{}", fault.words);
    }
}
