//! Journeys of people and organisations through the engine over the real files: who may report,
//! what a person reads, what comes as it happens, and how a pseudonym becomes a person's.

mod bindings;
mod feeds;
mod organisations;
mod others;
mod support;
mod trails;
