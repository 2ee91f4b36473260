//! The HTTP interface.
//!
//! - [`Server`]: listens, limits, and ends when told
//! - `routes/`: one file a path
//! - `problem`: every error as an RFC 9457 problem document, decided in one place
//! - `metrics`: what an operator measures, on a port of its own

mod limits;
mod metrics;
mod problem;
mod routes;
mod server;

pub use server::{Server, ServerError, ServerOptions};
