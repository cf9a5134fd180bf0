//! What is not let in, and what it is told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use roughneck_jobs::ports::catalog::{Catalog, RefusedPlugin};

use tempfile::TempDir;

use crate::world::{Folder, World, fixture_wasm};

#[track_caller]
fn only_refusal(world: &World) -> RefusedPlugin {
    let refused = world.plugins.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    refused[0].clone()
}

fn granted() -> Folder {
    Folder::empty().grant_all("fixture")
}

#[test]
fn the_fixture_passes_every_gate() {
    let world = World::new();
    assert_eq!(world.plugins.refused(), []);
    assert_eq!(world.plugins.plugins().len(), 1);
    assert!(world.plugins.plugins()[0].digest.starts_with("sha256:"));
    assert!(world.plugins.served("echo").is_some());
    assert!(world.plugins.served("sing").is_none());
}

#[test]
fn a_plugin_folder_itself_may_be_named() {
    let folder = Folder::without_cache().published("guests/summarize");
    let world = folder.load();
    assert_eq!(world.plugins.refused(), []);
    assert_eq!(world.plugins.served("summarize").unwrap().plugin.manifest.name, "summarize");
}

#[test]
fn a_capability_that_the_manifest_does_not_declare_is_refused_with_the_line_to_add() {
    let refused = only_refusal(&Folder::without_cache().published("fixtures/undeclared").load());
    assert_eq!((refused.name.as_str(), refused.code), ("undeclared", "capability-undeclared"));
    assert!(refused.message.contains("uses `http`"), "{}", refused.message);
    assert!(refused.message.contains("`http = { hosts = ["), "{}", refused.message);
}

#[test]
fn a_capability_that_the_operator_did_not_grant_is_refused_with_the_line_to_add() {
    let folder = Folder::empty();
    folder.add("fixture", &[], &fixture_wasm());
    let refused = only_refusal(&folder.load());
    assert_eq!(refused.code, "not-granted");
    assert!(
        refused.message.contains("[grants.fixture] in roughneck.toml: `http = [\"*\"]`"),
        "{}",
        refused.message
    );
}

#[test]
fn another_version_of_the_contract_is_refused_with_its_own_sentence() {
    let refused = only_refusal(&Folder::without_cache().published("fixtures/wrong-version").load());
    assert_eq!(refused.code, "contract-version");
    let sentence = "built for roughneck:plugin@2.0.0; this host speaks 1.0.0";
    assert!(refused.message.contains(sentence), "{}", refused.message);
}

#[test]
fn the_name_of_a_plugin_of_the_host_is_taken() {
    let mut folder = granted();
    folder.host_plugins.insert("fixture".to_owned());
    folder.add("fixture", &[], &fixture_wasm());
    let refused = only_refusal(&folder.load());
    assert_eq!(refused.code, "plugin-twice");
    assert!(
        refused.message.contains("the host itself has a plugin named `fixture`"),
        "{}",
        refused.message
    );
}

#[test]
fn a_class_without_slots_is_refused_with_the_line_to_add() {
    let folder = granted();
    folder.add("fixture", &[("class = \"io\"", "class = \"gpu9\"")], &fixture_wasm());
    let refused = only_refusal(&folder.load());
    assert_eq!(refused.code, "class-missing");
    let sentence = "add `gpu9 = 1` under [classes] in roughneck.toml";
    assert!(refused.message.contains(sentence), "{}", refused.message);
}

#[test]
fn what_is_no_component_is_refused_with_how_to_build_one() {
    for (bytes, sentence) in [
        (&b"\0asm\x01\0\0\0"[..], "is a core module, not a component"),
        (b"hello", "is not WebAssembly"),
        (b"", "is not WebAssembly"),
    ] {
        let folder = granted();
        folder.add("fixture", &[], bytes);
        let refused = only_refusal(&folder.load());
        assert_eq!(refused.code, "not-a-component");
        assert!(refused.message.contains(sentence), "{}", refused.message);
        assert!(refused.message.contains("--target wasm32-wasip2"), "{}", refused.message);
    }
}

#[test]
fn a_broken_component_and_an_empty_one_are_refused() {
    let mut torn = fixture_wasm();
    torn.truncate(torn.len() / 2);
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    for (bytes, code) in [(torn, "component-invalid"), (empty, "export-missing")] {
        let folder = granted();
        folder.add("fixture", &[], &bytes);
        assert_eq!(only_refusal(&folder.load()).code, code);
    }
}

#[test]
fn a_refused_plugin_does_not_stop_the_others() {
    let folder = granted();
    folder.add("a-broken-manifest", &[("manifest = 1", "manifest = 7")], &fixture_wasm());
    folder.add("b-no-component", &[("fixture.wasm", "other.wasm")], &fixture_wasm());
    folder.add("c-fine", &[], &fixture_wasm());
    let world = folder.load();
    let refused: Vec<_> = world.plugins.refused().into_iter().map(|r| (r.name, r.code)).collect();
    let expected = [
        ("a-broken-manifest".to_owned(), "manifest-invalid"),
        ("b-no-component".to_owned(), "component-missing"),
    ];
    assert_eq!(refused, expected);
    assert!(world.plugins.served("echo").is_some());
    assert!(world.metrics().contains("roughneck_sandbox_plugins_refused_total 2"));
}

#[test]
fn a_name_or_a_kind_that_is_taken_stays_with_the_first() {
    let folder = granted();
    folder.add("a", &[], &fixture_wasm());
    folder.add("b", &[], &fixture_wasm());
    let refused = only_refusal(&folder.load());
    assert_eq!((refused.name.as_str(), refused.code), ("b", "plugin-twice"));

    let folder = granted().grant_all("second");
    folder.add("a", &[], &fixture_wasm());
    folder.add("b", &[("name = \"fixture\"", "name = \"second\"")], &fixture_wasm());
    let world = folder.load();
    let refused = only_refusal(&world);
    assert_eq!((refused.name.as_str(), refused.code), ("b", "kind-twice"));
    assert!(
        refused.message.contains("already served by the plugin `fixture`"),
        "{}",
        refused.message
    );
    assert_eq!(world.plugins.served("echo").unwrap().plugin.manifest.name, "fixture");
}

#[test]
fn a_kind_of_the_host_is_no_plugin_s() {
    for (name, changes) in [
        ("echo", &[][..]),
        ("former-echo", &[("name = \"echo\"", "name = \"echo\"\naliases = [\"former-echo\"]")]),
    ] {
        let mut folder = granted();
        folder.host_kinds.insert(name.to_owned());
        folder.add("fixture", changes, &fixture_wasm());
        let refused = only_refusal(&folder.load());
        assert_eq!(refused.code, "kind-twice");
        let sentence = format!("the host runs the kind `{name}` itself; rename it");
        assert!(refused.message.contains(&sentence), "{}", refused.message);
    }
}

#[test]
fn what_was_meant_to_be_a_plugin_and_has_no_manifest_is_told() {
    let folder = granted();
    let path = |name: &str| folder.plugins.path().join(name);
    for name in ["a-component", "b-nothing"] {
        fs::create_dir(path(name)).unwrap();
    }
    fs::write(path("a-component").join("mill.wasm"), fixture_wasm()).unwrap();
    fs::write(path("b-nothing").join("README.md"), "not yet").unwrap();
    fs::write(path("c-loose.wasm"), fixture_wasm()).unwrap();
    std::os::unix::fs::symlink(path("gone"), path("d-link")).unwrap();
    folder.add("fixture", &[], &fixture_wasm());
    let world = folder.load();
    let refused: Vec<_> = world.plugins.refused().into_iter().map(|r| (r.name, r.code)).collect();
    let names = ["a-component", "c-loose.wasm", "d-link"];
    assert_eq!(refused, names.map(|name| (name.to_owned(), "manifest-missing")));
    assert!(world.plugins.served("echo").is_some());
}

#[test]
fn a_missing_folder_is_told_and_no_reason_to_stop() {
    let folder = Folder::empty();
    fs::remove_dir(folder.plugins.path()).unwrap();
    let refused = only_refusal(&folder.load());
    assert_eq!(refused.code, "folder-missing");
    assert!(refused.message.contains("create it"), "{}", refused.message);
}

fn compiled(world: &World) -> bool {
    let metrics = world.metrics();
    let count = |n| format!("roughneck_sandbox_plugin_compile_seconds_count {n}\n");
    assert!(metrics.contains(&count(0)) || metrics.contains(&count(1)), "{metrics}");
    metrics.contains(&count(1))
}

#[track_caller]
fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn a_second_start_takes_compiled_code_from_the_cache_unless_it_is_damaged() {
    let folder = Folder::without_cache().grant_all("fixture");
    folder.add("fixture", &[], &fixture_wasm());
    let first = folder.load();
    assert!(compiled(&first));
    let second = first.folder.load();
    assert_eq!(second.plugins.refused(), []);
    assert!(!compiled(&second));

    // Torn in the middle: wasmtime looks at the head of a file only.
    let cache = second.folder.cache.path().to_path_buf();
    let code = only_file(&cache);
    let mut torn = fs::read(&code).unwrap();
    let middle = torn.len() / 2;
    torn[middle] ^= 1;
    fs::write(&code, torn).unwrap();
    fs::write(code.with_extension("new-1-0"), b"a host died here").unwrap();
    let third = second.folder.load();
    assert_eq!(third.plugins.refused(), []);
    assert!(compiled(&third));
    only_file(&cache);

    fs::remove_dir_all(third.folder.plugins.path().join("fixture")).unwrap();
    let fourth = third.folder.load();
    assert!(fourth.plugins.plugins().is_empty());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "code of a removed plugin stays");
}

#[test]
fn the_cache_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::fixture(&[]);
    let cache = folder.cache.path().to_path_buf();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(cache.join("of-somebody-else"), b"x").unwrap();
    let world = folder.load();
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(compiled(&world), "code that others could have written was run");
    only_file(&cache);
}

#[test]
fn a_link_is_no_cache() {
    let mut folder = Folder::fixture(&[]);
    let elsewhere = std::mem::replace(&mut folder.cache, TempDir::new().unwrap());
    let code = only_file(elsewhere.path());
    let link = folder.cache.path().to_path_buf();
    fs::remove_dir(&link).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    let world = folder.load();
    assert!(compiled(&world));
    assert_eq!(only_file(elsewhere.path()), code);
    fs::remove_file(&link).unwrap();
}
