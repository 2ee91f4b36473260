//! What goes on while the demo runs.

use super::accounts::Accounts;
use super::chance::Chance;
use super::mari;
use super::reporters::Reporters;
use super::routine::Routine;
use crate::clock::now_ms;
use crate::exit::Failure;
use std::time::Duration;

/// A demo that runs.
pub(crate) struct Live {
    pub(crate) accounts: Accounts,
    pub(crate) reporters: Reporters,
    /// The chain's URL.
    pub(crate) rpc: String,
}

impl Live {
    /// "A doctor looks now."
    pub(crate) async fn look(&self) -> Result<(), Failure> {
        self.reporters.send(&mari::look(now_ms())).await
    }

    /// An event every 10 to 20 seconds, every fourth of them from Mari's sensor. Never ends.
    pub(crate) async fn trickle(&self, mut routine: Routine) {
        let mut chance = Chance::new(11);
        loop {
            tokio::time::sleep(Duration::from_secs(10 + chance.below(11))).await;
            let happening = match chance.below(4) {
                0 => mari::reading(now_ms()),
                _ => routine.next(now_ms()),
            };
            if let Err(failure) = self.reporters.send(&happening).await {
                tracing::warn!("{}: {failure}", happening.at.name);
            }
        }
    }
}
