//! Files that are no proofs at all.

use crate::site::{NO_CHAIN, Settings, Site};
use medtrail_ledger::proof::PROOF_BYTES_MAX;

/// What was once handed out, to cut into pieces.
const PROOF: &str = include_str!("../../data/formats/proof-v1.json");
const RECEIPT: &str = include_str!("../../data/formats/receipt-v1.json");
const TRUST: &str = include_str!("../../data/formats/trust-v1.json");

#[test]
fn what_is_no_proof_is_refused_in_words_and_never_a_panic() {
    let site = Site::new(Settings::without_a_chain());
    let deep = |opening: &str| opening.repeat(300_000);
    let files: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "EOF"),
        ("blank", b" \n ".to_vec(), "EOF"),
        ("number", b"7".to_vec(), "line 1"),
        ("null", b"null".to_vec(), "line 1"),
        ("list", b"[]".to_vec(), "line 1"),
        ("object", b"{}".to_vec(), "version"),
        ("text", b"I swear it was so.".to_vec(), "line 1"),
        ("not-utf8", [&PROOF.as_bytes()[..400], &[0xff, 0xfe], b"\"}"].concat(), "line"),
        ("latin1", PROOF.bytes().map(|b| b | 0x80).collect(), "line"),
        ("utf16", PROOF.encode_utf16().flat_map(u16::to_le_bytes).collect(), "line 1"),
        ("bom", [b"\xef\xbb\xbf", PROOF.as_bytes()].concat(), "line 1"),
        ("deep-lists", deep("[").into_bytes(), "line 1"),
        ("deep-objects", deep("{\"version\":").into_bytes(), "line 1"),
        (
            "deep-inside",
            PROOF.replacen("\"index\": ", &format!("\"index\": {}", deep("[")), 1).into(),
            "line 3",
        ),
        ("too-long", vec![b' '; PROOF_BYTES_MAX + 1], "more than 4194304 bytes"),
        ("other-version", PROOF.replace("proof-v1", "proof-v2").into_bytes(), "proof-v2"),
        ("trust-file", TRUST.as_bytes().to_vec(), "line"),
        ("twice", [PROOF, PROOF].concat().into_bytes(), "trailing"),
        ("one-line", PROOF.replace('\n', "").into_bytes(), "byte 1"),
        ("windows", PROOF.replace('\n', "\r\n").into_bytes(), "byte 1"),
        ("no-newline", PROOF.trim_end().as_bytes().to_vec(), "byte"),
        (
            "huge-number",
            PROOF.replacen("\"index\": ", "\"index\": 99999999999999999999", 1).into(),
            "line 3",
        ),
        ("negative", PROOF.replacen("\"index\": ", "\"index\": -", 1).into(), "line 3"),
        ("surplus", PROOF.replacen("\"index\"", "\"green\": true, \"index\"", 1).into(), "green"),
        ("double", PROOF.replacen("\"index\"", "\"index\": 0, \"index\"", 1).into(), "duplicate"),
    ];
    for (name, content, words) in files {
        let file = site.write(&format!("{name}.json"), content);
        let said = site.run(["verify", file.to_str().unwrap(), "--rpc", NO_CHAIN]);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert!(said.out.contains(file.to_str().unwrap()), "{name}: {said:?}");
        let line = said.out.lines().find(|line| line.contains("✗ file"));
        let line = line.unwrap_or_else(|| panic!("{name}: {said:?}"));
        assert!(line.contains(words), "{name}: {line}");
        assert!(line.len() < 1_000, "{name} is quoted at length");
        assert!(said.out.contains("NOT verified"), "{name}: {said:?}");
    }
    for (name, words) in [("absent.json", "No such file"), ("keys", "directory")] {
        let said = site.run(["verify", name, "--rpc", NO_CHAIN]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains("✗ file") && said.out.contains(words), "{said:?}");
    }
}

/// Cut anywhere, as by a full disk or a lost connection.
#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let site = Site::new(Settings::without_a_chain());
    site.write("trust.json", TRUST);
    for (name, whole) in [("proof", PROOF), ("receipt", RECEIPT)] {
        let cut = |part: usize| {
            let end = part * (whole.len() - 1) / 39;
            site.write(&format!("{name}-{end}.json"), &whole.as_bytes()[..end])
        };
        let files: Vec<_> = (0..40).map(cut).collect();
        let files = files.iter().map(|file| file.to_str().unwrap());
        let arguments = ["--rpc", NO_CHAIN, "--trust", "trust.json"];
        let said = site.run(["verify"].into_iter().chain(files).chain(arguments));
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(said.out.matches("✗ file").count(), 40, "{}", said.out);
    }
}
