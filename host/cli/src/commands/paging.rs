//! Which page of a list is shown.

use crate::terminal;

/// Rows of one page; the host sends no more at once.
const LIMIT_MAX: i64 = 200;

/// A page of a list that has the newest first.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Paging {
    /// How many at most, up to 200 [default: the host's, 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    limit: Option<u32>,
    /// Only those before this one: the last of the page before
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

impl Paging {
    /// What the host is asked for.
    pub(super) fn query(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", self.limit.map(|limit| limit.to_string())), ("before", self.before.clone())]
    }

    /// Says how to see the page after that which ends with the row `last`, if the host has one.
    pub(super) fn tell_more(&self, last: Option<&str>, next: Option<&str>) {
        if let (Some(last), Some(_)) = (last, next) {
            terminal::tell(&self.more(last));
        }
    }

    fn more(&self, last: &str) -> String {
        let limit = self.limit.map_or_else(String::new, |limit| format!(" --limit {limit}"));
        format!("there are more; go on with{limit} --before {last}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_named_as_it_has_to_be_asked_for() {
        let paging = |limit| Paging { limit, before: Some("01B".to_owned()) };
        assert_eq!(paging(None).more("01A"), "there are more; go on with --before 01A");
        assert_eq!(
            paging(Some(7)).more("01A"),
            "there are more; go on with --limit 7 --before 01A"
        );
        let query = [("limit", Some("7".to_owned())), ("before", Some("01B".to_owned()))];
        assert_eq!(paging(Some(7)).query(), query);
    }
}
