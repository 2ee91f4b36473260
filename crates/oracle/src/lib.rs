//! The engine: reports go in, entries, receipts and proofs come out, anchors follow behind.
//!
//! - [`service`]: what everyone outside calls
//! - [`intake`]: checks a report on its reporter's thread
//! - [`trail`], [`feed`], with `recent`: what a person reads, and what is new; [`accounting`]
//! - [`organisations`], [`bindings`], with `live`: who reports, and which pseudonym is whose
//! - [`aliases`]: addresses that a person sells under
//! - [`permissions`], with `papers`: what people permit, in the log and on the chain
//! - [`seeing`]: who may see a trail without being its person
//! - [`judge`]: every change at a custodian is judged, and refused where nobody permitted it
//! - [`emergencies`]: emergency changes, whose people are asked about them for 30 days
//! - `behind`: what those have in common who follow the log behind its head
//! - [`inquiries`]: questions, answers, claims and corrections, and who keeps the book of them
//! - [`sources`]: where records are kept, and whether they still are
//! - [`vault`]: records, whose versions count only with their person's permission
//! - [`sales`]: what people offer, and the operator's side of what is bought
//! - [`calls`]: what buyers call for from many, and who accepted
//! - [`erasure`]: what a person asked to be erased, when its day has come; legal holds
//! - `own`: entries that the log itself writes
//! - [`opener`]: opens rows with the subjects' keys
//! - [`room`]: how much may wait for the writer, and of whom
//! - [`sequencer`]: the one writer; with it `overlay`, `pace`, `row`, `sealer` and `subjects`
//! - [`supervise`]: the threads, and how they end
//! - [`anchorer`], [`sender`], [`follower`], with `dispatch`: the way to the chain and back

pub mod accounting;
pub mod aliases;
pub mod anchorer;
mod behind;
pub mod bindings;
pub mod calls;
mod dispatch;
pub mod emergencies;
pub mod erasure;
pub mod feed;
pub mod follower;
mod group;
pub mod inquiries;
pub mod intake;
pub mod judge;
mod live;
pub mod notices;
pub mod opener;
pub mod organisations;
mod overlay;
mod own;
mod pace;
mod papers;
pub mod permissions;
mod recent;
mod refusals;
pub mod room;
mod row;
pub mod sales;
mod sealer;
pub mod seeing;
pub mod sender;
pub mod sequencer;
pub mod service;
mod signing;
pub mod sources;
mod subjects;
pub mod supervise;
pub mod trail;
pub mod vault;
