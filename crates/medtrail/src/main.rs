//! The medtrail binary.
fn main() {}
