//! The benchmark of the engine, in process. Prints one JSON object for `cargo xtask bench`, which
//! writes the report; progress goes to the standard error.
//!
//! Everything is measured in one run on one machine: the bare commits that Medtrail is held
//! against take turns with it.

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
mod engine;

use engine::Engine;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Entries of the large log.
const LARGE: u64 = 1_000_000;
/// People the large log is about.
const PEOPLE: u64 = 100_000;
/// People the small logs are about. All have an entry before anything is measured: a person's
/// first entry costs a commit of the key file too, and is measured apart.
const FEW_PEOPLE: u64 = 2_000;

struct Plan {
    clients: &'static [usize],
    rounds: usize,
    seconds: u64,
    entries: u64,
}

const QUICK: Plan = Plan { clients: &[1, 64, 256], rounds: 3, seconds: 2, entries: LARGE };
const WHOLE: Plan = Plan { clients: &[1, 64, 256], rounds: 5, seconds: 5, entries: 10 * LARGE };

fn main() {
    let plan = match std::env::args().any(|argument| argument == "--quick") {
        true => QUICK,
        false => WHOLE,
    };
    let is_appends_only = std::env::args().any(|argument| argument == "--appends");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if is_appends_only {
        runtime.block_on(appends(&plan));
        return;
    }
    let results = runtime.block_on(measure(&plan));
    println!("{results:#}");
}

/// Only the appends beside bare commits, on the standard error: for whoever works on the writer.
async fn appends(plan: &Plan) {
    for &clients in plan.clients {
        against_bare(plan, clients).await;
    }
}

async fn measure(plan: &Plan) -> Value {
    let folder = tempfile::tempdir_in("target").expect("a folder on this disk");
    let fsync_per_s = bare::fsync_per_s(folder.path());
    eprintln!("{fsync_per_s:.0} fsync/s");

    let mut empty = Vec::new();
    for &clients in plan.clients {
        empty.push(against_bare(plan, clients).await);
    }

    let first_entries = first_entries(plan).await;

    let engine = Engine::start(&folder.path().join("large"), PEOPLE);
    let (filled_in, filed_in) = fill(&engine, plan.entries).await;
    let proofs = proofs(&engine);
    let large = at_size(&engine, plan).await;
    let memory = engine::peak_memory_mib();
    let disk = engine.disk_bytes() as f64 / engine.size() as f64;
    engine.stop().await;

    let rows = |rates: &[Rates]| rates.iter().map(Rates::row).collect::<Vec<_>>();
    json!({
        "fsync_per_s": fsync_per_s,
        "sections": [
            {
                "title": "Durable appends, empty log",
                "text": format!(
                    "Reports with a details document of {} bytes, in process, without a signature \
                     to check. Medtrail: index and place, key and seal, tree, signed checkpoint, \
                     one commit, receipt with its path. Bare: one redb commit of the same \
                     durability with rows, tiles and tail of the same sizes, nothing computed. In \
                     turn, {} rounds of {} s, medians.",
                    engine::DETAILS_BYTES, plan.rounds, plan.seconds
                ),
                "columns": ["clients", "Medtrail /s", "bare /s", "ratio", "p50 ms", "p99 ms"],
                "rows": rows(&empty),
            },
            {
                "title": "A person's first entry",
                "text": "The same, every report about somebody new: their key is made durable in \
                         the key file first, in one commit for all new people of a batch.",
                "columns": ["clients", "Medtrail /s", "known people /s", "ratio", "p50 ms", "p99 ms"],
                "rows": first_entries.iter().zip(&empty).map(|(first, known)| {
                    Rates { bare: known.medtrail, ..*first }.row()
                }).collect::<Vec<_>>(),
            },
            {
                "title": format!("The same at {} entries", plan.entries),
                "text": format!(
                    "All earlier entries are filed and indexed; the filer works beside. Reports are \
                     about {PEOPLE} people in random order, more than the writer keeps in memory. \
                     The log was filled in {:.1} s ({:.0}/s) and filed {:.1} s later.",
                    filled_in.as_secs_f64(),
                    plan.entries as f64 / filled_in.as_secs_f64(),
                    filed_in.as_secs_f64(),
                ),
                "columns": ["clients", "Medtrail /s", "when empty /s", "ratio", "p50 ms", "p99 ms"],
                "rows": large.iter().zip(&empty).map(|(large, empty)| {
                    Rates { bare: empty.medtrail, ..*large }.row()
                }).collect::<Vec<_>>(),
            },
            {
                "title": "Proofs, memory, disk",
                "text": format!("At {} entries about {PEOPLE} people.", plan.entries),
                "columns": ["what", "value"],
                "rows": [
                    ["inclusion path, p50", &format!("{:.3} ms", proofs.p50_ms)],
                    ["inclusion path, p99", &format!("{:.3} ms", proofs.p99_ms)],
                    ["tiles read for a path, at most", &proofs.tiles_max.to_string()],
                    ["peak memory of the process (VmHWM)", &format!("{memory:.0} MiB")],
                    ["disk per entry, all indexes", &format!("{disk:.0} B")],
                ],
            },
        ],
    })
}

#[derive(Clone, Copy)]
struct Rates {
    clients: usize,
    medtrail: f64,
    bare: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Rates {
    fn row(&self) -> Vec<String> {
        vec![
            self.clients.to_string(),
            format!("{:.0}", self.medtrail),
            format!("{:.0}", self.bare),
            format!("{:.0} %", 100.0 * self.medtrail / self.bare),
            format!("{:.2}", self.p50_ms),
            format!("{:.2}", self.p99_ms),
        ]
    }
}

async fn against_bare(plan: &Plan, clients: usize) -> Rates {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let folder = tempfile::tempdir_in("target").expect("a folder on this disk");
        let engine = Engine::start(&folder.path().join("ours"), FEW_PEOPLE);
        engine.some(256, FEW_PEOPLE).await;
        ours.push(engine.burst(clients, plan.seconds).await);
        let row_bytes = engine.row_bytes();
        engine.stop().await;
        let bare = bare::Bare::start(&folder.path().join("bare"), row_bytes);
        theirs.push(bare.burst(clients, plan.seconds).await);
        bare.stop();
        let (a, b) = (ours[round].per_s, theirs[round].per_s);
        eprintln!("{clients} clients: {a:.0}/s, bare {b:.0}/s, {:.0} %", 100.0 * a / b);
    }
    rates(clients, &mut ours, median(theirs.iter().map(|burst| burst.per_s).collect()))
}

async fn first_entries(plan: &Plan) -> Vec<Rates> {
    let mut found = Vec::new();
    for &clients in plan.clients {
        let mut bursts = Vec::new();
        for _ in 0..plan.rounds {
            let folder = tempfile::tempdir_in("target").expect("a folder on this disk");
            let engine = Engine::start(folder.path(), u64::MAX);
            bursts.push(engine.burst(clients, plan.seconds).await);
            engine.stop().await;
        }
        found.push(rates(clients, &mut bursts, f64::NAN));
    }
    found
}

async fn at_size(engine: &Engine, plan: &Plan) -> Vec<Rates> {
    let mut found = Vec::new();
    for &clients in plan.clients {
        let mut bursts = Vec::new();
        for _ in 0..plan.rounds {
            engine.wait_until_filed().await;
            bursts.push(engine.burst(clients, plan.seconds).await);
        }
        let rates = rates(clients, &mut bursts, f64::NAN);
        eprintln!("{clients} clients at {} entries: {:.0}/s", engine.size(), rates.medtrail);
        found.push(rates);
    }
    found
}

fn rates(clients: usize, bursts: &mut [Burst], bare: f64) -> Rates {
    let of = |value: fn(&Burst) -> f64| median(bursts.iter().map(value).collect());
    Rates {
        clients,
        medtrail: of(|burst| burst.per_s),
        bare,
        p50_ms: of(|burst| burst.p50_ms),
        p99_ms: of(|burst| burst.p99_ms),
    }
}

/// What clients saw.
struct Burst {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Burst {
    fn of(mut waits: Vec<Duration>, took: Duration) -> Self {
        waits.sort_unstable();
        let at = |share: f64| {
            let place = ((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1));
            waits.get(place).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0)
        };
        Self { per_s: waits.len() as f64 / took.as_secs_f64(), p50_ms: at(0.5), p99_ms: at(0.99) }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Fills the log to `entries`; how long that took, and how much longer the filer did.
async fn fill(engine: &Engine, entries: u64) -> (Duration, Duration) {
    let started = Instant::now();
    while engine.size() < entries {
        engine.some(256, (entries - engine.size()).min(50_000)).await;
        if engine.unfiled() > 400_000 {
            engine.wait_until_filed().await;
        }
        eprint!("\r{} entries", engine.size());
    }
    let filled = started.elapsed();
    engine.wait_until_filed().await;
    eprintln!(" in {:.1} s", filled.as_secs_f64());
    (filled, started.elapsed() - filled)
}

struct Proofs {
    p50_ms: f64,
    p99_ms: f64,
    tiles_max: usize,
}

/// Inclusion paths of 10,000 entries all over the log, in the log as it is.
fn proofs(engine: &Engine) -> Proofs {
    let size = engine.size();
    let mut waits = Vec::new();
    let mut tiles_max = 0;
    for n in 0..10_000u64 {
        let index = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let started = Instant::now();
        tiles_max = tiles_max.max(engine.path(index, size));
        waits.push(started.elapsed());
    }
    let burst = Burst::of(waits, Duration::from_secs(1));
    eprintln!("paths: p50 {:.3} ms, p99 {:.3} ms, {tiles_max} tiles", burst.p50_ms, burst.p99_ms);
    Proofs { p50_ms: burst.p50_ms, p99_ms: burst.p99_ms, tiles_max }
}
