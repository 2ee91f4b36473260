//! A gateway over HTTP, before a log that these tests play.

mod faults;
mod intake;
mod moves;
mod questions;
mod support;
