//! What was pruned, as a table and as JSON.

use super::sizes::Sizes;
use crate::table::Lines;
use crate::text::{grouped, percent, printable};
use serde::Serialize;
use tfzip::prune::{FoundBy, PruneReport, PrunedTensor};

/// A report as JSON has it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Parameters of all pruned weights.
    pub parameters: u64,
    /// How many of them are left.
    pub left: u64,
    /// left / parameters.
    pub density: f64,
    /// ‖w − w′‖ / ‖w‖ of all of them together.
    pub relative_error: f64,
    /// Tensors of floats that were not pruned.
    pub other_tensors: usize,
    /// Their elements.
    pub other_parameters: u64,
    /// The weights.
    pub tensors: Vec<Tensor>,
    /// Weights that could not be pruned.
    pub left_alone: Vec<LeftAlone>,
    /// Rules whose names no weight has.
    pub unused: Vec<String>,
    /// Bytes, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
}

/// A weight.
#[derive(Debug, Serialize)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Names of tensors that are the same thing.
    pub copies: Vec<String>,
    /// The file that it stands in.
    pub file: String,
    /// TensorFlow's name for its dtype.
    pub dtype: &'static str,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// How it was found: `graph`, `shape`, or `name`.
    pub found_by: &'static str,
    /// The op that multiplies by it, where a graph says so.
    pub op: Option<String>,
    /// Its rule.
    pub rule: Option<String>,
    /// Bits of its shared values.
    pub share: Option<String>,
    /// Number of elements.
    pub parameters: u64,
    /// Elements that were not zero before.
    pub nnz: u64,
    /// Elements that are not zero now.
    pub left: u64,
    /// left / parameters.
    pub density: f64,
    /// NaN and infinities.
    pub not_finite: u64,
    /// What |w| was compared with.
    pub threshold: Option<f64>,
    /// ‖w − w′‖ / ‖w‖.
    pub relative_error: f64,
}

/// A weight that could not be pruned.
#[derive(Debug, Serialize)]
pub struct LeftAlone {
    /// Its name.
    pub name: String,
    /// The reason.
    pub why: String,
}

impl Report {
    /// A report, with sizes if they are known.
    pub fn new(report: &PruneReport, sizes: Option<Sizes>) -> Self {
        let (parameters, left) = (report.parameters(), report.left());
        Self {
            parameters,
            left,
            density: match parameters {
                0 => 0.0,
                _ => left as f64 / parameters as f64,
            },
            relative_error: report.relative_error(),
            other_tensors: report.other_tensors,
            other_parameters: report.other_parameters,
            tensors: report.tensors.iter().map(tensor).collect(),
            left_alone: report
                .left_alone
                .iter()
                .map(|alone| LeftAlone {
                    name: alone.name.clone(),
                    why: alone.why.clone(),
                })
                .collect(),
            unused: report.unused.clone(),
            sizes,
        }
    }
}

fn tensor(tensor: &PrunedTensor) -> Tensor {
    let (found_by, op) = match &tensor.found_by {
        FoundBy::Graph { op } => ("graph", Some(op.clone())),
        FoundBy::Shape => ("shape", None),
        _ => ("name", None),
    };
    Tensor {
        name: tensor.name.clone(),
        copies: tensor.copies.clone(),
        file: tensor.file.clone(),
        dtype: tensor.dtype.name(),
        shape: tensor.shape.clone(),
        found_by,
        op,
        rule: tensor.rule.map(|rule| rule.to_string()),
        share: tensor.share.map(|bits| bits.to_string()),
        parameters: tensor.parameters,
        nnz: tensor.nnz,
        left: tensor.left,
        density: tensor.density(),
        not_finite: tensor.not_finite,
        threshold: tensor.threshold,
        relative_error: tensor.relative_error,
    }
}

/// The weights, one a line, and their total.
pub fn tensors(report: &PruneReport) -> String {
    let mut table = Lines::new([
        "parameters",
        "left",
        "density",
        "compression",
        "threshold",
        "error",
        "rule",
        "tensor",
    ]);
    table.left(&[6, 7]);
    for tensor in &report.tensors {
        let copies = match tensor.copies.len() {
            0 => String::new(),
            1 => " (and a copy)".to_owned(),
            n => format!(" (and {n} copies)"),
        };
        table.add([
            grouped(tensor.parameters),
            grouped(tensor.left),
            percent(tensor.left, tensor.parameters),
            times(tensor.parameters, tensor.left),
            tensor.threshold.map_or("–".to_owned(), number),
            number(tensor.relative_error),
            rule(tensor),
            printable(&tensor.name).into_owned() + &copies,
        ]);
    }
    let (parameters, left) = (report.parameters(), report.left());
    table.add([
        grouped(parameters),
        grouped(left),
        percent(left, parameters),
        times(parameters, left),
        String::new(),
        number(report.relative_error()),
        String::new(),
        format!("({} weights)", report.tensors.len()),
    ]);
    let mut text = table.text();
    if report.other_tensors > 0 {
        text += &format!(
            "and {} parameters in {} other tensors\n",
            grouped(report.other_parameters),
            grouped(report.other_tensors as u64)
        );
    }
    text
}

/// All weights in one line.
pub fn line(report: &PruneReport) -> String {
    let (parameters, left) = (report.parameters(), report.left());
    format!(
        "pruned: {} of {} parameters in {} weights are left, {}",
        grouped(left),
        grouped(parameters),
        grouped(report.tensors.len() as u64),
        percent(left, parameters)
    )
}

/// The model's size, and what it can be made.
pub fn sizes(sizes: &Sizes) -> String {
    let mut table = Lines::new(["whole model", "bytes", "compression"]);
    table.left(&[0]);
    for (name, bytes) in [
        ("pruned", sizes.model_bytes),
        ("gzip", sizes.gzip_bytes),
        ("tfz", sizes.archive_bytes),
    ] {
        table.add([
            name.to_owned(),
            grouped(bytes),
            times(sizes.model_bytes, bytes),
        ]);
    }
    table.text()
}

/// What a user should know beside the table, a line each.
pub fn notes(report: &PruneReport) -> Vec<String> {
    let mut notes = Vec::new();
    let by_shape = report
        .tensors
        .iter()
        .filter(|t| t.found_by == FoundBy::Shape);
    let n_by_shape = by_shape.count();
    if n_by_shape > 0 {
        notes.push(format!(
            "no graph says what {n_by_shape} of the tensors are for; they have the shape of weights"
        ));
    }
    for tensor in report.tensors.iter().filter(|t| t.not_finite > 0) {
        notes.push(format!(
            "{} elements of {} are NaN or infinite, and stay",
            grouped(tensor.not_finite),
            printable(&tensor.name)
        ));
    }
    for unused in &report.unused {
        notes.push(format!("{} is for no weight", printable(unused)));
    }
    for alone in &report.left_alone {
        notes.push(format!(
            "{} is not pruned: {}",
            printable(&alone.name),
            alone.why
        ));
    }
    notes
}

fn rule(tensor: &PrunedTensor) -> String {
    let rule = tensor.rule.map(|rule| rule.to_string());
    let share = tensor.share.map(|bits| format!("share:{bits}"));
    let words: Vec<String> = rule.into_iter().chain(share).collect();
    match words.is_empty() {
        true => "mask".to_owned(),
        false => words.join(" + "),
    }
}

/// How many times less `part` is than `whole`.
fn times(whole: u64, part: u64) -> String {
    match part {
        0 => "–".to_owned(),
        part => format!("{:.1}x", whole as f64 / part as f64),
    }
}

/// A number with four digits that mean something.
pub(super) fn number(number: f64) -> String {
    if number != 0.0 && (number.abs() < 1e-3 || number.abs() >= 1e5) {
        return format!("{number:.3e}");
    }
    format!("{number:.4}")
}
