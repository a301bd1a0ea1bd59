//! TFLite models.

use super::build::{Files, groups, look, roles};
use crate::error::ErrorKind;
use crate::model::Quantization;
use crate::model::tflite::build::Builder;

/// A tensor: name, TensorType, shape, number of the buffer, and quantisation if it has one.
struct Tensor<'a>(
    &'a str,
    u8,
    &'a [i32],
    u32,
    Option<(&'a [f32], &'a [i64], u32)>,
);

/// An operator: its code, inputs and outputs.
type Operator<'a> = (u32, &'a [i32], &'a [i32]);

/// A model of one subgraph, whose buffers after the first hold so many bytes.
fn build(tensors: &[Tensor<'_>], operators: &[Operator<'_>], buffers: &[usize]) -> Files {
    let mut b = Builder(b"\0\0\0\0TFL3".to_vec());
    let (model, fields) = b.table(&[4, 4, 4, 0, 4]);
    b.point(0, model);
    b.set(fields[0], &3u32.to_le_bytes());
    let list = |b: &mut Builder, from, list: &[i32]| {
        let bytes: Vec<u8> = list.iter().flat_map(|n| n.to_le_bytes()).collect();
        let at = b.vector(list.len(), &bytes);
        b.point(from, at);
    };
    for (from, (code, _, _)) in b
        .offsets(fields[1], operators.len())
        .into_iter()
        .zip(operators)
    {
        let (table, fields) = b.table(&[1, 4, 0, 4]);
        b.point(from, table);
        b.set(fields[0], &[u8::try_from(*code).unwrap_or(127)]);
        b.set(fields[3], &code.to_le_bytes());
        let name = b.vector(4, b"Mine");
        b.point(fields[1], name);
    }
    let subgraph = b.offsets(fields[2], 1)[0];
    let (table, subgraph_fields) = b.table(&[4, 0, 0, 4]);
    b.point(subgraph, table);
    for (from, tensor) in b
        .offsets(subgraph_fields[0], tensors.len())
        .into_iter()
        .zip(tensors)
    {
        let Tensor(name, dtype, shape, buffer, quantization) = tensor;
        let (table, fields) = b.table(&[4, 1, 4, 4, if quantization.is_some() { 4 } else { 0 }]);
        b.point(from, table);
        b.set(fields[1], &[*dtype]);
        b.set(fields[2], &buffer.to_le_bytes());
        list(&mut b, fields[0], shape);
        let name = b.vector(name.len(), name.as_bytes());
        b.point(fields[3], name);
        if let Some((scales, zero_points, axis)) = quantization {
            let (table, inner) = b.table(&[0, 0, 4, 4, 0, 0, 4]);
            b.point(fields[4], table);
            let bytes: Vec<u8> = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
            let at = b.vector(scales.len(), &bytes);
            b.point(inner[2], at);
            let bytes: Vec<u8> = zero_points.iter().flat_map(|s| s.to_le_bytes()).collect();
            let at = b.vector(zero_points.len(), &bytes);
            b.point(inner[3], at);
            b.set(inner[6], &axis.to_le_bytes());
        }
    }
    let places = b.offsets(subgraph_fields[3], operators.len());
    for (i, (from, (_, inputs, outputs))) in places.into_iter().zip(operators).enumerate() {
        let (table, fields) = b.table(&[4, 4, 4]);
        b.point(from, table);
        b.set(fields[0], &u32::try_from(i).unwrap().to_le_bytes());
        list(&mut b, fields[1], inputs);
        list(&mut b, fields[2], outputs);
    }
    let places = b.offsets(fields[4], 1 + buffers.len());
    for (from, &len) in places.into_iter().zip([0].iter().chain(buffers)) {
        let (table, fields) = b.table(&[if len > 0 { 4 } else { 0 }]);
        b.point(from, table);
        if len > 0 {
            let data = b.vector(len, &vec![1; len]);
            b.point(fields[0], data);
        }
    }
    vec![("m.tflite".to_owned(), b.0)]
}

#[test]
fn operators_multiply_by_weights() {
    let tensors = [
        Tensor("x", 0, &[1, 2], 0, None),
        Tensor("half", 1, &[2, 2], 1, None),
        Tensor("kernel", 0, &[2, 2], 0, None),
        Tensor("bias", 0, &[2], 2, None),
        Tensor("y", 0, &[1, 2], 0, None),
        Tensor("table", 9, &[4, 2], 3, None),
        Tensor("ids", 2, &[2, 1], 4, None),
        Tensor("state", 0, &[1, 2], 5, None),
        Tensor("both", 0, &[2, 2], 0, None),
        Tensor("custom", 0, &[2, 2], 6, None),
        Tensor("unused", 0, &[2, 2], 7, None),
        Tensor("flat", 0, &[4], 8, None),
    ];
    let operators: [Operator<'_>; 7] = [
        // DEQUANTIZE, FULLY_CONNECTED, GATHER, CONCATENATION of the input and a constant
        (6, &[1], &[2]),
        (9, &[0, 2, 3], &[4]),
        (36, &[5, 6], &[4]),
        (2, &[4, 7], &[8]),
        (126, &[8, 8], &[4]),
        (32, &[9, -1, 99], &[4]),
        (9, &[0, 11], &[4]),
    ];
    let buffers = [8, 8, 8, 8, 8, 16, 16, 16];
    assert_eq!(
        roles(&build(&tensors, &operators, &buffers)),
        [
            "bias -",
            "custom ?",
            "flat -",
            "half FULLY_CONNECTED",
            "ids -",
            "state -",
            "table GATHER",
            "unused ?",
        ]
    );
}

#[test]
fn the_first_operator_counts_and_a_shared_buffer_is_one_thing() {
    let tensors = [
        Tensor("x", 0, &[1, 2], 0, None),
        Tensor("w", 0, &[2, 2], 1, None),
        Tensor("same", 0, &[1, 2, 2], 1, None),
        Tensor("other", 9, &[16], 1, None),
        Tensor("y", 0, &[1, 2], 0, None),
    ];
    let operators: [Operator<'_>; 3] =
        [(0, &[1, 0], &[4]), (126, &[0, 1], &[4]), (3, &[0, 1], &[4])];
    let files = build(&tensors, &operators, &[16]);
    // What has the same bytes has the same use, if it has as many elements.
    assert_eq!(
        roles(&files),
        ["other ?", "same BATCH_MATMUL", "w BATCH_MATMUL"]
    );
    assert_eq!(groups(&files), [["same", "w"]]);
}

#[test]
fn quantization_is_that_of_the_shape() {
    let quantizations: [(&[f32], &[i64], u32, bool); 6] = [
        (&[0.5, 0.25], &[1, 2], 0, true),
        (&[0.5, 0.25, 0.125], &[3], 1, true),
        (&[0.5], &[-4], 7, true),
        (&[0.5, 0.25], &[1, 2], 1, false),
        (&[0.5, 0.25], &[1, 2, 3], 7, false),
        (&[], &[], 0, false),
    ];
    for (scales, zero_points, axis, is_valid) in quantizations {
        let tensors = [Tensor(
            "q",
            9,
            &[2, 3],
            1,
            Some((scales, zero_points, axis)),
        )];
        let (_, usage) = look(&build(&tensors, &[], &[6])).unwrap();
        let found = usage.tensors[0].quantization.clone();
        let zero_points = match zero_points {
            [one] => vec![*one; scales.len()],
            all => all.to_vec(),
        };
        let expected = Quantization {
            scales: scales.to_vec(),
            zero_points,
            axis: axis as usize,
        };
        assert_eq!(found, is_valid.then_some(expected), "{scales:?}");
    }
    // Floats may say how they were quantised: that is no matter.
    let tensors = [Tensor("f", 0, &[2, 3], 1, Some((&[0.5], &[0], 0)))];
    let (_, usage) = look(&build(&tensors, &[], &[24])).unwrap();
    assert_eq!(usage.tensors[0].quantization, None);
}

#[test]
fn operators_without_a_code_are_damage() {
    let tensors = [Tensor("w", 0, &[2, 2], 1, None)];
    let mut files = build(&tensors, &[(9, &[0], &[0])], &[16]);
    // The operator's table is behind a vtable of 10 bytes: its code is the first number in it.
    let file = &mut files[0].1;
    let vtable = [10u8, 0, 16, 0, 4, 0, 8, 0, 12, 0];
    let at = file.windows(10).position(|w| w == vtable).unwrap();
    file[at + 14] = 9;
    let error = look(&files).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("operator codes"), "{error}");
}
