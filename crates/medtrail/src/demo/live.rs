//! What goes on while the demo runs.

use super::accounts::Accounts;
use super::chance::Chance;
use super::desk_talk;
use super::mari;
use super::reporters::Reporters;
use super::routine::Routine;
use super::vault::{Allergy, hospital};
use crate::clock::now_ms;
use crate::exit::Failure;
use medtrail_ledger::trust::TrustFile;
use std::sync::Arc;
use std::time::Duration;

/// A demo that runs.
pub(crate) struct Live {
    pub(crate) accounts: Accounts,
    pub(crate) reporters: Reporters,
    /// The chain's URL.
    pub(crate) rpc: String,
    /// The log's URL.
    pub(crate) url: String,
    pub(crate) trust: Arc<TrustFile>,
    pub(crate) allergy: Allergy,
}

impl Live {
    /// "A doctor looks now."
    pub(crate) async fn look(&self) -> Result<(), Failure> {
        self.reporters.send(&mari::look(now_ms())).await
    }

    /// "The hospital answers": to how many questions.
    pub(crate) async fn answer(&self) -> Result<usize, Failure> {
        desk_talk::answer_all(&hospital(&self.url, &self.accounts, &self.trust).await?).await
    }

    /// "The hospital asks properly"; what Mari approves its software then writes.
    pub(crate) async fn ask(self: Arc<Self>) -> Result<(), Failure> {
        let hospital = hospital(&self.url, &self.accounts, &self.trust).await?;
        let request = self.allergy.ask(&hospital).await?;
        tokio::spawn(async move {
            match self.allergy.write_once_approved(&hospital, request).await {
                Ok(true) => tracing::info!("Harbour Hospital wrote what Mari approved"),
                Ok(false) => tracing::info!("Harbour Hospital did not get Mari's approval"),
                Err(failure) => tracing::warn!("Harbour Hospital: {failure}"),
            }
        });
        Ok(())
    }

    /// An event every 10 to 20 seconds, every fourth of them about Mari. Never ends.
    pub(crate) async fn trickle(&self, mut routine: Routine) {
        let mut chance = Chance::new(11);
        loop {
            tokio::time::sleep(Duration::from_secs(10 + chance.below(11))).await;
            let happening = match chance.below(4) {
                0 => mari::check(now_ms()),
                _ => routine.next(now_ms()),
            };
            if let Err(failure) = self.reporters.send(&happening).await {
                tracing::warn!("{}: {failure}", happening.at.name);
            }
        }
    }
}
