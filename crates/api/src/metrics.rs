//! What an operator measures, in the OpenMetrics text form, on a port of its own.

use crate::answer::blocking;
use crate::problem::{self, Problem};
use crate::routes::health::word;
use crate::state::State;
use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpResponse, routes};
use medtrail_ledger::plan::Anchor;
use medtrail_oracle::anchorer::State as Anchoring;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// What is counted while requests pass; the rest is read when it is asked for.
pub(crate) struct Metrics {
    reports: Family<Outcome, Counter>,
    requests: Family<Request, Histogram>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Outcome {
    /// `taken`, or the slug of the problem.
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

const STATES: [Anchoring; 6] = [
    Anchoring::Starting,
    Anchoring::Idle,
    Anchoring::Sending,
    Anchoring::Waiting,
    Anchoring::Failing,
    Anchoring::Stopped,
];

impl Default for Metrics {
    fn default() -> Self {
        // From 0.1 ms, a tile out of the cache, to 6.5 s.
        let buckets = || Histogram::new((0..17).map(|power| 0.000_1 * f64::from(1 << power)));
        Self { reports: Family::default(), requests: Family::new_with_constructor(buckets) }
    }
}

impl Metrics {
    /// Counts what came of a report.
    pub(crate) fn reported(&self, outcome: &'static str) {
        self.reports.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts and times an answer. `route` is a pattern, so that there are few.
    pub(crate) fn answered(&self, method: &Method, route: String, status: u16, took: Duration) {
        // Whatever else a caller invents is one label.
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE"]
            .into_iter()
            .find(|known| *known == method.as_str());
        let labels = Request { method: known.unwrap_or("other"), route, status };
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

#[routes]
#[get("/metrics")]
pub(crate) async fn get(state: Data<State>) -> Result<HttpResponse, Problem> {
    let text = blocking(move || read(&state)).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// Everything, as it stands now. Blocks: how much is filed is asked from the disk.
fn read(state: &State) -> Result<String, Problem> {
    let filed = state.service.filed()?;
    let (size, status) = (state.service.head().size, state.service.status());
    let size_of = |anchor: Option<Anchor>| anchor.map_or(0, |anchor| anchor.size);
    let sales_open = state.extras.sales.as_ref().map_or(0, |sales| sales.selling().open);
    let calls_open = state.extras.calls.as_ref().map_or(0, |calls| calls.called().open);
    let mut registry = Registry::default();
    if let Some(bytes) = resident_bytes() {
        let help = "Memory of this process";
        registry.register_with_unit(
            "process_resident_memory",
            help,
            Unit::Bytes,
            ConstGauge::new(bytes),
        );
    }
    let ours = registry.sub_registry_with_prefix("medtrail");
    for (name, help, value) in [
        ("entries", "Entries in the log", size),
        ("unfiled_entries", "Entries that are durable but not indexed yet", size - filed.min(size)),
        ("queued_reports", "Reports waiting for the writer", state.service.queued() as u64),
        ("changes_waiting", "Changes that wait to be judged", state.service.judging().waiting),
        ("questions_open", "Questions that wait for their answers", state.service.clerking().open),
        ("notices_waiting", "Notices that wait to be sent", state.service.heralding().waiting),
        ("erasures_waiting", "Erasures that wait for their day", state.service.eraser().waiting),
        ("sales_open", "Sales with something left to do, also for the buyer", sales_open),
        ("calls_open", "Calls to many with something left to do", calls_open),
        (
            "emergencies_open",
            "Emergency changes whose people are asked about them",
            state.service.emergencies_waiting(),
        ),
        ("anchor_lag_entries", "Entries that no mined anchor covers", status.lag_entries),
        ("anchor_lag_seconds", "How long they have waited", status.lag_s),
        ("mined_entries", "Entries covered by an anchor in a block", size_of(status.mined)),
        ("final_entries", "Entries covered by an anchor in a final block", size_of(status.settled)),
    ] {
        ours.register(name, help, ConstGauge::new(value));
    }
    let anchoring = Family::<InState, prometheus_client::metrics::gauge::Gauge>::default();
    for one in STATES {
        let is_now = i64::from(one == status.state);
        anchoring.get_or_create(&InState { state: word(one) }).set(is_now);
    }
    ours.register("anchoring", "1 for the state anchoring is in", anchoring);
    ours.register("reports", "Reports by what came of them", state.metrics.reports.clone());
    let requests = state.metrics.requests.clone();
    ours.register_with_unit("request", "Time to answer a request", Unit::Seconds, requests);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| {
        tracing::error!("the metrics cannot be written: {error}");
        Problem::new(&problem::INTERNAL, "the metrics could not be written")
    })?;
    Ok(text)
}

/// Resident memory of this process where the system tells it (Linux `/proc`, in KiB).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
