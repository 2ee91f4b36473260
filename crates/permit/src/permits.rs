//! Whether an act was permitted: one pure function for engine, audit and page.
//!
//! What is judged, in this order:
//!
//! 1. **Own acts.** What the person signed themself needs no permission; who represents them may
//!    look with the right SEE.
//! 2. **The permission that the report names**, and only that: the custodian's signed claim is
//!    checked as it stands. A report that names none may rest on any grant; an approval counts
//!    only where it is named, and so does a settled order of the market.
//! 3. **Waiting.** Where the person could not be asked (they have no key, or the glass was broken),
//!    what nothing permits is unconfirmed: an approval given afterwards confirms a change, and a
//!    revocation that names the entry's commitment says no to it. For how long they are asked about
//!    an emergency change is told by [`clock()`]; it decides nothing here.
//!
//! A permission must stand when it happened and, if it was reported more than five minutes later,
//! also when it was received; in the vault, when it was received. It stands from the entry that
//! records it, or from its block once that is final; what takes it away acts from the entry that
//! records it, or from its block at once.

mod act;
mod candidate;
mod clock;
mod paper;
mod person;
mod sold;
mod verdict;
mod world;

pub use act::{Act, DELAY_MS_MAX, Data, Need, is_judged};
pub use clock::{CONFIRM_MS, Clock, clock};
pub use paper::{Seeing, State, epoch, may_record, sees, speaks, states};
pub use verdict::{Basis, Pending, Refusal, Verdict};
pub use world::{
    Bound, ChainState, Controller, End, Epoch, Freeze, Granted, Held, Pseudonym, Sold, Standing,
    Use, World,
};

use crate::documents::Document;
use crate::scopes::Interactions;
use alloy_primitives::B256;
use candidate::Candidate;
use medtrail_ledger::entry::Kind;
use person::{Known, Person};
use sold::Sale;
use std::collections::BTreeSet;

/// Whether an act counts as permitted, and why.
pub fn permits(act: &Act, world: &World) -> Verdict {
    let refuse = |reason| Verdict::DoesNotCount { reason, document: None };
    if !is_judged(Kind::from_number(act.report.kind)) {
        return refuse(Refusal::Kind);
    }
    if act.report.timeMs > act.received_ms.saturating_add(DELAY_MS_MAX) {
        return refuse(Refusal::Ahead);
    }
    let known = person::known(world);
    let Some(person) = Person::of(act, world, &known) else { return refuse(Refusal::NoSubject) };
    let Some(interactions) = act.interactions() else { return refuse(Refusal::Contradiction) };
    if let Some(verdict) = own(act, &person) {
        return verdict;
    }
    let permitted = match act.report.permission {
        id if !id.is_zero() => judge(id, act, interactions, &person, world, &known),
        _ => any(act, interactions, &person, world, &known),
    };
    match permitted {
        Ok((reason, id)) => Verdict::Counts { reason, document: Some(id) },
        Err((reason, document)) => pending(act, &person, world, &known, reason, document),
    }
}

/// Whether an entry uses up an approval that it names: what [`Use`] is made from.
pub fn covers_change(approval: B256, act: &Act, world: &World) -> bool {
    let known = person::known(world);
    let covers = || {
        let person = Person::of(act, world, &known)?;
        let candidate = Candidate::find(approval, &known).ok()?;
        Some(candidate.is_approval() && candidate.covers(act, Interactions::NONE, &person).is_ok())
    };
    covers().unwrap_or(false)
}

fn own(act: &Act, person: &Person<'_>) -> Option<Verdict> {
    let signer = act.signer?;
    let is_look = Kind::from_number(act.report.kind) == Kind::Access;
    if let Some(subject) = person.address
        && person.has_control(subject, signer, act.received_ms).is_ok()
    {
        // A freeze stops what a stolen key could do, and never looking.
        let is_stopped = !is_look && person.is_frozen(subject, act.received_ms);
        return Some(match is_stopped {
            true => Verdict::DoesNotCount { reason: Refusal::Frozen, document: None },
            false => Verdict::Counts { reason: Basis::Own, document: None },
        });
    }
    for name in person.names().into_iter().filter(|_| is_look) {
        for one in person.representatives(name) {
            let stands = |moment: &u64| person.stands(&one, *moment);
            if one.who() == signer && one.rights().see && act.moments().iter().all(stands) {
                let document = Some(one.id());
                return Some(Verdict::Counts { reason: Basis::Representative, document });
            }
        }
    }
    None
}

type Judged = Result<(Basis, B256), (Refusal, Option<B256>)>;

fn judge(
    id: B256,
    act: &Act,
    interactions: Interactions,
    person: &Person<'_>,
    world: &World,
    known: &[Known<'_>],
) -> Judged {
    let judged = match (Candidate::find(id, known), Sale::find(id, world)) {
        (Err(Refusal::UnknownDocument), Some(sale)) => {
            sale.judge(act, interactions, person).map(|()| Basis::Sale)
        }
        (found, _) => found.and_then(|found| found.judge(act, interactions, person, world)),
    };
    judged.map(|basis| (basis, id)).map_err(|refusal| (refusal, Some(id)))
}

/// Any grant about this person to who did it. Of several that count the one with the lowest id is
/// told, so that everybody tells the same.
fn any(
    act: &Act,
    interactions: Interactions,
    person: &Person<'_>,
    world: &World,
    known: &[Known<'_>],
) -> Judged {
    let grants = known.iter().filter_map(|known| match known.document {
        Document::Grant(grant) => {
            (person.is(grant.subject) && act.party.contains(&grant.grantee)).then_some(known.id)
        }
        _ => None,
    });
    let ids: BTreeSet<B256> = grants.collect();
    let mut nearest = (Refusal::NoPermission, None);
    for id in ids {
        match judge(id, act, interactions, person, world, known) {
            Ok(permitted) => return Ok(permitted),
            Err(refused) if refused.0 > nearest.0 => nearest = refused,
            Err(_) => {}
        }
    }
    Err(nearest)
}

/// What nothing permits, and perhaps could not be permitted.
fn pending(
    act: &Act,
    person: &Person<'_>,
    world: &World,
    known: &[Known<'_>],
    reason: Refusal,
    document: Option<B256>,
) -> Verdict {
    let is_emergency = act.need.is_emergency();
    if person.had_key(act.received_ms) && !is_emergency {
        return Verdict::DoesNotCount { reason, document };
    }
    if person.is_contested(act.commitment) {
        return Verdict::DoesNotCount { reason: Refusal::Contested, document };
    }
    let ids: BTreeSet<B256> = known.iter().map(|known| known.id).collect();
    let confirms = |id: &B256| {
        Candidate::find(*id, known).is_ok_and(|found| found.confirms(act, person, world))
    };
    if let Some(id) = ids.into_iter().find(confirms) {
        return Verdict::Counts { reason: Basis::Confirmed, document: Some(id) };
    }
    // Somebody who acts for them was asked, and took it back.
    if !is_emergency && matches!(reason, Refusal::Revoked | Refusal::WrongEpoch) {
        return Verdict::DoesNotCount { reason, document };
    }
    let why = if is_emergency { Pending::Emergency } else { Pending::NoKey };
    Verdict::Unconfirmed { reason: why, document }
}
