//! The hub: what the user runs.
