//! `abi/<Contract>.json`: what Rust, TypeScript and wallets need of each contract, committed so
//! that nobody needs a Solidity compiler to build or run Medtrail.

use crate::step::Result;

#[cfg(feature = "abi")]
mod compile;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only compare: fail when abi/ is not what contracts/ compiles to
    #[arg(long)]
    pub(crate) check: bool,
}

/// The compiler's driver is an optional feature, because it takes a minute to build and only those
/// who change a contract need it: without it, this builds itself with it and hands over.
#[cfg(not(feature = "abi"))]
pub(crate) fn run(args: &Args) -> Result {
    crate::step::Step::cargo("build the driver of the Solidity compiler (a minute at first)")
        .args(["run", "--quiet", "--package", "xtask", "--features", "abi", "--", "abi"])
        .args(args.check.then_some("--check"))
        .or("mend what it names above; `cargo xtask abi` writes abi/ anew")
        .run()
}

#[cfg(feature = "abi")]
pub(crate) fn run(args: &Args) -> Result {
    let tools = crate::tools::Tools::ready()?;
    println!("> compile contracts/ with the release profile of foundry.toml");
    let compiled = compile::contracts(&tools)?;
    if args.check {
        crate::generated::check("abi", &compiled, "cargo xtask abi")
    } else {
        crate::generated::write("abi", &compiled)
    }
}
