//! `roughneck model list`: what is installed, as a table.

use anyhow::Result;
use bytesize::ByteSize;

use super::Host;
use crate::{
    client::{Alias, Aliases, Installed, Loaded, Loads, Models},
    table::Table,
    terminal::{self, clean, stdout_size},
};

pub(super) async fn run(host: &Host) -> Result<()> {
    let tags = host.client.get("/api/tags").await?;
    if host.json {
        return host.print_json(&tags);
    }
    let loads: Loads = host.client.get("/api/ps").await?.parse()?;
    let Aliases { aliases } = host.client.get("/aliases").await?.parse()?;
    let mut models = tags.parse::<Models>()?.installed();
    models.iter_mut().for_each(|model| model.take_aliases(&aliases));
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&models, &loads.models).render(columns))?;
    for Alias { alias, error, .. } in aliases {
        if let Some(error) = error {
            terminal::tell(&clean(&format!("the alias {alias} stands for nothing: {error}")));
        }
    }
    Ok(())
}

fn table(models: &[Installed], loaded: &[Loaded]) -> Table<7> {
    let titles = ["MODEL", "SIZE", "PARAMETERS", "QUANTISATION", "LOADED", "CAN", "ALSO CALLED"];
    let mut table = Table::new(titles);
    for model in models {
        let is_loaded = loaded.iter().any(|one| model.is(one));
        table.row([
            model.name.clone(),
            ByteSize::b(model.size).to_string(),
            model.parameters.clone(),
            model.quantisation.clone(),
            if is_loaded { "yes" } else { "-" }.to_owned(),
            model.capabilities.join(", "),
            model.aliases.join(", "),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_is_a_row_with_all_of_its_names() {
        let tag = |name: &str| {
            json!({"name": name, "digest": "x", "size": 2048, "capabilities": ["completion", "tools"],
            "details": {"parameter_size": "4.0B", "quantization_level": "Q4_K_M"}})
        };
        let tags = json!({"models": [tag("a:4b"), tag("quick")]});
        let models: Models = serde_json::from_value(tags).unwrap();
        let mut installed = models.installed();
        let aliases = ["default", "quick"].map(|alias| Alias {
            alias: alias.to_owned(),
            model: Some("a:4b".to_owned()),
            error: None,
        });
        installed.iter_mut().for_each(|model| model.take_aliases(&aliases));
        let loads: Loads = serde_json::from_value(json!({"models": [{"name": "a:4b"}]})).unwrap();
        assert_eq!(
            table(&installed, &loads.models).render(None),
            "MODEL  SIZE     PARAMETERS  QUANTISATION  LOADED  CAN                ALSO CALLED\n\
             a:4b   2.0 KiB  4.0B        Q4_K_M        yes     completion, tools  quick, default\n"
        );
    }
}
