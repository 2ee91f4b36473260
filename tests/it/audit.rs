//! An auditor with an export, an RPC URL and a trust file of their own: an honest log is green, and
//! whatever is changed in it is found, named, and kept in a file that shows it.

use crate::site::{Custodian, Said, Settings, Site, must, person_id, ticking_chain};
use journeys::anvil::Anvil;
use medtrail_ledger::audit::evidence::{AuditEvidence, TreePath};
use medtrail_ledger::audit::{Check, Flaw};
use medtrail_ledger::checkpoint::SignedCheckpoint;
use medtrail_ledger::merkle::{leaf_hash, verify_consistency, verify_inclusion};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A full tile, and partial ones on two levels.
const FIRST: u64 = 150;
const ENTRIES: u64 = 300;

/// A stopped log of several anchors, and its export in `honest`.
struct Exported {
    anvil: Anvil,
    site: Site,
}

impl Exported {
    async fn log() -> Self {
        let anvil = ticking_chain().await;
        let site = Site::on(&anvil).await;
        Self::export(anvil, site).await
    }

    /// Reports in two parts, each anchored, to a site that has none yet.
    async fn export(anvil: Anvil, site: Site) -> Self {
        let node = site.serve();
        site.write("trust.json", node.trust_bytes().await);
        let trust = node.trust().await;
        let fjord = Custodian::fjord();
        let saw = |event: u64| fjord.saw(&trust, event % 7, &event.to_string());
        node.report_all(&(0..FIRST).map(saw).collect::<Vec<_>>()).await;
        node.wait_until_final(FIRST).await;
        node.report_all(&(FIRST..ENTRIES - 4).map(saw).collect::<Vec<_>>()).await;
        let names: Vec<_> = (0..4).map(|event| format!("together {event}")).collect();
        let batch = node.post("application/json", fjord.saw_together(&trust, 3, &names)).await;
        assert!(batch.unwrap().status().is_success());
        node.wait_until_final(ENTRIES).await;
        node.stop();
        must(site.run(["export", "--to", "honest"]));
        Self { anvil, site }
    }

    /// What the command says about a folder, with more flags.
    fn audit(&self, folder: &str, more: &[&str]) -> Said {
        let url = self.anvil.url();
        self.site.run(["audit", folder, "--rpc", &url].iter().chain(more))
    }

    /// The same as JSON.
    fn told(&self, folder: &str, more: &[&str]) -> (Option<i32>, Value) {
        let said = self.audit(folder, &[more, &["--json"]].concat());
        let told = serde_json::from_str(&said.out);
        (said.code, told.unwrap_or_else(|error| panic!("{error}: {said:?}")))
    }

    /// A copy of the export under a name, changed.
    fn changed(&self, name: &str, change: impl FnOnce(&Path)) -> PathBuf {
        let copy = self.site.path(name);
        copy_folder(&self.site.path("honest"), &copy);
        change(&copy);
        copy
    }

    /// Audits a changed copy: it must be red, with this flaw first; returns what was kept.
    fn must_find(
        &self,
        name: &str,
        more: &[&str],
        flaw: Flaw,
        change: impl FnOnce(&Path),
    ) -> AuditEvidence {
        self.changed(name, change);
        self.must_be_found(name, more, flaw)
    }

    fn must_be_found(&self, name: &str, more: &[&str], flaw: Flaw) -> AuditEvidence {
        let kept = format!("{name}.evidence.json");
        let flags = [&["--trust", "trust.json", "--evidence", &kept], more].concat();
        let said = self.audit(name, &flags);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        let evidence = AuditEvidence::parse(&fs::read(self.site.path(&kept)).unwrap()).unwrap();
        assert_eq!(evidence.flaw, flaw, "{name}: {said:?}");
        let named = format!("First fault, found by {}: {}", flaw.check().word(), evidence.words);
        assert!(said.out.contains(&named) && said.out.contains(&kept), "{name}: {said:?}");
        evidence
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

/// Rewrites the lines of a copy's rows.
fn edit_rows(folder: &Path, edit: impl FnOnce(&mut Vec<String>)) {
    let file = folder.join("rows.ndjson");
    let mut lines: Vec<_> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    edit(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(file, text).unwrap();
}

/// Changes a hexadecimal digit of the row in a line, `at` bytes into it.
fn change_row(line: &mut String, at: usize) {
    let place = line.find("\"row\":\"0x").unwrap() + 9 + 2 * at;
    let other = if &line[place..=place] == "7" { "8" } else { "7" };
    line.replace_range(place..=place, other);
}

fn check<'a>(told: &'a Value, name: &str) -> &'a Value {
    let checks = told["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{told:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_log_is_green_and_whatever_is_changed_in_it_is_found() {
    let log = Exported::log().await;
    let trust = ["--trust", "trust.json"];
    let with_keys = [trust[0], trust[1], "--keys-dir", "keys"];

    // From public data alone.
    let (code, told) = log.told("honest", &trust);
    assert_eq!((code, &told["verdict"]), (Some(0), &Value::from("green")), "{told:#}");
    assert_eq!((&told["entries"], &told["subjects"]), (&300.into(), &7.into()));
    for (name, checked) in [("tiles", 5), ("rows", 300), ("trails", 300), ("events", 300)] {
        assert_eq!(check(&told, name)["checked"], checked, "{told:#}");
    }
    assert!(check(&told, "anchors")["checked"].as_u64().unwrap() >= 2);
    assert_eq!(told["evidence"], Value::Null);
    // With the keys of the operator.
    let (code, told) = log.told("honest", &with_keys);
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(check(&told, "content")["checked"], 300);
    assert_eq!(check(&told, "signatures")["checked"], 300);
    assert_eq!(told["kinds"], serde_json::json!({ "access": 300 }));
    // A log that nobody named, found by its checkpoint; and one whose rows stay away.
    let (code, told) = log.told("honest", &[]);
    assert_eq!((code, &check(&told, "log")["verdict"]), (Some(3), &Value::from("amber")));
    let amber = told["checks"].as_array().unwrap().iter().filter(|c| c["verdict"] != "green");
    assert_eq!(amber.count(), 1, "{told:#}");
    let (code, _) = log.told("honest", &["--keys-dir", "keys"]);
    assert_eq!(code, Some(3));
    let public = log.changed("public", |folder| {
        fs::remove_file(folder.join("rows.ndjson")).unwrap();
        fs::remove_file(folder.join("anchors.json")).unwrap();
    });
    let public = public.to_str().unwrap();
    let (code, told) = log.told(public, &[trust[0], trust[1], "--without-rows"]);
    assert_eq!((code, &check(&told, "anchors")["verdict"]), (Some(3), &Value::from("green")));
    let table = must(log.audit("honest", &with_keys));
    assert!(table.contains("Audited: nothing is wrong.") && table.contains("rows"), "{table}");
    assert!(!log.site.path("audit-evidence.json").exists());

    tiles_and_what_they_stand_for(&log);
    rows_that_were_changed_or_withheld(&log);
    what_only_keys_show(&log, &with_keys[2..]);
    files_that_are_none(&log);
}

fn tiles_and_what_they_stand_for(log: &Exported) {
    let kept = log.must_find("leaf", &[], Flaw::LeafDiffers, |folder| {
        flip(&folder.join("tile/0/000"), 32 * 7 + 1);
    });
    assert_eq!((kept.index, kept.file.as_deref()), (Some(7), Some("tile/0/000")));
    // The way from the entry to the anchor that covers it.
    let anchor = kept.anchor.unwrap();
    let Some(TreePath::Inclusion { index, commitment, size, root, path }) = kept.path else {
        panic!("no path")
    };
    assert_eq!((index, size, root), (7, anchor.size, anchor.root));
    let path: Vec<_> = path.iter().map(|hash| hash.0).collect();
    verify_inclusion(&root.0, size, index, &leaf_hash(&commitment.0), &path).unwrap();
    assert_eq!(kept.expected, Some(alloy::hex::encode_prefixed(leaf_hash(&commitment.0))));

    let kept = log.must_find("bundle", &[], Flaw::RootDiffers, |folder| {
        flip(&folder.join("tile/entries/000"), 34 * 7 + 9);
    });
    assert_eq!(kept.anchor.unwrap().number, 1);
    let kept = log.must_find("above", &[], Flaw::TileDiffers, |folder| {
        flip(&folder.join("tile/1/000.p/1"), 3);
    });
    assert_eq!(kept.file.as_deref(), Some("tile/1/000.p/1"));
    let kept = log.must_find("cut", &[], Flaw::FileMissing, |folder| {
        fs::remove_file(folder.join("tile/entries/001.p/44")).unwrap();
    });
    assert_eq!(kept.index, Some(256));
}

fn rows_that_were_changed_or_withheld(log: &Exported) {
    let kept = log.must_find("withheld", &[], Flaw::RowsMissing, |folder| {
        edit_rows(folder, |lines| lines.truncate(280));
    });
    assert_eq!(kept.index, Some(280));
    log.must_find("no-rows", &[], Flaw::RowsMissing, |folder| {
        fs::remove_file(folder.join("rows.ndjson")).unwrap();
    });
    let kept = log.must_find("one-less", &[], Flaw::RowOutOfOrder, |folder| {
        edit_rows(folder, |lines| drop(lines.remove(40)));
    });
    assert_eq!((kept.index, kept.found.as_deref()), (Some(40), Some("41")));
    let kept = log.must_find("number", &[], Flaw::OrdinalOutOfOrder, |folder| {
        edit_rows(folder, |lines| change_row(&mut lines[50], 24));
    });
    assert_eq!(kept.index, Some(50));
    let kept = log.must_find("commitment", &[], Flaw::RowCommitment, |folder| {
        edit_rows(folder, |lines| {
            let other = lines[60].split('"').nth(5).unwrap().to_owned();
            let own = lines[50].split('"').nth(5).unwrap().to_owned();
            lines[50] = lines[50].replace(&own, &other);
        });
    });
    assert_eq!((kept.check, kept.index), (Check::Rows, Some(50)));
    // The event's name of entry 30 in entry 50.
    let kept = log.must_find("double", &[], Flaw::EventTwice, |folder| {
        edit_rows(folder, |lines| {
            let event = |line: &String| {
                let start = line.find("\"row\":\"0x").unwrap() + 9 + 2 * 25;
                start..start + 32
            };
            let other = lines[30][event(&lines[30])].to_owned();
            let place = event(&lines[50]);
            lines[50].replace_range(place, &other);
        });
    });
    assert_eq!((kept.index, kept.expected.as_deref()), (Some(50), Some("30")));
}

fn what_only_keys_show(log: &Exported, keys: &[&str]) {
    let sealed = |folder: &Path| edit_rows(folder, |lines| change_row(&mut lines[33], 100));
    let kept = log.must_find("sealed", keys, Flaw::RowDamaged, sealed);
    assert_eq!(kept.index, Some(33));
    // Without keys nobody can see into a seal.
    assert_eq!(log.audit("sealed", &["--trust", "trust.json"]).code, Some(0));

    // A trust file that has not heard of who signs.
    let mut strict: Value =
        serde_json::from_slice(&fs::read(log.site.path("trust.json")).unwrap()).unwrap();
    strict["organisations"] = Value::Array(Vec::new());
    log.site.write("strict.json", strict.to_string());
    let flags = [keys, &["--trust", "strict.json", "--evidence", "strict.evidence.json"]].concat();
    let said = log.audit("honest", &flags);
    assert_eq!(said.code, Some(1), "{said:?}");
    let kept = fs::read(log.site.path("strict.evidence.json")).unwrap();
    let kept = AuditEvidence::parse(&kept).unwrap();
    assert_eq!((kept.flaw, kept.index), (Flaw::SignerUnknown, Some(0)));
    let entry = kept.entry.unwrap();
    assert_eq!(entry.report.actor, Custodian::fjord().address());
    assert_eq!(entry.report.subject, person_id(0));

    let said = log.audit("honest", &["--trust", "trust.json", "--keys-dir", "no-such-keys"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no master.key in no-such-keys"), "{said:?}");
    assert!(!log.site.path("no-such-keys").exists());
}

fn files_that_are_none(log: &Exported) {
    log.must_find("claims", &[], Flaw::ClaimDiffers, |folder| {
        let file = folder.join("anchors.json");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen("\"size\": 150", "\"size\": 149", 1)).unwrap();
    });
    let claims = log.must_find("no-claims", &[], Flaw::ClaimsUnreadable, |folder| {
        fs::remove_file(folder.join("anchors.json")).unwrap();
    });
    assert_eq!(claims.file.as_deref(), Some("anchors.json"));
    let root_line = |text: &str| text.find('\n').unwrap() + 5;
    log.must_find("head", &[], Flaw::CheckpointSignature, |folder| {
        let file = folder.join("checkpoint");
        let text = fs::read_to_string(&file).unwrap();
        let at = root_line(&text) + 3;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        fs::write(&file, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    });
    log.must_find("no-head", &[], Flaw::CheckpointUnreadable, |folder| {
        fs::remove_file(folder.join("checkpoint")).unwrap();
    });
    // What was kept is not written over.
    let said = log.audit("head", &["--trust", "trust.json", "--evidence", "head.evidence.json"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("from an earlier audit"), "{said:?}");
}

/// Until what has just been mined is final.
async fn wait_until_final(anvil: &Anvil) {
    let mined = anvil.block_number().await;
    while anvil.finalized_number().await < mined {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// The operator signs two logs under one name, and anchors one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_history_that_the_operator_signed_is_shown_to_anybody() {
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    let (on_chain, first) = (site.settings.clone(), site.data_dir().to_owned());
    let other = site.path("other-data");
    site.settings.rpc = Settings::without_a_chain().rpc;
    site.move_data_to(&other);
    let node = site.serve();
    let trust = node.trust().await;
    let fjord = Custodian::fjord();
    let bodies: Vec<_> =
        (0..ENTRIES).map(|event| fjord.saw(&trust, event % 5, &format!("other {event}"))).collect();
    node.report_all(&bodies).await;
    node.stop();
    must(site.run(["export", "--to", "other"]));

    site.settings = on_chain;
    site.move_data_to(&first);
    let log = Exported::export(anvil, site).await;
    let (code, told) = log.told("honest", &["--trust", "trust.json", "--keys-dir", "keys"]);
    assert_eq!(code, Some(0), "{told:#}");

    // It agrees with itself, and is signed: only the chain shows that it is another one. It does
    // not even know that it was anchored.
    let kept = log.must_be_found("other", &["--keys-dir", "keys"], Flaw::RootDiffers);
    let anchor = kept.anchor.unwrap();
    assert_eq!(anchor.number, 1);
    let signed = SignedCheckpoint::parse(kept.checkpoint.unwrap().as_bytes()).unwrap();
    let keys = trust.log_keys(log.site.operator).unwrap();
    keys.verify(&signed).unwrap();
    let Some(TreePath::Consistency { from, from_root, to, to_root, path }) = kept.path else {
        panic!("no path")
    };
    assert_eq!((from, to, to_root.0), (anchor.size, ENTRIES, signed.checkpoint.root));
    let path: Vec<_> = path.iter().map(|hash| hash.0).collect();
    verify_consistency(from, to, &from_root.0, &to_root.0, &path).unwrap();
    assert_ne!(from_root, anchor.root);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_and_an_older_copy_are_told_with_what_to_do() {
    let log = Exported::log().await;
    let wrong = ticking_chain().await;
    let url = wrong.url();
    let said = log.site.run(["audit", "honest", "--rpc", &url, "--trust", "trust.json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = "your trust file names chain";
    assert!(said.err.contains(words) && said.err.contains("endpoint of that chain"), "{said:?}");
    let said = log.site.run(["audit", "honest", "--rpc", &url]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("has no AnchorRegistry") && said.err.contains("--rpc"), "{said:?}");
    let said = log.site.run(["audit", "no-such-folder", "--rpc", &url]);
    assert!(said.err.contains("name one that an export wrote"), "{said:?}");
    // A registry that has never heard of the log.
    let stranger = Site::new(Settings::on(&wrong));
    stranger.give_coin(&wrong).await;
    must(stranger.run(["deploy"]));
    wait_until_final(&wrong).await;
    let said = log.site.run(["audit", "honest", "--rpc", &url]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("knows no log") && said.err.contains("--trust FILE"), "{said:?}");

    // The log goes on after the export.
    let node = log.site.serve();
    let trust = node.trust().await;
    let fjord = Custodian::fjord();
    node.report(&fjord.saw(&trust, 1, "later")).await;
    node.wait_until_final(ENTRIES + 1).await;
    node.stop();
    let (code, told) = log.told("honest", &["--trust", "trust.json"]);
    assert_eq!(code, Some(3), "{told:#}");
    let words = check(&told, "anchors")["words"].as_str().unwrap();
    assert!(words.contains("ends at 300 entries, the chain has 301"), "{words}");
}
