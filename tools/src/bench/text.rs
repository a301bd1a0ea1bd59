//! The report as text: a table with a line for each profile, and one with all times.

use super::timing::{Spread, Timing};
use super::{BenchReport, Row};
use crate::table::Lines;
use crate::text::{grouped, percent, printable};

/// The report for people.
pub fn text(report: &BenchReport) -> String {
    let mut text = format!("{} : ", printable(&report.input));
    if let Some(row) = report.rows.first() {
        text += &format!(
            "{} tensors of {} bytes, {} of their elements not zero; first of them {}\n",
            row.tensors,
            grouped(row.dense_bytes),
            percent(row.nnz, row.elements),
            printable(&row.first_tensor.name),
        );
    }
    text += &format!(
        "tfzip {}, {} kernels, {} thread{}; {}\n\n",
        report.version,
        report.kernels,
        report.threads,
        if report.threads == 1 { "" } else { "s" },
        match report.cold_file {
            true => "cold: file from disk, fresh memory",
            false =>
                "cold: fresh memory only, since the system keeps the file in its cache (another \
                 TMPDIR may help)",
        }
    );
    text += &summary(report);
    text.push('\n');
    text += &times(report);
    text
}

fn summary(report: &BenchReport) -> String {
    let mut table = Lines::new([
        "profile",
        "bytes",
        "ratio",
        "encode MB/s",
        "decode GB/s",
        "of memcpy",
        "M nonzero/s",
        "cold GB/s",
        "of memcpy",
        "first tensor",
        "cold",
    ]);
    table.left(&[0]);
    for row in &report.rows {
        let microseconds = |timing: &Timing| format!("{:.1} µs", 1e6 * timing.seconds.median);
        table.add([
            profile(row),
            grouped(row.bytes),
            format!("{:.2}", row.times_smaller),
            row.encode_mb_per_s.map_or("–".to_owned(), speed),
            speed(row.warm_gb_per_s),
            format!("{:.2}", row.warm.of_memcpy),
            speed(row.warm_million_nnz_per_s),
            speed(row.cold_gb_per_s),
            format!("{:.2}", row.cold.of_memcpy),
            microseconds(&row.first_tensor.warm),
            microseconds(&row.first_tensor.cold),
        ]);
    }
    table.text()
}

fn times(report: &BenchReport) -> String {
    let mut table = Lines::new([
        "profile", "µs", "runs", "min", "quartile", "median", "quartile", "max", "memcpy", "min",
        "max",
    ]);
    table.left(&[0, 1]);
    for row in &report.rows {
        let timings = [
            ("encode", row.encode.as_ref()),
            ("decode", Some(&row.warm)),
            ("decode, cold", Some(&row.cold)),
            ("first tensor", Some(&row.first_tensor.warm)),
            ("first tensor, cold", Some(&row.first_tensor.cold)),
        ];
        for (what, timing) in timings {
            let Some(timing) = timing else { continue };
            let Spread {
                min,
                q1,
                median,
                q3,
                max,
            } = timing.seconds;
            let memcpy = timing.memcpy_seconds;
            let micro = |seconds: f64| format!("{:.1}", 1e6 * seconds);
            table.add([
                profile(row),
                what.to_owned(),
                timing.runs.to_string(),
                micro(min),
                micro(q1),
                micro(median),
                micro(q3),
                micro(max),
                micro(memcpy.median),
                micro(memcpy.min),
                micro(memcpy.max),
            ]);
        }
    }
    table.text()
}

fn profile(row: &Row) -> String {
    row.profile.unwrap_or("–").to_owned()
}

/// A number with three digits, or all before the point.
fn speed(number: f64) -> String {
    let digits = match number {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_three_digits() {
        let speeds = [0.123, 9.876, 12.34, 123.4, 1234.5].map(speed);
        assert_eq!(speeds, ["0.12", "9.88", "12.3", "123", "1234"]);
    }
}
