//! The chain goes away, comes back, or is another one: entries are taken all the same, and the
//! operator is told why no anchor moves and what to do.

use crate::site::{Custodian, NO_CHAIN, Node, ORIGIN, Settings, Site, ticking_chain};
use alloy::primitives::address;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is in the way of anchors, as `readyz`, `status` and `doctor` say it, and what to do.
async fn all_say(site: &Site, node: &Node, what: &str, advice: &str) {
    let problem = node.wait_for_problem(what).await;
    assert!(problem["advice"].as_str().unwrap().contains(advice), "{problem}");
    let ready = node.get("/readyz").await;
    assert_eq!(ready.status(), 200, "reports are taken all the same");
    let status = site.run(["status", "--url", &node.url]);
    assert_eq!(status.code, Some(3), "{status:?}");
    let listen = node.url.strip_prefix("http://").unwrap();
    let doctor = site.run(["doctor", "--listen", listen]);
    assert_ne!(doctor.code, Some(0), "{doctor:?}");
    for said in [status.out, doctor.out] {
        let flowing = said.replace(['│', '┆', '|'], " ");
        let flowing = flowing.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [what, advice] {
            assert!(flowing.contains(words), "{words:?}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_chain_entries_are_taken_and_anchors_follow_once_it_is_there() {
    let mut anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let fjord = Custodian::fjord();
    anvil.stop().await;

    // The node is away before the first start of the log, and then once more.
    let node = site.serve();
    let trust = node.trust().await;
    for outage in ["the first outage", "the second outage"] {
        let receipt = node.report(&fjord.saw(&trust, 1, outage)).await;
        all_say(&site, &node, "no node of the chain answers", "entries are still taken").await;
        let doctor = site.run(["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        assert!(doctor.out.contains("✗ chain") && doctor.out.contains(&anvil.url()), "{doctor:?}");

        anvil.start_again().await;
        node.proof(&receipt).await;
        let status = site.run(["status", "--url", &node.url]);
        assert_eq!(status.code, Some(0), "{status:?}");
        anvil.stop().await;
    }
    node.stop();
    site.must_be_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_chain_and_a_wrong_registry_are_named_and_entries_are_taken() {
    let anvil = ticking_chain().await;
    let own = Site::on(&anvil).await;
    // Nothing stands here.
    let nowhere = address!("7777777777777777777777777777777777777777");
    // Two contracts that are no registry: one refuses every call, one answers with 20 zero bytes.
    let refusing = address!("8888888888888888888888888888888888888888");
    let babbling = address!("9999999999999999999999999999999999999999");
    for (at, code) in [(refusing, "0x60006000fd"), (babbling, "0x60146000f3")] {
        anvil.call("anvil_setCode", serde_json::json!([at, code])).await.unwrap();
    }
    let ids = [anvil.chain_id(), anvil.chain_id() + 1].map(|id| id.to_string());
    let [at_nowhere, at_refusing, at_babbling] =
        [nowhere, refusing, babbling].map(|at| at.to_string());
    type Spoil<'a> = &'a dyn Fn(&mut Settings);
    // What the service says, and what the doctor, who looks closer.
    let cases: [(Spoil<'_>, &[&str], &[&str]); 4] = [
        (
            &|settings| settings.chain_id += 1,
            &[&ids[0], &ids[1]],
            &[&ids[0], &ids[1], "correct chain.rpc"],
        ),
        (
            &|settings| settings.registry = Some(nowhere),
            &[&at_nowhere, "no contract"],
            &[&at_nowhere, "no contract", "medtrail deploy"],
        ),
        (
            &|settings| settings.registry = Some(refusing),
            &["reverted"],
            &[&at_refusing, "does not answer as the registry", "correct chain.registry"],
        ),
        (
            &|settings| settings.registry = Some(babbling),
            &["makes no sense"],
            &[&at_babbling, "does not answer as the registry", "correct chain.registry"],
        ),
    ];
    for (spoil, words, closer) in cases {
        let mut settings = own.settings.clone();
        spoil(&mut settings);
        let site = Site::new(settings);
        site.give_coin(&anvil).await;
        let node = site.serve();
        let trust = node.trust().await;
        node.report(&Custodian::fjord().saw(&trust, 1, "on the wrong chain")).await;
        let problem = node.wait_for_problem(words[0]).await;
        let said = problem["what"].as_str().unwrap();
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {problem:#}");
        let status = site.run(["status", "--url", &node.url]);
        assert_eq!(status.code, Some(3), "{status:?}");
        let doctor = site.run(["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        let look = doctor.out.lines().find(|line| line.starts_with("✗ chain ")).unwrap();
        assert!(closer.iter().all(|word| look.contains(word)), "{closer:?}: {look}");
        node.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_coin_is_told_to_get_some() {
    let anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    anvil.set_balance(site.operator, 0).await;
    let node = site.serve();
    let trust = node.trust().await;
    let receipt = node.report(&Custodian::fjord().saw(&trust, 1, "without coin")).await;
    all_say(&site, &node, "the account holds 0 wei", "send coin to the operator's account").await;
    site.give_coin(&anvil).await;
    node.proof(&receipt).await;
    let status = site.run(["status", "--url", &node.url]);
    assert_eq!(status.code, Some(0), "{status:?}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_backup_is_refused_while_the_chain_knows_more_and_so_is_another_history() {
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    let custodian = Custodian::fjord();
    let node = site.serve();
    let trust = node.trust().await;
    let first = node.report(&custodian.saw(&trust, 1, "in the backup")).await;
    node.proof(&first).await;
    node.stop();
    let backup = site.path("backup");
    copy(site.data_dir(), &backup);

    let node = site.serve();
    let second = node.report(&custodian.saw(&trust, 1, "not in the backup")).await;
    node.proof(&second).await;
    node.stop();

    site.move_data_to(&backup);
    let said = site.refused();
    assert!(said.contains("backup") && said.contains("2 anchored entries"), "{said}");

    // The backup went on where the chain could not be asked, and grew past what is anchored.
    let rpc = std::mem::replace(&mut site.settings.rpc, NO_CHAIN.to_owned());
    site.configure();
    let node = site.serve();
    for event in ["another second", "another third"] {
        node.report(&custodian.saw(&trust, 1, event)).await;
    }
    node.stop();
    site.settings.rpc = rpc;
    site.configure();
    let said = site.refused();
    assert!(said.contains("went its own way"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_log_was_started_with_cannot_be_changed() {
    let mut site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let body = Custodian::fjord().saw(&node.trust().await, 1, "under the first settings");
    let first = node.report(&body).await;
    node.stop();

    let settings = site.settings.clone();
    let other = address!("1234123412341234123412341234123412341234");
    let registry = medtrail_chain::Contract::AnchorRegistry.address().to_string();
    type Change<'a> = &'a dyn Fn(&mut Settings);
    let cases: [(Change<'_>, [&str; 3]); 3] = [
        (&|new| new.chain_id = 77, ["chain.chain_id", "633825", "77"]),
        (&|new| new.registry = Some(other), ["chain.registry", &registry, &other.to_string()]),
        (&|new| new.origin = "else.example".into(), ["origin", ORIGIN, "else.example"]),
    ];
    for (change, words) in cases {
        change(&mut site.settings);
        site.configure();
        let said = site.refused();
        let last = said.lines().last().unwrap();
        assert!(words.iter().all(|word| last.contains(word)), "{words:?}: {said}");
        site.settings = settings.clone();
    }
    site.configure();
    let node = site.serve();
    assert_eq!(node.report(&body).await.place_hash, first.place_hash, "nothing was changed");
    node.stop();
    site.must_be_clean();
}

/// Keys that others can read, that are locked, or that are gone: each is said with what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_does_not_start_without_its_keys_or_with_keys_that_others_read() {
    let site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let body = Custodian::fjord().saw(&node.trust().await, 1, "under the first keys");
    let first = node.report(&body).await;
    node.stop();

    let keys = site.keys_dir();
    let closing = |path: &Path, open: u32, closed: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
        let command = format!("chmod {closed:o} {}", path.display());
        for said in [site.refused(), site.run(["doctor"]).out] {
            assert!(said.contains(&command), "{command}: {said}");
        }
        fs::set_permissions(path, fs::Permissions::from_mode(closed)).unwrap();
    };
    closing(&keys, 0o755, 0o700);
    closing(&keys, 0o710, 0o700);
    for name in ["operator.json", "note.key", "master.key", "keys.redb"] {
        closing(&keys.join(name), 0o640, 0o600);
    }

    site.write_secret("passphrase", "another passphrase altogether\n");
    let said = site.refused();
    assert!(said.contains("operator.json: the passphrase does not open this keystore"), "{said}");
    site.write_secret("passphrase", "a passphrase of a journey\n");

    for (name, words) in [
        ("operator.json", "operator.json"),
        ("note.key", "note.key"),
        // The log would go on under new keys, and its own rows could never be opened again.
        ("master.key", "backup"),
        ("keys.redb", "backup"),
    ] {
        let (there, away) = (keys.join(name), site.path("away"));
        fs::rename(&there, &away).unwrap();
        // Nor the second time: nothing that was made on the way may pass for what is gone.
        for _ in 0..2 {
            let said = site.refused();
            assert!(said.contains(name) && said.contains(words), "{name}: {said}");
        }
        fs::rename(&away, &there).unwrap();
    }
    let node = site.serve();
    assert_eq!(node.report(&body).await.place_hash, first.place_hash);
    node.stop();
    site.must_be_clean();
}

/// What a developer meets most: the local chain was started anew under a log that goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_begins_anew_is_named_and_entries_are_taken() {
    let anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let fjord = Custodian::fjord();
    let node = site.serve();
    let trust = node.trust().await;
    let before = node.report(&fjord.saw(&trust, 1, "on the old chain")).await;
    node.proof(&before).await;

    anvil.call("anvil_reset", serde_json::json!([])).await.unwrap();
    let words = "this is another chain, or the same local chain started anew";
    all_say(&site, &node, words, "start a new log in a new data folder").await;
    let after = node.report(&fjord.saw(&trust, 1, "on a fresh chain of the same id")).await;
    assert_eq!(after.index, before.index + 1);
    node.stop();

    // A restart changes nothing about it.
    let node = site.serve();
    all_say(&site, &node, words, "start a new log in a new data folder").await;
    assert_eq!(node.report(&fjord.saw(&trust, 1, "once more")).await.index, after.index + 1);
    node.stop();
    site.must_be_clean();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}
