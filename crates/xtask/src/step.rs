//! One line a step, and failures that say what to do next.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// What went wrong, and what the reader can do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    next: String,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }

    /// Several findings of one check, one a line.
    pub(crate) fn findings(findings: &[String], next: impl Into<String>) -> Self {
        Self::new(findings.join("\n"), next)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.what.lines() {
            writeln!(f, "  x {line}")?;
        }
        write!(f, "    next: {}", self.next)
    }
}

/// The folder that holds the virtual manifest.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/xtask lies two folders below the root")
}

/// Reads a text file of the repository; `path` is relative to the root.
pub(crate) fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = root().join(path);
    fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("{}: {error}", path.display()), "is this a whole checkout?")
    })
}

/// A command of the repository, run in its root.
pub(crate) struct Step {
    what: String,
    command: Command,
    next: String,
}

impl Step {
    pub(crate) fn new(what: impl Into<String>, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root());
        Self { what: what.into(), command, next: "read what it printed above".into() }
    }

    /// The cargo that runs us, so that a chosen toolchain stays chosen.
    pub(crate) fn cargo(what: impl Into<String>) -> Self {
        Self::new(what, env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What to do when the command fails.
    pub(crate) fn or(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// Says what it does, and shows the command's own output.
    pub(crate) fn run(mut self) -> Result {
        self.announce();
        let status = self.command.status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failed(status)),
            Err(error) => Err(self.not_started(&error)),
        }
    }

    /// Lets the command's standard error through while its output is read.
    pub(crate) fn with_progress(mut self) -> Self {
        self.command.stderr(Stdio::inherit());
        self
    }

    /// Says nothing, and returns what the command wrote to its standard output.
    pub(crate) fn read(mut self) -> Result<String> {
        match self.command.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Ok(output) => {
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
                Err(self.failed(output.status))
            }
            Err(error) => Err(self.not_started(&error)),
        }
    }

    /// Says nothing, and whether it worked.
    pub(crate) fn quietly(mut self) -> Result {
        let command = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failed(status)),
            Err(error) => Err(self.not_started(&error)),
        }
    }

    /// Becomes the command, so that Ctrl-C and its exit code belong to it alone. Returns only when
    /// that failed.
    #[cfg(unix)]
    pub(crate) fn become_it(mut self) -> Result {
        use std::os::unix::process::CommandExt;
        self.announce();
        let error = self.command.exec();
        Err(self.not_started(&error))
    }

    /// There is no `exec` here: waits, while the console hands Ctrl-C to both.
    #[cfg(not(unix))]
    pub(crate) fn become_it(self) -> Result {
        self.run()
    }

    fn announce(&self) {
        println!("> {}", self.what);
    }

    fn failed(&self, status: impl fmt::Display) -> Failure {
        Failure::new(format!("{}: {} ended with {status}", self.what, self.line()), &*self.next)
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        Failure::new(format!("{}: {} did not start: {error}", self.what, self.line()), &*self.next)
    }

    /// The command as a person would type it in the root.
    fn line(&self) -> String {
        let program = PathBuf::from(self.command.get_program());
        let program = program.strip_prefix(root()).unwrap_or(&program);
        let args = self.command.get_args().map(OsStr::to_string_lossy);
        let name = match program.file_stem() {
            Some(name) if name == "cargo" => "cargo".into(),
            _ => program.to_string_lossy(),
        };
        let line: Vec<_> = std::iter::once(name).chain(args).collect();
        format!("`{}`", line.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_next_step() {
        let failure = Step::cargo("look").args(["no-such-command"]).or("do it by hand").read();
        let text = failure.expect_err("cargo has no such command").to_string();
        assert!(text.contains("look: `cargo no-such-command` ended with exit status"), "{text}");
        assert!(text.ends_with("next: do it by hand"), "{text}");
    }

    #[test]
    fn a_program_that_is_missing_is_a_failure_and_no_panic() {
        let failure = Step::new("look", "a-program-that-nobody-has").or("install it").run();
        assert!(failure.expect_err("missing").to_string().contains("did not start"));
    }
}
