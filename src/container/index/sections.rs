//! Sections, and the payloads in them: where every byte is (spec §4, §8).

#![warn(clippy::cast_possible_truncation)]

use super::{Manifest, Payload, Section, SectionKind};
use crate::container::head::HEADER_BYTES;
use crate::cursor::to_usize;
use crate::error::{Error, Result, Within};
use crate::payload::PayloadMeta;

/// Largest alignment of a section, as a power of two.
const MAX_ALIGN: u32 = 12;

pub(super) fn sections(m: &Manifest, end: u64) -> Result<Vec<Section>> {
    let mut sections = Vec::with_capacity(m.section_kind.len());
    let mut at = HEADER_BYTES as u64;
    for (i, &kind) in m.section_kind.iter().enumerate() {
        let section = || {
            let kind = match kind {
                1 => SectionKind::SkeletonFrame,
                2 => SectionKind::Payloads,
                id => return Err(Error::unsupported(format!("kind {id}"))),
            };
            let n_payloads = m.section_payloads[i];
            if (kind == SectionKind::Payloads) != (n_payloads > 0) {
                return Err(Error::corrupt(format!(
                    "{n_payloads} payloads in a section of kind {}",
                    kind as u32
                )));
            }
            let align = m.section_align[i];
            if align > MAX_ALIGN {
                return Err(Error::corrupt(format!(
                    "alignment 2^{align}, expected at most 2^{MAX_ALIGN}"
                )));
            }
            let start = at.next_multiple_of(1 << align);
            let stop = start
                .checked_add(m.section_bytes[i])
                .filter(|&stop| stop <= end)
                .ok_or_else(|| {
                    Error::corrupt(format!(
                        "{} bytes at offset {start} pass the manifest",
                        m.section_bytes[i]
                    ))
                })?;
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

pub(super) fn payloads(m: &Manifest, sections: &[Section]) -> Result<Vec<Payload>> {
    let mut payloads = Vec::with_capacity(m.payload_width.len());
    for (s, section) in sections.iter().enumerate() {
        let mut at = section.range.start;
        for _ in 0..m.section_payloads[s] {
            let i = payloads.len();
            let payload = || {
                let meta = payload_meta(m, i)?;
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
    if payloads.len() != m.payload_width.len() {
        return Err(Error::corrupt(format!(
            "{} payloads, of which {} are in sections",
            m.payload_width.len(),
            payloads.len()
        )));
    }
    Ok(payloads)
}

fn payload_meta(m: &Manifest, i: usize) -> Result<PayloadMeta> {
    // A section may claim more payloads than there are.
    let width = m
        .payload_width
        .get(i)
        .ok_or_else(|| Error::corrupt("it is not in the table"))?;
    let meta = PayloadMeta {
        width: *width as usize,
        elements: m.payload_elements[i],
        columns: m.payload_columns[i],
        stored_bytes: m.payload_stored_bytes[i],
        table_bytes: m.payload_table_bytes[i],
        blocks: m.payload_blocks[i],
    };
    meta.check()?;
    Ok(meta)
}
