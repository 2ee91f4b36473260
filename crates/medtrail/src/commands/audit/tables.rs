//! What was judged again, in the terminal: a table of changes, and one of what was done by orders.

use crate::render;
use medtrail_permit::replay::Found;

fn row(what: &str, count: u64) -> Vec<String> {
    vec![what.to_owned(), count.to_string()]
}

/// Every look of a buyer and every delivery, and how many of them nobody judged.
pub(super) fn sales(found: &Found) {
    let rows = vec![
        row("looks of buyers", found.sale_looks),
        row("… permitted by their order", found.sale_looks_permitted),
        row(
            "… of these lists, or of data that the log does not tell",
            found.sale_looks_data_not_told,
        ),
        row("… NOT permitted", found.sale_looks_unpermitted),
        row("deliveries", found.deliveries),
        row("… settled on the market", found.deliveries_settled),
        row("… not settled", found.deliveries_open),
        row("downloads", found.downloads),
        row("… WITHOUT a foundation", found.deliveries_unfounded),
        row("not judged: no market on this chain", found.sale_no_market),
        row("not judged: no line tells the order", found.sale_not_told),
    ];
    let told = rows.into_iter().filter(|row| row[1] != "0");
    render::wrapped_table(&["under the order of a sale", ""], told.collect());
}

/// Every change in one of the rows, and below them who made those that do not count.
pub(super) fn permissions(found: &Found) {
    let rows = vec![
        row("changes", found.changes),
        row("permitted", found.permitted),
        row("confirmed afterwards", found.confirmed),
        row("not permitted, and told", found.told),
        row("not permitted, not told yet", found.untold),
        row("not permitted, NOT told", found.missing),
        row("unconfirmed", found.unconfirmed),
        row("denied by their person", found.contested),
        row("not answered in 30 days, as a line says", found.silent),
        row("too new or too close to tell", found.both),
        row("about people without a key", found.without_key),
        row("… permitted by a guardian", found.without_key_permitted),
        row("… not permitted", found.without_key_refused),
        row("… of these told", found.without_key_told),
        row("… of these from before the log judged them", found.without_key_before),
        row("… whose keeper is not known", found.unknown_keeper),
    ];
    let told = rows.into_iter().enumerate().filter(|(at, row)| *at < 2 || row[1] != "0");
    let told = told.map(|(_, row)| row);
    render::wrapped_table(&["changes at organisations", ""], told.collect());
    if found.by.is_empty() {
        return;
    }
    let rows = found.by.iter().map(|(id, one)| {
        let claim = one.first_claim.map_or_else(String::new, |(index, _)| index.to_string());
        let name = render::harmless(&one.name);
        vec![name, id.to_string(), one.refused.to_string(), one.claimed.to_string(), claim]
    });
    let heads = ["organisation", "", "not permitted", "of them with a wrong claim", "first entry"];
    render::wrapped_table(&heads, rows.collect());
}
