//! Journeys and faults.

mod audit;
mod chain_faults;
mod cohort;
mod crash;
mod delivery;
mod gateway;
mod journey;
mod operator;
mod outage;
mod paying;
mod permission_story;
mod recovery;
mod replayed;
mod sale;
mod site;
mod story;
mod strangers;
mod supply;
mod support;
mod tamper;
