//! Journeys and faults.

mod chain_faults;
mod journey;
mod site;
mod support;
