//! Journeys and faults.

mod chain_faults;
mod crash;
mod journey;
mod operator;
mod outage;
mod site;
mod support;
mod tamper;
