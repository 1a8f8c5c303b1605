//! What a message makes its receiver keep is in proportion to what came.

use super::*;

#[test]
fn a_message_takes_a_large_buffer_only_once_it_fills_a_part_of_it() {
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.initial_credit = 1 << 20);
    rig.called(call(1, false));
    rig.engine.lend(BytesMut::with_capacity(1 << 20));
    rig.hear(message(1, Flags::MORE, 1)).unwrap();
    rig.hear(message(1, Flags::NONE, 1)).unwrap();
    for _ in 0..4 {
        rig.hear(message(1, Flags::MORE, 60_000)).unwrap();
        assert!(rig.engine.spare.is_some());
    }
    rig.hear(message(1, Flags::MORE, 60_000)).unwrap();
    assert!(rig.engine.reclaim().is_none());
    let events = rig.hear(message(1, Flags::NONE, 1)).unwrap();
    let [Event::Message { whole, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(whole.bytes, [7; 300_001][..]);
}

/// A rig that was lent a mebibyte, and its only call; one message of a call may grow at a time.
fn lent() -> Rig {
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_assembling = 1);
    rig.called([call(1, false), call(3, false)].concat());
    rig.engine.lend(BytesMut::with_capacity(1 << 20));
    rig
}

/// The header of a chunk that is still to come, and a few bytes of it.
fn begun(call: u32, flags: Flags, len: u32) -> Vec<u8> {
    let mut frame = Header::new(Kind::Message, call, flags, len)
        .to_bytes()
        .to_vec();
    frame.extend([7; 5]);
    frame
}

#[test]
fn the_first_of_several_chunks_is_taken_as_it_comes_where_a_buffer_was_lent() {
    let mut rig = lent();
    rig.hear(begun(1, Flags::MORE, 60_000)).unwrap();
    let mut target = rig.engine.take_target().unwrap();
    assert_eq!((target.bytes.capacity(), target.left()), (1 << 20, 59_995));
    target.bytes.extend_from_slice(&[7; 59_995]);
    rig.engine.put_target(target);
    // Another of that kind may not grow meanwhile, and has what it is in proportion to.
    rig.engine.lend(BytesMut::with_capacity(1 << 20));
    rig.hear(begun(3, Flags::MORE, 60_000)).unwrap();
    assert!(rig.engine.take_target().is_none());
    rig.hear([7; 59_995]).unwrap();
    assert!(rig.engine.reclaim().is_some());
    let events = rig.hear(message(1, Flags::NONE, 1)).unwrap();
    let [Event::Message { whole, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(whole.bytes, [7; 60_001][..]);
}

#[test]
fn a_message_behind_unread_ones_takes_no_turn_that_it_cannot_use() {
    // CRD-6
    let mut rig = Rig::new(Side::Accepting, |ours, _| {
        (ours.max_assembling, ours.initial_credit) = (1, 1_000);
    });
    rig.called([call(1, false), call(3, false)].concat());
    rig.hear(message(1, Flags::NONE, 700)).unwrap();
    rig.engine.lend(BytesMut::with_capacity(1 << 20));
    rig.hear(begun(1, Flags::MORE, 200)).unwrap();
    rig.hear([7; 195]).unwrap();
    rig.hear(message(3, Flags::MORE, 900)).unwrap();
    assert_eq!(names(&rig.says()), ["credit 3 912"]);
}

fn is_partial(rig: &Rig, key: Key) -> bool {
    rig.engine.calls.get(key).unwrap().receive.is_partial()
}

#[test]
fn a_call_that_is_over_keeps_nothing_of_its_unfinished_message() {
    for by_peer in [true, false] {
        let mut rig = Rig::accepting();
        let key = rig.called(call(1, false));
        rig.hear(message(1, Flags::MORE, 1_000)).unwrap();
        if by_peer {
            rig.hear(cancel(1)).unwrap();
        } else {
            rig.engine.fail(key, &status(4));
        }
        assert!(!is_partial(&rig, key));
        let mut rig = Rig::connecting();
        let key = rig.open(None, true);
        rig.hear(message(1, Flags::MORE, 1_000)).unwrap();
        assert!(is_partial(&rig, key));
        if by_peer {
            rig.hear(end(1, 4)).unwrap();
        } else {
            rig.engine.cancel(key, 1);
        }
        assert!(!is_partial(&rig, key));
    }
}

#[test]
fn nothing_but_a_first_chunk_that_is_allowed_takes_a_buffer_for_its_claim() {
    // HDR-3
    for (flags, len, credit, lent, takes) in [
        (Flags::MORE, 60_000, 1 << 20, 131_072, true),
        (Flags::NONE, 60_000, 1 << 20, 131_072, false),
        (Flags::MORE, 60_000, 59_999, 131_072, false),
        (Flags::MORE, 70_000, 1 << 20, 131_072, false),
        (Flags::MORE, 60_000, 1 << 20, 59_999, false),
        (Flags::MORE, 60_000, 1 << 20, 131_073, false),
    ] {
        let mut rig = Rig::new(Side::Accepting, |ours, _| {
            (ours.initial_credit, ours.max_message) = (credit, 65_536);
            ours.max_frame = 131_072;
        });
        rig.called(call(1, false));
        rig.hear(begun(1, flags, len)).unwrap();
        rig.engine.lend(BytesMut::with_capacity(lent));
        rig.hear(b"").unwrap();
        let took = rig.engine.take_target().is_some();
        assert_eq!(took, takes, "{flags:?} {len} {credit} {lent}");
    }
}

#[test]
fn a_message_that_fills_little_of_its_buffer_leaves_it() {
    for (len, leaves) in [(200_000, true), (263_000, false)] {
        let mut rig = lent();
        rig.hear(begun(1, Flags::MORE, 60_000)).unwrap();
        rig.hear([7; 59_995]).unwrap();
        let mut left = len - 60_000;
        while left > 60_000 {
            rig.hear(message(1, Flags::MORE, 60_000)).unwrap();
            left -= 60_000;
        }
        let events = rig.hear(message(1, Flags::NONE, left)).unwrap();
        let [Event::Message { whole, .. }] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(whole.bytes, vec![7; len][..]);
        assert_eq!(rig.engine.reclaim().is_some(), leaves, "{len}");
    }
}

#[test]
fn a_buffer_that_is_smaller_than_its_message_is_left() {
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    rig.engine.lend(BytesMut::with_capacity(50_000));
    rig.hear(message(1, Flags::MORE, 50_001)).unwrap();
    assert!(rig.engine.reclaim().is_some());
}

/// Two messages of this size at once; whether each has its bytes to itself.
fn own_bytes(size: usize) -> [bool; 2] {
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    let events = rig.hear(message(1, Flags::NONE, size).repeat(2)).unwrap();
    let owns = |event: &Event| match event {
        Event::Message { whole, .. } => whole.bytes.is_unique(),
        other => panic!("{other:?}"),
    };
    let [first, second] = &events[..] else {
        panic!("{events:?}");
    };
    [owns(first), owns(second)]
}

#[test]
fn a_message_that_waits_behind_another_keeps_no_read_buffer() {
    for size in [1, 1_024, 1_025, 4_095, 4_096, 16_384, 16_385, 65_536] {
        assert!(
            own_bytes(size)[1],
            "{size} bytes share the buffer they came in"
        );
    }
}

#[test]
fn only_a_large_message_shares_the_read_buffer() {
    for (size, owns) in [(1, true), (4_096, true), (16_384, true), (16_385, false)] {
        assert_eq!(own_bytes(size)[0], owns, "{size}");
    }
}

#[test]
fn the_request_in_a_call_keeps_no_read_buffer_unless_it_is_large() {
    for (size, owns) in [(1, true), (4_096, true), (16_000, true), (17_000, false)] {
        let head = CallHead {
            body: Some(vec![7; size].into()),
            ..CallHead::default()
        };
        let mut rig = Rig::accepting();
        let events = rig.hear(raw(Kind::Call, 1, Flags::END, &head.encode_to_vec()));
        let [Event::Call { head, .. }] = &events.unwrap()[..] else {
            panic!("not a call");
        };
        assert_eq!(head.body.as_ref().unwrap().is_unique(), owns, "{size}");
    }
}
