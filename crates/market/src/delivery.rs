//! What a paid order needs next: one pure function that is asked again after everything that
//! happens, a restart included.
//!
//! Money and data are acted on by what is final only. Three things must survive a crash, each
//! durable before the next begins: the key, before a file is sealed with it; the file, before the
//! log names its hash; that the key was shown, before it is. A file that was logged is never made
//! again, since another sealing has another hash.

use crate::seal::is_recipient;
use alloy_primitives::B256;
use medtrail_permit::dataset::Dataset;
use medtrail_permit::sale::Order;
use medtrail_permit::sale::check::{self, Windows};

/// Where a delivery stands: what is on disk about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing yet.
    New,
    /// Key, secret and year are kept.
    Keyed,
    /// The file with this hash is kept.
    Sealed {
        /// SHA-256 of the outer file.
        file: B256,
    },
    /// The log has its entry: the buyer may download the file.
    Entered {
        /// SHA-256 of the outer file.
        file: B256,
        /// The entry's place.
        index: u64,
    },
    /// The transaction that shows the key may have been seen by anybody.
    Shown {
        /// SHA-256 of the outer file.
        file: B256,
        /// The entry's place.
        index: u64,
    },
    /// Settled, for good.
    Settled,
    /// It will not be delivered: the buyer's money goes back.
    Over(Refusal),
}

/// What the contract says of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnChain {
    /// It knows no such order.
    None,
    /// The buyer's money is there.
    Paid,
    /// The seller has it.
    Settled,
    /// The buyer has it back.
    Refunded,
}

/// Why an order is not delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The documents do not fit together, or the terms are not those of the offer.
    Documents,
    /// The buyer's key cannot be sealed to.
    Recipient,
    /// The order leaves less time than the operator's windows.
    Windows,
    /// The person opted out of secondary use: no offer stands against that.
    OptedOut,
    /// A child's data are not sold, whoever signs.
    Child,
    /// The seller said no, cancelled the offer, or ended its epoch; or the account is frozen.
    Withdrawn,
    /// No approval came in time.
    NotApproved,
    /// Nothing that was sold is there.
    Nothing,
    /// It was late: the key is not shown.
    Late,
    /// The money went back.
    Refunded,
}

/// Of the seller's consent, as known now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approval {
    /// None yet.
    Waiting,
    /// By a signed approval that lasts, or by a transaction that is final.
    Given,
    /// Declined, cancelled, frozen or of a dead epoch, as far as that stops this order (one that is
    /// approved by transaction, a decline alone): seen at the head, without waiting for final.
    Withdrawn,
}

/// The log's entry of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entered {
    /// Its place.
    pub index: u64,
    /// The file that it names.
    pub file: B256,
}

/// All that a step is judged by, read anew before each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The clock.
    pub now_s: u64,
    /// When the order must be delivered by.
    pub deliver_by_s: u64,
    /// Seconds after it in which it may be settled.
    pub grace_s: u64,
    /// The order at the final block; none: the chain cannot be read.
    pub at_final: Option<OnChain>,
    /// The order at the head.
    pub at_head: Option<OnChain>,
    /// What is wrong with order and documents by themselves.
    pub fault: Option<Refusal>,
    /// The seller's consent.
    pub approval: Approval,
    /// Whether the person opted out.
    pub opted_out: bool,
    /// Whether the log knows the seller to be a child, or guarded.
    pub is_child: bool,
    /// The log's entry for this order.
    pub entered: Option<Entered>,
    /// Whether an anchor that is final covers it, and the contract still knows that anchor.
    pub is_anchored: bool,
    /// Whether the sealed file is on disk.
    pub is_kept: bool,
}

/// What is to be done; then it is asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing now.
    Wait,
    /// Draw key, secret and details, and keep them: then [`State::Keyed`].
    Key,
    /// Assemble, seal, sync the file to disk: then [`State::Sealed`].
    Seal,
    /// Enter the delivery in the log: then [`State::Entered`] with its place.
    Enter,
    /// The log had it already: [`State::Entered`] again, nothing else.
    Adopt(Entered),
    /// Keep [`State::Shown`], then let the sender settle.
    Settle,
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
    /// The log names another file than the one that is kept, or has an entry that nothing here made.
    OtherFile,
    /// The file that the log names is gone.
    FileLost,
    /// It was settled with a key that was never shown here.
    SettledByOthers,
}

impl Seen {
    fn settled_by_s(&self) -> u64 {
        self.deliver_by_s.saturating_add(self.grace_s)
    }

    /// While half the grace is left, a transaction that is late or reorganised away can be mined
    /// again before the buyer is refunded with the key in hand.
    fn show_by_s(&self) -> u64 {
        self.deliver_by_s.saturating_add(self.grace_s / 2)
    }

    /// Why nothing may leave now.
    fn refusal(&self) -> Option<Refusal> {
        if self.fault.is_some() {
            return self.fault;
        }
        if self.is_child {
            return Some(Refusal::Child);
        }
        if self.opted_out {
            return Some(Refusal::OptedOut);
        }
        (self.approval == Approval::Withdrawn).then_some(Refusal::Withdrawn)
    }
}

/// What is wrong with an order by itself: [`Seen::fault`]. The windows are judged at the block that
/// paid it, the same at every step: an order does not become hasty by waiting for its seller.
pub fn fault(
    order: &Order,
    dataset: &Dataset,
    windows: &Windows,
    paid_at_s: u64,
) -> Option<Refusal> {
    if check::order(order, dataset).is_err() {
        return Some(Refusal::Documents);
    }
    if !is_recipient(order.recipient) {
        return Some(Refusal::Recipient);
    }
    (!windows.leave(order, paid_at_s)).then_some(Refusal::Windows)
}

/// What a delivery needs next.
pub fn step(state: &State, seen: &Seen) -> Step {
    use State::{Entered as Logged, Keyed, New, Over, Sealed, Settled, Shown};
    let (Some(at_final), Some(at_head)) = (seen.at_final, seen.at_head) else { return Step::Wait };
    match (state, at_final) {
        (Settled | Over(_), _) => return Step::Wait,
        (Shown { .. }, OnChain::Settled) => return Step::Finish,
        // Whoever has the key may settle; nobody but us has it before it is shown.
        (_, OnChain::Settled) => return Step::Alarm(Alarm::SettledByOthers),
        (_, OnChain::Refunded) => return Step::Refuse(Refusal::Refunded),
        // A payment that is not final may never have been.
        (_, OnChain::None) => return Step::Wait,
        (_, OnChain::Paid) => {}
    }
    if let Shown { .. } = state {
        // It may be out: all that helps the seller now is to be mined. Where the contract would
        // refuse it, sending again would only show the key to whoever has not seen it.
        let may_settle = at_head == OnChain::Paid
            && seen.approval == Approval::Given
            && seen.now_s <= seen.settled_by_s();
        return if may_settle { Step::Settle } else { Step::Wait };
    }
    // Refunded or declined at the head: it may be reorganised away, but nothing leaves meanwhile.
    if at_head != OnChain::Paid {
        return Step::Wait;
    }
    if let Some(refusal) = seen.refusal() {
        return Step::Refuse(refusal);
    }
    match (state, seen.entered) {
        (Sealed { file }, Some(entered)) if *file == entered.file => return Step::Adopt(entered),
        (Logged { file, index }, Some(entered))
            if *file == entered.file && *index == entered.index => {}
        (_, Some(_)) => return Step::Alarm(Alarm::OtherFile),
        (_, None) => {}
    }
    if seen.approval == Approval::Waiting {
        let is_late = seen.now_s > seen.deliver_by_s;
        return if is_late { Step::Refuse(Refusal::NotApproved) } else { Step::Wait };
    }
    let is_late = match state {
        Logged { .. } => seen.now_s > seen.show_by_s(),
        _ => seen.now_s > seen.deliver_by_s,
    };
    if is_late {
        return Step::Refuse(Refusal::Late);
    }
    match state {
        New => Step::Key,
        Keyed => Step::Seal,
        // Not logged yet: another one may be made.
        Sealed { .. } if !seen.is_kept => Step::Seal,
        Sealed { .. } => Step::Enter,
        // A buyer who cannot download must not pay.
        Logged { .. } if !seen.is_kept => Step::Alarm(Alarm::FileLost),
        Logged { .. } if seen.is_anchored && seen.entered.is_some() => Step::Settle,
        _ => Step::Wait,
    }
}
