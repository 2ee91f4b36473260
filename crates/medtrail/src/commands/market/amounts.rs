//! Prices, spans and moments, as people write them.

use crate::clock::now_ms;
use alloy_primitives::{Address, U256};
use medtrail_permit::check::TIME_S_MAX;
use medtrail_permit::sale::check::PRICE_MAX;
use medtrail_permit::sale::words::ether;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Decimals of the chain's own coin.
const DECIMALS: usize = 18;

/// A price in the smallest unit. In coin it is written in ether (`0.05`); a token's decimals stand in
/// no document, so that a price in one is written as it is signed.
pub(in crate::commands) fn price(text: &str, token: Address) -> Result<U256, String> {
    let price = if token.is_zero() { wei(text)? } else { units(text)? };
    match price.is_zero() || price > PRICE_MAX {
        true => Err(format!("a price is from 1 to {PRICE_MAX} of the smallest unit")),
        false => Ok(price),
    }
}

fn wei(text: &str) -> Result<U256, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(format!("{text:?} is no price: write ether, as 0.05"));
    }
    if fraction.len() > DECIMALS {
        return Err(format!("{text:?}: ether has {DECIMALS} decimals"));
    }
    let digits = format!("{whole}{fraction:0<DECIMALS$}");
    U256::from_str_radix(&digits, 10).map_err(|_| format!("{text:?} is more than there is"))
}

fn units(text: &str) -> Result<U256, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "{text:?}: a price in a token is a whole number of its smallest units (no document says \
             how many decimals it has)"
        ));
    }
    U256::from_str_radix(text, 10).map_err(|_| format!("{text:?} is more than there is"))
}

/// A price in words.
pub(in crate::commands) fn told(price: U256, token: Address) -> String {
    match token.is_zero() {
        true => format!("{} ETH", ether(price)),
        false => format!("{price} units of token {token}"),
    }
}

/// Seconds of a span: `3d`, `36h`, `90m`, `45s`.
pub(in crate::commands) fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no span: write 3d, 36h, 90m or 45s");
    let unit_s = match text.chars().next_back() {
        Some('d') => 86_400,
        Some('h') => 3600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_s));
    match seconds {
        Some(0) => Err(format!("{text:?} is no time at all")),
        Some(seconds) if seconds <= TIME_S_MAX => Ok(seconds),
        _ => Err(format!("{text:?} is longer than any calendar")),
    }
}

/// Seconds since 1970: a day (its beginning, UTC), or a moment of RFC 3339; of whole minutes, since a
/// statement tells the minute.
pub(in crate::commands) fn moment(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no day and no moment: write 2026-08-30 or 2026-08-30T12:00:00Z");
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let at = OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| wrong())?;
    let seconds =
        u64::try_from(at.unix_timestamp()).map_err(|_| format!("{text:?} is before 1970"))?;
    match seconds.is_multiple_of(60) && at.nanosecond() == 0 {
        true => Ok(seconds),
        false => Err(format!("{text:?}: moments are of whole minutes")),
    }
}

/// A moment to come: as [`moment`], or a [`span`] from now, to the next whole minute.
pub(in crate::commands) fn until(text: &str) -> Result<u64, String> {
    match moment(text) {
        Ok(at) => Ok(at),
        Err(wrong) => match span(text) {
            Ok(span) => Ok((now_ms() / 1000).saturating_add(span).next_multiple_of(60)),
            Err(_) => Err(format!("{wrong}, or a span from now (30d)")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COIN: Address = Address::ZERO;
    const TOKEN: Address = Address::repeat_byte(7);

    #[test]
    fn a_price_in_coin_is_written_in_ether_to_the_last_wei() {
        let wei = |text: &str| price(text, COIN).map(|wei| wei.to_string());
        assert_eq!(wei("0.05").unwrap(), "50000000000000000");
        assert_eq!(wei("1").unwrap(), "1000000000000000000");
        assert_eq!(wei("12.345000000000000001").unwrap(), "12345000000000000001");
        assert_eq!(wei("0.000000000000000001").unwrap(), "1");
        for text in [
            "",
            ".",
            "0.",
            ".5",
            "-1",
            "+1",
            "1e18",
            "0x5",
            "1,5",
            " 1",
            "1 ",
            "0",
            "0.0",
            "٣",
            "0.0000000000000000001",
            &"9".repeat(30),
            &"9".repeat(90),
            "NaN",
        ] {
            assert!(price(text, COIN).is_err(), "{text}");
        }
    }

    #[test]
    fn a_price_in_a_token_is_a_whole_number_of_its_units() {
        assert_eq!(price("50000000", TOKEN).unwrap(), U256::from(50_000_000));
        for text in ["0.05", "", "0", "-1", "1e6", &"9".repeat(90)] {
            assert!(price(text, TOKEN).is_err(), "{text}");
        }
        assert!(price("0.05", TOKEN).unwrap_err().contains("smallest units"));
    }

    #[test]
    fn what_is_told_is_what_was_written() {
        for text in ["0.05", "1", "12.345000000000000001", "0.000000000000000001"] {
            assert_eq!(ether(price(text, COIN).unwrap()), text);
        }
        assert_eq!(told(U256::from(50), TOKEN), format!("50 units of token {TOKEN}"));
    }

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        assert_eq!(span("3d"), Ok(259_200));
        assert_eq!(span("36h"), Ok(129_600));
        assert_eq!(span("90m"), Ok(5400));
        assert_eq!(span("45s"), Ok(45));
        for text in [
            "",
            "3",
            "d",
            "-3d",
            "+3d",
            "3 d",
            "3w",
            "0s",
            "1.5d",
            "99999999999999999999d",
            "9999999999999d",
            "3õ",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_day_or_a_whole_minute() {
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        assert_eq!(moment("2025-08-30"), Ok(1_756_512_000));
        assert_eq!(moment("2025-08-30T01:00:00+01:00"), Ok(1_756_512_000));
        for text in [
            "",
            "2025-8-30",
            "2025-02-30",
            "20250830",
            "1969-12-31",
            "2025-08-30T00:00:01Z",
            "2025-08-30T00:00:00.5Z",
            "yesterday",
            "2025-W35-6",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
        let soon = until("30d").unwrap();
        let now_s = now_ms() / 1000;
        assert!(soon.is_multiple_of(60) && (now_s + 2_592_000..now_s + 2_592_120).contains(&soon));
        assert_eq!(until("2025-08-30"), Ok(1_756_512_000));
        assert!(until("soon").unwrap_err().contains("30d"));
    }
}
