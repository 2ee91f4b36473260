//! After a sale: its seller wants what was delivered deleted, and the buyer signs that it is.

use super::sale;
use crate::clock::now_ms;
use crate::commands::market::{market_of, require_same_market};
use crate::commands::organisations::time_text;
use crate::commands::signing::{Asking, Signing, shown};
use crate::exit::{Failure, Outcome};
use alloy_primitives::B256;
use medtrail_permit::sale::Deletion;
use serde_json::{Value, json};

/// The seller asks.
pub(super) async fn ask(id: B256, asking: Asking) -> Outcome {
    let asker = asking.open().await?;
    let told = asker.session.post(&format!("/v1/sales/{id}/withdrawal"), &json!({})).await?;
    asker.tell(&told, || {
        let words = words(&told["withdrawal"]).unwrap_or_default();
        println!(
            "Deletion: {words}. Nothing can make a buyer delete; their silence is a line too."
        );
    })
}

/// The buyer says that it is done. Nobody is to sign that who was not asked, or by another's order.
pub(super) async fn deleted(id: B256, show: bool, signing: Signing) -> Outcome {
    let signed = signing.open().await?;
    require_same_market(&signed).await?;
    let (sale, _) = sale(&signed, id).await?;
    let (order, own) = (&sale.order, signed.session.address());
    if order.buyer != own {
        let words = format!("{} bought this: sign in with its key (--key)", order.buyer);
        return Err(Failure::new(words));
    }
    let Some(withdrawal) = &sale.withdrawal else {
        return Err(Failure::new("its seller did not ask for that: nothing was signed"));
    };
    if withdrawal.state == "deleted" {
        // An earlier run may not have heard the answer.
        let told = json!({ "id": id, "withdrawal": { "state": "deleted" } });
        return signed.tell(&told, |_| "You signed that it is deleted already.".to_owned());
    }
    let market = market_of(&signed.trust);
    let deletion = Deletion::of(order, &market, now_ms() / 1000);
    signed.say(&format!("You sign, for order {id}:\n\n{}\n", deletion.statement));
    if show {
        let told = json!({ "order": id, "deletion": deletion, "signed": false });
        return signed.tell(&told, |_| "Nothing was signed: leave out --show.".to_owned());
    }
    let signature = signed.session.key().sign_document(&deletion, &market.domain());
    let body = json!({ "deletion": deletion, "signature": signature });
    let answer = signed.session.post(&format!("/v1/sales/{id}/deletion"), &body).await?;
    signed.tell(&answer, |told| {
        format!("Deletion: {}.", words(&told["withdrawal"]).unwrap_or_default())
    })
}

/// How it stands with what a seller asked for, in words; none: nobody asked.
pub(in crate::commands) fn words(withdrawal: &Value) -> Option<String> {
    withdrawal.as_object()?;
    let (asked, due) = (time_text(&withdrawal["askedMs"]), time_text(&withdrawal["dueMs"]));
    Some(match withdrawal["state"].as_str() {
        Some("waiting") => format!("asked for {asked}, the buyer has until {due}"),
        Some("deleted") => format!("asked for {asked}; the buyer signed that all is deleted"),
        Some("not-answered") => format!("asked for {asked}; the buyer did not answer until {due}"),
        _ => shown(withdrawal, "state"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_stands_is_told_in_words_and_a_word_that_nobody_knows_is_harmless() {
        let told = |state: &str| {
            let (asked, due) = (1_795_404_245_000_u64, 1_797_996_245_000_u64);
            words(&json!({ "askedMs": asked, "dueMs": due, "state": state })).unwrap_or_default()
        };
        assert_eq!(
            told("waiting"),
            "asked for 2026-11-23 03:24 UTC, the buyer has until 2026-12-23 03:24 UTC"
        );
        assert!(told("deleted").ends_with("the buyer signed that all is deleted"));
        assert!(told("not-answered").ends_with("did not answer until 2026-12-23 03:24 UTC"));
        assert!(!told("\u{1b}[2J").contains('\u{1b}'));
        assert_eq!(words(&Value::Null), None);
    }
}
