//! Opening: what an app waits for before it has its first tensor, by the number of tensors, and one
//! row of a big embedding. A model has a kernel and a bias for each layer, in payloads and in the
//! skeleton.

mod common;

use common::graph_def::{constant, graph};
use common::models::{self, Noise};
use criterion::Throughput;
use std::hint::black_box;
use tfzip::{Archive, DType, Effort, Profile, pack_slice};

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
        [f32s("kernel", &[16, 16], 10), f32s("bias", &[16], 100)]
    });
    graph(nodes.collect())
}

const ROWS: u64 = 100_000;
const COLUMNS: u64 = 64;

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "open");
    for layers in [5, 500, 50_000] {
        let mut options = common::pack_options(Profile::default());
        options.effort = Effort::Fast;
        let (tfz, report) = pack_slice(&model(layers), "m.pb", &options).unwrap();
        let id = format!("{} tensors", report.tensors);
        eprintln!("open/{id}: {} bytes", tfz.len());
        group.throughput(Throughput::Elements(report.tensors as u64));
        group.bench_function(format!("new/{id}"), |b| {
            b.iter_with_large_drop(|| Archive::new(&tfz[..]).unwrap());
        });
        let name = format!("block_{}/dense/kernel", layers / 2);
        group.bench_function(format!("new and first tensor/{id}"), |b| {
            b.iter_with_large_drop(|| {
                let archive = Archive::new(&tfz[..]).unwrap();
                black_box(archive.tensor(&name).unwrap().to_vec::<f32>().unwrap());
                archive
            });
        });
        let archive = Archive::new(&tfz[..]).unwrap();
        group.bench_function(format!("next tensor/{id}"), |b| {
            b.iter(|| archive.tensor(&name).unwrap().to_vec::<f32>().unwrap());
        });
    }

    let mut noise = Noise(2);
    let weights = models::pruned((ROWS * COLUMNS) as usize, 10, &mut noise);
    let embedding = models::bytes_of_f32(&weights);
    let embedding = graph(vec![constant(
        "embedding",
        DType::Float32,
        &[ROWS, COLUMNS],
        embedding,
    )]);
    for profile in Profile::ALL {
        let (tfz, _) = pack_slice(&embedding, "m.pb", &common::pack_options(profile)).unwrap();
        let archive = Archive::new(tfz).unwrap();
        let tensor = archive.tensor("embedding").unwrap();
        let mut next = 0;
        let mut row = || {
            next = (next + 7919) % ROWS;
            (next, tensor.rows::<f32>(next..next + 1).unwrap())
        };
        let (found, elements) = row();
        assert!(elements == weights[(found * COLUMNS) as usize..][..COLUMNS as usize]);
        eprintln!(
            "open/row of an embedding, {profile}: {} bytes",
            archive.as_bytes().len()
        );
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("row of {ROWS}/{profile}"), |b| b.iter(&mut row));
    }
    group.finish();
    criterion.final_summary();
}
