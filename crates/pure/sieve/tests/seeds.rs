//! The seeds of the fuzz targets are valid scripts: from there fuzzing finds its way into every command.

mod story;

#[test]
fn seeds_are_valid_scripts() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/seeds/sieve_compile");
    let mut count = 0;
    for entry in std::fs::read_dir(seeds).into_iter().flatten().flatten() {
        let script = std::fs::read_to_string(entry.path()).unwrap_or_default();
        story::compiled(&script);
        count += 1;
    }
    assert!(count >= 4);
}
