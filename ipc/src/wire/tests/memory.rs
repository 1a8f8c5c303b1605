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
