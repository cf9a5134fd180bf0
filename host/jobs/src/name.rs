//! Names that people give: of plugins, classes and schedules.

/// Whether it is a lower-case letter followed by 1 to 62 lower-case letters, digits or `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (2..=63).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_lower_case_and_begins_with_a_letter() {
        let longest = "n".repeat(63);
        for name in ["ab", "site-health", "k1", &longest] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "n".repeat(64);
        for name in ["", "a", "1a", "-a", "Ab", "a b", "a/b", "ä-b", &too_long] {
            assert!(!is_name(name), "{name}");
        }
    }
}
