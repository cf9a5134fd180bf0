//! The bench still measures: what it prints is a table, from the binary that the tests of this workspace are run with. Its
//! figures are worth nothing here.

use std::process::Command;

/// Cells that take seconds, and among them each way in which a host is started.
const CELLS: [(&str, &str, &str); 5] = [
    ("queue", "start", "cold start to the first job done"),
    ("queue", "dispatch", "idle dispatch"),
    ("queue", "plugin", "drain of a plugin, concurrency 10"),
    ("gateway", "first-byte", "first byte"),
    ("gateway", "gap", "gap between calls, 8 clients"),
];

#[test]
fn a_cell_of_each_kind_comes_to_its_table() {
    for (bench, cell, row) in CELLS {
        let output = Command::new(env!("CARGO_BIN_EXE_roughneck-bench"))
            .args([bench, "--quick", "--no-peer", "--rounds", "1", "--only", cell])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{bench} --only {cell}: {said}");
        assert!(printed.contains(&format!("| {row} ")), "{bench} --only {cell}: {printed}{said}");
    }
}
