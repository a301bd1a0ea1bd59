//! Payloads from elements, and back.

use super::blocks::decode_record;
use crate::cursor::Cursor;
use crate::kernels::{Isa, Store};
use crate::payload::{EncodeOptions, PayloadMeta, PayloadSpec, Record, encode};
use crate::profile::{Effort, Profile};
use crate::word::{WIDTHS, with_word};

/// Most bytes of a payload that [`roundtrip`] makes: few, so that it makes many...
const MAX_BYTES: usize = 4096;

/// ... or enough for a second block of bytes, where the input asks for it.
const MAX_WIDE_BYTES: usize = 70_000;

/// What a record costs at most beyond its elements: for each block (spec §11).
const MAX_BLOCK_OVERHEAD: usize = 27;

/// Payloads come back: any elements, of any width, in any rows, encode to a record that decodes to
/// them, is the same each time, and hardly larger than they are.
///
/// # Panics
/// If that does not hold.
pub fn roundtrip(bytes: &[u8]) {
    let mut cursor = Cursor::new(bytes);
    let (Ok(head), Ok(columns)) = (cursor.u8(), cursor.u16()) else {
        return;
    };
    let (float, wide, choice) = (head & 0x80 != 0, head & 0x40 != 0, usize::from(head & 0x3f));
    let width = WIDTHS[choice % WIDTHS.len()];
    let way = choice / WIDTHS.len();
    let most = if wide { MAX_WIDE_BYTES } else { MAX_BYTES };
    let mut elements = elements(&mut cursor, width, most);
    let n = elements.len() / width;
    if n == 0 {
        return;
    }
    let columns = usize::from(columns) % n + 1;
    elements.truncate(n / columns * columns * width);
    let spec = PayloadSpec {
        width,
        columns: columns as u64,
        float,
    };

    let (profiles, efforts) = (Profile::ALL, Effort::ALL);
    let options = EncodeOptions {
        profile: profiles[way % profiles.len()],
        effort: efforts[way / profiles.len() % efforts.len()],
    };
    check_round_trip(spec, options, &elements);
}

fn check_round_trip(spec: PayloadSpec, options: EncodeOptions, elements: &[u8]) {
    let (record, meta) = encode_to_vec(spec, options, elements);
    if elements.len() <= MAX_BYTES {
        let again = encode_to_vec(spec, options, elements).0;
        assert_eq!(again, record, "the same twice");
    }
    assert_eq!(meta.stored_bytes, record.len() as u64);
    let (head, each) = match options.profile {
        // Rows and alignment cost something, whatever the elements.
        Profile::Direct => (8, 64 + meta.elements as usize / meta.blocks as usize),
        _ => (meta.table_bytes as usize, MAX_BLOCK_OVERHEAD),
    };
    let most = elements.len() + head + each * meta.blocks as usize;
    assert!(
        record.len() <= most,
        "{} bytes for {}, {options:?}, {meta:?}",
        record.len(),
        elements.len()
    );
    let decoded = Record::new(&record, meta)
        .and_then(|record| with_word!(meta.width, W => decode_record::<W>(&record, meta, (Isa::active(), Store::Cached), 0x55)));
    match decoded {
        Ok(decoded) => assert_eq!(decoded, elements),
        Err(e) => panic!("what was encoded is decoded: {e}"),
    }
}

fn encode_to_vec(
    spec: PayloadSpec,
    options: EncodeOptions,
    elements: &[u8],
) -> (Vec<u8>, PayloadMeta) {
    let mut record = Vec::new();
    let encoded = encode(spec, options, elements, &mut |piece| {
        record.extend_from_slice(piece);
        Ok(())
    });
    match encoded {
        Ok((meta, _)) => (record, meta),
        Err(e) => panic!("any elements are encoded: {e}"),
    }
}

/// Elements as pruned tensors have them, made by a little program: zeros of both signs, few
/// patterns, noise, and repetitions; at most `most` bytes.
pub(super) fn elements(program: &mut Cursor<'_>, width: usize, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while let Ok(op) = program.u8() {
        let run = match op >> 3 {
            31 => usize::from(program.u16().unwrap_or(0)),
            short => usize::from(short),
        } + 1;
        let room = (most - out.len()) / width;
        let n_bytes = run.min(room) * width;
        let end = out.len() + n_bytes;
        let mut cycle = |pattern: &[u8]| out.extend(pattern.iter().cycle().take(n_bytes));
        match op & 7 {
            0 | 1 => cycle(&[0]),
            2 => {
                let mut negative_zero = vec![0; width];
                negative_zero[width - 1] = 0x80;
                cycle(&negative_zero);
            }
            3 => cycle(&vec![program.u8().unwrap_or(0); width]),
            4 | 5 => match program.take(width) {
                Ok(pattern) => cycle(pattern),
                Err(_) => break,
            },
            6 => {
                let mut state = u64::from(program.u16().unwrap_or(0)) << 32 | 1;
                out.extend(std::iter::repeat_n((), n_bytes).map(|()| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                    (state >> 56) as u8
                }));
            }
            _ => {
                let back = (usize::from(program.u8().unwrap_or(0)) + 1) * width;
                let period = out[out.len().saturating_sub(back)..].to_vec();
                out.extend(period.iter().cycle().take(n_bytes));
            }
        }
        out.truncate(end);
        if room == 0 {
            break;
        }
    }
    out
}
