//! Deletes the stand-ins of this host that nobody needs: their model is gone or another one, or the pin is.

use std::{collections::BTreeSet, sync::Arc};

use roughneck_jobs::model::LlmError;
use serde_json::json;

use super::name;
use crate::{
    client::Client, config::Config, inventory::Shelf, lane::Shared, model_name::normalised,
    report::Installed,
};

/// Looks after the stand-ins whenever it is known anew what is installed, until it is dropped.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut looks = shared.inventory.looks();
    let mut told = BTreeSet::new();
    loop {
        tidy(&shared, &mut told).await;
        looks.next().await;
    }
}

/// Deletes what is not needed now. What calls still go out by is left to a later look, as is what Ollama does not delete;
/// the operator is told of it once.
async fn tidy(shared: &Shared, told: &mut BTreeSet<String>) {
    let Some(shelf) = shared.inventory.shelf() else { return };
    for name in superfluous(&shared.config, &shelf) {
        if shared.stand_ins.is_in_use(name) {
            continue;
        }
        match delete(&shared.client, name).await {
            Ok(()) => {
                shared.stand_ins.forget(name);
                tracing::info!(stand_in = name, "a stand-in is deleted that nobody needs");
            }
            Err(error) if told.insert(name.to_owned()) => {
                tracing::warn!(stand_in = name, "the stand-in `{name}` cannot be deleted: {error}");
            }
            Err(_told_before) => {}
        }
    }
}

/// Deletes a model, unless it is gone already.
pub(super) async fn delete(client: &Client, model: &str) -> Result<(), LlmError> {
    match client.ask("DELETE", "/api/delete", &json!({"model": model})).await {
        Ok(_) | Err(LlmError::Refused { status: 404, .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The stand-ins of this host that are not those of a pinned model as it is. Another host has other pins.
fn superfluous<'a>(config: &Config, shelf: &'a Shelf) -> Vec<&'a str> {
    let Some(owner) = config.owner else { return Vec::new() };
    let stand_in = |model: &Installed| {
        name::of(&model.name, &model.digest, config.pinned(&model.name)?, owner)
    };
    let needed: BTreeSet<String> = shelf.models.iter().filter_map(stand_in).collect();
    let names = shelf.stand_ins.iter().map(|model| model.name.as_str());
    let own = names.filter(|name| name::is_of(name, owner));
    own.filter(|name| !needed.contains(&normalised(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::installed;

    #[test]
    fn a_stand_in_is_needed_as_long_as_its_model_and_its_pin_are_the_same_or_is_another_host_s() {
        let mut config = Config { owner: Some(1), ..Config::new("http://host") };
        config.pins.insert("a".to_owned(), 8);
        config.pins.insert("gone".to_owned(), 8);
        let models = installed(json!([
            {"name": "a:latest", "digest": "aaaaaaaaaaaa"},
            {"name": "b:latest", "digest": "bbbbbbbbbbbb"},
        ]));
        let stand_ins: Vec<String> = [
            ("a", "aaaaaaaaaaaa", 8, 1),
            ("a", "aaaaaaaaaaaa", 9, 2),
            ("gone", "cccccccccccc", 8, 2),
            ("a", "aaaaaaaaaaaa", 9, 1),
            ("a", "aaaaaaaaaaab", 8, 1),
            ("b", "bbbbbbbbbbbb", 8, 1),
            ("gone", "cccccccccccc", 8, 1),
        ]
        .into_iter()
        .map(|(model, digest, num_ctx, owner)| name::of(model, digest, num_ctx, owner).unwrap())
        .collect();
        let listed: Vec<_> = stand_ins.iter().map(|name| json!({"name": name})).collect();
        let shelf = Shelf { models: models.into(), stand_ins: installed(listed.into()).into() };
        assert_eq!(superfluous(&config, &shelf), stand_ins[3..]);
        config.owner = None;
        assert!(
            superfluous(&config, &shelf).is_empty(),
            "a lane that is no host's deletes nothing"
        );
    }
}
