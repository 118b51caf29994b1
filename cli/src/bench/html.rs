//! A report as one file for a browser: bars of throughput and curves of latency, drawn as SVG.

use std::fmt::Write as _;

use crate::bench::report::{Latency, Measurement, Report, short};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 64.0;
const BAR: f64 = 22.0;
const COLOURS: [&str; 6] = [
    "#3b7dd8", "#d8703b", "#4a9d5b", "#9b59b6", "#c0392b", "#7f8c8d",
];

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --faint: #8884; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --paper: #161618; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--faint); }
td.n, th.n { text-align: right; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }";

/// The whole file.
pub fn page(report: &Report) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>kalam bench</title>\n<style>{STYLE}</style>\n<h1>kalam bench</h1>\n<p>{}</p>\n",
        escaped(&report.machine_text())
    );
    table(&report.measurements, &mut html);
    let mut rest = report.measurements.as_slice();
    while let Some(first) = rest.first() {
        let end = rest
            .iter()
            .position(|measurement| measurement.scenario != first.scenario)
            .unwrap_or(rest.len());
        let (scenario, others) = rest.split_at(end);
        let _ = writeln!(html, "<h2>{}</h2>", escaped(&first.scenario));
        bars(scenario, &mut html);
        curves(scenario, &mut html);
        rest = others;
    }
    html.push_str("</html>\n");
    html
}

fn table(measurements: &[Measurement], html: &mut String) {
    html.push_str(
        "<table><tr><th>scenario<th>what<th class=n>per s<th class=n>p50 µs<th class=n>p99 µs<th class=n>CPU µs<th>figures</tr>\n",
    );
    for measurement in measurements {
        let latency = |get: fn(&Latency) -> u64| {
            let latency = measurement.latency.as_ref().map(get);
            latency.map(|micros| micros.to_string()).unwrap_or_default()
        };
        let _ = writeln!(
            html,
            "<tr><td>{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td>{}</tr>",
            escaped(&measurement.scenario),
            escaped(&measurement.name),
            measurement.per_second.map(short).unwrap_or_default(),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
            measurement.cpu_us.map(short).unwrap_or_default(),
            escaped(&measurement.figures_text()),
        );
    }
    html.push_str("</table>\n");
}

fn bars(measurements: &[Measurement], html: &mut String) {
    let rates: Vec<(&str, f64)> = measurements
        .iter()
        .filter_map(|measurement| Some((measurement.name.as_str(), measurement.per_second?)))
        .collect();
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    if most <= 0.0 {
        return;
    }
    let height = BAR * rates.len() as f64 + 8.0;
    let _ = writeln!(
        html,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"operations per second\">"
    );
    for (index, (name, rate)) in rates.iter().enumerate() {
        let y = BAR * index as f64;
        let width = rate / most * (WIDTH * 0.5);
        let _ = writeln!(
            html,
            "<rect x=\"200\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/><text x=\"192\" y=\"{:.1}\" text-anchor=\"end\">{}</text><text x=\"{:.1}\" y=\"{:.1}\">{}/s</text>",
            y + 3.0,
            BAR - 6.0,
            COLOURS[index % COLOURS.len()],
            y + 16.0,
            escaped(name),
            206.0 + width,
            y + 16.0,
            short(*rate),
        );
    }
    html.push_str("</svg>\n");
}

/// Latency over percentiles; each further nine takes as much room as the one before.
fn curves(measurements: &[Measurement], html: &mut String) {
    let measured: Vec<(&str, &Latency)> = measurements
        .iter()
        .filter_map(|measurement| Some((measurement.name.as_str(), measurement.latency.as_ref()?)))
        .collect();
    let most = measured.iter().map(|(_, latency)| latency.max).max();
    let Some(most) = most.filter(|most| *most > 0) else {
        return;
    };
    let nines = |percent: f64| -(1.0 - (percent / 100.0).min(0.99999)).log10();
    let x = |percent: f64| LEFT + nines(percent) / 5.0 * (WIDTH - LEFT - 8.0);
    let log = |value: u64| (value.max(1) as f64).log10();
    let top = log(most).max(1.0);
    let y = |value: u64| HEIGHT - 24.0 - log(value) / top * (HEIGHT - 40.0);
    let legend = 18.0 * measured.len() as f64;
    let _ = writeln!(
        html,
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"latency by percentile\">",
        HEIGHT + legend
    );
    for (percent, label) in [
        (0.0, "0"),
        (90.0, "90 %"),
        (99.0, "99 %"),
        (99.9, "99.9 %"),
        (99.99, "99.99 %"),
    ] {
        let at = x(percent);
        let _ = writeln!(
            html,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"8\" y2=\"{:.1}\" stroke=\"var(--faint)\"/><text x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
            HEIGHT - 24.0,
            HEIGHT - 8.0,
        );
    }
    for power in 0..=u32::try_from(top.ceil() as i64).unwrap_or(0) {
        let value = 10_u64.pow(power);
        if log(value) <= top {
            let _ = writeln!(
                html,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value} µs</text>",
                LEFT - 6.0,
                y(value) + 4.0
            );
        }
    }
    for (index, (name, latency)) in measured.iter().enumerate() {
        let points = latency.curve.iter();
        let points = points.map(|(percent, value)| format!("{:.1},{:.1}", x(*percent), y(*value)));
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            html,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/><text x=\"{LEFT}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
            points.collect::<Vec<_>>().join(" "),
            HEIGHT + 12.0 + 18.0 * index as f64,
            escaped(name),
        );
    }
    html.push_str("</svg>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
