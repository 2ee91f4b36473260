//! A call to many: one file for the buyer with the records of all who sell to it, one manifest, an
//! entry for each seller.
//!
//! - [`manifest`]: what the file holds, and what proves that each seller agreed
//! - [`assemble`]: from each seller's records to the file, one seller in memory at a time
//! - [`entry`]: the delivery in each seller's trail
//! - [`delivery`]: what a call needs next
//! - [`verify`]: whether what was opened is what was agreed

pub mod assemble;
pub mod delivery;
pub mod entry;
pub mod manifest;
pub mod verify;
