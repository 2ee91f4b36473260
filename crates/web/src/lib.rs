//! The page, as Vite built it, carried inside the binary.

mod assets;

pub use assets::{Asset, Assets};
