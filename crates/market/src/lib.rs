//! The off-chain side of a sale: which records are delivered, how they are made harmless, how they
//! are sealed so that payment and key change hands together, and what a delivery does next.
//!
//! No IO of its own, no clock, no chain. Random bytes are arguments, but for those that the age
//! library draws for each file.
//!
//! - [`record`], [`assemble`]: from records to files
//! - [`harmless`] is de-identification
//! - [`manifest`], [`archive`]: what a delivery holds, and how it is packed
//! - [`seal`], [`identity`]: the buyer's seal and the lock around it, and the file of a buyer's key
//! - [`entry`], [`verify`]: the delivery in the log, and whether it is what was ordered
//! - [`delivery`]: what a sale needs next
//! - [`cohort`]: the same of a call to many

pub mod archive;
pub mod assemble;
pub mod cohort;
pub mod delivery;
pub mod entry;
pub mod harmless;
pub mod identity;
mod json;
pub mod manifest;
mod moment;
pub mod record;
pub mod seal;
pub mod secret;
pub mod verify;

pub use moment::year_at;
