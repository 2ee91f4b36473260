//! What permissions need of the world: what an act used, read from FHIR, and what the consent
//! registry on the chain says.

use alloy_primitives::Address;
use medtrail_chain::{Chain, Contract};
use medtrail_fhir::usage::{UsedData, usage};
use medtrail_ledger::consents::ConsentRecord;
use medtrail_ledger::ports::{Consents, RegistryError};
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{About, ReadDetails, VersionDetails};
use medtrail_permit::confidentiality::{Confidentiality, is_mark};
use medtrail_permit::permits::{Data, Need};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What an act needs a permission for. A document that is neither an AuditEvent nor the vault's own
/// tells neither data nor purpose, so that no grant covers it; an approval does.
///
/// Of what happens in the vault this is what the document itself tells: what stood there before, and
/// what a look was at, follow from the log.
pub(crate) fn need(_: &Report, details: Option<&[u8]>) -> Need {
    if let Some(need) = details.and_then(in_vault) {
        return need;
    }
    let used = details.map(usage).unwrap_or_default();
    Need {
        data: used.data.into_iter().map(data).collect(),
        purposes: used.purposes,
        is_search: used.is_search,
    }
}

/// What a document of the vault tells.
fn in_vault(details: &[u8]) -> Option<Need> {
    if let Ok(version) = VersionDetails::read(details) {
        let About { resource_type, confidentiality, topics, .. } = version.about;
        let confidentiality = confidentiality.as_deref().and_then(level);
        let data = Data { resource: resource_type, confidentiality, topics, ..Data::default() };
        return Some(Need { data: vec![data], purposes: version.purposes, is_search: false });
    }
    let read = ReadDetails::read(details).ok()?;
    let is_search = read.listed.is_some();
    Some(Need { data: Vec::new(), purposes: read.purposes, is_search })
}

fn data(used: UsedData) -> Data {
    let mut data = Data { resource: used.resource_type, ..Data::default() };
    for label in used.labels {
        let is_level = label.system.is_empty() || label.system.ends_with("/v3-Confidentiality");
        match level(&label.code).filter(|_| is_level) {
            // The strictest of several.
            Some(level) => data.confidentiality = data.confidentiality.max(Some(level)),
            None if is_mark(&label.code) && !data.topics.contains(&label.code) => {
                data.topics.push(label.code);
            }
            None => {}
        }
    }
    data
}

fn level(code: &str) -> Option<Confidentiality> {
    use Confidentiality::{L, M, N, R, U, V};
    let levels = [("U", U), ("L", L), ("M", M), ("N", N), ("R", R), ("V", V)];
    levels.into_iter().find_map(|(word, level)| (word == code).then_some(level))
}

/// How long one look at the registry may take: people wait for it.
const LOOK: Duration = Duration::from_secs(4);
/// After a look that found no node, none is tried for so long: each would hold a thread.
const AWAY: Duration = Duration::from_secs(2);

/// The consent registry of this build, on the configured chain.
pub(crate) struct OnChain {
    chain: Chain,
    runtime: Handle,
    away_until: Mutex<Option<Instant>>,
}

impl OnChain {
    /// To be made in the runtime that then reads.
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain, runtime: Handle::current(), away_until: Mutex::default() }
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consents for OnChain {
    fn registry(&self) -> Address {
        Contract::ConsentRegistry.address()
    }

    fn about(&self, subject: Address) -> Result<Vec<ConsentRecord>, RegistryError> {
        if self.away().is_some_and(|until| Instant::now() < until) {
            return Err(RegistryError::Unreachable("none did a moment ago".to_owned()));
        }
        // The timer is made inside: the judge's thread is none of the runtime's.
        let found = self.runtime.block_on(async {
            tokio::time::timeout(LOOK, self.chain.consents(self.registry(), subject)).await
        });
        let found = found.unwrap_or_else(|_| {
            Err(RegistryError::Unreachable(format!("not within {} s", LOOK.as_secs())))
        });
        if matches!(found, Err(RegistryError::Unreachable(_))) {
            *self.away() = Some(Instant::now() + AWAY);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_fhir::event::Coding;

    fn of(event: &str) -> Need {
        need(&Report::default(), Some(event.as_bytes()))
    }

    const EVENT: &str = r#"{
        "resourceType": "AuditEvent",
        "agent": [{"purposeOfUse": [{"coding": [{"code": "TREAT"}]}]}],
        "purposeOfEvent": [{"coding": [{"code": "TREAT"}]}, {"text": "because"}],
        "entity": [
            {"what": {"reference": "Patient/p1"}, "role": {"code": "1"}},
            {"what": {"reference": "MedicationRequest/m1"}},
            {"what": {"identifier": {"value": "x"}},
             "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Observation"},
             "securityLabel": [{"code": "PSY"}, {"code": "VIO"}, {"code": "zzz"},
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"},
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]},
            {"what": {"identifier": {"value": "request"}}, "type": {"code": "XrequestId"}}
        ]
    }"#;

    #[test]
    fn a_thread_of_its_own_may_ask_and_is_told_that_no_node_answers() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        let rpc = medtrail_chain::Rpc::new(&["http://127.0.0.1:1"]).unwrap();
        let registry = Contract::AnchorRegistry.address();
        let chain = Chain::new(rpc, 1, registry, medtrail_chain::Finality::Tag);
        let on_chain = OnChain::new(chain);
        let asked = std::thread::spawn(move || {
            [1, 2].map(|person| on_chain.about(Address::repeat_byte(person)))
        });
        for answer in asked.join().unwrap() {
            assert!(matches!(answer, Err(RegistryError::Unreachable(_))), "{answer:?}");
        }
    }

    #[test]
    fn everything_that_an_event_tells_must_be_permitted() {
        let told = of(EVENT);
        let medicine = Data { resource: Some("MedicationRequest".into()), ..Data::default() };
        let measured = Data {
            resource: Some("Observation".into()),
            confidentiality: Some(Confidentiality::R),
            topics: vec!["PSY".into(), "VIO".into()],
            ..Data::default()
        };
        assert_eq!(told.data, [medicine, measured]);
        assert_eq!(told.purposes, ["TREAT", "because"]);
        assert!(!told.is_search && !told.is_emergency());
        let relayed = serde_json::json!({
            "version": "medtrail/relayed-v1", "organisation": "0x00", "name": "", "document": EVENT,
        });
        assert_eq!(of(&relayed.to_string()), told);
        let shared = format!(r#"{{"version":"medtrail/shared-v1","event":{EVENT}}}"#);
        assert_eq!(of(&shared), told);
        assert!(of(&EVENT.replace("because", "BTG")).purposes.contains(&"BTG".to_owned()));
    }

    #[test]
    fn a_version_in_the_vault_needs_what_it_says_it_is_and_a_look_its_purpose() {
        let version = r#"{"version":"medtrail/version-v1","about":{"title":"A","mediaType":"text/plain","resourceType":"Observation","confidentiality":"R","topics":["HIV"]},"bytes":1,"purposes":["TREAT"]}"#;
        let expected = Data {
            resource: Some("Observation".into()),
            confidentiality: Some(Confidentiality::R),
            topics: vec!["HIV".into()],
            ..Data::default()
        };
        assert_eq!(
            (of(version).data, of(version).purposes),
            (vec![expected], vec!["TREAT".into()])
        );
        let look = of(r#"{"version":"medtrail/read-v1","purposes":["TREAT"]}"#);
        assert_eq!((look.purposes.as_slice(), look.is_search), (&["TREAT".to_owned()][..], false));
        assert!(of(r#"{"version":"medtrail/read-v1","purposes":[],"listed":2}"#).is_search);
    }

    #[test]
    fn a_mark_on_the_patient_is_one_on_all_their_data() {
        let marked = EVENT.replacen(
            r#""role": {"code": "1"}"#,
            r#""role": {"code": "1"}, "securityLabel": [{"code": "V"}]"#,
            1,
        );
        let told = of(&marked);
        assert!(told.data.iter().all(|one| one.confidentiality == Some(Confidentiality::V)));
    }

    #[test]
    fn a_search_without_data_asks_for_the_type_in_its_path() {
        let query = |text: &str| {
            use base64::Engine;
            let packed = base64::engine::general_purpose::STANDARD.encode(text);
            let told = of(&format!(
                r#"{{"resourceType":"AuditEvent","entity":[{{"query":"{packed}"}}]}}"#
            ));
            assert!(told.is_search);
            told.data[0].resource.clone()
        };
        assert_eq!(query("GET /fhir/Immunization?patient=1"), Some("Immunization".to_owned()));
        assert_eq!(
            query("https://x.example/fhir/Patient/7/$everything"),
            Some("Patient".to_owned())
        );
        assert_eq!(query("/x?y"), None);
    }

    #[test]
    fn what_is_no_event_tells_nothing() {
        for details in ["", "[]", "{}", r#"{"resourceType":"Patient"}"#] {
            assert_eq!(of(details), Need::default(), "{details}");
        }
        assert_eq!(need(&Report::default(), None), Need::default());
        let sheet =
            r#"{"resourceType":"AuditEvent","entity":[{"role":{"code":"1"},"type":{"code":"2"}}]}"#;
        assert_eq!(of(sheet).data[0].resource.as_deref(), Some("Patient"));
        let label = Coding { code: "HIV".into(), ..Coding::default() };
        let marked = data(UsedData { resource_type: None, labels: vec![label.clone(), label] });
        assert_eq!(marked.topics, ["HIV"]);
    }
}
