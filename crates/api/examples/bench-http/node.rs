//! The node under test: a process of its own, so that its memory and its processor time are its
//! own. It is told what to do by lines on its standard input, and answers each with one.

use crate::reports::{Maker, ORIGIN, operator, trust};
use crate::{Burst, threads};
use medtrail_api::{Extras, Server, ServerOptions};
use medtrail_keys::note::{NotaryKeys, NoteKey};
use medtrail_keys::wrap::MasterKey;
use medtrail_ledger::ports::Journal;
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::anchorer::Status;
use medtrail_oracle::erasure::Erasing;
use medtrail_oracle::intake::{ReportError, Submission};
use medtrail_oracle::permissions::Permissions;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_oracle::service::Service;
use medtrail_oracle::supervise::{self, Setup};
use medtrail_store::{KeyFileDb, Store, StoreOptions};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The node's own process, from its first line to its last.
pub(crate) async fn run(folder: &Path) {
    let trust = trust();
    let log = trust.log;
    let note = NoteKey::from_seed(ORIGIN, &[3; 32]).expect("a name");
    let (data, keys) = (folder.join("log"), folder.join("keys"));
    std::fs::create_dir_all(&data).expect("a folder");
    medtrail_keys::file::create_folder(&keys).expect("a folder");
    let store = Arc::new(Store::open(&data, StoreOptions::default()).expect("a log"));
    let (_status, status) = watch::channel(Status::default());
    let master = MasterKey::from_bytes(&[9; 32], log);
    let (chain, registry) = (trust.chain_id, trust.registry);
    let setup = Setup {
        journal: store.clone(),
        outbox: store.clone(),
        keys: Arc::new(KeyFileDb::open(&keys, Box::new(master)).expect("a key file")),
        notary: Arc::new(NotaryKeys::new(note, Arc::new(operator()), log, chain, registry)),
        trust,
        status,
        permissions: Permissions::of_the_log_alone(),
        answer_within_ms: medtrail_oracle::inquiries::ANSWER_WITHIN_MS,
        erasing: Erasing::default(),
        notices: medtrail_oracle::notices::Notices::nowhere(),
        sources: medtrail_oracle::sources::Sources::nowhere(),
        now_ms,
    };
    let (service, running) = supervise::start(setup).expect("a running log");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = ServerOptions { listen, ..ServerOptions::default() };
    let server = Server::bind(service.clone(), options, Extras::default()).expect("a port");
    let stop = CancellationToken::new();
    answer(&json!({ "address": server.addr().to_string() }));
    let serving = tokio::spawn(server.run(stop.clone()));

    let (orders_in, mut orders) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if orders_in.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(order) = orders.recv().await {
        let words: Vec<_> = order.split(' ').collect();
        let number = |place: usize| words[place].parse::<u64>().expect("a number");
        match words[0] {
            "fill" => answer(&fill(&service, &store, number(1), number(2)).await),
            "relayed" => answer(&relayed(&service, number(1), number(2), number(3)).await.json()),
            "row" => answer(&json!(store.rows(0..1).expect("rows")[0].len())),
            "size" => answer(&json!(service.head().size)),
            "filed" => {
                wait_until_filed(&service).await;
                answer(&json!(true));
            }
            other => panic!("no such order: {other}"),
        }
    }
    stop.cancel();
    let _ = serving.await;
    let stopped = tokio::task::spawn_blocking(move || running.stop()).await;
    stopped.expect("a thread").expect("a clean end");
}

fn answer(value: &Value) {
    println!("{value}");
    std::io::stdout().flush().expect("a reader");
}

async fn wait_until_filed(service: &Service) {
    while service.head().size > service.filed().expect("a count") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fills the log to so many entries about so many people, in process and unsigned.
async fn fill(service: &Service, store: &Store, entries: u64, people: u64) -> Value {
    let started = Instant::now();
    while service.head().size < entries {
        let some = (entries - service.head().size).min(50_000);
        many(service, 256, people, Bound::Entries(some)).await;
        if service.head().size - store.filed().expect("a count") > 400_000 {
            wait_until_filed(service).await;
        }
    }
    wait_until_filed(service).await;
    json!(started.elapsed().as_secs_f64())
}

/// As many as there are in so many seconds, in process and unsigned.
async fn relayed(service: &Service, clients: u64, people: u64, seconds: u64) -> Burst {
    let until = Instant::now() + Duration::from_secs(seconds);
    many(service, clients, people, Bound::Until(until)).await
}

#[derive(Clone, Copy)]
enum Bound {
    Entries(u64),
    Until(Instant),
}

async fn many(service: &Service, clients: u64, people: u64, bound: Bound) -> Burst {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // No number twice, in this process or an earlier one.
    let first = NEXT.fetch_max(service.head().size, Ordering::Relaxed).max(service.head().size);
    let maker = Arc::new(Maker::unsigned(people));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (service, maker) = (service.clone(), maker.clone());
        tasks.spawn(async move {
            let mut waits = Vec::new();
            let mut asked = Instant::now();
            loop {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let goes_on = match bound {
                    Bound::Entries(entries) => number < first + entries,
                    Bound::Until(end) => asked < end,
                };
                if !goes_on {
                    return waits;
                }
                let (report, details) = maker.report(number);
                let evidence = Evidence::Relayed;
                let details = Some(details.into_bytes());
                let submission = Submission { report, evidence, details };
                loop {
                    let entered = match service.check_relayed(submission.clone()) {
                        Ok(checked) => service.enter(checked).await,
                        Err(error) => Err(error),
                    };
                    match entered {
                        Ok(_) => break,
                        Err(ReportError::Place(PlaceError::Busy)) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                let answered = Instant::now();
                waits.push(answered - std::mem::replace(&mut asked, answered));
            }
        });
    }
    let waits = tasks.join_all().await.concat();
    Burst::of(waits, started.elapsed())
}

/// The node as the load sees it.
pub(crate) struct Node {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Node {
    pub(crate) fn start(folder: &Path) -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut command = Command::new(program);
        command.arg("--node").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the node");
        let orders = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let told = read(&mut answers);
        let address = told["address"].as_str().and_then(|text| text.parse().ok());
        Self { child, orders, answers, address: address.expect("an address") }
    }

    /// Has something done in the node's process. Blocks until it is.
    pub(crate) fn order(&mut self, order: &str) -> Value {
        writeln!(self.orders, "{order}").expect("the node");
        read(&mut self.answers)
    }

    pub(crate) fn threads(&self) -> threads::Times {
        threads::Times::of(self.child.id())
    }

    /// The most memory it ever had, in MiB (proc(5), VmHWM).
    pub(crate) fn peak_memory_mib(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
    }

    pub(crate) fn stop(self) {
        let Self { mut child, orders, .. } = self;
        drop(orders);
        assert!(child.wait().expect("a child").success(), "the node's end");
    }
}

fn read(answers: &mut impl BufRead) -> Value {
    let mut line = String::new();
    answers.read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).expect("JSON")
}
