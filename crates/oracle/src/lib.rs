//! The engine.

pub mod anchorer;
pub mod follower;
pub mod sender;
