//! What must hold of the sources themselves, beyond that they compile and pass their tests.

use std::path::PathBuf;

use crate::page;
use crate::report::Report;
use crate::step::{Failure, Result, Step, root};
use crate::tools::Tools;
use crate::workspace::Workspace;

mod arrows;
mod commands;
mod licences;
mod links;
mod paths;

/// Runs all checks, also after one failed: one run tells everything.
pub(crate) fn run() -> Result {
    let tools = Tools::ready()?;
    let workspace = Workspace::read()?;
    let mut report = Report::default();

    report.check("rustfmt", || {
        Step::cargo("rustfmt").args(["fmt", "--all", "--check"]).or("run `cargo fmt --all`").run()
    });
    report.check("arrows", || {
        findings(
            &arrows::broken(&workspace.rules.arrows, &workspace.packages),
            "depend on the port instead, or change [workspace.metadata.arrows] and ARCHITECTURE.md",
        )
    });
    report.check("licences", || licences::check(&workspace.rules.licences));
    report.check("links", || {
        findings(&links::broken(&documents()?)?, "mend the link, or what it points to")
    });
    report.check("paths", || findings(&paths::leaked(&files(&[])?), "write it without"));
    report.check("forge fmt", || {
        tools.forge("forge fmt").args(["fmt", "--check"]).or("run `forge fmt`").run()
    });
    for (name, args) in [
        ("clippy", ["--workspace", "--all-targets"].as_slice()),
        ("clippy, no cross-check", &["--package", "medtrail", "--no-default-features"]),
        ("clippy, abi", &["--package", "xtask", "--features", "abi"]),
    ] {
        report.check(name, || {
            Step::cargo(name).args(["clippy"]).args(args).args(["--", "-D", "warnings"]).run()
        });
    }
    report.check("rustdoc", || {
        Step::cargo("rustdoc")
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    });
    report.check("commands", || commands::check(&documents()?, &workspace));
    report.check("svelte-check", || page::check(&tools));
    report.finish("lint")
}

fn findings(findings: &[String], next: &str) -> Result {
    if findings.is_empty() { Ok(()) } else { Err(Failure::findings(findings, next)) }
}

/// The documents a reader meets, relative to the root.
fn documents() -> Result<Vec<PathBuf>> {
    files(&["*.md"])
}

/// Files of the repository that match, relative to the root: committed or about to be.
fn files(patterns: &[&str]) -> Result<Vec<PathBuf>> {
    let list = Step::new("list the files", "git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"])
        .args(patterns)
        .or("lint needs git and a checkout")
        .read()?;
    let files = list.split_terminator('\0').map(PathBuf::from);
    // Deleted, but not committed so.
    Ok(files.filter(|file| root().join(file).is_file()).collect())
}
