//! What the journeys stand on: a chain of their own, a line to it that can be cut, and the
//! `medtrail` binary under test.
//!
//! Everything here panics with the reason when it fails: it is the test that has failed then.

pub mod anvil;
pub mod medtrail;
pub mod rpc_proxy;
pub mod token;

mod json_rpc;

pub use json_rpc::RpcFailure;
