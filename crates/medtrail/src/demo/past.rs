//! What has happened before the demo begins, by the clock of who watches it: the log opens on the
//! morning before, and the day and the night pass by as the software of everybody reports them.

use super::accounts::Accounts;
use super::audit_event::Happening;
use super::clock::Clock;
use super::desk_talk;
use super::gateways::Gateways;
use super::mari::{self, Morning};
use super::reporters::Reporters;
use super::routine::Routine;
use super::vault::{Allergy, hospital};
use crate::clock::DemoClock;
use crate::exit::Failure;
use alloy_primitives::Address;
use medtrail_ledger::trust::TrustFile;
use std::collections::VecDeque;

/// How long before the first line of her story Mari connected her organisations, in milliseconds.
const EARLIER_MS: u64 = 20 * 60 * 1000;
/// How long after it happens something is reported, in milliseconds.
const REPORTED_AFTER_MS: u64 = 1500;

/// The past, and when it begins.
pub(crate) struct Past {
    pub(crate) clock: Clock,
    /// When the log was opened, and Mari connected her organisations.
    pub(crate) begins_ms: u64,
    pub(crate) routine: Routine,
    /// Oldest first.
    happenings: Vec<Happening>,
    morning: Option<Morning>,
}

/// What it needs of the running demo.
pub(crate) struct Stage<'a> {
    pub(crate) url: &'a str,
    pub(crate) accounts: &'a Accounts,
    pub(crate) trust: &'a TrustFile,
    pub(crate) reporters: &'a Reporters,
    pub(crate) gateways: &'a Gateways,
    pub(crate) mari: Address,
}

/// What no organisation's software reports as an event.
#[derive(Clone, Copy)]
enum Deed {
    Bill,
    Overwrite,
}

impl Past {
    pub(crate) fn before(clock: Clock, now_ms: u64, is_seeded: bool) -> Self {
        let mut routine = Routine::new();
        if !is_seeded {
            let happenings = Vec::new();
            return Self { clock, begins_ms: now_ms, routine, happenings, morning: None };
        }
        let story = mari::story(clock, now_ms);
        let first_ms = story.first().map_or(now_ms, |first| first.time_ms);
        let mut happenings = routine.past(now_ms);
        happenings.extend(story);
        happenings.sort_by_key(|happening| happening.time_ms);
        let begins_ms = first_ms - EARLIER_MS;
        let morning = Some(mari::morning(clock, now_ms));
        Self { clock, begins_ms, routine, happenings, morning }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.happenings.is_empty()
    }

    /// Lets it pass by.
    pub(crate) async fn play(&self, stage: &Stage<'_>, clock: &DemoClock) -> Result<(), Failure> {
        let mut deeds: VecDeque<(u64, Deed)> = self.morning.iter().flat_map(deeds_of).collect();
        // What was before the log opened comes at once, and its lines say so.
        let (before, after) = self.happenings.split_at(
            self.happenings.partition_point(|happening| happening.time_ms < self.begins_ms),
        );
        stage.reporters.send_all(before).await?;
        for happening in after {
            while let Some((at_ms, deed)) = deeds.pop_front_if(|(at, _)| *at < happening.time_ms) {
                self.reach(at_ms, stage, clock).await?;
                self.act(deed, stage).await?;
            }
            self.reach(happening.time_ms + REPORTED_AFTER_MS, stage, clock).await?;
            stage.reporters.send(happening).await?;
        }
        for (at_ms, deed) in deeds {
            self.reach(at_ms, stage, clock).await?;
            self.act(deed, stage).await?;
        }
        stage.gateways.settle().await
    }

    /// Everything is in the log before the clock goes on: what is reported late says how late.
    async fn reach(&self, at_ms: u64, stage: &Stage<'_>, clock: &DemoClock) -> Result<(), Failure> {
        stage.gateways.settle().await?;
        clock.forward_to(at_ms);
        Ok(())
    }

    async fn act(&self, deed: Deed, stage: &Stage<'_>) -> Result<(), Failure> {
        let Stage { url, accounts, trust, mari, .. } = stage;
        match (deed, &self.morning) {
            (Deed::Bill, Some(Morning { bill_of, .. })) => {
                desk_talk::bill(url, accounts, trust, *mari, bill_of).await
            }
            (Deed::Overwrite, _) => {
                Allergy::of(*mari).overwrite(&hospital(url, accounts, trust).await?).await
            }
            (Deed::Bill, None) => Ok(()),
        }
    }
}

fn deeds_of(morning: &Morning) -> [(u64, Deed); 2] {
    [(morning.billed_ms, Deed::Bill), (morning.overwritten_ms, Deed::Overwrite)]
}
