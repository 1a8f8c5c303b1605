//! Two engines back to back under any sequence of operations, on a virtual clock.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipc::fuzzing::engine(bytes));
