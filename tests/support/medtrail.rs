//! The `medtrail` binary under test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The binary beside this test's executable: the same build, the same profile.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/it-… → target/<profile>/medtrail
    let profile = test.parent().and_then(|deps| deps.parent()).expect("a test stands in deps");
    let path = profile.join("medtrail").with_extension(std::env::consts::EXE_EXTENSION);
    let hint = "build the whole workspace: cargo test --workspace";
    assert!(path.is_file(), "no {}: {hint}", path.display());
    path
}

/// Runs it to its end.
pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().expect("the binary starts")
}

/// A running one, its output captured, killed when dropped.
pub struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    /// Starts it.
    pub fn start(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments);
        Self::start_command(command)
    }

    /// Starts a command that the caller has prepared: its folder, its environment.
    pub fn start_command(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let said = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("piped"), said.clone());
        collect(child.stderr.take().expect("piped"), said.clone());
        Self { child, said }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has written so far, standard output and error in the order of arrival.
    pub fn said(&self) -> String {
        self.said.lock().expect("no reader panics").clone()
    }

    /// Waits for a line that holds `text`, and returns it.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> String {
        let mut end = Instant::now() + limit;
        let mut ended = None;
        loop {
            if ended.is_none() {
                ended = self.child.try_wait().expect("a child can be asked");
                if ended.is_some() {
                    // What it wrote before it ended still has to pass the pipe.
                    end = end.min(Instant::now() + Duration::from_secs(1));
                }
            }
            if let Some(line) = self.said().lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let said = self.said();
            assert!(Instant::now() < end, "no {text:?} (ended: {ended:?}):\n{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a power cut would, as far as a process can tell.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was a child");
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_end(limit)
    }

    /// Asks it to end as Ctrl-C does (SIGINT) and waits until it has.
    pub fn interrupt(&mut self, limit: Duration) -> ExitStatus {
        self.signal("INT");
        self.wait_for_end(limit)
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < end, "still running after {limit:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {id}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut said = into.lock().expect("no reader panics");
            said.push_str(&line);
            said.push('\n');
        }
    });
}
