//! The clocks of emergency changes: whoever was not told in time that nobody answered, and who was
//! told so although somebody had.
//!
//! A person's answer ends the question, also a late one: then a missing line hurts nobody. Changes
//! about a pseudonym are asked about once somebody can be, which is not replayed: of them only a line
//! that came before any clock could end is held against the log.

use super::{EDGE_MS, Replay, tell};
use crate::permits::{Act, CONFIRM_MS, clock};
use alloy_primitives::B256;
use medtrail_ledger::audit::content::Opened;
use medtrail_ledger::audit::evidence::OpenedEntry;
use medtrail_ledger::audit::{Fault, Flaw, Tally};
use medtrail_ledger::inquiry::EMERGENCY_VERSION;
use medtrail_ledger::proof::Evidence;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// An emergency change that waits for its person.
struct Asked {
    index: u64,
    subject: B256,
    until_ms: u64,
    /// The log's time at its first entry after the end.
    passed_ms: Option<u64>,
    is_told: bool,
}

/// All clocks.
#[derive(Default)]
pub(super) struct Clocks {
    asked: HashMap<B256, Asked>,
    /// Those that run, by their ends.
    running: BTreeSet<(u64, B256)>,
    /// Of pseudonyms, and before when nobody can have been silent long enough.
    keyless: HashMap<B256, u64>,
}

/// Whether a line that nobody answered is owed at the end of a copy.
pub(super) enum Owed {
    No,
    /// The copy ends too early to say.
    NotYet,
    Yes,
}

impl Clocks {
    /// An emergency change waits for its person.
    pub(super) fn begin(&mut self, act: &Act, until_ms: u64) {
        self.running.insert((until_ms, act.commitment));
        let (index, subject) = (act.index, act.report.subject);
        let asked = Asked { index, subject, until_ms, passed_ms: None, is_told: false };
        self.asked.insert(act.commitment, asked);
    }

    /// One about a person without a key.
    pub(super) fn keyless(&mut self, commitment: B256, received_ms: u64) {
        self.keyless.insert(commitment, received_ms.saturating_add(CONFIRM_MS));
    }

    /// The log's clock moves on.
    pub(super) fn age(&mut self, now_ms: u64) {
        while let Some((until_ms, commitment)) = self.running.first().copied()
            && until_ms <= now_ms
        {
            self.running.pop_first();
            if let Some(asked) = self.asked.get_mut(&commitment) {
                asked.passed_ms = Some(now_ms);
            }
        }
    }

    /// Of one that still waits.
    pub(super) fn owed(&self, commitment: B256, end_ms: u64, final_ms: u64, grace_ms: u64) -> Owed {
        let Some(asked) = self.asked.get(&commitment).filter(|asked| !asked.is_told) else {
            return Owed::No;
        };
        let Some(passed_ms) = asked.passed_ms else { return Owed::No };
        let is_early = passed_ms.saturating_add(grace_ms) > end_ms
            || asked.until_ms.saturating_add(EDGE_MS) > final_ms;
        if is_early { Owed::NotYet } else { Owed::Yes }
    }
}

/// What a line of the log's own says of an emergency change.
#[derive(Deserialize)]
struct Told {
    version: String,
    act: String,
}

impl Replay<'_> {
    /// Begins the clock of a change that waits, if it is an emergency.
    pub(super) fn begin_clock(&mut self, act: &Act) {
        let trail = self.trails.entry(act.report.subject).or_default();
        let world = trail.papers.world(self.setting.registries.clone(), Default::default());
        if let Some(clock) = clock(act, &world) {
            self.clocks.begin(act, clock.until_ms);
        }
    }

    /// A line that says that nobody answered.
    pub(super) fn take_silence(&mut self, entry: &Opened, tally: &mut Tally) {
        let details = entry.details.as_deref().unwrap_or_default();
        let told = serde_json::from_slice::<Told>(details).ok();
        let is_it =
            told.is_some_and(|told| told.version == EMERGENCY_VERSION && told.act == "unanswered");
        if !is_it || entry.evidence != Evidence::Relayed {
            return;
        }
        let (named, now_ms) = (entry.report.permission, entry.place.receivedMs);
        if let Some(until_ms) = self.clocks.keyless.get(&named) {
            if now_ms < *until_ms {
                let why = "its time cannot have been over";
                self.unfounded_silence(entry, why, None, tally);
            }
            return;
        }
        if self.both.contains(&named) {
            return;
        }
        let why = match self.clocks.asked.get(&named) {
            None => Some("it names no emergency change that waited for its person"),
            Some(asked) if asked.subject != entry.report.subject => {
                Some("it stands in another person's trail")
            }
            Some(asked) if now_ms < asked.until_ms => Some("its time was not over"),
            Some(asked) if asked.is_told => Some("that was told before"),
            Some(_) => None,
        };
        if let Some(why) = why {
            return self.unfounded_silence(entry, why, None, tally);
        }
        let act = self.open.get(&named).map(|change| change.act.clone());
        let read = act.as_ref().map(|act| self.judge(act, now_ms));
        match (act, read) {
            (_, Some(read)) if read.may_wait() => {
                self.found.silent += 1;
                if let Some(asked) = self.clocks.asked.get_mut(&named) {
                    asked.is_told = true;
                }
            }
            (act, _) => self.unfounded_silence(entry, "its person had answered", act, tally),
        }
    }

    fn unfounded_silence(
        &mut self,
        entry: &Opened,
        why: &str,
        act: Option<Act>,
        tally: &mut Tally,
    ) {
        let of = self.clocks.asked.get(&entry.report.permission);
        let of = of.map_or_else(String::new, |asked| format!(" in entry {}", asked.index));
        let words = format!(
            "entry {} says that nobody answered about an emergency change{of}: {why}.",
            entry.index
        );
        let shown = act.map(|act| {
            let verdict = self.judge(&act, entry.place.receivedMs).verdict;
            let details = entry.details.as_deref();
            (OpenedEntry::from(entry), self.judged(&act, details, &verdict))
        });
        self.fault(Fault::new(Flaw::SilenceUnfounded, words).at(entry.index), shown, tally);
    }

    /// What is owed about a change that still waits, at the end of the copy.
    pub(super) fn end_clock(&mut self, act: &Act, shown: Option<&Opened>, tally: &mut Tally) {
        let (final_ms, grace_ms) = (self.setting.final_ms, self.setting.grace_ms);
        match self.clocks.owed(act.commitment, self.now_ms, final_ms, grace_ms) {
            Owed::No => {}
            Owed::NotYet => self.found.untold_silence += 1,
            Owed::Yes => {
                let words = format!(
                    "entry {} is an emergency change, nobody answered about it in {} days, and no \
                     line says so.",
                    act.index,
                    CONFIRM_MS / tell::DAY_MS
                );
                let shown = shown.filter(|_| !self.has_fault).map(|entry| {
                    let verdict = self.judge(act, final_ms).verdict;
                    let details = entry.details.as_deref();
                    (OpenedEntry::from(entry), self.judged(act, details, &verdict))
                });
                self.fault(Fault::new(Flaw::SilenceMissing, words).at(act.index), shown, tally);
            }
        }
    }
}
