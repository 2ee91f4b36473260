//! What all tasks of a gateway share.

use crate::clock::Clock;
use crate::held::Held;
use crate::intake::Queue;
use crate::session::{Session, SessionError};
use crate::upstream::{Reply, Upstream};
use crate::{Enrolment, GatewayError, Options};
use alloy_primitives::{Address, B256};
use medtrail_fhir::report::Reporter;
use medtrail_ledger::custodian::{ReportSigner, Spool, SpoolError};
use medtrail_ledger::ports::{JournalError, SecretKey};
use medtrail_ledger::schema::{Eip712Domain, domain};
use medtrail_ledger::trust::LogKeys;
use reqwest::Method;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Alarms and set-aside reports that are remembered; the spool keeps them all.
const REMEMBERED_MAX: usize = 100;

pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) enrolment: Enrolment,
    pub(crate) domain: Eip712Domain,
    pub(crate) log_keys: Vec<LogKeys>,
    pub(crate) key: SecretKey,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) signer: Arc<dyn ReportSigner>,
    pub(crate) upstream: Upstream,
    pub(crate) session: Session,
    pub(crate) intake: Queue,
    /// Something waits to be signed.
    pub(crate) taken: Notify,
    /// Something waits to be sent.
    pub(crate) signed: Notify,
    /// Something was settled, so that there is room.
    pub(crate) settled: Notify,
    /// The day (since 1970) that is known to have its coverage, 0 for none.
    pub(crate) covered_day: AtomicU64,
    board: Mutex<Board>,
}

/// What `GET /status` tells beside the spool.
#[derive(Clone, Default)]
pub(crate) struct Board {
    pub(crate) is_reachable: Option<bool>,
    pub(crate) last_receipt_ms: Option<u64>,
    pub(crate) clock_offset_ms: Option<i64>,
    pub(crate) set_aside: VecDeque<(u64, String)>,
    /// What the log does not take now.
    pub(crate) held: Held,
    pub(crate) alarms: VecDeque<String>,
    /// Addresses that were countersigned for, newest last.
    pub(crate) bound: VecDeque<Address>,
}

impl Board {
    pub(crate) fn remember<T>(list: &mut VecDeque<T>, one: T) {
        if list.len() == REMEMBERED_MAX {
            list.pop_front();
        }
        list.push_back(one);
    }
}

impl State {
    pub(crate) fn new(
        options: Options,
        enrolment: Enrolment,
        spool: Arc<dyn Spool>,
        signer: Arc<dyn ReportSigner>,
        intake: Queue,
    ) -> Result<Self, GatewayError> {
        let trust = &enrolment.trust;
        let keys = trust.operator.keys.iter().map(|key| trust.log_keys(key.address));
        Ok(Self {
            domain: domain(trust.chain_id, trust.registry),
            log_keys: keys.collect::<Result<_, _>>()?,
            key: SecretKey(enrolment.shared_key.0),
            upstream: Upstream::new(options.upstream.as_ref().unwrap_or(&enrolment.upstream))?,
            session: Session::at(&enrolment.upstream),
            options,
            enrolment,
            spool,
            signer,
            intake,
            taken: Notify::new(),
            signed: Notify::new(),
            settled: Notify::new(),
            covered_day: AtomicU64::new(0),
            board: Mutex::default(),
        })
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alarm(&self, text: String) {
        tracing::error!("{text}");
        Board::remember(&mut self.board().alarms, text);
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.options.clock
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock().now_ms()
    }

    pub(crate) fn reporter(&self) -> Reporter<'_> {
        Reporter {
            log: self.enrolment.trust.log,
            organisation: self.enrolment.organisation,
            actor: self.signer.address(),
            key: &self.key,
            relayed_for: None,
        }
    }

    pub(crate) fn name_of(&self, address: Address) -> Option<String> {
        (address == self.signer.address()).then(|| self.enrolment.name.clone())
    }

    /// Whether the organisation spoke by this key at this time, as far as the enrolment knows.
    pub(crate) fn is_own_key(&self, key: Address, time_ms: u64) -> bool {
        let own = self.signer.address();
        let ours = self
            .enrolment
            .trust
            .organisations
            .iter()
            .filter(|organisation| organisation.keys.iter().any(|known| known.address == own));
        let mut keys = ours.flat_map(|organisation| &organisation.keys);
        key == own || keys.any(|known| known.address == key && known.speaks_at(time_ms))
    }

    pub(crate) fn log(&self) -> B256 {
        self.enrolment.trust.log
    }

    /// Notes that the log answered, and its clock.
    pub(crate) fn heard(&self, reply: &Reply) {
        let now_ms = self.now_ms();
        let mut board = self.board();
        board.is_reachable = Some(true);
        if let Some(date_ms) = reply.date_ms {
            board.clock_offset_ms = Some(date_ms as i64 - now_ms as i64);
        }
    }

    /// What blocks, off the async threads.
    pub(crate) async fn on_spool<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let state = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&state)).await;
        done.unwrap_or_else(|error| Err(JournalError::Storage(error.to_string()).into()))
    }

    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        json: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, SessionError> {
        let by = (&self.upstream, &*self.signer, self.clock());
        self.session.call(by, method, path, json).await
    }
}
