//! One call's life, and what is ignored or refused in it.

use super::super::commands::{OpenError, SendError};
use super::super::messages::{GoAway, Hello};
use super::*;

fn goaway(code: u32, last_call: u32) -> Vec<u8> {
    let away = GoAway {
        code,
        last_call,
        ..GoAway::default()
    };
    raw(Kind::GoAway, 0, Flags::NONE, &away.encode_to_vec())
}

#[test]
fn the_document_prints_the_state_table_of_the_code() {
    // STA-1; call.rs compares the same lines with the match.
    let document = include_str!("../../../../PROTOCOL.md");
    let source = include_str!("../call.rs");
    let table = source.split("const TABLE: &str = \"\\\n").nth(1).unwrap();
    let table = table.split("\";").next().unwrap();
    assert!(document.contains(&format!("```text state table\n{table}```")));
}

#[test]
fn a_known_kind_with_the_wrong_sort_of_id_is_refused() {
    // KND-2 KND-3
    for kind in [
        Kind::Call,
        Kind::Message,
        Kind::End,
        Kind::Cancel,
        Kind::Credit,
    ] {
        let frame = raw(kind, 0, Flags::NONE, &[]);
        assert_eq!(
            Rig::accepting().refuses(frame),
            Violation::UnexpectedFrame,
            "{kind:?}"
        );
    }
    for kind in [Kind::Ping, Kind::Pong, Kind::GoAway] {
        let frame = raw(kind, 1, Flags::NONE, &[]);
        assert_eq!(
            Rig::accepting().refuses(frame),
            Violation::UnexpectedFrame,
            "{kind:?}"
        );
    }
    for kind in [Kind::Hello, Kind::Welcome, Kind::Confirm] {
        let frame = raw(kind, 0, Flags::NONE, &Hello::default().encode_to_vec());
        assert_eq!(
            Rig::accepting().refuses(frame),
            Violation::UnexpectedFrame,
            "{kind:?}"
        );
    }
}

#[test]
fn descriptors_are_refused_on_any_kind() {
    // TRN-2
    for kind in [Kind::Ping, Kind::Call, Kind::Unknown(77)] {
        let mut frame = raw(kind, 1, Flags::NONE, &[]);
        frame[10] = 1;
        assert_eq!(Rig::accepting().refuses(frame), Violation::Descriptors);
    }
}

#[test]
fn a_payload_that_does_not_parse_is_refused() {
    // KND-4
    for (kind, call) in [
        (Kind::Call, 1),
        (Kind::Ping, 0),
        (Kind::GoAway, 0),
        (Kind::Credit, 1),
    ] {
        let frame = raw(kind, call, Flags::NONE, &[0xff]);
        assert_eq!(
            Rig::accepting().refuses(frame),
            Violation::Malformed,
            "{kind:?}"
        );
    }
}

#[test]
fn the_end_of_input_inside_a_frame_is_a_truncation() {
    // TRN-4
    let rig = Rig::accepting();
    assert_eq!(rig.engine.handle_eof(&BytesMut::new()), Ok(()));
    let half = BytesMut::from(&call(1, true)[..5]);
    assert_eq!(rig.engine.handle_eof(&half), Err(Violation::Truncated));
}

#[test]
fn what_is_not_known_or_asked_for_is_ignored() {
    // KND-1 KND-6 FLG-2
    let mut rig = Rig::accepting();
    let strange = [
        raw(Kind::Unknown(0), 0, Flags::NONE, &[]),
        raw(Kind::Unknown(12), 99, Flags::from_byte(0xff), b"anything"),
    ];
    assert!(rig.hear(strange.concat()).unwrap().is_empty());
    let pong = rig
        .hear(raw(Kind::Pong, 0, Flags::from_byte(0xff), &[]))
        .unwrap();
    assert!(matches!(pong[..], [Event::Pong(0)]));
    rig.called(call(1, false));
    let flagged = message(1, Flags::from_byte(0xf0), 3);
    let events = rig.hear(flagged).unwrap();
    assert!(matches!(events[..], [Event::Message { end: false, .. }]));
    assert!(rig.says().is_empty());
}

#[test]
fn call_ids_that_break_the_rules_are_refused() {
    // IDS-3 IDS-4 IDS-5
    assert_eq!(
        Rig::accepting().refuses(call(2, true)),
        Violation::WrongParity
    );
    assert_eq!(
        Rig::connecting().refuses(call(1, true)),
        Violation::WrongParity
    );
    for id in [1, 5] {
        let mut rig = Rig::accepting();
        rig.called(call(5, true));
        assert_eq!(rig.refuses(call(id, true)), Violation::CallReused, "{id}");
    }
    for (of, frame) in [
        (1, message(1, Flags::NONE, 1)),
        (2, end(2, 0)),
        (3, cancel(3)),
        (4, credit(4, 1)),
    ] {
        assert_eq!(
            Rig::accepting().refuses(frame),
            Violation::UnknownCall,
            "{of}"
        );
    }
    // Ids may be left out; those below the last are late, not unknown.
    let mut rig = Rig::accepting();
    rig.called(call(9, true));
    assert!(rig.hear(message(3, Flags::NONE, 1)).unwrap().is_empty());
}

#[test]
fn success_and_failure_end_a_call() {
    // SHP-1 STA-2
    let answers = [message(1, Flags::END, 2), end(1, 0), end(1, 5)];
    for answer in answers {
        let mut rig = Rig::connecting();
        let key = rig.open(Some(0), true);
        assert_eq!(rig.hear(answer).unwrap().len(), 1);
        assert!(rig.engine.is_done(key));
        let late = [
            message(1, Flags::NONE, 9),
            end(1, 0),
            credit(1, 1),
            cancel(1),
        ];
        assert!(rig.hear(late.concat()).unwrap().is_empty());
        rig.engine.release(key);
        assert_eq!(rig.engine.calls.iter().count(), 0);
    }
}

#[test]
fn frames_after_the_end_of_their_direction_are_refused() {
    // STA-1 FLG-3
    for frame in [message(1, Flags::NONE, 1), end(1, 0)] {
        let mut rig = Rig::accepting();
        rig.called(call(1, true));
        assert_eq!(rig.refuses(frame), Violation::AfterEnd);
    }
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    let both = message(1, Flags::END.with(Flags::MORE, true), 1);
    assert_eq!(rig.refuses(both), Violation::AfterEnd);
}

#[test]
fn an_end_inside_a_message_is_refused_unless_it_is_a_failure_of_the_called_side() {
    // STA-3 STA-4 STA-5
    for code in [0, 5] {
        let mut rig = Rig::accepting();
        rig.called(call(1, false));
        rig.hear(message(1, Flags::MORE, 1)).unwrap();
        assert_eq!(rig.refuses(end(1, code)), Violation::AfterEnd, "{code}");
    }
    let mut rig = Rig::connecting();
    rig.open(None, true);
    rig.hear(message(1, Flags::MORE, 1)).unwrap();
    assert_eq!(rig.refuses(end(1, 0)), Violation::AfterEnd);
    let mut rig = Rig::connecting();
    rig.open(None, true);
    rig.hear(message(1, Flags::MORE, 1)).unwrap();
    let events = rig.hear(end(1, 5)).unwrap();
    assert!(matches!(&events[..], [Event::End { end, .. }] if end.code == 5));
}

#[test]
fn the_end_of_a_caller_has_no_status() {
    // SHP-2 SHP-3
    let mut rig = Rig::connecting();
    let key = rig.open(None, false);
    rig.engine.end(key, &status(5));
    assert_eq!(names(&rig.says()), ["call 1", "end 1 0"]);
    let mut rig = Rig::accepting();
    rig.called(call(1, false));
    let events = rig.hear(end(1, 5)).unwrap();
    assert!(matches!(&events[..], [Event::End { end, .. }] if *end == End::default()));
}

#[test]
fn one_way_calls_are_answered_only_to_stop_them() {
    // SHP-7 SHP-8
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    let mut rig = Rig::accepting();
    let key = rig.called(raw(Kind::Call, 1, flags, &[]));
    assert_eq!(rig.engine.send(key, body_of(1), true), Err(SendError::Done));
    rig.engine.end(key, &status(0));
    assert!(rig.engine.is_done(key) && rig.says().is_empty());
    let key = rig.called(raw(Kind::Call, 3, Flags::ONE_WAY, &[]));
    rig.engine.end(key, &status(12));
    assert_eq!(names(&rig.says()), ["end 3 12"]);
    let mut rig = Rig::new(Side::Connecting, |_, theirs| theirs.initial_credit = 1_024);
    let large = Open {
        one_way: true,
        ..open(Some(100_000), true)
    };
    let key = rig.engine.open(large).unwrap();
    rig.says();
    assert!(!rig.engine.is_done(key));
    assert_eq!(rig.hear(end(1, 12)).unwrap().len(), 1);
    assert!(rig.engine.is_done(key) && rig.engine.is_flushed());
}

#[test]
fn a_cancelled_call_writes_nothing_more() {
    // CAN-2 CAN-3 CAN-4
    let mut rig = Rig::accepting();
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(200_000), false).unwrap();
    rig.writes();
    let events = rig.hear(cancel(1)).unwrap();
    assert!(matches!(events[..], [Event::Cancelled { .. }]));
    assert!(rig.engine.is_done(key) && rig.says().is_empty());
    assert_eq!(
        rig.engine.send(key, body_of(1), false),
        Err(SendError::Done)
    );
    rig.engine.end(key, &status(0));
    assert!(rig.hear(cancel(1)).unwrap().is_empty());
    assert!(rig.says().is_empty());
    let mut rig = Rig::connecting();
    let key = rig.open(Some(0), true);
    rig.engine.cancel(key, 1);
    assert!(rig.engine.is_done(key), "CANCEL is the end for its caller");
    let late = [message(1, Flags::MORE, 9), end(1, 0)];
    assert!(rig.hear(late.concat()).unwrap().is_empty());
}

#[test]
fn a_call_is_cancelled_whatever_the_code() {
    // CAN-5 CAN-3
    let mut rig = Rig::accepting();
    for (id, code) in (1..).step_by(2).zip([1, 4, 0, 2, 17, u32::MAX]) {
        let key = rig.called(call(id, false));
        let cancel = Cancel { code }.encode_to_vec();
        let events = rig.hear(raw(Kind::Cancel, id, Flags::NONE, &cancel));
        let events = events.unwrap();
        assert!(matches!(events[..], [Event::Cancelled { .. }]), "{code}");
        assert!(rig.engine.is_done(key) && rig.says().is_empty(), "{code}");
    }
}

#[test]
fn only_the_caller_may_cancel() {
    // STA-1
    let mut rig = Rig::connecting();
    rig.open(None, true);
    assert_eq!(rig.refuses(cancel(1)), Violation::UnexpectedFrame);
}

#[test]
fn nothing_is_told_of_a_call_that_its_owner_let_go() {
    let mut rig = Rig::accepting();
    let key = rig.called(call(1, false));
    rig.engine.send(key, body_of(5), false).unwrap();
    rig.engine.release(key);
    let frames = [message(1, Flags::NONE, 3), end(1, 0), cancel(1)];
    assert!(rig.hear(frames.concat()).unwrap().is_empty());
    assert_eq!(rig.engine.calls.iter().count(), 0, "CANCEL ended it");
}

#[test]
fn a_failed_call_ends_at_once_whatever_waits() {
    let mut rig = Rig::new(Side::Accepting, |_, theirs| theirs.initial_credit = 1_024);
    let key = rig.called(call(1, true));
    rig.engine.send(key, body_of(5_000), true).unwrap();
    rig.says();
    rig.engine.fail(key, &status(4));
    assert_eq!(names(&rig.says()), ["end 1 4"]);
    assert!(rig.engine.is_done(key));
    rig.engine.fail(key, &status(4));
    assert!(rig.says().is_empty());
}

#[test]
fn who_goes_away_drops_new_calls_and_finishes_old_ones() {
    // GOA-1 GOA-2 GOA-8
    let mut rig = Rig::accepting();
    let key = rig.called(call(7, true));
    rig.engine.go_away(0, "");
    assert_eq!(names(&rig.says()), ["goaway 0 7"]);
    let dropped = [
        call(9, false),
        message(9, Flags::NONE, 1),
        end(9, 0),
        cancel(11),
    ];
    assert!(rig.hear(dropped.concat()).unwrap().is_empty());
    rig.engine.send(key, body_of(1), true).unwrap();
    rig.open(None, false);
    assert_eq!(names(&rig.says()), ["message 7 end", "call 2"]);
    rig.engine.go_away(0, "");
    assert_eq!(names(&rig.says()), ["goaway 0 7"]);
}

#[test]
fn a_peer_that_goes_away_gets_no_new_calls_but_may_call() {
    // GOA-3 GOA-5 GOA-8
    let mut rig = Rig::connecting();
    let key = rig.open(None, true);
    let events = rig.hear(goaway(0, 1)).unwrap();
    assert!(matches!(events[..], [Event::GoAway(_)]));
    assert_eq!(rig.engine.open(open(None, true)), Err(OpenError::GoingAway));
    assert!(!rig.engine.is_done(key));
    assert_eq!(rig.hear(end(1, 0)).unwrap().len(), 1);
    rig.called(call(2, true));
}

#[test]
fn a_peer_that_goes_away_again_is_heard_if_that_says_more() {
    // GOA-4 GOA-6
    let mut rig = Rig::connecting();
    let _open = [(); 4].map(|()| rig.open(None, true));
    let last = rig.engine.last_opened();
    for (code, last_call, says_more) in [
        (0, u32::MAX, true),
        (0, u32::MAX - 1, false),
        (0, last, false),
        (0, last - 2, true),
        (0, last - 2, false),
        (0, last, false),
        (0, last - 4, true),
        (2, 9, true),
    ] {
        let events = rig.hear(goaway(code, last_call)).unwrap();
        assert_eq!(!events.is_empty(), says_more, "{code} {last_call}");
    }
}
