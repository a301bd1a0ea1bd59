//! Whole models of a few tensors: through the writer and the reader, and as graphs through packing.

use super::limits;
use super::readings::{read_in_every_way, repack};
use super::roundtrip::elements;
use crate::archive::Archive;
use crate::container::{Root, Source, TensorEntry, Writer};
use crate::cursor::{Cursor, put_varint};
use crate::error::ErrorKind;
use crate::pack::{PackOptions, Select, pack_slice};
use crate::payload::{EncodeOptions, PayloadSpec, fold};
use crate::profile::{Effort, Profile};
use crate::tensor::{DType, ElementClass};
use sha2::{Digest, Sha256};

/// Most tensors of a model, and most bytes of one: whoever is larger has fewer dimensions.
const MAX_TENSORS: usize = 4;
const MAX_TENSOR_BYTES: u64 = 1 << 12;

/// Archives: any tensors in any files, in any profile, are the same when they are read, restored and
/// repacked; and so are those of a graph that is packed, whatever the options and the number of
/// threads. The first two bytes are the options; then comes each tensor.
///
/// # Panics
/// If that does not hold.
pub fn archive(bytes: &[u8]) {
    let mut input = Cursor::new(bytes);
    let (Ok(way), Ok(flags)) = (input.u8(), input.u8()) else {
        return;
    };
    let encoding = EncodeOptions {
        profile: Profile::ALL[usize::from(way) % Profile::ALL.len()],
        effort: Effort::ALL[usize::from(way >> 2) % Effort::ALL.len()],
    };
    let to = Profile::ALL[usize::from(way >> 4) % Profile::ALL.len()];
    let tensors: Vec<Made> = (0..MAX_TENSORS)
        .map_while(|_| Made::read(&mut input))
        .collect();
    match way >> 7 {
        0 => written(&tensors, encoding, to, flags),
        _ => packed(&tensors, encoding, to, flags),
    }
}

/// A tensor to be written.
struct Made {
    name: String,
    dtype: DType,
    shape: Vec<u64>,
    /// The elements that are stored. (None of a dtype without a width.)
    stored: Vec<u8>,
    /// How often the last of them is there once more.
    repeats: u64,
    place: Place,
    /// Skeleton before it.
    gap: Vec<u8>,
    /// Whether it is the last one of its file.
    ends_file: bool,
}

/// Where a tensor's elements are.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Payload,
    Skeleton,
    Nowhere,
}

impl Made {
    /// What the next bytes say: dtype, rank and place, dimensions, name, and how many bytes there are of
    /// the program that makes the elements.
    fn read(input: &mut Cursor<'_>) -> Option<Self> {
        let dtype = DType::ALL[usize::from(input.u8().ok()?) % DType::ALL.len()];
        let flags = input.u8().ok()?;
        let width = dtype.width();
        let (mut shape, mut n) = (vec![], 1);
        for _ in 0..flags & 7 {
            let dim = u64::from(input.u8().ok()?);
            if n * dim * width.unwrap_or(1) as u64 > MAX_TENSOR_BYTES {
                break;
            }
            n *= dim;
            shape.push(dim);
        }
        let n_gap = usize::from(input.u8().ok()?);
        let gap = input.take(n_gap.min(input.rest().len())).ok()?.to_vec();
        let name = String::from_utf8_lossy(&gap[..n_gap.min(gap.len()) % 12]).into_owned();
        let n_program = usize::from(input.u8().ok()?).min(input.rest().len());
        let program = input.take(n_program).ok()?;
        let repeats = match flags >> 7 {
            0 => 0,
            _ => n - n / 3,
        };
        let n_bytes = (n - repeats) as usize * width.unwrap_or(0);
        let mut program = Cursor::new(program);
        let mut stored = elements(&mut program, width.unwrap_or(1), n_bytes);
        stored.resize(n_bytes, 0);
        let place = match (flags >> 5 & 3, width) {
            (0, _) | (_, None) => Place::Nowhere,
            // A payload has elements.
            (2 | 3, Some(_)) if n_bytes > 0 => Place::Payload,
            _ => Place::Skeleton,
        };
        Some(Self {
            name,
            dtype,
            shape,
            stored,
            repeats,
            place,
            gap,
            ends_file: n_gap % 4 == 3,
        })
    }

    /// All elements, as bytes.
    fn elements(&self) -> Vec<u8> {
        let width = self.dtype.width().unwrap_or(1);
        let zero = vec![0; width];
        let last = self.stored.rchunks_exact(width).next().unwrap_or(&zero);
        [&self.stored[..], &last.repeat(self.repeats as usize)].concat()
    }

    fn is_float(&self) -> bool {
        self.dtype.class() == ElementClass::Float
    }
}

/// The bytes of an archive of these tensors, and those of its files.
fn write(
    tensors: &[Made],
    encoding: EncodeOptions,
    root: &Root,
) -> crate::Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut writer = Writer::new(Vec::new())?;
    let mut files = vec![vec![]];
    let mut payloads: Vec<(&Made, usize)> = vec![];
    let mut entries: Vec<(&Made, usize, Source)> = vec![];
    for (i, tensor) in tensors.iter().enumerate() {
        let file = files.len() - 1;
        let put = |writer: &mut Writer<Vec<u8>>, files: &mut Vec<Vec<u8>>, bytes: &[u8]| {
            files[file].extend_from_slice(bytes);
            writer.skeleton(bytes)
        };
        put(&mut writer, &mut files, &tensor.gap)?;
        let source = match tensor.place {
            Place::Nowhere => Source::Opaque,
            Place::Skeleton => {
                let start = writer.skeleton_bytes();
                put(&mut writer, &mut files, &tensor.stored)?;
                Source::Skeleton(start)
            }
            Place::Payload => {
                let width = tensor.dtype.width().unwrap_or(1);
                let is_same = |other: &Made| {
                    (other.dtype.width(), other.is_float()) == (Some(width), tensor.is_float())
                        && other.stored == tensor.stored
                };
                let known = payloads.iter().find(|(other, _)| is_same(other));
                let payload = match known {
                    Some((_, payload)) => *payload,
                    None => {
                        let spec = PayloadSpec {
                            width,
                            columns: match tensor.repeats {
                                0 => fold(&tensor.shape),
                                _ => (tensor.stored.len() / width) as u64,
                            },
                            float: tensor.is_float(),
                        };
                        let (payload, _) = writer.payload(spec, encoding, &tensor.stored)?;
                        payloads.push((tensor, payload));
                        payload
                    }
                };
                writer.hole(payload);
                files[file].extend_from_slice(&tensor.stored);
                Source::Payload(payload)
            }
        };
        entries.push((tensor, file, source));
        if tensor.ends_file || i + 1 == tensors.len() {
            let name = match (i + 1 == tensors.len(), file, root.is_folder) {
                // With a folder in its name, it would be one.
                (true, 0, false) => tensor.name.replace('/', "-"),
                _ => format!("{file}{}", tensor.name),
            };
            writer.end_file(&name, Sha256::digest(&files[file]).into(), None)?;
            files.push(vec![]);
        }
    }
    files.pop();
    for (tensor, file, source) in entries {
        let (repeats, nnz) = match tensor.place {
            Place::Nowhere => (0, 0),
            _ => (
                tensor.repeats,
                tensor.dtype.count_nonzero(&tensor.elements()),
            ),
        };
        writer.tensor(&TensorEntry {
            name: &tensor.name,
            file,
            dtype: tensor.dtype,
            shape: &tensor.shape,
            source,
            repeats,
            nnz,
        });
    }
    Ok((writer.finish(root)?.0, files))
}

fn written(tensors: &[Made], encoding: EncodeOptions, to: Profile, flags: u8) {
    if tensors.is_empty() {
        return;
    }
    let is_folder = flags & 1 == 1 || tensors.iter().rev().skip(1).any(|tensor| tensor.ends_file);
    let root = Root {
        is_folder,
        empty_folders: match flags & 3 {
            3 => vec!["e/mpty".to_owned()],
            _ => vec![],
        },
    };
    let (tfz, files) = match write(tensors, encoding, &root) {
        Ok(written) => written,
        // A name that not every system allows.
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
            return;
        }
    };
    let archive = Archive::with_limits(&tfz, &limits()).expect("it has just been written");
    archive.verify().expect("it has just been written");
    assert_eq!(archive.is_folder(), is_folder);
    assert!(archive.empty_folders().eq(&root.empty_folders));
    assert_eq!(archive.files().len(), files.len());
    for (number, file) in files.iter().enumerate() {
        let mut restored = Vec::new();
        archive
            .restore(number, &mut restored)
            .expect("it has just been written");
        assert_eq!(restored, *file);
    }
    let all: Vec<&Made> = tensors.iter().collect();
    check_tensors(&archive, &all, |tensor| match tensor.place {
        Place::Nowhere => None,
        _ => Some(tensor.elements()),
    });
    let other = EncodeOptions {
        profile: to,
        ..encoding
    };
    let (expected, _) = write(tensors, other, &root).expect("it has been written before");
    let repacked = repack(&archive, to, encoding.effort);
    assert!(repacked == expected, "repacked otherwise than packed");
}

/// Compares what an archive has of tensors with what they are.
fn check_tensors(
    archive: &Archive<&Vec<u8>>,
    tensors: &[&Made],
    expected: impl Fn(&Made) -> Option<Vec<u8>>,
) {
    assert_eq!(archive.tensors().len(), tensors.len());
    for (found, &tensor) in archive.tensors().zip(tensors) {
        assert_eq!(
            (found.name(), found.dtype(), found.shape()),
            (&*tensor.name, tensor.dtype, &tensor.shape[..])
        );
        let expected = expected(tensor);
        assert_eq!(read_in_every_way(&found), expected);
        let nnz = expected.map_or(0, |bytes| tensor.dtype.count_nonzero(&bytes));
        assert_eq!(found.nnz(), nnz);
    }
}

fn packed(tensors: &[Made], encoding: EncodeOptions, to: Profile, flags: u8) {
    let nodes: Vec<Vec<u8>> = tensors.iter().map(node).collect();
    let graph: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    let (canonical, selects) = (flags & 1 == 1, flags & 2 == 2);
    let mut options = PackOptions {
        canonical_zeros: canonical,
        profile: encoding.profile,
        effort: encoding.effort,
        threads: 1,
        select: selects.then(|| Select::new(|tensor| tensor.name.len() % 2 == 1)),
        ..PackOptions::default()
    };
    let (tfz, report) = match pack_slice(&graph, "m.pb", &options) {
        Ok(packed) => packed,
        // Of no nodes there is no graph.
        Err(e) => {
            assert!(e.kind() == ErrorKind::Model, "{e}");
            return;
        }
    };
    let archive = Archive::new(&tfz).expect("it has just been packed");
    archive.verify().expect("it has just been packed");
    assert_eq!(report.tensors, archive.tensors().len());
    let payloads = archive
        .tensors()
        .filter(|tensor| tensor.payload().is_some());
    assert_eq!(report.encoded_tensors, payloads.count());
    if !canonical {
        let mut restored = Vec::new();
        archive
            .restore(0, &mut restored)
            .expect("it has just been packed");
        assert_eq!(restored, graph);
    }
    // Opaque ones come last.
    let has_width = |tensor: &&Made| tensor.dtype.width().is_some();
    let (mut all, opaque): (Vec<&Made>, Vec<&Made>) = tensors.iter().partition(has_width);
    all.extend(opaque);
    check_tensors(&archive, &all, |tensor| {
        let mut bytes = tensor.elements();
        if canonical && tensor.is_float() {
            for element in bytes.chunks_exact_mut(tensor.dtype.width().unwrap_or(1)) {
                if !tensor.dtype.is_nonzero(element) {
                    element.fill(0);
                }
            }
        }
        tensor.dtype.width().map(|_| bytes)
    });
    if cfg!(feature = "parallel") {
        options.threads = 2;
        let (on_two, _) = pack_slice(&graph, "m.pb", &options).expect("on one thread it was");
        assert!(on_two == tfz, "the bytes hang on the number of threads");
        options.threads = 1;
    }
    options.profile = to;
    let (expected, _) = pack_slice(&graph, "m.pb", &options).expect("in one profile it was");
    let repacked = repack(&archive, to, encoding.effort);
    assert!(repacked == expected, "repacked otherwise than packed");
}

/// The field `number` of a message, with this content.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

/// A constant of a graph, whose elements are its `tensor_content`; or the first of them its `float_val`.
fn node(tensor: &Made) -> Vec<u8> {
    let mut proto = vec![1 << 3];
    put_varint(&mut proto, tensor.dtype as u64);
    let dims = tensor.shape.iter().flat_map(|&dim| {
        let mut size = vec![1 << 3];
        put_varint(&mut size, dim);
        field(2, &size)
    });
    proto.extend(field(2, &dims.collect::<Vec<u8>>()));
    let is_short = tensor.dtype == DType::Float32 && tensor.repeats > 0;
    proto.extend(match is_short {
        true => field(5, &tensor.stored),
        false => field(4, &tensor.elements()),
    });
    let value = [field(1, b"value"), field(2, &field(8, &proto))].concat();
    [
        field(1, tensor.name.as_bytes()),
        field(2, b"Const"),
        field(5, &value),
    ]
    .concat()
}
