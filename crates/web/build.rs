//! The page is embedded as Vite left it: a new build of the page is a new build of this crate.

fn main() {
    // Also when it does not exist: cargo then runs this again each time, until it does.
    println!("cargo::rerun-if-changed=app/dist");
}
