//! Runs the benchmark and writes its report, with all that a reader needs to judge the numbers.

use std::fs;

use crate::step::{Failure, Result, Step, root};
use crate::workspace::Workspace;

mod machine;
mod render;

use machine::{Machine, Processor};

/// Where the benchmark is written: an example, so that it is compiled with every test run.
const PACKAGE: &str = "medtrail-oracle";
const EXAMPLE: &str = "bench";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A short run: the report goes to target/bench.md and is not for publication
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    if !has_benchmark(&Workspace::read()?) {
        return Err(Failure::new(
            "there is no benchmark in this checkout",
            format!(
                "write the example `{EXAMPLE}` of {PACKAGE}; see crates/xtask/src/bench/render.rs"
            ),
        ));
    }
    let cargo = |what, verb| {
        Step::cargo(what).args([verb, "--release", "--package", PACKAGE, "--example", EXAMPLE])
    };
    // Built apart, or the compiler would count as another process and make every run unsound.
    cargo("build the benchmark", "build").run()?;
    let before = Processor::now()?;
    println!("> measure");
    let json = cargo("measure", "run")
        .args(args.quick.then_some(["--", "--quick"]).into_iter().flatten())
        .with_progress()
        .read()?;
    let others = before.share_of_others(&Processor::now()?);

    let results = serde_json::from_str(&json).map_err(|error| {
        Failure::new(
            format!("the benchmark's output: {error}"),
            "it prints one JSON object and nothing else; see crates/xtask/src/bench/render.rs",
        )
    })?;
    let report = render::report(&Machine::this()?, &results, others, args.quick);
    let path = "docs/bench.md";
    fs::write(root().join(path), report)
        .map_err(|error| Failure::new(format!("{path}: {error}"), "may this user write there?"))?;
    println!("> {path}");
    Ok(())
}

fn has_benchmark(workspace: &Workspace) -> bool {
    workspace.packages.iter().filter(|package| package.name == PACKAGE).any(|package| {
        package.targets.iter().any(|target| {
            target.name == EXAMPLE && target.kind.iter().any(|kind| kind == "example")
        })
    })
}
