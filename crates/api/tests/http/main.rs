//! A real log behind a real server, asked over HTTP. One file for each family of paths.

mod anchors;
mod batches;
mod entries;
mod health;
mod log;
mod metrics;
mod reports;
mod server;
mod support;
mod trust;
