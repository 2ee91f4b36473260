//! The steps that need no chain: the entries are of this call, the file is the one they name, who
//! agreed, and what is in it.

use super::{Given, Settled};
use crate::commands::delivery::contents::{NAMED_MAX, counted, other_identity};
use crate::commands::delivery::step;
use medtrail_ledger::verify::{Step, Verdict};
use medtrail_market::cohort::manifest::CohortManifest;
use medtrail_market::cohort::verify::{Checked, CohortFault, before_key};
use medtrail_market::manifest::Whose;
use medtrail_market::verify::Fault;
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

/// Adds the steps. After a wrong one those that would rest on it are not taken.
pub(super) fn steps(
    given: &Given,
    settled: Option<&Settled>,
    steps: &mut Vec<Step>,
) -> Option<Checked> {
    let mut add = |name, verdict, words| steps.push(step(name, verdict, words));
    let file = match File::open(&given.file) {
        Ok(file) => BufReader::new(file),
        Err(error) => {
            add("file", Verdict::Red, error.to_string());
            return None;
        }
    };
    // The entries are looked at before the file is read.
    match before_key(&given.called(), &given.entered(), file) {
        Ok(()) => {
            let words = format!(
                "{} entries are deliveries of one file to this call, each in its seller's trail.",
                given.proofs.len()
            );
            add("deliveries", Verdict::Green, words);
            let words = format!("The file's SHA-256 is that of the entries: {}.", given.named());
            add("file", Verdict::Green, words);
        }
        Err(CohortFault::Delivery(fault @ (Fault::File { .. } | Fault::Io(_)))) => {
            let words = format!("{fault}. Download it again; if it stays so, do not accept it.");
            add("file", Verdict::Red, words);
            return None;
        }
        Err(fault) => {
            add("deliveries", Verdict::Red, fault.to_string());
            return None;
        }
    }
    let Some(settled) = settled else {
        let words = "Not opened: the key is public once the first are paid. Check again then.";
        add("key", Verdict::Amber, words.to_owned());
        return None;
    };
    if settled.file != given.named() {
        let words = format!(
            "The chain was settled for the file {}, this is another: one that was made before. \
             Download it again.",
            settled.file
        );
        add("file", Verdict::Red, words);
        return None;
    }
    let lock = settled.key.lock();
    if given.proofs.iter().any(|proof| proof.report.fromVersion != lock) {
        let words = format!("The key's SHA-256 is {lock}, the entries say another: not their key.");
        add("key", Verdict::Red, words);
        return None;
    }
    add("key", Verdict::Green, format!("The key's SHA-256 is that of the entries: {lock}."));
    if given.buyers.is_empty() {
        let words = "Not opened: only the buyer can. Give --identity FILE.".to_owned();
        add("opened", Verdict::Amber, words);
        return None;
    }
    let Some(buyer) = given.buyer() else {
        let words = other_identity("call", &given.buyers, given.cohort.recipient);
        add("opened", Verdict::Red, words);
        return None;
    };
    match given.open(&settled.key, settled, buyer, &mut |_, _| Ok(())) {
        Ok(checked) => {
            steps.extend(told(&checked, &given.dataset));
            Some(checked)
        }
        Err(fault) => {
            add("opened", Verdict::Red, fault.to_string());
            None
        }
    }
}

/// What a manifest says. Hashes, consents and their entries are checked by then.
fn told(checked: &Checked, dataset: &Dataset) -> Vec<Step> {
    let manifest = &checked.manifest;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let opened = format!(
        "Both seals opened; the manifest is that of the entries and of this call; people: {}, files: \
         {}, {bytes} bytes, with the hashes it says.",
        manifest.persons.len(),
        manifest.files.len()
    );
    vec![
        step("opened", Verdict::Green, opened),
        consents(checked),
        records(manifest),
        removed(manifest),
        form(manifest, dataset),
    ]
}

/// Whether each agreed to exactly this.
fn consents(checked: &Checked) -> Step {
    let count = checked.manifest.consents.len();
    let Checked { unpaid, by_others, .. } = checked;
    // Of whoever was paid the contract has found that the signature is that of who acts for them.
    let unsigned: Vec<u32> =
        by_others.iter().copied().filter(|place| unpaid.contains(place)).collect();
    let words = format!("{count} acceptances of this very call, each recorded and delivered");
    if !unsigned.is_empty() {
        let words = format!(
            "{words}; of places {} nobody has shown that who signed acts for the seller, and they are \
             not paid: leave their data alone.",
            places(&unsigned)
        );
        return step("consents", Verdict::Amber, words);
    }
    let own = count - by_others.len();
    let words = match by_others.len() {
        0 => format!("{words}, each signed by its seller's own key"),
        others => format!(
            "{words}; {own} signed by the seller's own key, {others} by who acts for the seller, as \
             the contract found"
        ),
    };
    if unpaid.is_empty() {
        return step("consents", Verdict::Green, format!("{words}."));
    }
    let words = format!("{words}. Not paid at the final block: places {}.", places(unpaid));
    step("consents", Verdict::Amber, words)
}

fn places(places: &[u32]) -> String {
    let named: Vec<String> = places.iter().take(NAMED_MAX).map(u32::to_string).collect();
    let more = match places.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}

fn records(manifest: &CohortManifest) -> Step {
    let all = || manifest.persons.iter().flat_map(|person| &person.records);
    let signed = all().filter(|record| record.word == Whose::SignedByOrganisation).count();
    let count = all().count();
    let hidden = match manifest.made {
        Some(_) => {
            " Whose each is and where it comes from is hidden; the log's operator can open single \
             ones."
        }
        None => " Each names its entry: ask the log for its proof to check a signature.",
    };
    let words = format!(
        "The manifest says: records {count}, of them signed by organisations {signed}, uploaded by \
         the persons {}.{hidden}",
        count - signed
    );
    step("records", Verdict::Green, words)
}

fn removed(manifest: &CohortManifest) -> Step {
    let Some(made) = &manifest.made else {
        let words = "Nothing was removed: the records are the bytes that were kept.";
        return step("removed", Verdict::Green, words.to_owned());
    };
    let (mut elements, mut resources) = (BTreeMap::new(), BTreeMap::new());
    for removed in manifest.persons.iter().filter_map(|person| person.removed.as_ref()) {
        for (from, to) in [(&removed.elements, &mut elements), (&removed.resources, &mut resources)]
        {
            for (name, count) in from {
                *to.entry(name.clone()).or_default() += count;
            }
        }
    }
    let words = format!(
        "Made harmless by {} with profile {}; removed: elements {}; resources {}.",
        made.tool,
        made.profile.word(),
        counted(&elements),
        counted(&resources)
    );
    step("removed", Verdict::Green, words)
}

/// The manifest says of itself what was called for; that its form is, it was read by.
fn form(manifest: &CohortManifest, dataset: &Dataset) -> Step {
    let red = |words: String| step("form", Verdict::Red, words);
    let (form, end) = match dataset.form() {
        Form::AsItIs => ("as it is", None),
        Form::DeIdentified(profile, Layout::Ndjson) => (profile.word(), Some(".ndjson")),
        Form::DeIdentified(profile, Layout::Bundle) => (profile.word(), Some(".json")),
    };
    let is_other = |end: &str| manifest.files.iter().any(|file| !file.path.ends_with(end));
    if let Some(end) = end.filter(|end| is_other(end)) {
        return red(format!("files: another layout than {end} was delivered."));
    }
    let records = manifest.persons.iter().flat_map(|person| &person.records);
    let uploaded = records.filter(|record| record.word == Whose::UploadedByPerson).count();
    if dataset.origin() == Origin::Signed && uploaded > 0 {
        return red(format!(
            "records: only what organisations signed was called for, and {uploaded} were uploaded by \
             the persons."
        ));
    }
    let words = format!("Form ({form}), layout and origin are those that were called for.");
    step("form", Verdict::Green, words)
}
