//! Every test of the repository.

use crate::abi;
use crate::generated::{self, Files};
use crate::page;
use crate::report::Report;
use crate::step::{Failure, Result, Step};
use crate::system;
use crate::tools::Tools;

/// Tests that measure gas, and what they measured when last committed.
const GAS: &str = "tests/contracts/gas/**";
const GAS_SNAPSHOTS: &str = "tests/contracts/snapshots";
const WRITE_GAS: &str = "cargo xtask test --contracts --write-gas";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what is written in Rust
    #[arg(long)]
    rust: bool,
    /// Only what is written in Solidity
    #[arg(long, conflicts_with = "rust")]
    contracts: bool,
    /// Only the page: TypeScript, and the browser
    #[arg(long, conflicts_with_all = ["rust", "contracts", "filter"])]
    page: bool,
    /// Write the gas snapshots anew instead of comparing with them
    #[arg(long, conflicts_with_all = ["rust", "filter"])]
    write_gas: bool,
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
    let is_only = args.rust || args.contracts || args.page;
    if !args.contracts {
        // Before cargo: the binary carries it.
        report.check("build the page", || page::build(&tools));
    }
    if args.page || (!is_only && filter.is_none()) {
        page::test(&mut report, &tools);
    }
    if args.rust || !is_only {
        rust(&mut report, filter);
    }
    if !is_only && filter.is_none() {
        page::acts(&mut report, &tools);
    }
    if args.contracts || !is_only {
        contracts(&mut report, &tools, filter, args.write_gas);
    }
    report.finish("test")
}

fn rust(report: &mut Report, filter: Option<&str>) {
    report.check("python", system::python);
    // Journeys start the binary that stands beside their own executable, as a user builds it:
    // without what dev-dependencies switch on.
    report.check("build", || Step::cargo("build medtrail").args(["build", "--workspace"]).run());
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

fn contracts(report: &mut Report, tools: &Tools, filter: Option<&str>, write_gas: bool) {
    report.check("contracts", || {
        tools
            .forge("run the tests in Solidity")
            .args(["test", "--no-match-path", GAS, "--gas-snapshot-emit", "false"])
            .args(filter.into_iter().flat_map(|filter| ["--match-test", filter]))
            .or("`cargo xtask test --contracts -- NAME` runs one of them again")
            .run()
    });
    if filter.is_some() {
        return;
    }
    report.check("gas", || {
        let measured = gas(tools)?;
        if write_gas {
            generated::write(GAS_SNAPSHOTS, &measured)
        } else {
            generated::check(GAS_SNAPSHOTS, &measured, WRITE_GAS)
        }
    });
    report.check("abi", || abi::run(&abi::Args { check: true }));
}

/// Measures what is deployed: the release profile, as in abi/. Forge's own comparison passes a
/// snapshot that is missing, and a pattern that matches no test; ours does not.
fn gas(tools: &Tools) -> Result<Files> {
    let fresh = "target/foundry/snapshots";
    generated::clear(fresh)?;
    tools
        .forge("measure the gas of each call")
        .args(["test", "--match-path", GAS])
        .args(["--gas-snapshot-check", "false", "--gas-snapshot-emit", "true"])
        .env("FOUNDRY_PROFILE", "release")
        .env("FOUNDRY_SNAPSHOTS", fresh)
        .run()?;
    let measured = generated::read(fresh)?;
    if measured.is_empty() {
        return Err(Failure::new(
            format!("no test in {GAS} measured anything"),
            "measure with `vm.snapshotGasLastCall`",
        ));
    }
    Ok(measured)
}
