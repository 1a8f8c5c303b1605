//! The pure core: frames alone, and a message from one engine to the other.
#![expect(missing_docs, reason = "a macro of criterion makes a public function")]

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipc::Limits;
use ipc::codec::FrameCodec;
use ipc::wire::messages::{CallHead, PeerLimits};
use ipc::wire::{
    Body, Decoder, Engine, Established, Event, Flags, Frame, Header, Key, Kind, Open, RawFrame,
    Side,
};
use tokio_util::codec::Encoder as _;

const SIZES: [(&str, usize); 3] = [("64B", 64), ("4KiB", 4 << 10), ("1MiB", 1 << 20)];
/// The largest payload of one frame; larger messages are chunks.
const CHUNK: usize = 131_072;
const MAX_FRAME: u32 = 131_072;

/// Header and payload into a buffer, and out of it, without a call.
fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for (name, size) in SIZES {
        group.throughput(Throughput::BytesDecimal(bytes_of(size)));
        let message = Bytes::from(vec![7; size]);
        group.bench_with_input(BenchmarkId::new("encode", name), &message, |b, message| {
            let mut out = BytesMut::with_capacity(2 * size + 4_096);
            b.iter(|| {
                out.clear();
                encode(black_box(message), &mut out);
                black_box(out.len())
            });
        });
        let mut encoded = BytesMut::new();
        encode(&message, &mut encoded);
        let decoder = Decoder::new(MAX_FRAME);
        group.bench_with_input(BenchmarkId::new("decode", name), &encoded, |b, encoded| {
            b.iter_batched_ref(
                || encoded.clone(),
                |buffer| decode(decoder, buffer),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn decode(decoder: Decoder, buffer: &mut BytesMut) {
    while let Ok(Some(raw)) = decoder.decode(buffer) {
        black_box(Frame::parse(raw).is_ok());
    }
}

fn encode(message: &Bytes, out: &mut BytesMut) {
    let mut codec = FrameCodec::new(MAX_FRAME);
    let mut rest = message.clone();
    while !rest.is_empty() {
        let payload = rest.split_to(rest.len().min(CHUNK));
        let header = Header::new(Kind::Message, 1, Flags::MORE, 0);
        assert!(codec.encode(RawFrame { header, payload }, out).is_ok());
    }
}

/// A message of an open stream: send, write, read, take, give credit back.
fn engines(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    for (name, size) in SIZES {
        group.throughput(Throughput::BytesDecimal(bytes_of(size)));
        let message = Bytes::from(vec![7; size]);
        group.bench_function(BenchmarkId::new("send", name), |b| {
            let mut pair = Pair::new();
            let key = pair.open();
            b.iter_custom(|rounds| pair.measure(rounds, key, &message, Half::Send));
        });
        group.bench_function(BenchmarkId::new("receive", name), |b| {
            let mut pair = Pair::new();
            let key = pair.open();
            b.iter_custom(|rounds| pair.measure(rounds, key, &message, Half::Receive));
        });
        group.bench_function(BenchmarkId::new("unary", name), |b| {
            let mut pair = Pair::new();
            b.iter(|| pair.unary(black_box(&message)));
        });
    }
    group.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Send,
    Receive,
}

struct Pair {
    now: Instant,
    caller: Engine<()>,
    called: Engine<()>,
    to_caller: BytesMut,
    to_called: BytesMut,
}

impl Pair {
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    fn new() -> Self {
        let mut limits = Limits::default();
        limits.initial_credit = 4 << 20;
        let established = Established {
            limits: PeerLimits::from(&limits),
            ..Established::default()
        };
        Self {
            now: Instant::now(),
            caller: Engine::new(Side::Connecting, &limits, &established),
            called: Engine::new(Side::Accepting, &limits, &established),
            to_caller: BytesMut::new(),
            to_called: BytesMut::new(),
        }
    }

    /// Opens a stream of the caller's; returns its key on both sides.
    fn open(&mut self) -> (Key, Key) {
        let key = self.call(None, false);
        while self.caller.poll_output(&mut self.to_called) {}
        match self.called.handle_input(&mut self.to_called, self.now) {
            Ok(Some(Event::Call { key: called, .. })) => (key, called),
            other => panic!("{other:?}"),
        }
    }

    fn call(&mut self, body: Option<Body<'_>>, end: bool) -> Key {
        let head = CallHead {
            method: 0x207e_3d5e,
            ..CallHead::default()
        };
        let open = Open {
            head,
            body,
            end,
            one_way: false,
            deadline: None,
        };
        self.caller.open(open).expect("a call may be open")
    }

    /// The time that one half of passing the message takes, over all rounds.
    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
    fn measure(
        &mut self,
        rounds: u64,
        (caller, called): (Key, Key),
        message: &Bytes,
        half: Half,
    ) -> std::time::Duration {
        let (mut sending, mut receiving) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        for _ in 0..rounds {
            let start = Instant::now();
            let sent = self
                .caller
                .send(caller, Body::Bytes(message.clone()), false);
            sent.expect("the stream is open");
            while self.caller.poll_output(&mut self.to_called) {}
            let middle = Instant::now();
            let events = self.called.handle_input(&mut self.to_called, self.now);
            let Ok(Some(Event::Message { whole, .. })) = events else {
                panic!("{events:?}");
            };
            self.called.consumed(called, whole.cost).expect("credit");
            black_box(whole.bytes);
            receiving += middle.elapsed();
            sending += middle - start;
            self.to_called.clear();
            while self.called.poll_output(&mut self.to_caller) {}
            let credit = self.caller.handle_input(&mut self.to_caller, self.now);
            assert!(matches!(credit, Ok(None)), "{credit:?}");
        }
        if half == Half::Send {
            sending
        } else {
            receiving
        }
    }

    /// A whole call: the message there, and back.
    fn unary(&mut self, message: &Bytes) {
        let key = self.call(Some(Body::Bytes(message.clone())), true);
        while self.caller.poll_output(&mut self.to_called) {}
        let mut called = None;
        while let Ok(Some(event)) = self.called.handle_input(&mut self.to_called, self.now) {
            if let Event::Call { key, .. } = event {
                called = Some(key);
            }
        }
        let called = called.expect("the call arrived");
        let sent = self.called.send(called, Body::Bytes(message.clone()), true);
        sent.expect("the call is open");
        while self.called.poll_output(&mut self.to_caller) {}
        let answer = self.caller.handle_input(&mut self.to_caller, self.now);
        assert!(matches!(answer, Ok(Some(Event::Message { end: true, .. }))));
        self.caller.release(key);
        self.called.release(called);
    }
}

fn bytes_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

criterion_group!(benches, frames, engines);
criterion_main!(benches);
