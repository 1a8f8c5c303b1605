//! A service with every shape, and both ends of a connection to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipc::testing::{End, Split, pair};
use ipc::{
    Access, Call, Client, Error, Handling, Incoming, Method, Policy, Receiver, Sender, Server,
    Service, Shape, SocketPath, Status,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// The message of every test method.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    /// What is echoed, or asked for.
    #[prost(string, tag = "1")]
    pub text: String,
    /// How often, how many, how large.
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

pub fn text(text: &str) -> Text {
    Text {
        text: text.into(),
        count: 0,
    }
}

pub fn count(count: u32) -> Text {
    Text {
        text: String::new(),
        count,
    }
}

pub static METHODS: [Method; 10] = [
    Method::new("test.Echo/Echo", Shape::Unary),
    Method::new("test.Echo/Many", Shape::ServerStreaming),
    Method::new("test.Echo/Sum", Shape::ClientStreaming),
    Method::new("test.Echo/Chat", Shape::Bidirectional),
    Method::new("test.Echo/Note", Shape::OneWay),
    Method::new("test.Echo/Wait", Shape::Unary),
    Method::new("test.Echo/Panic", Shape::Unary),
    Method::new("test.Echo/Fail", Shape::Unary),
    Method::new("test.Echo/OnlyRoot", Shape::Unary).access(Access::Root),
    Method::new("test.Echo/Back", Shape::Unary),
];
pub static ECHO: &Method = &METHODS[0];
pub static MANY: &Method = &METHODS[1];
pub static SUM: &Method = &METHODS[2];
pub static CHAT: &Method = &METHODS[3];
pub static NOTE: &Method = &METHODS[4];
pub static WAIT: &Method = &METHODS[5];
pub static PANIC: &Method = &METHODS[6];
pub static FAIL: &Method = &METHODS[7];
pub static ONLY_ROOT: &Method = &METHODS[8];
pub static BACK: &Method = &METHODS[9];
pub static MISSING: Method = Method::new("test.Echo/Missing", Shape::Unary);

/// What the handlers saw, and what they wait for.
#[derive(Debug, Default)]
pub struct Seen {
    /// Handlers of `Wait` that have begun.
    pub waiting: Notify,
    /// Handlers of `Wait` that were dropped before their end.
    pub dropped: Notify,
    /// Tokens that were cancelled.
    pub cancelled: Notify,
    /// Lets one handler of `Wait` go on.
    pub go: Notify,
    /// One-way calls.
    pub notes: AtomicU32,
    /// Calls of `Echo` that ran.
    pub echoes: AtomicU32,
    /// Rung after each one-way call.
    pub noted: Notify,
}

#[derive(Clone, Debug, Default)]
pub struct Echo(pub Arc<Seen>);

impl Service for Echo {
    fn name(&self) -> &'static str {
        "test.Echo"
    }

    fn methods(&self) -> &'static [Method] {
        &METHODS
    }

    fn schema(&self) -> u64 {
        1
    }

    fn call(&self, method: usize, incoming: Incoming) -> Handling {
        let seen = Arc::clone(&self.0);
        match method {
            0 => incoming.unary(move |call: Call<Text>| async move {
                seen.echoes.fetch_add(1, Ordering::Relaxed);
                if let Some(value) = call.metadata.get("echo") {
                    call.answer_with("echoed", value.clone());
                }
                Ok(call.body)
            }),
            1 => incoming.server_streaming(many),
            2 => incoming.client_streaming(sum),
            3 => incoming.bidirectional(chat),
            4 => incoming.one_way(move |_: Call<Text>| async move {
                seen.notes.fetch_add(1, Ordering::Relaxed);
                seen.noted.notify_one();
            }),
            5 => incoming.unary(move |call| wait(seen, call)),
            6 => incoming.unary(|call: Call<Text>| async move { panic_if(call.body) }),
            7 => incoming.unary(|call: Call<Text>| async move { fail(&call.body) }),
            8 => incoming.unary(|call: Call<Text>| async move { Ok::<_, Status>(call.body) }),
            9 => incoming.unary(back),
            _ => incoming.unimplemented(),
        }
    }
}

async fn many(call: Call<Text>, out: Sender<Text>) -> Result<(), Status> {
    for number in 0..call.body.count {
        out.send(Text {
            text: call.body.text.clone(),
            count: number,
        })
        .await?;
    }
    Ok(())
}

async fn sum(mut call: Call<Receiver<Text>>) -> Result<Text, Status> {
    let mut sum = 0;
    while let Some(text) = call.body.recv().await? {
        sum += text.count;
    }
    Ok(count(sum))
}

async fn chat(mut call: Call<Receiver<Text>>, out: Sender<Text>) -> Result<(), Status> {
    while let Some(text) = call.body.recv().await? {
        out.send(text).await?;
    }
    Ok(())
}

async fn wait(seen: Arc<Seen>, call: Call<Text>) -> Result<Text, Status> {
    struct Rings(Arc<Seen>, bool);
    impl Drop for Rings {
        fn drop(&mut self) {
            if !self.1 {
                self.0.dropped.notify_one();
            }
        }
    }
    let token = call.cancelled();
    let watcher = Arc::clone(&seen);
    let mut watch = tokio::task::JoinSet::from_iter([async move {
        token.cancelled().await;
        watcher.cancelled.notify_one();
    }]);
    watch.detach_all();
    let mut rings = Rings(Arc::clone(&seen), false);
    seen.waiting.notify_one();
    seen.go.notified().await;
    rings.1 = true;
    Ok(call.body)
}

fn panic_if(body: Text) -> Result<Text, Status> {
    assert!(body.text != "panic", "asked to panic");
    Ok(body)
}

fn fail(body: &Text) -> Result<Text, Status> {
    let code = ipc::Code::from_u32(body.count);
    Err(Status::new(code, body.text.clone()).with_details(&b"details"[..]))
}

async fn back(call: Call<Text>) -> Result<Text, Status> {
    let client = call.client();
    Ok(client.unary(ECHO, call.body).await?)
}

/// Both ends in memory; both serve `Echo`.
pub async fn memory(split: Split) -> (Client, Client, Arc<Seen>) {
    let echo = Echo::default();
    let seen = Arc::clone(&echo.0);
    let (near, far) = pair(
        End::new().service(Echo::default()),
        End::new().service(echo),
        split,
    )
    .await
    .unwrap();
    (near, far, seen)
}

/// A daemon on a real socket, in this process.
pub struct Daemon {
    pub path: SocketPath,
    pub seen: Arc<Seen>,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::start_with(|server| server)
    }

    pub fn start_with(choose: impl FnOnce(ipc::ServerBuilder) -> ipc::ServerBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = SocketPath::at(folder.path().join("d.sock")).unwrap();
        let echo = Echo::default();
        let seen = Arc::clone(&echo.0);
        let server = choose(Server::builder(path.clone()).service(echo))
            .bind()
            .unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "joined by `stop`")]
        let task = tokio::spawn(server.serve_until(stopped));
        Self {
            path,
            seen,
            folder,
            stop: Some(stop),
            task,
        }
    }

    pub async fn connect(&self) -> Client {
        self.client().connect().await.unwrap()
    }

    pub fn client(&self) -> ipc::ClientBuilder {
        Client::builder(self.path.clone())
            .service(Echo::default())
            .trust(Policy::any_user())
            .connect_within(Duration::from_secs(20))
    }

    /// Asks the daemon to stop.
    pub fn ask_to_stop(&mut self) {
        self.stop.take().into_iter().for_each(drop);
    }

    /// Stops the daemon and waits for its end.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.ask_to_stop();
        self.task.await.unwrap()
    }
}
