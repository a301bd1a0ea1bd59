//! The operators of a TFLite model: which tensors they multiply by.
//!
//! Operators stand in the order in which they run, and every tensor is made by one of them, or has a
//! buffer, or is handed in. So what depends on the input is known after one pass from the front, and
//! what becomes of a tensor after one from the back.

#![expect(
    clippy::indexing_slicing,
    reason = "tensors of a subgraph are numbered below its length, since what is not is left out when a list of \
              them is read; inputs are numbered below the length of their list"
)]

use super::findings::{Findings, Found, has_weights, of_file};
use super::op::Inputs;
use super::tflite_op::{self, Op};
use super::{Quantization, not_of_these_files};
use crate::error::Result;
use crate::model::ModelTensor;
use crate::model::tflite::flatbuffer::{Table, Vector, root};
use crate::model::tflite::{self, field};
use crate::tensor::ElementClass;
use std::collections::BTreeMap;

/// What all lists of numbers together may take, in bytes per byte of the file.
const LIST_BYTES_PER_BYTE: usize = 4;

/// Finds the roles of the tensors of the TFLite model in file number `file`.
pub(super) fn usage(findings: &mut Findings<'_>, bytes: &[u8], file: usize) -> Result<()> {
    let mut listed = tflite::listed(bytes, file)?;
    listed.sort_by_key(|listed| listed.tensor.start());
    let known = of_file(findings.model, file);
    if known.len() != listed.len() {
        return Err(not_of_these_files());
    }

    let mut numbers: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    for (number, listed) in known.zip(&listed) {
        let of_subgraph = numbers.entry(listed.subgraph).or_default();
        of_subgraph.insert(listed.number, number);
    }

    let model = root(bytes)?;
    let ops = read_ops(model)?;
    let subgraphs = model.required(field::MODEL_SUBGRAPHS, "subgraphs")?;
    // Lists can be shared, so that a small file could otherwise buy a lot of memory.
    let mut left = bytes.len().saturating_mul(LIST_BYTES_PER_BYTE);
    for i in 0..subgraphs.len() {
        if let Some(numbers) = numbers.get(&i) {
            let subgraph = Subgraph::read(subgraphs.table(i)?, &ops, &mut left)?;
            subgraph.add_roles(findings, numbers);
            subgraph.add_quantization(findings, numbers, &mut left)?;
        }
    }
    Ok(())
}

/// The ops that operators refer to.
fn read_ops(model: Table<'_>) -> Result<Vec<Op>> {
    let Some(codes) = model.vector(field::MODEL_OPERATOR_CODES, Vector::OFFSET_BYTES)? else {
        return Ok(Vec::new());
    };
    let read = |i| {
        let code = codes.table(i)?;
        let builtin = code.u32(field::CODE_BUILTIN)?;
        let builtin = builtin.max(code.u8(field::CODE_DEPRECATED_BUILTIN)?.into());
        let custom = code.vector(field::CODE_CUSTOM, 1)?;
        let custom = custom.map_or(&[][..], |name| name.bytes());
        Ok(tflite_op::op(builtin, custom))
    };
    (0..codes.len()).map(read).collect()
}

/// An operator of a subgraph.
struct Operator<'a> {
    op: &'a Op,
    /// Numbers of tensors; `None` for one that is left out.
    inputs: Vec<Option<usize>>,
    outputs: Vec<Option<usize>>,
}

/// A subgraph and its operators.
struct Subgraph<'a> {
    tensors: Vector<'a>,
    outputs: Vec<Option<usize>>,
    operators: Vec<Operator<'a>>,
}

impl<'a> Subgraph<'a> {
    /// Reads a subgraph, which may take `left` bytes.
    fn read(table: Table<'a>, ops: &'a [Op], left: &mut usize) -> Result<Self> {
        let tensors = table.required(field::SUBGRAPH_TENSORS, "tensors")?;
        let mut list = |table: Table<'a>, number| -> Result<Vec<Option<usize>>> {
            let Some(list) = table.vector(number, 4)? else {
                return Ok(Vec::new());
            };
            spend(left, table, list.range().len())?;
            let numbers = list.i32s().map(usize::try_from);
            Ok(numbers
                .map(|number| number.ok().filter(|&number| number < tensors.len()))
                .collect())
        };
        let outputs = list(table, field::SUBGRAPH_OUTPUTS)?;
        let mut operators = Vec::new();
        if let Some(found) = table.vector(field::SUBGRAPH_OPERATORS, Vector::OFFSET_BYTES)? {
            for i in 0..found.len() {
                let operator = found.table(i)?;
                let op = usize::try_from(operator.u32(field::OPERATOR_CODE)?).ok();
                let op = op.and_then(|op| ops.get(op)).ok_or_else(|| {
                    operator.error(format!(
                        "expected one of {} operator codes, found another",
                        ops.len()
                    ))
                })?;
                operators.push(Operator {
                    op,
                    inputs: list(operator, field::OPERATOR_INPUTS)?,
                    outputs: list(operator, field::OPERATOR_OUTPUTS)?,
                });
            }
            spend(left, table, found.range().len())?;
        }
        Ok(Self {
            tensors,
            outputs,
            operators,
        })
    }

    /// Adds the roles of tensors, whose numbers in the model are known by those in the subgraph.
    fn add_roles(&self, findings: &mut Findings<'_>, numbers: &BTreeMap<usize, usize>) {
        // Which tensors depend on parameters alone.
        let mut is_parameter = vec![false; self.tensors.len()];
        numbers
            .keys()
            .for_each(|&tensor| is_parameter[tensor] = true);
        for operator in &self.operators {
            let passed = operator.passed();
            let mut passed = passed.map(|input| input.is_some_and(|input| is_parameter[input]));
            let is_made = operator.op.passes != Inputs::None && passed.all(|is| is);
            for &output in operator.outputs.iter().flatten() {
                is_parameter[output] = is_made;
            }
        }
        let mut becomes: Vec<Option<Becomes<'_>>> = vec![None; self.tensors.len()];
        for &output in self.outputs.iter().flatten() {
            becomes[output] = Some(Becomes::Other);
        }
        for operator in self.operators.iter().rev() {
            let outputs = operator.outputs.iter().flatten();
            let of_outputs = outputs.filter_map(|&output| becomes[output]).max();
            let n_inputs = operator.inputs.len();
            let mut of_inputs: Vec<Option<Becomes<'_>>> = vec![
                Some(match operator.op.is_known {
                    true => Becomes::Other,
                    false => Becomes::Hidden,
                });
                n_inputs
            ];
            for i in operator.op.passes.of(n_inputs) {
                of_inputs[i] = of_outputs;
            }
            for i in operator.op.weights(n_inputs).of(n_inputs) {
                of_inputs[i] = Some(Becomes::Weight(&operator.op.name));
            }
            for (&input, what) in operator.inputs.iter().zip(of_inputs) {
                let Some((input, mut what)) = input.zip(what) else {
                    continue;
                };
                if !is_parameter[input] && matches!(what, Becomes::Weight(_)) {
                    what = Becomes::Other;
                }
                // An earlier op counts more than a later one that does as much.
                if becomes[input].is_none_or(|known| what.rank() >= known.rank()) {
                    becomes[input] = Some(what);
                }
            }
        }
        for (&tensor, &number) in numbers {
            match becomes[tensor] {
                None => {}
                Some(Becomes::Other) => findings.add(number, Found::Other),
                Some(_) if !self.has_rows(tensor, findings.tensor(number)) => {
                    findings.add(number, Found::Other);
                }
                Some(Becomes::Hidden) => findings.add_any_shape(number, Found::Hidden),
                Some(Becomes::Weight(op)) => {
                    findings.add_any_shape(number, Found::Weight(op.to_owned()));
                }
            }
        }
    }

    /// Whether a tensor can be a weight: by the shape that TFLite gives it, which is another one where
    /// the values of a sparse encoding are listed.
    fn has_rows(&self, tensor: usize, listed: &ModelTensor) -> bool {
        let shape = self.tensors.table(tensor);
        let shape = shape.and_then(|tensor| tensor.vector(field::TENSOR_SHAPE, 4));
        let rank = shape.ok().flatten().map_or(0, Vector::len);
        rank >= 2 && has_weights(listed.dtype)
    }

    /// Adds how the integers of tensors stand for numbers.
    fn add_quantization(
        &self,
        findings: &mut Findings<'_>,
        numbers: &BTreeMap<usize, usize>,
        left: &mut usize,
    ) -> Result<()> {
        for (&tensor, &number) in numbers {
            let listed = findings.tensor(number);
            if listed.dtype.class() == ElementClass::Float {
                continue;
            }
            let tensor = self.tensors.table(tensor)?;
            let Some(table) = tensor.table(field::TENSOR_QUANTIZATION)? else {
                continue;
            };
            let scales = table.vector(field::QUANTIZATION_SCALE, 4)?;
            let zero_points = table.vector(field::QUANTIZATION_ZERO_POINT, 8)?;
            let (Some(scales), Some(zero_points)) = (scales, zero_points) else {
                continue;
            };
            spend(left, table, scales.range().len())?;
            let (dimension, n) = (table.u32(field::QUANTIZATION_DIMENSION)?, scales.len());
            let axis = usize::try_from(dimension).unwrap_or(usize::MAX);
            let (scales, _) = scales.bytes().as_chunks();
            let (points, _) = zero_points.bytes().as_chunks();
            let points: Vec<i64> = points
                .iter()
                .take(n)
                .map(|&p| i64::from_le_bytes(p))
                .collect();
            let zero_points = match points.as_slice() {
                // One goes for all.
                &[point] => vec![point; n],
                _ => points,
            };
            let dim = listed.shape.get(axis).copied();
            let fits = n == 1 || dim.is_some_and(|dim| u64::try_from(n) == Ok(dim));
            if n > 0 && fits && zero_points.len() == n {
                let quantization = Quantization {
                    scales: scales.iter().map(|&s| f32::from_le_bytes(s)).collect(),
                    zero_points,
                    axis,
                };
                findings.set_quantization(number, quantization);
            }
        }
        Ok(())
    }
}

impl Operator<'_> {
    /// The inputs that it hands on.
    fn passed(&self) -> impl Iterator<Item = Option<usize>> {
        let passes = self.op.passes.of(self.inputs.len());
        passes.map(|i| self.inputs[i])
    }
}

/// What becomes of a tensor; what comes later says more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Becomes<'a> {
    Other,
    Hidden,
    Weight(&'a str),
}

impl Becomes<'_> {
    fn rank(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Hidden => 1,
            Self::Weight(_) => 2,
        }
    }
}

/// Takes the bytes that a list has from those that are left.
fn spend(left: &mut usize, table: Table<'_>, n_bytes: usize) -> Result<()> {
    *left = left
        .checked_sub(n_bytes)
        .ok_or_else(|| table.error("expected lists of numbers that are not shared, found more"))?;
    Ok(())
}
