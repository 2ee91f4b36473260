//! One story, told by the binary alone: permits, records, a change that was asked for, questions,
//! a notice, an erasure; and an audit of the whole log that finds nothing wrong.

mod hook;

use crate::site::{Node, Said, Settings, Site, must, ticking_chain};
use alloy::primitives::{Address, hex};
use hook::Hook;
use journeys::anvil::Anvil;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const FIRST: &[u8] = b"the first words of a letter 7f3a";
const SECOND: &[u8] = b"the second words of a letter 91cc";
const TITLE: &str = "Letter about the knee";
const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[
 {"resource":{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"Ferritin"}}},
 {"resource":{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order",
  "medicationCodeableConcept":{"text":"Ibuprofen"}}}]}"#;
/// What no file of the log may hold in clear, and nothing at all after the erasure.
const SECRETS: [&[u8]; 4] = [FIRST, SECOND, TITLE.as_bytes(), b"Ferritin"];

/// Somebody with a key in a file.
struct Who {
    key: &'static str,
    address: Address,
}

/// A log with a person and two organisations, whose keys are files.
struct Story {
    anvil: Anvil,
    site: Site,
    node: Option<Node>,
    mari: Who,
    fjord: Who,
    lab: Who,
}

impl Story {
    async fn begin(more: &str) -> Self {
        let anvil = ticking_chain().await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut site = Site::new(Settings {
            listen: format!("127.0.0.1:{port}"),
            public_url: format!("http://127.0.0.1:{port}"),
            more: more.to_owned(),
            ..Settings::on(&anvil)
        });
        site.give_coin(&anvil).await;
        must(site.run(["deploy"]));
        let made = |key| {
            let said = must(site.run(["keys", "reporter", key]));
            Who { key, address: said.trim().parse().unwrap() }
        };
        let (mari, fjord, lab) = (made("mari.json"), made("fjord.json"), made("lab.json"));
        site.settings.organisations =
            vec![("Fjord Clinic".into(), fjord.address, 0), ("North Lab".into(), lab.address, 0)];
        site.configure();
        let node = site.serve();
        site.write("trust.json", node.trust_bytes().await);
        Self { anvil, site, node: Some(node), mari, fjord, lab }
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// A command of somebody to the service.
    fn run(&self, who: &Who, command: &[&str]) -> Said {
        let url = ["--url", &self.node().url, "--key", who.key];
        let needs_trust = ["grant", "revoke", "records", "approvals", "trail", "correct", "report"]
            .contains(&command[0])
            || ["answer", "ask", "confirm", "deny"].iter().any(|word| command.get(1) == Some(word));
        let trust: &[&str] = if needs_trust { &["--trust", "trust.json"] } else { &[] };
        self.site.run(command.iter().chain(&url).chain(trust))
    }

    fn says(&self, who: &Who, command: &[&str]) -> String {
        must(self.run(who, command))
    }

    fn json(&self, who: &Who, command: &[&str]) -> Value {
        let said = self.says(who, &[command, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn size(&self) -> impl Future<Output = u64> {
        let answer = self.node().json("/readyz");
        let read = |ready: Value| ready["entries"].as_u64().unwrap();
        async move { read(answer.await) }
    }

    async fn stop(&mut self) {
        let size = self.size().await;
        self.node().wait_until_final(size).await;
        self.node.take().unwrap().stop();
    }

    /// The whole log again, with its keys, as its operator would show it an auditor.
    async fn audit(&self, name: &str) -> Value {
        // The registry's events of the last minutes leave nothing open.
        self.anvil.advance_time(3600).await;
        let mined = self.anvil.block_number().await + 1;
        while self.anvil.finalized_number().await < mined {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.site.must_be_clean();
        must(self.site.run(["export", "--to", name]));
        let url = self.anvil.url();
        let flags = ["audit", name, "--rpc", &url, "--trust", "trust.json", "--keys-dir", "keys"];
        let said = self.site.run(flags.iter().chain(&["--json", "--grace", "0"]));
        let again = || {
            fs::remove_file(self.site.path("audit-evidence.json")).unwrap_or_default();
            self.site.run(flags)
        };
        assert!(matches!(said.code, Some(0 | 3)), "{}", again().out);
        serde_json::from_str(&said.out).unwrap()
    }
}

/// Files below a folder that hold one of these.
fn holding(folder: &Path, secrets: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, secrets));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let holds = |secret: &&[u8]| bytes.windows(secret.len()).any(|window| window == *secret);
        found.extend(
            secrets
                .iter()
                .filter(|one| holds(one))
                .map(|secret| format!("{}: {}", path.display(), hex::encode(secret))),
        );
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_counts_without_its_person_and_the_audit_agrees() {
    let mut story = Story::begin("").await;
    let Story { site, mari, fjord, lab, .. } = &story;
    let (fjord_id, mari_id) = (fjord.address.to_string(), mari.address.to_string());
    site.write("letter.txt", FIRST);
    site.write("better.txt", SECOND);
    site.write("bundle.json", BUNDLE);

    // The person's own: a file, and a Bundle; the same Bundle again changes nothing.
    let put = ["records", "put", "letter.txt", "--title", TITLE, "--media-type", "text/plain"];
    let said = story.says(mari, &put);
    assert!(said.contains("counts, line 0"), "{said}");
    let said = story.says(mari, &["records", "import", "bundle.json"]);
    assert!(said.contains("2 of 2 records are kept"), "{said}");
    let said = story.says(mari, &["records", "import", "bundle.json"]);
    assert!(said.contains("Nothing new"), "{said}");
    let listed = story.json(mari, &["records", "list"]);
    let records = listed["records"].as_array().unwrap();
    let of = |title: &str| {
        let found = records.iter().find(|one| one["current"]["title"] == title);
        let found = found.unwrap_or_else(|| panic!("{title}: {listed:#}"));
        (found["record"].as_str().unwrap(), found["head"].as_str().unwrap())
    };
    let ((letter, head), (observation, _)) = (of(TITLE), of("Ferritin"));

    // A grant, by which the clinic reads what it is about and nothing else.
    let grant = ["grant", "--to", &fjord_id, "--scopes", "patient/Observation.rs"];
    let said = story.says(mari, &grant);
    assert!(said.starts_with("Permission 0x") && said.contains("is given, line"), "{said}");
    let read = |record: &str, who: &Who| {
        let whose = ["--subject", &mari_id, "--purpose", "TREAT", "--out", "got"];
        story.run(who, &[&["records", "get", record], &whose[..]].concat())
    };
    let before = story.size().await;
    let said = must(read(observation, fjord));
    assert!(said.contains(&format!("line {before}.")), "{said}");
    assert!(fs::read_to_string(site.path("got")).unwrap().contains("Ferritin"));
    let refused = read(letter, fjord);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("403") && refused.err.contains("not permitted"), "{refused:?}");
    let refused = read(observation, lab);
    assert_eq!(refused.code, Some(1), "{refused:?}");

    // A change that was asked for: approved, and then made by exactly those who asked.
    let ask = ["approvals", "ask", "better.txt", "--subject", &mari_id, "--record", letter];
    let what = ["--title", TITLE, "--media-type", "text/plain", "--why", "The knee is the left"];
    let said = story.says(fjord, &[&ask[..], &what, &["--from", head]].concat());
    assert!(said.starts_with("Asked, request 0x"), "{said}");
    let request = said.trim().trim_end_matches('.').rsplit(' ').next().unwrap();
    let table = story.says(mari, &["approvals", "list"]);
    assert!(table.contains("Fjord Clinic") && table.contains("The knee is the left"), "{table}");
    let put = ["records", "put", "better.txt", "--subject", &mari_id, "--record", letter];
    let what = ["--title", TITLE, "--media-type", "text/plain", "--purpose", "TREAT"];
    let put = [&put[..], &what].concat();
    let early = story.run(fjord, &[&put[..], &["--from", head]].concat());
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("403"), "{early:?}");
    let said = story.says(mari, &["approvals", "approve", request]);
    assert!(said.starts_with("Approved, line "), "{said}");
    let asked = story.json(fjord, &["approvals", "list"]);
    assert_eq!(asked["requests"][0]["state"], "approved", "{asked:#}");
    let permission = asked["requests"][0]["permission"].as_str().unwrap();
    // Another with the same approval is nobody it names.
    let other = [&put[..], &["--permission", permission, "--from", head]].concat();
    let refused = story.run(lab, &other);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("403") && refused.err.contains("told"), "{refused:?}");
    let said = story.says(fjord, &[&put[..], &["--permission", permission]].concat());
    assert!(said.contains("counts, line"), "{said}");
    let asked = story.json(fjord, &["approvals", "list"]);
    assert_eq!(asked["requests"][0]["state"], "done", "{asked:#}");
    // Once, and only upon what was there.
    let again = story.run(fjord, &other);
    assert_eq!(again.code, Some(1), "{again:?}");
    must(story.run(mari, &["records", "get", letter, "--out", "mine"]));
    assert_eq!(fs::read(site.path("mine")).unwrap(), SECOND);
    let versions = story.says(mari, &["records", "versions", letter]);
    assert!(versions.contains("Fjord Clinic"), "{versions}");

    // A grant that lets write: the clinic changes without asking, until it is taken back.
    let grant = ["grant", "--to", &fjord_id, "--scopes", "patient/MedicationRequest.rus"];
    let granted = story.json(mari, &grant);
    let (medicine, _) = of("Ibuprofen");
    site.write(
        "medicine.json",
        r#"{"resourceType":"MedicationRequest","id":"m1","status":"stopped"}"#,
    );
    let put = ["records", "put", "medicine.json", "--subject", &mari_id, "--record", medicine];
    let what = ["--title", "Ibuprofen", "--media-type", "application/fhir+json"];
    let kind = ["--resource-type", "MedicationRequest", "--purpose", "TREAT"];
    let put = [&put[..], &what, &kind].concat();
    let said = story.says(fjord, &put);
    assert!(said.contains("counts, line"), "{said}");
    let said = story.says(mari, &["revoke", granted["id"].as_str().unwrap()]);
    assert!(said.starts_with("It is taken back, line"), "{said}");
    site.write("medicine.json", r#"{"resourceType":"MedicationRequest","id":"m1"}"#);
    let refused = story.run(fjord, &put);
    assert_eq!(refused.code, Some(1), "{refused:?}");

    story.stop().await;
    let told = story.audit("export").await;
    let found = &told["permissions"];
    for (name, count) in [("missing", 0), ("both", 0), ("inVault", 6), ("inVaultRelayed", 1)] {
        assert_eq!(found[name], count, "{name}: {told:#}");
    }
    assert_eq!(told["kinds"]["refusal"], 6, "{told:#}");
    let held = holding(story.site.data_dir(), &SECRETS);
    assert!(held.is_empty(), "{held:?}");

    // An older copy of the vault is found, and says what is missing of it.
    let vault = story.site.data_dir().join("vault").join("vault.redb");
    fs::copy(&vault, story.site.path("old.redb")).unwrap();
    story.node = Some(story.site.serve());
    story.site.write("letter.txt", b"the third words");
    let put = ["records", "put", "letter.txt", "--title", TITLE, "--media-type", "text/plain"];
    let line = story.size().await;
    assert!(story.says(&story.mari, &put).contains(&format!("counts, line {}", line)));
    story.node.take().unwrap().stop();
    story.site.must_be_clean();
    fs::copy(story.site.path("old.redb"), &vault).unwrap();
    let said = story.site.run(["fsck"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let missing = format!("the version that entry {line} made is missing");
    assert!(said.out.contains(&missing), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_a_line_corrected_a_notice_sent_and_an_erasure_audited() {
    let hook = Hook::listen();
    let more = "\n[erasure]\nwait_s = 4\nkeep_access_s = 0\n\n\
                [notices]\nwebhooks = true\nwebhooks_to_loopback = true\n";
    let mut story = Story::begin(more).await;
    let Story { site, mari, fjord, lab, .. } = &story;
    site.write("letter.txt", FIRST);
    site.write("better.txt", SECOND);

    let said = story.says(mari, &["notices", "set", "--webhook", &hook.url]);
    let secret = said.lines().find_map(|line| line.trim().strip_prefix("Secret:")).unwrap();
    let secret = secret.split_whitespace().next().unwrap().to_owned();
    let put = ["records", "put", "letter.txt", "--title", TITLE, "--media-type", "text/plain"];
    story.says(mari, &put);
    let listed = story.json(mari, &["records", "list"]);
    let letter = listed["records"][0]["record"].as_str().unwrap();
    let (told, signature_holds) = hook.next(&secret);
    assert!(signature_holds, "{told:#}");
    assert_eq!(told["type"], "line.recorded", "{told:#}");
    assert!(!told.to_string().contains("knee"), "{told:#}");

    // The clinic looks; she asks why; it answers, and corrects its line.
    let (fjord_id, mari_id) = (fjord.address.to_string(), mari.address.to_string());
    must(story.run(mari, &["grant", "--to", &fjord_id, "--scopes", "patient/*.rs"]));
    let whose = ["--subject", &mari_id, "--purpose", "TREAT", "--out", "got"];
    story.says(fjord, &[&["records", "get", letter], &whose[..]].concat());
    let line = (story.size().await - 1).to_string();
    let index = line.as_str();
    let said = story.says(mari, &["ask", index, "Why did you read my letter?"]);
    assert!(said.starts_with("Asked, as line "), "{said}");
    let again = story.run(mari, &["ask", index, "Why?"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("409"), "{again:?}");
    let table = story.says(fjord, &["questions", "list", "--open"]);
    assert!(table.contains("Why did you read my letter?"), "{table}");
    let listed = story.json(fjord, &["questions", "list", "--open"]);
    let id = listed["questions"][0]["id"].as_str().unwrap();
    let foreign = story.run(lab, &["questions", "answer", id, "I was it"]);
    assert_eq!(foreign.code, Some(1), "{foreign:?}");
    let said = story.says(fjord, &["questions", "answer", id, "Before your visit."]);
    assert!(said.starts_with("Answered, as line "), "{said}");
    let table = story.says(mari, &["questions", "list"]);
    assert!(table.contains("Before your visit.") && table.contains("answered"), "{table}");
    let correct = ["correct", index, "It was another purpose", "--field", "purpose=HOPERAT"];
    let said = story.says(fjord, &correct);
    assert!(said.starts_with(&format!("Line {index} is corrected by line ")), "{said}");
    let foreign = story.run(lab, &correct);
    assert_eq!(foreign.code, Some(1), "{foreign:?}");
    assert_eq!(story.says(mari, &["claims", "list"]).trim(), "No claims.");

    // She has everything erased, and nothing of it is left but what she signed.
    let shown = story.run(mari, &["erase", "ask"]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(shown.out.contains("Nothing was sent"), "{shown:?}");
    let said = story.says(mari, &["erase", "ask", "--yes"]);
    assert!(said.contains("Asked for, in line "), "{said}");
    let end = std::time::Instant::now() + crate::site::PATIENCE;
    while !story.json(mari, &["erase", "status"])["erasures"][0]["state"].eq("done") {
        assert!(std::time::Instant::now() < end, "{}", story.says(mari, &["erase", "status"]));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(story.says(mari, &["erase", "status"]).contains("done"));
    let gone = story.run(mari, &["records", "get", letter, "--out", "again"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.err.contains("404"), "{gone:?}");
    assert!(!site.path("again").exists());
    // Life goes on under a new key: another letter, read by nobody but her.
    story.says(
        mari,
        &["records", "put", "better.txt", "--title", "Other", "--media-type", "text/plain"],
    );
    story.stop().await;
    let told = story.audit("erased").await;
    assert_eq!(told["permissions"]["missing"], 0, "{told:#}");
    let checks = told["checks"].as_array().unwrap();
    let erased = checks.iter().find(|one| one["check"] == "erasures").unwrap();
    assert!(erased["checked"].as_u64().unwrap() >= 8, "{told:#}");
    for folder in [story.site.data_dir(), &story.site.keys_dir(), &story.site.path("erased")] {
        let held = holding(folder, &SECRETS);
        assert!(held.is_empty(), "{held:?}");
    }

    // After a restart too.
    story.node = Some(story.site.serve());
    let listed = story.json(&story.mari, &["records", "list"]);
    assert_eq!(listed["records"].as_array().unwrap().len(), 1, "{listed:#}");
    story.stop().await;

    // Whoever shortens what people were promised has it in the log, once.
    let before = {
        story.node = Some(story.site.serve());
        let size = story.size().await;
        story.stop().await;
        size
    };
    story.site.settings.more = more.replace("wait_s = 4", "wait_s = 1");
    story.site.configure();
    for _ in 0..2 {
        story.node = Some(story.site.serve());
        assert_eq!(story.size().await, before + 1);
        story.stop().await;
    }
    let told = story.audit("changed").await;
    assert_eq!(told["kinds"]["operation"], 1, "{told:#}");
}

/// A change for which the glass was broken.
const EMERGENCY: &str = r#"{"resourceType":"AuditEvent","action":"U",
 "recorded":"2026-01-05T09:30:00.120Z","purposeOfEvent":[{"coding":[{"code":"BTG"}]}],
 "entity":[{"what":{"reference":"AllergyIntolerance/a1"}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_listed_with_its_clock_until_its_person_says_no() {
    let mut story = Story::begin("").await;
    let Story { site, mari, fjord, lab, .. } = &story;
    assert_eq!(story.says(mari, &["waiting"]).trim(), "Nothing waits for you.");
    assert_eq!(story.says(fjord, &["emergencies", "list"]).trim(), "No emergencies.");
    site.write("emergency.json", EMERGENCY);
    let (mari_id, record) = (mari.address.to_string(), format!("0x{}", "77".repeat(32)));
    let report = ["report", "--kind", "change", "--action", "u", "--subject", &mari_id];
    let report = [&report[..], &["--record", &record, "--details", "emergency.json"]].concat();
    story.says(fjord, &report);
    let end = std::time::Instant::now() + crate::site::PATIENCE;
    while story.says(mari, &["waiting"]).starts_with("Nothing") {
        assert!(std::time::Instant::now() < end, "nothing waits");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let said = story.says(mari, &["waiting"]);
    println!("{said}");
    assert!(said.starts_with("Fjord Clinic changed something without asking you (line 0).\n"));
    assert!(said.contains(", 29 days left\n"), "{said}");
    let listed = story.json(mari, &["emergencies", "list", "--open"]);
    let id = listed["emergencies"][0]["id"].as_str().unwrap();
    assert!(said.contains(&format!("medtrail emergencies confirm {id}")), "{said}");
    let theirs = story.says(fjord, &["emergencies", "list", "--open"]);
    println!("{theirs}");
    assert!(theirs.contains("waits for an answer until"), "{theirs}");
    assert_eq!(story.says(lab, &["emergencies", "list"]).trim(), "No emergencies.");

    // The report does not tell which version became which: nobody signs what is not told.
    let vague = story.run(mari, &["emergencies", "confirm", id]);
    assert_eq!(vague.code, Some(1), "{vague:?}");
    assert!(vague.err.contains("there is nothing to sign; you can say no"), "{vague:?}");
    let unknown = story.run(mari, &["emergencies", "confirm", &record]);
    assert!(unknown.err.contains("no emergency"), "{unknown:?}");
    let said = story.says(mari, &["emergencies", "deny", id]);
    assert_eq!(said.trim(), "You said no, line 1.");
    while story.json(fjord, &["emergencies", "list"])["emergencies"][0]["state"] != "denied" {
        assert!(std::time::Instant::now() < end, "{}", story.says(fjord, &["emergencies", "list"]));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(story.says(mari, &["waiting"]).trim(), "Nothing waits for you.");
    let told = story.says(fjord, &["emergencies", "list"]);
    println!("{told}");
    assert!(told.contains("  denied, "), "{told}");
    story.stop().await;
    let told = story.audit("emergency").await;
    assert_eq!(
        (&told["permissions"]["contested"], &told["permissions"]["silent"]),
        (&1.into(), &0.into())
    );
}

/// A sale is public for ever: Mari sells under a fresh address, and sees what is reported about it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_to_sell_under_joins_by_two_keys_and_the_audit_checks_both() {
    let mut story = Story::begin("").await;
    let made = must(story.site.run(["keys", "reporter", "rose.json"]));
    let rose = Who { key: "rose.json", address: made.trim().parse().unwrap() };
    let add = |key: &'static str| {
        let signing = ["alias", "add", "--trust", "trust.json", "--alias-key", key];
        [&signing[..], &["--alias-passphrase-file", "passphrase"]].concat()
    };
    let Story { mari, lab, .. } = &story;
    let added = story.json(mari, &add(rose.key));
    assert_eq!(added["entries"], serde_json::json!([0, 1]), "{added:#}");
    assert_eq!(story.json(mari, &add(rose.key)), added, "the same again is answered alike");
    let listed = story.json(mari, &["alias", "list"]);
    assert_eq!(listed["aliases"], serde_json::json!([added]));
    assert_eq!(listed["aliases"][0]["alias"].as_str().unwrap().parse(), Ok(rose.address));
    let said = story.says(mari, &["alias", "list"]);
    assert!(said.contains("line in your trail"), "{said}");

    // Whoever has only that key joins nothing to it, and is not told whose it is.
    assert_eq!(story.json(&rose, &["alias", "list"])["aliases"], serde_json::json!([]));
    for (who, key) in [(&rose, lab.key), (&rose, "mari.json"), (lab, rose.key)] {
        let refused = story.run(who, &add(key));
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        let told = format!("{}{}", refused.out, refused.err).to_lowercase();
        let is_named = told.contains(&format!("{:x}", mari.address)) && key != "mari.json";
        assert!(!is_named, "{told}");
    }
    story.stop().await;
    let told = story.audit("export").await;
    let checks = told["checks"].as_array().unwrap();
    let joins = checks.iter().find(|one| one["check"] == "joins").unwrap();
    assert_eq!((&joins["verdict"], &joins["checked"]), (&"green".into(), &2.into()), "{joins:#}");
}
