//! `/`: what this is, for somebody who opens it in a browser.

use actix_web::{HttpResponse, get};

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Medtrail</title>
<h1>Medtrail</h1>
<p>This log takes reports of who used whose medical data, and lets nobody rewrite them.</p>
<p>This binary was built without the pages for patients, organisations and buyers: it is used by
programs and by the command line. <code>medtrail --help</code> lists what it can do.</p>
<ul>
<li><a href=\"/.well-known/medtrail.json\">Whose log this is</a></li>
<li><a href=\"/log/checkpoint\">Its newest checkpoint</a></li>
<li><a href=\"/v1/anchors\">Its anchors</a></li>
<li><a href=\"/readyz\">How it is doing</a></li>
</ul>
</html>
";

#[get("/")]
pub(super) async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE)
}
