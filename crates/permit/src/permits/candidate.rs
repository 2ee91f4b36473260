//! One grant or approval, judged against one act.

use super::act::{Act, Data, Need};
use super::person::{Hand, Known, Person, at};
use super::verdict::{Basis, Refusal};
use super::world::World;
use crate::check::{DocumentError, check};
use crate::documents::{ChangeApproval, Document, Grant};
use crate::scopes::{Interactions, Scope};
use crate::{purposes, scopes};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;

/// A grant or an approval, and each time it was shown.
pub(super) struct Candidate<'k, 'a> {
    pub(super) id: B256,
    permission: Permission<'a>,
    document: &'a Document,
    shown: Vec<&'k Known<'a>>,
}

#[derive(Clone, Copy)]
enum Permission<'a> {
    Grant(&'a Grant),
    Approval(&'a ChangeApproval),
}

/// When a document was given, by whom, and whether that can still be undone by the chain.
struct Gift {
    hand: Hand,
    given_ms: u64,
    is_final: bool,
}

impl<'k, 'a> Candidate<'k, 'a> {
    /// The permission of an id.
    pub(super) fn find(id: B256, known: &'k [Known<'a>]) -> Result<Self, Refusal> {
        let shown: Vec<&Known<'a>> = known.iter().filter(|known| known.id == id).collect();
        let document = shown.first().ok_or(Refusal::UnknownDocument)?.document;
        let permission = match document {
            Document::Grant(grant) => Permission::Grant(grant),
            Document::ChangeApproval(approval) => Permission::Approval(approval),
            _ => return Err(Refusal::NotAPermission),
        };
        Ok(Self { id, permission, document, shown })
    }

    /// Whether it permits an act that needs these interactions.
    pub(super) fn judge(
        &self,
        act: &Act,
        interactions: Interactions,
        person: &Person<'_>,
        world: &World,
    ) -> Result<Basis, Refusal> {
        self.covers(act, interactions, person)?;
        let judged = self.gifts(world).into_iter().map(|gift| {
            let mut moments = act.moments().into_iter();
            moments.try_for_each(|moment| self.stands(&gift, moment, person))
        });
        self.best(judged)?;
        self.is_unused(act, world)?;
        Ok(match self.permission {
            Permission::Grant(_) => Basis::Grant,
            Permission::Approval(_) => Basis::Approval,
        })
    }

    /// When it ends by itself.
    pub(super) fn expires_ms(&self) -> u64 {
        at(match self.permission {
            Permission::Grant(grant) => grant.expiresAt,
            Permission::Approval(approval) => approval.expiresAt,
        })
    }

    /// Whether it could permit something at a time: it is valid, stands, and is not used up.
    pub(super) fn is_living(&self, time_ms: u64, person: &Person<'_>, world: &World) -> bool {
        let is_used = self.is_approval() && world.uses.iter().any(|one| one.approval == self.id);
        let mut gifts = self.gifts(world).into_iter();
        check(self.document).is_ok()
            && !is_used
            && gifts.any(|gift| self.stands(&gift, time_ms, person).is_ok())
    }

    pub(super) fn is_approval(&self) -> bool {
        matches!(self.permission, Permission::Approval(_))
    }

    /// Whether it approves the change that an act made, if need be afterwards. One that was given
    /// before must still have stood: what ended by then confirms nothing.
    pub(super) fn confirms(&self, act: &Act, person: &Person<'_>, world: &World) -> bool {
        let is_given = || {
            let mut gifts = self.gifts(world).into_iter();
            gifts.any(|gift| {
                let mut moments = act.moments().into_iter();
                moments.all(|at_ms| self.stands(&gift, at_ms.max(gift.given_ms), person).is_ok())
            })
        };
        self.is_approval()
            && self.covers(act, Interactions::NONE, person).is_ok()
            && is_given()
            && self.is_unused(act, world).is_ok()
    }

    /// What needs no clock: that it is valid, and about this act.
    pub(super) fn covers(
        &self,
        act: &Act,
        interactions: Interactions,
        person: &Person<'_>,
    ) -> Result<(), Refusal> {
        match check(self.document) {
            Ok(()) => {}
            Err(DocumentError::Statement) => return Err(Refusal::InvalidStatement),
            Err(_) => return Err(Refusal::InvalidDocument),
        }
        if !person.is(self.document.subject()) {
            return Err(Refusal::WrongSubject);
        }
        if !act.party.contains(&self.party()) {
            return Err(Refusal::WrongGrantee);
        }
        match self.permission {
            Permission::Grant(grant) => covers_use(grant, act, interactions),
            Permission::Approval(approval) => covers_change(approval, act),
        }
    }

    fn party(&self) -> Address {
        match self.permission {
            Permission::Grant(grant) => grant.grantee,
            Permission::Approval(approval) => approval.custodian,
        }
    }

    fn gifts(&self, world: &World) -> Vec<Gift> {
        let signed = self.shown.iter().filter_map(|known| known.recorded());
        let signed = signed.map(|(hand, given_ms)| Gift { hand, given_ms, is_final: true });
        let standings = world.chain.standings.iter().filter(|standing| standing.id == self.id);
        let on_chain = standings.filter_map(|standing| {
            let granted = standing.granted?;
            let hand = Hand::Registry(standing.subject);
            Some(Gift { hand, given_ms: at(granted.at_s), is_final: granted.is_final })
        });
        signed.chain(on_chain).collect()
    }

    /// The first that stands, or else the reason of the one that came furthest.
    fn best(&self, judged: impl Iterator<Item = Result<(), Refusal>>) -> Result<(), Refusal> {
        let is_broken = self.shown.iter().any(|known| known.signer().is_err());
        let mut furthest = if is_broken { Refusal::InvalidSignature } else { Refusal::NotSigned };
        for one in judged {
            match one {
                Ok(()) => return Ok(()),
                Err(refusal) => furthest = furthest.max(refusal),
            }
        }
        Err(furthest)
    }

    /// Whether it stood at a moment, given so.
    fn stands(&self, gift: &Gift, moment: u64, person: &Person<'_>) -> Result<(), Refusal> {
        let (subject, given_ms) = (self.document.subject(), gift.given_ms);
        let (epoch, expires_at) = match self.permission {
            Permission::Grant(grant) => (grant.epoch, grant.expiresAt),
            Permission::Approval(approval) => (approval.epoch, approval.expiresAt),
        };
        person.may_permit(subject, gift.hand, given_ms, moment.max(given_ms))?;
        if !gift.is_final {
            return Err(Refusal::NotFinal);
        }
        if given_ms > moment {
            return Err(Refusal::NotYetGiven);
        }
        if person.is_revoked(self.id, subject, moment) {
            return Err(Refusal::Revoked);
        }
        if !person.is_of_living_epoch(subject, epoch, given_ms, moment) {
            return Err(Refusal::WrongEpoch);
        }
        if moment >= at(expires_at) {
            return Err(Refusal::Expired);
        }
        Ok(())
    }

    fn is_unused(&self, act: &Act, world: &World) -> Result<(), Refusal> {
        let is_used = |id| {
            let mut uses = world.uses.iter();
            uses.any(|other| other.approval == id && other.index != act.index)
        };
        match self.permission {
            Permission::Approval(_) if is_used(self.id) => Err(Refusal::Used),
            _ => Ok(()),
        }
    }
}

fn covers_change(approval: &ChangeApproval, act: &Act) -> Result<(), Refusal> {
    let report = &act.report;
    if Kind::from_number(report.kind) != Kind::Change {
        return Err(Refusal::NotAChange);
    }
    if approval.record != report.record {
        return Err(Refusal::WrongRecord);
    }
    let is_this =
        (approval.fromVersion, approval.toVersion) == (report.fromVersion, report.toVersion);
    if is_this { Ok(()) } else { Err(Refusal::WrongVersions) }
}

fn covers_use(grant: &Grant, act: &Act, interactions: Interactions) -> Result<(), Refusal> {
    let scopes = scopes::parse_list(&grant.scopes).map_err(|_| Refusal::InvalidDocument)?;
    let codes = purposes::parse_list(&grant.purposes).map_err(|_| Refusal::InvalidDocument)?;
    allows_data(&scopes, &act.need, interactions)?;
    allows_purposes(&codes, &act.need)
}

/// Whether these scopes allow it with all data that it needs; untold data are of an unknown type.
pub(super) fn allows_data(
    scopes: &[Scope],
    need: &Need,
    interactions: Interactions,
) -> Result<(), Refusal> {
    let allows =
        |one: Interactions, data: &Data| scopes.iter().any(|scope| scope.allows(one, data));
    let unknown = [Data::default()];
    let data = if need.data.is_empty() { &unknown } else { need.data.as_slice() };
    for data in data {
        for one in interactions.each() {
            if allows(one, data) {
                continue;
            }
            let bare = Data { confidentiality: None, topics: Vec::new(), ..data.clone() };
            let is_marked = data.is_marked() && allows(one, &bare);
            return Err(if is_marked { Refusal::MarkNotNamed } else { Refusal::WrongScope });
        }
    }
    Ok(())
}

/// Whether these purposes cover all that were told.
pub(super) fn allows_purposes(codes: &[&str], need: &Need) -> Result<(), Refusal> {
    if need.purposes.is_empty() {
        return Err(Refusal::NoPurpose);
    }
    let is_for = |asked: &String| codes.iter().any(|granted| purposes::covers(granted, asked));
    if need.purposes.iter().all(is_for) { Ok(()) } else { Err(Refusal::WrongPurpose) }
}
