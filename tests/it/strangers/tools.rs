//! Foreign programs, installed as their lockfiles say: npm's below tests/interop/node and tests/buyer,
//! Python's in a virtual environment below target/.
//!
//! What cannot be installed fails the test. With MEDTRAIL_OFFLINE=1 it is skipped, and said so.

use crate::site::skipped;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Who reads the task from its standard input, and tells what it saw on its last line.
#[derive(Clone, Copy)]
pub(crate) enum Stranger {
    Node(&'static str),
    /// The second client of the market.
    Buyer,
    Python(&'static str),
}

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn interop(name: &str) -> PathBuf {
    tests().join("interop").join(name)
}

/// Below target/, of whichever profile.
fn target(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    target.join("interop").join(name)
}

impl Stranger {
    /// Runs it to its end; `None` if it is not installed, and must not be.
    pub(crate) async fn run(self, task: Value) -> Option<Value> {
        tokio::task::spawn_blocking(move || self.run_blocking(&task)).await.unwrap()
    }

    /// The command that runs it, once it is installed.
    fn command(self) -> Option<Command> {
        let node = |folder: PathBuf, script: &str| {
            node_modules(&folder)?;
            let mut command = Command::new("node");
            command.arg(folder.join(script));
            Some(command)
        };
        match self {
            Self::Node(script) => node(interop("node"), script),
            Self::Buyer => node(tests().join("buyer"), "buyer.mjs"),
            Self::Python(script) => {
                let mut command = Command::new(python()?);
                command.arg(interop("python").join(script));
                Some(command)
            }
        }
    }

    fn run_blocking(self, task: &Value) -> Option<Value> {
        let output = self.start(task)?.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{text}\n{error}", output.status);
        Some(serde_json::from_str(text.lines().last().unwrap()).unwrap())
    }

    /// Starts it, with its output piped, for a test that acts meanwhile.
    pub(crate) fn start(self, task: &Value) -> Option<Child> {
        let mut command = self.command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Loopback is where the log is; a proxy of this machine is for everything else.
        command.env("NO_PROXY", "127.0.0.1");
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(task.to_string().as_bytes()).unwrap();
        Some(child)
    }
}

fn node_modules(folder: &Path) -> Option<()> {
    let lockfile = fs::read(folder.join("package-lock.json")).unwrap();
    install("npm packages", &lockfile, &folder.join("node_modules/.medtrail-lock"), || {
        let mut npm = Command::new("npm");
        npm.arg("ci").current_dir(folder);
        vec![(npm, "install Node 20 or newer, with npm; is the npm registry reachable?")]
    })
}

/// The interpreter of the virtual environment.
fn python() -> Option<PathBuf> {
    let (folder, list) = (target("python"), interop("python").join("requirements.txt"));
    let wanted = fs::read(&list).unwrap();
    let program = folder.join("bin/python");
    install("Python packages", &wanted, &folder.join("medtrail-lock"), || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&folder);
        let mut pip = Command::new(&program);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
            .arg(&list);
        vec![
            (venv, "install Python 3.11 or newer and Debian's python3-venv"),
            (pip, "is PyPI reachable?"),
        ]
    })?;
    Some(program)
}

/// Runs what installs, unless the stamp says that just this is installed.
fn install<'a>(
    what: &str,
    wanted: &[u8],
    stamp: &Path,
    steps: impl FnOnce() -> Vec<(Command, &'a str)>,
) -> Option<()> {
    let is_there = || fs::read(stamp).is_ok_and(|found| found == wanted);
    // Tests run beside each other, in one process and in several.
    fs::create_dir_all(target("")).unwrap();
    let lock = File::create(target("lock")).unwrap();
    lock.lock().unwrap();
    if is_there() {
        return Some(());
    }
    if std::env::var_os("MEDTRAIL_OFFLINE").is_some_and(|value| value == "1") {
        skipped(&format!("foreign {what} are not installed, and MEDTRAIL_OFFLINE=1"));
        return None;
    }
    for (mut step, advice) in steps() {
        let output = step.stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("{step:?}: {error}; {advice}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{step:?}: {}; {advice}\n{said}", output.status);
    }
    fs::write(stamp, wanted).unwrap();
    Some(())
}
