//! Sections, and the payloads in them: where every byte is (spec §4, §8).

use super::columns::Columns;
use super::{Payload, Section, SectionKind};
use crate::container::head::HEADER_BYTES;
use crate::cursor::to_usize;
use crate::error::{Error, Result, Within};
use crate::payload::PayloadMeta;

/// Largest alignment of a section, as a power of two.
const MAX_ALIGN: u32 = 12;

pub(super) fn sections(c: &Columns, end: u64) -> Result<Vec<Section>> {
    let mut sections = Vec::with_capacity(c.section_kind.len());
    let mut at = HEADER_BYTES as u64;
    let rows = c.section_kind.iter().zip(&c.section_bytes);
    let rows = rows.zip(&c.section_align).zip(&c.section_payloads);
    for (i, (((&kind, &bytes), &align), &n_payloads)) in rows.enumerate() {
        let section = || {
            let kind = match kind {
                1 => SectionKind::SkeletonFrame,
                2 => SectionKind::Payloads,
                id => return Err(Error::unsupported(format!("kind {id}"))),
            };
            if (kind == SectionKind::Payloads) != (n_payloads > 0) {
                return Err(Error::corrupt(format!(
                    "{n_payloads} payloads in a section of kind {}",
                    kind as u32
                )));
            }
            if align > MAX_ALIGN {
                return Err(Error::corrupt(format!(
                    "alignment 2^{align}, expected at most 2^{MAX_ALIGN}"
                )));
            }
            let start = at.checked_next_multiple_of(1 << align);
            let stop = start
                .and_then(|start| start.checked_add(bytes))
                .filter(|&stop| stop <= end);
            let (Some(start), Some(stop)) = (start, stop) else {
                return Err(Error::corrupt(format!(
                    "{bytes} bytes after offset {at} pass the manifest"
                )));
            };
            Ok(Section {
                kind,
                range: to_usize(start)?..to_usize(stop)?,
                padding: to_usize(at)?..to_usize(start)?,
            })
        };
        let section = section().within(|| format!("section {i}"))?;
        at = section.range.end as u64;
        sections.push(section);
    }
    if at != end {
        return Err(Error::corrupt(format!(
            "sections end at offset {at}, the manifest starts at {end}"
        )));
    }
    Ok(sections)
}

pub(super) fn payloads(c: &Columns, sections: &[Section]) -> Result<Vec<Payload>> {
    let mut payloads = Vec::with_capacity(c.payload_width.len());
    for (s, (section, &n_payloads)) in sections.iter().zip(&c.section_payloads).enumerate() {
        let mut at = section.range.start;
        for _ in 0..n_payloads {
            let i = payloads.len();
            let payload = || {
                let meta = payload_meta(c, i)?;
                let stop = usize::try_from(meta.stored_bytes)
                    .ok()
                    .and_then(|bytes| at.checked_add(bytes))
                    .filter(|&stop| stop <= section.range.end)
                    .ok_or_else(|| {
                        Error::corrupt(format!(
                            "{} bytes do not fit into section {s}",
                            meta.stored_bytes
                        ))
                    })?;
                Ok(Payload {
                    meta,
                    section: s,
                    range: at..stop,
                })
            };
            let payload = payload().within(|| format!("payload {i}"))?;
            at = payload.range.end;
            payloads.push(payload);
        }
        if section.kind == SectionKind::Payloads && at != section.range.end {
            return Err(Error::corrupt(format!(
                "section {s}: payloads end at offset {at}, expected {}",
                section.range.end
            )));
        }
    }
    if payloads.len() != c.payload_width.len() {
        return Err(Error::corrupt(format!(
            "{} payloads, of which {} are in sections",
            c.payload_width.len(),
            payloads.len()
        )));
    }
    Ok(payloads)
}

fn payload_meta(c: &Columns, i: usize) -> Result<PayloadMeta> {
    let row = || {
        Some(PayloadMeta {
            width: *c.payload_width.get(i)? as usize,
            elements: *c.payload_elements.get(i)?,
            columns: *c.payload_columns.get(i)?,
            stored_bytes: *c.payload_stored_bytes.get(i)?,
            table_bytes: *c.payload_table_bytes.get(i)?,
            blocks: *c.payload_blocks.get(i)?,
        })
    };
    // A section may claim more payloads than there are.
    let meta = row().ok_or_else(|| Error::corrupt("it is not in the table"))?;
    meta.check()?;
    Ok(meta)
}
