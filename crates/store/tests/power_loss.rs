//! Power goes at a random call to the disk, and sometimes again while the log is being opened
//! after it. What was acknowledged must be there, what was not is there whole or not at all, and
//! both files agree.
//!
//! `MEDTRAIL_SEED=n` replays one image, `MEDTRAIL_IMAGES=n` tries another number of them.

mod support;

use medtrail_ledger::ports::Journal;
use medtrail_store::{FileName, Store};
use support::disk::Disk;
use support::{Dice, SMALL, Writer, check_all};

const IMAGES: u64 = 500;
const LANES: u64 = 2;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// A history until the power goes, and what is wrong with what it left.
fn one_image(seed: u64, lying: Option<FileName>) -> Result<(), String> {
    let mut dice = Dice(seed);
    let disk = Disk::default();
    let mut history = History::default();
    // Some lose power while the files are made, some after a thousand calls.
    disk.lose_power_after(match dice.below(10) {
        0 => 1 + dice.below(120),
        _ => 120 + dice.below(900),
    });
    if let Some(name) = lying {
        disk.lie_about(name);
    }
    let _ = history.live(&disk, &mut dice);
    let mut disk = disk.after_power_loss(&mut dice);
    while dice.once_in(2) {
        disk.lose_power_after(1 + dice.below(40));
        let _ = Store::open_on(disk.files(), SMALL);
        disk = disk.after_power_loss(&mut dice);
    }
    let store = Store::open_on(disk.files(), SMALL).map_err(|error| format!("open: {error}"))?;
    history.check(&store)?;
    // It goes on from there.
    let mut writer = Writer::resume(&store, dice);
    writer.append(&store, 300);
    store.file_up_to(u64::MAX).map_err(|error| format!("filing on: {error}"))?;
    all_is_well(&store)
}

#[derive(Default)]
struct History {
    acknowledged: Vec<Vec<u8>>,
    /// Asked for when the power went.
    in_flight: Vec<Vec<u8>>,
    filed: u64,
    /// Named values are numbered: the one acknowledged last, and the one asked for last.
    named: (u64, u64),
}

impl History {
    fn live(&mut self, disk: &Disk, dice: &mut Dice) -> Result<(), String> {
        let store = Store::open_on(disk.files(), SMALL).map_err(|error| error.to_string())?;
        let mut writer = Writer::resume(&store, dice.clone());
        loop {
            match dice.below(8) {
                0 | 1 => {
                    let size = dice.below(self.acknowledged.len() as u64 + 1);
                    self.filed = store.file_up_to(size).map_err(|error| error.to_string())?;
                }
                2 => {
                    self.named.1 += 1;
                    let value = self.named.1.to_be_bytes();
                    store.set_meta("named", &value).map_err(|error| error.to_string())?;
                    self.named.0 = self.named.1;
                }
                _ => {
                    let rows = if dice.once_in(4) { dice.below(600) } else { dice.below(60) };
                    let plan = writer.plan(rows);
                    self.in_flight = plan.batch.rows.clone();
                    writer.commit(&store, plan).map_err(|error| error.to_string())?;
                    self.acknowledged.append(&mut self.in_flight);
                }
            }
        }
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        let tail = store.tail().map_err(|error| error.to_string())?;
        let rows = store.rows(0..u64::MAX).map_err(|error| error.to_string())?;
        let mut expected = self.acknowledged.clone();
        if rows.len() != expected.len() {
            expected.extend_from_slice(&self.in_flight);
        }
        if rows != expected || tail.size != rows.len() as u64 {
            return Err(format!(
                "{} acknowledged, {} in flight, {} found, tail says {}",
                self.acknowledged.len(),
                self.in_flight.len(),
                rows.len(),
                tail.size,
            ));
        }
        let filed = store.filed().map_err(|error| error.to_string())?;
        if filed < self.filed {
            return Err(format!("{} were filed, now {filed} are", self.filed));
        }
        let named = store.meta("named").map_err(|error| error.to_string())?;
        let named = named.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()));
        if named != self.named.0 && named != self.named.1 {
            return Err(format!("named value {named}, acknowledged {}", self.named.0));
        }
        all_is_well(store)
    }
}

fn all_is_well(store: &Store) -> Result<(), String> {
    let report = check_all(store).map_err(|error| format!("fsck: {error}"))?;
    match report.findings.first() {
        None if report.opened == report.entries => Ok(()),
        None => Err(format!("fsck opened {} of {} rows", report.opened, report.entries)),
        Some(first) => Err(format!("fsck: {first}, and {} more", report.findings.len() - 1)),
    }
}

#[test]
fn a_power_loss_never_loses_or_halves_an_acknowledged_entry() {
    if let Some(seed) = from_env("MEDTRAIL_SEED") {
        return one_image(seed, None).unwrap();
    }
    let images = from_env("MEDTRAIL_IMAGES").unwrap_or(IMAGES);
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                for seed in (lane..images).step_by(LANES as usize) {
                    if let Err(wrong) = one_image(seed, None) {
                        panic!("MEDTRAIL_SEED={seed}: {wrong}");
                    }
                }
            });
        }
    });
}

/// A head whose commits are not synced acknowledges what a power loss takes back: if this harness
/// did not see that, the test above would mean nothing.
#[test]
fn the_harness_sees_acknowledged_entries_that_were_not_synced() {
    let seen = (0..40).filter(|&seed| one_image(seed, Some(FileName::Head)).is_err()).count();
    assert!(seen >= 20, "seen in {seen} of 40 images");
}

/// The same for the order of filing: with a log that is not synced, entries are dropped from the
/// head before they are durably filed.
#[test]
fn the_harness_sees_entries_dropped_before_they_were_filed() {
    let seen = (0..40).filter(|&seed| one_image(seed, Some(FileName::Log)).is_err()).count();
    assert!(seen >= 10, "seen in {seen} of 40 images");
}
