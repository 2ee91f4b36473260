//! A disk that is full: reports are refused, nothing else is, and no restart is needed.

use crate::site::{Custodian, Node, PATIENCE, Site, must, skipped, ticking_chain};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::trust::TrustFile;
use reqwest::StatusCode;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Room for a log and some megabytes of reports.
const DISK_MIB: u64 = 24;

/// A small disk of its own, taken away when dropped.
pub(crate) struct SmallDisk(pub(crate) TempDir);

impl SmallDisk {
    /// `None` where this user may not mount one.
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_MIB}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then_some(Self(folder))
    }

    /// Takes all that is left.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.path().join("somebody else's");
        let mut file = File::create(&path).unwrap();
        for length in [1 << 20, 4096, 1] {
            while file.write(&vec![7; length]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// A report that needs room.
fn bulky(trust: &TrustFile, number: u64) -> String {
    Custodian::fjord().saw(trust, 1, &format!("{number} {}", "x".repeat(100_000)))
}

async fn check(site: &Site, node: &Node, receipts: &[Receipt], rpc: &str) {
    let mut files = Vec::new();
    for receipt in receipts {
        let answer = node.ask_proof(receipt).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let name = format!("proof-{}.json", receipt.index);
        site.write(&name, answer.bytes().await.unwrap());
        files.push(name);
    }
    let named = ["--rpc", rpc, "--trust", "trust.json"];
    must(site.run(["verify"].into_iter().chain(files.iter().map(String::as_str)).chain(named)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_reports_keeps_proofs_and_needs_no_restart() {
    let Some(disk) = SmallDisk::mount() else {
        return skipped("the full disk: this user may not mount a small one");
    };
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    site.move_data_to(&disk.0.path().join("data"));
    let node = site.serve();
    let trust = node.trust().await;
    site.write("trust.json", node.trust_bytes().await);
    let bodies: Vec<_> =
        (0..20).map(|n| Custodian::fjord().saw(&trust, n % 3, &n.to_string())).collect();
    let receipts = node.report_all(&bodies).await;
    node.wait_until_final(20).await;

    let filler = disk.fill();
    // The files have some room inside them; then it ends.
    let mut taken = Vec::new();
    let refused = loop {
        let body = bulky(&trust, taken.len() as u64);
        let answer = node.post("application/json", body.clone()).await.unwrap();
        if answer.status() != StatusCode::CREATED {
            break answer;
        }
        let receipt: Receipt = answer.json().await.unwrap();
        taken.push((body, receipt));
        assert!(taken.len() < 400, "the disk never fills");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "60");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/disk-full", "{problem}");
    assert!(problem["advice"].as_str().unwrap().contains("nothing was written"), "{problem}");
    for _ in 0..5 {
        let answer =
            node.post("application/json", bulky(&trust, taken.len() as u64)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
    }

    // What stood before stands, and is proven to strangers.
    check(&site, &node, &receipts, &anvil.url()).await;
    let process = node.running.id();

    fs::remove_file(&filler).unwrap();
    let end = Instant::now() + PATIENCE;
    let body = bulky(&trust, taken.len() as u64);
    let receipt = loop {
        let answer = node.post("application/json", body.clone()).await.unwrap();
        if answer.status() == StatusCode::CREATED {
            break answer.json().await.unwrap();
        }
        assert!(Instant::now() < end, "{}", answer.text().await.unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    taken.push((body, receipt));
    assert!(Path::new(&format!("/proc/{process}")).exists(), "the same process");
    let indexes: Vec<_> = taken.iter().map(|(_, receipt)| receipt.index).collect();
    assert_eq!(indexes, (20..20 + taken.len() as u64).collect::<Vec<_>>(), "a refused one stands");

    // Anchors go on, over everything.
    node.wait_until_final(20 + taken.len() as u64).await;
    let late: Vec<_> = taken.iter().map(|(_, receipt)| receipt.clone()).collect();
    check(&site, &node, &late, &anvil.url()).await;
    node.stop();
    site.must_be_clean();
    drop(disk);
}
