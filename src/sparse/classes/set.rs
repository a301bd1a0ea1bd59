//! A set of entries by classes, as it stands in a block (spec §9.1.3).

use super::{Classes, ESCAPE, Form, Lines, holes, steps_of};
use crate::buffer::Buffer;
use crate::cursor::{Cursor, put_varint};
use crate::error::{Error, Result};
use crate::kernels::chain::{Chain, Step, count_nonzero};
use crate::kernels::expand::BitmapRows;
use crate::kernels::huffman::DecodeTable;
use crate::kernels::scatter::scatter;
use crate::kernels::target::Target;
use crate::kernels::{Isa, columns, expand, unpack};
use crate::sparse::Rows;
use crate::stream::huffman::{Bundle, Run, write_bundle};
use crate::stream::{self, Coding, bits};
use crate::word::Word;

/// What a block has of a part.
enum Stored<'a> {
    None,
    All,
    /// As it is in the block.
    Bitmap(&'a [u8]),
    /// As it was decoded.
    OwnBitmap(Buffer<u8>),
    /// Steps without low bits.
    Steps(Buffer<u8>),
    /// Steps with them, and what an escape skips.
    WideSteps(Buffer<u16>, u32),
}

impl Stored<'_> {
    /// Its bytes, if it is a bitmap.
    fn bitmap(&self) -> &[u8] {
        match self {
            Self::Bitmap(bytes) => bytes,
            Self::OwnBitmap(bytes) => bytes,
            _ => &[],
        }
    }
}

/// A set of entries by classes, read and checked but for where its steps lead.
pub(crate) struct ClassedSet<'a, 't> {
    classes: &'t Classes,
    /// Elements of a row.
    row_length: usize,
    /// Rows by their class; those of class `i` end at `row_ends[i]`.
    rows: Vec<u32>,
    row_ends: Vec<usize>,
    parts: Vec<Stored<'a>>,
    /// Entries of each row class.
    n_entries: Vec<usize>,
}

/// Appends a set whose entries are those of `lines`. In its bundle, if it has one, follow the runs of
/// `values`; returns whether it has.
pub(crate) fn write(
    out: &mut Vec<u8>,
    classes: &Classes,
    row_classes: &[u8],
    lines: &Lines,
    values: &[Run<'_>],
) -> Result<bool> {
    if classes.n_rows > 1 {
        let symbols: Vec<u32> = row_classes.iter().copied().map(u32::from).collect();
        stream::write_symbols(out, &symbols, classes.row_bits())?;
    }
    let mut runs = Vec::new();
    let mut after = Vec::new();
    let mut bitmaps = Vec::new();
    let (mut holes, mut n_with_holes) = (Vec::new(), 0);
    for (number, part) in classes.parts.iter().enumerate() {
        if lines.len(number) == 0 {
            continue;
        }
        match (part.form, &part.code) {
            (Form::Bitmap, _) => bitmaps.extend(lines.bitmaps(number)),
            (Form::CodedBitmap, Some(code)) => runs.push(Run {
                code,
                symbols: lines.bitmaps(number),
            }),
            (Form::CodedSteps { low_bits }, Some(code)) => {
                let (symbols, low) = steps_of(lines.gaps(number), low_bits);
                put_varint(out, symbols.len() as u64);
                runs.push(Run { code, symbols });
                if low_bits > 0 {
                    after.extend(bits::pack(&low, low_bits));
                }
            }
            (Form::Holes, _) => {
                // All of them are positions of the block.
                let first = n_with_holes as u32;
                holes.extend(lines.holes(number).map(|hole| first.saturating_add(hole)));
                n_with_holes = lines.len(number).saturating_add(n_with_holes);
            }
            _ => {}
        }
    }
    if n_with_holes > 0 {
        holes::write(out, &holes, n_with_holes);
    }
    let has_bundle = runs.iter().any(|run| !run.symbols.is_empty());
    if has_bundle {
        write_bundle(out, runs.iter().chain(values));
    }
    out.extend(after);
    out.extend(bitmaps);
    Ok(has_bundle)
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a part is numbered by its classes, as the parts of `classes`; `rows` are those of the block, and \
              `row_ends` count them; positions, bytes and entries of lines, and columns of rows, are those of \
              a block of at most 2^22 elements"
)]
impl<'a, 't> ClassedSet<'a, 't> {
    /// Reads a set over `n` positions. Returns its bundle too, if it has one: the runs of the values may
    /// follow in it.
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        isa: Isa,
        (classes, tables): (&'t Classes, &[Option<DecodeTable>]),
        n: u32,
        rows: Rows,
    ) -> Result<(Self, Option<Bundle<'a>>)> {
        let row_length = match classes.n_rows {
            1 => n,
            _ => rows.whole(n)?,
        };
        let n_rows = (n / row_length) as usize;
        let (rows, row_ends) = read_rows(cursor, isa, classes, n_rows)?;
        let mut set = Self {
            classes,
            row_length: row_length as usize,
            rows,
            row_ends,
            parts: Vec::with_capacity(classes.parts.len()),
            n_entries: vec![0; classes.n_rows],
        };
        let bundle = set.read_parts(cursor, isa, tables)?;
        for part in 0..set.parts.len() {
            set.n_entries[part / classes.n_columns()] += set.count(isa, part)?;
        }
        Ok((set, bundle))
    }

    fn read_parts(
        &mut self,
        cursor: &mut Cursor<'a>,
        isa: Isa,
        tables: &[Option<DecodeTable>],
    ) -> Result<Option<Bundle<'a>>> {
        let mut n_symbols = Vec::with_capacity(tables.len());
        for (number, part) in self.classes.parts.iter().enumerate() {
            let positions = self.n_lines(number) * self.length(number);
            n_symbols.push(match part.form {
                Form::CodedBitmap => self.bitmap_bytes(number),
                Form::CodedSteps { .. } if positions > 0 => {
                    let n = cursor.count()?;
                    if n > positions {
                        return Err(Error::corrupt(format!(
                            "{n} steps for {positions} positions"
                        )));
                    }
                    n
                }
                _ => 0,
            });
        }
        let bitmaps = self.read_holes(cursor)?;
        let mut bundle = match n_symbols.iter().any(|&n| n > 0) {
            true => Some(Bundle::read(cursor)?),
            false => None,
        };
        for ((part, table), &n) in self.classes.parts.iter().zip(tables).zip(&n_symbols) {
            let mut symbols = Buffer::new(n);
            if let (Some(bundle), Some(table)) = (&mut bundle, table) {
                bundle.run(isa, table, &mut symbols);
            }
            self.parts.push(match part.form {
                Form::None => Stored::None,
                Form::All => Stored::All,
                Form::Bitmap => Stored::Bitmap(&[]),
                Form::CodedBitmap => Stored::OwnBitmap(symbols),
                Form::CodedSteps { .. } => Stored::Steps(symbols),
                Form::Holes => Stored::All,
            });
        }
        for (number, bitmaps) in bitmaps {
            self.parts[number] = Stored::OwnBitmap(bitmaps);
        }
        for (stored, part) in self.parts.iter_mut().zip(&self.classes.parts) {
            if let (Stored::Steps(steps), Form::CodedSteps { low_bits }) = (&stored, part.form) {
                if steps.last() == Some(&0) {
                    return Err(Error::corrupt("the last step of a part is an escape"));
                }
                if low_bits > 0 {
                    *stored =
                        Stored::WideSteps(widen(cursor, isa, steps, low_bits)?, ESCAPE << low_bits);
                }
            }
        }
        for number in 0..self.parts.len() {
            if self.classes.parts[number].form == Form::Bitmap {
                self.parts[number] = Stored::Bitmap(cursor.take(self.bitmap_bytes(number))?);
            }
        }
        Ok(bundle)
    }

    /// Reads the holes of the parts that are kept so; returns the bitmaps of those parts that have some.
    fn read_holes(&self, cursor: &mut Cursor<'a>) -> Result<Vec<(usize, Buffer<u8>)>> {
        let parts = || {
            let numbered = self.classes.parts.iter().enumerate();
            let with_holes = numbered.filter(|(_, part)| part.form == Form::Holes);
            with_holes.map(|(number, _)| (number, self.n_lines(number) * self.length(number)))
        };
        let n_positions = parts().map(|(_, n)| n).sum();
        if n_positions == 0 {
            return Ok(vec![]);
        }
        let holes = holes::read(cursor, n_positions)?;
        let mut holes = &holes[..];
        let mut bitmaps = Vec::new();
        let mut first = 0;
        for (number, n) in parts() {
            let (of_part, rest) = holes.split_at(holes.partition_point(|&hole| hole < first + n));
            if !of_part.is_empty() {
                bitmaps.push((number, self.bitmap_with_holes(number, of_part, first)));
            }
            (holes, first) = (rest, first + n);
        }
        Ok(bitmaps)
    }

    /// Bitmaps of the lines of a part, whose positions are entries but for `holes`; these are numbered from
    /// `first` on, and all lie in its lines.
    fn bitmap_with_holes(&self, part: usize, holes: &[usize], first: usize) -> Buffer<u8> {
        let length = self.length(part);
        let line_bytes = length.div_ceil(8);
        let mut bitmaps = Buffer::new(self.bitmap_bytes(part));
        bitmaps.fill(0xff);
        if !length.is_multiple_of(8) {
            let ends = bitmaps.iter_mut().skip(line_bytes - 1).step_by(line_bytes);
            ends.for_each(|end| *end = (1 << (length % 8)) - 1);
        }
        for &hole in holes {
            let (line, position) = ((hole - first) / length, (hole - first) % length);
            bitmaps[line * line_bytes + position / 8] &= !(1 << (position % 8));
        }
        bitmaps
    }

    /// Lines of a part.
    fn n_lines(&self, part: usize) -> usize {
        self.rows_of(part / self.classes.n_columns()).len()
    }

    /// Positions of a line of the part.
    fn length(&self, part: usize) -> usize {
        match &self.classes.columns {
            None => self.row_length,
            Some(columns) => columns.columns[part % columns.columns.len()].len(),
        }
    }

    fn bitmap_bytes(&self, part: usize) -> usize {
        self.n_lines(part) * self.length(part).div_ceil(8)
    }

    /// The rows of a class, ascending.
    fn rows_of(&self, class: usize) -> &[u32] {
        let start = class
            .checked_sub(1)
            .map_or(0, |before| self.row_ends[before]);
        &self.rows[start..self.row_ends[class]]
    }

    /// Entries of a part; checks the bits of bitmaps after their positions.
    fn count(&self, isa: Isa, part: usize) -> Result<usize> {
        let length = self.length(part);
        Ok(match &self.parts[part] {
            Stored::None => 0,
            Stored::All => self.n_lines(part) * length,
            Stored::Steps(steps) => count_nonzero(steps),
            Stored::WideSteps(steps, _) => count_nonzero(steps),
            Stored::Bitmap(_) | Stored::OwnBitmap(_) => {
                let bytes = self.parts[part].bitmap();
                if !length.is_multiple_of(8) {
                    let mut ends = bytes
                        .chunks_exact(length.div_ceil(8))
                        .filter_map(<[u8]>::last);
                    if ends.any(|last| last >> (length % 8) != 0) {
                        return Err(Error::corrupt(format!(
                            "bits at and above position {length} of a line are not zero"
                        )));
                    }
                }
                expand::count_ones(isa, bytes)
            }
        })
    }

    /// How its streams are coded: those of prefix codes are one bundle.
    pub(crate) fn codings(&self) -> Vec<Coding> {
        let is_coded = self.classes.parts.iter().any(|part| part.code.is_some());
        vec![if is_coded {
            Coding::Huffman
        } else {
            Coding::Packed
        }]
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.n_entries.iter().sum()
    }

    /// Number of entries of each value table.
    pub(crate) fn entries_by_value_table(&self) -> Vec<usize> {
        let mut by_table = Vec::new();
        for (&table, n) in self.classes.value_tables.iter().zip(&self.n_entries) {
            by_table.resize(by_table.len().max(usize::from(table) + 1), 0);
            by_table[usize::from(table)] += n;
        }
        by_table
    }

    /// Writes all elements: `values` are those of the entries in their order, then whatever.
    pub(crate) fn fill<W: Word>(
        &self,
        background: W,
        values: &[W],
        target: &mut Target<'_, W>,
    ) -> Result<()> {
        let mut values = values;
        for class in 0..self.classes.n_rows {
            let first = class * self.classes.n_columns();
            match &self.classes.columns {
                None => {
                    self.fill_rows(class, &self.parts[first], background, &mut values, target)?;
                }
                Some(_) => self.fill_columns(class, background, &mut values, target)?,
            }
        }
        Ok(())
    }

    /// Fills the rows of a class that has one part.
    fn fill_rows<W: Word>(
        &self,
        class: usize,
        part: &Stored<'_>,
        background: W,
        values: &mut &[W],
        target: &mut Target<'_, W>,
    ) -> Result<()> {
        let length = self.row_length;
        let rows = self.rows_of(class).iter().map(|&row| row as usize * length);
        match part {
            Stored::None => target.clear_rows(self.rows_of(class), length, background),
            Stored::All => {
                for start in rows {
                    let (row, rest) = values.split_at(length);
                    *values = rest;
                    target.copy(start..start + length, row);
                }
            }
            Stored::Bitmap(_) | Stored::OwnBitmap(_) => {
                let rows = BitmapRows {
                    bitmaps: part.bitmap(),
                    length,
                    rows: self.rows_of(class),
                };
                target.expand(rows, background, values);
            }
            Stored::Steps(steps) => scatter_rows(
                rows,
                length,
                Chain::new(steps, steps.len(), ESCAPE),
                background,
                values,
                target,
            )?,
            Stored::WideSteps(steps, escape) => {
                scatter_rows(
                    rows,
                    length,
                    Chain::new(steps, steps.len(), *escape),
                    background,
                    values,
                    target,
                )?;
            }
        }
        Ok(())
    }

    /// Fills the rows of a class whose columns have classes.
    fn fill_columns<W: Word>(
        &self,
        class: usize,
        background: W,
        values: &mut &[W],
        target: &mut Target<'_, W>,
    ) -> Result<()> {
        let isa = target.isa();
        let mut lines = self.lines(class);
        // The columns of a row's entries, in the order of their values.
        let mut entries = Buffer::<u16>::new(self.row_length + columns::SLACK);
        for &row in self.rows_of(class) {
            let mut n = 0;
            for line in &mut lines {
                n += line.select(isa, &mut entries[n..]);
            }
            let (of_row, rest) = values.split_at(n);
            *values = rest;
            let start = row as usize * self.row_length;
            target.clear_at_once(start..start + self.row_length, background, |out| {
                for (&column, &value) in entries[..n].iter().zip(of_row) {
                    out[usize::from(column)] = value;
                }
            });
        }
        finish(&lines)
    }

    /// Walks over the lines of a row class.
    fn lines(&self, class: usize) -> Vec<LineWalk<'_>> {
        let n_columns = self.classes.n_columns();
        (0..n_columns)
            .map(|column_class| {
                let part = class * n_columns + column_class;
                LineWalk {
                    columns: self
                        .classes
                        .columns
                        .as_ref()
                        .map(|c| &c.columns[column_class][..]),
                    length: self.length(part),
                    left: match &self.parts[part] {
                        Stored::None => Left::None,
                        Stored::All => Left::All,
                        stored @ (Stored::Bitmap(_) | Stored::OwnBitmap(_)) => {
                            Left::Bitmap(stored.bitmap())
                        }
                        Stored::Steps(steps) => Left::Steps(Chain::new(steps, steps.len(), ESCAPE)),
                        Stored::WideSteps(steps, escape) => {
                            Left::WideSteps(Chain::new(steps, steps.len(), *escape))
                        }
                    },
                }
            })
            .collect()
    }

    /// The positions of the entries, in the order of the values.
    pub(crate) fn positions(&self) -> Result<Vec<u32>> {
        let mut positions = Vec::with_capacity(self.len());
        for class in 0..self.classes.n_rows {
            let mut lines = self.lines(class);
            for &row in self.rows_of(class) {
                let start = row as usize * self.row_length;
                for line in &mut lines {
                    line.next(|column| positions.push((start + column) as u32));
                }
            }
            finish(&lines)?;
        }
        Ok(positions)
    }
}

/// What is left of a part, line by line.
struct LineWalk<'s> {
    /// The columns that the positions of a line are; `None` if they are all.
    columns: Option<&'s [u16]>,
    length: usize,
    left: Left<'s>,
}

enum Left<'s> {
    None,
    All,
    Bitmap(&'s [u8]),
    Steps(Chain<'s, u8>),
    WideSteps(Chain<'s, u16>),
}

impl LineWalk<'_> {
    /// Calls `f` with the column of each entry of the next line.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "positions of a line are counted in memory; a word that isn't zero is at least 1"
    )]
    #[inline]
    fn next(&mut self, mut f: impl FnMut(usize)) {
        let length = self.length;
        let column = |position: usize| match self.columns {
            None => position,
            Some(columns) => columns
                .get(position)
                .map_or(usize::MAX, |&column| column.into()),
        };
        match &mut self.left {
            Left::None => {}
            Left::All => (0..length).for_each(|position| f(column(position))),
            Left::Bitmap(bytes) => {
                let (line, rest) = bytes.split_at(length.div_ceil(8));
                *bytes = rest;
                for (start, word) in (0..).step_by(64).zip(line.chunks(8)) {
                    let mut word = word
                        .iter()
                        .rev()
                        .fold(0u64, |word, &byte| word << 8 | u64::from(byte));
                    while word != 0 {
                        f(column(start + word.trailing_zeros() as usize));
                        word &= word - 1;
                    }
                }
            }
            Left::Steps(chain) => chain.walk(length, |position| {
                f(column(position));
                true
            }),
            Left::WideSteps(chain) => chain.walk(length, |position| {
                f(column(position));
                true
            }),
        }
    }

    /// Writes the columns of the entries of the next line to `out`, and returns how many they are. There
    /// is room for all columns of the line, and [`columns::SLACK`] more.
    #[expect(
        clippy::indexing_slicing,
        reason = "a row has the columns of its lines, so that what is left of its room has those of this one"
    )]
    fn select(&mut self, isa: Isa, out: &mut [u16]) -> usize {
        let columns = self.columns.unwrap_or_default();
        let mut n = 0;
        let mut put = |position: usize| match (columns.get(position), out.get_mut(n)) {
            (Some(&column), Some(slot)) => {
                *slot = column;
                n = n.saturating_add(1);
                true
            }
            _ => false,
        };
        match &mut self.left {
            Left::None => {}
            Left::All => {
                out[..columns.len()].copy_from_slice(columns);
                return columns.len();
            }
            Left::Bitmap(bytes) => {
                let (line, rest) = bytes.split_at(self.length.div_ceil(8));
                *bytes = rest;
                return columns::select(isa, line, columns, out);
            }
            Left::Steps(chain) => chain.walk(self.length, &mut put),
            Left::WideSteps(chain) => chain.walk(self.length, &mut put),
        }
        n
    }

    /// Whether its chain ended with its lines.
    fn is_done(&self) -> bool {
        match &self.left {
            Left::None | Left::All | Left::Bitmap(_) => true,
            Left::Steps(chain) => chain.is_done(),
            Left::WideSteps(chain) => chain.is_done(),
        }
    }
}

fn finish(lines: &[LineWalk<'_>]) -> Result<()> {
    match lines.iter().all(LineWalk::is_done) {
        true => Ok(()),
        false => Err(leads_out()),
    }
}

fn leads_out() -> Error {
    Error::corrupt("the steps of a part lead out of its lines")
}

fn scatter_rows<W: Word, S: Step>(
    rows: impl Iterator<Item = usize>,
    length: usize,
    mut chain: Chain<'_, S>,
    background: W,
    values: &mut &[W],
    target: &mut Target<'_, W>,
) -> Result<()> {
    let isa = target.isa();
    for start in rows {
        let row = start..start.saturating_add(length);
        target.clear_row(row, background, |out| {
            scatter(isa, &mut chain, values, out);
        });
    }
    match chain.is_done() {
        true => Ok(()),
        false => Err(leads_out()),
    }
}

/// Steps with their low bits: 0 for an escape, one more than the gap for an entry.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "at most 254·2^8 + 255 + 1, and as many entries as there are steps in memory"
)]
fn widen(cursor: &mut Cursor<'_>, isa: Isa, steps: &[u8], low_bits: u32) -> Result<Buffer<u16>> {
    let n_entries = count_nonzero(steps);
    let packed = cursor.take(bits::packed_bytes(n_entries, low_bits)?)?;
    let low = unpack::bytes(isa, packed, n_entries, low_bits)
        .ok_or_else(|| Error::corrupt("bits after the last low bits are not zero"))?;
    let mut wide = Buffer::new(steps.len());
    let mut next = 0;
    for (wide, &step) in wide.iter_mut().zip(steps) {
        // After the last entry comes no escape.
        let low = low.get(next).copied().unwrap_or(0);
        *wide = match step {
            0 => 0,
            step => (u16::from(step) - 1) << low_bits | u16::from(low),
        };
        *wide += u16::from(step > 0);
        next += usize::from(step > 0);
    }
    Ok(wide)
}

/// The rows by their class, and where each class ends.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "classes have been looked for; each row is counted, and takes one slot of its class"
)]
fn read_rows(
    cursor: &mut Cursor<'_>,
    isa: Isa,
    classes: &Classes,
    n_rows: usize,
) -> Result<(Vec<u32>, Vec<usize>)> {
    if classes.n_rows == 1 {
        return Ok((vec![0], vec![1]));
    }
    let (symbols, _) = stream::read_small_symbols(cursor, isa, n_rows, classes.row_bits())?;
    let counts = stream::histogram(&symbols);
    if let Some(class) = counts.iter().rposition(|&n| n > 0)
        && class >= classes.n_rows
    {
        return Err(Error::corrupt(format!(
            "row class {class} of {}",
            classes.n_rows
        )));
    }
    let mut end = 0;
    let (mut next, ends) = counts[..classes.n_rows]
        .iter()
        .map(|&n| {
            let start = end;
            end += n as usize;
            (start, end)
        })
        .unzip::<_, _, Vec<usize>, Vec<usize>>();
    let mut rows = vec![0; n_rows];
    for (row, &class) in (0u32..).zip(&*symbols) {
        let slot = &mut next[usize::from(class)];
        rows[*slot] = row;
        *slot += 1;
    }
    Ok((rows, ends))
}
