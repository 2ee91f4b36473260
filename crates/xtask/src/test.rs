//! Every test of the repository.

use crate::abi;
use crate::report::Report;
use crate::step::{Result, Step, root};
use crate::tools::Tools;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what is written in Rust
    #[arg(long)]
    rust: bool,
    /// Only what is written in Solidity
    #[arg(long, conflicts_with = "rust")]
    contracts: bool,
    /// Only tests whose name contains this
    #[arg(last = true)]
    filter: Option<String>,
}

/// Runs all suites, also after one failed: one run tells everything.
pub(crate) fn run(args: &Args) -> Result {
    // Tests in Rust start anvil, so both kinds need the tools.
    let tools = Tools::ready()?;
    let mut report = Report::default();
    let filter = args.filter.as_deref();
    if !args.contracts {
        rust(&mut report, filter);
    }
    if !args.rust {
        contracts(&mut report, &tools, filter);
    }
    report.finish("test")
}

fn rust(report: &mut Report, filter: Option<&str>) {
    // Journeys start the binary that stands beside their own executable; cargo builds it for them
    // only when asked, and with all targets, so that both see the same features.
    report.check("build", || {
        Step::cargo("build the binary and all tests")
            .args(["build", "--workspace", "--all-targets"])
            .run()
    });
    report.check("rust", || {
        Step::cargo("run the tests in Rust")
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(filter)
            .or("`cargo xtask test --rust -- NAME` runs one of them again")
            .run()
    });
    if filter.is_none() {
        report.check("without cross-check", || {
            Step::cargo("compile medtrail without its second encoder")
                .args(["check", "--package", "medtrail", "--no-default-features"])
                .run()
        });
    }
}

fn contracts(report: &mut Report, tools: &Tools, filter: Option<&str>) {
    if !root().join("foundry.toml").exists() {
        return report.skip("contracts", "there is no foundry.toml");
    }
    report.check("contracts", || {
        // Gas belongs to the release profile: what this profile measures must not be written down.
        tools
            .forge("run the tests in Solidity")
            .args(["test"])
            .args(filter.into_iter().flat_map(|filter| ["--match-test", filter]))
            .env("FORGE_SNAPSHOT_EMIT", "false")
            .or("`cargo xtask test --contracts -- NAME` runs one of them again")
            .run()
    });
    if filter.is_none() {
        report.check("abi", || abi::run(&abi::Args { check: true }));
    }
}
