//! The sentences of questions, corrections, claims and notices.

use crate::reading::Facts;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What is said of them; none for all other lines.
pub(super) fn said(facts: &Facts) -> Option<String> {
    let who = facts.organisation.as_deref().unwrap_or("an organisation without a name");
    let capital = facts.organisation.as_deref().unwrap_or("An organisation without a name");
    let words = facts.said.as_deref();
    let quoted = |before: String| match words {
        Some(words) => format!("{before}: “{words}”"),
        None => format!("{before}."),
    };
    Some(match facts.verb.as_str() {
        "askWhy" => quoted(format!("You asked {who} why")),
        "askCorrection" => quoted(format!("You asked {who} to correct a line")),
        "answer" => quoted(format!("{capital} answered your question")),
        "noAnswer" => format!("{capital} did not answer your question in time."),
        "noWord" => {
            format!("Nobody said within 30 days whether an emergency change by {who} was right.")
        }
        "correct" => quoted(format!("{capital} corrected an earlier line")),
        "didNotHappen" => {
            quoted(format!("{capital} says that what an earlier line tells did not happen"))
        }
        "wrongPerson" => quoted(format!("{capital} had recorded a line here by mistake")),
        "bill" => {
            let what = words.map_or_else(|| "something".to_owned(), |words| format!("“{words}”"));
            let day = facts
                .day
                .as_deref()
                .and_then(day)
                .map_or_else(String::new, |day| format!(" on {day}"));
            format!("{capital} was billed for {what} for you{day}. Was this you?")
        }
        "endGuard" => {
            quoted(format!("{capital} ended that somebody may act for you, by this order"))
        }
        "joinAlias" => "You joined an address to your trail, to sell under.".to_owned(),
        "hadIt" => quoted("You said that you had what was billed".to_owned()),
        "hadItNot" => quoted("You said that what was billed was not you".to_owned()),
        "noticeByMail" => "You were told by e-mail to have a look.".to_owned(),
        "noticeByWebhook" => "Your own service was told that there is something new.".to_owned(),
        _ => return None,
    })
}

/// `2026-11-27` as people write it.
fn day(day: &str) -> Option<String> {
    let mut parts = day.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = |text: &str, letters| {
        text.len() == letters && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let fits = is_number(year, 4) && is_number(month, 2) && is_number(day, 2);
    if !fits || parts.next().is_some() {
        return None;
    }
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    Some(format!("{} {month} {year}", day.trim_start_matches('0')))
}
