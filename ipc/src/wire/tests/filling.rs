//! Chunks that are taken as they come.

use super::*;

/// A message of three chunks of a call, and what makes it up.
fn chunks() -> ([Vec<u8>; 3], Vec<u8>) {
    let part = |from: u8, len: usize| {
        let bytes = (from..).take(len.min(200)).cycle();
        bytes.take(len).collect::<Vec<_>>()
    };
    let parts = [part(1, 1_000), part(3, 900), part(5, 1_500)];
    let more = Flags::MORE;
    let flags = [more, more, Flags::END];
    let frames = [0, 1, 2].map(|at| raw(Kind::Message, 1, flags[at], &parts[at]));
    (frames, parts.concat())
}

fn only_message(events: &[Event]) -> &[u8] {
    match events {
        [
            Event::Message {
                whole, end: true, ..
            },
        ] => &whole.bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_is_the_same_wherever_its_chunks_are_cut() {
    // CHK-2
    let (frames, whole) = chunks();
    let bytes = [&frames[0], &cancel(9)[..], &frames[1], &frames[2]].concat();
    for piece in [1, 11, 13, 500, 1_100, 3_000, bytes.len()] {
        let mut rig = Rig::accepting();
        rig.called([call(1, false), call(9, false)].concat());
        let heard = bytes.chunks(piece).map(|piece| rig.hear(piece).unwrap());
        let mut events = heard.flatten().collect::<Vec<_>>();
        let cancelled = events.remove(0);
        assert!(matches!(cancelled, Event::Cancelled { .. }), "by {piece}");
        assert_eq!(only_message(&events), whole, "by {piece}");
        assert_eq!(rig.engine.handle_eof(&rig.input), Ok(()));
    }
}

#[test]
fn the_rest_of_a_chunk_can_be_read_straight_into_its_message() {
    let (frames, whole) = chunks();
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    let begun = [&frames[0], &frames[1][..HEADER_LEN + 100]].concat();
    assert!(rig.hear(begun).unwrap().is_empty());
    assert!(rig.input.is_empty(), "taken as it came");
    let mut target = rig.engine.take_target().unwrap();
    assert_eq!((target.bytes.len(), target.left()), (1_100, 800));
    target
        .bytes
        .extend_from_slice(&frames[1][HEADER_LEN + 100..][..300]);
    rig.engine.put_target(target);
    assert!(rig.hear(b"").unwrap().is_empty());
    let mut target = rig.engine.take_target().unwrap();
    target
        .bytes
        .extend_from_slice(&frames[1][HEADER_LEN + 400..]);
    assert_eq!(target.left(), 0);
    rig.engine.put_target(target);
    let events = rig.hear(&frames[2]).unwrap();
    assert_eq!(only_message(&events), whole);
    assert!(rig.engine.take_target().is_none());
}

#[test]
fn a_chunk_is_not_taken_as_it_comes_before_as_much_has_come() {
    // HDR-3
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    rig.hear(message(1, Flags::MORE, 1_000)).unwrap();
    for claim in [1_001, 131_072] {
        rig.hear(Header::new(Kind::Message, 1, Flags::MORE, claim).to_bytes())
            .unwrap();
        assert!(rig.engine.take_target().is_none(), "{claim}");
        rig.input.clear();
    }
    rig.hear(Header::new(Kind::Message, 1, Flags::MORE, 1_000).to_bytes())
        .unwrap();
    assert!(rig.engine.take_target().is_some());
}

#[test]
fn a_chunk_beyond_credit_or_size_is_refused_as_ever() {
    // CRD-2 LIM-3
    let claims = [
        (600, 4_096, Violation::CreditOverrun),
        (4_096, 1_100, Violation::MessageTooLarge { limit: 1_100 }),
    ];
    for (credit, size, violation) in claims {
        let mut rig = Rig::new(Side::Accepting, |ours, _| {
            (ours.initial_credit, ours.max_message) = (credit, size);
        });
        rig.called(call(1, false));
        rig.hear(message(1, Flags::MORE, 500)).unwrap();
        rig.hear(message(1, Flags::MORE, 400)).unwrap();
        let last = message(1, Flags::END, 700);
        rig.hear(&last[..100]).unwrap();
        assert!(rig.engine.take_target().is_none(), "{violation:?}");
        assert_eq!(rig.refuses(&last[100..]), violation);
    }
}

#[test]
fn the_rest_of_a_chunk_of_a_call_that_is_over_is_skipped() {
    // STA-2
    let (frames, _) = chunks();
    for lent in [false, true] {
        let mut rig = Rig::accepting();
        let key = rig.called(call(1, false));
        rig.hear([&frames[0], &frames[1][..100]].concat()).unwrap();
        let target = lent.then(|| rig.engine.take_target().unwrap());
        rig.engine.end(key, &status(5));
        if let Some(target) = target {
            rig.engine.put_target(target);
        }
        assert!(rig.engine.take_target().is_none());
        let rest = [&frames[1][100..], &frames[2], &call(3, true)].concat();
        match &rig.hear(rest).unwrap()[..] {
            [Event::Call { .. }] => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_end_and_a_pause_inside_such_a_chunk_are_told() {
    // TRN-4
    let (frames, _) = chunks();
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    rig.hear([&frames[0], &frames[1][..100]].concat()).unwrap();
    assert!(rig.input.is_empty());
    assert_eq!(rig.engine.handle_eof(&rig.input), Err(Violation::Truncated));
    let due = rig.engine.poll_deadline().unwrap();
    let late = rig.engine.handle_timeout(due, false);
    assert_eq!(late, Err(Violation::FrameTimeout));
}
