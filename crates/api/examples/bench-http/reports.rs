//! What is reported: signed before any clock starts.

use alloy_primitives::{Address, B256, keccak256};
use medtrail_keys::note::NoteKey;
use medtrail_keys::operator::OperatorKey;
use medtrail_keys::reporter::ReporterKey;
use medtrail_ledger::entry::{batch_root, details_hash};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{Report, ReportBatch, domain, log_id};
use medtrail_ledger::trust::{self, Key, Operator, Organisation, TrustFile};
use std::time::Instant;

const CHAIN: u64 = 4242;
const REGISTRY: Address = Address::repeat_byte(0x22);
pub(crate) const ORIGIN: &str = "bench.example/log";
/// Bytes of each report's details document.
pub(crate) const DETAILS_BYTES: usize = 300;

pub(crate) fn operator() -> OperatorKey {
    OperatorKey::from_bytes(&[1; 32]).expect("a key")
}

fn custodian() -> ReporterKey {
    ReporterKey::from_bytes(&[2; 32]).expect("a key")
}

/// What the log says of itself: one operator, one organisation.
pub(crate) fn trust() -> TrustFile {
    let operator = operator().address();
    let note = NoteKey::from_seed(ORIGIN, &[3; 32]).expect("a name");
    let key = |address| vec![Key { address, from_ms: 0, until_ms: None }];
    TrustFile {
        version: trust::VERSION.into(),
        chain_id: CHAIN,
        registry: REGISTRY,
        log: log_id(CHAIN, REGISTRY, operator, ORIGIN),
        origin: ORIGIN.into(),
        operator: Operator {
            name: "Bench".into(),
            domain: "bench.example".into(),
            note_key: note.verifier().to_string(),
            keys: key(operator),
        },
        organisations: vec![Organisation {
            name: "Clinic".into(),
            register_number: None,
            domain: "clinic.example".into(),
            keys: key(custodian().address()),
        }],
    }
}

/// Makes reports that are all different, about people in random order.
pub(crate) struct Maker {
    template: Report,
    key: ReporterKey,
    people: u64,
    /// Separates the events of the load from those the node makes for itself.
    series: u8,
}

impl Maker {
    /// What the operator's own process enters.
    pub(crate) fn unsigned(people: u64) -> Self {
        Self { series: 1, ..Self::new(operator().address(), people) }
    }

    /// What the organisation signs.
    pub(crate) fn signed(people: u64) -> Self {
        Self { series: 2, ..Self::new(custodian().address(), people) }
    }

    fn new(actor: Address, people: u64) -> Self {
        let template = Report {
            log: trust().log,
            kind: 1,
            action: b'R',
            timeMs: 1_767_605_400_120,
            actor,
            record: keccak256("record"),
            ..Report::default()
        };
        Self { template, key: custodian(), people, series: 0 }
    }

    /// Report `number` and its details. The first numbers name each person once.
    pub(crate) fn report(&self, number: u64) -> (Report, String) {
        let person = match number < self.people {
            true => number,
            false => number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % self.people,
        };
        self.about(number, B256::left_padding_from(&(person + 1).to_be_bytes()))
    }

    pub(crate) fn about(&self, number: u64, subject: B256) -> (Report, String) {
        let details = format!("\"{number:0>width$}\"", width = DETAILS_BYTES - 2);
        let mut event = B256::left_padding_from(&(number + 1).to_be_bytes());
        event[0] = self.series;
        let report = Report {
            eventId: event,
            subject,
            details: details_hash(details.as_bytes()),
            ..self.template.clone()
        };
        (report, details)
    }

    /// The body of a request with one report.
    pub(crate) fn body(&self, (report, details): (Report, String)) -> String {
        let signature = self.key.sign(&report, &domain(CHAIN, REGISTRY));
        let report = serde_json::to_string(&report).expect("JSON");
        format!(r#"{{"report":{report},"details":{details},"signature":"{signature}"}}"#)
    }

    /// Microseconds that checking one signature takes on one thread: hash, recover, compare.
    pub(crate) fn check_us(&self) -> f64 {
        const CHECKS: u64 = 5_000;
        let domain = domain(CHAIN, REGISTRY);
        let sign = |number| {
            let (report, _) = self.report(number);
            let evidence = Evidence::Signed(self.key.sign(&report, &domain));
            (report, evidence)
        };
        let signed: Vec<_> = (0..CHECKS).map(sign).collect();
        let started = Instant::now();
        let is_right = |(report, evidence): &(Report, Evidence)| evidence.verify(report, &domain);
        assert!(signed.iter().all(|one| is_right(one).is_ok_and(|is_right| is_right)));
        started.elapsed().as_secs_f64() * 1e6 / CHECKS as f64
    }

    /// The body of a request with reports under one signature.
    pub(crate) fn batch(&self, numbers: std::ops::Range<u64>) -> String {
        let (reports, details): (Vec<_>, Vec<_>) = numbers.map(|one| self.report(one)).unzip();
        let hashes: Vec<_> = reports.iter().map(Report::hash).collect();
        let batch = ReportBatch { root: batch_root(&hashes).into(), count: hashes.len() as u64 };
        let signature = self.key.sign_batch(&batch, &domain(CHAIN, REGISTRY));
        let items = reports.iter().zip(&details);
        let item = |(report, details)| {
            let report = serde_json::to_string::<Report>(report).expect("JSON");
            format!(r#"{{"report":{report},"details":{details}}}"#)
        };
        let items: Vec<_> = items.map(item).collect();
        let (root, count, items) = (batch.root, batch.count, items.join(","));
        format!(
            r#"{{"root":"{root}","count":{count},"signature":"{signature}","items":[{items}]}}"#
        )
    }
}
