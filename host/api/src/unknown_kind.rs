//! The refusal of a kind that no installed plugin serves.

use roughneck_jobs::{ports::catalog::Catalog, strict::nearest};

use crate::{code::Code, problem::Problem};

/// Kinds that a refusal lists when none is near.
const KINDS_LISTED_MAX: usize = 20;

/// Names the kind that was probably meant, or those there are, and says where refused plugins are listed.
pub(crate) fn unknown_kind(kind: &str, catalog: &dyn Catalog) -> Problem {
    let kind: String = kind.chars().take(100).collect();
    let kinds = catalog.kinds();
    let near = nearest(&kind, kinds.iter().map(String::as_str));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if kinds.is_empty() => {
            "no plugin is installed; start `roughneck serve` with --plugins and a folder of plugins"
                .to_owned()
        }
        None => {
            let listed: Vec<&str> =
                kinds.iter().take(KINDS_LISTED_MAX).map(String::as_str).collect();
            format!("installed: {}", listed.join(", "))
        }
    };
    let refused = catalog.refused();
    let also = match nearest(&kind, refused.iter().map(|plugin| plugin.name.as_str())) {
        Some(name) => format!(" (the plugin `{name}` was refused, and `GET /plugins` says why)"),
        None if refused.is_empty() => String::new(),
        None => " (some plugins were refused, and `GET /plugins` says why)".to_owned(),
    };
    let problem = Problem::new(
        Code::UnknownKind,
        format!("no installed plugin serves the kind `{kind}`; {hint}{also}"),
    );
    match near {
        Some(near) => problem.with("suggestion", near),
        None => problem,
    }
}
