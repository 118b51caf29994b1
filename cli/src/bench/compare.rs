//! Two reports side by side.

use std::collections::BTreeMap;

use crate::bench::report::{Measurement, Report, short};

/// A difference below this may be chance: runs of one server differ by as much.
const NOISE: f64 = 0.1;

/// A figure, and whether more of it is better.
fn figures(measurement: &Measurement) -> Vec<(String, f64, bool)> {
    let mut all = Vec::new();
    if let Some(rate) = measurement.per_second {
        all.push(("per s".to_owned(), rate, true));
    }
    if let Some(latency) = &measurement.latency {
        all.push(("p50 µs".to_owned(), latency.p50 as f64, false));
        all.push(("p99 µs".to_owned(), latency.p99 as f64, false));
    }
    if let Some(cpu) = measurement.cpu_us {
        all.push(("CPU µs".to_owned(), cpu, false));
    }
    let others = measurement.figures.iter();
    all.extend(others.map(|(name, value)| (name.clone(), *value, false)));
    all
}

/// A line for each figure that both have, and how many are worse by more than noise.
pub fn compare(before: &Report, after: &Report) -> (String, usize) {
    let key = |measurement: &Measurement| (measurement.scenario.clone(), measurement.name.clone());
    let known: BTreeMap<_, _> = before.measurements.iter().map(|m| (key(m), m)).collect();
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["scenario", "what", "figure", "before", "after", "ratio", ""]);
    let mut worse = 0;
    for measurement in &after.measurements {
        let Some(old) = known.get(&key(measurement)) else {
            continue;
        };
        let old: BTreeMap<String, f64> = figures(old)
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect();
        for (name, value, more_is_better) in figures(measurement) {
            let Some(&before) = old.get(&name) else {
                continue;
            };
            let ratio = if before == 0.0 && value == 0.0 {
                1.0
            } else {
                value / before
            };
            let verdict = verdict(ratio, more_is_better);
            worse += usize::from(verdict == "worse");
            table.add_row([
                measurement.scenario.clone(),
                measurement.name.clone(),
                name,
                short(before),
                short(value),
                format!("{ratio:.2}"),
                verdict.to_owned(),
            ]);
        }
    }
    (format!("{table}\n"), worse)
}

fn verdict(ratio: f64, more_is_better: bool) -> &'static str {
    let gain = if more_is_better { ratio } else { 1.0 / ratio };
    if gain < 1.0 - NOISE {
        "worse"
    } else if gain > 1.0 + NOISE {
        "better"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn more_is_better_or_worse() {
        assert_eq!(verdict(2.0, true), "better");
        assert_eq!(verdict(2.0, false), "worse");
        assert_eq!(verdict(0.5, true), "worse");
        assert_eq!(verdict(0.5, false), "better");
        assert_eq!(verdict(1.05, true), "");
    }
}
