//! The chain goes away, comes back, or is another one: entries are taken all the same, and the
//! operator is told why no anchor moves and what to do.

use crate::site::{Custodian, NO_CHAIN, Settings, Site, ticking_chain};
use std::fs;
use std::path::Path;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_chain_entries_are_taken_and_anchors_follow_once_it_is_there() {
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    let custodian = Custodian::fjord();
    let rpc = std::mem::replace(&mut site.settings.rpc, NO_CHAIN.to_owned());
    site.configure();

    let node = site.serve();
    let trust = node.trust().await;
    let receipt = node.report(&custodian.saw(&trust, 1, "while nobody answers")).await;
    let problem = node.wait_for_problem("no node of the chain answers").await;
    assert!(problem["advice"].as_str().unwrap().contains("check the node"), "{problem}");
    let status = site.run(["status", "--url", &node.url]);
    assert_eq!(status.code, Some(3), "{status:?}");
    assert!(status.out.contains("no node of the chain answers"), "{}", status.out);
    assert!(status.out.contains("to do"), "{}", status.out);
    let doctor = site.run(["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.out.contains("✗ chain") && doctor.out.contains(NO_CHAIN), "{}", doctor.out);
    node.stop();

    site.settings.rpc = rpc;
    site.configure();
    let node = site.serve();
    node.proof(&receipt).await;
    let status = site.run(["status", "--url", &node.url]);
    assert_eq!(status.code, Some(0), "{status:?}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_with_its_chain_is_followed_on() {
    let mut anvil = ticking_chain().await;
    let site = Site::on(&anvil).await;
    let custodian = Custodian::fjord();
    let node = site.serve();
    let trust = node.trust().await;
    let before = node.report(&custodian.saw(&trust, 1, "before the node stops")).await;
    node.proof(&before).await;
    anvil.stop().await;
    let during = node.report(&custodian.saw(&trust, 1, "while the node is away")).await;
    node.wait_for_problem("no node of the chain answers").await;
    anvil.start_again().await;
    node.proof(&during).await;
    node.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_chain_and_a_wrong_registry_are_named_and_entries_are_taken() {
    let anvil = ticking_chain().await;
    let custodian = Custodian::fjord();
    let right = Settings::on(&anvil);
    let wrong_chain = Settings { chain_id: right.chain_id + 1, ..right.clone() };
    let wrong_registry = Settings { registry: Some([0x77; 20].into()), ..right };
    for (words, settings) in [("serves chain", wrong_chain), ("contract", wrong_registry)] {
        let site = Site::new(settings);
        site.give_coin(&anvil).await;
        let node = site.serve();
        let trust = node.trust().await;
        node.report(&custodian.saw(&trust, 1, "on the wrong chain")).await;
        let ready = node
            .wait_until("saying what is wrong", |ready| {
                ready["anchoring"]["problem"]["what"].is_string()
            })
            .await;
        assert!(ready["ready"].as_bool().unwrap(), "{ready:#}");
        let doctor = site.run(["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        assert!(doctor.out.contains(words), "{words}: {}", doctor.out);
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
    node.wait_until("saying that coin is missing", |ready| {
        let problem = ready["anchoring"]["problem"].to_string();
        problem.contains("coin") || problem.contains("funds") || problem.contains("pay")
    })
    .await;
    site.give_coin(&anvil).await;
    node.proof(&receipt).await;
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
async fn what_a_log_was_started_with_cannot_be_changed_nor_its_keys_be_lost() {
    let mut site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let trust = node.trust().await;
    node.report(&Custodian::fjord().saw(&trust, 1, "under the first keys")).await;
    node.stop();

    let chain_id = std::mem::replace(&mut site.settings.chain_id, 77);
    site.configure();
    let said = site.refused();
    let both = said.contains(&chain_id.to_string()) && said.contains("77");
    assert!(said.contains("chain.chain_id") && both, "{said}");
    site.settings.chain_id = chain_id;
    site.configure();

    let master = site.keys_dir().join("master.key");
    let hidden = site.path("master.key.hidden");
    fs::rename(&master, &hidden).unwrap();
    let said = site.refused();
    assert!(said.contains("master.key") && said.contains("backup"), "{said}");
    fs::rename(&hidden, &master).unwrap();

    must_refuse_open_folder(&site);
    site.write_secret("passphrase", "another passphrase altogether\n");
    let said = site.refused();
    assert!(said.contains("operator.json"), "{said}");
    site.write_secret("passphrase", "a passphrase of a journey\n");
    site.serve().stop();
    site.must_be_clean();
}

/// Keys that others can read are refused, with the command that closes them.
fn must_refuse_open_folder(site: &Site) {
    use std::os::unix::fs::PermissionsExt;
    let keys = site.keys_dir();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o755)).unwrap();
    let said = site.refused();
    assert!(said.contains("chmod"), "{said}");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_chain_in_place_of_the_old_one_is_named_and_entries_are_taken() {
    let anvil = ticking_chain().await;
    let mut site = Site::on(&anvil).await;
    let custodian = Custodian::fjord();
    let node = site.serve();
    let trust = node.trust().await;
    let receipt = node.report(&custodian.saw(&trust, 1, "on the old chain")).await;
    node.proof(&receipt).await;
    node.stop();

    let fresh = ticking_chain().await;
    let same_id = serde_json::json!([anvil.chain_id()]);
    fresh.call("anvil_setChainId", same_id).await.unwrap();
    site.settings.rpc = fresh.url();
    site.configure();
    let node = site.serve();
    node.report(&custodian.saw(&trust, 1, "on a fresh chain of the same id")).await;
    let ready = node
        .wait_until("saying that the chain is another", |ready| {
            ready["anchoring"]["state"] == "stopped"
        })
        .await;
    let advice = ready["anchoring"]["problem"]["advice"].as_str().unwrap_or_default();
    assert!(!advice.is_empty(), "{ready:#}");
    node.stop();
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
