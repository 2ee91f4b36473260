//! The HTTP interface.
//!
//! - [`Server`]: two ports, the public one and the operator's, and how they end
//! - `routes/`: one file a family of paths
//! - `problem`: every refusal as an RFC 9457 problem document, decided in one place
//! - `caller`: who asks, and what that opens; decided nowhere else
//! - `line`: an entry as a page shows it
//! - `siwe`, `sessions`: signing in
//! - `sequences`: which of an organisation's numbered reports came
//! - `client`, `rates`, `shares`: how often somebody may ask, and how much of us one may hold
//! - `pages`: what is no interface: pages, the demo, and what no route has taken
//! - `openapi`: the interface's own description
//! - `body`, `limits`: how much of anything is read
//! - `middleware`: what happens to every request
//! - `metrics`: what an operator measures, on a port of its own

mod answer;
mod body;
mod caller;
mod client;
mod limits;
mod line;
mod metrics;
mod middleware;
mod openapi;
mod pages;
mod problem;
mod rates;
mod routes;
mod sequences;
mod server;
mod sessions;
mod shares;
mod siwe;
mod state;

pub use pages::{DemoAnswer, DemoRoutes, Extras, Page, Pages};
pub use server::{Server, ServerError, ServerOptions};
