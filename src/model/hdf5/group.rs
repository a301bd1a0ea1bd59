//! Groups: the hard links to the objects in them.
//!
//! An old group keeps its links in symbol table nodes below a B-tree, and their names in a local
//! heap; a new one has a message for each link. Links that a new group keeps in a fractal heap (it
//! has many, or was told so) are not followed: what they lead to stays in the skeleton.

use super::MAX_NAME_BYTES;
use super::object::{LINK, Object, SYMBOL_TABLE};
use super::part::{Part, error};
use super::space::Space;
use crate::error::Result;

/// What an old group's entry caches: a link that names its target instead of having an address.
const SOFT_LINK: u32 = 2;

/// The type of a B-tree whose leaves are symbol table nodes.
const OF_GROUPS: u8 = 0;

/// A hard link.
pub(super) struct Link<'a> {
    /// UTF-8 without control characters; others are not listed.
    pub(super) name: &'a str,
    pub(super) address: u64,
}

/// The hard links of a group, in the order of the file; none if the object is no group.
pub(super) fn links<'a>(space: &mut Space<'a>, object: &Object<'a>) -> Result<Vec<Link<'a>>> {
    let mut links = Vec::new();
    if let Some(message) = object.message(SYMBOL_TABLE) {
        symbol_table(space, message, &mut links)?;
    }
    for message in object.messages(LINK) {
        links.extend(link(message)?);
    }
    Ok(links)
}

/// A symbol table message: the B-tree and the heap of an old group.
fn symbol_table<'a>(
    space: &mut Space<'a>,
    mut message: Part<'a>,
    links: &mut Vec<Link<'a>>,
) -> Result<()> {
    let tree = message.u64()?;
    let names = local_heap(space, message.u64()?)?;
    // Addresses of nodes, the next one last, with their level in the tree: leaves have 0, the
    // symbol table nodes below them none. The root may have any.
    let mut nodes = tree_node(space, tree, None)?;
    while let Some((address, level)) = nodes.pop() {
        match level {
            Some(_) => nodes.extend(tree_node(space, address, level)?),
            None => symbol_node(space, address, names, links)?,
        }
    }
    Ok(())
}

/// The bytes of a local heap, where names start at offsets and end with a NUL.
fn local_heap<'a>(space: &mut Space<'a>, address: u64) -> Result<Part<'a>> {
    let mut heap = space.part(address, 32, "a local heap")?;
    heap.expect(b"HEAP\0")?;
    heap.take(3)?;
    let len = heap.u64()?;
    heap.take(8)?;
    // Not spent yet: each name will be.
    space.unread(heap.u64()?, len, "the names of a group")
}

/// The children of a node of a B-tree, the first one last, with their level. A node that is not
/// the root has the level that its parent says; every level is below that of its parent, so that
/// the walk ends.
fn tree_node(
    space: &mut Space<'_>,
    address: u64,
    expected_level: Option<u8>,
) -> Result<Vec<(u64, Option<u8>)>> {
    let mut node = space.part(address, 24, "a B-tree node")?;
    let at = node.at();
    node.expect(b"TREE")?;
    let (tree_type, level, n_children) = (node.u8()?, node.u8()?, node.u16()?);
    if tree_type != OF_GROUPS || expected_level.is_some_and(|expected| expected != level) {
        let expected = match expected_level {
            Some(expected) => format!("level {expected}"),
            None => "any level".to_owned(),
        };
        return Err(error(
            at,
            format!(
                "expected a B-tree node of a group at {expected}, found one of type {tree_type} \
                 at level {level}"
            ),
        ));
    }
    let children_at = address.saturating_add(24);
    let mut children = space.part(children_at, 16 * u64::from(n_children), "a B-tree node")?;
    let mut nodes = Vec::with_capacity(usize::from(n_children));
    for _ in 0..n_children {
        // The key says where names begin.
        children.take(8)?;
        nodes.push((children.u64()?, level.checked_sub(1)));
    }
    nodes.reverse();
    Ok(nodes)
}

/// The links of a symbol table node.
fn symbol_node<'a>(
    space: &mut Space<'a>,
    address: u64,
    names: Part<'a>,
    links: &mut Vec<Link<'a>>,
) -> Result<()> {
    let mut node = space.part(address, 8, "a symbol table node")?;
    node.expect(b"SNOD\x01")?;
    node.take(1)?;
    let len = 40 * u64::from(node.u16()?);
    let mut entries = space.part(address.saturating_add(8), len, "a symbol table node")?;
    while !entries.rest().is_empty() {
        let at = entries.at();
        let (name_offset, address, cached) = (entries.u64()?, entries.u64()?, entries.u32()?);
        entries.take(20)?;
        if cached != SOFT_LINK {
            let name = heap_name(space, names, name_offset, at)?;
            links.extend(readable(name).map(|name| Link { name, address }));
        }
    }
    Ok(())
}

/// The name at an offset of a local heap; `at` is where the offset stands.
fn heap_name<'a>(
    space: &mut Space<'a>,
    mut names: Part<'a>,
    offset: u64,
    at: usize,
) -> Result<&'a [u8]> {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let found = names.rest().len();
    if offset >= found {
        return Err(error(
            at,
            format!("expected a name in a heap of {found} bytes, found its offset to be {offset}"),
        ));
    }
    names.take(offset)?;
    let mut beginning = names.rest().iter().take(MAX_NAME_BYTES + 1);
    let Some(len) = beginning.position(|&byte| byte == 0) else {
        return Err(names.error(format!(
            "expected a name of at most {MAX_NAME_BYTES} bytes that ends with a NUL, found none"
        )));
    };
    space.spend(len)?;
    names.take(len)
}

/// A link message; `None` if it is no hard link, or of a later version.
fn link<'a>(mut message: Part<'a>) -> Result<Option<Link<'a>>> {
    const HAS_ORDER: u8 = 0x04;
    const HAS_TYPE: u8 = 0x08;
    const HAS_CHARSET: u8 = 0x10;
    const HARD: u8 = 0;

    let (version, flags) = (message.u8()?, message.u8()?);
    let link_type = if flags & HAS_TYPE != 0 {
        message.u8()?
    } else {
        HARD
    };
    if version != 1 || link_type != HARD {
        return Ok(None);
    }
    if flags & HAS_ORDER != 0 {
        message.take(8)?;
    }
    if flags & HAS_CHARSET != 0 {
        message.take(1)?;
    }
    let len = message.part(1 << (flags & 3), "a link message")?.number()?;
    let name = message.take(usize::try_from(len).unwrap_or(usize::MAX))?;
    let address = message.u64()?;
    Ok(readable(name).map(|name| Link { name, address }))
}

/// A name as it can be shown.
fn readable(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}
