//! `roughneck model ps`: what is loaded, as a table.

use anyhow::Result;
use bytesize::ByteSize;
use roughneck_jobs::clock::{Clock as _, Millis};

use super::Host;
use crate::{
    client::{Loaded, Loads},
    span::span,
    system::System,
    table::Table,
    terminal::{self, stdout_size},
};

/// Ollama writes a date centuries ahead if it means for ever.
const FOREVER_MS: u64 = 10 * 365 * 24 * 3_600_000;

pub(super) async fn run(host: &Host) -> Result<()> {
    let answer = host.client.get("/api/ps").await?;
    if host.json {
        return host.print_json(&answer);
    }
    let loads: Loads = answer.parse()?;
    let columns = stdout_size().map(|size| size.columns);
    terminal::print(&table(&loads.models, System.now()).render(columns))
}

fn table(loaded: &[Loaded], now: Millis) -> Table<4> {
    let mut table = Table::new(["MODEL", "SIZE", "CONTEXT", "STAYS"]);
    for model in loaded {
        table.row([
            model.name.clone(),
            ByteSize::b(model.size).to_string(),
            model.context_length.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
            stays(model.left_ms(now)),
        ]);
    }
    table
}

fn stays(left_ms: Option<u64>) -> String {
    match left_ms {
        None => "-".to_owned(),
        Some(ms) if ms > FOREVER_MS => "for ever".to_owned(),
        Some(ms) => span(ms),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_loaded_model_is_a_row_with_the_time_it_has_left() {
        let told = json!({"models": [
            {"name": "a:4b", "size": 1024, "context_length": 4096, "expires_at": "1970-01-01T00:05:00Z"},
            {"name": "b:1b", "size": 1, "expires_at": "2318-01-01T00:00:00Z"},
        ]});
        let loads: Loads = serde_json::from_value(told).unwrap();
        assert_eq!(
            table(&loads.models, Millis(1000)).render(None),
            "MODEL  SIZE     CONTEXT  STAYS\n\
             a:4b   1.0 KiB  4096     4m59s\n\
             b:1b   1 B      -        for ever\n"
        );
    }
}
