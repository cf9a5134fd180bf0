//! JSON for people: indented, and every name, number and order as it came.

const INDENT: &str = "  ";

/// What is nested deeper is indented no further: a megabyte of brackets would become terabytes of spaces.
const INDENTS_MAX: usize = 32;

/// Indents valid JSON without reading its values, so that no digit and no order of names is lost.
pub(crate) fn pretty(json: &str) -> String {
    beginning(json, usize::MAX).0
}

/// The first lines of the same, `lines_max` at most, and how many more there are.
pub(crate) fn beginning(json: &str, lines_max: usize) -> (String, usize) {
    let mut page = Page { text: String::new(), lines_left: lines_max, lines_hidden: 0 };
    let mut depth = 0_usize;
    let mut chars = json.chars().peekable();
    page.line(0);
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                page.push(c);
                string(&mut chars, &mut page);
            }
            '{' | '[' => {
                page.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    page.push(close);
                } else {
                    depth += 1;
                    page.line(depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                page.line(depth);
                page.push(c);
            }
            ',' => {
                page.push(c);
                page.line(depth);
            }
            ':' => {
                page.push(c);
                page.push(' ');
            }
            c if c.is_ascii_whitespace() => {}
            c => page.push(c),
        }
    }
    (page.text, page.lines_hidden)
}

/// What is written until the lines are used up; then they are only counted.
struct Page {
    text: String,
    lines_left: usize,
    lines_hidden: usize,
}

impl Page {
    /// Begins a line.
    fn line(&mut self, depth: usize) {
        let Some(left) = self.lines_left.checked_sub(1) else {
            self.lines_hidden += 1;
            return;
        };
        self.lines_left = left;
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&INDENT.repeat(depth.min(INDENTS_MAX)));
    }

    fn push(&mut self, c: char) {
        if self.lines_hidden == 0 {
            self.text.push(c);
        }
    }
}

/// Copies the rest of a string, up to and with its closing quote.
fn string(chars: &mut impl Iterator<Item = char>, page: &mut Page) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return page.push(c),
            '\\' => {
                page.push(c);
                chars.next().into_iter().for_each(|escaped| page.push(escaped));
            }
            // JSON lets these stand, and some terminals obey them.
            c if c.is_control() => {
                format!("\\u{:04x}", u32::from(c)).chars().for_each(|c| page.push(c));
            }
            c => page.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_keeps_its_order_and_digits() {
        assert_eq!(
            pretty(r#"{"z":1.0,"a":[ ],"b":[1, {"q":"a\"{,:"}],"c":{ }}"#),
            "{\n  \"z\": 1.0,\n  \"a\": [],\n  \"b\": [\n    1,\n    {\n      \
             \"q\": \"a\\\"{,:\"\n    }\n  ],\n  \"c\": {}\n}"
        );
        assert_eq!(pretty(" null "), "null");
        assert_eq!(pretty(r#""\\""#), r#""\\""#);
    }

    #[test]
    fn a_string_cannot_steer_the_terminal() {
        assert_eq!(pretty("[\"a\u{9b}2J\"]"), "[\n  \"a\\u009b2J\"\n]");
    }

    #[test]
    fn what_was_indented_stays_as_it_is() {
        let once = pretty(r#"{"a":[1,{"b":[]}]}"#);
        assert_eq!(pretty(&once), once);
    }

    #[test]
    fn what_is_nested_deep_costs_little_more_than_its_brackets() {
        let depth = 1 << 19;
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(pretty(&nested).len() <= nested.len() * (1 + 2 * (INDENTS_MAX + 1)));
        let (text, hidden) = beginning(&nested, 3);
        assert_eq!(text, "[\n  [\n    [");
        // The innermost brackets share a line.
        assert_eq!(hidden, 2 * depth - 1 - 3);
    }

    #[test]
    fn the_lines_that_are_hidden_are_counted_and_nothing_of_them_is_shown() {
        let json = r#"{"a": [1, 2], "b": "x"}"#;
        assert_eq!(beginning(json, 2), ("{\n  \"a\": [".to_owned(), 5));
        assert_eq!(beginning(json, 7), (pretty(json), 0));
    }
}
