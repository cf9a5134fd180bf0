//! The sandbox with real guests. Build them first: `cargo xtask guests`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]

mod capabilities;
mod children;
mod gates;
mod kin;
mod limits;
mod world;
