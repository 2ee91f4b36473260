//! The page: built into what the binary carries, and tested.

use crate::report::Report;
use crate::step::Result;
use crate::system;
use crate::tools::Tools;
use crate::workspace::Workspace;

const APP: &str = "@medtrail/app";
const BROWSER: &str = "@medtrail/browser-tests";

/// Builds what `crates/web` embeds. It must stand before cargo builds the binary.
pub(crate) fn build(tools: &Tools) -> Result {
    tools.npm("build the page", APP).args(["run", "build"]).run()
}

/// Types and accessibility rules of the sources.
pub(crate) fn check(tools: &Tools) -> Result {
    tools.npm("check the page's sources", APP).args(["run", "check"]).run()
}

/// The acts of the demo, with the binary that was just built.
pub(crate) fn acts(report: &mut Report, tools: &Tools) {
    report.check("acts", || {
        system::chromium()?;
        let medtrail = Workspace::read()?.binary("medtrail");
        tools
            .npm("play the demo's acts in Chromium", BROWSER)
            .args(["run", "acts"])
            .env("MEDTRAIL", medtrail)
            .or("start `cargo xtask demo`, and play them by hand")
            .run()
    });
}

/// The verifier, the sentences and the parts in TypeScript; then the page as built, in a browser.
pub(crate) fn test(report: &mut Report, tools: &Tools) {
    report.check("page", || tools.npm("run the tests in TypeScript", APP).args(["test"]).run());
    report.check("browser", || {
        system::chromium()?;
        tools
            .npm("run the tests in Chromium", BROWSER)
            .args(["test"])
            .or("`npm test -w @medtrail/browser-tests` runs them again, on the page last built")
            .run()
    });
}
