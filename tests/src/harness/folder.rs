use std::path::Path;

/// Checks that every file beside a `main.rs` of this crate is one of its modules: one that is none
/// is a test that never runs.
///
/// # Panics
/// When one isn't, naming it.
#[track_caller]
pub fn every_file_is_a_module(folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let is_one = module == "main" || main.contains(&format!("\nmod {module};"));
        assert!(is_one, "{name} is not a module of main.rs");
    }
}
