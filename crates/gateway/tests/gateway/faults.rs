//! A gateway before a log that is away, loses its answers, refuses, fails, has a wrong clock or a new
//! key, or lies; and a spool that is full.

use crate::support::{
    Deed, FAR_MS, HOUR_MS, ROOM, START_MS, Setup, Site, is_receipted, site, trust_of,
};
use alloy_primitives::B256;
use medtrail_gateway::clock::Clock;
use medtrail_ledger::custodian::{ReportRow, ReportState, Spool, SpoolLimits};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::schema::Report;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[actix_web::test]
async fn an_hour_s_outage_is_waited_out_and_everything_arrives_once() {
    let site = site(|now| Deed::AwayUntil(now + HOUR_MS), ROOM).await;
    let began = site.clock.now_ms();
    for n in 0..40 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    let ends = site.ends(40).await;
    assert!(ends.iter().all(is_receipted));
    assert!(site.clock.now_ms() >= began + HOUR_MS);
    let came = site.came();
    let events = came.iter().filter(|(report, _)| report.kind == Kind::Access.number());
    assert_eq!(events.count(), 40);
    site.stop().await;
}

#[actix_web::test]
async fn an_answer_that_was_lost_leads_to_the_same_report_again_and_to_no_other() {
    let site = site(|_| Deed::LosesFirstAnswers, ROOM).await;
    for n in 0..3 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    assert!(site.ends(3).await.iter().all(is_receipted));
    let accesses: Vec<_> = site
        .came()
        .into_iter()
        .filter(|(report, _)| report.kind == Kind::Access.number())
        .collect();
    assert_eq!(accesses.len(), 3);
    assert!(accesses.iter().all(|(_, times)| *times >= 2));
    site.stop().await;
}

#[actix_web::test]
async fn a_report_that_the_log_refuses_is_set_aside_and_holds_up_no_other() {
    let site = site(|_| Deed::RefusesDeletions, ROOM).await;
    for (id, action) in [("one", "R"), ("two", "D"), ("three", "R")] {
        assert_eq!(site.send(id, action).await, 201);
    }
    let ends = site.ends(3).await;
    assert_eq!(ends.iter().filter(|end| is_receipted(end)).count(), 2);
    let aside = ends.iter().find_map(|end| match end {
        ReportState::SetAside(reason) => Some(reason),
        _ => None,
    });
    assert!(aside.unwrap().contains("invalid-field: on purpose"), "{aside:?}");
    site.stop().await;
}

#[actix_web::test]
async fn a_receipt_for_another_report_is_believed_by_nobody_and_kept_as_evidence() {
    let site = site(|_| Deed::Lies, ROOM).await;
    assert_eq!(site.send("one", "R").await, 201);
    match &site.ends(1).await[..] {
        [ReportState::WrongReceipt { answer, reason }] => {
            assert!(reason.contains("another report"), "{reason}");
            let kept: Value = serde_json::from_slice(answer).unwrap();
            assert_eq!(kept["reportHash"], json!(B256::repeat_byte(9)));
        }
        other => panic!("{other:?}"),
    }
    let status = site.status().await;
    assert!(status["alarms"][0].as_str().unwrap().contains("receipt"), "{status}");
    site.stop().await;
}

#[actix_web::test]
async fn a_full_spool_acknowledges_nothing_and_takes_the_same_event_once_there_is_room() {
    let limits = SpoolLimits { count: 3, bytes: 64 << 20 };
    let site = site(|now| Deed::AwayUntil(now + 200 * HOUR_MS), limits).await;
    for n in 0..3 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    assert_eq!(site.send("event-3", "R").await, 507);
    assert_eq!(site.send("event-0", "R").await, 201, "what it has it knows");
    site.clock.0.fetch_add(200 * HOUR_MS, Ordering::SeqCst);
    site.ends(3).await;
    assert_eq!(site.send("event-3", "R").await, 201);
    site.ends(4).await;
    site.stop().await;
}

#[actix_web::test]
async fn each_day_is_covered_by_a_signed_count() {
    let site = site(|_| Deed::Takes, ROOM).await;
    for n in 0..5 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    site.ends(5).await;
    site.clock.0.fetch_add(24 * HOUR_MS, Ordering::SeqCst);
    assert!(site.ends(6).await.iter().all(is_receipted));
    let covered = site
        .came()
        .into_iter()
        .filter(|(report, _)| report.kind == Kind::Coverage.number() && report.subject.is_zero());
    assert!(covered.count() >= 1);
    site.stop().await;
}

#[actix_web::test]
async fn what_the_log_s_slow_clock_refuses_waits_and_goes_through_later() {
    let site = site(|now| Deed::BehindUntil(now + HOUR_MS), ROOM).await;
    for n in 0..20 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    assert!(site.ends(20).await.iter().all(is_receipted));
    assert!(site.clock.now_ms() >= START_MS + HOUR_MS);
    assert!(site.came().iter().any(|(_, times)| *times > 1), "it was refused before");
    assert_eq!(site.status().await["held"], json!([]));
    site.stop().await;
}

#[actix_web::test]
async fn a_report_that_the_log_fails_on_holds_up_no_other_and_is_told() {
    for count in [3, 20] {
        let site = site(|_| Deed::FailsOnDeletions, ROOM).await;
        assert_eq!(site.send("poison", "D").await, 201);
        for n in 1..count {
            assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
        }
        let ends = site.some_ends(count, count as usize - 1).await;
        assert!(ends.iter().all(|(number, end)| *number > 1 && is_receipted(end)), "{ends:?}");
        let alarm = site.alarm("the log answers 500 (internal)").await;
        assert!(alarm.contains("the oldest is 1"), "{alarm}");
        assert_eq!(site.status().await["held"][0]["number"], 1);
        site.stop().await;
    }
}

#[actix_web::test]
async fn a_receipt_by_the_operator_s_new_key_is_no_end_and_counts_once_the_key_is_believed() {
    let setup = Setup { signs: 9, ..Setup::new(Deed::Takes) };
    let site = Site::start(setup).await;
    assert_eq!(site.send("one", "R").await, 201);
    site.alarm("medtrail gateway trust").await;
    assert_eq!(site.spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
    assert_eq!(site.spool.usage().unwrap().set_aside, 0);
    let site = site.restart_with(trust_of(&[1, 9])).await;
    assert!(site.ends(1).await.iter().all(is_receipted));
    site.stop().await;
}

#[actix_web::test]
async fn a_receipt_of_a_time_when_its_key_did_not_speak_is_no_end() {
    let mut setup = Setup::new(Deed::Takes);
    // The log of these tests signs at 1 ms after 1970: its clock is wrong.
    setup.trust.operator.keys[0].from_ms = 2;
    let site = Site::start(setup).await;
    assert_eq!(site.send("one", "R").await, 201);
    site.alarm("a key that does not speak at that time").await;
    assert_eq!(site.spool.report(1).unwrap().unwrap().state, ReportState::Waiting);
    site.stop().await;
}

#[actix_web::test]
async fn a_coverage_made_with_a_wrong_clock_stops_no_later_one() {
    // The second log has the same wrong clock, and takes it.
    for (deed, is_set_aside) in [(Deed::KnowsTheYear, true), (Deed::Takes, false)] {
        let site = Site::start(Setup::new(deed)).await;
        for n in 0..3 {
            assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
        }
        site.ends(3).await;
        site.clock.0.store(FAR_MS, Ordering::SeqCst);
        let is_far = |(report, _): &(Report, u64)| report.timeMs >= FAR_MS;
        for _ in 0..1_000 {
            if site.came().iter().any(is_far) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The right time again, days after.
        let (day_ms, right_ms) = (24 * HOUR_MS, START_MS + 400 * 24 * HOUR_MS);
        site.clock.0.store(right_ms, Ordering::SeqCst);
        let is_right = |(report, _): &(Report, u64)| {
            report.kind == 14 && (right_ms..FAR_MS).contains(&report.timeMs)
        };
        for _ in 0..1_000 {
            site.clock.0.fetch_add(day_ms, Ordering::SeqCst);
            if site.came().iter().any(is_right) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(site.came().iter().any(is_right), "{:?}", site.came());
        site.settled().await;
        let newest = site.spool.usage().unwrap().sequence;
        let rows = (4..=newest).map(|number| site.spool.report(number).unwrap().unwrap());
        let aside: Vec<_> = rows
            .filter_map(|row| match row.state {
                ReportState::SetAside(reason) => Some(reason),
                _ => None,
            })
            .collect();
        assert_eq!(!aside.is_empty(), is_set_aside, "{aside:?}");
        let told = |reason: &String| reason.contains("this gateway's clock was wrong");
        assert!(aside.iter().all(told), "{aside:?}");
        site.stop().await;
    }
}

#[actix_web::test]
async fn a_coverage_that_the_log_refused_is_made_up_for_by_the_next() {
    let until_ms = START_MS + 2_000 * HOUR_MS;
    let site = site(|_| Deed::RefusesCoverageUntil(until_ms), ROOM).await;
    for n in 0..3 {
        assert_eq!(site.send(&format!("event-{n}"), "R").await, 201);
    }
    site.ends(3).await;
    // The clock runs: days pass. The first that is taken tells of all that was numbered before it; if it
    // was made while the one before was still on its way to be refused, the one after it does.
    let (mut taken, mut is_refused) = (None, false);
    let counts_all = |row: &ReportRow| {
        let told: Value = serde_json::from_slice(&row.report.document).unwrap();
        told["details"]["fromSequence"] == 1
    };
    for _ in 0..2_000 {
        // On a machine that is busy, the days of refusal would be over before the first is sent.
        if is_refused || site.clock.now_ms() + 48 * HOUR_MS < until_ms {
            site.clock.0.fetch_add(24 * HOUR_MS, Ordering::SeqCst);
        }
        let newest = site.spool.usage().unwrap().sequence;
        let rows = (1..=newest).map(|number| site.spool.report(number).unwrap().unwrap());
        let rows: Vec<_> = rows.filter(|row| row.report.event == 0).collect();
        is_refused |= rows.iter().any(|row| matches!(row.state, ReportState::SetAside(_)));
        let all: Vec<_> = rows.iter().filter(|row| is_receipted(&row.state)).collect();
        if let Some(first) = all.first() {
            assert!(rows[0].sequence < first.sequence, "none was refused");
            taken = all.iter().find(|row| counts_all(row)).map(|row| (*row).clone());
            if taken.is_some() {
                break;
            }
            assert!(all.len() < 3, "what was refused is counted by nobody");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let taken: Value = serde_json::from_slice(&taken.unwrap().report.document).unwrap();
    assert_eq!(taken["details"]["fromSequence"], 1, "{taken:#}");
    let first_ms = site.spool.event(1).unwrap().unwrap().received_ms;
    assert_eq!(taken["details"]["coverage"]["fromMs"], first_ms, "{taken:#}");
    site.stop().await;
}
