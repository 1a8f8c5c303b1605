//! What each side takes, and what happens above it.

use super::super::call::Role;
use super::super::commands::{OpenError, SendError};
use super::*;

#[test]
fn an_oversized_header_is_refused_before_its_payload() {
    // HDR-2 HDR-3
    let mut rig = Rig::accepting();
    let header = Header::new(Kind::Message, 1, Flags::NONE, 131_073);
    let violation = rig.refuses(header.to_bytes());
    assert_eq!(
        violation,
        Violation::FrameTooLarge {
            len: 131_073,
            limit: 131_072
        }
    );
    let mut rig = Rig::accepting();
    rig.hear(Header::new(Kind::Message, 1, Flags::NONE, 131_072).to_bytes())
        .unwrap();
    assert!(
        rig.input.capacity() < 1_024,
        "nothing is reserved for a claim"
    );
}

#[test]
fn a_message_above_the_limit_is_refused_at_the_chunk_that_passes_it() {
    // LIM-3
    let limit = Violation::MessageTooLarge { limit: 2_000 };
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_message = 2_000);
    rig.called(call(1, false));
    rig.hear(message(1, Flags::MORE, 1_500)).unwrap();
    assert_eq!(rig.refuses(message(1, Flags::MORE, 501)), limit);
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_message = 2_000);
    let head = CallHead {
        body: Some(vec![0; 2_001].into()),
        ..CallHead::default()
    };
    let inline = raw(Kind::Call, 1, Flags::END, &head.encode_to_vec());
    assert_eq!(rig.refuses(inline), limit);
    rig.engine.go_away(limit.code(), "");
    assert_eq!(names(&rig.says()), ["goaway 9 0"]);
}

#[test]
fn a_sender_keeps_to_the_limits_of_the_peer() {
    // LIM-2 LIM-4
    let mut rig = Rig::new(Side::Connecting, |_, theirs| {
        (theirs.max_message, theirs.max_calls) = (2_000, 1);
    });
    let too_large = rig.engine.open(open(Some(2_001), true));
    assert_eq!(too_large, Err(OpenError::TooLarge { limit: 2_000 }));
    assert!(
        rig.says().is_empty(),
        "a refused call takes no id and writes nothing"
    );
    let key = rig.open(Some(2_000), false);
    assert_eq!(
        rig.engine.send(key, body_of(2_001), true),
        Err(SendError::TooLarge { limit: 2_000 })
    );
    assert_eq!(rig.engine.open(open(None, true)), Err(OpenError::TooMany));
    rig.hear(end(1, 0)).unwrap();
    rig.open(None, true);
}

#[test]
fn one_way_calls_are_over_when_they_are_sent() {
    // SHP-9 LIM-4
    let mut rig = Rig::new(Side::Connecting, |_, theirs| theirs.max_calls = 1);
    for size in [3, 3, 100_000] {
        let key = rig
            .engine
            .open(Open {
                one_way: true,
                ..open(Some(size), true)
            })
            .unwrap();
        rig.says();
        assert!(rig.engine.is_done(key), "{size}");
        rig.engine.release(key);
    }
    assert_eq!(rig.engine.calls.iter().count(), 0);
    assert!(rig.hear(end(1, 8)).unwrap().is_empty(), "a late refusal");
}

#[test]
fn a_one_way_call_counts_for_both_sides_until_it_is_sent() {
    // LIM-4 SHP-9 REF-1
    let passes = |from: &mut Rig, to: &mut Rig| {
        let mut out = BytesMut::new();
        while from.engine.poll_output(&mut out) {}
        to.hear(out).unwrap()
    };
    let mut caller = Rig::new(Side::Connecting, |_, theirs| {
        (theirs.max_calls, theirs.initial_credit) = (1, 1_024);
    });
    let mut called = Rig::new(Side::Accepting, |ours, _| {
        (ours.max_calls, ours.initial_credit) = (1, 1_024);
    });
    let note = |size| Open {
        one_way: true,
        ..open(Some(size), true)
    };
    // Without END, because it does not fit the CALL.
    caller.engine.open(note(70_000)).unwrap();
    let events = passes(&mut caller, &mut called);
    let [Event::Call { key, .. }] = events[..] else {
        panic!("{events:?}");
    };
    for refused in [open(None, true), note(1)] {
        assert_eq!(caller.engine.open(refused), Err(OpenError::TooMany));
    }
    assert_eq!(caller.engine.open_calls(Role::Caller), 1);
    for _ in 0..100 {
        passes(&mut called, &mut caller);
        passes(&mut caller, &mut called);
    }
    assert_eq!(caller.engine.open_calls(Role::Caller), 0);
    assert_eq!(called.engine.open_calls(Role::Callee), 1);
    called.engine.end(key, &status(0));
    caller.open(None, true);
    let events = passes(&mut caller, &mut called);
    assert!(matches!(events[..], [Event::Call { .. }]), "{events:?}");
}

#[test]
fn calls_above_the_limit_are_refused_unseen() {
    // REF-1 STA-2
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 1);
    rig.called(call(1, false));
    assert!(rig.hear(call(3, false)).unwrap().is_empty());
    assert_eq!(names(&rig.says()), ["end 3 8 unseen"]);
    let late = [
        message(3, Flags::NONE, 9),
        credit(3, 9),
        end(3, 0),
        cancel(3),
    ];
    assert!(rig.hear(late.concat()).unwrap().is_empty());
}

#[test]
fn a_refused_one_way_call_is_dropped_without_an_answer() {
    // REF-6
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 0);
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    assert!(rig.hear(raw(Kind::Call, 1, flags, &[])).unwrap().is_empty());
    assert!(rig.says().is_empty());
    // One that would go on is told to stop.
    rig.hear(raw(Kind::Call, 3, Flags::ONE_WAY, &[])).unwrap();
    assert_eq!(names(&rig.says()), ["end 3 8 unseen"]);
}

#[test]
fn answers_that_nobody_reads_count_as_open_calls() {
    // REF-5
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 2);
    let answered = rig.called(call(1, true));
    rig.engine.send(answered, body_of(10), true).unwrap();
    let cancelled = rig.called(call(3, true));
    rig.engine.send(cancelled, body_of(10), false).unwrap();
    rig.hear(cancel(3)).unwrap();
    assert_eq!(rig.engine.open_calls(Role::Callee), 0);
    rig.hear(call(5, true)).unwrap();
    assert_eq!(
        names(&rig.says()),
        ["end 5 8 unseen", "message 1 end", "message 3"]
    );
    rig.called(call(7, true));
}

#[test]
fn a_last_chunk_that_was_handed_over_counts_no_more() {
    // REF-8
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 1);
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(100_000), true).unwrap();
    assert_eq!(names(&rig.writes()), ["message 1 more"]);
    assert_eq!(names(&rig.writes()), ["message 1 end"]);
    assert!(
        rig.engine.is_flushed(),
        "nothing is left that would be written"
    );
    rig.called(call(3, true));
}
