//! What a person reads of a permission: how it stands, then what was signed.

use super::{Language, Permission, Standing};
use crate::moment;
use std::fmt::Write;

/// The XHTML of a narrative.
pub(super) fn div(of: &Permission<'_>) -> String {
    let language = of.language.code();
    let mut div = format!(
        r#"<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">"#
    );
    let _ = write!(div, "<p><b>{}</b></p>", escaped(&stands(of)));
    for line in of.statement.lines().filter(|line| !line.trim().is_empty()) {
        let _ = write!(div, "<p>{}</p>", escaped(line));
    }
    div.push_str("</div>");
    div
}

/// A statement says "may" for ever: first of all whether it still does.
fn stands(of: &Permission<'_>) -> String {
    match (of.language, of.standing) {
        (Language::En, Standing::Standing) => "This permission stands.".to_owned(),
        (Language::En, Standing::Revoked { at_ms }) => {
            format!("This permission was taken back on {}.", moment::written(at_ms))
        }
        (Language::En, Standing::Expired) => "The time of this permission is over.".to_owned(),
        (Language::En, Standing::Ended) => "This permission does not count any more.".to_owned(),
        (Language::Et, Standing::Standing) => "See luba kehtib.".to_owned(),
        (Language::Et, Standing::Revoked { at_ms }) => {
            format!("See luba võeti tagasi {}.", moment::written(at_ms))
        }
        (Language::Et, Standing::Expired) => "Selle loa aeg on läbi.".to_owned(),
        (Language::Et, Standing::Ended) => "See luba enam ei kehti.".to_owned(),
    }
}

/// Text as XHTML has it; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        let hostile = "<script>alert('x')</script> & \"y\"\u{0}\u{1b}\tz";
        assert_eq!(
            escaped(hostile),
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot; z"
        );
    }
}
