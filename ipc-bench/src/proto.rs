//! The service that is measured.

#![expect(unreachable_pub, reason = "generated for a library, used in a binary")]
#![expect(dead_code, reason = "both clients are generated for each service")]

include!(concat!(env!("OUT_DIR"), "/ipc.bench.rs"));
