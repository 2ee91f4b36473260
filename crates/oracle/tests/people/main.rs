//! Journeys of people and organisations through the engine over the real files: who may report,
//! what a person reads, what comes as it happens, how a pseudonym becomes a person's, what people
//! permit, how changes are judged, what the vault takes, what is sold, and what is erased.

mod aliases;
mod asked;
mod bazaar;
mod bindings;
mod calls;
mod emergencies;
mod erasure;
mod feeds;
mod guarded;
mod heads;
mod inquiries;
mod judged;
mod looks;
mod notices;
mod organisations;
mod others;
mod permissions;
mod permits;
mod safe;
mod sales;
mod sources;
mod support;
mod trails;
mod vault;
mod windows;
