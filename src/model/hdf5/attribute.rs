//! Attributes that hold one string, in their message or in a global heap.

use super::datatype::Header;
use super::object::{ATTRIBUTE, Object};
use super::part::Part;
use super::space::Space;
use crate::error::Result;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The collections of strings of variable length that were read so far, by address; in each, the
/// objects by their number.
#[derive(Default)]
pub(super) struct GlobalHeap<'a> {
    collections: HashMap<u64, HashMap<u32, &'a [u8]>>,
}

/// The string that the attribute `name` of an object is; `None` if it has no such attribute in its
/// header, or it is something else.
pub(super) fn text<'a>(
    space: &mut Space<'a>,
    heap: &mut GlobalHeap<'a>,
    object: &Object<'a>,
    name: &[u8],
) -> Result<Option<&'a [u8]>> {
    for message in object.messages(ATTRIBUTE) {
        let Some((found, datatype, mut value)) = parts(message)? else {
            continue;
        };
        if found != name {
            continue;
        }
        if datatype.is_fixed_string() {
            return Ok(Some(trim(value.rest())));
        }
        if datatype.is_variable_string() {
            let (_len, address, number) = (value.u32()?, value.u64()?, value.u32()?);
            return heap.object(space, address, number);
        }
    }
    Ok(None)
}

/// An attribute message: its name, its datatype, and the bytes of its value. `None` if it is of a
/// later version, or its datatype is stored elsewhere.
fn parts<'a>(mut message: Part<'a>) -> Result<Option<(&'a [u8], Header, Part<'a>)>> {
    let (version, flags) = (message.u8()?, message.u8()?);
    if !matches!((version, flags), (1, _) | (2 | 3, 0)) {
        return Ok(None);
    }
    let lens = [message.u16()?, message.u16()?, message.u16()?].map(usize::from);
    if version == 3 {
        // The name's character set.
        message.take(1)?;
    }
    let [name_len, datatype_len, dataspace_len] = match version {
        1 => lens.map(|len| len.next_multiple_of(8)),
        _ => lens,
    };
    let name = message.take(name_len)?;
    let datatype = Header::read(&mut message.part(datatype_len, "a datatype")?)?;
    message.take(dataspace_len)?;
    Ok(Some((trim(name), datatype, message)))
}

/// A string without what ends it.
fn trim(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

impl<'a> GlobalHeap<'a> {
    /// Object `number` of the collection at an address, if it is there.
    fn object(
        &mut self,
        space: &mut Space<'a>,
        address: u64,
        number: u32,
    ) -> Result<Option<&'a [u8]>> {
        let objects = match self.collections.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(collection(space, address)?),
        };
        Ok(objects.get(&number).copied())
    }
}

/// The objects of a collection by their number.
fn collection<'a>(space: &mut Space<'a>, address: u64) -> Result<HashMap<u32, &'a [u8]>> {
    const HEADER_LEN: u64 = 16;

    let mut header = space.part(address, HEADER_LEN, "a global heap collection")?;
    header.expect(b"GCOL\x01")?;
    header.take(3)?;
    let len = header.u64()?.saturating_sub(HEADER_LEN);
    let start = address.saturating_add(HEADER_LEN);
    let mut part = space.part(start, len, "a global heap collection")?;
    let mut objects = HashMap::new();
    // What is too short for an object is free, as is number 0 and all that follows.
    while part.rest().len() >= 16 {
        let number = part.u16()?;
        part.take(6)?;
        let len = part.u64()?;
        if number == 0 {
            break;
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        objects.insert(u32::from(number), part.take(len)?);
        let padding = len.wrapping_neg() % 8;
        part.take(padding.min(part.rest().len()))?;
    }
    Ok(objects)
}
