//! Runs the benchmark and writes its report, with all that a reader needs to judge the numbers.

use std::fs;

use crate::step::{Failure, Result, Step, root};

mod machine;
mod render;

use machine::{Machine, Processor};

/// The examples that are the benchmark, each with its package: examples, so that they are compiled
/// with every test run.
const PARTS: [(&str, &str); 2] =
    [("medtrail-oracle", "bench-engine"), ("medtrail-api", "bench-http")];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A run of minutes: a million entries instead of ten, shorter rounds
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(args: &Args) -> Result {
    let cargo = |what: String, verb, (package, example)| {
        Step::cargo(what).args([verb, "--release", "--package", package, "--example", example])
    };
    // Built apart, or the compiler would count as another process and make every run unsound.
    for part in PARTS {
        cargo(format!("build the benchmark {}", part.1), "build", part).run()?;
    }
    let before = Processor::now()?;
    let mut parts = Vec::new();
    for part in PARTS {
        let name = part.1;
        println!("> measure {name}");
        let json = cargo(format!("measure {name}"), "run", part)
            .args(args.quick.then_some(["--", "--quick", "--fill"]).into_iter().flatten())
            .with_progress()
            .read()?;
        parts.push(serde_json::from_str(&json).map_err(|error| {
            Failure::new(
                format!("the benchmark {name}: {error}"),
                "it prints one JSON object and nothing else; see crates/xtask/src/bench/render.rs",
            )
        })?);
    }
    let others = before.share_of_others(&Processor::now()?);

    let report = render::report(&Machine::this()?, &parts, others, args.quick);
    let path = "docs/bench.md";
    fs::write(root().join(path), report)
        .map_err(|error| Failure::new(format!("{path}: {error}"), "may this user write there?"))?;
    println!("> {path}");
    Ok(())
}
