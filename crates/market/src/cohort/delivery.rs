//! What a call to many needs next: one pure function that is asked again after everything that
//! happens, a restart included. What holds of one sale ([`crate::delivery`]) holds here; this is
//! what is different.
//!
//! One key opens the data of all. So it is shown only when nobody whose data are in the file has
//! said no, and each of them has an anchored entry: until then a no makes another file under
//! another key, and afterwards nobody's money depends on anybody's no. Files only lose sellers: who
//! said no and yes again could hold up the others until it is late.
//!
//! Claims are sent in batches. The first one binds all acceptances, so it has the sure ones, and
//! the others wait until it is mined.

use crate::seal::is_recipient;
use alloy_primitives::{Address, B256};
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Cohort;
use medtrail_permit::sale::check::Windows;
use medtrail_permit::sale::cohort;
use std::collections::{BTreeMap, BTreeSet};

/// Claims in one transaction: the gas of more does not get less.
pub const BATCH_MAX: usize = 16;

/// Seconds before `deliverBy` at which collecting ends: a day for entries and an anchor that is
/// final, and for making it anew where somebody says no.
pub const MARGIN_S: u64 = 86_400;

/// Where a call stands: what is on disk about it. Sellers are named by their acceptances.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Acceptances come in.
    Collecting,
    /// A key, its secret and the year are kept, and for whom a file is to be made with it.
    Keyed {
        /// SHA-256 of the key.
        lock: B256,
        /// Who may be in the file.
        sellers: Vec<B256>,
    },
    /// The file is kept. Its entries are made, and anchored.
    Sealed {
        /// SHA-256 of the key.
        lock: B256,
        /// SHA-256 of the outer file.
        file: B256,
        /// Who is in it.
        sellers: Vec<B256>,
    },
    /// A transaction that shows the key may have been seen by anybody.
    Shown {
        /// SHA-256 of the key.
        lock: B256,
        /// SHA-256 of the outer file.
        file: B256,
        /// Who is in it.
        sellers: Vec<B256>,
    },
    /// Settled as far as it can be, for good.
    Settled,
    /// It will not be delivered: the buyer's money goes back.
    Over(Refusal),
}

/// What the contract says of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnChain {
    /// It knows no such call.
    None,
    /// The buyer's money is there.
    Open {
        /// Whether a batch was settled: the key is public, and acceptances are bound.
        is_bound: bool,
    },
    /// What was not paid went back.
    Closed {
        /// Whether a batch was settled before.
        is_bound: bool,
    },
}

/// Why nothing is delivered to a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The documents do not fit together.
    Documents,
    /// The buyer's key cannot be sealed to.
    Recipient,
    /// The call leaves less time than the operator's windows.
    Windows,
    /// Nobody accepted who has what is bought.
    Nobody,
    /// It was late: the key is not shown.
    Late,
    /// The money went back.
    Closed,
}

/// A seller's acceptance in the ConsentRegistry. Before the first settlement: as it is known now, a
/// no at the head without waiting for final. Afterwards: as it was in that settlement's second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It is by a signature that only its signer can take back, on the chain.
    Sure,
    /// It stands, by the word of a contract wallet, which may say otherwise later.
    Unsure,
    /// The seller is frozen.
    Frozen,
    /// Revoked, of another epoch, or by nobody who acts for the seller.
    Ended,
}

/// One seller of the call, read anew before each step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seller {
    /// The acceptance's id.
    pub acceptance: B256,
    /// The place.
    pub place: u32,
    /// The seller's address.
    pub seller: Address,
    /// The acceptance.
    pub standing: Standing,
    /// The log says no, whatever stands on the chain: opted out, a child or guarded, or nothing
    /// there that is bought.
    pub is_barred: bool,
    /// The file that the log's entry of the delivery under this state's lock names.
    pub entered: Option<B256>,
    /// Whether an anchor that is final covers that entry, and the contract still knows one.
    pub is_anchored: bool,
    /// Whether a transaction with this claim was sent and may yet be mined.
    pub is_sent: bool,
    /// Paid, at the head.
    pub is_paid_at_head: bool,
    /// Paid, for good.
    pub is_paid_at_final: bool,
}

/// All that a step is judged by, read anew before each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The clock.
    pub now_s: u64,
    /// The time of the final block; none: the chain cannot be read.
    pub final_s: Option<u64>,
    /// When it must be delivered by.
    pub deliver_by_s: u64,
    /// Seconds after it in which it may be settled.
    pub grace_s: u64,
    /// Seconds before `deliver_by_s` at which collecting ends: [`MARGIN_S`].
    pub margin_s: u64,
    /// How many may be paid.
    pub places: u32,
    /// The call at the final block; none: the chain cannot be read.
    pub at_final: Option<OnChain>,
    /// The call at the head.
    pub at_head: Option<OnChain>,
    /// What is wrong with the call by itself.
    pub fault: Option<Refusal>,
    /// Whether the sealed file of this state is on disk.
    pub is_kept: bool,
    /// All who accepted.
    pub sellers: Vec<Seller>,
}

/// What is to be done; then it is asked again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing now.
    Wait,
    /// Draw key, secret and details anew and keep them for these, in one act with destroying those
    /// before and their file: then [`State::Keyed`].
    Key(Vec<B256>),
    /// Assemble of these, seal, sync the file to disk: then [`State::Sealed`] with those who are in
    /// it. Who has nothing that is bought is barred. The buyer may not have the file yet.
    Seal(Vec<B256>),
    /// Enter these deliveries in the log. Once all have an entry the buyer may download the file.
    Enter(Vec<B256>),
    /// Keep [`State::Shown`], then let the sender settle these in one transaction.
    Settle(Vec<B256>),
    /// Keep [`State::Settled`].
    Finish,
    /// Destroy key and file, then keep [`State::Over`].
    Refuse(Refusal),
    /// Two things that cannot both be: a person must look. Nothing is shown.
    Alarm(Alarm),
}

/// What a person must look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// The log names another file under this key than the one that is kept.
    OtherFile,
    /// It was settled with a key that was never shown here.
    SettledByOthers,
}

impl Seller {
    /// Whether its data may be in a file whose key nobody has seen. Who is frozen may have been
    /// robbed of the key that accepted: data do not come back, money can be earned again.
    fn may_be_in(&self) -> bool {
        !self.is_barred && matches!(self.standing, Standing::Sure | Standing::Unsure)
    }
}

impl Seen {
    fn settled_by_s(&self) -> u64 {
        self.deliver_by_s.saturating_add(self.grace_s)
    }

    /// As in one sale, and half the grace is left for all batches.
    fn show_by_s(&self) -> u64 {
        self.deliver_by_s.saturating_add(self.grace_s / 2)
    }

    /// Those of a file, in its order; none: of one nothing is known now.
    fn of<'a>(&'a self, ids: &[B256]) -> Option<Vec<&'a Seller>> {
        let known: BTreeMap<&B256, &Seller> =
            self.sellers.iter().map(|seller| (&seller.acceptance, seller)).collect();
        ids.iter().map(|id| known.get(id).copied()).collect()
    }

    /// Who may be in the first file: each place and each seller once.
    fn takers(&self) -> Vec<B256> {
        let (mut places, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        let may_be_in = self.sellers.iter().filter(|seller| {
            seller.may_be_in()
                && seller.place < self.places
                && !places.contains(&seller.place)
                && !addresses.contains(&seller.seller)
                && places.insert(seller.place)
                && addresses.insert(seller.seller)
        });
        may_be_in.map(|seller| seller.acceptance).collect()
    }
}

/// What is wrong with a call by itself: [`Seen::fault`]. The windows are judged at the block that
/// opened it, the same at every step.
pub fn fault(
    cohort: &Cohort,
    dataset: &Dataset,
    windows: &Windows,
    opened_at_s: u64,
) -> Option<Refusal> {
    if cohort::check(cohort, dataset).is_err() {
        return Some(Refusal::Documents);
    }
    if !is_recipient(cohort.recipient) {
        return Some(Refusal::Recipient);
    }
    let leaves = cohort.deliverBy >= opened_at_s.saturating_add(windows.delivery_s_min)
        && cohort.grace >= windows.grace_s_min;
    (!leaves).then_some(Refusal::Windows)
}

/// What a call needs next.
pub fn step(state: &State, seen: &Seen) -> Step {
    let (Some(at_final), Some(at_head), Some(final_s)) =
        (seen.at_final, seen.at_head, seen.final_s)
    else {
        return Step::Wait;
    };
    let is_shown = matches!(state, State::Shown { .. });
    match (state, at_final) {
        (State::Settled | State::Over(_), _) => return Step::Wait,
        (_, OnChain::Open { is_bound } | OnChain::Closed { is_bound }) if is_bound && !is_shown => {
            return Step::Alarm(Alarm::SettledByOthers);
        }
        (_, OnChain::Closed { is_bound: true }) => return Step::Finish,
        (_, OnChain::Closed { is_bound: false }) => return Step::Refuse(Refusal::Closed),
        // Money that is not final may never have been.
        (_, OnChain::None) => return Step::Wait,
        (_, OnChain::Open { .. }) => {}
    }
    if let State::Shown { file, sellers, .. } = state {
        let is_bound_for_good = at_final == OnChain::Open { is_bound: true };
        return shown(*file, sellers, seen, at_head, is_bound_for_good, final_s);
    }
    // Closed at the head, or bound: nothing leaves meanwhile.
    if at_head != (OnChain::Open { is_bound: false }) {
        return Step::Wait;
    }
    if let Some(refusal) = seen.fault {
        return Step::Refuse(refusal);
    }
    match state {
        State::Collecting => collecting(seen),
        State::Keyed { sellers, .. } => keyed(sellers, seen),
        State::Sealed { file, sellers, .. } => sealed(*file, sellers, seen),
        State::Shown { .. } | State::Settled | State::Over(_) => Step::Wait,
    }
}

fn collecting(seen: &Seen) -> Step {
    let takers = seen.takers();
    if seen.now_s > seen.deliver_by_s {
        return Step::Refuse(if takers.is_empty() { Refusal::Nobody } else { Refusal::Late });
    }
    let is_full = takers.len() == seen.places as usize;
    let is_time = seen.now_s >= seen.deliver_by_s.saturating_sub(seen.margin_s);
    if !takers.is_empty() && (is_full || is_time) { Step::Key(takers) } else { Step::Wait }
}

fn keyed(ids: &[B256], seen: &Seen) -> Step {
    if seen.now_s > seen.show_by_s() {
        return Step::Refuse(Refusal::Late);
    }
    let Some(sellers) = seen.of(ids) else { return Step::Wait };
    match staying(&sellers) {
        staying if staying.is_empty() => Step::Refuse(Refusal::Nobody),
        staying => Step::Seal(staying),
    }
}

fn sealed(file: B256, ids: &[B256], seen: &Seen) -> Step {
    if seen.now_s > seen.show_by_s() {
        return Step::Refuse(Refusal::Late);
    }
    let Some(sellers) = seen.of(ids) else { return Step::Wait };
    let entered = || sellers.iter().filter_map(|seller| seller.entered);
    if entered().any(|other| other != file) {
        return Step::Alarm(Alarm::OtherFile);
    }
    let staying = staying(&sellers);
    if staying.is_empty() {
        return Step::Refuse(Refusal::Nobody);
    }
    // A no, or a file that is lost: another key, since entries may name this one.
    if staying.len() != sellers.len() || !seen.is_kept {
        return Step::Key(staying);
    }
    let missing: Vec<B256> = sellers
        .iter()
        .filter(|seller| seller.entered.is_none())
        .map(|seller| seller.acceptance)
        .collect();
    if !missing.is_empty() {
        return Step::Enter(missing);
    }
    // All of them: later nobody could be helped whose entry no anchor has.
    if sellers.iter().all(|seller| seller.is_anchored) {
        settle(file, sellers, false)
    } else {
        Step::Wait
    }
}

fn shown(
    file: B256,
    ids: &[B256],
    seen: &Seen,
    at_head: OnChain,
    is_bound_for_good: bool,
    final_s: u64,
) -> Step {
    let Some(sellers) = seen.of(ids) else { return Step::Wait };
    if is_bound_for_good && sellers.iter().all(|seller| seller.is_paid_at_final) {
        return Step::Finish;
    }
    // Nothing that comes can change what the contract pays.
    if final_s > seen.settled_by_s() {
        return if is_bound_for_good { Step::Finish } else { Step::Refuse(Refusal::Late) };
    }
    let OnChain::Open { is_bound } = at_head else { return Step::Wait };
    // The first batch binds: what follows is sent when it stands in a block.
    let is_first_out = !is_bound && sellers.iter().any(|seller| seller.is_sent);
    if seen.now_s > seen.settled_by_s() || is_first_out {
        return Step::Wait;
    }
    settle(file, sellers, is_bound)
}

fn staying(sellers: &[&Seller]) -> Vec<B256> {
    let staying = sellers.iter().filter(|seller| seller.may_be_in());
    staying.map(|seller| seller.acceptance).collect()
}

/// The next batch: the sure ones first.
fn settle(file: B256, mut sellers: Vec<&Seller>, is_bound: bool) -> Step {
    sellers.retain(|seller| {
        let stands = match seller.standing {
            Standing::Sure | Standing::Unsure => true,
            // The contract asks for a freeze until acceptances are bound.
            Standing::Frozen => is_bound,
            Standing::Ended => false,
        };
        stands
            && !seller.is_paid_at_head
            && !seller.is_sent
            && seller.is_anchored
            && seller.entered == Some(file)
    });
    sellers.sort_by_key(|seller| (seller.standing, seller.place));
    sellers.truncate(BATCH_MAX);
    if sellers.is_empty() {
        return Step::Wait;
    }
    Step::Settle(sellers.iter().map(|seller| seller.acceptance).collect())
}
