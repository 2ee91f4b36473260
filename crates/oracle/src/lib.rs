//! The engine: reports go in, entries, receipts and proofs come out, anchors follow behind.
//!
//! - [`service`]: what everyone outside calls
//! - [`intake`]: checks a report on its reporter's thread
//! - [`opener`]: opens rows with the subjects' keys
//! - [`sequencer`]: the one writer; with it `overlay`, `pace`, `row`, `sealer` and `subjects`
//! - [`supervise`]: the threads, and how they end
//! - [`anchorer`], [`sender`], [`follower`]: the way to the chain and back

pub mod anchorer;
pub mod follower;
pub mod intake;
pub mod opener;
mod overlay;
mod pace;
mod row;
mod sealer;
pub mod sender;
pub mod sequencer;
pub mod service;
mod subjects;
pub mod supervise;
