//! Journeys and faults.
