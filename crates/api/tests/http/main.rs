//! A real log behind a real server, asked over HTTP. One file for each family of paths.

mod access;
mod anchors;
mod batches;
mod bindings;
mod entries;
mod fairness;
mod feed;
mod fhir;
mod health;
mod inquiries;
mod log;
mod metrics;
mod notices;
mod openapi;
mod organisations;
mod pages;
mod people;
mod permissions;
mod reports;
mod server;
mod session;
mod support;
mod trail;
mod trust;
