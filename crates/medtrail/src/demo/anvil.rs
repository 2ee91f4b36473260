//! The demo's chain: anvil, from its npm package.

use super::accounts::{Accounts, mnemonic};
use crate::exit::Failure;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// Of our own: wallets remember nonces of the usual local chain ids.
pub(crate) const CHAIN_ID: u64 = 633_824;

/// A running chain, stopped with the demo.
pub(crate) struct Anvil {
    child: Mutex<Child>,
    port: u16,
}

/// The anvil binary: as named, or from npm upward of here, or on the PATH.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    // The platform's own binary: the package's launcher, when killed, leaves the chain running.
    let inside = format!("node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil");
    let here = std::env::current_dir()?;
    let upward = here.ancestors().map(|folder| folder.join(&inside)).find(|file| file.exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = || std::env::split_paths(&path).map(|dir| dir.join("anvil")).find(|f| f.exists());
    upward.or_else(on_path).ok_or_else(|| {
        Failure::new("anvil, the local chain, is not here: `cargo xtask tools` installs it, or name it with --anvil")
    })
}

impl Anvil {
    pub(crate) async fn start(
        binary: &Path,
        port: u16,
        folder: &Path,
        accounts: &Accounts,
    ) -> Result<Self, Failure> {
        // A foreign chain on this port would answer in place of ours.
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
            return Err(Failure::new(format!(
                "port {port} is taken: stop what listens there, or choose another with --rpc-port"
            )));
        }
        let log = std::fs::File::create(folder.join("anvil.log"))?;
        let child = Command::new(binary)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--chain-id", &CHAIN_ID.to_string(), "--block-time", "2"])
            .args(["--slots-in-an-epoch", "1"])
            .args(["--accounts", &accounts.len().to_string(), "--mnemonic", &mnemonic()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C is for us: the log is closed first, then the chain.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::new(format!("{}: {error}", binary.display())))?;
        let anvil = Self { child: Mutex::new(child), port };
        anvil.wait_until_it_answers(folder).await?;
        // Mari owns no coin: everything she does is a signature that others carry.
        let mari = accounts.by_role("patient").address;
        anvil.call("anvil_setBalance", json!([mari, "0x0"])).await?;
        Ok(anvil)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Resolves when the chain has ended by itself.
    pub(crate) async fn ended(&self) {
        let _ = self.child.lock().await.wait().await;
    }

    pub(crate) async fn stop(self) {
        let mut child = self.child.into_inner();
        let _ = child.kill().await;
    }

    async fn wait_until_it_answers(&self, folder: &Path) -> Result<(), Failure> {
        for _ in 0..200 {
            if let Ok(id) = self.call("eth_chainId", json!([])).await {
                return match id == json!(format!("{CHAIN_ID:#x}")) {
                    true => Ok(()),
                    false => {
                        Err(Failure::new(format!("port {} answers for another chain", self.port)))
                    }
                };
            }
            if let Ok(Some(status)) = self.child.lock().await.try_wait() {
                let log = folder.join("anvil.log");
                return Err(Failure::new(format!("anvil ended ({status}); see {}", log.display())));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::new("anvil does not answer within 20 s"))
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = reqwest::Client::new().post(self.url()).json(&request).send().await?;
        let answer: Value = answer.json().await?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(Failure::new(format!("anvil: {method}: {}", answer["error"]))),
        }
    }
}
