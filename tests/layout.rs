//! The folder tree is the architecture: crates and modules import downwards only.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The crates, each of which may depend on those before it.
const CRATES: [&str; 4] = ["hello-proto", "hello-measure", "hello-net", "hello-cli"];

/// The top-level modules of hello-net in layers, each of which may import those before it.
const LAYERS: [&[&str]; 5] = [
    &["sys", "thread"],
    &["clock", "packet_options", "stopper", "zoned_addr"],
    &["udp", "xdp"],
    &["requester"],
    &["client", "fleet", "load", "prober", "server"],
];

/// Returns the Rust files below a directory.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn source_of(name: &str) -> PathBuf {
    Path::new(ROOT).join("crates").join(name).join("src")
}

#[test]
fn crates_depend_downwards_only() {
    for (position, name) in CRATES.iter().enumerate() {
        let manifest = Path::new(ROOT).join("crates").join(name).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("a manifest");
        for above in &CRATES[position + 1..] {
            assert!(!manifest.contains(&format!("\n{above}")), "{name} depends on {above}");
        }
    }
}

#[test]
fn no_source_tree_has_a_mod_rs() {
    for name in CRATES {
        let mut files = rust_files(&source_of(name)).into_iter();
        assert_eq!(files.find(|file| file.ends_with("mod.rs")), None);
    }
}

#[test]
fn systems_differ_behind_one_seam_in_each_crate() {
    let systems = ["target_os", "target_family", "target_vendor", "unix", "windows"];
    for name in CRATES {
        let source = source_of(name);
        for file in rust_files(&source) {
            let inside = file.strip_prefix(&source).expect("below it");
            if inside.starts_with("sys")
                || inside == Path::new("sys.rs")
                || file.ends_with("tests.rs")
            {
                continue;
            }
            let text = fs::read_to_string(&file).expect("text");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let asks =
                    line.contains("cfg") && systems.iter().any(|system| line.contains(system));
                assert!(!asks && !line.contains("std::os::"), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn modules_of_hello_net_import_downwards_only() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let source = source_of("hello-net");
    for file in rust_files(&source) {
        let module = file.strip_prefix(&source).expect("below it").iter().next().expect("a name");
        let module = module.to_str().expect("UTF-8").trim_end_matches(".rs");
        if module == "lib" || file.ends_with("tests.rs") {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("{module} is in no layer"));
        let text = fs::read_to_string(&file).expect("text");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for path in line.split("crate::").skip(1) {
                let end = path.find(|char: char| !char.is_alphanumeric() && char != '_');
                let target = &path[..end.unwrap_or(path.len())];
                let Some(other) = layer(target) else { continue };
                assert!(other < own || target == module, "{}: {line}", file.display());
            }
        }
    }
}
