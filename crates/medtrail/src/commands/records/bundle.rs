//! A FHIR Bundle, split into records: each resource byte for byte as it stands there.

use medtrail_ledger::vault::{About, TITLE_CHARS_MAX};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A resource on its way to be a record.
pub(super) struct Piece {
    /// What it is called where it comes from: `Observation/o1`, or the entry's `fullUrl`.
    pub(super) id: String,
    pub(super) about: About,
    pub(super) bytes: Vec<u8>,
}

/// Why a file is no Bundle that can be split.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleError {
    #[error("no FHIR Bundle in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("resourceType is {0}, not Bundle")]
    Type(String),
    #[error(
        "entry {0} has neither a resource with an id nor a fullUrl: it could not be found again"
    )]
    Nameless(usize),
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "resourceType")]
    resource_type: String,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "fullUrl")]
    full_url: Option<String>,
    resource: Option<Box<RawValue>>,
}

/// The resources of a Bundle; entries without one are passed over.
pub(super) fn pieces(bundle: &[u8]) -> Result<Vec<Piece>, BundleError> {
    let bundle: Bundle = serde_json::from_slice(bundle)?;
    if bundle.resource_type != "Bundle" {
        return Err(BundleError::Type(bundle.resource_type));
    }
    let mut pieces = Vec::new();
    for (place, Entry { full_url, resource }) in bundle.entry.into_iter().enumerate() {
        let Some(resource) = resource else { continue };
        let read: Value = serde_json::from_str(resource.get())?;
        let kind = read["resourceType"].as_str().unwrap_or("Resource");
        let own = read["id"].as_str().map(|id| format!("{kind}/{id}"));
        let id = own.or(full_url).ok_or(BundleError::Nameless(place))?;
        let codes = read["meta"]["security"].as_array().into_iter().flatten();
        let codes: Vec<&str> = codes.filter_map(|label| label["code"].as_str()).collect();
        let levels = ["V", "R", "N", "M", "L", "U"];
        let level = levels.into_iter().find(|level| codes.contains(level));
        let is_mark =
            |code: &&str| medtrail_permit::confidentiality::is_mark(code) && !levels.contains(code);
        let about = About {
            title: title(&read, kind),
            media_type: "application/fhir+json".to_owned(),
            resource_type: Some(kind.to_owned()),
            confidentiality: level.map(str::to_owned),
            topics: codes.into_iter().filter(is_mark).map(str::to_owned).collect(),
        };
        pieces.push(Piece { id, about, bytes: resource.get().as_bytes().to_vec() });
    }
    Ok(pieces)
}

/// What a person calls it: the text of its code or type, else the resource's type.
fn title(resource: &Value, kind: &str) -> String {
    let coded = ["code", "vaccineCode", "medicationCodeableConcept", "type"].map(|name| {
        let code = &resource[name];
        code["text"].as_str().or_else(|| code["coding"][0]["display"].as_str())
    });
    let told = coded.into_iter().flatten().chain(resource["title"].as_str()).next();
    let clean: String = told.unwrap_or(kind).chars().filter(|one| !one.is_control()).collect();
    let cut: String = clean.trim().chars().take(TITLE_CHARS_MAX).collect();
    if cut.trim().is_empty() { kind.to_owned() } else { cut.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_is_a_record_byte_for_byte_with_its_name_type_and_marks() {
        let resource = r#"{ "resourceType":"Observation", "id":"o1", "meta":{"security":[{"code":"R"},{"code":"HIV"},{"code":"x"}]}, "code":{"text":"Viral load"} }"#;
        let bundle = format!(
            r#"{{"resourceType":"Bundle","entry":[{{"resource":{resource}}},{{"fullUrl":"urn:uuid:7","resource":{{"resourceType":"Binary"}}}},{{"fullUrl":"x"}}]}}"#
        );
        let pieces = pieces(bundle.as_bytes()).unwrap();
        assert_eq!(pieces.len(), 2);
        let first = &pieces[0];
        assert_eq!(
            (first.id.as_str(), first.bytes.as_slice()),
            ("Observation/o1", resource.as_bytes())
        );
        assert_eq!(first.about.title, "Viral load");
        assert_eq!(first.about.confidentiality.as_deref(), Some("R"));
        assert_eq!(first.about.topics, ["HIV"]);
        assert_eq!(
            (pieces[1].id.as_str(), pieces[1].about.title.as_str()),
            ("urn:uuid:7", "Binary")
        );
    }

    #[test]
    fn what_is_no_bundle_or_could_not_be_found_again_is_refused() {
        for bad in [
            "x",
            r#"{"resourceType":"Patient"}"#,
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Binary"}}]}"#,
        ] {
            assert!(pieces(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
