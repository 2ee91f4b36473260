//! What this repository can do, one file a command: `cargo xtask demo`, `test`, `lint`, `abi`,
//! `bench`, `tools`.
//!
//! Each command installs what it needs, says in one line a step what it does, and ends non-zero
//! with a sentence on what to do next when something failed.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod abi;
mod bench;
mod demo;
mod generated;
mod lint;
mod page;
mod report;
mod step;
mod system;
mod test;
mod tools;
mod workspace;

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the demo needs, build it, and run `medtrail demo`
    Demo(demo::Args),
    /// Run every test: Rust, Solidity, the page in a browser, and the drift of what is generated
    Test(test::Args),
    /// Check formatting, lints, dependency arrows, licences, documents
    Lint,
    /// Compile contracts/ into abi/
    Abi(abi::Args),
    /// Measure, and write docs/bench.md
    Bench(bench::Args),
    /// Install the pinned npm tools (forge, anvil, solc, the page's)
    Tools(tools::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Lint => lint::run(),
        Task::Abi(args) => abi::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Tools(args) => tools::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
