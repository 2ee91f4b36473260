//! Programs that the system brings: looked for, and installed by apt where that may be asked.

use std::env;

use crate::step::{Failure, Result, Step};

/// A program and the Debian package that holds it.
struct Program {
    /// How to see that it is there.
    probe: &'static [&'static str],
    package: &'static str,
}

const CHROMIUM: Program = Program { probe: &["chromium", "--version"], package: "chromium" };
const VENV: Program =
    Program { probe: &["python3", "-c", "import ensurepip, venv"], package: "python3-venv" };

/// A browser, for the tests of the page.
pub(crate) fn chromium() -> Result {
    CHROMIUM.ready()
}

/// Python with its own way to install packages apart, for the tests with foreign clients.
pub(crate) fn python() -> Result {
    VENV.ready()
}

impl Program {
    fn ready(&self) -> Result {
        if self.is_there() {
            return Ok(());
        }
        let by_hand = format!("install the package {} by hand", self.package);
        let apt = |what: String, args: &[&str]| {
            Step::new(what, "apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive")
        };
        if env::consts::OS != "linux" || apt(String::new(), &["--version"]).read().is_err() {
            return Err(Failure::new(format!("{} is missing", self.probe[0]), by_hand));
        }
        apt(format!("look for {} (apt-get update)", self.package), &["--quiet", "update"])
            .or(&*by_hand)
            .run()?;
        let args = ["--quiet", "--yes", "--no-install-recommends", "install", self.package];
        let install = || apt(format!("install {} (apt-get)", self.package), &args).or(&*by_hand);
        // Apt has been seen to lose its own folder half way; the second run then mends it.
        install().run().or_else(|_| install().run())?;
        match self.is_there() {
            true => Ok(()),
            false => Err(Failure::new(
                format!("{} was installed, but {} does not run", self.package, self.probe[0]),
                by_hand,
            )),
        }
    }

    fn is_there(&self) -> bool {
        Step::new("look", self.probe[0]).args(&self.probe[1..]).quietly().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_runs_is_there_and_another_is_not() {
        assert!(Program { probe: &["cargo", "--version"], package: "x" }.is_there());
        assert!(!Program { probe: &["cargo", "no-such-command"], package: "x" }.is_there());
        assert!(!Program { probe: &["a-program-that-nobody-has"], package: "x" }.is_there());
    }
}
