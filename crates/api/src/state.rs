//! What all workers of both ports share.

use crate::answer::Document;
use crate::body::Bodies;
use crate::limits::{Limits, TRUST_CACHE_S};
use crate::metrics::Metrics;
use medtrail_ledger::proof::spell;
use medtrail_oracle::service::Service;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct State {
    pub(crate) service: Service,
    pub(crate) limits: Limits,
    pub(crate) bodies: Bodies,
    pub(crate) metrics: Metrics,
    /// The trust file and the directory: they do not change while the process runs.
    pub(crate) trust: Document,
    pub(crate) organisations: Document,
    /// Requests under way: the server ends when there are none.
    pub(crate) under_way: TaskTracker,
    /// Cancelled once the server is to end.
    pub(crate) stopping: CancellationToken,
}

impl State {
    pub(crate) fn new(service: Service, limits: Limits) -> Self {
        let trust = service.trust();
        let organisations = json!({ "organisations": trust.organisations });
        let stopping = CancellationToken::new();
        Self {
            bodies: Bodies::new(limits, stopping.clone()),
            metrics: Metrics::default(),
            trust: Document::new(spell(trust), TRUST_CACHE_S),
            organisations: Document::new(spell(&organisations), TRUST_CACHE_S),
            under_way: TaskTracker::new(),
            stopping,
            limits,
            service,
        }
    }
}
