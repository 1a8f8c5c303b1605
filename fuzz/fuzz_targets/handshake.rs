//! Any bytes as the other side of the handshake, of both sides.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipc::fuzzing::handshake(bytes));
