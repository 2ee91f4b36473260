//! The steps of a binding, each one act: durable before it shows, and repeatable.

use super::{BindingError, BindingId, CODE_MS_MAX, CODES_OPEN_MAX};
use crate::service::Service;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::binding::{self, BindingDetails, Named};
use medtrail_ledger::directory::{
    BindingParties, BindingRow, BindingState, DirectoryChange, PendingEntry,
};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::schema::{self, Binding, Report};
use medtrail_ledger::trust::Key;
use serde::Serialize;

/// `medtrail/refusal-v1`: what a person is told when somebody tries to bind their pseudonym again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    version: &'static str,
    /// What was refused.
    refused: &'static str,
    organisation: Address,
    pseudonym: B256,
}

pub(super) fn document_of(row: &BindingRow, parties: &BindingParties) -> Binding {
    let BindingParties { name, custodian, subject } = parties;
    binding::document(name, *custodian, row.pseudonym, *subject, row.expires_ms / 1000)
}

impl Service {
    pub(super) fn issue_code_now(&self, row: BindingRow) -> Result<(), BindingError> {
        let BindingRow { id, organisation, pseudonym, expires_ms, .. } = row;
        let now_ms = (self.0.now_ms)();
        self.custodian_key(organisation, &row.state, now_ms)?;
        if pseudonym.0[..12] == [0; 12] {
            return Err(BindingError::Pseudonym);
        }
        if expires_ms <= now_ms || expires_ms > now_ms + CODE_MS_MAX {
            return Err(BindingError::Expiry);
        }
        if let Some(known) = self.0.live.rows().bindings.get(&id) {
            let is_same = (known.organisation, known.pseudonym, known.expires_ms)
                == (organisation, pseudonym, expires_ms);
            return if is_same { Ok(()) } else { Err(BindingError::CodeTaken) };
        }
        let moved = self.0.live.moved().get(&pseudonym).copied();
        if let Some(moved) = moved {
            if !self.0.live.parts(moved.to).contains(&(pseudonym, Some(organisation))) {
                return Err(BindingError::Foreign);
            }
            let told = self.tell_of_second(&row);
            self.0.live.apply(vec![told])?;
            return Err(BindingError::AlreadyBound);
        }
        if !self.is_reported_by(pseudonym, organisation)? {
            return Err(BindingError::Foreign);
        }
        let (mut changes, mut open) = (Vec::new(), 0);
        for known in self.0.live.rows().open_bindings() {
            let is_final = matches!(known.state, BindingState::Entering { .. });
            match (known.organisation == organisation && !is_final, known.expires_ms <= now_ms) {
                (true, true) => changes.push(DirectoryChange::DropBinding(known.id)),
                (true, false) => open += 1,
                (false, _) => {}
            }
        }
        if open >= CODES_OPEN_MAX {
            return Err(BindingError::TooManyCodes);
        }
        changes.push(DirectoryChange::PutBinding(row));
        Ok(self.0.live.apply(changes)?)
    }

    /// Whether the pseudonym's first entry is this organisation's word. One without entries is
    /// nobody's yet.
    fn is_reported_by(&self, pseudonym: B256, organisation: Address) -> Result<bool, JournalError> {
        self.0.recent.reach(self.head().size)?;
        let Some(index) = self.part(pseudonym)?.first()? else { return Ok(true) };
        let entry = self.open_row(index);
        Ok(entry.is_ok_and(|entry| self.0.live.reporter_of(&entry) == Some(organisation)))
    }

    pub(super) fn claim_now(
        &self,
        subject: Address,
        id: BindingId,
    ) -> Result<(BindingId, Binding), BindingError> {
        let now_ms = (self.0.now_ms)();
        if self.0.live.rows().alias(subject).is_some() {
            return Err(BindingError::Alias);
        }
        if !self.0.tries.allows(subject, now_ms) {
            return Err(BindingError::TooManyTries);
        }
        let row = self.0.live.rows().bindings.get(&id).cloned();
        let Some(row) = row else {
            self.0.tries.was_wrong(subject);
            return Err(BindingError::Code);
        };
        let known = match &row.state {
            BindingState::Issued | BindingState::IssuedBy(_) => None,
            BindingState::Claimed(parties) | BindingState::Signed { parties, .. } => {
                Some(parties.clone())
            }
            _ => {
                self.0.tries.was_wrong(subject);
                return Err(BindingError::CodeUsed);
            }
        };
        if known.as_ref().is_some_and(|parties| parties.subject != subject) {
            self.0.tries.was_wrong(subject);
            return Err(BindingError::CodeUsed);
        }
        if now_ms / 1000 >= row.expires_ms / 1000 {
            return Err(BindingError::Expired);
        }
        self.refuse_if_bound(&row)?;
        if let Some(parties) = known {
            return Ok((id, document_of(&row, &parties)));
        }
        let custodian = match self.custodian_key(row.organisation, &row.state, now_ms) {
            // The gateway that knows the code cannot sign any more: another desk gives another.
            Err(_) if matches!(row.state, BindingState::IssuedBy(_)) => {
                return Err(BindingError::Expired);
            }
            found => found?,
        };
        let name = self.listed(row.organisation).map_or_else(String::new, |one| one.name);
        let parties = BindingParties { name, custodian, subject };
        let document = document_of(&row, &parties);
        let claimed = BindingRow { state: BindingState::Claimed(parties), ..row };
        self.0.live.apply(vec![DirectoryChange::PutBinding(claimed)])?;
        Ok((id, document))
    }

    /// The key that is to countersign: the one that gave the code out, if it still speaks. No other
    /// gateway of the organisation knows the code, so none would sign.
    fn custodian_key(
        &self,
        organisation: Address,
        state: &BindingState,
        now_ms: u64,
    ) -> Result<Address, BindingError> {
        let listed = self.listed(organisation);
        let mut keys = listed.iter().flat_map(|one| &one.keys);
        let is_it = |key: &&Key| match state {
            BindingState::IssuedBy(issuer) => key.address == *issuer,
            _ => true,
        };
        let newest = keys.rfind(|key| key.speaks_at(now_ms) && is_it(key));
        newest.map(|key| key.address).ok_or(BindingError::NotSigning(organisation))
    }

    /// A pseudonym binds once. The second binding ends here, and the first's person is told.
    fn refuse_if_bound(&self, row: &BindingRow) -> Result<(), BindingError> {
        if !self.0.live.moved().contains_key(&row.pseudonym) {
            return Ok(());
        }
        let refused = BindingRow { state: BindingState::Refused, ..row.clone() };
        let told = self.tell_of_second(row);
        self.0.live.apply(vec![DirectoryChange::PutBinding(refused), told])?;
        Err(BindingError::AlreadyBound)
    }

    /// The promise of an entry in the first person's trail, once for each code.
    fn tell_of_second(&self, second: &BindingRow) -> DirectoryChange {
        let BindingRow { id, organisation, pseudonym, .. } = *second;
        let details = serde_json::to_vec(&Refusal {
            version: "medtrail/refusal-v1",
            refused: "second-binding",
            organisation,
            pseudonym,
        });
        DirectoryChange::PutPending(PendingEntry {
            event: event_id(organisation, &[b"second binding\0", id.as_slice()].concat()),
            kind: Kind::Refusal.number(),
            subject: self.subject_now(pseudonym),
            time_ms: (self.0.now_ms)(),
            details: details.expect("plain data encodes"),
        })
    }

    pub(super) fn sign_now(
        &self,
        caller: Address,
        id: BindingId,
        signature: Bytes,
    ) -> Result<(), BindingError> {
        let row = self.0.live.rows().bindings.get(&id).cloned().ok_or(BindingError::Unknown)?;
        let parties = match &row.state {
            BindingState::Claimed(parties) => parties.clone(),
            BindingState::Signed { parties, signature: known } => {
                let is_same = parties.subject == caller && *known == signature;
                return if is_same { Ok(()) } else { Err(BindingError::Unknown) };
            }
            _ => return Err(BindingError::Unknown),
        };
        if parties.subject != caller {
            return Err(BindingError::Unknown);
        }
        let document = document_of(&row, &parties);
        binding::check(&parties.name, &document, (self.0.now_ms)() / 1000)?;
        binding::check_person(&document, &signature, &self.domain())?;
        let state = BindingState::Signed { parties, signature };
        let signed = BindingRow { state, ..row };
        Ok(self.0.live.apply(vec![DirectoryChange::PutBinding(signed)])?)
    }

    pub(super) fn countersign_now(
        &self,
        organisation: Address,
        id: BindingId,
        countersignature: Bytes,
    ) -> Result<[u64; 2], BindingError> {
        let row = self.0.live.rows().bindings.get(&id).cloned();
        let row = row.filter(|row| row.organisation == organisation);
        let row = row.ok_or(BindingError::Unknown)?;
        let (parties, signature) = match &row.state {
            BindingState::Entered { entries, .. } => return Ok(*entries),
            BindingState::Entering { .. } => return self.complete(&row),
            BindingState::Signed { parties, signature } => (parties.clone(), signature.clone()),
            _ => return Err(BindingError::Unknown),
        };
        self.refuse_if_bound(&row)?;
        // It joined meanwhile, under a clock that went back. No organisation learns what it is.
        if self.0.live.rows().alias(parties.subject).is_some() {
            return Err(BindingError::Unknown);
        }
        let time_ms = (self.0.now_ms)();
        let document = document_of(&row, &parties);
        binding::check(&parties.name, &document, time_ms / 1000)?;
        binding::check_custodian(&document, &countersignature, &self.domain())?;
        let speaks = |key: &Key| key.address == parties.custodian && key.speaks_at(time_ms);
        if !self.listed(organisation).is_some_and(|one| one.keys.iter().any(speaks)) {
            return Err(BindingError::NotSigning(organisation));
        }
        let state = BindingState::Entering { parties, signature, countersignature, time_ms };
        let entering = BindingRow { state, ..row };
        self.0.live.apply(vec![DirectoryChange::PutBinding(entering.clone())])?;
        self.complete(&entering)
    }

    /// Enters what both signed. A crash before, between and after the two entries leads here again,
    /// and each is entered once: their event ids and times are fixed.
    fn complete(&self, row: &BindingRow) -> Result<[u64; 2], BindingError> {
        let BindingState::Entering { parties, signature, countersignature, time_ms } = &row.state
        else {
            return Err(BindingError::Unknown);
        };
        // Here and not where both have signed: whether that was saved, a failed save leaves open.
        let tag = |subject| self.0.tags.subject_tag(subject);
        self.0.recent.join(tag(subject_of(parties.subject)), tag(row.pseudonym));
        let document = document_of(row, parties);
        let digest = schema::digest(&document, &self.domain());
        let details = serde_json::to_vec(&BindingDetails {
            version: binding::VERSION.to_owned(),
            organisation: Named { id: row.organisation, name: parties.name.clone() },
            document,
            signature: signature.clone(),
            countersignature: countersignature.clone(),
        });
        let details = details.expect("plain data encodes");
        let enter = |subject| {
            let report = Report {
                eventId: event_id(row.organisation, digest.as_slice()),
                kind: Kind::Binding.number(),
                timeMs: *time_ms,
                subject,
                permission: digest,
                details: details_hash(&details),
                ..self.own_report()
            };
            self.enter_own(report, details.clone()).map_err(BindingError::NotEntered)
        };
        let entries = [enter(row.pseudonym)?, enter(subject_of(parties.subject))?];
        let state = BindingState::Entered { subject: parties.subject, entries };
        let entered = BindingRow { state, ..row.clone() };
        self.0.live.apply(vec![DirectoryChange::PutBinding(entered)])?;
        Ok(entries)
    }

    /// Completes what a crash left: nobody may have to come again for it.
    pub(crate) fn resume(&self) {
        let Ok(_one_at_a_time) = self.0.live.begin() else { return };
        self.pay();
        let is_entering = |row: &&BindingRow| matches!(row.state, BindingState::Entering { .. });
        let rows: Vec<BindingRow> =
            self.0.live.rows().open_bindings().filter(is_entering).cloned().collect();
        for row in rows {
            if let Err(error) = self.complete(&row) {
                tracing::warn!("a binding waits for its entries: {error}");
            }
        }
        self.resume_aliases();
    }

    fn domain(&self) -> schema::Eip712Domain {
        let trust = self.trust();
        schema::domain(trust.chain_id, trust.registry)
    }
}
