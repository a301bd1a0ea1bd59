//! Object headers, versions 1 and 2: the messages that say what an object is.

use super::part::Part;
use super::space::Space;
use crate::error::Result;
use std::collections::VecDeque;

/// Types of messages.
pub(super) const DATASPACE: u16 = 0x01;
pub(super) const DATATYPE: u16 = 0x03;
pub(super) const LINK: u16 = 0x06;
pub(super) const EXTERNAL_FILES: u16 = 0x07;
pub(super) const LAYOUT: u16 = 0x08;
pub(super) const FILTERS: u16 = 0x0b;
pub(super) const ATTRIBUTE: u16 = 0x0c;
const CONTINUATION: u16 = 0x10;
pub(super) const SYMBOL_TABLE: u16 = 0x11;
pub(super) const DRIVER_INFO: u16 = 0x14;

/// Flag of a message whose body only says where the shared message is.
const SHARED: u8 = 0x02;

/// Flags of a header of version 2.
const SIZE_WIDTH: u8 = 0x03;
const CREATION_ORDER: u8 = 0x04;
const PHASE_CHANGE: u8 = 0x10;
const TIMES: u8 = 0x20;

/// One object of the file, as its header describes it.
pub(super) struct Object<'a> {
    /// Offset of the header in the file.
    pub(super) at: usize,
    messages: Vec<Message<'a>>,
}

/// A message of an object header.
struct Message<'a> {
    kind: u16,
    is_shared: bool,
    body: Part<'a>,
}

/// How messages are framed.
#[derive(Clone, Copy)]
enum Framing {
    Version1,
    Version2 { has_creation_order: bool },
}

impl<'a> Object<'a> {
    /// Reads the object header at an address, with its continuations. Checksums are not looked
    /// at: they are metadata's alone and hold whatever the elements are.
    pub(super) fn read(space: &mut Space<'a>, address: u64) -> Result<Self> {
        let mut start = space.part(address, 5, "an object header")?;
        let at = start.at();
        let (framing, first) = match start.array()? {
            [b'O', b'H', b'D', b'R', 2] => header_2(space, address)?,
            [1, ..] => (Framing::Version1, header_1(space, address)?),
            found => {
                return Err(super::part::error(
                    at,
                    format!(
                        "expected an object header of version 1 or 2, found \"{}\"",
                        found.escape_ascii()
                    ),
                ));
            }
        };
        let mut object = Self {
            at,
            messages: Vec::new(),
        };
        let mut chunks = VecDeque::from([first]);
        while let Some(chunk) = chunks.pop_front() {
            let n_before = object.messages.len();
            object.read_chunk(space, chunk, framing)?;
            let new = object.messages.iter().skip(n_before);
            for message in new.filter(|message| message.kind == CONTINUATION) {
                chunks.push_back(continuation(space, framing, message.body)?);
            }
        }
        Ok(object)
    }

    /// The body of the first message of a type, unless it is stored elsewhere.
    pub(super) fn message(&self, kind: u16) -> Option<Part<'a>> {
        self.messages(kind).next()
    }

    /// The bodies of all messages of a type that aren't stored elsewhere.
    pub(super) fn messages(&self, kind: u16) -> impl Iterator<Item = Part<'a>> {
        self.messages
            .iter()
            .filter(move |message| message.kind == kind && !message.is_shared)
            .map(|message| message.body)
    }

    /// Whether there is a message of a type.
    pub(super) fn has(&self, kind: u16) -> bool {
        self.messages.iter().any(|message| message.kind == kind)
    }

    fn read_chunk(
        &mut self,
        space: &mut Space<'a>,
        mut chunk: Part<'a>,
        framing: Framing,
    ) -> Result<()> {
        let header_len = match framing {
            // Bodies are padded: nothing can be left over.
            Framing::Version1 => 1,
            // What is too short for a message is a gap.
            Framing::Version2 {
                has_creation_order: false,
            } => 4,
            Framing::Version2 {
                has_creation_order: true,
            } => 6,
        };
        while chunk.rest().len() >= header_len {
            let (kind, len, flags) = match framing {
                Framing::Version1 => {
                    let header = (chunk.u16()?, chunk.u16()?, chunk.u8()?);
                    chunk.take(3)?;
                    header
                }
                Framing::Version2 { has_creation_order } => {
                    let header = (u16::from(chunk.u8()?), chunk.u16()?, chunk.u8()?);
                    if has_creation_order {
                        chunk.take(2)?;
                    }
                    header
                }
            };
            space.spend(size_of::<Message<'_>>())?;
            self.messages.push(Message {
                kind,
                is_shared: flags & SHARED != 0,
                body: chunk.part(usize::from(len), "a header message")?,
            });
        }
        Ok(())
    }
}

/// The messages of a header of version 1, as far as they stand with it.
fn header_1<'a>(space: &mut Space<'a>, address: u64) -> Result<Part<'a>> {
    let mut header = space.part(address, 16, "an object header")?;
    header.take(8)?;
    let len = u64::from(header.u32()?);
    space.part(address.saturating_add(16), len, "header messages")
}

/// The framing and the messages of a header of version 2, as far as they stand with it.
fn header_2<'a>(space: &mut Space<'a>, address: u64) -> Result<(Framing, Part<'a>)> {
    let mut header = space.part(address, 6, "an object header")?;
    header.take(5)?;
    let flags = header.u8()?;
    let times_len = if flags & TIMES != 0 { 16 } else { 0 };
    let phase_change_len = if flags & PHASE_CHANGE != 0 { 4 } else { 0 };
    let width = 1 << (flags & SIZE_WIDTH);
    let len_at = address
        .saturating_add(6)
        .saturating_add(times_len)
        .saturating_add(phase_change_len);
    let len = space.part(len_at, width, "an object header")?.number()?;
    let start = len_at.saturating_add(width);
    let messages = space.part(start, len, "header messages")?;
    let framing = Framing::Version2 {
        has_creation_order: flags & CREATION_ORDER != 0,
    };
    Ok((framing, messages))
}

/// The messages that a continuation message points to.
fn continuation<'a>(
    space: &mut Space<'a>,
    framing: Framing,
    mut message: Part<'a>,
) -> Result<Part<'a>> {
    let (address, len) = (message.u64()?, message.u64()?);
    let mut chunk = space.part(address, len, "header messages")?;
    if let Framing::Version2 { .. } = framing {
        chunk.expect(b"OCHK")?;
        let checksum_at = chunk.rest().len().saturating_sub(4);
        return chunk.part(checksum_at, "header messages");
    }
    Ok(chunk)
}
