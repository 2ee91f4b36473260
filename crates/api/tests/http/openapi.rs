//! `/openapi.json` and `/docs`.

use crate::support::{Answer, Log};
use serde_json::Value;
use std::collections::HashSet;

async fn described(log: &Log) -> Value {
    Answer::of(log.get("/openapi.json")).await.json()
}

/// The whole description: whoever changes the interface sees here what others will.
#[tokio::test(flavor = "multi_thread")]
async fn the_interface_is_described_as_it_was_reviewed() {
    let log = Log::start().await;
    insta::assert_json_snapshot!("openapi", described(&log).await);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_says_what_it_does_how_it_refuses_and_who_may_ask() {
    let log = Log::start().await;
    let described = described(&log).await;
    assert_eq!(described["openapi"], "3.1.0");
    let tags: HashSet<_> = described["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let mut names = HashSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{what}");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 8), "{what}");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{what}");
            let refusal = match path.starts_with("/fhir") {
                true => "application/fhir+json",
                false => "application/problem+json",
            };
            let content = &operation["responses"]["default"]["content"];
            assert!(content.get(refusal).is_some(), "{what}");
            // Each placeholder of the path is a parameter that is described.
            let placeholders = path.split('{').skip(1).map(|part| part.split('}').next().unwrap());
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in placeholders {
                let is_it = |one: &Value| one["name"] == name && one["in"] == "path";
                assert!(parameters.iter().any(is_it), "{what}: {name}");
            }
        }
    }
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_in_the_description_leads_somewhere() {
    fn walk(value: &Value, whole: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(whole.pointer(pointer).is_some(), "{reference}");
                }
                members.values().for_each(|member| walk(member, whole));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, whole)),
            _ => {}
        }
    }
    let log = Log::start().await;
    let described = described(&log).await;
    walk(&described, &described);
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_people_names_every_path_and_runs_nothing() {
    let log = Log::start().await;
    let page = Answer::of(log.get("/docs")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    let text = String::from_utf8(page.body).unwrap();
    for path in described(&log).await["paths"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    assert!(!text.contains("<script") && !text.contains(" style=") && !text.contains("http"));
    let style = Answer::of(log.get("/docs/style.css")).await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    log.end().await;
}
