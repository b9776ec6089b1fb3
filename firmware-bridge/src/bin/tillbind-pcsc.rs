//! Tells what happens at the PC/SC readers of this machine, a line of JSON a happening.
//!
//! `tillbind-pcsc [PART]` watches all readers whose name holds PART, or all. The agent starts it for
//! `[[nfc]] port = "pcsc"` and again when it dies; it ends when its standard input does. The lines
//! are those of `tillbind_firmware_bridge::nfc::pcsc`.
//!
//! A reader that comes later is found, and a service that stops is asked again, with pauses up to
//! [`PAUSE_MAX`]. A card is asked for its number once, when it is laid on the reader.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use pcsc::{Context, Error, Protocols, ReaderState, Scope, ShareMode, State};
use tillbind_firmware_bridge::nfc::pcsc::{ChipNumber, GET_UID, PcscEvent, uid_of_answer};

/// How long one wait for a change takes at the most.
const WAIT: Duration = Duration::from_secs(1);
/// The first and the longest pause before the service is asked again.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a card that just came is asked before it counts as unreadable.
const ASKS_MAX: u8 = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.next().unwrap_or_default();
    if arguments.next().is_some() || part.starts_with('-') {
        let usage = "usage: tillbind-pcsc [PART OF A READER'S NAME]\n";
        return match io::stderr().write_all(usage.as_bytes()) {
            Ok(()) | Err(_) => ExitCode::from(2),
        };
    }
    thread::spawn(end_with_the_agent);
    let mut watch = Watch {
        part,
        cards: BTreeMap::new(),
        fault: None,
    };
    // Only a standard output that nobody reads any more ends this.
    match watch.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Ends the process with its standard input, which the agent holds open as long as it lives.
fn end_with_the_agent() {
    let mut byte = [0];
    loop {
        match io::stdin().read(&mut byte) {
            Ok(0) => std::process::exit(0),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => std::process::exit(0),
        }
    }
}

struct Watch {
    part: String,
    /// The readers that are told, and whether a card is told to lie on each.
    cards: BTreeMap<CString, bool>,
    /// The last fault told, so that it is told once.
    fault: Option<String>,
}

impl Watch {
    fn run(&mut self) -> io::Result<()> {
        let mut pause = PAUSE_MIN;
        loop {
            let error = match Context::establish(Scope::User) {
                Ok(context) => {
                    pause = PAUSE_MIN;
                    self.watch(&context)?
                }
                Err(error) => error,
            };
            self.forget_all()?;
            self.tell_fault(remedy(error))?;
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Watches until the service fails; returns how.
    fn watch(&mut self, context: &Context) -> io::Result<Error> {
        let mut states = vec![ReaderState::new(pcsc::PNP_NOTIFICATION(), State::UNAWARE)];
        loop {
            if let Err(error) = self.look_for_readers(context, &mut states)? {
                return Ok(error);
            }
            match context.get_status_change(WAIT, &mut states) {
                Ok(()) => {}
                Err(Error::Timeout) => continue,
                Err(error) => return Ok(error),
            }
            for state in &mut states {
                state.sync_current_state();
                if state.name() != pcsc::PNP_NOTIFICATION() {
                    self.look_at(context, state)?;
                }
            }
        }
    }

    /// Adds readers that have come and takes away those that are gone.
    fn look_for_readers(
        &mut self,
        context: &Context,
        states: &mut Vec<ReaderState>,
    ) -> io::Result<Result<(), Error>> {
        let names = match context.list_readers_owned() {
            Ok(names) => names,
            Err(Error::NoReadersAvailable) => Vec::new(),
            Err(error) => return Ok(Err(error)),
        };
        let wanted: Vec<CString> = names
            .into_iter()
            .filter(|name| name.to_string_lossy().contains(&self.part))
            .collect();
        states.retain(|state| {
            state.name() == pcsc::PNP_NOTIFICATION()
                || wanted.iter().any(|name| name.as_c_str() == state.name())
        });
        let gone: Vec<CString> = self
            .cards
            .keys()
            .filter(|name| !wanted.contains(name))
            .cloned()
            .collect();
        for name in gone {
            self.forget(&name)?;
        }
        for name in wanted {
            if !self.cards.contains_key(&name) {
                tell(&PcscEvent::Reader {
                    reader: shown(&name),
                })?;
                self.fault = None;
                self.cards.insert(name.clone(), false);
                states.push(ReaderState::new(name, State::UNAWARE));
            }
        }
        if self.cards.is_empty() {
            let what = match self.part.as_str() {
                "" => "no PC/SC reader is there".to_owned(),
                part => format!("no PC/SC reader is there whose name holds {part:?}"),
            };
            self.tell_fault(format!(
                "{what}: plug it in, install its driver (on Debian libccid), or correct reader"
            ))?;
        }
        Ok(Ok(()))
    }

    fn look_at(&mut self, context: &Context, state: &ReaderState) -> io::Result<()> {
        let name = state.name().to_owned();
        let now = state.event_state();
        let was_there = self.cards.get(&name).copied().unwrap_or(false);
        let is_there = now.contains(State::PRESENT) && !now.contains(State::MUTE);
        if is_there == was_there {
            return Ok(());
        }
        self.cards.insert(name.clone(), is_there);
        let reader = shown(&name);
        if !is_there {
            return tell(&PcscEvent::Removed { reader });
        }
        match ask(context, &name) {
            Ok(uid) => {
                self.fault = None;
                tell(&PcscEvent::Card {
                    reader,
                    uid: ChipNumber(uid),
                })
            }
            Err(reason) => {
                self.fault = None;
                self.tell_fault(format!("{reader}: {reason}"))
            }
        }
    }

    fn forget(&mut self, name: &CString) -> io::Result<()> {
        let reader = shown(name);
        if self.cards.remove(name) == Some(true) {
            tell(&PcscEvent::Removed {
                reader: reader.clone(),
            })?;
        }
        tell(&PcscEvent::Gone { reader })
    }

    fn forget_all(&mut self) -> io::Result<()> {
        let names: Vec<CString> = self.cards.keys().cloned().collect();
        names.iter().try_for_each(|name| self.forget(name))
    }

    fn tell_fault(&mut self, reason: String) -> io::Result<()> {
        if self.fault.as_ref() == Some(&reason) {
            return Ok(());
        }
        self.fault = Some(reason.clone());
        tell(&PcscEvent::Fault { reason })
    }
}

/// Asks the card on a reader for its number.
fn ask(context: &Context, name: &CString) -> Result<tillbind_firmware_bridge::nfc::Uid, String> {
    let mut asks = 1;
    loop {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
        let answer = context
            .connect(name, ShareMode::Shared, Protocols::ANY)
            .and_then(|card| card.transmit(&GET_UID, &mut buffer).map(<[u8]>::to_vec));
        match answer {
            Ok(answer) => return uid_of_answer(&answer).map_err(|error| error.to_string()),
            // Laid on askew: the chip loses its power now and again.
            Err(_) if asks < ASKS_MAX => asks += 1,
            Err(error) if is_refused(error) => {
                return Err(format!("the card cannot be read ({error}): {LET_IN}"));
            }
            Err(error) => {
                return Err(format!(
                    "the card cannot be read ({error}): hold it still and try again"
                ));
            }
        }
    }
}

fn shown(name: &CString) -> String {
    name.to_string_lossy().into_owned()
}

fn tell(event: &PcscEvent) -> io::Result<()> {
    let line = event.to_line().map_err(io::Error::other)?;
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes())?;
    output.flush()
}

/// What to do where pcscd asks polkit, and polkit does not know the agent's user.
const LET_IN: &str = "pcscd refuses the agent's user: run install.sh again, which lets the user \
                      tillbind in by a rule of polkit (below /etc/polkit-1: 70-tillbind.rules, or \
                      70-tillbind.pkla before polkit 0.106)";

fn is_refused(error: Error) -> bool {
    matches!(error, Error::NoAccess | Error::SecurityViolation)
}

/// Says what happened and what to do.
fn remedy(error: Error) -> String {
    let advice = if matches!(error, Error::NoService | Error::ServiceStopped) {
        "install pcscd and start it (systemctl enable --now pcscd.socket)"
    } else if is_refused(error) {
        LET_IN
    } else {
        "unplug the reader and plug it in again; restart pcscd"
    };
    format!("the PC/SC service does not answer ({error}): {advice}")
}
