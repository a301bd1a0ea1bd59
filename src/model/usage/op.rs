//! What TensorFlow's ops do with their inputs: which they multiply by, and which they hand on.
//!
//! The order of inputs is that of the ops' own definitions. Names of fused and of vendors' forms are
//! those of the plain op with something in front (`_Fused`, `_Mkl`, `_MklNative`), and have the
//! plain op's inputs first.

/// Some of a node's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inputs {
    None,
    At(&'static [usize]),
    /// All but so many at the beginning and at the end.
    But(usize, usize),
}

impl Inputs {
    /// Their numbers, of a node that has `n`.
    pub(super) fn of(self, n: usize) -> impl Iterator<Item = usize> {
        let (list, range) = match self {
            Self::None => (&[][..], 0..0),
            Self::At(list) => (list, 0..0),
            Self::But(first, last) => (&[][..], first..n.saturating_sub(last)),
        };
        list.iter().copied().filter(move |&i| i < n).chain(range)
    }
}

/// The inputs that an op multiplies by, or looks rows up in, where they are weights.
///
/// Both factors of a product are listed: which of them is a weight is for its origin to say.
/// `CudnnRNN` isn't here: its one vector of parameters holds biases too.
pub(super) fn weights(op: &str) -> Inputs {
    let base = op.trim_start_matches('_');
    let base = ["MklDummy", "MklNative", "Mkl"]
        .iter()
        .find_map(|prefix| base.strip_prefix(prefix))
        .unwrap_or(base);
    let at: &[usize] = match base {
        "MatMul"
        | "FusedMatMul"
        | "SparseMatMul"
        | "BatchMatMul"
        | "BatchMatMulV2"
        | "BatchMatMulV3"
        | "FusedBatchMatMulV2"
        | "XlaDot"
        | "XlaDotV2"
        | "XlaEinsum"
        | "RiscDot"
        | "UniformQuantizedDot"
        | "UniformQuantizedDotHybrid" => &[0, 1],
        "Einsum" => return Inputs::But(0, 0),
        "Conv"
        | "Conv2D"
        | "Conv3D"
        | "Conv2DWithBias"
        | "FusedConv2D"
        | "FusedConv3D"
        | "PadWithConv2D"
        | "PadWithFusedConv2D"
        | "DepthwiseConv2dNative"
        | "FusedDepthwiseConv2dNative"
        | "Conv2DBackpropInput"
        | "Conv2DBackpropInputV2"
        | "Conv3DBackpropInput"
        | "Conv3DBackpropInputV2"
        | "DepthwiseConv2dNativeBackpropInput"
        | "FusedQuantizedConv2D"
        | "FusedQuantizedDepthwiseConv2D"
        | "UniformQuantizedConvolution"
        | "UniformQuantizedConvolutionHybrid"
        | "XlaConv"
        | "XlaConvV2"
        | "RiscConv"
        | "SparseMatrixMatMul" => &[1],
        "FusedPadConv2D" => &[2],
        "FusedResizeAndPadConv2D" => &[3],
        "Gather" | "GatherV2" | "GatherNd" | "ResourceGather" | "ResourceGatherNd"
        | "XlaGather" | "RiscGather" => &[0],
        "SparseTensorDenseMatMul" => &[3],
        "XlaSparseDenseMatmul"
        | "XlaSparseDenseMatmulWithCsrInput"
        | "XlaSparseDenseMatmulWithStaticBufferSize" => &[4],
        "LSTMBlockCell" | "LSTMBlockCellGrad" => &[3],
        "BlockLSTM" | "BlockLSTMV2" | "BlockLSTMGrad" | "BlockLSTMGradV2" => &[4],
        "GRUBlockCell" | "GRUBlockCellGrad" => &[2, 3],
        // Sums of rows, which some embedding look-ups are.
        _ if base.starts_with("SparseSegment") && !base.contains("Grad") => &[0],
        _ if base.starts_with("QuantizedConv2D") => &[1],
        _ if base.starts_with("QuantizedDepthwiseConv2D") => &[1],
        _ if base.starts_with("QuantizedMatMul") => &[0, 1],
        _ => return Inputs::None,
    };
    Inputs::At(at)
}

/// Whether an op may multiply by its inputs or not: it holds a program in another language.
pub(super) fn is_opaque(op: &str) -> bool {
    op == "XlaCallModule"
}

/// What an op makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Constant,
    /// The handle of a variable.
    Variable,
    /// What a checkpoint has, one tensor at each output.
    Restored,
}

/// What an op makes by itself, if that is more than computing.
pub(super) fn source(op: &str) -> Option<Source> {
    match op {
        "Const" => Some(Source::Constant),
        "VarHandleOp" | "VariableV2" | "Variable" => Some(Source::Variable),
        "RestoreV2" | "Restore" | "RestoreSlice" => Some(Source::Restored),
        _ => None,
    }
}

/// What an op hands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passes {
    /// The inputs whose elements come out again.
    pub(super) inputs: Inputs,
    /// Each input comes out at the output of its number.
    pub(super) by_port: bool,
    /// They come out as they went in: all of them, with the same bits, in the same order.
    pub(super) unchanged: bool,
}

/// What an op hands on, if it does nothing but that: a weight behind it is still that weight.
pub(super) fn passes(op: &str) -> Option<Passes> {
    let (inputs, unchanged) = match op {
        "IdentityN" => {
            return Some(Passes {
                inputs: Inputs::But(0, 0),
                by_port: true,
                unchanged: true,
            });
        }
        "Identity" | "ReadVariableOp" | "Reshape" | "Squeeze" | "ExpandDims" | "EnsureShape"
        | "Enter" | "RefEnter" | "Switch" | "RefSwitch" | "Snapshot" | "StopGradient"
        | "PreventGradient" | "CheckNumerics" | "GuaranteeConst" | "Copy" | "CopyHost"
        | "DeepCopy" | "Assign" | "XlaSharding" => (Inputs::At(&[0]), true),
        "Cast"
        | "Transpose"
        | "ConjugateTranspose"
        | "ReverseV2"
        | "BroadcastTo"
        | "Slice"
        | "StridedSlice"
        | "SplitV"
        | "Unpack"
        | "Exit"
        | "RefExit"
        | "NextIteration"
        | "RefNextIteration"
        | "QuantizeV2"
        | "Dequantize"
        | "QuantizedReshape"
        | "UniformQuantize"
        | "UniformDequantize"
        | "FakeQuantWithMinMaxArgs"
        | "FakeQuantWithMinMaxVars"
        | "FakeQuantWithMinMaxVarsPerChannel"
        | "QuantizeAndDequantize"
        | "QuantizeAndDequantizeV2"
        | "QuantizeAndDequantizeV3"
        | "QuantizeAndDequantizeV4" => (Inputs::At(&[0]), false),
        "Split" => (Inputs::At(&[1]), false),
        "Merge" | "RefMerge" | "Pack" | "ParallelConcat" => (Inputs::But(0, 0), false),
        "Concat" => (Inputs::But(1, 0), false),
        "ConcatV2" => (Inputs::But(0, 1), false),
        _ => return None,
    };
    Some(Passes {
        inputs,
        by_port: false,
        unchanged,
    })
}

/// How an op calls functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The attributes that name a function, or several.
    pub(super) attrs: &'static [&'static str],
    /// The number of inputs before and behind those that are arguments.
    pub(super) before: usize,
    pub(super) behind: usize,
    /// The last function's results are the arguments of the next turn.
    pub(super) is_loop: bool,
}

/// How an op calls functions, if it is one that does nothing else.
pub(super) fn call(op: &str) -> Option<Call> {
    let (attrs, before, behind): (&[&str], _, _) = match op {
        "PartitionedCall" | "StatefulPartitionedCall" | "BatchFunction" => (&["f"], 0, 0),
        "TPUPartitionedCall" => (&["f"], 0, 1),
        "RemoteCall" => (&["f"], 1, 0),
        "XlaLaunch" | "XlaLaunchV2" => (&["function"], 0, 0),
        "If" | "StatelessIf" | "_If" | "XlaIf" => (&["then_branch", "else_branch"], 1, 0),
        "Case" | "StatelessCase" => (&["branches"], 1, 0),
        "While" | "StatelessWhile" | "_While" | "XlaWhile" => (&["cond", "body"], 0, 0),
        _ => return None,
    };
    Some(Call {
        attrs,
        before,
        behind,
        is_loop: attrs == ["cond", "body"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_those_that_a_node_has() {
        let of = |inputs: Inputs, n| inputs.of(n).collect::<Vec<_>>();
        assert_eq!(of(Inputs::At(&[0, 1]), 1), [0]);
        assert_eq!(of(Inputs::But(0, 1), 3), [0, 1]);
        assert_eq!(of(Inputs::But(1, 0), 3), [1, 2]);
        assert!(of(Inputs::But(2, 3), 1).is_empty());
        assert!(of(Inputs::None, 3).is_empty());
    }

    #[test]
    fn fused_forms_are_known_by_the_plain_op() {
        for op in [
            "Conv2D",
            "_FusedConv2D",
            "_MklNativeFusedConv2D",
            "_MklConv2DWithBias",
        ] {
            assert_eq!(weights(op), Inputs::At(&[1]), "{op}");
        }
        for op in [
            "_MklQuantizedMatMulWithBiasAndRelu",
            "_QuantizedMatMul",
            "MatMul",
        ] {
            assert_eq!(weights(op), Inputs::At(&[0, 1]), "{op}");
        }
        for op in [
            "Conv2DBackpropFilter",
            "CudnnRNNV3",
            "AddV2",
            "Mul",
            "XlaCallModule",
        ] {
            assert_eq!(weights(op), Inputs::None, "{op}");
        }
    }
}
