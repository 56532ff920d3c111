//! A line between client and server that a test can cut.

use super::fail;
use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::spawn;

/// What becomes of what the server sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// Goes on to the client.
    Pass,
    /// Lost, and with the first byte of it both sides are cut: what was asked has happened, and nobody hears of it.
    Cut,
    /// Kept back for ever, with the connection open.
    Hold,
    /// No connection comes through, and those that are open end.
    Refuse,
}

/// Listens on a port of the loopback and passes on to another one.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    answers: Answers,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Listens, and passes on to `to`.
    pub fn start(to: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0));
        let listener = listener.unwrap_or_else(|error| fail(&format!("no proxy: {error}")));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let state = Arc::new(Mutex::new(State { answers: Answers::Pass, open: Vec::new() }));
        let shared = Arc::clone(&state);
        spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.lock().answers != Answers::Refuse {
                    let _connected = join(client, to, &shared);
                }
            }
        });
        Proxy { port, state }
    }

    /// Says what becomes of answers from now on.
    pub fn set(&self, answers: Answers) {
        let mut state = self.state.lock();
        state.answers = answers;
        if answers == Answers::Refuse {
            state.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
    }
}

fn join(client: TcpStream, to: u16, state: &Arc<Mutex<State>>) -> std::io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    state.lock().open.extend([client.try_clone()?, server.try_clone()?]);
    let (mut from, mut into) = (client.try_clone()?, server.try_clone()?);
    spawn(move || {
        let _ended = std::io::copy(&mut from, &mut into);
        let _cut = into.shutdown(Shutdown::Both);
    });
    let state = Arc::clone(state);
    spawn(move || {
        let _ended = answers(server, client, &state);
    });
    Ok(())
}

fn answers(mut server: TcpStream, mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = server.read(&mut buffer)?;
        let mode = state.lock().answers;
        if count == 0 || mode == Answers::Cut || mode == Answers::Refuse {
            let _cut = server.shutdown(Shutdown::Both);
            return client.shutdown(Shutdown::Both);
        }
        if mode == Answers::Pass {
            client.write_all(buffer.get(..count).unwrap_or_default())?;
        }
    }
}
