//! How the state of a job is shown where many are.

/// A sign for a state.
pub(crate) fn mark(state: &str) -> char {
    match state {
        "done" => '✓',
        "failed" => '✗',
        "cancelled" => '⊘',
        "loading" | "working" => '▶',
        "queued" | "scheduled" => '○',
        // Blocked, or what a newer host may say.
        _ => '·',
    }
}

/// What a reader misses least is the largest.
pub(crate) fn dullness(state: &str) -> u8 {
    match state {
        "failed" => 0,
        "cancelled" => 1,
        "loading" | "working" => 2,
        "queued" | "scheduled" | "blocked" => 3,
        "done" => 4,
        _ => 1,
    }
}
