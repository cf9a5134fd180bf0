//! Stories told against the real binary: see `tests/stories`.
//!
//! What they do: start `roughneck` as a process, talk to it over HTTP, kill it, and look at what is
//! left. What they deliberately do not: use any of the host's own code; the stand-ins and the dice of
//! the simulation are no part of it. To add a story, add a test to the file of its subject; `Host` in
//! `host.rs` starts and stops the process. The scripts in `clients` drive unmodified clients in other
//! languages, which `cargo xtask clients` installs.
