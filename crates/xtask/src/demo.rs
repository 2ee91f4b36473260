//! The whole product on one machine: what a newcomer runs first.

use std::ffi::OsString;

use crate::page;
use crate::step::{Result, Step};
use crate::tools::Tools;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Handed to `medtrail demo` as they are; `cargo xtask demo -- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result {
    let tools = Tools::ready()?;
    page::build(&tools)?;
    // `--workspace` although one binary is wanted: features are unified over what is selected, and
    // another selection would compile the dependencies once more.
    Step::cargo("build medtrail (minutes the first time, seconds later)")
        .args(["build", "--workspace", "--bin", "medtrail"])
        .run()?;
    let medtrail = Workspace::read()?.binary("medtrail");
    Step::new("run medtrail demo", medtrail).args(["demo"]).args(&args.args).become_it()
}
