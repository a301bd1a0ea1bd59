//! `tfzip-bench`: what it says of sizes is true; what it says of speed is there.

mod common;

use common::{ARCHIVE, FLOAT32, Folder, MODEL, constant, floats, stdout};
use serde_json::{Value, json};

const BENCH: &str = "tfzip-bench";

/// One run of each thing.
const SHORT: [&str; 4] = ["--seconds", "0", "--runs", "1"];

fn measured(folder: &Folder, args: &[&str]) -> Value {
    let args = SHORT.iter().chain(["--json"].iter()).chain(args).copied();
    serde_json::from_str(&stdout(&folder.run(BENCH, args).success().stderr(""))).unwrap()
}

fn is_timing(timing: &Value) {
    assert_eq!(timing["runs"], 1, "{timing}");
    for spread in ["seconds", "memcpy_seconds"] {
        let numbers = ["min", "q1", "median", "q3", "max"].map(|name| &timing[spread][name]);
        assert!(numbers[0].as_f64().unwrap() > 0.0, "{timing}");
        // Of one run.
        assert!(numbers.iter().all(|n| *n == numbers[0]), "{timing}");
    }
    let [worked, copied] = ["seconds", "memcpy_seconds"].map(|spread| &timing[spread]["median"]);
    let share = copied.as_f64().unwrap() / worked.as_f64().unwrap();
    let of_memcpy = timing["of_memcpy"].as_f64().unwrap();
    assert!((of_memcpy / share - 1.0).abs() < 1e-9, "{timing}");
}

#[test]
fn every_profile_has_a_row_with_everything() {
    let folder = Folder::with_model();
    let report = measured(&folder, &[MODEL]);
    assert_eq!(report["input"], MODEL);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["kernels"], tfzip::kernels_in_use());
    assert_eq!(report["threads"], 1);
    assert!(report["cold_file"].is_boolean());
    let rows = report["rows"].as_array().unwrap();
    let profiles: Vec<&Value> = rows.iter().map(|row| &row["profile"]).collect();
    assert_eq!(profiles, ["direct", "balanced", "small"]);
    for row in rows {
        assert_eq!(row["effort"], "thorough");
        assert_eq!(row["model_bytes"], folder.read(MODEL).len());
        // fc1, fc2 and fc3: their kernels, and two biases; the third is too small.
        let elements = 64 * 300 + 300 + 300 * 100 + 100 + 100 * 10;
        assert_eq!(row["tensors"], 5);
        assert_eq!(row["elements"], elements);
        assert_eq!(row["dense_bytes"], 4 * elements);
        for timing in [
            &row["encode"],
            &row["warm"],
            &row["cold"],
            &row["first_tensor"]["warm"],
            &row["first_tensor"]["cold"],
        ] {
            is_timing(timing);
        }
        let number = |value: &Value| value.as_f64().unwrap();
        let speed =
            |timing: &str| number(&row["dense_bytes"]) / number(&row[timing]["seconds"]["median"]);
        for (found, expected) in [
            (
                "times_smaller",
                number(&row["model_bytes"]) / number(&row["bytes"]),
            ),
            ("encode_mb_per_s", speed("encode") / 1e6),
            ("warm_gb_per_s", speed("warm") / 1e9),
            ("cold_gb_per_s", speed("cold") / 1e9),
            (
                "warm_million_nnz_per_s",
                number(&row["nnz"]) / number(&row["warm"]["seconds"]["median"]) / 1e6,
            ),
        ] {
            assert!(
                (number(&row[found]) / expected - 1.0).abs() < 1e-9,
                "{found} in {row}"
            );
        }
    }
    assert_eq!(folder.names(), [MODEL]);
}

#[test]
fn sizes_are_those_of_what_is_packed() {
    let folder = Folder::with_archive();
    let archive = tfzip::Archive::open(folder.path(ARCHIVE)).unwrap();
    let profile = archive.profile().unwrap().name();
    let encoded = || {
        archive
            .tensors()
            .filter(|tensor| tensor.payload().is_some())
    };
    for args in [&["--profile", profile, MODEL][..], &[ARCHIVE]] {
        let report = measured(&folder, args);
        let [row] = &report["rows"].as_array().unwrap()[..] else {
            panic!("{report}")
        };
        assert_eq!(row["profile"], profile);
        assert_eq!(row["bytes"], archive.as_bytes().len());
        assert_eq!(
            row["nnz"],
            encoded().map(|tensor| tensor.nnz()).sum::<u64>()
        );
        let stored: u64 = encoded().map(|tensor| tensor.stored_bytes()).sum();
        assert_eq!(row["tensor_bytes"], stored);
        let first = encoded().next().unwrap();
        assert_eq!(row["first_tensor"]["name"], first.name());
        assert_eq!(row["first_tensor"]["dense_bytes"], 4 * first.len());
    }
}

#[test]
fn an_archive_is_measured_as_it_is_or_packed_again() {
    let folder = Folder::with_archive();
    let as_it_is = measured(&folder, &[ARCHIVE]);
    let row = &as_it_is["rows"][0];
    assert_eq!(
        (&row["encode"], &row["effort"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(row["encode_mb_per_s"], json!(null));
    is_timing(&row["warm"]);
    let of_archive = measured(&folder, &["--profile", "direct", ARCHIVE]);
    let of_model = measured(&folder, &["--profile", "direct", MODEL]);
    is_timing(&of_archive["rows"][0]["encode"]);
    for field in ["profile", "bytes", "model_bytes", "tensor_bytes"] {
        assert_eq!(
            of_archive["rows"][0][field], of_model["rows"][0][field],
            "{field}"
        );
    }
    assert_eq!(folder.names(), [MODEL, ARCHIVE]);
}

#[test]
fn threads_and_effort_are_used_and_said() {
    let folder = Folder::with_model();
    let report = measured(
        &folder,
        &[
            "--threads",
            "2",
            "--effort=fast",
            "--profile=balanced",
            MODEL,
        ],
    );
    assert_eq!(report["threads"], 2);
    assert_eq!(report["rows"][0]["effort"], "fast");
    let sequential = measured(&folder, &["--effort=fast", "--profile=balanced", MODEL]);
    assert_eq!(report["rows"][0]["bytes"], sequential["rows"][0]["bytes"]);
}

#[test]
fn tensors_with_the_same_elements_count_once() {
    let folder = Folder::new();
    let weights: Vec<u8> = floats(&[0.0, 0.0, 1.5, 0.0, -2.5].repeat(100));
    let model = [("a", [20, 25]), ("b", [20, 25])]
        .map(|(name, shape)| constant(name, FLOAT32, &shape, &weights))
        .concat();
    folder.write("m.pb", model);
    let row = &measured(&folder, &["--profile=small", "m.pb"])["rows"][0];
    assert_eq!((&row["tensors"], &row["nnz"]), (&json!(1), &json!(200)));
}

#[test]
fn the_table_has_a_line_for_each_profile() {
    let folder = Folder::with_model();
    let run = folder
        .run(BENCH, SHORT.into_iter().chain([MODEL]))
        .success();
    let text = stdout(&run);
    let kernels = format!("{} kernels, 1 thread; cold: ", tfzip::kernels_in_use());
    assert!(text.contains(&kernels), "{text}");
    assert!(
        text.starts_with(&format!("{MODEL} : 5 tensors of 202,400 bytes, ")),
        "{text}"
    );
    for profile in ["direct", "balanced", "small"] {
        // One in the table of speeds, and five times.
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{profile} ")));
        assert_eq!(lines.count(), 6, "{text}");
    }
    let row = text
        .lines()
        .find(|line| line.starts_with("balanced "))
        .unwrap();
    let bytes = measured(&folder, &["--profile=balanced", MODEL])["rows"][0]["bytes"].clone();
    let bytes = bytes.as_u64().unwrap();
    assert!(
        row.contains(&format!(" {},{:03} ", bytes / 1000, bytes % 1000)),
        "{row}"
    );
}

#[test]
fn kernels_can_be_chosen() {
    let folder = Folder::with_model();
    let run = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin(BENCH))
        .args(SHORT)
        .args(["--json", "--profile=small"])
        .arg(folder.path(MODEL))
        .env("TFZIP_KERNELS", "plain")
        .assert()
        .success();
    let report: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(report["kernels"], "plain");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let folder = Folder::with_archive();
    for missing in ["missing.pb", "missing.tfz"] {
        folder.refused(BENCH, [missing], missing);
    }
    folder.write("noise.bin", [0x93; 999]);
    folder.refused(BENCH, ["noise.bin"], "noise.bin");
    let mut damaged = folder.read(ARCHIVE);
    damaged[40] ^= 1;
    damaged.truncate(9000);
    folder.write("damaged.tfz", damaged);
    folder.refused(BENCH, ["damaged.tfz"], "damaged.tfz");
    folder.write(
        "tiny.pb",
        constant("w", FLOAT32, &[2], &floats(&[1.0, 2.0])),
    );
    let line = folder.refused(BENCH, ["tiny.pb"], "tiny.pb");
    assert!(line.contains("no tensor is encoded"), "{line}");
    folder.run(BENCH, [MODEL, "--profile", "huge"]).code(2);
    folder.run(BENCH, [MODEL, "--effort", "none"]).code(2);
    folder.run(BENCH, [MODEL, "--seconds=-1"]).code(2);
}
