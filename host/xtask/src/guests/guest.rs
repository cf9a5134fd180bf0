//! The guests of the workspace: a directory with a `plugin.toml` and a `Cargo.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Layout;

pub(super) struct Guest {
    /// `[plugin] name` of the manifest; also the name of its directory below `target/`.
    pub(super) name: String,
    /// Cargo's name for the crate.
    pub(super) package: String,
    pub(super) directory: PathBuf,
    /// Where the plugin is published.
    pub(super) output: PathBuf,
    /// `[component] source`: the file name that the manifest promises.
    pub(super) component: String,
}

impl Guest {
    /// The file that cargo writes for this crate.
    pub(super) fn artifact(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.directory.join("plugin.toml")
    }
}

/// All guests, sorted by name.
pub(super) fn discover(layout: &Layout) -> Result<Vec<Guest>> {
    let mut guests = discover_in(&layout.workspace(), &layout.plugins())?;
    guests.extend(discover_in(&layout.workspace().join("fixtures"), &layout.fixtures())?);
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    for pair in guests.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            bail!(
                "{} and {} both name the plugin `{}`",
                first.directory.display(),
                second.directory.display(),
                first.name
            );
        }
    }
    Ok(guests)
}

fn discover_in(parent: &Path, output: &Path) -> Result<Vec<Guest>> {
    let mut guests = Vec::new();
    for entry in
        fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))?
    {
        let directory = entry?.path();
        if directory.join("plugin.toml").is_file() && directory.join("Cargo.toml").is_file() {
            guests.push(read(directory, output)?);
        }
    }
    Ok(guests)
}

fn read(directory: PathBuf, output: &Path) -> Result<Guest> {
    let manifest = directory.join("plugin.toml");
    let name = string(&manifest, "plugin", "name")?;
    let component = string(&manifest, "component", "source")?;
    // The name becomes a directory and the source a file below target/, so neither may lead out of
    // it.
    for part in [&name, &component] {
        if Path::new(part).file_name().is_none_or(|file| file != part.as_str()) {
            bail!("{}: `{part}` must be a plain file name", manifest.display());
        }
    }
    let package = string(&directory.join("Cargo.toml"), "package", "name")?;
    Ok(Guest { output: output.join(&name), name, package, directory, component })
}

fn string(path: &Path, table: &str, key: &str) -> Result<String> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let document: toml::Table =
        text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    document
        .get(table)
        .and_then(|table| table.get(key))
        .and_then(toml::Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("{} has no `{key}` in [{table}]", path.display()))
}

#[cfg(test)]
mod tests {
    use super::discover;
    use crate::guests::scratch::Scratch;

    #[test]
    fn guests_are_found_by_their_manifest_and_sorted() {
        let scratch = Scratch::new();
        scratch.add_guest("a-b", "a-b.wasm");
        let guests = discover(&scratch.layout).unwrap();
        let names: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
        assert_eq!(names, ["a-b", "demo"]);
        assert_eq!(guests[0].artifact(), "a_b.wasm");
        assert!(guests[0].output.ends_with("target/guests/a-b"));
    }

    #[test]
    fn a_component_outside_its_directory_is_refused() {
        let scratch = Scratch::new();
        scratch.add_guest("sly", "../sly.wasm");
        let Err(error) = discover(&scratch.layout) else { panic!("it was accepted") };
        assert!(error.to_string().ends_with("`../sly.wasm` must be a plain file name"), "{error}");
    }
}
