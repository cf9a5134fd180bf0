//! A page of metrics, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

/// What `GET /metrics` shows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The types of the families, by name.
    types: BTreeMap<String, String>,
    series: Vec<Series>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// A family as a dashboard knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// Its name; that of a counter ends with `_total`.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub r#type: String,
    /// What its series are told apart by.
    pub labels: BTreeSet<String>,
}

impl Page {
    /// Reads a page. Lines that are none of its own are passed over.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let declared = declared.split_once(' ');
                page.types.extend(declared.map(|(name, r#type)| (name.into(), r#type.into())));
            } else if let Some((name, labels, rest)) = selector(line)
                && let Some(value) = rest.split_whitespace().next()
                && let Ok(value) = value.parse()
            {
                page.series.push(Series { name: name.to_owned(), labels, value });
            }
        }
        page
    }

    /// The sum of the series that `wanted` selects, such as `requests_total{outcome="ok"}`: those of this name that
    /// have these labels among their own. None if there are none.
    #[must_use]
    pub fn sum(&self, wanted: &str) -> Option<f64> {
        let (name, labels, _) = selector(wanted)?;
        let selected = self.series.iter().filter(|series| {
            series.name == name
                && labels.iter().all(|(label, value)| series.labels.get(label) == Some(value))
        });
        selected.map(|series| series.value).reduce(|sum, value| sum + value)
    }

    /// The families that have a series.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        self.types.iter().filter_map(|(base, r#type)| self.family(base, r#type)).collect()
    }

    fn family(&self, base: &str, r#type: &str) -> Option<Family> {
        let suffixes: &[&str] = match r#type {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        let is_own = |series: &&Series| {
            let suffix = series.name.strip_prefix(base);
            suffix.is_some_and(|suffix| suffixes.contains(&suffix))
        };
        let own: Vec<&Series> = self.series.iter().filter(is_own).collect();
        let labels = own.iter().flat_map(|series| series.labels.keys());
        let labels = labels.filter(|label| *label != "le").cloned().collect();
        let name = match r#type {
            "counter" | "info" => format!("{base}{}", suffixes.concat()),
            _ => base.to_owned(),
        };
        (!own.is_empty()).then(|| Family { name, r#type: r#type.to_owned(), labels })
    }
}

/// A name, its labels, and what follows; none for a comment.
fn selector(text: &str) -> Option<(&str, BTreeMap<String, String>, &str)> {
    let end = text.find(|letter: char| letter != '_' && letter != ':' && !letter.is_alphanumeric());
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut labels = BTreeMap::new();
    let Some(mut rest) = rest.strip_prefix('{') else {
        return (!name.is_empty()).then_some((name, labels, rest));
    };
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return (!name.is_empty()).then_some((name, labels, rest));
        }
        let (label, quoted) = rest.trim_start_matches(',').split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.insert(label.to_owned(), value);
        rest = after;
    }
}

/// The text up to the closing quotation mark, and what follows it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# HELP calls Calls.
# TYPE calls counter
calls_total{route="/jobs/{id}",model="a\"b\\c"} 2
calls_total{route="/jobs",model="m"} 3
# TYPE wait_seconds histogram
wait_seconds_sum{priority="high"} 1.5
wait_seconds_count{priority="high"} 2
wait_seconds_bucket{le="+Inf",priority="high"} 2
# TYPE up gauge
up 1
# TYPE empty gauge
# EOF
"#;

    #[test]
    fn series_are_summed_by_the_labels_that_are_named() {
        let page = Page::read(PAGE);
        assert_eq!(page.sum("calls_total"), Some(5.0));
        assert_eq!(page.sum(r#"calls_total{route="/jobs/{id}"}"#), Some(2.0));
        assert_eq!(page.sum(r#"calls_total{model="a\"b\\c",route="/jobs/{id}"}"#), Some(2.0));
        assert_eq!(page.sum(r#"calls_total{model="nobody"}"#), None);
        assert_eq!(page.sum("up"), Some(1.0));
        assert_eq!(page.sum("calls"), None);
    }

    #[test]
    fn families_have_the_names_that_dashboards_use() {
        let family = |name: &str, r#type: &str, labels: &[&str]| Family {
            name: name.to_owned(),
            r#type: r#type.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        assert_eq!(
            Page::read(PAGE).families(),
            [
                family("calls_total", "counter", &["model", "route"]),
                family("up", "gauge", &[]),
                family("wait_seconds", "histogram", &["priority"]),
            ]
        );
    }
}
