//! Who chose a channel is told of what concerns them, at least once, and the log says so once.

use crate::guarded::{child, guardian, no, of_child};
use crate::permits::{ANNA, Change, KADRI, STRANGER, id};
use crate::support::{CLINIC, FAULTS, World, address_of};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::inquiry::Wanted as Asks;
use medtrail_ledger::notices::{MailText, Parcel, Undelivered};
use medtrail_oracle::inquiries::Ask;
use medtrail_oracle::notices::{NoticeError, Wanted, WantedMail};
use serde_json::json;
use std::time::Duration;

fn mail(is_daily: bool) -> Wanted {
    let language = "en".to_owned();
    let email = WantedMail { address: "mari@example.org".into(), is_daily, language };
    Wanted { email: Some(email), webhook: None }
}

fn hook() -> Wanted {
    Wanted { email: None, webhook: Some("https://mari.example/hook".into()) }
}

impl World {
    async fn read(&self, event: u64) -> u64 {
        let submission = self.report(CLINIC, subject_of(address_of(ANNA)), event);
        self.service.report(submission).await.unwrap().index
    }

    fn parcels(&self) -> Vec<Parcel> {
        self.post.sent.lock().unwrap().clone()
    }

    /// The notices that the log says were sent, once nothing waits any more and there are so many.
    async fn until_told(&self, count: usize) -> Vec<serde_json::Value> {
        for _ in 0..400 {
            if self.service.heralding().waiting == 0 && self.details_of_kind(17).len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        self.details_of_kind(17)
    }

    async fn confirm(&self) {
        for _ in 0..400 {
            let code = self.parcels().into_iter().find_map(|parcel| match parcel {
                Parcel::Mail { says: MailText::Confirm { code }, .. } => Some(code),
                _ => None,
            });
            if let Some(code) = code {
                self.service.confirm_address(code.clone()).await.unwrap();
                let again = self.service.confirm_address(code).await.unwrap_err();
                assert!(matches!(again, NoticeError::Code), "it works once");
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no mail with a code");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_before_they_chose_a_channel_and_confirmed_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.read(1).await;
    let anna = address_of(ANNA);
    world.service.set_channels(anna, mail(false)).await.unwrap();
    let refused = world.service.set_channels(anna, mail(false)).await.unwrap_err();
    assert!(matches!(refused, NoticeError::Again), "{refused}");
    let line = world.read(2).await;
    let ask = Ask { line, wants: Asks::Reason, text: None, language: None };
    let asked = world.service.ask(anna, ask).await.unwrap();
    world.service.answer(address_of(CLINIC), asked.id, "Before.".into(), None).await.unwrap();
    world.confirm().await;
    assert_eq!(world.until_told(0).await, Vec::<serde_json::Value>::new());
    assert_eq!(world.parcels().len(), 1, "the code alone");

    // Urgent: an answer. Not urgent: a look.
    world.read(3).await;
    let line = world.read(4).await;
    let ask = Ask { line, wants: Asks::Reason, text: None, language: None };
    let asked = world.service.ask(anna, ask).await.unwrap();
    let answered =
        world.service.answer(address_of(CLINIC), asked.id, "It was needed.".into(), None);
    let answered = answered.await.unwrap();
    let told = world.until_told(1).await;
    let about = answered.receipt.index;
    let expected = json!({ "version": "medtrail/notice-v1", "channel": "email", "about": [about] });
    assert_eq!(told, [expected]);
    let says = MailText::Look { subject: anna };
    let expected = Parcel::Mail { to: "mari@example.org".into(), language: "en".into(), says };
    assert_eq!(world.parcels()[1..], [expected]);
    // What has ended is not told any more.
    world.service.set_channels(anna, Wanted::default()).await.unwrap();
    let ask = Ask { line, wants: Asks::Correction, text: None, language: None };
    let asked = world.service.ask(anna, ask).await.unwrap();
    world.service.answer(address_of(CLINIC), asked.id, "Again.".into(), None).await.unwrap();
    assert_eq!(world.until_told(1).await.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_each_line_again_until_it_takes_it_and_given_up_when_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    let anna = address_of(ANNA);
    let chosen = world.service.set_channels(anna, hook()).await.unwrap();
    assert!(chosen.secret.unwrap().starts_with("whsec_"));
    assert_eq!(world.service.channels(anna).secret, None, "it is shown once");
    // The first time it does not arrive, the second it does and nobody says so.
    let later = || Undelivered::Later("on purpose".into());
    *world.post.fails.lock().unwrap() = vec![(true, later()), (false, later())];
    let line = world.read(1).await;
    let told = world.until_told(1).await;
    assert_eq!(
        told,
        [json!({ "version": "medtrail/notice-v1", "channel": "webhook", "about": [line] })]
    );
    let ids: Vec<String> = world
        .parcels()
        .into_iter()
        .map(|parcel| match parcel {
            Parcel::Webhook { id, body, .. } => {
                let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(
                    (&body["data"], &body["type"]),
                    (&json!({ "index": line }), &json!("line.recorded"))
                );
                id
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "who receives it twice can see that");
    *world.post.fails.lock().unwrap() = vec![(false, Undelivered::Never("gone".into()))];
    world.read(2).await;
    assert_eq!(world.until_told(1).await.len(), 1, "it is no notice if it did not arrive");
    assert_eq!(world.service.heralding().waiting, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_stands_once_whatever_fails_or_crashes() {
    for fault in FAULTS {
        for passing in 0..4 {
            for of_the_log in [true, false] {
                let folder = tempfile::tempdir().unwrap();
                let world = World::start(&folder);
                world.service.set_channels(address_of(ANNA), hook()).await.unwrap();
                let line = world.read(1).await;
                let faults = if of_the_log { &world.disk.faults } else { &world.book.faults };
                faults.fail_after(if of_the_log { 0 } else { passing }, fault);
                tokio::time::sleep(Duration::from_millis(700)).await;
                let before = world.parcels();
                world.stop().await;
                let world = World::start(&folder);
                let told = world.until_told(1).await;
                let name = format!("{fault:?} {passing} log: {of_the_log}");
                assert_eq!(told.len(), 1, "{name}: {told:?}");
                assert_eq!(told[0]["about"], json!([line]), "{name}");
                assert!(before.len() + world.parcels().len() >= 1, "{name}");
                world.stop().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guardians_are_told_instead_of_a_child_as_long_as_they_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(&folder);
    world.with_parents().await;
    world.until(|| world.guarded() == [child()]).await;
    for seed in [ANNA, STRANGER] {
        world.service.set_channels(address_of(seed), hook()).await.unwrap();
    }
    let first = world.change(&of_child(1)).await;
    let about = |line: u64| json!({ "version": "medtrail/notice-v1", "channel": "webhook", "about": [line] });
    assert_eq!(world.until_told(1).await, [about(first)]);
    let notice = world.all().into_iter().rfind(|entry| entry.report.kind == 17).unwrap();
    assert_eq!(notice.report.subject, subject_of(address_of(ANNA)), "it was she who was told");

    // She gives it up, and he wants to be told.
    world.says(ANNA, no(id(&guardian(ANNA)))).await;
    world.change(&of_child(2)).await;
    assert_eq!(world.until_told(1).await.len(), 1);
    world.service.set_channels(address_of(KADRI), hook()).await.unwrap();
    let second = world.change(&of_child(3)).await;
    assert_eq!(world.until_told(2).await, [about(first), about(second)]);

    // Grown up, who was a child is told by their own channels, and nobody else is.
    world.bind(child(), 0x77, "K7QM-2XVD-9RTA").await;
    let grown = subject_of(address_of(0x77));
    world.change(&Change { subject: grown, ..of_child(4) }).await;
    assert_eq!(world.until_told(2).await.len(), 2);
    assert_eq!(world.parcels().len(), 2);
    world.stop().await;
}
