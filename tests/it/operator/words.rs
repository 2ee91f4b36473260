//! What a person at a terminal is told: how to use it, and what to do when it was used wrongly.

use crate::site::{Custodian, NO_CHAIN, Settings, Site, must};
use journeys::medtrail;
use medtrail_ledger::proof::spell;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Commands that end with more than 0 and 1, or with 1 for a reason of their own.
const SPECIAL: [(&str, &[&str]); 5] = [
    ("verify", &["0: all green", "3: ", "1: "]),
    ("status", &["0: anchors move", "3: ", "1: "]),
    ("doctor", &["0: all right", "3: ", "1: "]),
    ("fsck", &["Exit code 1"]),
    ("serve", &["Ends with 1"]),
];

#[test]
fn every_command_explains_itself_and_its_exit_codes() {
    let help = must(medtrail::run(["--help"]).into());
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands = commands.lines().filter(|line| line.starts_with("  ") && &line[2..3] != " ");
    let commands: Vec<_> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(commands.len() > 10 && commands.contains(&"export"), "{commands:?}");
    for command in &commands {
        if *command == "help" {
            continue;
        }
        let said = must(medtrail::run([command, "--help"]).into());
        assert!(said.contains("Usage: medtrail "), "{command}: {said}");
        assert!(!said.starts_with("Usage"), "{command} says no word of what it does: {said}");
        let codes = SPECIAL.iter().find(|(name, _)| name == command).map_or(&[][..], |one| one.1);
        let flowing = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for code in codes {
            assert!(flowing.contains(code), "{command} --help lacks {code:?}: {said}");
        }
    }
    for (command, _) in SPECIAL {
        assert!(commands.contains(&command), "{command}");
    }
    let version = must(medtrail::run(["--version"]).into());
    assert!(version.starts_with("medtrail "), "{version}");
}

/// Each must fail with this code, and say each of these.
fn must_say(site: &Site, cases: &[(&[&str], i32, &[&str])]) {
    for (arguments, code, words) in cases {
        let said = site.run(*arguments);
        assert_eq!(said.code, Some(*code), "{arguments:?}: {said:?}");
        assert!(said.out.is_empty(), "{arguments:?}: {said:?}");
        for word in *words {
            assert!(said.err.contains(word), "{arguments:?} lacks {word:?}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_cannot_be_made_says_what_to_change() {
    let site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    site.write("trust.json", node.trust_bytes().await);
    site.write("event.json", r#"{"resourceType":"AuditEvent"}"#);
    site.write("torn.json", r#"{"resourceType":"AuditEv"#);
    site.write("two.json", r#"{"a":1} {"b":2}"#);
    site.write("latin1.json", b"{\"name\":\"\xc6sa\"}");
    let mut other_log = node.trust().await;
    other_log.log.0[0] ^= 1;
    site.write("other-trust.json", spell(&other_log));
    site.write_secret("pass", "the stranger's passphrase\n");
    site.write_secret("wrong", "not the stranger's passphrase\n");
    site.write_secret("weak", "short\n");
    must(site.run(["keys", "reporter", "key.json", "--passphrase-file", "pass"]));

    let url = node.url.clone();
    let base = |change: &[(&str, &str)]| -> Vec<String> {
        let mut arguments = vec![
            ("--url", url.as_str()),
            ("--trust", "trust.json"),
            ("--key", "key.json"),
            ("--passphrase-file", "pass"),
            ("--subject", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            ("--details", "event.json"),
        ];
        for (name, value) in change {
            match arguments.iter_mut().find(|(there, _)| there == name) {
                Some(argument) => argument.1 = value,
                None => arguments.push((name, value)),
            }
        }
        let arguments = arguments.into_iter().flat_map(|(name, value)| [name, value]);
        ["report"].into_iter().chain(arguments).map(str::to_owned).collect()
    };
    type Case<'a> = (&'a [(&'a str, &'a str)], i32, &'a [&'a str]);
    let cases: [Case<'_>; 18] = [
        (&[("--kind", "erasure")], 2, &["erasure", "access, change, hand-over"]),
        (&[("--kind", "4")], 2, &["'4'", "possible values"]),
        (&[("--action", "X")], 2, &["'X'", "C, R, U, D, E"]),
        (&[("--subject", "Mari Tamm")], 2, &["--subject", "an address (20 bytes)", "32 bytes"]),
        (&[("--subject", "0x1234")], 2, &["a person is an address"]),
        (&[("--record", "7")], 2, &["--record"]),
        (&[("--time-ms", "yesterday")], 2, &["--time-ms", "yesterday"]),
        (&[("--details", "absent.json")], 1, &["absent.json", "No such file"]),
        (&[("--details", "torn.json")], 1, &["torn.json", "line 1"]),
        (&[("--details", "two.json")], 1, &["two.json", "trailing"]),
        (&[("--details", "latin1.json")], 1, &["latin1.json", "line 1"]),
        (&[("--trust", "absent.json")], 1, &["absent.json", "No such file"]),
        (&[("--trust", "event.json")], 1, &["event.json", "not a trust file"]),
        (&[("--key", "absent.json")], 1, &["absent.json", "No such file"]),
        (&[("--key", "event.json")], 1, &["event.json"]),
        (&[("--passphrase-file", "wrong")], 1, &["the passphrase does not open this keystore"]),
        (&[("--trust", "other-trust.json")], 1, &["422", "report.log", "sign the report anew"]),
        (&[("--url", NO_CHAIN)], 1, &[NO_CHAIN, "refused"]),
    ];
    for (change, code, words) in cases {
        let arguments = base(change);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        must_say(&site, &[(&arguments, code, words)]);
    }
    // A key that no organisation has.
    let arguments = base(&[]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    must_say(
        &site,
        &[(&arguments, 1, &["403", "is not a key that any organisation", "the operator"])],
    );
    assert_eq!(node.readyz().await["entries"], 0);

    // Without any passphrase, with one that others can read, with a weak one.
    let mut command = site.command(base(&[]).iter().filter(|one| !one.contains("pass")));
    let said: crate::site::Said =
        command.env_remove("MEDTRAIL_PASSPHRASE_FILE").output().unwrap().into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("--passphrase-file"), "{said:?}");
    fs::set_permissions(site.path("pass"), fs::Permissions::from_mode(0o644)).unwrap();
    must_say(&site, &[(&arguments, 1, &["pass", "chmod 600"])]);
    let weak = ["keys", "reporter", "new.json", "--passphrase-file", "weak"];
    must_say(&site, &[(&weak, 1, &["at least 16 bytes"])]);
    assert!(!site.path("new.json").exists());
    node.stop();
}

#[test]
fn the_other_commands_name_the_file_or_the_address_that_is_wrong() {
    let site = Site::new(Settings::without_a_chain());
    site.write("notes.txt", "not a receipt");
    must_say(
        &site,
        &[
            (&["verify", "--rpc", NO_CHAIN], 2, &["<FILES>"]),
            (&["verify", "proof.json"], 2, &["--rpc"]),
            (&["verify", "proof.json", "--rpc", "chain"], 1, &["chain"]),
            (&["verify", "x", "--rpc", NO_CHAIN, "--trust", "absent.json"], 1, &["absent.json"]),
            (&["status", "--url", NO_CHAIN], 1, &[NO_CHAIN]),
            (&["status", "--url", "nowhere"], 1, &["nowhere"]),
            (&["proof", "absent.json", "--url", NO_CHAIN, "--out", "p"], 1, &["absent.json"]),
            (&["proof", "notes.txt", "--url", NO_CHAIN, "--out", "p"], 1, &["notes.txt"]),
            (&["deploy"], 1, &[NO_CHAIN]),
            (&["keys", "reporter", "notes.txt"], 1, &["notes.txt", "never overwritten"]),
            (&["serve", "--config", "absent.toml"], 1, &["absent.toml", "--config"]),
            // Not "nothing is wrong", and nothing is made there.
            (&["fsck", "--data-dir", "absent"], 1, &["absent", "no log"]),
            (&["fsck", "--without-keys", "--data-dir", "absent"], 1, &["absent", "no log"]),
            (&["reindex", "--data-dir", "absent"], 1, &["absent", "no log"]),
            (&["export", "--to", "out", "--data-dir", "absent"], 1, &["absent", "no log"]),
        ],
    );
    assert!(!site.path("absent").exists(), "a check has made what it should check");
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_with_its_field() {
    let site = Site::new(Settings::without_a_chain());
    let good = fs::read_to_string(site.path("medtrail.toml")).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    for (text, words) in [
        (replaced("data_dir", "data_folder"), "data_folder"),
        (replaced("origin = \"", "origin = \"https://"), "origin"),
        (replaced("chain_id = 633825", "chain_id = \"mainnet\""), "chain_id"),
        (replaced("anchor_interval_s = 1", "anchor_interval_s = 4000"), "anchor_interval_s"),
        (replaced("rpc = [", "rpc = [] # ["), "chain.rpc"),
        (replaced("cold_key = \"0x3C", "cold_key = \"0xZZ"), "cold_key"),
        (replaced("listen = \"127.0.0.1:0\"", "listen = \"here\""), "listen"),
        (replaced("[operator]", "[operator"), "line"),
        (replaced("fromMs", "from_ms"), "from_ms"),
    ] {
        site.write("medtrail.toml", text);
        must_say(&site, &[(&["serve"], 1, &["configuration", words])]);
        let doctor = site.run(["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        assert!(doctor.out.contains("✗ configuration") && doctor.out.contains(words), "{doctor:?}");
    }
    site.write("medtrail.toml", good);
    // A variable outranks the file, and is held to the same rules.
    let mut command = site.command(["serve"]);
    let said: crate::site::Said =
        command.env("MEDTRAIL__CHAIN__ANCHOR_INTERVAL_S", "4000").output().unwrap().into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("anchor_interval_s"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_the_same_to_people_and_to_programs() {
    let site = Site::new(Settings::without_a_chain());
    let node = site.serve();
    let trust = node.trust().await;
    node.report(&Custodian::fjord().saw(&trust, 1, "the event")).await;
    node.wait_until("waiting", |ready| ready["anchoring"]["lagEntries"] == 1).await;
    node.wait_for_problem("no node of the chain answers").await;

    let said = site.run(["status", "--json", "--url", &node.url]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(said.out.lines().count(), 1, "a line for a program: {}", said.out);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&json["ready"], &json["entries"]), (&true.into(), &1.into()), "{json:#}");
    let anchoring = &json["anchoring"];
    assert_eq!((&anchoring["state"], &anchoring["lagEntries"]), (&"failing".into(), &1.into()));
    let (what, advice) = (&anchoring["problem"]["what"], &anchoring["problem"]["advice"]);

    let table = site.run(["status", "--url", &node.url]);
    assert_eq!(table.code, Some(3), "{table:?}");
    let flowing = table.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [what, advice] {
        let first = words.as_str().unwrap().split(' ').take(4).collect::<Vec<_>>().join(" ");
        assert!(flowing.contains(&first), "{first:?}: {}", table.out);
    }
    node.stop();
}
