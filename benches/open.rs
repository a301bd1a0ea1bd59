//! Opening: what an app waits for before it has its first tensor, by the number of tensors. The
//! model has a kernel and a bias for each layer, in payloads and in the skeleton.

mod common;

use common::graph_def::{constant, graph};
use common::models::{self, Noise};
use criterion::{BatchSize, Throughput};
use tfzip::{Archive, DType, PackOptions, pack_slice};

fn model(layers: usize) -> Vec<u8> {
    let mut noise = Noise(1);
    let nodes = (0..layers).flat_map(|i| {
        let mut f32s = |name: &str, shape: &[u64], percent| {
            let n = shape.iter().product::<u64>() as usize;
            let values = models::bytes_of_f32(&models::pruned(n, percent, &mut noise));
            constant(
                &format!("block_{i}/dense/{name}"),
                DType::Float32,
                shape,
                values,
            )
        };
        [f32s("kernel", &[32, 16], 10), f32s("bias", &[16], 100)]
    });
    graph(nodes.collect())
}

fn main() {
    let mut criterion = common::criterion();
    let mut group = criterion.benchmark_group("open");
    for layers in [5, 100, 2000] {
        let (tfz, report) = pack_slice(&model(layers), "m.pb", &PackOptions::default()).unwrap();
        let tensors = report.tensors;
        eprintln!("open/{tensors} tensors: {} bytes", tfz.len());
        group.throughput(Throughput::Elements(tensors as u64));
        group.bench_function(format!("new/{tensors} tensors"), |b| {
            b.iter(|| Archive::new(&tfz[..]).unwrap());
        });
        let name = format!("block_{}/dense/kernel", layers / 2);
        group.bench_function(format!("first tensor/{tensors} tensors"), |b| {
            b.iter_batched_ref(
                || Archive::new(&tfz[..]).unwrap(),
                |archive| archive.tensor(&name).unwrap().to_vec::<f32>().unwrap(),
                BatchSize::LargeInput,
            );
        });
        let archive = Archive::new(&tfz[..]).unwrap();
        group.bench_function(format!("next tensor/{tensors} tensors"), |b| {
            b.iter(|| archive.tensor(&name).unwrap().to_vec::<f32>().unwrap());
        });
    }
    group.finish();
    criterion.final_summary();
}
