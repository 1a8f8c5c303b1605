//! Peers that ask for more than they take. What they make the daemon hold is bounded.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use ipc::wire::messages::{CallHead, End};
use ipc::wire::{Flags, Kind};
use prost::Message;

use crate::raw::{Host, Raw, call, frame, generous, open};
use crate::support::*;

/// Writes until the other side closes, and reads nothing meanwhile.
fn writes_until_closed(peer: &mut Raw, bytes: &[u8]) {
    let limit = 1 << 30;
    let mut written = 0;
    while peer.socket.write_all(bytes).is_ok() {
        written += bytes.len();
        assert!(written < limit, "took {written} bytes without an end");
    }
}

#[test]
fn pings_whose_answers_are_not_read_end_the_connection() {
    // [FLD-1]
    let host = Host::new();
    let pings = frame(Kind::Ping, 0, Flags::NONE, &[]).repeat(1_000);
    let mut peer = host.peer();
    writes_until_closed(&mut peer, &pings);
    host.is_unharmed();
}

#[test]
fn pings_whose_answers_are_read_are_answered_however_many_come_at_once() {
    let host = Host::new();
    let mut peer = host.peer();
    let pings = frame(Kind::Ping, 0, Flags::NONE, &[]).repeat(10_000);
    let mut writer = Raw::new(peer.socket.try_clone().unwrap());
    let writing = std::thread::spawn(move || assert!(writer.send(&pings)));
    for _ in 0..10_000 {
        assert_eq!(peer.next().unwrap().header.kind, Kind::Pong);
    }
    writing.join().unwrap();
}

#[test]
fn ten_thousand_calls_beyond_the_most_are_refused_one_by_one() {
    // [REF-1] [REF-5]
    let host = Host::new();
    let mut peer = host.peer();
    let calls = 256;
    let mut bytes = Vec::new();
    for number in 0..calls {
        bytes.extend(call(number * 2 + 1, WAIT, &text("")));
    }
    peer.send(&bytes);
    let first = calls * 2 + 1;
    let beyond = (0..10_000).flat_map(|number| call(first + number * 2, ECHO, &text("")));
    let beyond = beyond.collect::<Vec<_>>();
    let mut writer = Raw::new(peer.socket.try_clone().unwrap());
    let writing = std::thread::spawn(move || assert!(writer.send(&beyond)));
    for number in 0..10_000 {
        let end = peer.ended(first + number * 2);
        assert_eq!((end.code, end.unseen), (8, true));
    }
    writing.join().unwrap();
    for _ in 0..calls {
        host.runtime
            .block_on(soon(host.daemon.seen.waiting.notified()));
        host.daemon.seen.go.notify_one();
        peer.until(Kind::Message);
        host.daemon.seen.waiting.notify_one();
    }
    host.is_unharmed();
}

#[test]
fn calls_whose_answers_are_not_read_end_the_connection() {
    let host = Host::new();
    let mut peer = host.peer();
    let request = text(&"x".repeat(1_000));
    let mut id = 1;
    let closed = loop {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.extend(call(id, ECHO, &request));
            id += 2;
        }
        if peer.socket.write_all(&bytes).is_err() {
            break true;
        }
        if id > 2_000_000 {
            break false;
        }
    };
    assert!(closed, "it took a million calls");
    host.is_unharmed();
}

#[test]
fn answers_that_are_cancelled_and_not_read_are_bounded_too() {
    let host = Host::new();
    let mut peer = host.peer();
    let mut id = 1;
    let closed = loop {
        let mut bytes = Vec::new();
        for _ in 0..100 {
            bytes.extend(call(id, LARGE, &count(60_000)));
            bytes.extend(frame(Kind::Cancel, id, Flags::NONE, &[]));
            id += 2;
        }
        if peer.socket.write_all(&bytes).is_err() {
            break true;
        }
        if id > 2_000_000 {
            break false;
        }
    };
    assert!(closed, "it took a million calls");
    host.is_unharmed();
}

#[test]
fn a_peer_that_stops_reading_is_let_go_in_time() {
    // [TMO-3]
    let host = Host::with(limits(|limits| limits.write = Duration::from_millis(100)));
    let mut eager = generous();
    eager.initial_credit = 1 << 30;
    let mut peer = host.peer_with(eager);
    let calls = (0..4).flat_map(|number| call(number * 2 + 1, LARGE, &count(4_000_000)));
    peer.send(&calls.collect::<Vec<_>>());
    host.runtime.block_on(soon(async {
        // The next call finds the place of the connection empty.
        while peer.send(&frame(Kind::Pong, 0, Flags::NONE, &[])) {
            tokio::task::yield_now().await;
        }
    }));
    host.is_unharmed();
}

#[test]
fn a_peer_that_gives_no_credit_holds_no_more_than_its_calls() {
    let host = Host::new();
    let mut poor = generous();
    poor.initial_credit = 1_024;
    let mut peer = host.peer_with(poor);
    for number in 0..256 {
        peer.call(number * 2 + 1, LARGE, &count(10_000));
    }
    let mut seen = HashSet::new();
    while seen.len() < 256 {
        let came = peer.until(Kind::Message);
        assert_eq!(came.header.flags, Flags::MORE);
        assert!(came.payload.len() <= 1_024 - 12);
        seen.insert(came.header.call);
    }
    peer.call(513, ECHO, &text("one more"));
    let end = peer.ended(513);
    assert_eq!((end.code, end.unseen), (8, true));
    // Whoever gives up makes room at once.
    peer.frame(Kind::Cancel, 1, Flags::NONE, &[]);
    peer.call(515, ECHO, &text("now"));
    assert_eq!(peer.answered(515).text, "now");
    host.is_unharmed();
}

#[test]
fn a_deadline_ends_an_answer_that_waits_for_credit() {
    let host = Host::new();
    let mut poor = generous();
    poor.initial_credit = 1_024;
    let mut peer = host.peer_with(poor);
    let head = CallHead {
        method: LARGE.id(),
        time_left: Some(50_000),
        body: Some(count(10_000).encode_to_vec().into()),
        ..CallHead::default()
    };
    peer.frame(Kind::Call, 1, Flags::END, &head.encode_to_vec());
    assert_eq!(peer.until(Kind::Message).header.flags, Flags::MORE);
    let end = peer.ended(1);
    assert_eq!((end.code, end.unseen), (4, false));
}

#[test]
fn a_peer_that_never_pauses_cannot_stop_the_clock() {
    let host = Host::new();
    let mut peer = host.peer();
    let head = CallHead {
        method: WAIT.id(),
        time_left: Some(50_000),
        body: Some(Vec::new().into()),
        ..CallHead::default()
    };
    peer.frame(Kind::Call, 1, Flags::END, &head.encode_to_vec());
    let noise = frame(Kind::Unknown(99), 0, Flags::NONE, &[0; 60_000]);
    let mut writer = Raw::new(peer.socket.try_clone().unwrap());
    let writing = std::thread::spawn(move || while writer.send(&noise) {});
    let end: End = peer.ended(1);
    assert_eq!(end.code, 4);
    drop(peer.socket.shutdown(std::net::Shutdown::Both));
    writing.join().unwrap();
}

#[test]
fn small_messages_between_large_noise_do_not_hold_the_noise() {
    let host = Host::new();
    let mut peer = host.peer();
    peer.send(&open(1, DEAF));
    host.runtime
        .block_on(soon(host.daemon.seen.waiting.notified()));
    let before = resident();
    let mut bytes = frame(Kind::Message, 1, Flags::NONE, &count(1).encode_to_vec());
    bytes.extend(frame(Kind::Unknown(99), 0, Flags::NONE, &[0; 65_000]));
    for _ in 0..4_000 {
        peer.send(&bytes);
    }
    // Answered means taken up.
    peer.frame(Kind::Ping, 0, Flags::NONE, &[]);
    peer.until(Kind::Pong);
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 100 << 20, "{grown} bytes for 4000 small messages");
    }
    host.daemon.seen.go.notify_one();
    peer.frame(Kind::End, 1, Flags::NONE, &[]);
    assert_eq!(peer.answered(1).count, 4_000);
}

#[test]
fn unread_messages_between_large_noise_cost_no_more_than_their_credit() {
    let host = Host::new();
    let mut peer = host.peer();
    let calls = (0..24).map(|number| number * 2 + 1).collect::<Vec<_>>();
    peer.send(
        &calls
            .iter()
            .flat_map(|id| open(*id, DEAF))
            .collect::<Vec<_>>(),
    );
    let noise = frame(Kind::Unknown(99), 0, Flags::NONE, &[0; 62_000]).repeat(2);
    let before = resident();
    for id in calls {
        let mut bytes = frame(Kind::Message, id, Flags::NONE, &[0; 4_096]);
        bytes.extend(&noise);
        for _ in 0..60 {
            peer.send(&bytes);
        }
    }
    // Answered means taken up.
    peer.frame(Kind::Ping, 0, Flags::NONE, &[]);
    peer.until(Kind::Pong);
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 100 << 20, "{grown} bytes for 6 MiB of messages");
    }
    host.is_unharmed();
}

#[test]
fn tiny_messages_in_pieces_do_not_hold_large_buffers() {
    let host = Host::new();
    let client = host.runtime.block_on(host.daemon.connect());
    let large = text(&"x".repeat(4_000_000));
    let mut peer = host.peer();
    peer.send(&open(1, DEAF));
    host.runtime
        .block_on(soon(host.daemon.seen.waiting.notified()));
    let noise = frame(Kind::Unknown(99), 0, Flags::NONE, &[0; 60_000]);
    let mut bytes = noise.repeat(3);
    bytes.extend(frame(Kind::Message, 1, Flags::MORE, b""));
    let whole = count(1).encode_to_vec();
    bytes.extend(frame(Kind::Message, 1, Flags::NONE, &whole));
    bytes.extend(noise);
    let before = resident();
    for _ in 0..40 {
        // Leaves a large buffer for the next one.
        host.runtime.block_on(async {
            client.one_way(NOTE, large.clone()).await.unwrap();
            soon(host.daemon.seen.noted.notified()).await;
        });
        peer.send(&bytes);
        // Answered means taken up.
        peer.frame(Kind::Ping, 0, Flags::NONE, &[]);
        peer.until(Kind::Pong);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 100 << 20, "{grown} bytes for 40 tiny messages");
    }
    host.daemon.seen.go.notify_one();
    peer.frame(Kind::End, 1, Flags::NONE, &[]);
    assert_eq!(peer.answered(1).count, 40);
}

/// Bytes of memory this process has, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes = line.split_whitespace().nth(1)?.parse::<usize>().ok()?;
    Some(kilobytes * 1_024)
}
