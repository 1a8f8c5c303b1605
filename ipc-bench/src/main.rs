//! Part.
fn main() {}
