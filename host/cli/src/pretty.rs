//! JSON for people: indented, and every name, number and order as it came.

use std::fmt::Write as _;

const INDENT: &str = "  ";

/// Indents valid JSON without reading its values, so that no digit and no order of names is lost.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                out.push(c);
                string(&mut chars, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(depth, &mut out);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(depth, &mut out);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Copies the rest of a string, up to and with its closing quote.
fn string(chars: &mut impl Iterator<Item = char>, out: &mut String) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return out.push(c),
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            // JSON lets these stand, and some terminals obey them.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.push_str(&INDENT.repeat(depth));
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
}
