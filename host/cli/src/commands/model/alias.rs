//! `roughneck model alias`: the names that stand for a model of another name.

use anyhow::Result;

use super::{Host, installed};
use crate::{
    client::Installed,
    table::Table,
    terminal::{self, stdout_size},
};

pub(super) async fn run(host: &Host) -> Result<()> {
    if host.json {
        return host.print_json(&host.client.get("/api/tags").await?);
    }
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&installed(host).await?).render(columns))
}

fn table(models: &[Installed]) -> Table<2> {
    let mut table = Table::new(["ALIAS", "MODEL"]);
    for model in models {
        for alias in &model.aliases {
            table.row([alias.clone(), model.name.clone()]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::Models;

    #[test]
    fn an_alias_is_a_row_with_its_model() {
        let tag = |name: &str, digest: &str| json!({"name": name, "digest": digest});
        let tags = json!({"models": [tag("a:4b", "x"), tag("b:1b", "y"), tag("quick", "y")]});
        let models: Models = serde_json::from_value(tags).unwrap();
        assert_eq!(table(&models.installed()).render(None), "ALIAS  MODEL\nquick  b:1b\n");
    }
}
