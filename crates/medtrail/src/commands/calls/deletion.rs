//! After a call was delivered: a seller wants their part of the file deleted, and the buyer signs that
//! it is.

use crate::clock::now_ms;
use crate::commands::market::calls::{CallView, PartWithdrawal};
use crate::commands::market::views::read;
use crate::commands::market::{cohort_market_of, require_same_cohort_market};
use crate::commands::sales::deletion::words;
use crate::commands::signing::{Asking, Signing};
use crate::exit::{Failure, Outcome};
use crate::render::harmless;
use alloy_primitives::B256;
use medtrail_market::cohort::manifest::CohortManifest;
use medtrail_permit::sale::Deletion;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The seller asks.
pub(super) async fn ask(id: B256, asking: Asking) -> Outcome {
    let asker = asking.open().await?;
    let told = asker.session.post(&format!("/v1/calls/{id}/withdrawal"), &json!({})).await?;
    let own = told["own"].as_array().into_iter().flatten();
    let asked: Vec<String> = own.filter_map(|own| words(&own["withdrawal"])).collect();
    if asked.is_empty() {
        return Err(Failure::new("the service did not write down that you asked: try again"));
    }
    asker.tell(&told, || {
        println!(
            "Deletion: {}. Nothing can make a buyer delete; their silence is a line too.",
            asked.join("; ")
        );
    })
}

/// The buyer says that it is done: of one part, or of each that was asked for.
pub(super) async fn deleted(
    id: B256,
    label: Option<String>,
    into: Option<PathBuf>,
    show: bool,
    signing: Signing,
) -> Outcome {
    let manifest = into.as_deref().map(manifest_in).transpose()?;
    let signed = signing.open().await?;
    require_same_cohort_market(&signed).await?;
    let market = cohort_market_of(&signed.trust);
    let view: CallView = read(signed.session.get(&format!("/v1/calls/{id}")).await?)?;
    view.described(&market, id)?;
    let (buyer, own) = (view.cohort.buyer, signed.session.address());
    if buyer != own {
        return Err(Failure::new(format!("{buyer} bought this: sign in with its key (--key)")));
    }
    let left = left(&view.withdrawals, label.as_deref())?;
    if left.is_empty() {
        let told = json!({ "id": id, "signed": [] });
        return signed.tell(&told, |_| "You signed that it is deleted already.".to_owned());
    }
    if let Some(manifest) = &manifest {
        held_against(manifest, &left)?;
    }
    let names: Vec<String> = left.iter().map(|one| format!("person-{}", name(one))).collect();
    signed.say(&format!("You sign, for {} of call {id}:\n", names.join(", ")));
    signed.say(&format!("{}\n", Deletion::STATEMENT));
    if manifest.is_none() {
        signed.say(
            "Which parts these are is the service's word: --into FOLDER holds it against yours.",
        );
    }
    if show {
        let told = json!({ "call": id, "parts": names, "signed": false });
        return signed.tell(&told, |_| "Nothing was signed: leave out --show.".to_owned());
    }
    let mut answer = Value::Null;
    for (number, one) in left.iter().enumerate() {
        let deletion = Deletion::of_part(one.part, buyer, now_ms() / 1000);
        let signature = signed.session.key().sign_document(&deletion, &market.domain());
        let body = json!({ "deletion": deletion, "signature": signature });
        let told = signed.session.post(&format!("/v1/calls/{id}/deletion"), &body).await;
        answer = told.and_then(|told| written(told, one)).map_err(|failure| {
            // What was signed stands: the next run asks for the rest only.
            let (done, missing) = names.split_at(number);
            Failure::new(format!(
                "{failure}. Signed: {}. Not signed: {}; run it again for these",
                if done.is_empty() { "nothing".to_owned() } else { done.join(", ") },
                missing.join(", ")
            ))
        })?;
    }
    signed.tell(&answer, |_| {
        format!("Deleted: {}. Whoever sold it has a line that says so.", names.join(", "))
    })
}

/// The answer, if the service wrote down that this part is deleted.
fn written(told: Value, part: &PartWithdrawal) -> Result<Value, Failure> {
    let CallView { withdrawals, .. } = read(told.clone())?;
    let now = withdrawals.iter().find(|one| one.part == part.part);
    match now.is_some_and(|one| one.state == "deleted") {
        true => Ok(told),
        false => Err(Failure::new("the service did not write down that it is deleted")),
    }
}

/// Refuses what the file's own list does not have under that label: the service could have a buyer
/// sign about another part than they deleted.
fn held_against(manifest: &CohortManifest, asked: &[&PartWithdrawal]) -> Result<(), Failure> {
    match asked.iter().find(|one| !manifest.has_part(&one.label, one.part)) {
        None => Ok(()),
        Some(one) => Err(Failure::new(format!(
            "the file's manifest has another part under person-{}: nothing was signed. Ask who runs \
             the service",
            name(one)
        ))),
    }
}

/// The manifest in a folder of `medtrail call`.
fn manifest_in(folder: &Path) -> Result<CohortManifest, Failure> {
    let path = folder.join("data/manifest.json");
    let bytes = std::fs::read(&path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    CohortManifest::parse(&bytes)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// What is still to be signed. Nobody is to sign what was not asked for.
fn left<'a>(
    asked: &'a [PartWithdrawal],
    label: Option<&str>,
) -> Result<Vec<&'a PartWithdrawal>, Failure> {
    let label = label.map(|label| label.strip_prefix("person-").unwrap_or(label));
    let wished: Vec<&PartWithdrawal> =
        asked.iter().filter(|one| label.is_none_or(|label| one.label == label)).collect();
    if wished.is_empty() {
        return Err(Failure::new("no seller asked for that: nothing was signed"));
    }
    Ok(wished.into_iter().filter(|one| one.state != "deleted").collect())
}

/// Which parts are to be deleted, in words; none: none.
pub(super) fn asked(withdrawals: &[PartWithdrawal]) -> String {
    let told = withdrawals.iter().map(|one| {
        let state = match one.state.as_str() {
            "waiting" => "asked for, not answered yet (medtrail calls deleted)",
            "deleted" => "you signed that it is",
            "not-answered" => "asked for, and not answered in time (medtrail calls deleted)",
            other => return format!("\nTo be deleted: person-{}, {}", name(one), harmless(other)),
        };
        format!("\nTo be deleted: person-{}, {state}", name(one))
    });
    told.collect()
}

fn name(one: &PartWithdrawal) -> String {
    harmless(&one.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use medtrail_market::cohort::manifest::ConsentOf;

    fn part(label: &str, state: &str) -> PartWithdrawal {
        PartWithdrawal { label: label.into(), part: B256::repeat_byte(1), state: state.into() }
    }

    #[test]
    fn only_what_was_asked_for_and_is_not_signed_yet_is_signed() {
        let asked = [part("ab", "waiting"), part("cd", "deleted"), part("ef", "not-answered")];
        let labels = |label: Option<&str>| {
            let left = left(&asked, label).ok()?;
            Some(left.iter().map(|one| one.label.clone()).collect::<Vec<_>>())
        };
        assert_eq!(labels(None).unwrap_or_default(), ["ab", "ef"]);
        assert_eq!(labels(Some("person-ef")).unwrap_or_default(), ["ef"]);
        assert_eq!(labels(Some("cd")), Some(Vec::new()));
        assert_eq!(labels(Some("none")), None);
    }

    #[test]
    fn nobody_signs_about_another_part_than_the_manifest_has_under_that_label() {
        let path = "../../tests/data/delivery/cohort-v1-de-identified.manifest.json";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let manifest = CohortManifest::parse(&std::fs::read(path).unwrap()).unwrap();
        let parts: Vec<PartWithdrawal> = (manifest.persons.iter())
            .filter_map(|person| match person.consent {
                ConsentOf::Hidden(hash) => {
                    Some(PartWithdrawal { part: hash, ..self::part(&person.label, "waiting") })
                }
                ConsentOf::Place(_) => None,
            })
            .collect();
        let [first, second, _] = &parts[..] else { panic!("{parts:?}") };
        assert!(held_against(&manifest, &[first, second]).is_ok());
        let swapped = PartWithdrawal { label: second.label.clone(), ..first.clone() };
        let refused = held_against(&manifest, &[first, &swapped]).unwrap_err().to_string();
        assert!(refused.contains(&format!("another part under person-{}", second.label)));
    }

    #[test]
    fn what_is_to_be_deleted_is_told_in_words_that_no_service_can_bend() {
        let told = asked(&[part("ab", "waiting"), part("\u{1b}[2J", "\u{1b}[1m")]);
        assert!(told.starts_with("\nTo be deleted: person-ab, asked for, not answered yet"));
        assert!(!told.contains('\u{1b}'));
        assert_eq!(asked(&[]), "");
    }
}
