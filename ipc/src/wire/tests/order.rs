//! What is written when.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::body::Encode;
use super::super::call::{CallId, Role};
use super::super::commands::OpenError;
use super::*;

#[test]
fn control_passes_messages_that_wait() {
    let mut rig = Rig::accepting();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(100), false).unwrap();
    rig.engine.ping(1);
    rig.hear(raw(Kind::Ping, 0, Flags::NONE, &[])).unwrap();
    rig.engine.go_away(0, "");
    assert_eq!(
        names(&rig.says()),
        ["ping", "pong", "goaway 0 1", "message 1"]
    );
}

#[test]
fn chunks_of_large_messages_take_turns() {
    // CHK-1 CHK-3 CHK-4
    let mut rig = Rig::connecting();
    for _ in 0..2 {
        rig.open(Some(150_000), true);
    }
    let said = rig.says();
    let sizes = said.iter().filter_map(|frame| match frame {
        Frame::Message { id, payload, .. } => Some((id.get(), payload.len())),
        _ => None,
    });
    let expected = [
        (1, 65_536),
        (3, 65_536),
        (1, 65_536),
        (3, 65_536),
        (1, 18_928),
        (3, 18_928),
    ];
    assert_eq!(sizes.collect::<Vec<_>>(), expected);
    let last = &names(&said)[4..];
    assert_eq!(
        last,
        [
            "message 1 more",
            "message 3 more",
            "message 1 end",
            "message 3 end"
        ]
    );
}

#[test]
fn no_chunk_is_larger_than_131072_even_for_a_peer_that_takes_more() {
    // CHK-3 HDR-1
    let mut rig = Rig::new(Side::Connecting, |_, theirs| {
        (theirs.max_frame, theirs.initial_credit) = (1 << 20, 1 << 20);
    });
    rig.open(Some(300_000), true);
    let said = rig.says();
    assert_eq!(said.len(), 4, "{:?}", names(&said));
    for frame in said {
        if let Frame::Message { payload, .. } = frame {
            assert!(payload.len() <= 131_072);
        }
    }
}

#[test]
fn a_small_call_waits_for_one_chunk_at_most() {
    // CHK-5
    let mut rig = Rig::connecting();
    rig.open(Some(1 << 20), true);
    assert_eq!(names(&rig.writes()), ["call 1", "message 1 more"]);
    rig.open(Some(10), true);
    assert_eq!(names(&rig.writes()), ["call 3 end", "message 1 more"]);
}

#[test]
fn cancel_never_passes_its_call() {
    // CAN-1 HDR-4
    let mut rig = Rig::connecting();
    let small = rig.open(Some(3), false);
    let large = rig.open(Some(200_000), true);
    rig.engine.cancel(large, 4);
    rig.engine.cancel(small, 1);
    assert_eq!(
        names(&rig.says()),
        ["call 1", "call 3", "cancel 3 4", "cancel 1 1"]
    );
}

#[test]
fn an_end_waits_behind_the_chunks_before_it() {
    // HDR-4
    let mut rig = Rig::accepting();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(100_000), false).unwrap();
    rig.engine.send(key, body_of(1), false).unwrap();
    rig.engine.end(key, &status(9));
    assert!(!rig.engine.is_done(key), "its end is not written");
    let expected = ["message 1 more", "message 1", "message 1", "end 1 9"];
    assert_eq!(names(&rig.says()), expected);
    assert!(rig.engine.is_done(key));
    assert_eq!(rig.engine.poll_writable(), Some(key));
    assert_eq!(rig.engine.poll_writable(), None);
}

#[test]
fn ids_rise_by_two_from_the_first_of_the_side() {
    // IDS-1 IDS-2
    let mut rig = Rig::connecting();
    assert_eq!(rig.engine.last_opened(), 0);
    for _ in 0..3 {
        rig.open(Some(0), true);
    }
    assert_eq!(rig.engine.last_opened(), 5);
    assert_eq!(
        names(&rig.says()),
        ["call 1 end", "call 3 end", "call 5 end"]
    );
    let mut rig = Rig::accepting();
    rig.open(None, false);
    rig.open(None, false);
    assert_eq!(names(&rig.says()), ["call 2", "call 4"]);
}

#[test]
fn no_call_follows_the_last_id() {
    // IDS-6
    let mut rig = Rig::connecting();
    rig.engine.next_id = CallId::parse(u32::MAX);
    let key = rig.open(None, false);
    assert_eq!(rig.engine.id(key), CallId::parse(u32::MAX));
    assert_eq!(rig.engine.last_opened(), u32::MAX);
    let refused = rig.engine.open(open(None, false));
    assert_eq!(refused, Err(OpenError::GoingAway));
    assert!(rig.hear(end(u32::MAX, 0)).is_ok());
}

#[test]
fn a_call_that_went_leaves_no_key_in_the_ring() {
    // The slab gives the key to the next call; a turn for nothing would stop the others.
    let mut rig = Rig::connecting();
    let gone = rig.open(Some(200_000), true);
    let kept = rig.open(Some(200_000), true);
    rig.writes();
    rig.engine.cancel(gone, 1);
    rig.engine.release(gone);
    assert_eq!(rig.engine.out.ring.iter().collect::<Vec<_>>(), [&kept]);
    let next = rig.open(None, false);
    assert_eq!(next, gone, "the key is used again");
    let said = names(&rig.says());
    let of_kept = said.iter().filter(|name| name.starts_with("message 3"));
    assert_eq!(of_kept.count(), 4, "{said:?}");
    assert!(rig.engine.is_flushed());
}

#[test]
fn poll_output_says_whether_it_wrote() {
    let mut rig = Rig::connecting();
    let mut out = BytesMut::from(&b"before"[..]);
    assert!(!rig.engine.poll_output(&mut out));
    rig.engine.ping(1);
    assert!(rig.engine.poll_output(&mut out));
    assert!(out.starts_with(b"before"));
}

#[test]
fn flags_without_a_meaning_are_sent_as_zero() {
    // FLG-1 TRN-1
    let mut rig = Rig::accepting();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(5), true).unwrap();
    rig.engine.ping(1);
    rig.engine.go_away(0, "");
    let mut out = BytesMut::new();
    rig.engine.poll_output(&mut out);
    while let Some(raw) = Decoder::new(1 << 20).decode(&mut out).unwrap() {
        let known = if raw.header.kind == Kind::Message {
            1
        } else {
            0
        };
        assert_eq!(raw.header.flags.to_byte(), known, "{:?}", raw.header);
        assert_eq!(raw.header.descriptors, 0);
    }
}

/// A message that panics when half of it is written.
struct Bomb;

impl Encode for Bomb {
    fn size(&self) -> usize {
        100
    }

    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(&[7; 50]);
        panic!("asked to panic");
    }

    fn write_parts(&self, out: &mut BytesMut, _: &mut dyn FnMut(&mut BytesMut)) -> Bytes {
        self.write(out);
        Bytes::new()
    }
}

#[test]
fn a_message_that_panics_leaves_no_part_of_a_frame() {
    let mut rig = Rig::connecting();
    rig.open(Some(8), true);
    let bomb = || Some(Body::Write(Bomb.size(), &Bomb));
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let bomb = Open {
            body: bomb(),
            ..open(None, true)
        };
        rig.engine.open(bomb)
    }));
    assert!(opened.is_err());
    assert_eq!(rig.engine.open_calls(Role::Caller), 1);
    rig.open(Some(8), true);
    assert_eq!(names(&rig.says()), ["call 1 end", "call 3 end"]);
}
