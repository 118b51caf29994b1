//! Tells the source when it was compiled, for `/health`.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    println!(
        "cargo::rustc-env=KALAMDB_BUILD_DATE={}",
        date(given.unwrap_or_else(now) / 86_400)
    );
}

/// Year, month and day of a day since 1970, by the proleptic Gregorian calendar.
fn date(mut days: u64) -> String {
    let mut year = 1970;
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if days < length {
            return month_and_day(year, leap, days);
        }
        days -= length;
        year += 1;
    }
}

fn month_and_day(year: u64, leap: bool, mut days: u64) -> String {
    let february = if leap { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}
