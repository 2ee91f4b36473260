//! The acts on organisations, each durable with the entry that it owes.

use super::{
    ApiKey, DirectoryError, Enrolment, INVITE_MS, Invite, Listed, NAME_CHARS_MAX, NewOrganisation,
};
use crate::own::{NoRandomness, Operation, random};
use crate::sequencer::Ask;
use crate::service::Service;
use alloy_primitives::{Address, B256, hex};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use medtrail_ledger::directory::{
    ApiKeyRow, DirectoryChange, InviteRow, KeyRow, OrganisationRow, invite_hash, organisation_id,
    secret_hash,
};

impl Service {
    /// After a sync that failed the process must end, and start anew from the disk.
    pub(crate) fn stop_if_lost(&self) {
        if self.0.live.is_lost() {
            let _ = self.0.queue.blocking_send(Ask::Stop);
        }
    }

    pub(super) fn add_organisation_now(
        &self,
        new: NewOrganisation,
    ) -> Result<Invite, DirectoryError> {
        let NewOrganisation { name, domain, register_number, address } = new;
        let is_plain = name.trim() == name && !name.chars().any(is_unseen);
        if !(1..=NAME_CHARS_MAX).contains(&name.chars().count()) || !is_plain {
            return Err(DirectoryError::Name);
        }
        let is_of_domain = |char: char| char.is_ascii_alphanumeric() || ".-:".contains(char);
        if domain.is_empty() || domain.len() > 253 || !domain.chars().all(is_of_domain) {
            return Err(DirectoryError::Domain);
        }
        let id = address.unwrap_or_else(|| organisation_id(&name));
        let is_it = |one: &Listed| one.name == name || one.id == id;
        if let Some(one) = self.organisations().iter().find(|one| is_it(one)) {
            return Err(DirectoryError::Taken(one.id));
        }
        if self.trust().is_operator(id) || self.organisation_of(id).is_some() {
            return Err(DirectoryError::KeyTaken(id));
        }
        let now_ms = (self.0.now_ms)();
        let (invite, row) = fresh_invite(id, now_ms)?;
        let operation = Operation::new("organisation-added", id, &name);
        let owed = self.owe_operation(&operation, now_ms)?;
        self.0.live.apply(vec![
            DirectoryChange::PutOrganisation(OrganisationRow {
                id,
                name,
                register_number,
                domain,
                expected_key: address,
                keys: Vec::new(),
                since_ms: now_ms,
            }),
            DirectoryChange::PutInvite(row),
            owed,
        ])?;
        Ok(invite)
    }

    pub(super) fn invite_now(&self, organisation: Address) -> Result<Invite, DirectoryError> {
        let listed = self.listed(organisation);
        let listed = listed.ok_or(DirectoryError::UnknownOrganisation(organisation))?;
        let now_ms = (self.0.now_ms)();
        let (invite, row) = fresh_invite(organisation, now_ms)?;
        let operation = Operation::new("key-invited", organisation, &listed.name);
        let mut changes = self.expired_invites(now_ms);
        changes.push(DirectoryChange::PutInvite(row));
        changes.push(self.owe_operation(&operation, now_ms)?);
        self.0.live.apply(changes)?;
        Ok(invite)
    }

    fn expired_invites(&self, now_ms: u64) -> Vec<DirectoryChange> {
        let rows = self.0.live.rows();
        let expired = rows.invites.values().filter(|row| row.expires_ms <= now_ms);
        expired.map(|row| DirectoryChange::DropInvite(row.code_hash)).collect()
    }

    pub(super) fn enrol_now(
        &self,
        code_hash: B256,
        key: Address,
    ) -> Result<Enrolment, DirectoryError> {
        let now_ms = (self.0.now_ms)();
        let invite = self.0.live.rows().invites.get(&code_hash).cloned();
        let invite = invite.filter(|invite| now_ms < invite.expires_ms);
        let invite = invite.ok_or(DirectoryError::Invite)?;
        let id = invite.organisation;
        match invite.used_by {
            Some(by) if by == key => return self.enrolment(id),
            Some(_) => return Err(DirectoryError::InviteUsed),
            None => {}
        }
        let listed = self.listed(id).ok_or(DirectoryError::Invite)?;
        let owner = self.organisation_of(key);
        if self.trust().is_operator(key) || owner.is_some_and(|owner| owner != id) {
            return Err(DirectoryError::KeyTaken(key));
        }
        let row = self.0.live.rows().organisations.get(&id).cloned();
        let mut row = row.unwrap_or_else(|| further_keys_of(&listed));
        if let Some(expected) = row.expected_key.filter(|_| listed.keys.is_empty())
            && expected != key
        {
            return Err(DirectoryError::OtherKey { expected, found: key });
        }
        // K first: a crash after this leaves a key that nobody knows, and the same key tries again.
        self.shared_key(id)?;
        let mut changes = Vec::new();
        if listed.keys.iter().all(|known| known.address != key) {
            row.keys.push(KeyRow { address: key, from_ms: now_ms, until_ms: None });
            changes.push(DirectoryChange::PutOrganisation(row));
        }
        changes.push(DirectoryChange::PutInvite(InviteRow { used_by: Some(key), ..invite }));
        let operation =
            Operation { key: Some(key), ..Operation::new("key-enrolled", id, &listed.name) };
        changes.push(self.owe_operation(&operation, now_ms)?);
        self.0.live.apply(changes)?;
        self.enrolment(id)
    }

    fn enrolment(&self, id: Address) -> Result<Enrolment, DirectoryError> {
        let organisation = self.listed(id).ok_or(DirectoryError::UnknownOrganisation(id))?;
        let shared_key = self.shared_key(id)?;
        Ok(Enrolment { organisation, shared_key, trust: self.trust() })
    }

    pub(super) fn create_api_key_now(
        &self,
        organisation: Address,
    ) -> Result<ApiKey, DirectoryError> {
        let listed = self.listed(organisation);
        let listed = listed.ok_or(DirectoryError::UnknownOrganisation(organisation))?;
        let now_ms = (self.0.now_ms)();
        let id = hex::encode(random::<8>()?);
        let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
        // The operator relays under K: it must be there before the first report comes.
        self.shared_key(organisation)?;
        let operation = Operation {
            api_key: Some(&id),
            ..Operation::new("api-key-created", organisation, &listed.name)
        };
        let owed = self.owe_operation(&operation, now_ms)?;
        let row = ApiKeyRow {
            id: id.clone(),
            organisation,
            secret_hash: secret_hash(&secret),
            created_ms: now_ms,
            revoked_ms: None,
        };
        self.0.live.apply(vec![DirectoryChange::PutApiKey(row), owed])?;
        Ok(ApiKey { id, secret })
    }

    pub(super) fn revoke_api_key_now(&self, id: &str) -> Result<(), DirectoryError> {
        let row = self.0.live.rows().api_keys.get(id).cloned();
        let row = row.ok_or_else(|| DirectoryError::UnknownApiKey(id.to_owned()))?;
        if row.revoked_ms.is_some() {
            return Ok(());
        }
        let now_ms = (self.0.now_ms)();
        let name = self.listed(row.organisation).map_or_else(String::new, |one| one.name);
        let operation = Operation {
            api_key: Some(id),
            ..Operation::new("api-key-revoked", row.organisation, &name)
        };
        let owed = self.owe_operation(&operation, now_ms)?;
        let revoked = ApiKeyRow { revoked_ms: Some(now_ms), ..row };
        self.0.live.apply(vec![DirectoryChange::PutApiKey(revoked), owed])?;
        Ok(())
    }
}

fn fresh_invite(organisation: Address, now_ms: u64) -> Result<(Invite, InviteRow), NoRandomness> {
    let code = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let expires_ms = now_ms + INVITE_MS;
    let row = InviteRow { code_hash: invite_hash(&code), organisation, expires_ms, used_by: None };
    Ok((Invite { code, organisation, expires_ms }, row))
}

/// A configured organisation's row, for keys that join while the log runs.
fn further_keys_of(listed: &Listed) -> OrganisationRow {
    OrganisationRow {
        id: listed.id,
        name: listed.name.clone(),
        register_number: listed.register_number.clone(),
        domain: listed.domain.clone(),
        expected_key: None,
        keys: Vec::new(),
        since_ms: listed.since_ms,
    }
}

/// Characters that nobody sees, or that turn the text around: a name stands in what people sign.
fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(char, '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}
