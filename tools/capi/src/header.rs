//! The header is what its sources say.

use std::path::Path;

#[test]
fn header_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::generate_with_config(folder, config)
        .unwrap()
        .write(&mut made);
    // What is said of a group of functions stands by itself.
    let made = String::from_utf8(made).unwrap().replace("/// ***\n", "\n");
    let path = folder.join("tfzip.h");
    if std::env::var_os("TFZIP_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (number, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
        assert_eq!(made, kept, "line {} of tfzip.h is not current", number + 1);
    }
    assert!(made == kept, "tfzip.h ends elsewhere than it should");
}
