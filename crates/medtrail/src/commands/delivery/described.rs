//! Whether a delivery is of the form and origin that were sold. Only the description says it, and the
//! order has no more than its hash.

use super::step;
use medtrail_ledger::verify::{Step, Verdict};
use medtrail_market::manifest::{Manifest, Whose};
use medtrail_permit::dataset::{Dataset, Form, Layout, Origin, Profile};
use medtrail_permit::sale::{Order, words};

/// The description is the one that the order's terms name.
pub(super) fn named(order: &Order, dataset: &Dataset) -> Step {
    let terms = &order.offer.terms;
    if dataset.id() != terms.dataset {
        let words = format!(
            "The description's SHA-256 is {}, the order's terms name {}: a description of other \
             data.",
            dataset.id(),
            terms.dataset
        );
        return step("dataset", Verdict::Red, words);
    }
    match words::language_of(&order.offer, dataset) {
        Some(_) => {
            let words =
                "The order's terms name this description, and the seller read what it says.";
            step("dataset", Verdict::Green, words.to_owned())
        }
        None => {
            let words = "The order's terms name this description, but terms.statement, which the \
                         seller read, is not what the fields say.";
            step("dataset", Verdict::Amber, words.to_owned())
        }
    }
}

/// The manifest says of itself what was sold.
pub(super) fn fits(manifest: &Manifest, dataset: &Dataset) -> Step {
    let red = |words: String| step("form", Verdict::Red, words);
    let (sold, path) = match dataset.form() {
        Form::AsItIs => (None, None),
        Form::DeIdentified(profile, Layout::Ndjson) => (Some(profile), Some("data.ndjson")),
        Form::DeIdentified(profile, Layout::Bundle) => (Some(profile), Some("bundle.json")),
    };
    let made = manifest.made.as_ref().map(|made| made.profile);
    let word = |profile: Option<Profile>| profile.map_or("as it is", Profile::word);
    if made != sold {
        return red(format!("made: sold {}, delivered {}.", word(sold), word(made)));
    }
    if path.is_some_and(|path| manifest.files.iter().any(|file| file.path != path)) {
        return red(format!("files: another layout than {} was delivered.", path.unwrap_or("")));
    }
    let uploaded = |whose: Whose| whose == Whose::UploadedByPerson;
    let count = manifest.records.iter().filter(|record| uploaded(record.word)).count();
    if dataset.origin() == Origin::Signed && count > 0 {
        return red(format!(
            "records: only what organisations signed was sold, and {count} were uploaded by the \
             person."
        ));
    }
    let words = format!("Form ({}), layout and origin are those that were sold.", word(sold));
    step("form", Verdict::Green, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use medtrail_market::manifest::{self, Entry, File, Made, Origin as From};

    fn dataset(form: Form, origin: Origin) -> Dataset {
        Dataset::new("patient/*.rs", Vec::new(), 0, 4_102_444_800, form, origin).unwrap()
    }

    fn manifest(profile: Option<Profile>, path: &str, word: Whose) -> Manifest {
        let made = profile.map(|profile| Made {
            tool: "medtrail".into(),
            profile,
            removed: Default::default(),
        });
        let origin = From::Hidden(B256::ZERO);
        Manifest {
            version: manifest::VERSION.into(),
            order: B256::ZERO,
            dataset: B256::ZERO,
            made,
            files: vec![File { path: path.into(), hash: B256::ZERO, bytes: 1 }],
            records: vec![Entry { path: path.into(), number: Some(1), word, origin }],
        }
    }

    #[test]
    fn what_was_not_sold_is_found() {
        use Profile::{SafeHarbor, ShiftedDates};
        use Whose::{SignedByOrganisation as Signed, UploadedByPerson as Uploaded};
        let safe = Form::DeIdentified(SafeHarbor, Layout::Ndjson);
        let sold = dataset(safe, Origin::Signed);
        let judged = |profile, path, word, sold: &Dataset| {
            let found = fits(&manifest(profile, path, word), sold);
            let field = found.words.split(':').next().unwrap_or_default().to_owned();
            (found.verdict == Verdict::Red).then_some(field)
        };
        assert_eq!(judged(Some(SafeHarbor), "data.ndjson", Signed, &sold), None);
        let red = |field: &str| Some(field.to_owned());
        assert_eq!(judged(Some(ShiftedDates), "data.ndjson", Signed, &sold), red("made"));
        assert_eq!(judged(None, "data.ndjson", Signed, &sold), red("made"));
        assert_eq!(judged(Some(SafeHarbor), "bundle.json", Signed, &sold), red("files"));
        assert_eq!(judged(Some(SafeHarbor), "data.ndjson", Uploaded, &sold), red("records"));
        let both = dataset(safe, Origin::SignedAndUploaded);
        assert_eq!(judged(Some(SafeHarbor), "data.ndjson", Uploaded, &both), None);
        let whole = dataset(Form::AsItIs, Origin::Signed);
        assert_eq!(judged(None, "records/000001.json", Signed, &whole), None);
        assert_eq!(judged(Some(SafeHarbor), "data.ndjson", Signed, &whole), red("made"));
    }
}
