//! An error with everything that caused it, on one line.

use std::{
    error::Error,
    fmt::{self, Display},
};

/// Shows an error and its sources, for a log: no error of ours repeats its source in its own sentence, and a formatter
/// of logs may show that sentence alone.
pub struct Causes<'a>(pub &'a (dyn Error + 'static));

impl Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::ports::store::StoreError;

    #[test]
    fn an_error_is_shown_with_what_it_met() {
        let source = io::Error::other("disk I/O error").into();
        let error = StoreError::Broken { doing: "end a run", source };
        let shown = Causes(&error).to_string();
        assert_eq!(shown, "the store failed while it tried to end a run: disk I/O error");
    }
}
