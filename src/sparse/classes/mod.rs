//! Entries by classes of rows and columns that are alike (spec §8.2.1, §9.1.3).

pub(crate) mod holes;
mod lines;
mod set;

pub(crate) use lines::{Lines, steps_of};
pub(crate) use set::{ClassedSet, write as write_set};

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::kernels::huffman::DecodeTable;
use crate::stream;
use crate::stream::bits::{BitReader, BitWriter, bit_width};
use crate::stream::huffman::{MAX_SYMBOLS, PrefixCode, SymbolOrder};

/// Most columns of a payload whose columns have classes.
pub(crate) const MAX_CLASSED_COLUMNS: u64 = 1 << 16;

/// Most low bits of a step.
pub(crate) const MAX_LOW_BITS: u32 = 8;

/// Positions that an escape skips, in units of 2^`low_bits`.
pub(crate) const ESCAPE: u32 = 255;

/// What is stored of a part (spec §8.2.1); the numbers are those of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It has no entries.
    None,
    /// All its elements are entries.
    All,
    /// A bit for every position.
    Bitmap,
    /// The same, its bytes coded.
    CodedBitmap,
    /// The distances between its entries, coded.
    CodedSteps {
        /// Low bits of each that are kept raw.
        low_bits: u32,
    },
    /// The positions that are no entries.
    Holes,
}

impl Form {
    fn to_byte(self) -> u8 {
        match self {
            Self::None => 0,
            Self::All => 1,
            Self::Bitmap => 2,
            Self::CodedBitmap => 3,
            Self::CodedSteps { low_bits } => 4 | (low_bits as u8) << 4,
            Self::Holes => 5,
        }
    }

    fn from_byte(byte: u8) -> Result<Self> {
        match (byte & 15, byte >> 4) {
            (0, 0) => Ok(Self::None),
            (1, 0) => Ok(Self::All),
            (2, 0) => Ok(Self::Bitmap),
            (3, 0) => Ok(Self::CodedBitmap),
            (5, 0) => Ok(Self::Holes),
            (4, low_bits) if u32::from(low_bits) <= MAX_LOW_BITS => Ok(Self::CodedSteps {
                low_bits: low_bits.into(),
            }),
            (4, low_bits) => Err(Error::corrupt(format!(
                "{low_bits} low bits of a step, expected at most {MAX_LOW_BITS}"
            ))),
            _ => Err(Error::unsupported(format!("form {byte:#04x} of a part"))),
        }
    }

    /// In which order the lengths of its code are written; `None` if it has no code.
    fn code_order(self) -> Option<SymbolOrder> {
        match self {
            Self::CodedBitmap => Some(SymbolOrder::SetBits),
            Self::CodedSteps { .. } => Some(SymbolOrder::Number),
            Self::None | Self::All | Self::Bitmap | Self::Holes => None,
        }
    }
}

/// What the rows of a class have in the columns of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) form: Form,
    /// The code of its symbols, if the form has some.
    pub(crate) code: Option<PrefixCode>,
}

/// The classes of a payload's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnClasses {
    /// The class of each column.
    pub(crate) of_column: Vec<u8>,
    /// The columns of each class, ascending.
    pub(crate) columns: Vec<Vec<u16>>,
}

impl ColumnClasses {
    /// From the class of each column, all below `n_classes`.
    pub(crate) fn new(of_column: Vec<u8>, n_classes: usize) -> Self {
        let mut columns = vec![vec![]; n_classes];
        for (column, &class) in (0u16..=u16::MAX).zip(&of_column) {
            if let Some(of_class) = columns.get_mut(usize::from(class)) {
                of_class.push(column);
            }
        }
        Self { of_column, columns }
    }
}

/// The classes of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Classes {
    /// Number of row classes.
    pub(crate) n_rows: usize,
    /// `None` if there is one for all columns.
    pub(crate) columns: Option<ColumnClasses>,
    /// For each row class, for each column class.
    pub(crate) parts: Vec<Part>,
    /// For each row class the number of its value table.
    pub(crate) value_tables: Vec<u8>,
}

impl Classes {
    /// Number of column classes.
    pub(crate) fn n_columns(&self) -> usize {
        self.columns
            .as_ref()
            .map_or(1, |classes| classes.columns.len())
    }

    /// Bits of the class of a row.
    fn row_bits(&self) -> u32 {
        class_bits(self.n_rows)
    }

    /// Decode tables of the parts that have codes.
    pub(crate) fn decode_tables(&self) -> Vec<Option<DecodeTable>> {
        let code = |part: &Part| part.code.as_ref().map(PrefixCode::decode_table);
        self.parts.iter().map(code).collect()
    }

    /// Appends everything but the codes (spec §8.2.1).
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(less_one(self.n_rows) | less_one(self.n_columns()) << 4);
        if let Some(columns) = &self.columns {
            let symbols: Vec<u32> = columns.of_column.iter().copied().map(u32::from).collect();
            stream::write_symbols(out, &symbols, class_bits(columns.columns.len()))?;
        }
        for part in &self.parts {
            out.push(part.form.to_byte());
            if let (Form::CodedSteps { .. }, Some(code)) = (part.form, &part.code) {
                out.push(less_one(code.lengths().len()));
            }
        }
        Ok(())
    }

    /// Appends the codes.
    pub(crate) fn write_codes(&self, bits: &mut BitWriter) {
        for part in &self.parts {
            if let (Some(order), Some(code)) = (part.form.code_order(), &part.code) {
                code.write(bits, order);
            }
        }
    }

    /// Reads everything but the codes, and the numbers of symbols of these.
    pub(crate) fn read(cursor: &mut Cursor<'_>, columns: u64) -> Result<(Self, Vec<usize>)> {
        let numbers = cursor.u8()?;
        let (n_rows, n_columns) = (usize::from(numbers & 15) + 1, usize::from(numbers >> 4) + 1);
        if n_rows == 1 && n_columns > 1 {
            return Err(Error::corrupt(format!(
                "{n_rows} classes of rows and {n_columns} of columns"
            )));
        }
        let columns = match n_columns {
            1 => None,
            _ => Some(read_column_classes(cursor, columns, n_columns)?),
        };
        let mut n_symbols = Vec::new();
        let mut parts = Vec::new();
        // At most 16 of each.
        for _ in 0..n_rows.saturating_mul(n_columns) {
            let form = Form::from_byte(cursor.u8()?)?;
            n_symbols.push(match form {
                Form::CodedSteps { .. } => usize::from(cursor.u8()?) + 1,
                _ => MAX_SYMBOLS,
            });
            parts.push(Part { form, code: None });
        }
        let classes = Self {
            n_rows,
            columns,
            parts,
            value_tables: vec![0; n_rows],
        };
        Ok((classes, n_symbols))
    }

    /// Reads which of `n_tables` value tables each row class has.
    pub(crate) fn read_value_tables(
        &mut self,
        cursor: &mut Cursor<'_>,
        n_tables: usize,
    ) -> Result<()> {
        let value_tables = cursor.take(self.n_rows)?;
        let is_step = |&[before, after]: &[u8; 2]| matches!(after.checked_sub(before), Some(0 | 1));
        let ends = (
            value_tables.first(),
            value_tables.last().map(|&last| usize::from(last) + 1),
        );
        if ends != (Some(&0), Some(n_tables)) || !value_tables.array_windows().all(is_step) {
            return Err(Error::corrupt(format!(
                "value tables {value_tables:?} of row classes, expected those below {n_tables}, ascending \
                 from 0 by steps"
            )));
        }
        self.value_tables = value_tables.to_vec();
        Ok(())
    }

    /// Reads the codes.
    pub(crate) fn read_codes(
        &mut self,
        bits: &mut BitReader<'_>,
        n_symbols: &[usize],
    ) -> Result<()> {
        for (part, &n) in self.parts.iter_mut().zip(n_symbols) {
            if let Some(order) = part.form.code_order() {
                part.code = Some(PrefixCode::read(bits, n, order)?);
            }
        }
        Ok(())
    }
}

/// Bits of one of `n` classes.
fn class_bits(n: usize) -> u32 {
    bit_width(n.saturating_sub(1) as u64)
}

/// How a number from 1 to 256 is written.
fn less_one(n: usize) -> u8 {
    n.saturating_sub(1) as u8
}

fn read_column_classes(
    cursor: &mut Cursor<'_>,
    columns: u64,
    n_classes: usize,
) -> Result<ColumnClasses> {
    if columns > MAX_CLASSED_COLUMNS {
        return Err(Error::corrupt(format!(
            "classes of {columns} columns, expected at most {MAX_CLASSED_COLUMNS}"
        )));
    }
    let (symbols, _) = stream::read_symbols(cursor, columns as usize, class_bits(n_classes))?;
    let of_column = symbols
        .iter()
        .map(|&class| class as u8)
        .collect::<Vec<u8>>();
    match of_column
        .iter()
        .find(|&&class| usize::from(class) >= n_classes)
    {
        Some(class) => Err(Error::corrupt(format!(
            "column class {class} of {n_classes}"
        ))),
        None => Ok(ColumnClasses::new(of_column, n_classes)),
    }
}
