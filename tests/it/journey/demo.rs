//! `medtrail demo`: what it shows, what it leaves, and that it leaves nothing running.

use super::json_file;
use crate::site::PATIENCE;
use alloy::primitives::{Address, B256};
use journeys::medtrail::{Running, binary};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::trust::TrustFile;
use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Seeding takes seconds, and finality some blocks of 2 s.
const DEMO: Duration = Duration::from_secs(120);

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn demo(folder: &Path, rpc_port: u16, more: &[&str]) -> Running {
    let mut command = Command::new(binary());
    command
        .args(["demo", "--listen", "127.0.0.1:0", "--rpc-port", &rpc_port.to_string()])
        .arg("--data-dir")
        .arg(folder)
        .args(more)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    Running::start_command(command)
}

/// The processes that this one has started.
fn children_of(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// Who started a process that is still there and no zombie.
fn parent_of(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // pid (name) state parent …; the name may hold anything.
    let mut fields = status.rsplit(") ").next()?.split(' ');
    let state = fields.next()?;
    (state != "Z").then(|| fields.next()?.parse().ok())?
}

fn is_gone(id: u32) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while parent_of(id).is_some() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn the_demo_ends_with_a_green_check_and_leaves_what_a_program_needs() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut demo = demo(folder.path(), port, &["--once"]);
    let status = demo.wait_for_end(DEMO);
    demo.wait_for("Verified.", PATIENCE);
    let said = demo.said();
    assert_eq!(status.code(), Some(0), "{said}");
    for step in ["log", "report", "details", "commitment", "anchor", "path", "checkpoint", "final"]
    {
        assert!(said.contains(&format!("  ✓ {step} ")), "{step}:\n{said}");
    }
    assert!(said.contains("seven days of 400 people, "), "{said}");

    let left = json_file(&folder.path().join("demo.json"));
    let text = |name: &str| left[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
    let trust = TrustFile::parse(&fs::read(folder.path().join("trust.json")).unwrap()).unwrap();
    assert!(text("url").starts_with("http://localhost:"));
    assert_eq!(text("rpc"), format!("http://127.0.0.1:{port}"));
    assert_eq!(left["chainId"], trust.chain_id);
    assert_eq!(text("registry").parse::<Address>().unwrap(), trust.registry);
    assert_eq!(text("log").parse::<B256>().unwrap(), trust.log);
    assert_eq!(text("origin"), trust.origin);
    assert_eq!(text("noteKey"), trust.operator.note_key);
    assert_eq!(left["contracts"]["AnchorRegistry"], left["registry"]);
    let accounts = left["accounts"].as_array().unwrap();
    let roles: HashSet<_> = accounts.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert!(roles.is_superset(&HashSet::from(["operator", "cold key", "patient"])), "{roles:?}");
    for account in accounts {
        let secret: B256 = account["privateKey"].as_str().unwrap().parse().unwrap();
        let address: Address = account["address"].as_str().unwrap().parse().unwrap();
        assert_eq!(ReporterKey::from_bytes(&secret).unwrap().address(), address);
        assert!(!account["name"].as_str().unwrap().is_empty());
    }
    TcpListener::bind(("127.0.0.1", port)).expect("the demo's chain has ended with it");
}

/// Ctrl-C: the ports must be free, and what it started gone, as soon as the demo has ended.
fn interrupt(mut demo: Running, ports: &[u16]) {
    let children = children_of(demo.id());
    assert_eq!(children.len(), 1, "anvil runs");
    let status = demo.interrupt(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", demo.said());
    for child in children {
        assert!(is_gone(child), "process {child} is left");
    }
    for port in ports {
        let bound = TcpListener::bind(("127.0.0.1", *port));
        bound.unwrap_or_else(|error| panic!("port {port}: {error}"));
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_running_demo_and_its_chain() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut demo = demo(folder.path(), port, &["--no-seed"]);
    demo.wait_for("Running at ", DEMO);
    let left = json_file(&folder.path().join("demo.json"));
    let url = left["url"].as_str().unwrap();

    // It runs, and a stranger can check it: with nothing but files and the chain.
    let file = |name: &str| folder.path().join(name);
    let mut verify = Command::new(binary());
    verify.arg("verify").arg(file("proof.json")).arg("--trust").arg(file("trust.json"));
    let rpc = left["rpc"].as_str().unwrap();
    assert_eq!(verify.args(["--rpc", rpc]).output().unwrap().status.code(), Some(0));
    let status = Command::new(binary()).args(["status", "--url", url]).output().unwrap();
    assert_eq!(status.status.code(), Some(0), "{status:?}");

    let listen = url.rsplit(':').next().unwrap().parse().unwrap();
    interrupt(demo, &[port, listen]);
}

#[test]
fn ctrl_c_ends_a_demo_that_is_still_starting_and_its_chain() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut demo = demo(folder.path(), port, &[]);
    demo.wait_for("Chain ", DEMO);
    interrupt(demo, &[port]);
    // What it left is the demo's own: the next one may clear it.
    assert!(folder.path().join("demo.json").exists());
}

#[test]
fn a_demo_touches_no_folder_and_no_port_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("thesis.txt");
    fs::write(&kept, "mine").unwrap();
    let mut refused = demo(folder.path(), free_port(), &["--once"]);
    assert_eq!(refused.wait_for_end(PATIENCE).code(), Some(1));
    refused.wait_for("--data-dir", PATIENCE);
    assert_eq!(fs::read(&kept).unwrap(), b"mine");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut refused = demo(&folder.path().join("new"), port, &["--once"]);
    assert_eq!(refused.wait_for_end(PATIENCE).code(), Some(1));
    refused.wait_for("--rpc-port", PATIENCE);
}
