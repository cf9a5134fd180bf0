//! `roughneck model alias`: the names that stand for a model of another name.

use anyhow::Result;

use super::Host;
use crate::{
    client::{Alias, Aliases},
    table::Table,
    terminal::{self, stdout_size},
};

pub(super) async fn run(host: &Host) -> Result<()> {
    let answer = host.client.get("/aliases").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let Aliases { aliases } = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&aliases).render(columns))
}

fn table(aliases: &[Alias]) -> Table<3> {
    let mut table = Table::new(["ALIAS", "MODEL", "ERROR"]);
    for Alias { alias, model, error } in aliases {
        let model = model.as_deref().unwrap_or("-");
        table.row([alias.clone(), model.to_owned(), error.clone().unwrap_or_default()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alias_is_a_row_with_its_model_or_why_it_has_none() {
        let told = json!({"aliases": [
            {"alias": "default", "model": "b:1b", "error": null},
            {"alias": "quick", "model": null, "error": "the model `c` is not installed"},
        ]});
        let Aliases { aliases } = serde_json::from_value(told).unwrap();
        assert_eq!(
            table(&aliases).render(None),
            "ALIAS    MODEL  ERROR\n\
             default  b:1b\n\
             quick    -      the model `c` is not installed\n"
        );
    }
}
