//! A writer of flatbuffers for tests: of any content, legal or not.

/// A flatbuffer that is written front to back: what an offset leads to comes later, and sets it.
#[derive(Clone, Default)]
pub(in crate::model) struct Builder(pub(in crate::model) Vec<u8>);

impl Builder {
    pub(in crate::model) fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Lets the offset at `from` lead to `to`.
    pub(in crate::model) fn point(&mut self, from: usize, to: usize) {
        self.set(from, &u32::try_from(to - from).unwrap().to_le_bytes());
    }

    /// A table with fields of these lengths; 0 leaves one out. Where it is, and its fields are.
    pub(in crate::model) fn table(&mut self, widths: &[usize]) -> (usize, Vec<usize>) {
        let vtable = self.0.len();
        let table = vtable + 4 + 2 * widths.len();
        let mut next = table + 4;
        let mut places = Vec::new();
        let (mut offsets, mut len) = (Vec::new(), 4);
        for &width in widths {
            let offset = if width == 0 { 0 } else { len };
            offsets.extend(u16::try_from(offset).unwrap().to_le_bytes());
            places.push(next);
            next += width;
            len += width;
        }
        for number in [table - vtable, len] {
            self.0.extend(u16::try_from(number).unwrap().to_le_bytes());
        }
        self.0.extend(offsets);
        let back = i32::try_from(table - vtable).unwrap();
        self.0.extend(back.to_le_bytes());
        self.0.resize(next, 0);
        (table, places)
    }

    /// A vector of `len` elements with these bytes; where it is.
    pub(in crate::model) fn vector(&mut self, len: usize, bytes: &[u8]) -> usize {
        let at = self.0.len();
        self.0.extend(u32::try_from(len).unwrap().to_le_bytes());
        self.0.extend(bytes);
        at
    }

    /// A vector of `len` offsets, which the field at `from` leads to; where each is.
    pub(in crate::model) fn offsets(&mut self, from: usize, len: usize) -> Vec<usize> {
        let at = self.vector(len, &vec![0; 4 * len]);
        self.point(from, at);
        (0..len).map(|i| at + 4 + 4 * i).collect()
    }
}
