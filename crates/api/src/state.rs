//! What all workers of both ports share.

use crate::answer::Document;
use crate::body::Bodies;
use crate::caller::Damaged;
use crate::limits::{DOCS_CACHE_S, Limits};
use crate::metrics::Metrics;
use crate::openapi::{self, Methods};
use crate::pages::Extras;
use crate::problem::{self, Problem};
use crate::rates::Rates;
use crate::routes::docs;
use crate::routes::feed::Feeds;
use crate::sequences::Sequences;
use crate::sessions::Sessions;
use crate::siwe::Site;
use alloy_primitives::Address;
use medtrail_oracle::calls::Calls;
use medtrail_oracle::sales::Sales;
use medtrail_oracle::service::Service;
use medtrail_oracle::vault::Vault;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct State {
    pub(crate) service: Service,
    pub(crate) limits: Limits,
    pub(crate) bodies: Bodies,
    pub(crate) metrics: Metrics,
    pub(crate) sessions: Sessions,
    pub(crate) rates: Rates,
    pub(crate) sequences: Sequences,
    pub(crate) damaged: Damaged,
    pub(crate) feeds: Arc<Feeds>,
    /// Where others reach this server.
    pub(crate) site: Site,
    pub(crate) extras: Extras,
    /// The interface described: for programs, for people, and for `Allow`.
    pub(crate) openapi: Document,
    pub(crate) docs: String,
    pub(crate) methods: Methods,
    /// Requests under way: the server ends when there are none.
    pub(crate) under_way: TaskTracker,
    /// Cancelled once the server is to end.
    pub(crate) stopping: CancellationToken,
}

impl State {
    pub(crate) fn new(
        service: Service,
        limits: Limits,
        session_ms: u64,
        site: Site,
        extras: Extras,
    ) -> Self {
        let stopping = CancellationToken::new();
        let described = openapi::document();
        let written = described.to_pretty_json().expect("the description is JSON");
        Self {
            bodies: Bodies::new(limits, stopping.clone()),
            metrics: Metrics::default(),
            sessions: Sessions::new(session_ms),
            rates: Rates::default(),
            sequences: Sequences::default(),
            damaged: Damaged::default(),
            feeds: Arc::default(),
            openapi: Document::new(written.into_bytes(), DOCS_CACHE_S),
            docs: docs::write(&described),
            methods: Methods::new(&described),
            under_way: TaskTracker::new(),
            stopping,
            site,
            extras,
            limits,
            service,
        }
    }

    /// The vault; a server without one has no records to show.
    pub(crate) fn vault(&self) -> Result<Vault, Problem> {
        self.extras.vault.clone().ok_or_else(Problem::no_such_record)
    }

    /// Sales; where nothing is sold there are none to show.
    pub(crate) fn sales(&self) -> Result<&Sales, Problem> {
        let none = || Problem::new(&problem::MARKET_OFF, "nothing is sold through this log");
        self.extras.sales.as_ref().ok_or_else(none)
    }

    /// Calls to many; where none are taken there are none to show.
    pub(crate) fn calls(&self) -> Result<&Calls, Problem> {
        let none = || Problem::new(&problem::MARKET_OFF, "no calls to many go through this log");
        self.extras.calls.as_ref().ok_or_else(none)
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.service.now_ms()
    }

    /// Whether the operator speaks by this address now.
    pub(crate) fn is_operator(&self, address: Address) -> bool {
        self.service.trust().operator_speaks(address, self.now_ms())
    }

    /// The operator's newest address that speaks now.
    pub(crate) fn operator_now(&self) -> Option<Address> {
        let (trust, now_ms) = (self.service.trust(), self.now_ms());
        let mut speaking = trust.operator.keys.iter().filter(|key| key.speaks_at(now_ms));
        speaking.next_back().map(|key| key.address)
    }

    /// The organisation that speaks by this address now.
    pub(crate) fn organisation_of(&self, address: Address) -> Option<Address> {
        self.service.trust().organisation_of(address, self.now_ms())?;
        self.service.organisation_of(address)
    }

    /// Id and name of the organisation that has this id, or has or had this key; an empty name if
    /// there is none.
    pub(crate) fn named(&self, address: Address) -> (Address, String) {
        let id = self.service.organisation_of(address).unwrap_or(address);
        let listed = self.service.organisations().into_iter().find(|one| one.id == id);
        (id, listed.map_or_else(String::new, |one| one.name))
    }
}
