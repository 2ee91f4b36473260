//! Where acts in the vault are judged: by the papers, the chain and the record as they are.

use super::{Vault, VaultError, Why};
use crate::intake::Submission;
use crate::opener::Entry;
use crate::papers::Papers;
use crate::permissions::Permissions;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{address_of, commitment};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::vault::About;
use medtrail_permit::confidentiality::{Confidentiality, is_mark};
use medtrail_permit::consents;
use medtrail_permit::permits::{
    Act, Basis, ChainState, Data, Need, Pseudonym, Refusal, Verdict, World, permits, speaks,
};

/// What is known of a person when their vault is asked.
pub(super) struct Bench<'a> {
    vault: &'a Vault,
    papers: Papers,
    chain: ChainState,
    pseudonyms: Vec<Pseudonym>,
}

/// It is permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Permitted {
    pub(super) basis: Basis,
    pub(super) document: Option<B256>,
}

/// It is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotPermitted {
    pub(super) why: Why,
    pub(super) document: Option<B256>,
}

impl From<NotPermitted> for VaultError {
    fn from(no: NotPermitted) -> Self {
        Self::Refused { why: no.why, document: no.document }
    }
}

impl Vault {
    /// All that is known of a subject now, the chain included.
    pub(super) fn bench(&self, subject: B256) -> Result<Bench<'_>, VaultError> {
        let service = &self.0.service;
        let Permissions { consents, .. } = &service.0.permissions;
        let (chain, pseudonyms) = match address_of(subject) {
            Some(address) => {
                let records = consents.about(address).map_err(VaultError::ChainUnreadable)?;
                (consents::fold(address, &records), Vec::new())
            }
            // A pseudonym has nothing on chain.
            None => (ChainState::default(), vec![service.kept(subject)?]),
        };
        let papers = service.papers(subject)?;
        Ok(Bench { vault: self, papers, chain, pseudonyms })
    }
}

impl Bench<'_> {
    fn world(&self, index: u64) -> World {
        let registries = self.vault.0.service.registries();
        let world = self.papers.world_before(index, registries, self.chain.clone());
        World { pseudonyms: self.pseudonyms.clone(), ..world }
    }

    /// Whether an act counts where it stands in the log; nothing waits for confirmation here.
    pub(super) fn judge(&self, act: &Act) -> Result<Permitted, NotPermitted> {
        match permits(act, &self.world(act.index)) {
            Verdict::Counts { reason: basis, document } => Ok(Permitted { basis, document }),
            Verdict::DoesNotCount { reason, document } => {
                Err(NotPermitted { why: Why::Refused(reason), document })
            }
            Verdict::Unconfirmed { reason, document } => {
                Err(NotPermitted { why: Why::Pending(reason), document })
            }
        }
    }

    /// Whether somebody may answer in the person's name without a signature.
    pub(super) fn speaks(&self, subject: B256, who: Address) -> bool {
        speaks(subject, who, self.vault.now_ms(), &self.world(u64::MAX))
    }

    /// The approval of exactly this change, if one stands in the trail: its id.
    pub(super) fn approval(
        &self,
        subject: B256,
        custodian: Address,
        record: B256,
        versions: (B256, B256),
    ) -> Option<B256> {
        use medtrail_permit::documents::Document;
        use medtrail_permit::permits::{State, states};
        let world = self.world(u64::MAX);
        let standing = states(subject, self.vault.now_ms(), &world);
        let stands = |id: B256| standing.contains(&(id, State::Standing));
        let mut documents = self.papers.documents().iter().rev();
        let found = documents.find(|recorded| match &recorded.signed.document {
            Document::ChangeApproval(approval) => {
                approval.custodian == custodian
                    && approval.record == record
                    && (approval.fromVersion, approval.toVersion) == versions
                    && stands(recorded.id)
            }
            _ => false,
        });
        found.map(|recorded| recorded.id)
    }
}

impl Vault {
    /// A report on its way in, as it would be judged if it were entered now.
    pub(super) fn act_now(&self, submission: &Submission, need: Need) -> Act {
        let report = submission.report.clone();
        let signer = (submission.evidence != Evidence::Relayed).then_some(report.actor);
        let organisation = self.0.service.organisation_of(report.actor);
        let mut party: Vec<Address> =
            organisation.filter(|_| signer.is_some()).into_iter().collect();
        party.extend(signer.filter(|signer| !party.contains(signer)));
        Act {
            commitment: B256::ZERO,
            index: u64::MAX,
            received_ms: self.now_ms(),
            in_vault: true,
            signer,
            party,
            need,
            report,
        }
    }

    /// An entry of the vault, as it is judged in its place.
    pub(super) fn act_at(&self, entry: &Entry, need: Need) -> Act {
        Act { in_vault: true, ..self.0.service.act_of(entry, need) }
    }
}

/// The same act, once it has its place.
pub(super) fn placed(act: Act, entry: &Entry) -> Act {
    Act {
        commitment: commitment(&entry.report, &entry.place),
        index: entry.index,
        received_ms: entry.place.receivedMs,
        ..act
    }
}

/// What permissions are asked about for these data; none told is data of an unknown type.
pub(super) fn need<'a>(
    abouts: impl IntoIterator<Item = &'a About>,
    purposes: &[String],
    is_search: bool,
) -> Need {
    let mut data: Vec<Data> = Vec::new();
    for about in abouts {
        let one = data_of(about);
        if !data.contains(&one) {
            data.push(one);
        }
    }
    Need { data, purposes: purposes.to_vec(), is_search }
}

pub(super) fn data_of(about: &About) -> Data {
    Data {
        resource: about.resource_type.clone(),
        confidentiality: about.confidentiality.as_deref().and_then(level),
        topics: about.topics.clone(),
        parameters: Vec::new(),
    }
}

pub(super) fn level(code: &str) -> Option<Confidentiality> {
    use Confidentiality::{L, M, N, R, U, V};
    let levels = [("U", U), ("L", L), ("M", M), ("N", N), ("R", R), ("V", V)];
    levels.into_iter().find_map(|(word, level)| (word == code).then_some(level))
}

/// Whether all marks of `before` are still on `after`: who may write must not thereby open to others
/// what its person closed.
pub(super) fn keeps_marks(before: &About, after: &About) -> bool {
    let level_of = |about: &About| {
        let told = about.confidentiality.as_deref().and_then(level);
        told.unwrap_or(Confidentiality::N)
    };
    level_of(after) >= level_of(before)
        && before.topics.iter().all(|topic| after.topics.contains(topic))
}

/// What of a version's description breaks a rule, or contradicts the bytes.
pub(super) fn check_about(about: &About, content: Option<&[u8]>) -> Result<(), VaultError> {
    let fault = |field, rule| Err(VaultError::Field { field, rule });
    if let Some((field, rule)) = about.fault() {
        return fault(field, rule);
    }
    if !about.topics.iter().all(|topic| is_mark(topic)) {
        return fault("topics", "codes of sensitive topics that a permission can name");
    }
    let Some(content) = content.filter(|_| about.media_type == "application/fhir+json") else {
        return Ok(());
    };
    let Ok(resource) = serde_json::from_slice::<Resource>(content) else {
        return fault("content", "a FHIR resource in JSON, as mediaType says");
    };
    if about.resource_type.as_ref() != Some(&resource.resource_type) {
        return fault("resourceType", "the resourceType that stands in the bytes");
    }
    let labels = resource.meta.unwrap_or_default().security;
    let told = About {
        confidentiality: labels
            .iter()
            .filter_map(|label| level(&label.code))
            .max()
            .map(|level| format!("{level:?}")),
        topics: labels
            .into_iter()
            .map(|label| label.code)
            .filter(|code| is_mark(code) && level(code).is_none())
            .collect(),
        ..About::default()
    };
    match keeps_marks(&told, about) {
        true => Ok(()),
        false => fault("confidentiality", "no weaker than meta.security in the bytes"),
    }
}

/// What of a FHIR resource says who may see it.
#[derive(serde::Deserialize)]
struct Resource {
    #[serde(rename = "resourceType")]
    resource_type: String,
    meta: Option<Meta>,
}

#[derive(Default, serde::Deserialize)]
struct Meta {
    #[serde(default)]
    security: Vec<Label>,
}

#[derive(serde::Deserialize)]
struct Label {
    #[serde(default)]
    code: String,
}

/// Whether a refusal is of somebody's own act, or of a stranger's, about whom nobody needs telling.
pub(super) fn is_frozen(no: &NotPermitted) -> bool {
    no.why == Why::Refused(Refusal::Frozen)
}
