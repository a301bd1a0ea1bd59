//! Datatypes: which of them are dtypes of TensorFlow.

use super::part::Part;
use crate::error::Result;
use crate::tensor::DType;

/// Classes of datatypes.
const FIXED_POINT: u8 = 0;
const FLOATING_POINT: u8 = 1;
const STRING: u8 = 3;
const OPAQUE: u8 = 5;
const ENUMERATION: u8 = 8;
const VARIABLE_LENGTH: u8 = 9;

/// How h5py writes NumPy's booleans: the names and values of an enumeration over `int8`, with
/// names padded to eight bytes, and from version 3 on without.
const BOOL_PADDED: &[u8] = b"FALSE\0\0\0TRUE\0\0\0\0\x00\x01";
const BOOL: &[u8] = b"FALSE\0TRUE\0\x00\x01";

/// What a datatype is to TensorFlow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    /// A dtype whose elements stand as they do in memory.
    LittleEndian(DType),
    /// A dtype whose elements stand in another way: big-endian numbers, strings.
    Foreign(DType),
    /// Two bytes of something, which attributes may explain.
    TwoBytes,
    /// None of them.
    Unknown,
}

/// What all datatypes have in front.
pub(super) struct Header {
    pub(super) class: u8,
    version: u8,
    bits: u32,
    size: u32,
}

impl Header {
    pub(super) fn read(message: &mut Part<'_>) -> Result<Self> {
        let first = message.u32()?;
        let [class_and_version, ..] = first.to_le_bytes();
        Ok(Self {
            class: class_and_version & 0x0f,
            version: class_and_version >> 4,
            bits: first >> 8,
            size: message.u32()?,
        })
    }

    /// Whether it is a string of variable length.
    pub(super) fn is_variable_string(&self) -> bool {
        self.class == VARIABLE_LENGTH && self.bits & 0x0f == 1
    }

    /// Whether it is a string of fixed length.
    pub(super) fn is_fixed_string(&self) -> bool {
        self.class == STRING
    }
}

/// Reads a datatype message.
pub(super) fn read(mut message: Part<'_>) -> Result<Datatype> {
    let header = Header::read(&mut message)?;
    match header.class {
        FIXED_POINT => fixed_point(&header, &mut message),
        FLOATING_POINT => floating_point(&header, &mut message),
        OPAQUE if header.size == 2 => Ok(Datatype::TwoBytes),
        ENUMERATION => enumeration(&header, &mut message),
        _ if header.is_fixed_string() || header.is_variable_string() => {
            Ok(Datatype::Foreign(DType::String))
        }
        _ => Ok(Datatype::Unknown),
    }
}

fn fixed_point(header: &Header, message: &mut Part<'_>) -> Result<Datatype> {
    const BIG_ENDIAN: u32 = 0x01;
    const SIGNED: u32 = 0x08;

    let (bit_offset, precision) = (message.u16()?, message.u16()?);
    if bit_offset != 0 || Some(u32::from(precision)) != header.size.checked_mul(8) {
        return Ok(Datatype::Unknown);
    }
    let dtype = match (header.size, header.bits & SIGNED != 0) {
        (1, true) => DType::Int8,
        (2, true) => DType::Int16,
        (4, true) => DType::Int32,
        (8, true) => DType::Int64,
        (1, false) => DType::Uint8,
        (2, false) => DType::Uint16,
        (4, false) => DType::Uint32,
        (8, false) => DType::Uint64,
        _ => return Ok(Datatype::Unknown),
    };
    let is_big_endian = header.bits & BIG_ENDIAN != 0 && header.size > 1;
    Ok(match is_big_endian {
        false => Datatype::LittleEndian(dtype),
        true => Datatype::Foreign(dtype),
    })
}

fn floating_point(header: &Header, message: &mut Part<'_>) -> Result<Datatype> {
    // Bits 0 and 6 are the byte order, 4 and 5 say that the mantissa's top bit is implied, 8 to 15
    // where the sign is; bits 1 to 3 would fill unused bits.
    const BIG_ENDIAN: u32 = 0x01;
    const MEANINGFUL: u32 = !0x0e;
    const IMPLIED: u32 = 0x20;

    let bit_offset_and_precision = message.u32()?;
    let places = message.array()?;
    let bias = message.u32()?;
    // Where the exponent is, its bits, and the same of the mantissa.
    let (dtype, precision, sign) = match (header.size, places, bias) {
        (2, [10, 5, 0, 10], 15) => (DType::Float16, 16, 15),
        (2, [7, 8, 0, 7], 127) => (DType::Bfloat16, 16, 15),
        (4, [23, 8, 0, 23], 127) => (DType::Float32, 32, 31),
        (8, [52, 11, 0, 52], 1023) => (DType::Float64, 64, 63),
        _ => return Ok(Datatype::Unknown),
    };
    if bit_offset_and_precision != precision << 16 {
        return Ok(Datatype::Unknown);
    }
    let little_endian = sign << 8 | IMPLIED;
    Ok(match header.bits & MEANINGFUL {
        bits if bits == little_endian => Datatype::LittleEndian(dtype),
        bits if bits == little_endian | BIG_ENDIAN => Datatype::Foreign(dtype),
        _ => Datatype::Unknown,
    })
}

/// An enumeration is what it is based on, unless it is h5py's boolean.
fn enumeration(header: &Header, message: &mut Part<'_>) -> Result<Datatype> {
    let base = Header::read(message)?;
    if base.class != FIXED_POINT || base.size != header.size {
        return Ok(Datatype::Unknown);
    }
    let base = fixed_point(&base, message)?;
    let n_members = header.bits & 0xffff;
    let bool = if header.version < 3 {
        BOOL_PADDED
    } else {
        BOOL
    };
    let is_bool = base == Datatype::LittleEndian(DType::Int8)
        && n_members == 2
        && message.rest().starts_with(bool);
    Ok(match is_bool {
        true => Datatype::LittleEndian(DType::Bool),
        false => base,
    })
}
