//! The manifest as it stands in the file: `spec/manifest.proto`, column by column (spec §5.2).

/// What finds everything else in a file. Nothing in it has been checked.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Manifest {
    #[prost(string, repeated, tag = "1")]
    pub(super) file_name: Vec<String>,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) file_bytes: Vec<u64>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) file_sha256: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) file_source_sha256: Vec<u8>,
    #[prost(uint64, repeated, tag = "5")]
    pub(super) file_holes: Vec<u64>,

    #[prost(uint64, repeated, tag = "6")]
    pub(super) hole_gap: Vec<u64>,
    #[prost(uint64, repeated, tag = "7")]
    pub(super) hole_payload: Vec<u64>,

    #[prost(uint32, repeated, tag = "8")]
    pub(super) section_kind: Vec<u32>,
    #[prost(uint64, repeated, tag = "9")]
    pub(super) section_bytes: Vec<u64>,
    #[prost(uint32, repeated, tag = "10")]
    pub(super) section_align: Vec<u32>,
    #[prost(uint64, repeated, tag = "11")]
    pub(super) section_payloads: Vec<u64>,

    #[prost(uint32, repeated, tag = "12")]
    pub(super) payload_width: Vec<u32>,
    #[prost(uint64, repeated, tag = "13")]
    pub(super) payload_elements: Vec<u64>,
    #[prost(uint64, repeated, tag = "14")]
    pub(super) payload_columns: Vec<u64>,
    #[prost(uint64, repeated, tag = "15")]
    pub(super) payload_stored_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "16")]
    pub(super) payload_table_bytes: Vec<u64>,
    #[prost(uint64, repeated, tag = "17")]
    pub(super) payload_blocks: Vec<u64>,

    #[prost(string, repeated, tag = "18")]
    pub(super) tensor_name: Vec<String>,
    #[prost(uint32, repeated, tag = "19")]
    pub(super) tensor_file: Vec<u32>,
    #[prost(uint32, repeated, tag = "20")]
    pub(super) tensor_dtype: Vec<u32>,
    #[prost(uint32, repeated, tag = "21")]
    pub(super) tensor_rank: Vec<u32>,
    #[prost(uint64, repeated, tag = "22")]
    pub(super) tensor_dim: Vec<u64>,
    #[prost(uint32, repeated, tag = "23")]
    pub(super) tensor_source: Vec<u32>,
    #[prost(uint64, repeated, tag = "24")]
    pub(super) tensor_at: Vec<u64>,
    #[prost(uint64, repeated, tag = "25")]
    pub(super) tensor_repeats: Vec<u64>,
    #[prost(uint64, repeated, tag = "26")]
    pub(super) tensor_nnz: Vec<u64>,

    #[prost(string, repeated, tag = "27")]
    pub(super) empty_folder: Vec<String>,
    #[prost(bool, tag = "28")]
    pub(super) is_folder: bool,

    #[prost(uint32, tag = "29")]
    pub(super) profile: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    /// The fields of this struct are those of the schema: names, numbers and types.
    #[test]
    fn the_struct_is_the_schema() {
        let schema = include_str!("../../spec/manifest.proto");
        let source = include_str!("manifest.rs");
        let from_schema: Vec<String> = schema
            .lines()
            .map(|line| line.split("//").next().unwrap().trim())
            .filter(|line| {
                line.ends_with(';') && line.contains(" = ") && !line.starts_with("syntax")
            })
            .map(|line| {
                line.trim_end_matches(';')
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let from_source: Vec<String> = lines
            .windows(2)
            .filter(|pair| pair[0].starts_with("#[prost("))
            .map(|pair| {
                let attribute = pair[0]
                    .trim_start_matches("#[prost(")
                    .trim_end_matches(")]");
                let parts: Vec<&str> = attribute.split(", ").collect();
                let tag = parts
                    .last()
                    .unwrap()
                    .trim_start_matches("tag = ")
                    .trim_matches('"');
                let kind = parts[0].split(' ').next().unwrap();
                let repeated = if parts.contains(&"repeated") {
                    "repeated "
                } else {
                    ""
                };
                let name = pair[1]
                    .split(':')
                    .next()
                    .unwrap()
                    .trim_start_matches("pub(super) ");
                format!("{repeated}{kind} {name} = {tag}")
            })
            .collect();
        assert_eq!(from_schema.len(), 29);
        assert_eq!(from_source, from_schema);
    }

    #[test]
    fn numeric_columns_are_packed() {
        let manifest = Manifest {
            tensor_dim: vec![1, 300],
            ..Manifest::default()
        };
        assert_eq!(manifest.encode_to_vec(), [0xb2, 1, 3, 1, 0xac, 2]);
    }
}
