use proptest::collection::vec;
use proptest::prelude::*;

use super::stream::NONCE;
use super::*;
use crate::wire::{Accepting, Connecting, Local, Progress};

#[expect(clippy::disallowed_methods, reason = "a value; nothing waits for it")]
fn base() -> Instant {
    Instant::now()
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Connecting), Just(Side::Accepting)]
}

fn size() -> impl Strategy<Value = u16> {
    prop_oneof![0..20_u16, 300..700_u16, 0..9_000_u16]
}

prop_compose! {
    fn opening()(
        body in proptest::option::of(size()),
        deadline in proptest::option::weighted(0.3, 0..300_u16),
        end in any::<bool>(),
        one_way in proptest::bool::weighted(0.2),
        metadata in proptest::bool::weighted(0.2),
        bad_metadata in proptest::bool::weighted(0.2),
    ) -> Opening {
        Opening { body, deadline, end, one_way, metadata, bad_metadata }
    }
}

fn honest() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (side(), opening()).prop_map(|(s, o)| Op::Open(s, o)),
        5 => (side(), any::<u8>(), size(), any::<bool>()).prop_map(|(s, p, n, e)| Op::Send(s, p, n, e)),
        2 => (side(), any::<u8>(), 0..2_u8).prop_map(|(s, p, c)| Op::End(s, p, c)),
        1 => (side(), any::<u8>()).prop_map(|(s, p)| Op::Fail(s, p)),
        1 => (side(), any::<u8>()).prop_map(|(s, p)| Op::Cancel(s, p)),
        1 => (side(), any::<u8>()).prop_map(|(s, p)| Op::Release(s, p)),
        4 => (side(), any::<u8>()).prop_map(|(s, p)| Op::Consume(s, p)),
        1 => side().prop_map(Op::Ping),
        1 => (0..200_u16).prop_map(Op::Advance),
        6 => (side(), prop_oneof![0..5_u8, 0..100_u8]).prop_map(|(s, n)| Op::Pump(s, n)),
        6 => (side(), 0..3_000_u16).prop_map(|(s, n)| Op::Deliver(s, n)),
    ]
}

fn away() -> impl Strategy<Value = Op> {
    (side(), 0..2_u8).prop_map(|(s, c)| Op::GoAway(s, c))
}

fn hostile() -> impl Strategy<Value = Op> {
    let frame = (0..13_u8, 0..9_u32, any::<u8>(), vec(any::<u8>(), 0..40)).prop_map(frame);
    (
        side(),
        prop_oneof![4 => frame, 1 => vec(any::<u8>(), 0..60)],
    )
        .prop_map(|(s, bytes)| Op::Inject(s, bytes))
}

/// A frame with a true length, so that most get past the header.
fn frame((kind, call, flags, payload): (u8, u32, u8, Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    bytes.extend(call.to_le_bytes());
    bytes.extend([kind, flags, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// What the other side of a handshake says, to who accepts or to who connects.
fn part_of_the_peer(accepting: bool) -> Vec<u8> {
    let local = Local::default();
    let (connecting, mut hello) = Connecting::start(&local);
    let said = hello.to_vec();
    let Ok(Progress::Next(greeted)) = Accepting::default().handle_input(&mut hello) else {
        panic!("no HELLO");
    };
    let (_, mut welcome) = greeted.welcome(&local, [1; 16], NONCE);
    if !accepting {
        return welcome.to_vec();
    }
    let Ok(Progress::Next(welcomed)) = connecting.handle_input(&mut welcome) else {
        panic!("no WELCOME");
    };
    [said, welcomed.confirm().1.to_vec()].concat()
}

#[test]
fn a_handshake_through_the_model_comes_to_its_end() {
    for accepting in [false, true] {
        let end = shake(accepting, 7, &part_of_the_peer(accepting));
        assert!(end.is_ok_and(|end| end.contains("Established")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_pair_keeps_every_promise(ops in vec(prop_oneof![30 => honest(), 1 => away()], 0..150)) {
        let outcome = run(&ops, base());
        prop_assert!(outcome.violation.is_some() || outcome.opened == outcome.completed);
    }

    #[test]
    fn a_hostile_peer_costs_at_most_the_connection(
        ops in vec(prop_oneof![4 => honest(), 1 => hostile()], 0..80)
    ) {
        run(&ops, base());
    }

    #[test]
    fn a_stream_has_the_same_frames_however_it_is_split(
        frames in vec((0..13_u8, 0..9_u32, any::<u8>(), vec(any::<u8>(), 0..2_000)).prop_map(frame), 0..8),
        noise in vec(any::<u8>(), 0..20),
        limit in prop_oneof![Just(0), Just(1_024), Just(3_072_u32)],
        piece in 0..300_usize,
    ) {
        decode(limit, piece, &[frames.concat(), noise].concat());
    }

    #[test]
    fn a_handshake_ends_in_the_same_way_however_it_is_split(
        accepting in any::<bool>(),
        piece in 0..100_usize,
        at in 0..200_usize,
        changes in 0..3_u8,
        behind in vec(any::<u8>(), 0..20),
    ) {
        let mut stream = part_of_the_peer(accepting);
        if let Some(byte) = stream.get_mut(at) {
            *byte ^= changes;
        }
        _ = shake(accepting, piece, &[stream, behind].concat());
    }

    #[test]
    fn any_bytes_spell_operations(bytes in vec(any::<u8>(), 0..400)) {
        run(&Op::read_all(&bytes), base());
    }
}

#[test]
fn a_unary_call_through_the_model_completes() {
    let call = Opening {
        body: Some(9),
        end: true,
        ..Opening::default()
    };
    let ops = [
        Op::Open(Side::Connecting, call),
        Op::Pump(Side::Connecting, 1),
        Op::Deliver(Side::Accepting, 7),
        Op::Deliver(Side::Accepting, 99),
        Op::Send(Side::Accepting, 0, 3_000, true),
    ];
    let outcome = run(&ops, base());
    let expected = Outcome {
        opened: 1,
        completed: 1,
        messages: 2,
        violation: None,
    };
    assert_eq!(outcome, expected);
}
