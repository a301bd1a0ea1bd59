//! What TFLite's operators do with their inputs: which they multiply by, and which they hand on. The
//! numbers are those of the schema's `BuiltinOperator`, the order of inputs that of the kernels.

use super::op::{self, Inputs};

/// An operator's op.
pub(super) struct Op {
    /// As the schema writes it; empty for those that have no weights.
    pub(super) name: String,
    weights: Inputs,
    /// The inputs whose elements come out again, if it does nothing else.
    pub(super) passes: Inputs,
    /// Whether it is known here that it has no other weights.
    pub(super) is_known: bool,
}

impl Op {
    /// The inputs that it multiplies by, or looks rows up in, of `n`.
    pub(super) fn weights(&self, n: usize) -> Inputs {
        match self.name.as_str() {
            // The basic form: data, the last activations, weights.
            "LSTM" if n == 5 => Inputs::At(&[2]),
            _ => self.weights,
        }
    }
}

/// A custom op.
const CUSTOM: u32 = 32;

/// Ops that call subgraphs, or hold a program in another language: what they multiply by isn't known.
const OPAQUE: &[u32] = &[31, 118, 119, 173, 200, 206];

/// How the names of TensorFlow's own ops begin, where a TFLite model uses one.
const FLEX: &str = "Flex";

/// The op of a code; `custom` is the name of a custom op.
pub(super) fn op(code: u32, custom: &[u8]) -> Op {
    let flex = std::str::from_utf8(custom).ok();
    if let (CUSTOM, Some(flex)) = (code, flex.and_then(|name| name.strip_prefix(FLEX))) {
        return Op {
            name: format!("{FLEX}{flex}"),
            weights: op::weights(flex),
            passes: op::passes(flex).map_or(Inputs::None, |passes| passes.inputs),
            is_known: !op::is_opaque(flex) && op::call(flex).is_none(),
        };
    }
    let (name, weights): (&str, &'static [usize]) = match code {
        3 => ("CONV_2D", &[1]),
        4 => ("DEPTHWISE_CONV_2D", &[1]),
        7 => ("EMBEDDING_LOOKUP", &[1]),
        9 => ("FULLY_CONNECTED", &[1]),
        // Input to gates, from the state to gates, the projection.
        16 => ("LSTM", &[1, 2, 3, 4, 5, 6, 7, 8, 16]),
        24 => ("RNN", &[1, 2]),
        27 => ("SVDF", &[1, 2]),
        33 => ("EMBEDDING_LOOKUP_SPARSE", &[4]),
        35 => ("UNIDIRECTIONAL_SEQUENCE_RNN", &[1, 2]),
        36 => ("GATHER", &[0]),
        44 => (
            "UNIDIRECTIONAL_SEQUENCE_LSTM",
            &[1, 2, 3, 4, 5, 6, 7, 8, 16],
        ),
        // Forward, backward, and those of the auxiliary input.
        46 => ("BIDIRECTIONAL_SEQUENCE_RNN", &[1, 2, 5, 6, 10, 11]),
        52 => (
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            &[
                1, 2, 3, 4, 5, 6, 7, 8, 16, 18, 19, 20, 21, 22, 23, 24, 25, 33, 40, 41, 42, 43, 44,
                45, 46, 47,
            ],
        ),
        67 => ("TRANSPOSE_CONV", &[1]),
        107 => ("GATHER_ND", &[0]),
        126 => ("BATCH_MATMUL", &[0, 1]),
        132 => ("CONV_3D", &[1]),
        141 => ("CONV_3D_TRANSPOSE", &[1]),
        171 => ("STABLEHLO_CONVOLUTION", &[1]),
        197 => ("STABLEHLO_DOT_GENERAL", &[0, 1]),
        201 => ("STABLEHLO_GATHER", &[0]),
        CUSTOM if custom == b"Convolution2DTransposeBias" => ("Convolution2DTransposeBias", &[1]),
        _ => ("", &[]),
    };
    Op {
        weights: Inputs::At(weights),
        passes: passes(code),
        is_known: !name.is_empty() || code != CUSTOM && !OPAQUE.contains(&code),
        name: name.to_owned(),
    }
}

/// The inputs that come out again: of conversions, of changes of shape, of parts.
fn passes(code: u32) -> Inputs {
    match code {
        // DEQUANTIZE, RESHAPE, TRANSPOSE, SQUEEZE, STRIDED_SLICE, CAST, SLICE, EXPAND_DIMS,
        // FAKE_QUANT, UNPACK, SPLIT_V, REVERSE_V2, QUANTIZE, DENSIFY, BROADCAST_TO
        6 | 22 | 39 | 43 | 45 | 53 | 65 | 70 | 80 | 88 | 102 | 105 | 114 | 124 | 130 => {
            Inputs::At(&[0])
        }
        // STABLEHLO_RESHAPE, STABLEHLO_BROADCAST_IN_DIM, STABLEHLO_SLICE, STABLEHLO_CONVERT,
        // STABLEHLO_TRANSPOSE
        167 | 170 | 172 | 192 | 202 => Inputs::At(&[0]),
        // SPLIT
        49 => Inputs::At(&[1]),
        // CONCATENATION, PACK, STABLEHLO_CONCATENATE
        2 | 83 | 169 => Inputs::But(0, 0),
        _ => Inputs::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lstm_has_two_forms() {
        assert_eq!(op(16, b"").weights(5), Inputs::At(&[2]));
        assert_eq!(op(16, b"").weights(20).of(20).count(), 9);
    }

    #[test]
    fn custom_ops_are_known_by_name() {
        let transposed = op(CUSTOM, b"Convolution2DTransposeBias");
        assert_eq!(
            (transposed.weights(3), transposed.is_known),
            (Inputs::At(&[1]), true)
        );
        let flex = op(CUSTOM, b"FlexConv2D");
        assert_eq!(
            (flex.weights(2), flex.name.as_str()),
            (Inputs::At(&[1]), "FlexConv2D")
        );
        assert!(!op(CUSTOM, b"FlexXlaCallModule").is_known);
        assert!(!op(CUSTOM, b"Mine").is_known && op(3, b"").is_known && op(0, b"").is_known);
    }
}
