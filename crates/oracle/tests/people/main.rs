//! Journeys of people and organisations through the engine over the real files: who may report,
//! what a person reads, what comes as it happens, how a pseudonym becomes a person's, what people
//! permit, and how changes are judged.

mod bindings;
mod feeds;
mod inquiries;
mod judged;
mod notices;
mod organisations;
mod others;
mod permissions;
mod permits;
mod support;
mod trails;
