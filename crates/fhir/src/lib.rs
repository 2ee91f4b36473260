//! FHIR R4 audit events (IHE BALP): from the bytes received to reports, and what a person reads of
//! them. Pure: no IO, no clock.
//!
//! - [`event`]: the bytes of an AuditEvent, checked by the rules of R4 and flagged by those of BALP
//! - [`provenance`]: the same of a Provenance: changes and hand-overs
//! - [`report`]: from an event to the reports of its patients
//! - [`reading`]: the facts a person reads, and the sentence they make
//! - [`supply`], [`derived`]: where a record came from, where it went, and what was made of it
//! - [`consent`]: permissions as Consents; [`accounting`]: lines as the AuditEvents of an accounting
//! - [`usage`]: what was used and what for, as a permission asks
//! - [`search`], [`bundle`], [`outcome`], [`capability`]: the FHIR side of an Audit Record
//!   Repository (IHE ITI-20 in, ITI-81 out)

pub mod accounting;
pub mod bundle;
pub mod capability;
pub mod consent;
pub mod derived;
pub mod event;
mod json;
mod moment;
pub mod outcome;
pub mod provenance;
pub mod reading;
pub mod report;
mod rules;
pub mod search;
pub mod supply;
pub mod usage;
mod words;
