//! The HTTP interface.
//!
//! - [`Server`]: two ports, the public one and the operator's, and how they end
//! - `routes/`: one file a family of paths
//! - `problem`: every refusal as an RFC 9457 problem document, decided in one place
//! - `caller`: who asks, and what that opens
//! - `body`, `limits`: how much of anything is read
//! - `middleware`: what happens to every request
//! - `metrics`: what an operator measures, on a port of its own

mod answer;
mod body;
mod caller;
mod limits;
mod metrics;
mod middleware;
mod problem;
mod routes;
mod server;
mod state;

pub use server::{Server, ServerError, ServerOptions};
