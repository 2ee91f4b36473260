//! An operator's machine: configuration, keys and log of one operator, worked as a person does, by
//! the `medtrail` binary; and a custodian who reports to it.

use alloy::primitives::{Address, B256};
use journeys::anvil::{ACCOUNTS, Anvil, Mining, Options};
use journeys::medtrail::{Running, binary};
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{Kind, batch_root, details_hash, event_id};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::{Report, ReportBatch, domain};
use medtrail_ledger::trust::TrustFile;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The origin of a site's log unless it chooses another.
pub(crate) const ORIGIN: &str = "log.journeys.example/medtrail";
/// How long anything may take on a machine that builds at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A chain that nobody answers for: the discard port.
pub(crate) const NO_CHAIN: &str = "http://127.0.0.1:9";
/// What one anchor costs at most, and much more.
const COIN_WEI: u64 = 5_000_000_000_000_000_000;

/// What stands in a site's configuration.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) rpc: String,
    pub(crate) chain_id: u64,
    pub(crate) origin: String,
    pub(crate) registry: Option<Address>,
    /// Where it says it is, and where it listens: the same place for clients that follow links.
    pub(crate) public_url: String,
    pub(crate) listen: String,
    /// Name, key, and since when it speaks in milliseconds.
    pub(crate) organisations: Vec<(String, Address, u64)>,
    /// Other tables, as they stand in the file.
    pub(crate) more: String,
}

impl Settings {
    pub(crate) fn on(anvil: &Anvil) -> Self {
        Self { rpc: anvil.url(), chain_id: anvil.chain_id(), ..Self::without_a_chain() }
    }

    pub(crate) fn without_a_chain() -> Self {
        Self {
            rpc: NO_CHAIN.to_owned(),
            chain_id: 633_825,
            origin: ORIGIN.to_owned(),
            registry: None,
            public_url: "https://log.journeys.example".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            organisations: vec![("Fjord Clinic".to_owned(), Custodian::fjord().address(), 0)],
            more: String::new(),
        }
    }
}

/// One operator's folder.
pub(crate) struct Site {
    folder: TempDir,
    data_dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) operator: Address,
}

/// A chain whose blocks come every second, final two seconds later.
pub(crate) async fn ticking_chain() -> Anvil {
    let mining = Mining::EverySeconds(1);
    Anvil::start_with(Options { mining, ..Options::default() }).await
}

impl Site {
    /// Writes the configuration and makes the keys.
    pub(crate) fn new(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let mut site = Self { folder, data_dir, settings, operator: Address::ZERO };
        site.write_secret("passphrase", "a passphrase of a journey\n");
        site.configure();
        let said = must(site.run(["keys", "init"]));
        let line = said.lines().find_map(|line| line.strip_prefix("Operator:"));
        site.operator = line.unwrap().trim().parse().unwrap();
        site
    }

    /// The same, with coin, on a chain that has the registry.
    pub(crate) async fn on(anvil: &Anvil) -> Self {
        let site = Self::new(Settings::on(anvil));
        site.give_coin(anvil).await;
        must(site.run(["deploy"]));
        site
    }

    pub(crate) async fn give_coin(&self, anvil: &Anvil) {
        anvil.set_balance(self.operator, COIN_WEI).await;
    }

    /// Writes `medtrail.toml` anew from the settings.
    pub(crate) fn configure(&self) {
        let Settings { rpc, chain_id, origin, registry, public_url, listen, organisations, more } =
            &self.settings;
        let (data_dir, keys_dir) = (&self.data_dir, self.keys_dir());
        let cold_key = ACCOUNTS[2];
        let registry = registry.map_or(String::new(), |at| format!("registry = \"{at}\"\n"));
        let mut text = format!(
            "public_url = \"{public_url}\"\n\
             listen = \"{listen}\"\n\
             data_dir = {data_dir:?}\n\
             keys_dir = {keys_dir:?}\n\
             origin = \"{origin}\"\n\n\
             [operator]\n\
             name = \"Journeys\"\n\
             domain = \"journeys.example\"\n\n\
             [chain]\n\
             rpc = [\"{rpc}\"]\n\
             chain_id = {chain_id}\n\
             {registry}\
             cold_key = \"{cold_key}\"\n\
             anchor_interval_s = 1\n\
             poll_ms = 200\n"
        );
        for (name, address, from_ms) in organisations {
            text.push_str(&format!(
                "\n[[organisations]]\n\
                 name = \"{name}\"\n\
                 domain = \"clinic.example\"\n\
                 keys = [{{ address = \"{address}\", fromMs = {from_ms} }}]\n"
            ));
        }
        text.push_str(more);
        fs::write(self.path("medtrail.toml"), text).unwrap();
    }

    /// Keeps the log in another folder from now on.
    pub(crate) fn move_data_to(&mut self, folder: &Path) {
        self.data_dir = folder.to_owned();
        self.configure();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn keys_dir(&self) -> PathBuf {
        self.path("keys")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A file of the log.
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.data_dir.join("log").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A file that only its owner can read.
    pub(crate) fn write_secret(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&path).unwrap().write_all(content.as_bytes()).unwrap();
        path
    }

    /// A command of the binary, under this site's configuration and passphrase.
    pub(crate) fn command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(self.folder.path())
            .env("MEDTRAIL_CONFIG", self.path("medtrail.toml"))
            .env("MEDTRAIL_PASSPHRASE_FILE", self.path("passphrase"))
            .env_remove("RUST_LOG")
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
        Said::from(self.command(arguments).output().unwrap())
    }

    /// Starts the log, and returns once it takes reports.
    pub(crate) fn serve(&self) -> Node {
        let mut running = Running::start_command(self.command(["serve"]));
        let line = running.wait_for("taking reports at ", PATIENCE);
        let url = line.split("taking reports at ").nth(1).unwrap().to_owned();
        Node { running, url, http: Client::builder().timeout(PATIENCE).build().unwrap() }
    }

    /// What `serve` says when it refuses to start.
    pub(crate) fn refused(&self) -> String {
        let mut running = Running::start_command(self.command(["serve"]));
        let status = running.wait_for_end(PATIENCE);
        running.wait_for("medtrail: ", PATIENCE);
        assert_eq!(status.code(), Some(1), "{}", running.said());
        running.said()
    }

    /// Ends a log whose last entry is final, lets an hour pass, and exports it into this folder: an
    /// audit of that finds nothing too new to be judged.
    pub(crate) async fn export(&self, anvil: &Anvil, node: Node, to: &str) {
        let entries = node.readyz().await["entries"].as_u64().unwrap();
        node.wait_until_final(entries).await;
        node.stop();
        anvil.advance_time(3600).await;
        // The next may have been begun before.
        let mined = anvil.block_number().await + 2;
        while anvil.finalized_number().await < mined {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        must(self.run(["export", "--to", to]));
    }

    /// Checks a stopped log; it must be clean.
    pub(crate) fn must_be_clean(&self) -> String {
        let said = must(self.run(["fsck"]));
        assert!(said.contains("Nothing is wrong."), "{said}");
        said
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said =
            Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!said.err.contains("panicked"), "{said:?}");
        said
    }
}

/// The output of a command that must have worked.
pub(crate) fn must(said: Said) -> String {
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out
}

/// A running log.
pub(crate) struct Node {
    pub(crate) running: Running,
    pub(crate) url: String,
    http: Client,
}

impl Node {
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    /// What the log says of itself; it may not be ready.
    pub(crate) async fn readyz(&self) -> Value {
        self.json("/readyz").await
    }

    /// The trust file as it is served.
    pub(crate) async fn trust_bytes(&self) -> Vec<u8> {
        self.get("/.well-known/medtrail.json").await.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn trust(&self) -> TrustFile {
        TrustFile::parse(&self.trust_bytes().await).unwrap()
    }

    pub(crate) async fn post(
        &self,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<reqwest::Response, reqwest::Error> {
        self.send("/v1/reports", media_type, body).await
    }

    pub(crate) async fn send(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let post = self.http.post(format!("{}{path}", self.url));
        post.header("content-type", media_type).body(body).send().await
    }

    /// Reports one event, which must be taken.
    pub(crate) async fn report(&self, body: &str) -> Receipt {
        let answer = self.post("application/json", body.to_owned()).await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::CREATED, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Reports many events at once, all of which must be taken.
    pub(crate) async fn report_all(&self, bodies: &[String]) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for some in bodies.chunks(1000) {
            let answer = self.post("application/x-ndjson", some.join("\n")).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            for line in answer.text().await.unwrap().lines() {
                let outcome: Value = serde_json::from_str(line).unwrap();
                assert_eq!(outcome["status"], 201, "{outcome}");
                receipts.push(serde_json::from_value(outcome["receipt"].clone()).unwrap());
            }
        }
        assert_eq!(receipts.len(), bodies.len());
        receipts
    }

    /// Waits until a final anchor covers so many entries.
    pub(crate) async fn wait_until_final(&self, entries: u64) {
        let is_covered = |ready: &Value| {
            ready["anchoring"]["final"]["size"].as_u64().is_some_and(|size| size >= entries)
        };
        self.wait_until(&format!("{entries} entries final"), is_covered).await;
    }

    /// Waits until what the log says of itself is so.
    pub(crate) async fn wait_until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let ready = self.readyz().await;
            if is_so(&ready) {
                return ready;
            }
            assert!(Instant::now() < end, "not {what}: {ready:#}\n{}", self.running.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until something is in the way of anchors whose words hold `text`; returns it.
    pub(crate) async fn wait_for_problem(&self, text: &str) -> Value {
        let problem = |ready: &Value| ready["anchoring"]["problem"].clone();
        let is_said =
            |ready: &Value| problem(ready)["what"].as_str().is_some_and(|what| what.contains(text));
        problem(&self.wait_until(&format!("saying {text:?}"), is_said).await)
    }

    /// Waits until a final anchor covers a receipt's entry, and returns the proof.
    pub(crate) async fn proof(&self, receipt: &Receipt) -> Vec<u8> {
        self.wait_until_final(receipt.index + 1).await;
        let answer = self.ask_proof(receipt).await;
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap().to_vec());
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
        bytes
    }

    pub(crate) async fn ask_proof(&self, receipt: &Receipt) -> reqwest::Response {
        let url = format!("{}/v1/entries/{}/proof", self.url, receipt.index);
        let ask = self.http.get(url).header("medtrail-place", receipt.place_hash.to_string());
        ask.send().await.unwrap()
    }

    pub(crate) fn stop(mut self) {
        let status = self.running.terminate(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", self.running.said());
    }

    pub(crate) fn kill_9(mut self) {
        self.running.kill_9();
    }
}

/// Somebody who reports.
pub(crate) struct Custodian(ReporterKey);

impl Custodian {
    /// The one that every site knows.
    pub(crate) fn fjord() -> Self {
        Self::with_key(&[0x4f; 32])
    }

    pub(crate) fn with_key(secret: &[u8; 32]) -> Self {
        Self(ReporterKey::from_bytes(secret).unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    /// Who saw what of whom: the body of a request, made the same every time.
    pub(crate) fn saw(&self, trust: &TrustFile, person: u64, event: &str) -> String {
        let (report, details) = self.access(trust, person, event);
        let signature = self.0.sign(&report, &domain(trust.chain_id, trust.registry));
        json!({ "report": report, "details": details, "signature": signature }).to_string()
    }

    /// Anything else, signed: a report that lacks only whose it is, and its details.
    pub(crate) fn signs(
        &self,
        trust: &TrustFile,
        event: &str,
        report: Report,
        details: &Value,
    ) -> String {
        let report = Report {
            log: trust.log,
            eventId: event_id(self.address(), event.as_bytes()),
            actor: self.address(),
            details: details_hash(details.to_string().as_bytes()),
            ..report
        };
        let signature = self.0.sign(&report, &domain(trust.chain_id, trust.registry));
        json!({ "report": report, "details": details, "signature": signature }).to_string()
    }

    /// The same of many events, signed once.
    pub(crate) fn saw_together(&self, trust: &TrustFile, person: u64, events: &[String]) -> String {
        let lines: Vec<_> = events.iter().map(|event| self.access(trust, person, event)).collect();
        let hashes: Vec<_> = lines.iter().map(|(report, _)| report.hash()).collect();
        let batch = ReportBatch { root: batch_root(&hashes).into(), count: hashes.len() as u64 };
        let signature = self.0.sign_batch(&batch, &domain(trust.chain_id, trust.registry));
        let item = |(report, details)| json!({ "report": report, "details": details });
        let items: Vec<_> = lines.into_iter().map(item).collect();
        let (root, count) = (batch.root, batch.count);
        json!({ "root": root, "count": count, "signature": signature, "items": items }).to_string()
    }

    fn access(&self, trust: &TrustFile, person: u64, event: &str) -> (Report, Value) {
        let details = json!({ "resourceType": "AuditEvent", "action": "R", "id": event });
        let report = Report {
            log: trust.log,
            eventId: event_id(self.address(), event.as_bytes()),
            kind: Kind::Access.number(),
            action: b'R',
            timeMs: 1_770_000_000_000,
            subject: person_id(person),
            actor: self.address(),
            details: details_hash(details.to_string().as_bytes()),
            ..Report::default()
        };
        (report, details)
    }
}

/// The pseudonym of a person.
pub(crate) fn person_id(person: u64) -> B256 {
    let mut id = B256::repeat_byte(0x9e);
    id[24..].copy_from_slice(&person.to_be_bytes());
    id
}

/// Says what was not tested, past the capture of a test's output: nobody may take it for tested.
pub(crate) fn skipped(what: &str) {
    std::io::stderr().write_all(format!("\nSKIPPED: {what}\n").as_bytes()).unwrap();
}
