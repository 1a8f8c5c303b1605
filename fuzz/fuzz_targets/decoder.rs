//! Any bytes, split anywhere, through the frame decoder.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipc::fuzzing::decoder(bytes));
