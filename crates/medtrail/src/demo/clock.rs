//! The hours of the story are hours on the clock of whoever watches it: a night is a night there.

use std::process::Command;
use time::{Duration, OffsetDateTime, Time, UtcOffset};

/// A clock that hangs on a wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: UtcOffset,
}

impl Clock {
    /// This machine's; one that shows UTC if the machine does not tell.
    pub(crate) fn of_this_machine() -> Self {
        // Reading the zone's rules in a process with threads is unsound in most libraries.
        let told = Command::new("date").arg("+%z").output().ok();
        let told = told.and_then(|told| String::from_utf8(told.stdout).ok());
        Self { offset: told.and_then(|told| offset(told.trim())).unwrap_or(UtcOffset::UTC) }
    }

    /// A FHIR instant. Always with an offset in numbers: `Z` would not say where the clock hangs.
    pub(crate) fn instant(self, at_ms: u64) -> String {
        let at = self.at(at_ms);
        let (hours, minutes, _) = self.offset.as_hms();
        let sign = if self.offset.is_negative() { '-' } else { '+' };
        format!(
            "{}T{:02}:{:02}:{:02}.{:03}{sign}{:02}:{:02}",
            at.date(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond(),
            hours.unsigned_abs(),
            minutes.unsigned_abs()
        )
    }

    /// `2026-11-27`.
    pub(crate) fn day(self, at_ms: u64) -> String {
        self.at(at_ms).date().to_string()
    }

    /// `23:47`.
    pub(crate) fn hour_and_minute(self, at_ms: u64) -> String {
        let at = self.at(at_ms);
        format!("{:02}:{:02}", at.hour(), at.minute())
    }

    /// When the clock last showed this time of day, at `now_ms` or before; milliseconds since 1970.
    pub(crate) fn last(self, hour: u8, minute: u8, now_ms: u64) -> u64 {
        let now = self.at(now_ms);
        let time = Time::from_hms(hour, minute, 0).unwrap_or(Time::MIDNIGHT);
        let today = now.replace_time(time);
        let last = if today > now { today - Duration::days(1) } else { today };
        (last.unix_timestamp() * 1000).max(0) as u64
    }

    fn at(self, at_ms: u64) -> OffsetDateTime {
        let nanos = i128::from(at_ms) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos);
        at.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(self.offset)
    }
}

/// `+0530`.
fn offset(text: &str) -> Option<UtcOffset> {
    let (hours, minutes) = text.split_at_checked(3)?;
    let hours: i8 = hours.parse().ok()?;
    let minutes: i8 = minutes.parse().ok()?;
    let minutes = if text.starts_with('-') { -minutes } else { minutes };
    UtcOffset::from_hms(hours, minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(text: &str) -> Clock {
        Clock { offset: offset(text).unwrap() }
    }

    #[test]
    fn instants_say_where_the_clock_hangs() {
        for (zone, at_ms, text) in [
            ("+0000", 0, "1970-01-01T00:00:00.000+00:00"),
            ("+0000", 951_782_400_000, "2000-02-29T00:00:00.000+00:00"),
            ("+0200", 1_767_605_400_120, "2026-01-05T11:30:00.120+02:00"),
            ("-0330", 1_767_605_400_120, "2026-01-05T06:00:00.120-03:30"),
            ("-0030", 1_709_251_199_999, "2024-02-29T23:29:59.999-00:30"),
        ] {
            assert_eq!(clock(zone).instant(at_ms), text);
        }
    }

    #[test]
    fn the_last_time_of_a_day_is_never_ahead_and_never_older_than_a_day() {
        let day_ms = 24 * 3600 * 1000;
        for zone in ["+0000", "+0530", "-0800", "+1400"] {
            for now_ms in (1_767_605_400_000..1_767_605_400_000 + 2 * day_ms).step_by(7_654_321) {
                let last = clock(zone).last(23, 47, now_ms);
                assert!(last <= now_ms && now_ms - last <= day_ms, "{zone} {now_ms}");
                assert_eq!(clock(zone).hour_and_minute(last), "23:47");
            }
        }
    }

    #[test]
    fn what_is_no_offset_is_none() {
        for text in ["", "Z", "+02", "+99", "+9900", "CEST", "+0x00"] {
            assert!(offset(text).is_none(), "{text}");
        }
    }
}
