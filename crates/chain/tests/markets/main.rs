//! Both markets on a real node, their deliveries in an anchored log.

mod cohort;
mod sale;
mod scene;
#[path = "../support/mod.rs"]
mod support;
