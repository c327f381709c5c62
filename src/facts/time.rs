//! Times as text.

/// Seconds since 1970-01-01 UTC as RFC 3339: `2019-08-31T10:23:00Z`. Years past 9999 are held at the end of that year.
#[must_use]
pub fn rfc3339(unix: i64) -> String {
    const LAST: i64 = 253_402_300_799;
    let unix = unix.clamp(0, LAST);
    let (days, second) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
    // Years from a first of March, so that the leap day is the last of its year: "civil from days", by 400-year eras.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day.saturating_sub(day / 1460).saturating_add(day / 36_524).saturating_sub(day / 146_096)) / 365;
    let day = day.saturating_sub(year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100));
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let date = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let (month, next) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
    let year = era.saturating_mul(400).saturating_add(year).saturating_add(next);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn known_moments() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (946_684_800, "2000-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_567_246_980, "2019-08-31T10:23:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (946_684_800 + 4_294_967_295, "2136-02-07T06:28:15Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }
}
