//! What all programs do with wrong usage and with files of another kind.

mod common;

use common::{ARCHIVE, Folder, MODEL, stderr, stdout};

const PROGRAMS: [&str; 5] = [
    "tfzip-pack",
    "tfzip-repack",
    "tfzip-unpack",
    "tfzip-inspect",
    "tfzip-verify",
];

#[test]
fn wrong_usage_is_status_2() {
    let folder = Folder::with_archive();
    let before = folder.names();
    for program in PROGRAMS {
        for args in [&[][..], &["--no-such-option", ARCHIVE], &["a", "b", "c"]] {
            let run = folder.run(program, args.iter().copied()).code(2).stdout("");
            assert!(stderr(&run).contains("Usage: "), "{}", stderr(&run));
        }
    }
    folder
        .run("tfzip-pack", ["--threads", "some", MODEL])
        .code(2);
    folder
        .run("tfzip-unpack", [ARCHIVE, "--tensor", "fc1/bias"])
        .code(2);
    assert_eq!(folder.names(), before);
}

#[test]
fn help_and_version_are_results() {
    let folder = Folder::new();
    for program in PROGRAMS {
        let help = stdout(&folder.run(program, ["--help"]).success().stderr(""));
        assert!(
            help.contains("Examples:") && help.contains(program),
            "{help}"
        );
        let version = concat!(env!("CARGO_PKG_VERSION"), "\n");
        folder
            .run(program, ["--version"])
            .success()
            .stdout(format!("{program} {version}"));
    }
}

#[test]
fn only_model_files_are_packed() {
    let folder = Folder::with_archive();
    folder.write("empty.x", "");
    folder.write("text.x", "not a model\n");
    std::fs::create_dir(folder.path("folder.x")).unwrap();
    for (input, word) in [
        ("empty.x", "is empty"),
        ("text.x", "not a model file"),
        ("folder.x", "none of the files"),
        ("missing.x", "cannot open"),
        (ARCHIVE, "already"),
    ] {
        let line = folder.refused("tfzip-pack", [input, "out"], input);
        assert!(line.contains(word), "{line}");
    }
    let line = folder.refused("tfzip-pack", [ARCHIVE], ARCHIVE);
    assert!(line.contains("tfzip-unpack"), "{line}");
}

#[test]
fn only_archives_are_opened() {
    let folder = Folder::with_archive();
    let archive = folder.read(ARCHIVE);
    folder.write("empty.x", "");
    folder.write("text.x", "not an archive\n");
    folder.write("cut.x", &archive[..archive.len() - 1]);
    folder.write("start.x", &archive[..30]);
    folder.write("longer.x", [&archive[..], b"\n"].concat());
    std::fs::create_dir(folder.path("folder.x")).unwrap();
    let inputs = [
        "empty.x",
        "text.x",
        "cut.x",
        "start.x",
        "longer.x",
        "folder.x",
        "missing.x",
        MODEL,
    ];
    for program in &PROGRAMS[2..] {
        for input in inputs {
            folder.refused(program, [input], input);
        }
    }
    for input in inputs {
        let args = [input, "out", "--profile", "small"];
        folder.refused("tfzip-repack", args, input);
        folder.refused("tfzip-unpack", [input, "out"], input);
        folder.refused(
            "tfzip-unpack",
            [input, "out.npy", "--tensor", "fc1/bias"],
            input,
        );
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::with_archive();
    std::fs::create_dir(folder.path("folder.x")).unwrap();
    for (program, args) in [
        ("tfzip-pack", &[MODEL][..]),
        ("tfzip-unpack", &[ARCHIVE]),
        ("tfzip-repack", &["--profile=small", ARCHIVE]),
    ] {
        let with = |more: &'static [&str]| args.iter().chain(more).copied();
        folder.refused(program, with(&["folder.x", "-f"]), "folder.x");
        folder.refused(program, with(&["no/where"]), "no/where");
    }
}

#[test]
fn names_cannot_move_the_cursor() {
    let folder = Folder::new();
    let line = folder.refused("tfzip-pack", ["a\u{1b}[2J\nb"], "a\\u{1b}[2J\\nb");
    assert!(!line.contains('\u{1b}'), "{line:?}");
}
