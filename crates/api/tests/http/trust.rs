//! `/.well-known/medtrail.json`, `/v1/organisations`, `/` and `/problems/…`.

use crate::support::{Answer, Log};
use medtrail_ledger::trust::TrustFile;

#[tokio::test(flavor = "multi_thread")]
async fn the_trust_file_is_the_logs_own_and_is_sent_once_to_who_keeps_it() {
    let log = Log::start().await;
    for path in ["/.well-known/medtrail.json", "/v1/organisations"] {
        let answer = Answer::of(log.get(path)).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("cache-control").unwrap().starts_with("public, max-age="));
        let etag = answer.header("etag").unwrap().to_owned();
        for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            let again = Answer::of(log.get(path).header("if-none-match", known)).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
            assert_eq!(again.header("etag"), Some(etag.as_str()));
        }
        let other = Answer::of(log.get(path).header("if-none-match", "\"other\"")).await;
        assert_eq!((other.status.as_u16(), &other.body), (200, &answer.body));
    }
    let file = Answer::of(log.get("/.well-known/medtrail.json")).await;
    assert_eq!(TrustFile::parse(&file.body).unwrap(), *log.service.trust());
    let directory = Answer::of(log.get("/v1/organisations")).await.json();
    assert_eq!(directory["organisations"][0]["name"], "Clinic");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_names_the_log_and_runs_nothing() {
    let log = Log::start().await;
    let page = Answer::of(log.get("/")).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("Test &amp; &lt;Operator&gt;"), "{text}");
    assert!(!text.contains("<script") && !text.contains("<Operator>"));
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_a_problem_leads_to_its_explanation() {
    let log = Log::start().await;
    let problem = Answer::of(log.get("/nothing")).await.problem(404, "not-found");
    let explained = Answer::of(log.get(problem["type"].as_str().unwrap())).await;
    assert_eq!(explained.status, 200);
    for member in ["type", "title", "status", "advice"] {
        assert_eq!(explained.json()[member], problem[member]);
    }
    Answer::of(log.get("/problems/unheard-of")).await.problem(404, "not-found");
    log.end().await;
}
