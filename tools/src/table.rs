//! The report of `tfzip-inspect` as text.

use crate::report::{Report, StoredBytes, TensorReport, bits_per_nonzero, over_limit};
use crate::rivals::Rival;
use crate::text::{grouped, percent, printable};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::collections::HashSet;

/// Everything about a file. Of the tensors in the skeleton there is only the number, unless `all`
/// are asked for.
pub fn report(report: &Report, all: bool) -> String {
    let name = match &report.files[..] {
        [file] => printable(&file.name).into_owned(),
        files => format!("{} files", files.len()),
    };
    let mut text = format!(
        "{} : {} of {name}  ({} => {} bytes{})\n\n",
        printable(&report.input),
        percent(report.bytes, report.model_bytes),
        grouped(report.model_bytes),
        grouped(report.bytes),
        report
            .profile
            .map_or(String::new(), |profile| format!(", profile {profile}")),
    );
    text += &tensors(report, all);
    text.push('\n');
    text += &parts(report);
    if let Some(rivals) = &report.compare {
        text.push('\n');
        text += &comparison(rivals, report);
    }
    text
}

fn tensors(report: &Report, all: bool) -> String {
    // The name comes last: there are models with names of 250 characters.
    let mut table = Lines::new([
        "dtype",
        "shape",
        "density",
        "encoding",
        "bytes",
        "bits/nonzero",
        "limit",
        "over limit",
        "tensor",
    ]);
    table.left(&[0, 1, 3, 8]);
    let listed = |tensor: &&TensorReport| all || tensor.encoded.is_some();
    for tensor in report.tensors.iter().filter(listed) {
        let encoded = tensor.encoded.as_ref();
        table.add([
            tensor.dtype.to_owned(),
            format!("{:?}", tensor.shape),
            percent(tensor.nnz, tensor.elements),
            tensor.encoding.clone(),
            grouped(tensor.stored_bytes),
            decimal(encoded.and_then(|e| e.bits_per_nonzero)),
            encoded.map_or("–".to_owned(), |e| grouped(e.limit_bytes)),
            signed_percent(encoded.and_then(|e| e.over_limit)),
            printable(&tensor.name).into_owned(),
        ]);
    }
    let total = Total::new(report);
    table.add([
        String::new(),
        String::new(),
        percent(total.nnz, total.elements),
        String::new(),
        grouped(total.stored_bytes),
        decimal(bits_per_nonzero(total.stored_bytes, total.nnz)),
        grouped(total.limit_bytes),
        signed_percent(over_limit(total.stored_bytes, total.limit_bytes)),
        format!("({} encoded)", total.tensors),
    ]);
    let mut text = table.text();
    let others = report.tensors.len() - total.tensors;
    if !all && others > 0 {
        text += &format!("and {others} more in the skeleton (--all lists them)\n");
    }
    text
}

/// Sums over the encoded tensors.
#[derive(Default)]
struct Total {
    tensors: usize,
    elements: u64,
    nnz: u64,
    stored_bytes: u64,
    limit_bytes: u64,
    bytes: [(&'static str, u64); 6],
}

impl Total {
    fn new(report: &Report) -> Self {
        let mut total = Self {
            bytes: StoredBytes::default().by_purpose(),
            ..Self::default()
        };
        // What several tensors share is there, and counts, once.
        let mut seen = HashSet::new();
        for tensor in &report.tensors {
            let Some(encoded) = &tensor.encoded else {
                continue;
            };
            total.tensors += 1;
            if !seen.insert(encoded.payload) {
                continue;
            }
            total.elements += tensor.elements;
            total.nnz += tensor.nnz;
            total.stored_bytes += tensor.stored_bytes;
            total.limit_bytes += encoded.limit_bytes;
            for ((_, sum), (_, bytes)) in total.bytes.iter_mut().zip(encoded.bytes.by_purpose()) {
                *sum += bytes;
            }
        }
        total
    }
}

fn parts(report: &Report) -> String {
    let mut table = Lines::new(["part", "bytes", "share"]);
    table.left(&[0]);
    let mut add = |name: &str, bytes| {
        table.add([
            name.to_owned(),
            grouped(bytes),
            percent(bytes, report.bytes),
        ]);
    };
    // In the order in which they first come.
    let mut kinds: Vec<(&str, u64)> = Vec::new();
    for part in &report.parts {
        match kinds.iter_mut().find(|(kind, _)| *kind == part.kind) {
            Some((_, bytes)) => *bytes += part.bytes,
            None => kinds.push((part.kind, part.bytes)),
        }
    }
    let total = Total::new(report);
    for (kind, bytes) in kinds {
        add(kind, bytes);
        if kind == "payloads" {
            for (purpose, bytes) in total.bytes {
                add(&format!("  {purpose}"), bytes);
            }
        }
    }
    add("total", report.bytes);
    table.text()
}

fn comparison(rivals: &[Rival], report: &Report) -> String {
    let mut table = Lines::new(["whole model", "bytes", "share"]);
    table.left(&[0]);
    let rivals = rivals.iter().map(|rival| (rival.name, rival.bytes));
    for (name, bytes) in rivals.chain([("tfzip", report.bytes)]) {
        table.add([
            name.to_owned(),
            grouped(bytes),
            percent(bytes, report.model_bytes),
        ]);
    }
    table.text()
}

fn decimal(number: Option<f64>) -> String {
    number.map_or("–".to_owned(), |number| format!("{number:.2}"))
}

fn signed_percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:+.1}%", 100.0 * share))
}

/// A table without lines, as wide as it needs to be: nothing is broken into several lines.
pub(crate) struct Lines(Table);

impl Lines {
    /// A table with all columns to the right.
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(header);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self(table)
    }

    pub(crate) fn left(&mut self, columns: &[usize]) {
        for &column in columns {
            if let Some(column) = self.0.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Left);
            }
        }
    }

    pub(crate) fn add<const N: usize>(&mut self, row: [String; N]) {
        self.0.add_row(row);
    }

    pub(crate) fn text(&self) -> String {
        self.0.trim_fmt() + "\n"
    }
}
