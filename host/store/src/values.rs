//! Values that are bound one by one.
//!
//! Most statements take their rows as an array of JSON. To take it apart again costs SQLite about as much as to write
//! the rows, so what is written for every call of a client has a parameter for each value. Its statements are prepared
//! for one, two, four… jobs, and a number in between is filled up with rows of nothing, which they leave out: each
//! other size of a batch would have to be compiled.

use std::{iter, sync::Arc};

use roughneck_jobs::clock::Millis;
use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Number(i64),
    /// Shared, because the id of a job stands in every row of it.
    Text(Arc<str>),
}

/// Binds `rows`, and as many rows of nothing behind them as make them `width`.
pub(crate) fn fill<'q, const COLUMNS: usize>(
    query: Query<'q, Sqlite, SqliteArguments>,
    rows: Vec<[Value; COLUMNS]>,
    width: usize,
) -> Query<'q, Sqlite, SqliteArguments> {
    let nothing = iter::repeat([const { Value::Nothing }; COLUMNS]);
    let values = rows.into_iter().chain(nothing).take(width).flatten();
    values.fold(query, |query, value| match value {
        Value::Nothing => query.bind(None::<i64>),
        Value::Number(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    })
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<Millis> for Value {
    fn from(at: Millis) -> Self {
        Self::Number(at.0)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}
