//! What an operator measures, in the OpenMetrics text form, on a port of its own.

use crate::routes;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use medtrail_ledger::receipt::Receipt;
use medtrail_oracle::anchorer::State;
use medtrail_oracle::intake::ReportError;
use medtrail_oracle::sequencer::PlaceError;
use medtrail_oracle::service::Service;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// All metrics of one service.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reports: Family<Outcome, Counter>,
    requests: Histogram,
    entries: Gauge,
    unfiled: Gauge,
    queued: Gauge,
    lag_entries: Gauge,
    lag_seconds: Gauge,
    mined_entries: Gauge,
    final_entries: Gauge,
    anchoring: Family<Anchoring, Gauge>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Outcome {
    outcome: OutcomeWord,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelValue)]
enum OutcomeWord {
    Taken,
    Refused,
    Conflict,
    Busy,
    Failed,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Anchoring {
    state: &'static str,
}

const STATES: [State; 6] =
    [State::Starting, State::Idle, State::Sending, State::Waiting, State::Failing, State::Stopped];

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("medtrail");
        let reports = Family::default();
        registry.register("reports", "Reports by what came of them", reports.clone());
        let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
        let requests = Histogram::new(bounds);
        registry.register("request_seconds", "Time to answer a request", requests.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let entries = gauge("entries", "Entries in the log");
        let unfiled = gauge("unfiled_entries", "Entries that are durable but not indexed yet");
        let queued = gauge("queued_reports", "Reports waiting for the writer");
        let lag_entries = gauge("anchor_lag_entries", "Entries that no mined anchor covers");
        let lag_seconds = gauge("anchor_lag_seconds", "How long they have waited");
        let mined_entries = gauge("mined_entries", "Entries covered by an anchor in a block");
        let final_entries = gauge("final_entries", "Entries covered by an anchor in a final block");
        let anchoring = Family::default();
        registry.register("anchoring", "1 for the state anchoring is in", anchoring.clone());
        Self(Arc::new(Inner {
            registry,
            reports,
            requests,
            entries,
            unfiled,
            queued,
            lag_entries,
            lag_seconds,
            mined_entries,
            final_entries,
            anchoring,
        }))
    }

    /// Counts what came of a report.
    pub(crate) fn reported(&self, outcome: &Result<Receipt, ReportError>) {
        let outcome = match outcome {
            Ok(_) => OutcomeWord::Taken,
            Err(ReportError::Conflict { .. }) => OutcomeWord::Conflict,
            Err(ReportError::Place(PlaceError::Busy)) => OutcomeWord::Busy,
            Err(ReportError::Place(_) | ReportError::Journal(_)) => OutcomeWord::Failed,
            Err(_) => OutcomeWord::Refused,
        };
        self.0.reports.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn answered(&self, took: Duration) {
        self.0.requests.observe(took.as_secs_f64());
    }

    fn read(&self, service: &Service) {
        let gauge = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let (size, status) = (service.head().size, service.status());
        gauge(&self.0.entries, size);
        gauge(&self.0.unfiled, size.saturating_sub(service.filed().unwrap_or(size)));
        gauge(&self.0.queued, service.queued() as u64);
        gauge(&self.0.lag_entries, status.lag_entries);
        gauge(&self.0.lag_seconds, status.lag_s);
        gauge(&self.0.mined_entries, status.mined.map_or(0, |anchor| anchor.size));
        gauge(&self.0.final_entries, status.settled.map_or(0, |anchor| anchor.size));
        for state in STATES {
            let label = Anchoring { state: routes::state_word(state) };
            self.0.anchoring.get_or_create(&label).set(i64::from(state == status.state));
        }
    }
}

/// The whole of the metrics port.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config.route("/metrics", web::get().to(answer));
}

async fn answer(metrics: Data<Metrics>, service: Data<Service>) -> impl Responder {
    metrics.read(&service);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &metrics.0.registry);
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text)
}
