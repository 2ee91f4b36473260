//! The sentences of the places where records are kept.

use crate::reading::Facts;

/// What is said of them; none for all other lines.
pub(super) fn source(facts: &Facts) -> Option<String> {
    let who = match (&facts.organisation, facts.is_self) {
        (_, true) => "You",
        (Some(name), false) => name,
        (None, false) => "An organisation without a name",
    };
    let keeper = facts.counterpart.as_deref();
    let with = keeper.unwrap_or("somebody without a name");
    let capital = keeper.unwrap_or("Somebody without a name");
    let what = facts.said.as_deref().unwrap_or("data of yours");
    Some(match facts.verb.as_str() {
        "registerSource" => format!("{who} told where this is kept, with {with}: {what}."),
        "moveSource" => format!("{who} told of a new place for data of yours, with {with}."),
        "lostHere" => format!("{capital} stopped answering. Still kept here: {what}."),
        "lostElsewhere" => format!("{capital} stopped answering. Still kept elsewhere: {what}."),
        "lostNowhere" => format!("{capital} stopped answering. Kept nowhere else: {what}."),
        "changedHere" => {
            format!("{capital} gives other data than before. Kept here as it was: {what}.")
        }
        "changedElsewhere" => {
            format!("{capital} gives other data than before. Kept elsewhere as it was: {what}.")
        }
        "changedNowhere" => {
            format!("{capital} gives other data than before. Kept nowhere as it was: {what}.")
        }
        "sourceBack" => format!("{capital} answers again, and nothing has changed: {what}."),
        _ => return None,
    })
}
