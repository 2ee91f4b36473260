//! The steps that need no chain: the entry is of this order, the file is the one it names, and what
//! is in it.

use super::input::Given;
use super::{described, step};
use alloy_primitives::B256;
use medtrail_ledger::verify::{Step, Verdict};
use medtrail_market::manifest::{Manifest, Origin, Whose};
use medtrail_market::seal::{BuyerKey, LockKey, text_of};
use medtrail_market::verify::{Fault, before_payment, delivery};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

/// Names that one line can hold.
pub(super) const NAMED_MAX: usize = 12;

/// Adds the steps. After a wrong one those that would rest on it are not taken.
pub(super) fn steps(given: &Given, key: Option<&LockKey>, steps: &mut Vec<Step>) {
    let mut add = |name, verdict, words| steps.push(step(name, verdict, words));
    let (order, report) = (given.id(), &given.proof.report);
    let file = match File::open(&given.path) {
        Ok(file) => file,
        Err(error) => return add("file", Verdict::Red, error.to_string()),
    };
    let held = before_payment(&given.ordered(), report, &given.details, file);
    // The entry is looked at before the file is read.
    let is_of_order = matches!(held, Ok(_) | Err(Fault::File { .. } | Fault::Io(_)));
    if is_of_order {
        let words = format!(
            "Entry {} is the delivery of order {order}: {} bought from {}, at market {} of chain \
             {}.",
            given.proof.index,
            given.order.buyer,
            given.order.offer.seller,
            given.market.data_market,
            given.market.chain_id,
        );
        add("order", Verdict::Green, words);
        if let Some(dataset) = &given.dataset {
            let Step { name, verdict, words } = described::named(&given.order, dataset);
            add(name, verdict, words);
        }
    }
    match &held {
        Ok(details) => {
            let words = format!("The file's SHA-256 is the entry's: {}.", report.toVersion);
            add("file", Verdict::Green, words);
            let words = format!("The entry names manifest {}.", details.manifest);
            add("manifest", Verdict::Green, words);
        }
        Err(fault @ (Fault::File { .. } | Fault::Io(_))) => {
            let words = format!("{fault}. Download it again; if it stays so, do not accept it.");
            return add("file", Verdict::Red, words);
        }
        Err(Fault::Entry(field)) => {
            let words = format!(
                "report.{field} of entry {} is not that of a delivery of order {order} (market {}, \
                 chain {}): a proof of another order, or an order that was changed.",
                given.proof.index, given.market.data_market, given.market.chain_id,
            );
            return add("order", Verdict::Red, words);
        }
        Err(_) if given.proof.details.is_none() => {
            let words = "details: the proof holds none, and they name the manifest. Ask for the \
                         proof again as the order's buyer."
                .to_owned();
            return add("order", Verdict::Red, words);
        }
        Err(fault) => return add("order", Verdict::Red, fault.to_string()),
    }
    let Some(key) = key else {
        let words =
            "Not opened: the key is public once the seller is paid. Check again then, with \
                     --rpc URL or --key KEY."
                .to_owned();
        return add("key", Verdict::Amber, words);
    };
    if key.lock() != report.fromVersion {
        let words = format!(
            "The key's SHA-256 is {}, the entry says {}: a key of another sale.",
            key.lock(),
            report.fromVersion
        );
        return add("key", Verdict::Red, words);
    }
    add("key", Verdict::Green, format!("The key's SHA-256 is the entry's: {}.", key.lock()));
    if given.buyers.is_empty() {
        let words = "Not opened: only the buyer can. Give --identity FILE.".to_owned();
        return add("opened", Verdict::Amber, words);
    }
    let Some(buyer) = given.buyer() else {
        return add(
            "opened",
            Verdict::Red,
            other_identity("order", &given.buyers, given.order.recipient),
        );
    };
    match open(given, key, buyer, &mut |_, _| Ok(())) {
        Ok(manifest) => {
            told(&manifest, steps);
            steps.extend(given.dataset.as_ref().map(|sold| described::fits(&manifest, sold)));
        }
        Err(fault) => add("opened", Verdict::Red, fault.to_string()),
    }
}

/// Opens a delivery and checks all of it once more, with the file as it is now.
pub(in crate::commands) fn open(
    given: &Given,
    key: &LockKey,
    buyer: &BuyerKey,
    take: &mut dyn FnMut(&str, &[u8]) -> io::Result<()>,
) -> Result<Manifest, Fault> {
    let file = io::BufReader::new(File::open(&given.path)?);
    let report = &given.proof.report;
    delivery(&given.ordered(), report, &given.details, key, buyer, file, take)
}

pub(super) fn other_identity(what: &str, held: &[BuyerKey], recipient: B256) -> String {
    let held: Vec<String> = held.iter().take(3).map(|key| text_of(key.recipient())).collect();
    format!(
        "recipient: the {what} names {}, your identity file has {}. Only the key that the {what} \
         names opens it.",
        text_of(recipient),
        held.join(", ")
    )
}

/// What a manifest says. The hashes are checked by then; whose word a record is, is the manifest's.
fn told(manifest: &Manifest, steps: &mut Vec<Step>) {
    let mut add = |name, words| steps.push(step(name, Verdict::Green, words));
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    add(
        "opened",
        format!(
            "Both seals opened; the manifest is the entry's and of this order and dataset {}; \
             files: {}, {bytes} bytes, with the hashes it says.",
            manifest.dataset,
            manifest.files.len()
        ),
    );
    let mut signers: BTreeMap<String, u64> = BTreeMap::new();
    let (mut signed, mut uploaded) = (0_u64, 0_u64);
    for record in &manifest.records {
        match record.word {
            Whose::SignedByOrganisation => signed += 1,
            Whose::UploadedByPerson => uploaded += 1,
        }
        if let Origin::Open(original) = &record.origin
            && let Some(signer) = original.signer
        {
            *signers.entry(format!("{} ({signer})", original.source)).or_default() += 1;
        }
    }
    let names = match signers.is_empty() {
        true => String::new(),
        false => format!(" ({})", counted(&signers)),
    };
    let hidden = match manifest.made {
        Some(_) => " Where each comes from is hidden; the log's operator can open single ones.",
        None => " Each names its entry: ask the log for its proof to check a signature.",
    };
    add(
        "records",
        format!(
            "The manifest says: records {}, of them signed by organisations {signed}{names}, \
             uploaded by the person {uploaded}.{hidden}",
            manifest.records.len()
        ),
    );
    let words = match &manifest.made {
        None => "Nothing was removed: the records are the bytes that were kept.".to_owned(),
        Some(made) => format!(
            "Made harmless by {} with profile {}; removed: elements {}; resources {}.",
            made.tool,
            made.profile.word(),
            counted(&made.removed.elements),
            counted(&made.removed.resources)
        ),
    };
    add("removed", words);
}

/// The names with the highest counts.
pub(super) fn counted(counts: &BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    let mut parts: Vec<String> =
        sorted.iter().take(NAMED_MAX).map(|(name, count)| format!("{name} {count}")).collect();
    if counts.len() > NAMED_MAX {
        parts.push(format!("and {} more names", counts.len() - NAMED_MAX));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_names_is_cut_and_says_so() {
        let counts = |names: u64| (0..names).map(|name| (format!("n{name:02}"), name)).collect();
        assert_eq!(counted(&counts(0)), "none");
        assert_eq!(counted(&counts(3)), "n02 2, n01 1, n00 0");
        let cut = counted(&counts(15));
        assert!(cut.starts_with("n14 14, n13 13") && cut.ends_with("n03 3, and 3 more names"));
    }
}
