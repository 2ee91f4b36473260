//! Pages and a demo beside the interface.

use crate::support::{Answer, Log, SITE};
use actix_web::web::Bytes;
use futures::future::BoxFuture;
use medtrail_api::{DemoAnswer, DemoRoutes, Extras, Page, Pages};
use std::sync::Arc;

struct Two;

impl Pages for Two {
    fn page(&self, path: &str) -> Option<Page> {
        let (text, reaches_any_chain, is_immutable) = match path {
            "/" => ("<p>home", false, false),
            "/verify" => ("<p>verify", true, false),
            "/assets/a-1f.js" => ("a()", false, true),
            _ => return None,
        };
        Some(Page {
            bytes: text.as_bytes().into(),
            media_type: "text/html; charset=utf-8".into(),
            etag: format!("\"{path}\""),
            is_immutable,
            reaches_any_chain,
        })
    }
}

struct Echo;

impl DemoRoutes for Echo {
    fn answer(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> BoxFuture<'static, Option<DemoAnswer>> {
        let told = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        let is_known = path != "/demo/unknown";
        Box::pin(async move {
            let answer = || DemoAnswer { status: 202, media_type: "text/plain", body: told.into() };
            is_known.then(answer)
        })
    }
}

async fn with_both() -> Log {
    Log::start_with(Extras {
        pages: Some(Arc::new(Two)),
        demo: Some(Arc::new(Echo)),
        vault: None,
        sales: None,
        calls: None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_with_a_strict_policy_and_only_verify_reaches_any_chain() {
    let log = with_both().await;
    let home = Answer::of(log.get("/")).await;
    assert_eq!((home.status.as_u16(), &*home.body), (200, b"<p>home".as_slice()));
    assert_eq!(home.header("cache-control"), Some("no-cache"));
    let policy = |answer: &Answer| answer.header("content-security-policy").unwrap().to_owned();
    assert_eq!(
        policy(&home),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
    );
    let verify = policy(&Answer::of(log.get("/verify")).await);
    let wide = "connect-src 'self' https: http://localhost:* http://127.0.0.1:*;";
    assert_eq!(verify.replace(wide, "connect-src 'self';"), policy(&home));
    let asset = Answer::of(log.get("/assets/a-1f.js")).await;
    assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let known = Answer::of(log.get("/").header("if-none-match", "\"/\"")).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    let post = Answer::of(log.http.post(log.url("/"))).await;
    post.problem(405, "method-not-allowed");
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
    Answer::of(log.get("/nothing")).await.problem(404, "not-found");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_do_not_stand_in_front_of_the_interface() {
    struct All;
    impl Pages for All {
        fn page(&self, _: &str) -> Option<Page> {
            Two.page("/")
        }
    }
    let log = Log::start_with(Extras { pages: Some(Arc::new(All)), ..Extras::default() }).await;
    assert_eq!(Answer::of(log.get("/healthz")).await.json()["alive"], true);
    let put = log.http.put(log.url("/v1/reports"));
    Answer::of(put).await.problem(405, "method-not-allowed");
    // The operator's port shows no pages.
    let metrics = format!("http://{}/", log.metrics_address);
    Answer::of(log.http.get(metrics)).await.problem(404, "not-found");
    log.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_answers_under_its_own_path_and_to_its_own_page() {
    let log = with_both().await;
    let post = || log.http.post(log.url("/demo/look")).body("now");
    let answer = Answer::of(post().header("sec-fetch-site", "same-origin")).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (202, b"POST /demo/look now".as_slice()));
    assert_eq!(Answer::of(post()).await.status, 202, "by hand");
    let other = post().header("sec-fetch-site", "cross-site").header("origin", SITE);
    Answer::of(other).await.problem(403, "cross-site");
    Answer::of(log.get("/demo/unknown")).await.problem(404, "not-found");
    log.end().await;

    let log = Log::start().await;
    Answer::of(log.get("/demo/story.json")).await.problem(404, "not-found");
    log.end().await;
}
