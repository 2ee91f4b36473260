//! Each rule of the sender, one by one. Many rules at once, in random order: `tests/sender.rs`.

use super::*;
use alloy_primitives::Bytes;
use medtrail_ledger::plan::{Anchor, LogHead, Receipt};

pub(crate) const GWEI: u128 = 1_000_000_000;
const US: Address = Address::repeat_byte(0xaa);
const LOG: B256 = B256::repeat_byte(0x10);
const LIMITS: Limits = Limits::with_fee_cap(500 * GWEI);

fn block(number: u64) -> BlockRef {
    BlockRef { number, hash: B256::left_padding_from(&number.to_be_bytes()) }
}

/// Block 100, final up to 90, three transactions sent, 50 entries anchored.
pub(crate) fn view() -> ChainView {
    let log_head = LogHead { operator: US, size: 50, time_s: 1000, count: 2 };
    ChainView {
        head: block(100),
        head_time_s: 1200,
        finalized: block(90),
        nonce_head: 3,
        nonce_finalized: 3,
        balance: 1000 * GWEI * GWEI,
        base_fee: 10 * GWEI,
        market_tip: GWEI,
        log_head,
        log_finalized: log_head,
        receipts: Vec::new(),
    }
}

pub(crate) fn attempt(id: u8, tip: u128, max_fee: u128) -> Attempt {
    let raw = Bytes::from(vec![id]);
    Attempt { hash: B256::repeat_byte(id), raw, tip, max_fee, built_at_block: 100 }
}

fn anchoring(old: (u64, u64), size: u64) -> Call {
    let old = Anchor { number: old.0, size: old.1, ..Anchor::default() };
    Call::Anchor { log: LOG, old, size, root: B256::ZERO, proof: Vec::new() }
}

fn intent(nonce: u64, state: IntentState, attempts: &[Attempt]) -> Intent {
    let call = anchoring((1, 20), 50);
    let attempts = attempts.to_vec();
    Intent { account: US, nonce, call, gas: 80_000, state, made_at_block: 100, attempts }
}

fn plan(intents: Vec<Intent>) -> Plan {
    Plan { intents, ..Plan::default() }
}

fn local() -> Local {
    Local { account: US, duty: Duty::Anchors { entries: 70 }, underpriced: None }
}

fn due() -> Due {
    Due { call: anchoring((2, 50), 70), gas: 80_000, note: b"note".to_vec() }
}

fn receipt(id: u8, number: u64) -> Receipt {
    let tx = B256::repeat_byte(id);
    Receipt { tx, block: block(number), is_canonical: true, succeeded: true }
}

/// The state that the steps save for a nonce.
fn saved(steps: &[Step], nonce: u64) -> Option<IntentState> {
    let changes = steps.iter().filter_map(|step| match step {
        Step::Save(changes) => Some(changes),
        _ => None,
    });
    changes.flatten().find_map(|change| match change {
        PlanChange::PutIntent(intent) if intent.nonce == nonce => Some(intent.state),
        _ => None,
    })
}

fn built(steps: &[Step]) -> &Build {
    match steps.last() {
        Some(Step::Build(build)) => build,
        _ => panic!("nothing is built: {steps:?}"),
    }
}

fn look(view: &ChainView, plan: &Plan) -> Vec<Step> {
    step(view, plan, &local(), None, &LIMITS)
}

#[test]
fn what_is_due_is_planned_at_the_nonce_of_the_head() {
    let steps = step(&view(), &plan(vec![]), &local(), Some(due()), &LIMITS);
    let build = built(&steps);
    assert_eq!((build.intent.nonce, build.intent.attempts.len(), steps.len()), (3, 0, 1));
    assert_eq!(build.fees, Fees { tip: GWEI, max_fee: 21 * GWEI });
    let note = PlanChange::KeepCheckpoint { size: 70, note: b"note".to_vec() };
    assert_eq!(build.with, [note], "the checkpoint is kept in the same transaction");
}

#[test]
fn nothing_is_planned_while_an_intent_stands_in_no_block() {
    let pending = plan(vec![intent(3, IntentState::Pending, &[attempt(1, GWEI, 21 * GWEI)])]);
    let steps = step(&view(), &pending, &local(), Some(due()), &LIMITS);
    assert_eq!(steps, [Step::Send(attempt(1, GWEI, 21 * GWEI))], "it is only sent again");
}

#[test]
fn after_three_blocks_a_dearer_attempt_replaces_the_old_one_which_is_kept() {
    let old = attempt(1, GWEI, 21 * GWEI);
    let pending = plan(vec![intent(3, IntentState::Pending, std::slice::from_ref(&old))]);
    let mut view = view();
    view.head = block(102);
    assert_eq!(look(&view, &pending), [Step::Send(old.clone())], "two blocks are patience");
    view.head = block(103);
    let steps = look(&view, &pending);
    let build = built(&steps);
    assert_eq!(build.intent.attempts, [old]);
    assert_eq!((build.intent.nonce, &build.intent.call), (3, &anchoring((1, 20), 50)));
    assert_eq!(build.fees.tip, 1_125_000_001);
}

#[test]
fn a_base_fee_above_the_attempt_or_a_node_that_finds_it_too_cheap_is_not_waited_for() {
    let old = attempt(1, GWEI, 21 * GWEI);
    let pending = plan(vec![intent(3, IntentState::Pending, std::slice::from_ref(&old))]);
    let mut dear = view();
    dear.base_fee = 22 * GWEI;
    assert_eq!(built(&look(&dear, &pending)).fees.max_fee, 45 * GWEI);

    let refused = Local { underpriced: Some(old.hash), ..local() };
    let steps = step(&view(), &pending, &refused, None, &LIMITS);
    assert!(built(&steps).fees.max_fee > old.max_fee);
}

#[test]
fn at_the_fee_cap_the_newest_attempt_is_sent_again_and_the_operator_is_told() {
    let mut old = attempt(1, GWEI, 100 * GWEI);
    old.built_at_block = 50;
    let pending = plan(vec![intent(3, IntentState::Pending, std::slice::from_ref(&old))]);
    let steps = look(&view(), &pending);
    let cap = Alarm::FeeCap { cap: 105 * GWEI, base_fee: 10 * GWEI };
    assert_eq!(steps, [Step::Alarm(cap), Step::Send(old)]);
}

#[test]
fn a_receipt_of_any_attempt_counts_also_of_one_that_was_replaced() {
    let attempts = [attempt(1, GWEI, 21 * GWEI), attempt(2, 2 * GWEI, 30 * GWEI)];
    let pending = plan(vec![intent(2, IntentState::Pending, &attempts)]);
    let mut view = view();
    view.nonce_finalized = 2;
    view.receipts = vec![receipt(1, 99)];
    let steps = look(&view, &pending);
    assert_eq!(saved(&steps, 2), Some(IntentState::Mined(block(99))));
    assert!(is_idle(&steps));
}

#[test]
fn a_receipt_from_a_block_that_was_reorganised_away_is_none() {
    let mined =
        plan(vec![intent(2, IntentState::Mined(block(99)), &[attempt(1, GWEI, 21 * GWEI)])]);
    let mut view = view();
    (view.nonce_head, view.nonce_finalized) = (2, 2);
    view.receipts = vec![Receipt { is_canonical: false, ..receipt(1, 99) }];
    let steps = look(&view, &mined);
    assert_eq!(saved(&steps, 2), Some(IntentState::Pending), "a reorganisation shows like this");
    assert_eq!(steps.last(), Some(&Step::Send(attempt(1, GWEI, 21 * GWEI))));
}

#[test]
fn mined_becomes_final_at_the_finalized_block_and_only_if_the_registry_agrees() {
    let mined =
        plan(vec![intent(2, IntentState::Mined(block(90)), &[attempt(1, GWEI, 21 * GWEI)])]);
    let mut view = view();
    view.receipts = vec![receipt(1, 91)];
    assert_eq!(saved(&look(&view, &mined), 2), Some(IntentState::Mined(block(91))), "too young");
    view.receipts = vec![receipt(1, 90)];
    assert_eq!(saved(&look(&view, &mined), 2), Some(IntentState::Final(block(90))));
    view.log_finalized.size = 49;
    let steps = look(&view, &mined);
    assert_eq!(saved(&steps, 2), None);
    assert!(steps.contains(&Step::Alarm(Alarm::RegistryDisagrees { nonce: 2 })));
}

#[test]
fn a_failed_call_is_told_and_planned_again_from_the_chain_s_state() {
    let pending = plan(vec![intent(2, IntentState::Pending, &[attempt(1, GWEI, 21 * GWEI)])]);
    let mut view = view();
    view.nonce_finalized = 2;
    view.receipts = vec![Receipt { succeeded: false, ..receipt(1, 99) }];
    let steps = step(&view, &pending, &local(), Some(due()), &LIMITS);
    assert_eq!(saved(&steps, 2), Some(IntentState::Failed(block(99))));
    assert!(steps.contains(&Step::Alarm(Alarm::CallFailed { nonce: 2, block: 99 })));
    assert_eq!(built(&steps).intent.nonce, 3);
}

#[test]
fn somebody_else_s_final_use_of_our_nonce_stops_the_sender() {
    let pending = plan(vec![intent(2, IntentState::Pending, &[attempt(1, GWEI, 21 * GWEI)])]);
    assert_eq!(look(&view(), &pending), [Step::Stop(Stop::ForeignNonce { nonce: 2 })]);

    let done = plan(vec![intent(1, IntentState::Final(block(80)), &[])]);
    assert_eq!(look(&view(), &done), [Step::Stop(Stop::ForeignNonce { nonce: 2 })]);
}

#[test]
fn somebody_else_s_nonce_that_is_not_final_holds_the_sender_and_tells() {
    let done = plan(vec![intent(1, IntentState::Final(block(80)), &[])]);
    let mut view = view();
    view.nonce_finalized = 2;
    let steps = step(&view, &done, &local(), Some(due()), &LIMITS);
    let seen = Alarm::ForeignNonceSeen { expected: 2, found: 3 };
    assert_eq!(steps, [Step::Alarm(seen), Step::Wait(Wait::ViewsDisagree { nonce: 2 })]);
}

#[test]
fn a_used_nonce_without_a_receipt_is_waited_for_while_it_is_not_final() {
    let pending = plan(vec![intent(2, IntentState::Pending, &[attempt(1, GWEI, 21 * GWEI)])]);
    let mut view = view();
    view.nonce_finalized = 2;
    assert_eq!(look(&view, &pending), [Step::Wait(Wait::ViewsDisagree { nonce: 2 })]);
}

#[test]
fn a_node_that_shows_a_lower_nonce_than_the_receipts_is_not_planned_on() {
    let done = plan(vec![intent(3, IntentState::Final(block(80)), &[])]);
    let steps = step(&view(), &done, &local(), Some(due()), &LIMITS);
    assert_eq!(steps, [Step::Wait(Wait::ViewsDisagree { nonce: 3 })]);
}

#[test]
fn of_two_that_a_reorganisation_took_away_only_the_lower_is_sent() {
    let two = plan(vec![
        intent(3, IntentState::Mined(block(98)), &[attempt(1, GWEI, 21 * GWEI)]),
        intent(4, IntentState::Mined(block(99)), &[attempt(2, GWEI, 21 * GWEI)]),
    ]);
    let steps = look(&view(), &two);
    assert_eq!(saved(&steps, 3), Some(IntentState::Pending));
    assert_eq!(saved(&steps, 4), Some(IntentState::Pending));
    assert_eq!(steps.last(), Some(&Step::Send(attempt(1, GWEI, 21 * GWEI))));
}

#[test]
fn nothing_is_sent_behind_a_gap() {
    let pending = plan(vec![intent(5, IntentState::Pending, &[attempt(1, GWEI, 21 * GWEI)])]);
    assert_eq!(look(&view(), &pending), [Step::Wait(Wait::NonceGap { nonce: 5, at: 3 })]);
}

#[test]
fn a_chain_that_knows_more_than_the_disk_refuses_a_restored_backup() {
    let restored = Local { duty: Duty::Anchors { entries: 49 }, ..local() };
    let steps = step(&view(), &plan(vec![]), &restored, Some(due()), &LIMITS);
    assert_eq!(steps, [Step::Stop(Stop::RestoredBackup { anchored: 50, entries: 49 })]);
}

#[test]
fn another_operator_and_a_closed_log_stop_the_sender() {
    let mut view = view();
    let found = Address::repeat_byte(0xbb);
    view.log_head.operator = found;
    assert_eq!(look(&view, &plan(vec![])), [Step::Stop(Stop::NotOperator { found })]);
    view.log_head.operator = Address::ZERO;
    assert_eq!(look(&view, &plan(vec![])), [Step::Stop(Stop::Closed)]);
}

#[test]
fn an_anchor_prepared_on_another_head_is_not_planned() {
    let on_old = Due { call: anchoring((1, 20), 70), ..due() };
    let too_much = Due { call: anchoring((2, 50), 71), ..due() };
    for wrong in [on_old, too_much] {
        let steps = step(&view(), &plan(vec![]), &local(), Some(wrong), &LIMITS);
        assert_eq!(steps, [Step::Wait(Wait::HeadMoved)]);
    }
}

#[test]
fn no_anchor_adds_more_than_the_registry_takes() {
    let much = Local { duty: Duty::Anchors { entries: u64::MAX }, ..local() };
    let most = Due { call: anchoring((2, 50), 50 + GROWTH_MAX), ..due() };
    assert!(!step(&view(), &plan(vec![]), &much, Some(most), &LIMITS).is_empty());
    let more = Due { call: anchoring((2, 50), 51 + GROWTH_MAX), ..due() };
    let steps = step(&view(), &plan(vec![]), &much, Some(more), &LIMITS);
    assert_eq!(steps, [Step::Wait(Wait::HeadMoved)]);
}

#[test]
fn an_account_that_cannot_pay_plans_nothing_and_tells() {
    let mut view = view();
    view.balance = 80_000 * 21 * GWEI - 1;
    let steps = step(&view, &plan(vec![]), &local(), Some(due()), &LIMITS);
    let needed = 80_000 * 21 * GWEI;
    assert_eq!(steps, [Step::Alarm(Alarm::Balance { balance: needed - 1, needed })]);
}

#[test]
fn while_finality_stands_still_no_more_is_planned_than_the_ring_holds() {
    let mined = |nonce: u64| {
        intent(nonce, IntentState::Mined(block(95)), &[attempt(nonce as u8, GWEI, 21 * GWEI)])
    };
    let full = plan((0..64).map(mined).collect());
    let mut view = view();
    (view.nonce_head, view.nonce_finalized) = (64, 0);
    view.receipts = (0..64).map(|nonce| receipt(nonce, 95)).collect();
    let steps = step(&view, &full, &local(), Some(due()), &LIMITS);
    assert_eq!(steps, [Step::Wait(Wait::Unfinal { count: 64 })]);
}

#[test]
fn final_intents_are_forgotten_except_the_newest() {
    let settled = |nonce| intent(nonce, IntentState::Final(block(80)), &[]);
    let steps = look(&view(), &plan(vec![settled(0), settled(1), settled(2)]));
    let gone = |nonce| PlanChange::DropIntent { account: US, nonce };
    assert_eq!(steps, [Step::Save(vec![gone(0), gone(1)])]);
    assert!(is_idle(&steps));
}

#[test]
fn receipts_are_asked_for_all_attempts_of_what_is_not_final() {
    let attempts = [attempt(1, 1, 1), attempt(2, 2, 2)];
    let intents = vec![
        intent(1, IntentState::Final(block(80)), &[attempt(9, 1, 1)]),
        intent(2, IntentState::Mined(block(95)), &attempts),
    ];
    let hashes = attempts.map(|attempt| attempt.hash);
    assert_eq!(watched(&plan(intents), US), hashes);
}

#[test]
fn a_log_is_opened_only_where_the_registry_does_not_know_it() {
    let call = Call::Open {
        origin: "test.example/log".to_owned(),
        cold_key: Address::repeat_byte(0xc0),
        note_key: B256::ZERO,
        anchor_within_s: 3600,
    };
    let opening = Due { call, gas: 80_000, note: Vec::new() };
    let mut young = view();
    young.log_head = LogHead::default();
    let steps = step(&young, &plan(vec![]), &local(), Some(opening.clone()), &LIMITS);
    assert!(built(&steps).with.is_empty());
    let steps = step(&view(), &plan(vec![]), &local(), Some(opening), &LIMITS);
    assert_eq!(steps, [Step::Wait(Wait::HeadMoved)]);
}

fn settling(order: u8) -> Call {
    let (market, data) = (Address::repeat_byte(0x44), Bytes::from_static(b"settle"));
    Call::Settle { market, order: B256::repeat_byte(order), data }
}

#[test]
fn each_account_makes_its_own_calls_and_no_other_s() {
    let relay = Local { duty: Duty::Settlements, ..local() };
    let due = |call| Due { call, gas: 200_000, note: Vec::new() };
    let steps = step(&view(), &plan(vec![]), &relay, Some(due(settling(1))), &LIMITS);
    let build = built(&steps);
    assert_eq!((&build.intent.call, build.with.len()), (&settling(1), 0), "no checkpoint is kept");
    let (market, call) = (Address::repeat_byte(0x45), B256::repeat_byte(1));
    let many = Call::SettleMany { market, call, claims: vec![], gas: 5, data: Bytes::new() };
    let steps = step(&view(), &plan(vec![]), &relay, Some(due(many.clone())), &LIMITS);
    assert_eq!((&built(&steps).intent.call, built(&steps).intent.gas), (&many, 200_000));
    for (local, call) in
        [(&relay, anchoring((2, 50), 70)), (&local(), settling(1)), (&local(), many)]
    {
        let steps = step(&view(), &plan(vec![]), local, Some(due(call)), &LIMITS);
        assert_eq!(steps, [Step::Wait(Wait::HeadMoved)]);
    }
}

#[test]
fn what_stops_anchors_stops_no_settlement_and_a_failed_one_spends_its_nonce_only() {
    let relay = Local { duty: Duty::Settlements, ..local() };
    let closed = LogHead { operator: Address::ZERO, size: 500, ..view().log_head };
    let seen = ChainView { log_head: closed, ..view() };
    let due = Due { call: settling(1), gas: 200_000, note: Vec::new() };
    built(&step(&seen, &plan(vec![]), &relay, Some(due.clone()), &LIMITS));
    // Mined, but the contract refused: the next one is planned at the next nonce.
    let attempt = attempt(1, GWEI, 21 * GWEI);
    let sent = Intent {
        call: settling(1),
        ..intent(2, IntentState::Pending, std::slice::from_ref(&attempt))
    };
    let receipts = vec![Receipt { succeeded: false, ..receipt(1, 110) }];
    let seen = ChainView { receipts, ..seen };
    let steps = step(&seen, &plan(vec![sent]), &relay, Some(due), &LIMITS);
    assert!(matches!(saved(&steps, 2), Some(IntentState::Failed(_) | IntentState::Final(_))));
    assert!(steps.iter().any(|one| matches!(one, Step::Alarm(Alarm::CallFailed { .. }))));
    assert_eq!(built(&steps).intent.nonce, 3);
}
