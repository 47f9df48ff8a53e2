//! Foresail.
