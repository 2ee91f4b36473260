//! Journeys and faults.

mod chain_faults;
mod support;
