//! The benchmark of a node over HTTP: service, server and store as `medtrail serve` runs them,
//! over loopback, without a chain. Prints one JSON object for `cargo xtask bench`; progress goes to
//! the standard error.
//!
//! The node is a process of its own, this one is the load. Both share the machine, so that what
//! the load costs is told beside each result.

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod feeds;
mod load;
mod node;
mod reports;
mod threads;

/// The bare commit that the engine's benchmark is held against too.
#[path = "../../../oracle/examples/bench-engine/bare.rs"]
mod bare;

use feeds::Feeds;
use node::Node;
use reports::Maker;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Entries of the large log.
const LARGE: u64 = 1_000_000;
/// People the large log is about.
const PEOPLE: u64 = 100_000;
/// People the small log is about. All have an entry before anything is measured.
const FEW_PEOPLE: u64 = 2_000;
/// Reports under one signature.
const BATCH: u64 = 1_000;
/// More than this are not signed beforehand for one second of one burst.
const PER_S_MAX: u64 = 30_000;
/// Pages open beside the watched one.
const FEEDS: usize = 500;

struct Plan {
    clients: &'static [usize],
    rounds: usize,
    seconds: u64,
    /// Reports that are watched until they show in a page.
    watched: u64,
    is_quick: bool,
}

const QUICK: Plan =
    Plan { clients: &[1, 64, 256], rounds: 1, seconds: 2, watched: 200, is_quick: true };
const WHOLE: Plan =
    Plan { clients: &[1, 64, 256], rounds: 3, seconds: 3, watched: 1_000, is_quick: false };

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // The node alone brings its own threads: the runtime here only waits and takes orders.
    let is_node = arguments.first().is_some_and(|first| first == "--node");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).thread_name("own runtime").enable_all().build();
    let runtime = runtime.expect("a runtime");
    if is_node {
        runtime.block_on(node::run(Path::new(&arguments[1])));
        return;
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let plan = if has("--quick") { QUICK } else { WHOLE };
    let large = !plan.is_quick || has("--fill");
    let results = runtime.block_on(measure(&plan, large));
    println!("{results:#}");
}

/// Bursts, the bare commits that took turns with them, and where the processors' time went.
struct Measured {
    entries: u64,
    rates: Vec<(usize, Burst)>,
    bare: Burst,
    batch: Burst,
    unsigned: f64,
    refused: f64,
    wall: Wall,
    watched: Vec<(usize, Burst)>,
    check_us: f64,
    /// After single reports only, and after all.
    memory_mib: [f64; 2],
}

/// Who used the processors while 256 clients reported.
struct Wall {
    per_report_us: Vec<(String, f64)>,
    load_us: f64,
    /// Share of all processors that node and load used together.
    busy: f64,
}

async fn measure(plan: &Plan, large: bool) -> Value {
    let folder = tempfile::tempdir_in("target").expect("a folder on this disk");
    let fsync_per_s = bare::fsync_per_s(folder.path());
    eprintln!("{fsync_per_s:.0} fsync/s");
    let mut measured = vec![at(plan, &folder.path().join("small"), FEW_PEOPLE, FEW_PEOPLE).await];
    if large {
        measured.push(at(plan, &folder.path().join("large"), LARGE, PEOPLE).await);
    }
    let sections: Vec<_> = measured.iter().flat_map(|one| sections(plan, one)).collect();
    json!({ "fsync_per_s": fsync_per_s, "sections": sections })
}

/// Everything, in a log of so many entries.
async fn at(plan: &Plan, folder: &Path, entries: u64, people: u64) -> Measured {
    let mut node = Node::start(folder);
    let took = node.order(&format!("fill {entries} {people}"));
    eprintln!("{entries} entries in {:.1} s", took.as_f64().expect("seconds"));
    // Its memory is to be that of a node that serves, not of one that was filled.
    node.stop();
    let mut node = Node::start(folder);
    let maker = Maker::signed(people);
    // Past the people's first numbers: every report is about somebody known.
    let mut next = people;
    let mut signed = |count: u64| {
        let bodies = (next..next + count).map(|one| load::request(&maker.body(maker.report(one))));
        let bodies: Vec<_> = bodies.collect();
        next += count;
        Arc::new(bodies)
    };

    let row_bytes = node.order("row").as_u64().expect("bytes") as usize;
    let (mut ones, mut bares) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds.max(2) {
        let requests = signed(2_000 * plan.seconds);
        ones.push(load::burst(node.address, 1, plan.seconds, requests, 201).await);
        let bare = bare::Bare::start(&folder.join(format!("bare-{round}")), row_bytes);
        bares.push(bare.burst(1, plan.seconds).await);
        bare.stop();
    }
    let mut rates = vec![(1, median(ones))];
    let bare = median(bares);
    let mut wall = None;
    for &clients in plan.clients.iter().filter(|clients| **clients > 1) {
        let mut bursts = Vec::new();
        for _ in 0..plan.rounds {
            let requests = signed(PER_S_MAX * plan.seconds);
            node.order("filed");
            let (before, own) = (node.threads(), threads::Times::of(std::process::id()));
            let burst = load::burst(node.address, clients, plan.seconds, requests, 201).await;
            let spent = node.threads().since_us(&before);
            let load = threads::Times::of(std::process::id()).since_us(&own);
            wall = Some(Wall::of(&burst, spent, &load));
            bursts.push(burst);
        }
        let burst = median(bursts);
        eprintln!("{clients} clients at {entries} entries: {:.0}/s", burst.per_s);
        rates.push((clients, burst));
    }

    let memory = node.peak_memory_mib();
    let check_us = maker.check_us();
    // The same in process without a signature; and over HTTP, refused before its signature is read.
    node.order("filed");
    let unsigned = node.order(&format!("relayed 256 {people} {}", plan.seconds));
    let unsigned = unsigned["perS"].as_f64().expect("a rate");
    let elsewhere = |one| {
        let (mut report, details) = maker.report(one);
        report.log.0[0] ^= 1;
        load::request(&maker.body((report, details)))
    };
    let refused: Vec<_> = (0..PER_S_MAX * plan.seconds).map(elsewhere).collect();
    let refused = load::burst(node.address, 256, plan.seconds, Arc::new(refused), 422).await.per_s;

    let first = next + 1_000_000_000;
    let batches = |number: u64| {
        let from = first + number * BATCH;
        load::request(&maker.batch(from..from + BATCH))
    };
    let batches: Vec<_> = (0..plan.seconds * 100).map(batches).collect();
    node.order("filed");
    let mut batch = load::burst(node.address, 8, plan.seconds, Arc::new(batches), 200).await;
    batch.per_s *= BATCH as f64;
    eprintln!("in batches of {BATCH} at {entries} entries: {:.0}/s", batch.per_s);

    node.order("filed");
    let mut feeds = Feeds::start(node.address, FEEDS).await;
    let first = next + 2_000_000_000;
    let alone = feeds.watch(plan.watched, first).await;
    feeds.widen(FEEDS).await;
    let among = feeds.watch(plan.watched, first + plan.watched).await;
    eprintln!("in a page: p99 {:.2} ms, among {FEEDS} {:.2} ms", alone.p99_ms, among.p99_ms);
    drop(feeds);
    let memory_mib = [memory, node.peak_memory_mib()];
    let size = node.order("size").as_u64().expect("a size");
    eprintln!("{size} entries, VmHWM {:.0} MiB", memory_mib[1]);
    node.stop();
    Measured {
        entries,
        rates,
        bare,
        batch,
        unsigned,
        refused,
        wall: wall.expect("many clients"),
        watched: vec![(1, alone), (FEEDS, among)],
        check_us,
        memory_mib,
    }
}

impl Wall {
    fn of(burst: &Burst, spent: Vec<(String, f64)>, load: &[(String, f64)]) -> Self {
        let count = burst.count as f64;
        let total = |spent: &[(String, f64)]| spent.iter().map(|(_, us)| us).sum::<f64>();
        let load = total(load);
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let busy = (total(&spent) + load) / (burst.took.as_micros() as f64 * cores);
        let per_report = spent.into_iter().map(|(name, us)| (name, us / count));
        let per_report_us = per_report.filter(|(_, us)| *us >= 0.05).collect();
        Self { per_report_us, load_us: load / count, busy }
    }
}

fn sections(plan: &Plan, of: &Measured) -> [Value; 3] {
    let entries = match of.entries <= FEW_PEOPLE {
        true => "an empty log".to_owned(),
        false => format!("{} entries", of.entries),
    };
    let row = |name: String, burst: &Burst| {
        [name, per_s(burst.per_s), ms(burst.p50_ms), ms(burst.p99_ms)]
    };
    let mut rates: Vec<_> =
        of.rates.iter().map(|(clients, burst)| row(clients.to_string(), burst)).collect();
    rates.push(row(format!("8, ReportBatch of {BATCH}"), &of.batch));
    rates.push(row("1, bare commit in process".to_owned(), &of.bare));
    let mut wall: Vec<_> = vec![
        ["256 clients over HTTP, signed".into(), per_s(of.rates[of.rates.len() - 1].1.per_s)],
        ["256 in process, no signature checked".into(), per_s(of.unsigned)],
        ["256 over HTTP, refused before the signature".into(), per_s(of.refused)],
        ["processors busy with node and load".into(), format!("{:.0} %", 100.0 * of.wall.busy)],
        ["checking one signature, one thread".into(), format!("{:.1} µs", of.check_us)],
        ["the load, CPU a report".into(), format!("{:.1} µs", of.wall.load_us)],
    ];
    let threads = of.wall.per_report_us.iter();
    wall.extend(
        threads.map(|(name, us)| [format!("`{name}`, CPU a report"), format!("{us:.1} µs")]),
    );
    let watched: Vec<_> = of
        .watched
        .iter()
        .map(|(feeds, burst)| [feeds.to_string(), ms(burst.p50_ms), ms(burst.p99_ms)])
        .collect();
    wall.push(["VmHWM of the node, single reports".into(), mib(of.memory_mib[0])]);
    wall.push(["VmHWM of the node, batches and feeds too".into(), mib(of.memory_mib[1])]);
    [
        json!({
            "title": format!("Signed reports over HTTP, {entries}"),
            "text": format!(
                "To the receipt, each with a signature of its own and {} bytes of details, signed \
                 before the clock starts; medians of {} rounds of {} s. A batch has one signature \
                 and one answer: its times are those of {BATCH} reports.",
                reports::DETAILS_BYTES, plan.rounds, plan.seconds,
            ),
            "columns": ["clients", "reports /s", "p50 ms", "p99 ms"],
            "rows": rates,
        }),
        json!({
            "title": format!("The wall, {entries}"),
            "text": "The same with parts left out, and the processors' time by thread while 256 \
                     clients report. Load and node share the machine.",
            "columns": ["what", "value"],
            "rows": wall,
        }),
        json!({
            "title": format!("From a report to the person's open page, {entries}"),
            "text": format!(
                "From the first byte of a signed report to both its receipt and its line in the \
                 open feed, {} times, one after the other; the other feeds are of other people.",
                plan.watched,
            ),
            "columns": ["open feeds", "p50 ms", "p99 ms"],
            "rows": watched,
        }),
    ]
}

fn per_s(rate: f64) -> String {
    format!("{rate:.0}")
}

fn mib(size: f64) -> String {
    format!("{size:.0} MiB")
}

fn ms(time: f64) -> String {
    format!("{time:.2}")
}

/// What clients saw.
pub(crate) struct Burst {
    count: usize,
    took: Duration,
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Burst {
    pub(crate) fn of(mut waits: Vec<Duration>, took: Duration) -> Self {
        waits.sort_unstable();
        let at = |share: f64| {
            let place = ((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1));
            waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0)
        };
        let per_s = waits.len() as f64 / took.as_secs_f64();
        Self { count: waits.len(), took, per_s, p50_ms: at(0.5), p99_ms: at(0.99) }
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "perS": self.per_s, "p50Ms": self.p50_ms, "p99Ms": self.p99_ms })
    }
}

/// The one in the middle, by rate.
fn median(mut bursts: Vec<Burst>) -> Burst {
    bursts.sort_by(|a, b| a.per_s.total_cmp(&b.per_s));
    bursts.swap_remove(bursts.len() / 2)
}
