use std::{borrow::Cow, fmt::Write as _};

use rust_embed::RustEmbed;

/// A checkout without Node still builds: then nothing is embedded, and [`Assets::page`] says how to build it.
#[derive(RustEmbed)]
#[folder = "app/dist"]
#[allow_missing = true]
struct Dist;

const DEMO_WALLET: &str = "demo/wallet.js";

const NOTICE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Medtrail</title>
<h1>The page is not in this binary</h1>
<p>The log runs, and its interfaces answer. The page was not built before the binary was.</p>
<p>Build both with <code>cargo xtask demo</code>, or run <code>npm ci</code> and
<code>npm run build -w @medtrail/app</code>, then build the binary again.</p>
</html>
";

/// One file of the page, ready to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The file, byte for byte as Vite wrote it.
    pub bytes: Cow<'static, [u8]>,
    /// For `Content-Type`, with the character set where it is text.
    pub media_type: &'static str,
    /// For `ETag`, with its quotes: the SHA-256 of the bytes in hex (RFC 9110 section 8.8.3).
    pub etag: String,
    /// Its name holds a hash of its content, so that a cache may keep it for ever. All else is asked for again.
    pub is_immutable: bool,
    /// The page that asks a chain of the reader's choice: its policy must let it connect to one.
    pub reaches_any_chain: bool,
}

/// The files that Vite built.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assets;

impl Assets {
    /// What stands at a path of the address, `/` and `/verify` included. None: nothing does.
    ///
    /// Without a build of the page, `/` and `/verify` are a notice how to build it. Files of the demo
    /// are no part of the page: see [`Assets::demo_wallet`].
    #[must_use]
    pub fn page(&self, path: &str) -> Option<Asset> {
        let name = match path {
            "/" | "/index.html" => "index.html",
            "/verify" | "/verify/" | "/verify/index.html" => "verify/index.html",
            _ => path.strip_prefix('/')?,
        };
        if name.starts_with("demo/") {
            return None;
        }
        asset(name).or_else(|| is_document(name).then(notice))
    }

    /// The wallet of the demo, an ES module, for `/demo/wallet.js`. Only the demo may serve it: it holds no
    /// key, but a page that offers it teaches people to trust a wallet that is none.
    #[must_use]
    pub fn demo_wallet(&self) -> Option<Asset> {
        asset(DEMO_WALLET)
    }

    /// Whether the page was built before this binary was.
    #[must_use]
    pub fn is_built(&self) -> bool {
        Dist::get("index.html").is_some()
    }
}

fn asset(name: &str) -> Option<Asset> {
    let file = Dist::get(name)?;
    Some(Asset {
        media_type: media_type(name),
        etag: etag(&file.metadata.sha256_hash()),
        is_immutable: name.starts_with("assets/"),
        reaches_any_chain: name.starts_with("verify/"),
        bytes: file.data,
    })
}

fn notice() -> Asset {
    Asset {
        bytes: Cow::Borrowed(NOTICE.as_bytes()),
        media_type: media_type("index.html"),
        // Not a hash: it must never match the page that takes its place.
        etag: "\"not-built\"".to_owned(),
        is_immutable: false,
        reaches_any_chain: false,
    }
}

fn is_document(name: &str) -> bool {
    matches!(name, "index.html" | "verify/index.html")
}

fn etag(sha256: &[u8; 32]) -> String {
    let mut text = String::with_capacity(66);
    text.push('"');
    for byte in sha256 {
        write!(text, "{byte:02x}").expect("a String takes all that is written to it");
    }
    text.push('"');
    text
}

/// Only what Vite writes for this page. With `nosniff`, a browser runs no script of another type.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_runs_what_it_is_given() {
        for (name, expected) in [
            ("verify/index.html", "text/html; charset=utf-8"),
            ("assets/index-Dx2.js", "text/javascript; charset=utf-8"),
            ("assets/index-Dx2.css", "text/css; charset=utf-8"),
            ("assets/icon-a.svg", "image/svg+xml"),
            ("assets/no-extension", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }

    #[test]
    fn the_home_page_is_there_with_or_without_a_build() {
        let home = Assets.page("/").expect("always a page");
        assert_eq!(home.media_type, "text/html; charset=utf-8");
        assert!(!home.is_immutable && !home.reaches_any_chain);
        let text = std::str::from_utf8(&home.bytes).expect("HTML is UTF-8");
        let says_how = text.contains("npm run build -w @medtrail/app");
        assert_eq!(says_how, !Assets.is_built());
    }

    #[test]
    fn only_the_page_that_verifies_may_reach_any_chain() {
        let verify = Assets.page("/verify").expect("always a page");
        assert_eq!(verify.reaches_any_chain, Assets.is_built());
        assert_eq!(Assets.page("/verify/"), Some(verify));
    }

    #[test]
    fn nothing_stands_outside_what_was_built() {
        for path in
            ["", "index.html", "/../Cargo.toml", "//", "/assets", "/nothing", "/%2e%2e/Cargo.toml"]
        {
            assert_eq!(Assets.page(path), None, "{path}");
        }
    }

    #[test]
    fn files_of_the_demo_are_not_served_as_the_page() {
        assert_eq!(Assets.page("/demo/wallet.js"), None);
        assert_eq!(Assets.demo_wallet().is_some(), Dist::get(DEMO_WALLET).is_some());
    }

    #[test]
    fn what_a_cache_keeps_for_ever_has_its_content_in_its_name() {
        for name in Dist::iter() {
            let file = asset(&name).expect("it was listed");
            // Vite's: eight characters of base64url, which may hold a dash too.
            let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
            let has_hash = stem.len() > 9 && stem.as_bytes()[stem.len() - 9] == b'-';
            assert_eq!(file.is_immutable, name.starts_with("assets/"), "{name}");
            assert!(!file.is_immutable || has_hash, "{name} would be kept for ever");
        }
    }

    #[test]
    fn an_etag_is_the_hash_of_the_bytes_in_quotes() {
        assert_eq!(etag(&[0xab; 32]), format!("\"{}\"", "ab".repeat(32)));
        // RFC 9110: a tag that is equal says that the bytes are equal.
        assert_ne!(Assets.page("/").map(|page| page.etag), Some(etag(&[0; 32])));
    }
}
