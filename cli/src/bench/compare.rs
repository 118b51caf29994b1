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

/// Scenario, what was measured, and the how many-eth of that name: with `--sockets` a scenario may measure the same
/// thing more than once.
type Key<'a> = (&'a str, &'a str, usize);

fn numbered(measurements: &[Measurement]) -> impl Iterator<Item = (Key<'_>, &Measurement)> {
    let mut seen = BTreeMap::new();
    measurements.iter().map(move |measurement| {
        let name = (measurement.scenario.as_str(), measurement.name.as_str());
        let nth = seen.entry(name).or_insert(0);
        *nth += 1;
        ((name.0, name.1, *nth), measurement)
    })
}

/// A line for each figure that both have, and how many are worse by more than noise.
pub fn compare(before: &Report, after: &Report) -> (String, usize) {
    let known: BTreeMap<Key<'_>, &Measurement> = numbered(&before.measurements).collect();
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["scenario", "what", "figure", "before", "after", "ratio", ""]);
    let mut worse = 0;
    for (key, measurement) in numbered(&after.measurements) {
        let Some(old) = known.get(&key) else {
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
            // Nothing is as much as nothing.
            let ratio = if before == value { 1.0 } else { value / before };
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
    use super::{numbered, verdict};
    use crate::bench::report::Measurement;

    #[test]
    fn more_is_better_or_worse() {
        assert_eq!(verdict(2.0, true), "better");
        assert_eq!(verdict(2.0, false), "worse");
        assert_eq!(verdict(0.5, true), "worse");
        assert_eq!(verdict(0.5, false), "better");
        assert_eq!(verdict(1.05, true), "");
    }

    #[test]
    fn what_was_measured_twice_is_compared_in_turn() {
        let twice = ["S2", "S2", "S3"].map(|scenario| Measurement::new(scenario, "20 subscribers"));
        let keys = numbered(&twice).map(|(key, _)| (key.0, key.2));
        assert_eq!(keys.collect::<Vec<_>>(), [("S2", 1), ("S2", 2), ("S3", 1)]);
    }
}
