//! Journeys and faults.

mod support;
