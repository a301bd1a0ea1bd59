//! The example on real weights and real images, of `../shared/data` beside the project. Without that folder
//! the test is skipped, with a word on stderr; with `TFZIP_REQUIRE_DATA=1` in the environment it fails
//! instead.

use std::path::Path;
use std::process::Command;
use tfzip::{PackOptions, Profile};

#[test]
fn every_way_of_reading_has_the_same_accuracy() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.is_dir() {
        let required = std::env::var("TFZIP_REQUIRE_DATA").is_ok_and(|v| v == "1");
        assert!(!required, "there is no {}", data.display());
        eprintln!("skipped: there is no {}", data.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for profile in Profile::ALL {
        let tfz = folder.path().join(format!("{profile:?}.tfz"));
        let mut options = PackOptions::default();
        options.profile = profile;
        tfzip::pack_file(data.join("pruned/lenet300-b.pb"), &tfz, &options).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_classify"))
            .arg(&tfz)
            .arg(data.join("mnist/t10k-images-idx3-ubyte.gz"))
            .arg(data.join("mnist/t10k-labels-idx1-ubyte.gz"))
            .output()
            .unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        print!("{found}");
        assert!(output.status.success(), "{errors}");
        assert!(found.contains("10000 images"));
        assert_eq!(found.matches("97.38 % ").count(), 9);
        assert_eq!(found.matches(" % ").count(), 9);
        assert!(found.contains("the same 10000 answers in 9 ways"));
    }
}
