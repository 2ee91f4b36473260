//! The rules that an event is held against.

pub(crate) mod balp;
pub(crate) mod patterns;
pub(crate) mod r4;
mod shapes;

#[cfg(test)]
pub(crate) mod consent;
