//! Text taken apart: tokens, words, sentences.

/// Longest run of letters that counts as one token.
const PIECE_CHARS_MAX: usize = 12;

/// Splits a text into simulated tokens. A token is a run of at most twelve letters and digits, or one other character,
/// with the white space before it; white space at the end is a token of its own. Joined, they are the text again.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(piece_length(rest));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn piece_length(text: &str) -> usize {
    let start = text.len() - text.trim_start().len();
    let body = text.get(start..).unwrap_or_default();
    let run: usize = body
        .chars()
        .take(PIECE_CHARS_MAX)
        .take_while(|c| c.is_alphanumeric())
        .map(char::len_utf8)
        .sum();
    let one = body.chars().next().map_or(0, char::len_utf8);
    start + run.max(one)
}

/// Tokens of the chat template around one part of a prompt.
const TEMPLATE_TOKENS: usize = 4;

/// Prompt tokens: the pieces of every part that is not empty, and four for the template around each.
pub(super) fn prompt_tokens<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let tokens = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| pieces(part).len() + TEMPLATE_TOKENS)
        .sum::<usize>();
    tokens as u64
}

/// The words of a text in lower case; `camelCase` and `snake_case` come apart.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in text.chars() {
        let boundary = !c.is_alphanumeric() || (c.is_uppercase() && after_lower);
        if boundary && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The sentences of a text, on one line each: parted by `.`, `!` or `?` before white space, and by empty lines.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut end = |sentence: &mut String| {
        if !sentence.is_empty() {
            sentences.push(std::mem::take(sentence));
        }
    };
    for line in text.lines() {
        if line.trim().is_empty() {
            end(&mut sentence);
        }
        for word in line.split_whitespace() {
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(word);
            if word.ends_with(['.', '!', '?']) {
                end(&mut sentence);
            }
        }
    }
    end(&mut sentence);
    sentences
}

/// The first `count` words of a sentence, without the punctuation at the end.
pub(super) fn opening(sentence: &str, count: usize) -> String {
    let words: Vec<&str> = sentence.split_whitespace().take(count).collect();
    let joined = words.join(" ");
    joined
        .trim_end_matches(|c: char| c.is_ascii_punctuation() && !matches!(c, ')' | ']' | '"'))
        .to_owned()
}

/// The text that a prompt is about: without an instruction such as `Summarise this:` in its first line, and without
/// lines that only fence the text, such as three backticks or `<article>`.
pub(super) fn subject(prompt: &str) -> String {
    let is_fence = |line: &str| {
        let line = line.trim();
        line.starts_with("```") || (line.starts_with('<') && line.ends_with('>'))
    };
    let mut lines: Vec<&str> = prompt.trim().lines().filter(|line| !is_fence(line)).collect();
    if lines.len() > 1 && lines.first().is_some_and(|line| line.trim_end().ends_with(':')) {
        lines.remove(0);
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_words_and_signs_and_join_to_the_text() {
        let text = "  Hello, wörld!\n{\"a\": 12}  ";
        let parts = pieces(text);
        assert_eq!(
            parts,
            ["  Hello", ",", " wörld", "!", "\n{", "\"", "a", "\"", ":", " 12", "}", "  "]
        );
        assert_eq!(parts.concat(), text);
        assert_eq!(pieces("incomprehensibilities"), ["incomprehens", "ibilities"]);
        assert!(pieces("").is_empty());
    }

    #[test]
    fn prompt_tokens_count_pieces_and_template() {
        assert_eq!(prompt_tokens(["", "Hello, you"]), 3 + 4);
        assert_eq!(prompt_tokens(["a", "b"]), 10);
    }

    #[test]
    fn words_come_apart_at_every_convention() {
        assert_eq!(
            words("NullPointer null_pointer out-of-memory"),
            ["null", "pointer", "null", "pointer", "out", "of", "memory"]
        );
    }

    #[test]
    fn sentences_survive_wrapped_lines_and_end_at_empty_ones() {
        assert_eq!(
            sentences("One is\nwrapped. Two!\n\nA heading\n\nThree 3.5 goes on"),
            ["One is wrapped.", "Two!", "A heading", "Three 3.5 goes on"]
        );
    }

    #[test]
    fn the_instruction_and_the_fences_are_not_the_subject() {
        assert_eq!(subject("Summarise this:\n```text\nThe sea rose.\n```"), "The sea rose.");
        assert_eq!(subject("<article>\nThe sea rose.\n</article>"), "The sea rose.");
        assert_eq!(subject("Why:"), "Why:");
    }
}
