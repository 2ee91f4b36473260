//! Guardians are told instead of who has no key, by their own channels, as long as they may see the
//! trail. A delegate is not: the person can choose channels themself.

use crate::opener::EntryError;
use crate::seeing::SeeingError;
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::directory::ChannelsRow;
use medtrail_ledger::ports::SubjectTag;
use medtrail_permit::documents::Document;
use std::collections::{HashMap, HashSet};

/// The pseudonyms about which documents stand, by the tag that their rows bear.
#[derive(Default)]
pub(super) struct Guarded(HashMap<SubjectTag, B256>);

impl Guarded {
    /// As the directory has them now.
    pub(super) fn refresh(&mut self, service: &Service) {
        let rows = service.0.live.rows();
        self.0.retain(|_, pseudonym| rows.guarded.contains(pseudonym));
        if self.0.len() < rows.guarded.len() {
            let tag = |pseudonym: &B256| (service.0.tags.subject_tag(*pseudonym), *pseudonym);
            self.0 = rows.guarded.iter().map(tag).collect();
        }
    }

    pub(super) fn by_tag(&self, tag: &SubjectTag) -> Option<B256> {
        self.0.get(tag).copied()
    }
}

impl Service {
    /// The channels of the guardians who may see the trail of a pseudonym now. Once it is bound
    /// there are none: its person has channels of their own.
    pub(crate) fn guardians_to_tell(
        &self,
        pseudonym: B256,
    ) -> Result<Vec<ChannelsRow>, EntryError> {
        let papers = match self.papers(pseudonym) {
            // Nobody can tell any more who they are.
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => return Ok(Vec::new()),
            papers => papers?,
        };
        let guardian = |document: &Document| match document {
            Document::Guardianship(guardianship) => Some(guardianship.guardian),
            _ => None,
        };
        let named: HashSet<_> =
            papers.documents().iter().filter_map(|one| guardian(&one.signed.document)).collect();
        let with_channels: Vec<ChannelsRow> = {
            let rows = self.0.live.rows();
            named.iter().filter_map(|guardian| rows.channels.get(guardian).cloned()).collect()
        };
        let mut told = Vec::new();
        for row in with_channels {
            match self.may_see(row.subject, pseudonym) {
                Ok(Some(_)) => told.push(row),
                Ok(None)
                | Err(SeeingError::Entry(EntryError::Erased(_) | EntryError::Damaged(_))) => {}
                Err(SeeingError::Entry(error)) => return Err(error),
                // Of a pseudonym no chain is asked, and nothing is entered.
                Err(error) => tracing::warn!("a guardian is not told: {error}"),
            }
        }
        Ok(told)
    }
}
