//! The week before the demo begins, by the clock of who watches it: the log opens seven days ago, and
//! the days pass by as the software of everybody reports them.

use super::accounts::Accounts;
use super::audit_event::Happening;
use super::clock::Clock;
use super::desk_talk;
use super::gateways::Gateways;
use super::mari::Week;
use super::reporters::Reporters;
use super::routine::Routine;
use super::tide::{self, Tide};
use super::vault::{Allergy, hospital};
use super::{jaan, mari};
use crate::clock::DemoClock;
use crate::exit::Failure;
use crate::session::Session;
use alloy_primitives::Address;
use medtrail_ledger::trust::TrustFile;
use std::collections::VecDeque;

/// How long after it happens something is reported, in milliseconds.
const REPORTED_AFTER_MS: u64 = 1500;
/// How much of the others' days is reported at once, in milliseconds: a batch for each organisation.
/// What is about Mari comes when it happens.
const BATCH_MS: u64 = 4 * 3600 * 1000;

/// The past, and when it begins.
pub(crate) struct Past {
    pub(crate) clock: Clock,
    /// When the log was opened, and Mari connected her organisations.
    pub(crate) begins_ms: u64,
    pub(crate) routine: Routine,
    /// Oldest first.
    happenings: Vec<Happening>,
    week: Option<Week>,
}

/// What it needs of the running demo.
pub(crate) struct Stage<'a> {
    pub(crate) url: &'a str,
    pub(crate) accounts: &'a Accounts,
    pub(crate) trust: &'a TrustFile,
    pub(crate) reporters: &'a Reporters,
    pub(crate) gateways: &'a Gateways,
    pub(crate) tide: &'a Tide,
    pub(crate) mari: Address,
}

/// What no organisation's software reports as an event.
#[derive(Clone, Copy)]
enum Deed {
    Guard,
    FallSilent,
    Bill,
    Overwrite,
}

impl Past {
    pub(crate) fn before(clock: Clock, now_ms: u64, is_seeded: bool) -> Self {
        if !is_seeded {
            let (happenings, routine) = (Vec::new(), Routine::new(now_ms));
            return Self { clock, begins_ms: now_ms, routine, happenings, week: None };
        }
        let week = Week::before(clock, now_ms);
        let mut routine = Routine::new(week.lost_ms);
        let mut happenings = routine.past(week.begins_ms, now_ms);
        happenings.extend(week.happenings());
        happenings.extend(jaan::happenings(&week));
        happenings.sort_by_key(|happening| happening.time_ms);
        Self { clock, begins_ms: week.begins_ms, routine, happenings, week: Some(week) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.happenings.is_empty()
    }

    /// Lines about others than Mari and her son.
    pub(crate) fn of_others(&self) -> usize {
        self.happenings.iter().filter(|one| !is_told_at_once(one)).count()
    }

    /// Lets it pass by.
    pub(crate) async fn play(&self, stage: &Stage<'_>, clock: &DemoClock) -> Result<(), Failure> {
        let mut deeds: VecDeque<(u64, Deed)> = self.week.iter().flat_map(deeds_of).collect();
        let silent_ms = self.week.as_ref().map_or(u64::MAX, |week| tide::silent_from(week.lost_ms));
        for together in batches(&self.happenings, silent_ms) {
            let last_ms = together.last().map_or(0, |last| last.time_ms);
            while let Some((at_ms, deed)) = deeds.pop_front_if(|(at, _)| *at < last_ms) {
                self.act(at_ms, deed, stage, clock).await?;
            }
            reach(last_ms + REPORTED_AFTER_MS, stage, clock).await?;
            match together.as_slice() {
                [one] => stage.reporters.send(one).await?,
                many => stage.reporters.send_all(many).await?,
            }
        }
        for (at_ms, deed) in deeds {
            self.act(at_ms, deed, stage, clock).await?;
        }
        stage.gateways.settle(&stage.reporters.http).await
    }

    async fn act(
        &self,
        at_ms: u64,
        deed: Deed,
        stage: &Stage<'_>,
        clock: &DemoClock,
    ) -> Result<(), Failure> {
        let Stage { url, accounts, trust, mari, tide, .. } = stage;
        let Some(week) = &self.week else { return Ok(()) };
        stage.gateways.settle(&stage.reporters.http).await?;
        // Whoever falls silent says when the clock goes on.
        if !matches!(deed, Deed::FallSilent) {
            clock.forward_to(at_ms);
        }
        match deed {
            Deed::Guard => jaan::guard(stage.reporters.jaan, url, accounts, trust).await,
            Deed::FallSilent => {
                let mari = Session::open(url, accounts.key_of("Mari Tamm")?).await?;
                tide.fall_silent(&mari, week.lost_ms, clock).await
            }
            Deed::Bill => desk_talk::bill(url, accounts, trust, *mari, &week.bill_of()).await,
            Deed::Overwrite => {
                Allergy::of(*mari).overwrite(&hospital(url, accounts, trust).await?).await
            }
        }
    }
}

/// Everything is in the log before the clock goes on: what is reported late says how late.
async fn reach(at_ms: u64, stage: &Stage<'_>, clock: &DemoClock) -> Result<(), Failure> {
    stage.gateways.settle(&stage.reporters.http).await?;
    clock.forward_to(at_ms);
    Ok(())
}

fn deeds_of(week: &Week) -> [(u64, Deed); 4] {
    [
        (jaan::guarded_ms(week), Deed::Guard),
        (tide::silent_from(week.lost_ms), Deed::FallSilent),
        (week.billed_ms, Deed::Bill),
        (week.refused_ms, Deed::Overwrite),
    ]
}

fn is_told_at_once(happening: &Happening) -> bool {
    [mari::PATIENT, jaan::PATIENT].contains(&happening.patient.as_str())
}

/// What is reported together, in the order in which it is reported: the others' events until a batch
/// is full, and each of Mari's. Whoever goes silent has reported before what was.
fn batches(happenings: &[Happening], silent_ms: u64) -> Vec<Vec<&Happening>> {
    let (at_once, others): (Vec<_>, Vec<_>) =
        happenings.iter().partition(|one| is_told_at_once(one));
    let batch = |one: &Happening| (one.time_ms / BATCH_MS, one.time_ms < silent_ms);
    let together = others.chunk_by(|one, next| batch(one) == batch(next)).map(<[_]>::to_vec);
    let mut all: Vec<Vec<&Happening>> =
        at_once.into_iter().map(|one| vec![one]).chain(together).collect();
    all.sort_by_key(|together| together.last().map(|last| last.time_ms));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_reported_once_in_its_order_and_what_is_about_mari_alone() {
        let now_ms = 1_795_139_200_000;
        let past = Past::before(Clock::of_this_machine(), now_ms, true);
        let batches = batches(&past.happenings, now_ms);
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), past.happenings.len());
        for batch in &batches {
            assert!(batch.len() == 1 || !batch.iter().any(|one| is_told_at_once(one)));
            let (first, last) = (batch.first().unwrap(), batch.last().unwrap());
            assert!(last.time_ms - first.time_ms < BATCH_MS);
        }
        assert!(batches.is_sorted_by_key(|batch| batch.last().unwrap().time_ms));
        assert!(batches.len() < 150, "{}", batches.len());
        let twice = Past::before(Clock::of_this_machine(), now_ms, true);
        let told = |past: &Past| -> Vec<_> {
            past.happenings.iter().map(|one| one.audit_event(past.clock)).collect()
        };
        assert_eq!(told(&past), told(&twice));
    }
}
