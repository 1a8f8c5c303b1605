//! Deadlines and slow frames, with a clock that is told.

use std::time::Duration;

use super::super::call::Role;
use super::*;

fn timed(id: u32, time_left: Option<u64>) -> Vec<u8> {
    let head = CallHead {
        time_left,
        ..CallHead::default()
    };
    raw(Kind::Call, id, Flags::END, &head.encode_to_vec())
}

fn second(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn time_left_counts_from_the_moment_the_frame_is_read() {
    // DLN-1
    let mut rig = Rig::accepting();
    let key = rig.called(timed(1, Some(2_000_000)));
    let due = rig.now + second(2);
    assert_eq!(rig.engine.poll_deadline(), Some(due));
    assert_eq!(rig.engine.poll_expired(due - Duration::from_nanos(1)), None);
    assert_eq!(rig.engine.poll_expired(due), Some(key));
    assert_eq!(
        rig.engine.poll_expired(due),
        None,
        "each call comes out once"
    );
    assert_eq!(rig.engine.poll_deadline(), None);
}

#[test]
fn a_longer_deadline_than_granted_is_cut() {
    // DLN-2 DLN-5
    for left in [u64::MAX, 86_400_000_001, 86_400_000_000] {
        let mut rig = Rig::accepting();
        rig.called(timed(1, Some(left)));
        assert_eq!(rig.engine.poll_deadline(), Some(rig.now + second(86_400)));
    }
    let mut rig = Rig::accepting();
    rig.called(timed(1, None));
    assert_eq!(rig.engine.poll_deadline(), None, "absent is none");
    let mut rig = Rig::new(Side::Accepting, |ours, _| ours.max_deadline = Duration::MAX);
    rig.called(timed(1, Some(u64::MAX)));
}

#[test]
fn a_call_without_time_left_is_refused_unseen() {
    // DLN-6 REF-6
    let mut rig = Rig::accepting();
    assert!(rig.hear(timed(1, Some(0))).unwrap().is_empty());
    assert_eq!(names(&rig.says()), ["end 1 4 unseen"]);
    let head = CallHead {
        time_left: Some(0),
        ..CallHead::default()
    };
    let flags = Flags::END.with(Flags::ONE_WAY, true);
    let one_way = raw(Kind::Call, 3, flags, &head.encode_to_vec());
    assert!(rig.hear(one_way).unwrap().is_empty());
    assert!(rig.says().is_empty());
    rig.called(timed(5, Some(1)));
}

#[test]
fn a_released_call_past_its_deadline_is_ended_by_the_engine() {
    // DLN-3 DLN-4
    let mut rig = Rig::new(Side::Accepting, |_, theirs| theirs.initial_credit = 1_024);
    let key = rig.called(timed(1, Some(1_000)));
    rig.engine.send(key, body_of(5_000), true).unwrap();
    rig.engine.release(key);
    rig.says();
    assert_eq!(rig.engine.poll_expired(rig.now + second(1)), None);
    assert_eq!(names(&rig.says()), ["end 1 4"]);
    assert_eq!(rig.engine.open_calls(Role::Callee), 0);

    let mut rig = Rig::connecting();
    let deadline = rig.now + second(1);
    let open = Open {
        deadline: Some(deadline),
        ..open(None, true)
    };
    let key = rig.engine.open(open).unwrap();
    rig.engine.release(key);
    rig.says();
    assert_eq!(rig.engine.poll_expired(deadline), None);
    assert_eq!(names(&rig.says()), ["cancel 1 4"]);
    assert_eq!(rig.engine.calls.iter().count(), 0);
}

#[test]
fn a_deadline_that_passes_while_others_are_told_is_told_as_well() {
    let mut rig = Rig::accepting();
    let now = rig.now + second(1);
    let first = rig.called(timed(1, Some(1)));
    let second = rig.called(timed(3, Some(1)));
    assert_eq!(rig.engine.poll_expired(now), Some(first));
    rig.engine.end(first, &status(0));
    rig.engine.release(first);
    // It has the place of the first, which was looked at.
    let third = rig.called(timed(5, Some(1)));
    assert_eq!(rig.engine.poll_expired(now), Some(second));
    assert_eq!(rig.engine.poll_expired(now), None);
    assert!(rig.engine.poll_deadline().is_some_and(|at| at <= now));
    assert_eq!(rig.engine.poll_expired(now), Some(third));
    assert_eq!(rig.engine.poll_expired(now), None);
    assert_eq!(rig.engine.poll_deadline(), None);
}

#[test]
fn the_soonest_of_many_deadlines_is_told() {
    let mut rig = Rig::accepting();
    let late = rig.called(timed(1, Some(3_000_000)));
    let soon = rig.called(timed(3, Some(1_000_000)));
    assert_eq!(rig.engine.poll_deadline(), Some(rig.now + second(1)));
    assert_eq!(rig.engine.poll_expired(rig.now + second(1)), Some(soon));
    assert_eq!(rig.engine.poll_expired(rig.now + second(1)), None);
    assert_eq!(rig.engine.poll_deadline(), Some(rig.now + second(3)));
    rig.engine.end(late, &status(0));
    assert_eq!(
        rig.engine.poll_expired(rig.now + second(9)),
        None,
        "it has ended"
    );
    assert_eq!(
        rig.engine.poll_deadline(),
        None,
        "nothing is left to wait for"
    );
}

#[test]
fn a_frame_must_be_complete_in_time() {
    // TMO-2
    let mut rig = Rig::accepting();
    let frame = call(1, true);
    rig.hear(&frame[..1]).unwrap();
    let due = rig.now + second(10);
    assert_eq!(rig.engine.poll_deadline(), Some(due));
    rig.now += second(9);
    rig.hear(&frame[1..3]).unwrap();
    assert_eq!(
        rig.engine.poll_deadline(),
        Some(due),
        "more bytes buy no time"
    );
    assert_eq!(rig.engine.handle_timeout(due - second(1), false), Ok(()));
    let late = rig.engine.handle_timeout(due, false);
    assert_eq!(late, Err(Violation::FrameTimeout));
    rig.hear(&frame[3..]).unwrap();
    assert_eq!(rig.engine.handle_timeout(due, false), Ok(()));
    // The next frame has its own time.
    rig.hear(&call(3, true)[..4]).unwrap();
    assert_eq!(rig.engine.poll_deadline(), Some(rig.now + second(10)));
}

#[test]
fn a_frame_that_waited_to_be_read_has_as_much_time_again_once() {
    // TMO-5
    let mut rig = Rig::accepting();
    for id in [1, 3] {
        let frame = call(id, true);
        rig.hear(&frame[..1]).unwrap();
        rig.now += second(10);
        rig.hear(&frame[1..2]).unwrap();
        assert_eq!(rig.engine.handle_timeout(rig.now, true), Ok(()));
        let due = rig.now + second(10);
        assert_eq!(rig.engine.poll_deadline(), Some(due));
        rig.hear(&frame[2..3]).unwrap();
        let late = rig.engine.handle_timeout(due, true);
        assert_eq!(late, Err(Violation::FrameTimeout), "more bytes buy no time");
        rig.hear(&frame[3..]).unwrap();
    }
}

#[test]
fn time_in_which_nobody_read_is_not_the_peers() {
    // TMO-2
    let mut rig = Rig::accepting();
    rig.engine.handle_absence(second(60));
    assert_eq!(rig.engine.poll_deadline(), None);
    rig.hear(&call(1, true)[..1]).unwrap();
    rig.engine.handle_absence(second(60));
    let due = rig.now + second(70);
    assert_eq!(rig.engine.poll_deadline(), Some(due));
    assert_eq!(rig.engine.handle_timeout(due - second(1), false), Ok(()));
    let late = rig.engine.handle_timeout(due, false);
    assert_eq!(late, Err(Violation::FrameTimeout));
    rig.engine.handle_absence(Duration::MAX);
    assert_eq!(rig.engine.poll_deadline(), None, "too far to be counted");
}

#[test]
fn calls_that_are_taken_back_leave_what_precedes_them_in_its_place() {
    let mut rig = Rig::connecting();
    let handed = [(); 5].map(|()| rig.open(Some(3_000), true));
    let mut out = BytesMut::new();
    rig.engine.poll_output(&mut out);
    let queued = [(); 3].map(|()| rig.open(Some(3_000), true));
    let place = out.as_ptr();
    // The first has begun to leave.
    let ids = rig.ids(&[queued[1], handed[3], handed[0], handed[1]]);
    rig.engine.withdraw(&ids, (&mut out, &mut Bytes::new()), 1);
    assert_eq!(out.as_ptr(), place, "rebuilt");
    let done = |key| rig.engine.is_done(key);
    assert_eq!(handed.map(done), [false, true, false, true, false]);
    assert_eq!(queued.map(done), [false, true, false]);
    let left = names(&frames(out));
    assert_eq!(left, ["call 1 end", "call 5 end", "call 9 end"]);
    assert_eq!(names(&rig.says()), ["call 11 end", "call 15 end"]);
}

#[test]
fn a_call_that_is_taken_back_takes_the_chunk_behind_the_frames_with_it() {
    for withdrawn in [0, 1] {
        let mut rig = Rig::connecting();
        let keys = [rig.open(Some(3_000), true), rig.open(Some(100_000), true)];
        let mut out = BytesMut::new();
        let mut chunk = Bytes::new();
        assert!(rig.engine.poll_parts(&mut out, &mut chunk));
        assert_eq!(chunk.len(), 65_536);
        let ids = rig.ids(&keys[withdrawn..=withdrawn]);
        rig.engine.withdraw(&ids, (&mut out, &mut chunk), 0);
        out.extend_from_slice(&chunk);
        let left: &[_] = match withdrawn {
            0 => &["call 3", "message 3 more"],
            _ => &["call 1 end"],
        };
        assert_eq!(names(&frames(out)), left);
    }
}
