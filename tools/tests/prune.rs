//! `tfzip-prune`, and `tfzip-pack --prune`.

mod common;

use common::{ARCHIVE, FLOAT32, Folder, MODEL, constant, floats, stderr, stdout};
use serde_json::Value;

const PRUNE: &str = "tfzip-prune";

fn json(run: &assert_cmd::assert::Assert) -> Value {
    serde_json::from_str(&stdout(run)).unwrap()
}

#[test]
fn the_report_has_a_line_for_each_weight_and_the_sizes() {
    let folder = Folder::with_model();
    let args = [MODEL, "pruned.pb", "--rule", "sparsity:0.99"];
    let run = folder.run(PRUNE, args).success().stderr("");
    assert_eq!(folder.names(), [MODEL, "pruned.pb"]);
    let text = stdout(&run);
    let column_of = |line: &str, column: usize| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words[column].to_owned()
    };
    let total = text
        .lines()
        .find(|line| line.contains("(3 weights)"))
        .unwrap();
    // 64 · 300 + 300 · 100 + 100 · 10, and one in a hundred of each.
    assert_eq!(column_of(total, 0), "50,200");
    assert_eq!(column_of(total, 1), "502");
    assert!(
        text.contains("and 410 parameters in 3 other tensors"),
        "{text}"
    );
    assert!(text.lines().any(|line| line.starts_with("tfz ")), "{text}");
    assert_eq!(folder.read("pruned.pb").len(), folder.read(MODEL).len());
}

#[test]
fn dry_runs_say_the_same_and_write_nothing() {
    let folder = Folder::with_model();
    let rule = ["--rule", "std:1", "--rule", "fc2/*=nm:1:4"];
    let wet = folder
        .run(PRUNE, [&[MODEL, "out.pb"][..], &rule].concat())
        .success();
    let dry = folder
        .run(PRUNE, [&[MODEL, "--dry-run"][..], &rule].concat())
        .success();
    assert_eq!(stdout(&dry), stdout(&wet));
    assert_eq!(folder.names(), [MODEL, "out.pb"]);
}

#[test]
fn the_json_is_what_was_done() {
    let folder = Folder::with_model();
    let args = [
        MODEL,
        "p.pb",
        "--rule",
        "magnitude:0.2",
        "--exclude",
        "fc1*",
        "--json",
    ];
    let report = json(&folder.run(PRUNE, args).success());
    let tensors = report["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), 2);
    assert_eq!(tensors[0]["name"], "fc2/kernel");
    assert_eq!(tensors[0]["op"], "MatMul");
    assert_eq!(tensors[0]["rule"], "magnitude:0.2");
    assert_eq!(tensors[0]["threshold"], 0.2);
    // An archive has the name of its file in it.
    folder.write(MODEL, folder.read("p.pb"));
    folder.run("tfzip-pack", [MODEL, "p.tfz", "-q"]).success();
    let packed = folder.read("p.tfz").len();
    assert_eq!(report["sizes"]["archive_bytes"], packed);
    let inspected = json(&folder.run("tfzip-inspect", ["--json", "p.tfz"]).success());
    let fc2 = inspected["tensors"].as_array().unwrap();
    let fc2 = fc2
        .iter()
        .find(|tensor| tensor["name"] == "fc2/kernel")
        .unwrap();
    assert_eq!(fc2["nnz"], tensors[0]["left"]);
}

#[test]
fn rules_come_from_a_file_too() {
    let folder = Folder::with_model();
    folder.write(
        "rules.toml",
        "rules = ['sparsity:0.99', 'fc2/*=sparsity:1']\nexclude = ['fc3*']\n",
    );
    let args = [MODEL, "--dry-run", "--json", "--rules", "rules.toml"];
    let report = json(&folder.run(PRUNE, args).success());
    assert_eq!(report["tensors"].as_array().unwrap().len(), 2);
    assert_eq!(report["left"], 192);
    let args = [
        MODEL,
        "--dry-run",
        "--json",
        "--rules",
        "rules.toml",
        "--rule",
        "sparsity:1",
    ];
    assert_eq!(json(&folder.run(PRUNE, args).success())["left"], 0);
    folder.write("rules.toml", "rule = 'std:1'");
    folder.refused(
        PRUNE,
        [MODEL, "--dry-run", "--rules", "rules.toml"],
        "rules.toml",
    );
}

#[test]
fn masks_go_out_and_come_back() {
    let folder = Folder::with_model();
    let args = [
        MODEL,
        "a.pb",
        "-q",
        "--rule",
        "global:0.97",
        "--masks",
        "m.npz",
    ];
    folder.run(PRUNE, args).success().stdout("");
    let args = [MODEL, "b.pb", "-q", "--apply-masks", "m.npz"];
    folder.run(PRUNE, args).success();
    assert!(folder.read("a.pb") == folder.read("b.pb"));
    folder.write("no.npz", "no masks");
    folder.refused(PRUNE, [MODEL, "c.pb", "--apply-masks", "no.npz"], "no.npz");
}

#[test]
fn packing_can_prune_on_the_way() {
    let folder = Folder::with_model();
    let rules = ["std:1.5", "--share", "4"];
    let prune = [&[MODEL, "p.pb", "-q", "--rule"][..], &rules].concat();
    folder.run(PRUNE, prune).success();
    let pack = [&[MODEL, "--prune"][..], &rules].concat();
    let run = folder.run("tfzip-pack", pack).success();
    assert!(stderr(&run).starts_with("pruned: "), "{}", stderr(&run));
    folder
        .run("tfzip-unpack", ["-q", ARCHIVE, "r.pb"])
        .success();
    assert!(folder.read("r.pb") == folder.read("p.pb"));
    let inspected = json(&folder.run("tfzip-inspect", ["--json", ARCHIVE]).success());
    assert!(inspected["files"][0]["source_sha256"].is_string());
    let none = [MODEL, "x.tfz", "--prune", "fc9*=std:1"];
    folder.refused("tfzip-pack", none, MODEL);
}

#[test]
fn sweeps_show_error_against_sparsity() {
    let folder = Folder::with_model();
    let args = [
        MODEL, "--sweep", "--steps", "0.99,0.5", "--json", "--plot", "s.svg",
    ];
    let report = json(&folder.run(PRUNE, args).success());
    assert_eq!(report["model_bytes"], folder.read(MODEL).len());
    for tensor in report["tensors"].as_array().unwrap() {
        let (high, low) = (&tensor["points"][0], &tensor["points"][1]);
        assert_eq!(high["sparsity"], 0.99);
        let number = |point: &Value, key: &str| point[key].as_f64().unwrap();
        assert!(number(high, "relative_error") > number(low, "relative_error"));
        assert!(number(high, "archive_bytes") < number(low, "archive_bytes"));
    }
    let svg = String::from_utf8(folder.read("s.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("fc1/kernel"));
    let text = stdout(&folder.run(PRUNE, [MODEL, "--sweep"]).success());
    assert!(text.contains("whole model"), "{text}");
    // What the sweep expects is near what pruning gives.
    let args = [MODEL, "--dry-run", "--json", "--rule", "sparsity:0.99"];
    let found = json(&folder.run(PRUNE, args).success());
    let found = found["sizes"]["archive_bytes"].as_f64().unwrap();
    let expected = report["model"][0]["archive_bytes"].as_f64().unwrap();
    assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
}

#[test]
fn without_a_graph_shapes_decide_and_the_report_says_so() {
    let folder = Folder::new();
    let weights: Vec<f32> = (0..256).map(|i| i as f32).collect();
    let matrix = constant("w", FLOAT32, &[16, 16], &floats(&weights));
    let vector = constant("b", FLOAT32, &[16], &floats(&weights[..16]));
    folder.write("m.pb", [matrix, vector].concat());
    let run = folder
        .run(PRUNE, ["m.pb", "p.pb", "--rule", "sparsity:0.5", "--json"])
        .success();
    assert!(stderr(&run).contains("no graph says"), "{}", stderr(&run));
    let report = json(&run);
    assert_eq!(report["tensors"][0]["found_by"], "shape");
    assert_eq!(report["left"], 128);
    let args = [
        "m.pb",
        "--dry-run",
        "--rule",
        "sparsity:0.5",
        "--include",
        "b",
        "--json",
    ];
    assert_eq!(json(&folder.run(PRUNE, args).success())["left"], 136);
}

#[test]
fn mistakes_are_refused_and_lose_nothing() {
    let folder = Folder::with_model();
    folder.write("out.pb", "old");
    let rule = ["--rule", "std:1"];
    let line = folder.refused(PRUNE, [&[MODEL, "out.pb"][..], &rule].concat(), "out.pb");
    assert!(line.contains("--force"), "{line}");
    folder.refused(PRUNE, [MODEL, "new.pb"], MODEL);
    folder.refused(PRUNE, ["no.pb", "new.pb", "--rule", "std:1"], "no.pb");
    folder.write("bad.pb", "no graph");
    folder.refused(
        PRUNE,
        ["bad.pb", "-f", "out.pb", "--rule", "std:1"],
        "bad.pb",
    );
    assert_eq!(folder.read("out.pb"), b"old");
    for wrong in [
        &[MODEL, "new.pb", "--rule", "std"][..],
        &[MODEL, "--rule", "std:1"],
        &[MODEL, "new.pb", "--dry-run", "--rule", "std:1"],
        &[MODEL, "--sweep", "--rule", "std:1"],
        &[MODEL, "new.pb", "--rule", "std:1", "--share", "9"],
    ] {
        folder.run(PRUNE, wrong.iter().copied()).code(2).stdout("");
    }
    folder
        .run(PRUNE, [MODEL, "out.pb", "-f", "-q", "--rule", "std:1"])
        .success();
    assert_eq!(folder.read("out.pb").len(), folder.read(MODEL).len());
}
