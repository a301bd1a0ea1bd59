//! Error and size against sparsity, as a table and as JSON.

use super::report::number;
use crate::table::Lines;
use crate::text::{grouped, percent, printable};
use serde_json::{Value, json};
use tfzip::SweepReport;

/// The sparsities that are tried unless the user names others.
pub const STEPS: [f64; 9] = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];

/// A table for each weight, and one for the whole model.
pub fn text(report: &SweepReport, steps: &[f64]) -> String {
    let mut text = String::new();
    for tensor in &report.tensors {
        text += &format!(
            "{}  {:?}  {} parameters, {} nonzero\n",
            printable(&tensor.name),
            tensor.shape,
            grouped(tensor.parameters),
            grouped(tensor.nnz)
        );
        let mut table = Lines::new(["sparsity", "left", "threshold", "error", "tfz bytes"]);
        for point in &tensor.points {
            table.add([
                sparsity(point.sparsity),
                grouped(point.left),
                point.threshold.map_or("–".to_owned(), number),
                number(point.relative_error),
                grouped(point.archive_bytes),
            ]);
        }
        text += &table.text();
        text.push('\n');
    }
    text += &format!("whole model, {} bytes\n", grouped(report.model_bytes));
    let mut table = Lines::new(["sparsity", "left", "tfz bytes", "share"]);
    for (step, &at) in steps.iter().enumerate() {
        let left = report.tensors.iter().map(|tensor| tensor.points[step].left);
        table.add([
            sparsity(at),
            grouped(left.sum()),
            grouped(report.archive_bytes(step)),
            percent(report.archive_bytes(step), report.model_bytes),
        ]);
    }
    text + &table.text()
}

fn sparsity(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The same as JSON.
pub fn json(report: &SweepReport, steps: &[f64]) -> Value {
    let tensors: Vec<Value> = report
        .tensors
        .iter()
        .map(|tensor| {
            let points: Vec<Value> = tensor
                .points
                .iter()
                .map(|point| {
                    json!({
                        "sparsity": point.sparsity,
                        "left": point.left,
                        "threshold": point.threshold,
                        "relative_error": point.relative_error,
                        "archive_bytes": point.archive_bytes,
                    })
                })
                .collect();
            json!({
                "name": tensor.name,
                "shape": tensor.shape,
                "parameters": tensor.parameters,
                "nnz": tensor.nnz,
                "points": points,
            })
        })
        .collect();
    let model: Vec<Value> = (0..steps.len())
        .map(|step| json!({ "sparsity": steps[step], "archive_bytes": report.archive_bytes(step) }))
        .collect();
    json!({
        "model_bytes": report.model_bytes,
        "other_bytes": report.other_bytes,
        "tensors": tensors,
        "model": model,
    })
}
