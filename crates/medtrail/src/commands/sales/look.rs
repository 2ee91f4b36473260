//! A buyer's looks at data where they are kept. The settled order is the permission, each look a line
//! of the seller's.

use crate::commands::records::{save, saved_words};
use crate::commands::signing::{Asking, shown};
use crate::exit::{Failure, Outcome};
use crate::render::table;
use alloy_primitives::B256;
use serde_json::Value;
use std::path::PathBuf;

/// All records, or one.
#[derive(clap::Args)]
pub(super) struct What {
    /// Read this record, and not only list what there is
    #[arg(long, requires = "out")]
    record: Option<B256>,
    /// Where its bytes go
    #[arg(long, value_name = "FILE", requires = "record")]
    out: Option<PathBuf>,
}

const HEAD: [&str; 5] = ["record", "type", "bytes", "word of", "source"];

pub(super) async fn run(id: B256, what: What, asking: Asking) -> Outcome {
    let asker = asking.open().await?;
    let path = format!("/v1/sales/{id}/records");
    let (Some(record), Some(out)) = (what.record, what.out) else {
        let told = asker.session.get(&path).await?;
        return asker.tell(&told, || {
            let records = told["records"].as_array().into_iter().flatten();
            table(&HEAD, records.map(row).collect());
        });
    };
    // Told before the look is a line.
    if out.exists() {
        return Err(Failure::new(format!(
            "{} is there already: name another --out",
            out.display()
        )));
    }
    let answer = asker.session.open_stream(&format!("{path}/{record}/content")).await?;
    let told = save(answer, None, &out).await?;
    asker.tell(&told, || println!("{}", saved_words(&told)))
}

fn row(one: &Value) -> Vec<String> {
    let origin = &one["origin"];
    let word = match one["word"].as_str() {
        Some("signedByOrganisation") => "an organisation, signed".to_owned(),
        Some("uploadedByPerson") => "the person".to_owned(),
        _ => shown(one, "word"),
    };
    let media_type = shown(origin, "mediaType");
    vec![
        shown(origin, "record"),
        media_type,
        one["bytes"].to_string(),
        word,
        shown(origin, "source"),
    ]
}
