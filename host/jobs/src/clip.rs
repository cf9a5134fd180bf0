//! Text of guests, models and servers, made safe to keep and to show.

/// Cuts `text` to at most `bytes_max` bytes, at a character, and marks the cut with `…`. Control
/// characters except newline and tab become `U+FFFD`: a job's log is read in terminals, where an
/// escape sequence is a command.
#[must_use]
pub fn clip(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "…";
    let printable = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    let mut clipped = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars().map(printable) {
        if clipped.len() + c.len_utf8() > bytes_max {
            while clipped.len() + MARK.len() > bytes_max && clipped.pop().is_some() {}
            if clipped.len() + MARK.len() <= bytes_max {
                clipped.push_str(MARK);
            }
            break;
        }
        clipped.push(c);
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character_and_stays_within_its_bytes() {
        let table = [
            ("short", 10, "short"),
            ("exactly10!", 10, "exactly10!"),
            ("eleven bytes", 10, "eleven …"),
            ("ääääää", 7, "ää…"),
            ("abc", 2, ""),
        ];
        for (text, bytes_max, expected) in table {
            let clipped = clip(text, bytes_max);
            assert!(clipped.len() <= bytes_max, "{text}: {clipped}");
            assert_eq!(clipped, expected, "{text}");
        }
    }

    #[test]
    fn a_terminal_is_not_commanded_by_a_plugin() {
        assert_eq!(clip("a\u{1b}[2Jb\tc\nd\u{9b}", 100), "a\u{fffd}[2Jb\tc\nd\u{fffd}");
    }
}
