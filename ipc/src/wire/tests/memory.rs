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
