//! Positions: profile × density × how the entries lie. All entries are 1.0, so that values cost next
//! to nothing and what is measured is positions. The packer chooses their kind; the line before each
//! measurement says which, and the bytes per nonzero.

mod common;

use common::Case;
use common::models::Noise;
use criterion::Throughput;
use tfzip::{DType, Profile};

const ROWS: u64 = 1000;
const COLUMNS: u64 = 1000;

/// Whether an element, by its number, is an entry. They are asked in order.
type Mask = Box<dyn FnMut(u64) -> bool>;

/// A mask with so many entries in a hundred elements.
type MakeMask = fn(u32) -> Mask;

/// Ways in which entries lie, that on average so many percent of the elements are.
const MASKS: [(&str, MakeMask); 5] = [
    ("uniform", |percent| {
        let mut noise = Noise(1);
        Box::new(move |_| noise.below(100) < percent)
    }),
    // As magnitude pruning leaves them: from nothing to twice the average, row by row.
    ("rows", |percent| {
        let mut noise = Noise(2);
        Box::new(move |i| noise.below(1000 * 100) < 2 * percent * ((i / COLUMNS * 7 % 1000) as u32))
    }),
    // And column by column, one in four of them dead.
    ("columns", |percent| {
        let mut noise = Noise(3);
        Box::new(move |i| {
            let column = (i % COLUMNS * 7 % 1000) as u32;
            column >= 250 && noise.below(1000 * 100) < 2 * percent * column
        })
    }),
    // Structured pruning.
    ("runs of 8", |percent| {
        let (mut noise, mut run) = (Noise(4), false);
        Box::new(move |i| {
            if i % 8 == 0 {
                run = noise.below(100) < percent;
            }
            run
        })
    }),
    // One in every stretch of so many elements: gaps of hardly any width but one.
    ("strides", |percent| {
        let mut noise = Noise(5);
        let stride = u64::from(100 / percent);
        let mut at = 0;
        Box::new(move |i| {
            if i % stride == 0 {
                at = i + u64::from(noise.below(2)) % stride;
            }
            i == at
        })
    }),
];

fn main() {
    let mut criterion = common::criterion();
    let mut group = common::group(&mut criterion, "positions");
    for (name, mask) in MASKS {
        for percent in [1, 4, 10, 25, 50] {
            let dense: Vec<u8> = (0..ROWS * COLUMNS)
                .map(mask(percent))
                .flat_map(|entry| f32::from(u8::from(entry)).to_le_bytes())
                .collect();
            for profile in Profile::ALL {
                let id = format!("{profile} {name} {percent} %");
                let label = format!("positions/{id}");
                let case = Case::new(&label, profile, DType::Float32, [ROWS, COLUMNS], &dense);
                case.bench_decode(&mut group, &id);
                let tensor = case.tensor();
                group.throughput(Throughput::Bytes(dense.len() as u64));
                group.bench_function(format!("csr/{id}"), |b| {
                    b.iter(|| tensor.csr::<f32>().unwrap());
                });
            }
        }
    }
    group.finish();
    criterion.final_summary();
}
