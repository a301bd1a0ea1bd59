//! `tfzip-inspect`.

mod common;

use assert_cmd::cargo::cargo_bin;
use common::{ARCHIVE, Folder, MODEL, example, stdout};
use serde_json::Value;
use std::process::{Command, Stdio};
use tfzip::model::ModelTensor;
use tfzip::rewrite_file;

const INSPECT: &str = "tfzip-inspect";

fn json(folder: &Folder, args: &[&str]) -> Value {
    let args = args.iter().copied().chain([ARCHIVE, "--json"]);
    serde_json::from_str(&stdout(&folder.run(INSPECT, args).success())).unwrap()
}

fn sum<'a>(numbers: impl IntoIterator<Item = &'a Value>) -> u64 {
    numbers.into_iter().map(|n| n.as_u64().unwrap()).sum()
}

#[test]
fn parts_follow_each_other_to_the_end_of_the_file() {
    let folder = Folder::with_archive();
    let report = json(&folder, &[]);
    let parts = report["parts"].as_array().unwrap();
    let mut end = 0;
    for part in parts {
        assert_eq!(part["offset"], end);
        end += part["bytes"].as_u64().unwrap();
    }
    assert_eq!(end, folder.read(ARCHIVE).len() as u64);
    assert_eq!(report["bytes"], end);
    assert_eq!(parts[0]["kind"], "header");
    assert_eq!(parts.last().unwrap()["kind"], "footer");
}

#[test]
fn the_bytes_of_an_encoded_tensor_add_up() {
    let folder = Folder::with_archive();
    let report = json(&folder, &[]);
    let tensors = report["tensors"].as_array().unwrap();
    let encoded: Vec<&Value> = tensors.iter().filter(|t| t["bytes"].is_object()).collect();
    assert_eq!((tensors.len(), encoded.len()), (6, 5));
    for tensor in &encoded {
        let bytes = tensor["bytes"].as_object().unwrap();
        assert_eq!(tensor["stored_bytes"], sum(bytes.values()), "{tensor}");
        assert_eq!(
            tensor["blocks"],
            sum(tensor["positions"].as_object().unwrap().values())
        );
        assert!(tensor["over_limit"].as_f64().unwrap() < 0.5, "{tensor}");
    }
    let parts = report["parts"].as_array().unwrap();
    let payloads = parts.iter().filter(|part| part["kind"] == "payloads");
    assert_eq!(
        sum(payloads.map(|part| &part["bytes"])),
        sum(encoded.iter().map(|tensor| &tensor["stored_bytes"]))
    );
}

#[test]
fn json_has_what_the_library_knows() {
    let folder = Folder::with_archive();
    let report = json(&folder, &[]);
    assert_eq!(report["files"][0]["name"], MODEL);
    assert_eq!(report["model_bytes"], folder.read(MODEL).len());
    assert!(report["compare"].is_null());
    let archive = tfzip::Archive::open(folder.path(ARCHIVE)).unwrap();
    for (found, tensor) in report["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .zip(archive.tensors())
    {
        assert_eq!(found["number"], tensor.number());
        assert_eq!(found["name"], tensor.name());
        assert_eq!(found["dtype"], tensor.dtype().name());
        assert_eq!(found["shape"], serde_json::json!(tensor.shape()));
        assert_eq!(found["nnz"], tensor.nnz());
    }
}

#[test]
fn the_table_has_the_encoded_tensors_or_all() {
    let folder = Folder::with_archive();
    let few = stdout(&folder.run(INSPECT, [ARCHIVE]).success().stderr(""));
    let line = few
        .lines()
        .find(|line| line.ends_with(" fc1/kernel"))
        .unwrap();
    assert!(line.contains("float32  [64, 300]"), "{line}");
    let encoding = "classes 1x1(huffman) + coded by window(huffman)";
    assert!(line.contains(encoding), "{line}");
    assert!(
        few.lines()
            .next()
            .unwrap()
            .ends_with("bytes, profile balanced)"),
        "{few}"
    );
    assert!(!few.contains("fc3/bias"), "{few}");
    assert!(
        few.contains("and 1 more in the skeleton (--all lists them)"),
        "{few}"
    );
    let all = stdout(&folder.run(INSPECT, [ARCHIVE, "--all"]).success());
    assert!(all.lines().any(|line| line.ends_with(" fc3/bias")), "{all}");
    assert!(!all.contains("--all"), "{all}");
    assert!(!all.contains('\u{1b}'), "{all}");
}

#[test]
fn every_profile_is_told_by_its_kinds() {
    let folder = Folder::new();
    // Some columns are dead, without an order that steps would have, and the others have more.
    const COLUMNS: usize = 300;
    let denser = |i: usize, element: &[u8]| -> [u8; 4] {
        let noise = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise = (noise ^ noise >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let noise = (noise >> 32) as u32;
        match ((i % COLUMNS).pow(2) % 101 < 30, noise >> 24 < 40) {
            (true, true) => (0x3d00_0000 | noise >> 9).to_le_bytes(),
            (true, false) => element.try_into().unwrap(),
            (false, _) => [0; 4],
        }
    };
    let change = |tensor: &ModelTensor, elements: &[u8]| {
        let elements = elements.chunks_exact(4).enumerate();
        let changed = elements.flat_map(|(i, element)| denser(i, element));
        Ok((tensor.name == "fc1/kernel").then(|| changed.collect()))
    };
    let report = rewrite_file(example(), folder.path(MODEL), false, change).unwrap();
    assert_eq!(report.changed, ["fc1/kernel"]);
    for (profile, positions, position_coding, values, value_coding) in [
        ("direct", "rows", "packed", "aligned", "packed"),
        ("balanced", "classes", "huffman", "coded", "huffman"),
        ("small", "classes", "huffman", "coded", "huffman"),
    ] {
        let args = ["-f", MODEL, ARCHIVE, "--profile", profile];
        folder.run("tfzip-pack", args).success();
        let report = json(&folder, &[]);
        assert_eq!(report["profile"], profile);
        let tensors = report["tensors"].as_array().unwrap();
        let kernel = tensors.iter().find(|t| t["name"] == "fc1/kernel").unwrap();
        let one = |name: &str| serde_json::json!({ name: 1 });
        assert_eq!(kernel["positions"], one(positions));
        assert_eq!(kernel["position_codings"], one(position_coding));
        assert_eq!(kernel["values"], one(values));
        assert_eq!(kernel["value_codings"], one(value_coding));
        let learned = profile != "direct";
        assert_eq!(kernel["value_coder"].is_string(), learned);
        assert_eq!(kernel["row_classes"].as_u64().unwrap() > 0, learned);
        // What tells the third profile from the second.
        let columns = kernel["column_classes"].as_u64().unwrap();
        assert_eq!(columns > 1, profile == "small");
        for tensor in tensors.iter().filter(|tensor| tensor["bytes"].is_object()) {
            let bytes = &tensor["bytes"];
            assert_eq!(
                tensor["stored_bytes"],
                sum(bytes.as_object().unwrap().values())
            );
            // A float32 takes four bytes and some padding, or nearly three with its exponent in
            // symbols: less would mean that these count as positions.
            let of = |count: &str| tensor[count].as_u64().unwrap();
            // A few zeros may be values like others.
            let n_values = match tensor["positions"]["all"].is_u64() {
                true => of("elements"),
                false => of("nnz"),
            };
            let value_bytes = bytes["values"].as_u64().unwrap();
            assert!(
                (11 * n_values / 4..=4 * n_values + 16).contains(&value_bytes),
                "{tensor}"
            );
        }
    }
}

#[test]
fn tensors_can_be_sorted() {
    let folder = Folder::with_archive();
    let names = |by: &[&str]| -> Vec<String> {
        let report = json(&folder, by);
        let tensors = report["tensors"].as_array().unwrap().iter();
        tensors
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let in_file = names(&[]);
    assert_eq!(names(&["--sort=file"]), in_file);
    let mut by_name = in_file.clone();
    by_name.sort();
    assert_eq!(names(&["--sort", "name"]), by_name);
    assert_eq!(
        names(&["--sort", "size"])[..2],
        ["fc1/kernel", "fc2/kernel"]
    );
    folder.run(INSPECT, [ARCHIVE, "--sort", "colour"]).code(2);
}

#[test]
fn rivals_are_measured_when_asked_for() {
    let folder = Folder::with_archive();
    let report = json(&folder, &["--compare"]);
    let rivals = report["compare"].as_array().unwrap();
    let names: Vec<&Value> = rivals.iter().map(|rival| &rival["name"]).collect();
    assert_eq!(names, ["gzip -9", "zstd -19", "xz -9e"]);
    for rival in rivals {
        let bytes = rival["bytes"].as_u64().unwrap();
        // What they were when this was written is 21,180 to 24,235.
        assert!((20_000..26_000).contains(&bytes), "{rival}");
    }
    let table = stdout(&folder.run(INSPECT, [ARCHIVE, "--compare"]).success());
    assert!(
        table.lines().any(|line| line.starts_with("xz -9e ")),
        "{table}"
    );
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let folder = Folder::with_archive();
    let mut program = Command::new(cargo_bin(INSPECT))
        .arg(folder.path(ARCHIVE))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
