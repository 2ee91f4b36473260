//! Formats and checks of the Medtrail log: everything a stranger needs to verify a proof, and
//! nothing else.
//!
//! No IO, no async, no clock. Sizes, roots and keys that a check relies on are always arguments:
//! they come from the chain or from a trust file, never out of the proof that is being checked.
//!
//! - [`schema`]: the EIP-712 structs that Rust, Solidity and the page share
//! - [`entry`]: kinds, actions, ids; from a report to its commitment
//! - [`merkle`], [`tile`], [`edge`]: the RFC 9162 tree, its C2SP tiles, its growing right edge
//! - [`signature`]: the only door for 65-byte ECDSA signatures
//! - [`note`], [`checkpoint`]: C2SP signed notes
//! - [`receipt`], [`proof`], [`trust`]: what is handed out and kept
//! - [`verify`]: how a proof is checked, step by step
//! - [`audit`]: how a whole log is replayed
//! - [`binding`]: how a pseudonym becomes a person's
//! - [`inquiry`]: questions, corrections and claims, as their documents say them
//! - [`directory`]: organisations, their keys and invites, and bindings, as the operator keeps them
//! - [`vault`]: records and their versions, as the operator keeps them, and their details documents
//! - [`notices`]: what leaves for a person, and who carries it
//! - [`ports`], [`plan`], [`gas`]: what the engine asks of disk, keys and chain

pub mod audit;
pub mod binding;
pub mod checkpoint;
pub mod consents;
pub mod custodian;
pub mod directory;
pub mod edge;
pub mod entry;
pub mod gas;
pub mod group;
pub mod inquiry;
pub mod merkle;
pub mod note;
pub mod notices;
pub mod plan;
pub mod ports;
pub mod proof;
pub mod receipt;
pub mod schema;
pub mod signature;
pub mod source;
pub mod tile;
pub mod trust;
pub mod vault;
pub mod verify;
