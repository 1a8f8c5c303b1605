//! What is checked first, what is checked of late frames, and what is written last.

use super::super::messages::Entry;
use super::*;

fn with_descriptors(mut frame: Vec<u8>) -> Vec<u8> {
    frame[10] = 1;
    frame
}

#[test]
fn checks_are_made_in_order() {
    // ORD-1 KND-1
    let none = Flags::NONE;
    let garbage = &[0xff][..];
    let mut long = Header::new(Kind::Unknown(99), 0, none, 131_073);
    long.descriptors = 1;
    let violation = Rig::accepting().refuses(long.to_bytes());
    assert!(matches!(violation, Violation::FrameTooLarge { .. }));
    let attached = with_descriptors(raw(Kind::Call, 0, none, garbage));
    let mut rig = Rig::accepting();
    assert!(rig.hear(&attached[..HEADER_LEN]).unwrap().is_empty());
    assert_eq!(rig.refuses(garbage), Violation::Descriptors);
    let cases = [
        (Kind::Call, 0, Violation::UnexpectedFrame),
        (Kind::Hello, 1, Violation::UnexpectedFrame),
        // The state rules would say 7, 6 and 4.
        (Kind::Call, 2, Violation::Malformed),
        (Kind::End, 9, Violation::Malformed),
        (Kind::Hello, 0, Violation::Malformed),
    ];
    for (kind, id, violation) in cases {
        let frame = raw(kind, id, none, garbage);
        assert_eq!(Rig::accepting().refuses(frame), violation, "{kind:?} {id}");
    }
}

#[test]
fn the_end_of_a_caller_must_parse() {
    // SHP-3
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    let bad = raw(Kind::End, 1, Flags::NONE, &[0xff]);
    assert_eq!(rig.refuses(bad), Violation::Malformed);
}

/// A call that is over, and an id that was left out.
fn late_rig() -> Rig {
    let mut rig = Rig::new(Side::Accepting, |ours, _| {
        (ours.initial_credit, ours.max_message) = (1_024, 1_024);
    });
    let key = rig.called(call(9, false));
    rig.engine.end(key, &status(0));
    rig.engine.release(key);
    rig.says();
    rig
}

#[test]
fn late_frames_are_checked_as_frames_and_not_as_parts_of_a_call() {
    // STA-2 STA-6 IDS-7
    let both = Flags::END.with(Flags::MORE, true);
    for id in [3, 9] {
        let cases = [
            (
                with_descriptors(message(id, Flags::NONE, 1)),
                Violation::Descriptors,
            ),
            (
                raw(Kind::Credit, id, Flags::NONE, &[0xff]),
                Violation::Malformed,
            ),
            (
                raw(Kind::End, id, Flags::NONE, &[0xff]),
                Violation::Malformed,
            ),
            (message(id, both, 1), Violation::AfterEnd),
        ];
        for (frame, violation) in cases {
            assert_eq!(late_rig().refuses(frame), violation, "{id}");
        }
        let mut rig = late_rig();
        let ignored = [
            message(id, Flags::MORE, 5_000),
            end(id, 0),
            message(id, Flags::END, 5_000),
            credit(id, 0),
            credit(id, u32::MAX),
            credit(id, u32::MAX),
            cancel(id),
        ];
        assert!(rig.hear(ignored.concat()).unwrap().is_empty());
        assert!(rig.says().is_empty());
    }
}

/// A call of the peer whose handler is done and whose answer waits for credit, and nobody
/// reads it any more.
fn answered_rig() -> Rig {
    let mut rig = Rig::new(Side::Accepting, |ours, theirs| {
        (ours.initial_credit, ours.max_message) = (2_048, 1_024);
        theirs.initial_credit = 1_024;
    });
    let key = rig.called(call(1, false));
    rig.engine.send(key, body_of(5_000), true).unwrap();
    rig.engine.release(key);
    rig.says();
    rig
}

#[test]
fn frames_for_an_answer_that_waits_for_credit_are_checked_although_nobody_reads_them() {
    // CRD-2 LIM-3 STA-1 STA-3
    let more = |size| message(1, Flags::MORE, size);
    let large = [more(1_000), more(25)].concat();
    let broken_off = [more(1), end(1, 0)].concat();
    let too_many = [message(1, Flags::NONE, 1_000), more(1_000), more(20)].concat();
    let after = [message(1, Flags::END, 1), message(1, Flags::NONE, 1)].concat();
    let limit = 1_024;
    let cases = [
        (large, Violation::MessageTooLarge { limit }),
        (broken_off, Violation::AfterEnd),
        (too_many, Violation::CreditOverrun),
        (after, Violation::AfterEnd),
    ];
    for (frames, violation) in cases {
        assert_eq!(answered_rig().refuses(frames), violation);
    }
}

#[test]
fn an_answer_that_waits_for_credit_goes_on_while_its_caller_does() {
    // CRD-6
    let mut rig = answered_rig();
    let frames = [message(1, Flags::MORE, 1_012), credit(1, 1_012)].concat();
    assert!(rig.hear(frames).unwrap().is_empty());
    assert_eq!(names(&rig.says()), ["credit 1 1024", "message 1 more"]);
    let frames = [
        message(1, Flags::NONE, 1),
        message(1, Flags::END, 1),
        credit(1, 9_000),
    ];
    assert!(rig.hear(frames.concat()).unwrap().is_empty());
    assert_eq!(names(&rig.says()), ["message 1 end"]);
    assert_eq!(rig.engine.calls.iter().count(), 0);
}

#[test]
fn a_receiver_takes_any_chunk_that_fits_its_frames() {
    // CHK-6 CHK-7
    let mut rig = Rig::new(Side::Accepting, |ours, _| {
        (ours.max_frame, ours.initial_credit) = (1 << 20, 1 << 20);
    });
    rig.called(call(1, false));
    let chunks = [
        message(1, Flags::MORE, 0),
        message(1, Flags::MORE, 200_000),
        message(1, Flags::MORE, 0),
        message(1, Flags::END, 1),
    ];
    let events = rig.hear(chunks.concat()).unwrap();
    let [
        Event::Message {
            whole, end: true, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(whole.bytes.len(), 200_001);
}

#[test]
fn a_call_with_many_faults_is_refused_for_the_first() {
    // REF-7
    let faulty = |id, key: &str, size| {
        let head = CallHead {
            time_left: Some(0),
            metadata: vec![Entry {
                key: key.into(),
                value: vec![0; size].into(),
            }],
            ..CallHead::default()
        };
        raw(Kind::Call, id, Flags::END, &head.encode_to_vec())
    };
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_calls = 1);
    let told = |rig: &mut Rig, call| {
        rig.hear(call).unwrap();
        match rig.says().pop() {
            Some(Frame::End(_, end)) => (end.code, end.unseen, end.message),
            other => panic!("{other:?}"),
        }
    };
    let refused = |code, text: &str| (code, true, text.to_owned());
    let open = rig.called(call(1, false));
    let full = refused(8, "too many open calls");
    assert_eq!(told(&mut rig, faulty(3, "Bad", 9_000)), full);
    rig.engine.fail(open, &status(9));
    rig.says();
    let size = refused(8, "metadata exceeds the limit of 8192 bytes");
    assert_eq!(told(&mut rig, faulty(5, "Bad", 9_000)), size);
    let key = "metadata key is not 1 to 128 of a-z, 0-9, -, _ and .";
    let key = refused(13, key);
    assert_eq!(told(&mut rig, faulty(7, "Bad", 1)), key);
    let late = refused(4, "deadline passed");
    assert_eq!(told(&mut rig, faulty(9, "good", 1)), late);
}

#[test]
fn nothing_is_written_behind_a_frame_that_closes_the_connection() {
    // GOA-9
    let mut rig = Rig::accepting();
    let answered = rig.called(call(1, true));
    let large = rig.called(call(3, true));
    let open = rig.called(call(5, true));
    rig.engine.send(large, body_of(200_000), true).unwrap();
    rig.engine.send(answered, body_of(1), true).unwrap();
    rig.engine.ping(1);
    rig.engine.go_away(5, "");
    rig.engine.send(open, body_of(1), true).unwrap();
    rig.engine.ping(2);
    rig.engine.go_away(0, "");
    rig.engine.go_away(6, "");
    assert_eq!(
        names(&rig.says()),
        ["ping", "message 1 end", "goaway 5 5"],
        "an answer that was made goes first, a large one is dropped"
    );
    rig.engine.cancel(open, 1);
    rig.engine.ping(3);
    assert!(rig.says().is_empty() && rig.engine.is_flushed());
}
