//! What a trail holds of permissions: the documents, which approvals were used, and settled sales. Fed entry by
//! entry, by the engine from its rows and by an audit from a whole log, so that both know the same.

use crate::documents::{Document, Registries};
use crate::guardianship_end::GuardianshipEnd;
use crate::permits::{
    Act, ChainState, End, Epoch, Held, Pseudonym, Sold, Use, World, covers_change,
};
use crate::sale::{Cohort, Order};
use crate::signed::{PermissionDetails, Signed};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A document, as the log recorded it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// Its entry.
    pub index: u64,
    /// Its id.
    pub id: B256,
    /// When the log received it.
    pub received_ms: u64,
    /// The document.
    pub signed: Signed,
}

/// An entry, as far as it is looked at here.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its place in the log.
    pub index: u64,
    /// What was reported.
    pub report: &'a Report,
    /// The log's time.
    pub received_ms: u64,
    /// Nobody signed it: it is the log's own word, as each recorded document is.
    pub is_relayed: bool,
    /// The details document.
    pub details: Option<&'a [u8]>,
}

/// All of one subject id. `N` is what is kept of a change that names a permission.
#[derive(Clone, Debug)]
pub struct Papers<N> {
    documents: Arc<Vec<Recorded>>,
    /// Changes that name a permission nobody has shown yet, by its id, oldest first: it may be an
    /// approval.
    names: Arc<BTreeMap<B256, Vec<N>>>,
    uses: Arc<BTreeMap<B256, u64>>,
    /// What erasures ended: what was permitted for an epoch went with its lines, and so did what took
    /// it back. Whoever kept a copy of the one must not bring it back without the other.
    ended: Arc<Vec<Epoch>>,
    /// Guardianships that were said to have ended, and by which entry.
    ends: Arc<Vec<(u64, End)>>,
    /// What was said of sales, and by which entry.
    sales: Arc<Vec<(u64, Said)>>,
    bytes: usize,
}

impl<N> Default for Papers<N> {
    fn default() -> Self {
        Self {
            documents: Arc::default(),
            names: Arc::default(),
            uses: Arc::default(),
            ended: Arc::default(),
            ends: Arc::default(),
            sales: Arc::default(),
            bytes: 0,
        }
    }
}

impl<N: Clone> Papers<N> {
    /// All documents, in the order of the log.
    pub fn documents(&self) -> &[Recorded] {
        &self.documents
    }

    /// What all this takes of memory, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn document(&self, id: B256) -> Option<&Recorded> {
        self.documents.iter().find(|recorded| recorded.id == id)
    }

    /// Takes the trail's next entry; `name` is asked for what is to be kept of a change that names
    /// a permission.
    pub fn take(&mut self, line: Line<'_>, registries: &Registries, name: impl FnOnce() -> N) {
        let Line { index, report, received_ms, is_relayed, details } = line;
        match Kind::from_number(report.kind) {
            Kind::Permission if is_relayed => {
                let details = details.unwrap_or_default();
                let Ok(signed) = PermissionDetails::read(details) else { return };
                let id = signed.document.id(registries);
                self.bytes += details.len();
                let recorded = Recorded { index, id, received_ms, signed };
                Arc::make_mut(&mut self.documents).push(recorded);
            }
            Kind::Erasure if is_relayed => {
                let Some(epoch) = details.and_then(ended_epoch) else { return };
                let subject = Address::from_word(report.subject);
                let (epoch, at_s) = (epoch.saturating_add(1), received_ms / 1000);
                Arc::make_mut(&mut self.ended).push(Epoch { subject, epoch, at_s });
            }
            Kind::Sale if is_relayed => {
                let details = details.unwrap_or_default();
                let Some(said) = Said::read(details, received_ms) else { return };
                self.bytes += details.len();
                Arc::make_mut(&mut self.sales).push((index, said));
            }
            Kind::Binding if !is_relayed => {
                let read = GuardianshipEnd::read(report, details.unwrap_or_default());
                let Ok(GuardianshipEnd { guardianship, .. }) = read else { return };
                self.bytes += size_of::<(u64, End)>();
                let end = End { guardianship, by: report.actor, received_ms };
                Arc::make_mut(&mut self.ends).push((index, end));
            }
            Kind::Change if !report.permission.is_zero() => {
                let named = self.document(report.permission).map(|known| &known.signed.document);
                if matches!(named, None | Some(Document::ChangeApproval(_))) {
                    self.bytes += size_of::<(B256, N)>();
                    let names = Arc::make_mut(&mut self.names);
                    names.entry(report.permission).or_default().push(name());
                }
            }
            _ => {}
        }
    }

    /// Finds which of the permissions that changes named were approvals, and which change used each.
    /// `act` makes of what was kept the change again; none: its content is gone.
    pub fn settle<E>(
        &mut self,
        registries: &Registries,
        act: impl Fn(&N) -> Result<Option<Act>, E>,
    ) -> Result<(), E> {
        let is_shown = |id: &B256| self.document(*id).is_some();
        let shown: Vec<B256> = self.names.keys().copied().filter(is_shown).collect();
        for id in shown {
            let named = Arc::make_mut(&mut self.names).remove(&id).unwrap_or_default();
            if self.uses.contains_key(&id) {
                continue;
            }
            let alone = self.documents.iter().filter(|recorded| recorded.id == id);
            let alone = Self { documents: Arc::new(alone.cloned().collect()), ..Self::default() };
            let mut world = alone.world(registries.clone(), ChainState::default());
            for name in named {
                let Some(act) = act(&name)? else { continue };
                // A document names a pseudonym by a part of it: who keeps it decides nothing here.
                let (pseudonym, keepers, bound) = (act.report.subject, Vec::new(), None);
                world.pseudonyms = vec![Pseudonym { pseudonym, keepers, bound }];
                if covers_change(id, &act, &world) {
                    Arc::make_mut(&mut self.uses).insert(id, act.index);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Sales that were settled, as far as the log tells.
    fn sales_before(&self, index: u64) -> Vec<Sold> {
        let said = || self.sales.iter().filter(|(at, _)| *at < index).map(|(_, said)| said);
        let settled = said().filter_map(|one| match one {
            Said::Settled(sold) => Some(Sold::clone(sold)),
            Said::Withdrawn(..) => None,
        });
        let ended_s = |order: &Order| {
            let ends = said().filter_map(|one| match one {
                Said::Withdrawn(other, at_s) if **other == *order => Some(*at_s),
                _ => None,
            });
            ends.min()
        };
        settled.map(|sold| Sold { revoked_s: ended_s(&sold.order), ..sold }).collect()
    }

    /// What permissions are judged by, with this state of the chain.
    pub fn world(&self, registries: Registries, chain: ChainState) -> World {
        self.world_before(u64::MAX, registries, chain)
    }

    /// The same as the log knew it before an entry. Two entries of one millisecond are told apart by
    /// their order, so that what the vault decided is decided for everybody who replays the log.
    pub fn world_before(&self, index: u64, registries: Registries, mut chain: ChainState) -> World {
        chain.epochs.extend(self.ended.iter().cloned());
        let held = |recorded: &Recorded| Held {
            signed: recorded.signed.clone(),
            received_ms: Some(recorded.received_ms),
        };
        let used = |(approval, index): (&B256, &u64)| Use { approval: *approval, index: *index };
        World {
            registries,
            documents: self.documents.iter().filter(|one| one.index < index).map(held).collect(),
            chain,
            // Documents about a pseudonym stay with it: they say nothing of an address.
            pseudonyms: Vec::new(),
            uses: self.uses.iter().filter(|(_, used)| **used < index).map(used).collect(),
            ends: self.ends.iter().filter(|(at, _)| *at < index).map(|(_, end)| *end).collect(),
            // Whose orders count, and how they stand, the market tells whoever asks.
            market: None,
            sales: self.sales_before(index),
        }
    }
}

/// What an entry of a sale says that matters here.
#[derive(Clone, Debug)]
enum Said {
    /// The order was settled.
    Settled(Box<Sold>),
    /// Its seller wants what was delivered deleted, and so wants nobody to look either.
    Withdrawn(Box<Order>, u64),
}

/// What a line of a sale says of its order: of a `medtrail/sale-v1`.
pub(crate) struct SaleLine {
    pub(crate) act: String,
    pub(crate) order: Order,
    /// The exact text of the description.
    pub(crate) dataset: String,
}

impl SaleLine {
    pub(crate) fn read(details: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            version: String,
            act: String,
            order: Order,
            dataset: String,
        }
        let Told { version, act, order, dataset } = serde_json::from_slice(details).ok()?;
        (version == "medtrail/sale-v1").then_some(Self { act, order, dataset })
    }
}

/// What a line of a call to many says: of a `medtrail/call-v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallLine {
    pub(crate) act: String,
    pub(crate) call: Cohort,
    /// The exact text of the description.
    pub(crate) dataset: String,
    pub(crate) place: u32,
    pub(crate) epoch: u64,
    pub(crate) expires_at: u64,
}

impl CallLine {
    pub(crate) fn read(details: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: String,
        }
        let Versioned { version } = serde_json::from_slice(details).ok()?;
        let line = || serde_json::from_slice(details).ok();
        (version == "medtrail/call-v1").then(line)?
    }
}

impl Said {
    fn read(details: &[u8], received_ms: u64) -> Option<Self> {
        let SaleLine { act, order, dataset } = SaleLine::read(details)?;
        match act.as_str() {
            "settled" => Some(Self::Settled(Box::new(Sold {
                order,
                dataset,
                settled: None,
                revoked_s: None,
            }))),
            "withdrawn" => Some(Self::Withdrawn(Box::new(order), received_ms / 1000)),
            _ => None,
        }
    }
}

/// The epoch that an erasure ended, if its `medtrail/erasure-v1` document says that it was done.
fn ended_epoch(details: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Done {
        version: String,
        act: String,
        ends_epoch: Option<u64>,
    }
    let Done { version, act, ends_epoch } = serde_json::from_slice(details).ok()?;
    ends_epoch.filter(|_| version == "medtrail/erasure-v1" && act == "done")
}
