//! The clients of a till that is killed all the time: they go on with whoever answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};
use fastrand::Rng;
use serde_json::{Value, json};

use super::book::{Book, Told};
use crate::api::{Api, Reply};
use crate::central::Central;
use crate::clock;
use crate::printer::Printer;
use crate::receipt;
use crate::sale::Sale;
use crate::terminal::Terminal;

/// Clients that scan.
const SCANNING: u64 = 3;
/// Longest pause between two calls of a client.
const PAUSE_MS_MAX: u64 = 12;
/// Pause between two requests to bind: there is one for every two kills or so.
const BINDING_PAUSE: Duration = Duration::from_millis(300);
/// How often a client looks whether the till is back.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// How long the paper of a receipt may take while the agent lives.
const PAPER_WITHIN: Duration = Duration::from_millis(1_500);
/// First numbers of the sales that come by the API and of those that are printed.
const SALES_BY_API: u32 = 100_000;
const SALES_BY_PAPER: u32 = 500_000;

/// What all clients share: where the till is now, and whether to work.
#[derive(Debug)]
pub(super) struct Shared {
    api: Mutex<Option<(SocketAddr, String)>>,
    calm: AtomicBool,
    ending: AtomicBool,
    tap: SocketAddr,
    printer: Printer,
}

impl Shared {
    pub(super) fn new(tap: SocketAddr, printer: Printer) -> Self {
        Self {
            api: Mutex::new(None),
            calm: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            tap,
            printer,
        }
    }

    /// Tells the clients where the till's API is now.
    pub(super) fn open(&self, terminal: &Terminal) -> Result<()> {
        let token = std::fs::read_to_string(terminal.data().join("api.token"))?;
        *self.place() = Some((terminal.api_address()?, token));
        Ok(())
    }

    /// Tells the clients that the till is about to go.
    pub(super) fn close(&self) {
        *self.place() = None;
    }

    pub(super) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<(SocketAddr, String)>> {
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Waits until a client may work; returns whether it is to.
    fn wait_for_work(&self) -> bool {
        while !self.is_ending() {
            if !self.calm.load(Ordering::Relaxed) {
                return true;
            }
            thread::sleep(LOOK_PAUSE);
        }
        false
    }
}

/// Makes accounts with a member code each, good for the whole run.
pub(super) fn member_codes(central: &Central, count: u32) -> Result<Vec<(String, String)>> {
    (0..count)
        .map(|number| {
            let account = format!("tmall:{}", 700_000 + number);
            central.account(&account, "Lin Yue")?;
            let code = central.member_code(&account, "6h")?;
            Ok((account, code))
        })
        .collect()
}

/// Clients at work.
#[derive(Debug)]
pub(super) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<Book>>>,
}

impl Clients {
    pub(super) fn start(shared: &Arc<Shared>, codes: Vec<(String, String)>, rng: &mut Rng) -> Self {
        let mut threads = Vec::new();
        for number in 0..SCANNING {
            let client = Client::new(shared, rng);
            threads.push(thread::spawn(move || client.scan(number)));
        }
        let client = Client::new(shared, rng);
        threads.push(thread::spawn(move || client.sell()));
        let client = Client::new(shared, rng);
        threads.push(thread::spawn(move || client.bind(codes)));
        let client = Client::new(shared, rng);
        threads.push(thread::spawn(move || client.print()));
        Self {
            shared: Arc::clone(shared),
            threads,
        }
    }

    /// Lets all clients finish what they are at, and returns the book of all.
    pub(super) fn end(self) -> Result<Book> {
        self.shared.ending.store(true, Ordering::Relaxed);
        let mut book = Book::default();
        for client in self.threads {
            let one = client.join().map_err(|_| anyhow!("a client panicked"))??;
            book.merge(one);
        }
        Ok(book)
    }
}

struct Client {
    shared: Arc<Shared>,
    rng: Rng,
    api: Option<(SocketAddr, Api)>,
    book: Book,
}

impl Client {
    fn new(shared: &Arc<Shared>, rng: &mut Rng) -> Self {
        Self {
            shared: Arc::clone(shared),
            rng: Rng::with_seed(rng.u64(..)),
            api: None,
            book: Book::default(),
        }
    }

    /// Calls the till that is there now; none if it is away or goes away meanwhile.
    fn post(&mut self, path: &str, body: &Value) -> Result<Option<Reply>> {
        let Some((address, token)) = self.shared.place().clone() else {
            return Ok(None);
        };
        if self.api.as_ref().is_none_or(|(known, _)| *known != address) {
            self.api = Some((address, Api::new(address, &token)?));
        }
        let reply = self
            .api
            .as_ref()
            .and_then(|(_, api)| api.post(path, body).ok());
        if reply.is_none() {
            self.book.lose_answer();
            self.api = None;
        }
        Ok(reply)
    }

    fn is_there(&self) -> bool {
        self.shared.place().is_some()
    }

    fn pause(&mut self) {
        thread::sleep(Duration::from_millis(self.rng.u64(..PAUSE_MS_MAX)));
    }

    /// Scans cards, each but once: without an answer nobody knows, and it is not tried again.
    fn scan(mut self, client: u64) -> Result<Book> {
        let mut number = 0;
        while self.shared.wait_for_work() {
            if !self.is_there() {
                thread::sleep(LOOK_PAUSE);
                continue;
            }
            number += 1;
            let card = format!("627598{client:02}{number:08}");
            let told = Told::Scan(card.clone());
            self.book.send(&told);
            let reply = self.post("/v1/scans", &json!({"code": card}))?;
            self.note(reply, told);
            self.pause();
        }
        Ok(self.book)
    }

    /// Sells, and tells each sale until it is accepted, as a POS does.
    fn sell(mut self) -> Result<Book> {
        let mut sequence = SALES_BY_API;
        while self.shared.wait_for_work() {
            sequence += 1;
            let sale = Sale::numbered("S001", "1", clock::now(), sequence);
            let told = Told::sale(&sale);
            self.book.send(&told);
            while !self.shared.is_ending() {
                let reply = self.post("/v1/transactions", &sale.json())?;
                let is_over = reply.as_ref().is_some_and(|reply| reply.status != 503);
                self.note(reply, told.clone());
                if is_over {
                    break;
                }
                thread::sleep(LOOK_PAUSE);
            }
            self.pause();
        }
        Ok(self.book)
    }

    /// Binds, and tells each request until it is accepted, or known from an attempt whose answer was lost.
    fn bind(mut self, codes: Vec<(String, String)>) -> Result<Book> {
        for ((account, code), number) in codes.into_iter().zip(0u32..) {
            if !self.shared.wait_for_work() {
                break;
            }
            let card = format!("62759899{number:08}");
            let told = Told::Binding(card.clone(), account);
            self.book.send(&told);
            while !self.shared.is_ending() {
                let reply = self.post("/v1/bindings", &json!({"card": card, "code": code}))?;
                let is_over = reply.as_ref().is_some_and(|reply| reply.status != 503);
                self.note(reply, told.clone());
                if is_over {
                    break;
                }
                thread::sleep(LOOK_PAUSE);
            }
            thread::sleep(BINDING_PAUSE);
        }
        Ok(self.book)
    }

    /// Prints, each receipt but once, and sees whether the paper came out.
    fn print(mut self) -> Result<Book> {
        let mut sequence = SALES_BY_PAPER;
        while self.shared.wait_for_work() {
            if !self.is_there() {
                thread::sleep(LOOK_PAUSE);
                continue;
            }
            sequence += 1;
            let sale = Sale::numbered("S001", "1", clock::now(), sequence);
            let told = Told::sale(&sale);
            self.book.send(&told);
            let paper = receipt::printed(&sale);
            self.shared.printer.tear_off();
            let came_out = receipt::print(self.shared.tap, &paper).is_ok()
                && self
                    .shared
                    .printer
                    .wait_for_bytes(paper.len(), PAPER_WITHIN)
                    .is_ok_and(|bytes| bytes == paper);
            if came_out {
                self.book.print(told);
            }
            self.pause();
        }
        Ok(self.book)
    }

    fn note(&mut self, reply: Option<Reply>, told: Told) {
        let Some(reply) = reply else { return };
        match (reply.status, reply.body["seq"].as_u64()) {
            (202, Some(seq)) => self.book.acknowledge(seq, told),
            _ => {
                let why = reply.body["error"].as_str().unwrap_or("no reason");
                self.book.refuse(&format!("{} {why}", reply.status));
            }
        }
    }
}
