//! A drive with a volatile cache, for a virtual machine: a server of the NBD protocol on a local socket.
//!
//! It is told every write and flush as the machine's kernel issues them, in order, without root, loop
//! devices or FUSE. Requests that are there together count as under way together: a flush covers only
//! writes that had been answered before it came. It offers neither discard nor write-zeroes nor FUA, so
//! that a write is a write and QEMU makes flushes of the rest.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use anyhow::{Context, Result};

use super::tape::Tape;

const GREETING: &[u8; 16] = b"NBDMAGICIHAVEOPT";
const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;
/// Fixed newstyle, no trailing zeros.
const HANDSHAKE_FLAGS: u16 = 3;
/// Has flags, takes flushes.
const EXPORT_FLAGS: u16 = 1 | 4;
const OPTION_ABORT: u32 = 2;
const OPTION_INFO: u32 = 6;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 0x8000_0001;
const COMMAND_READ: u16 = 0;
const COMMAND_WRITE: u16 = 1;
const COMMAND_DISCONNECT: u16 = 2;
const COMMAND_FLUSH: u16 = 3;
const ERROR_INVALID: u32 = 22;
const ERROR_NO_SPACE: u32 = 28;
/// Longest option or transfer, in bytes: QEMU's own limit.
const LENGTH_MAX: u32 = 32 * 1024 * 1024;

#[derive(Debug)]
struct Request {
    command: u16,
    handle: u64,
    offset: u64,
    length: usize,
    bytes: Vec<u8>,
}

/// Serves one machine at `socket` until it goes.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn serve(socket: &Path, tape: Tape) -> Result<()> {
    let listener =
        UnixListener::bind(socket).with_context(|| format!("no socket {}", socket.display()))?;
    thread::spawn(move || {
        // A machine that is killed ends the connection in the middle of anything.
        if let Ok((stream, _)) = listener.accept() {
            drop(attend(stream, &tape));
        }
    });
    Ok(())
}

fn attend(mut stream: UnixStream, tape: &Tape) -> io::Result<()> {
    if !negotiate(&mut stream, tape.disk_bytes())? {
        return Ok(());
    }
    let (sender, requests) = mpsc::channel();
    let reading = stream.try_clone()?;
    thread::spawn(move || {
        let mut reading = io::BufReader::with_capacity(1024 * 1024, reading);
        while let Ok(Some(request)) = read_request(&mut reading) {
            if sender.send(request).is_err() {
                break;
            }
        }
    });
    work(&mut stream, &requests, tape)
}

/// Returns whether the client goes on to read and write.
fn negotiate(stream: &mut UnixStream, disk_bytes: u64) -> io::Result<bool> {
    stream.write_all(GREETING)?;
    stream.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    number::<4>(stream)?;
    loop {
        if u64::from_be_bytes(number(stream)?) != OPTION_MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let option = u32::from_be_bytes(number(stream)?);
        let length = u32::from_be_bytes(number(stream)?);
        read_bytes(stream, length)?;
        match option {
            OPTION_GO | OPTION_INFO => {
                let mut info = vec![0, 0];
                info.extend_from_slice(&disk_bytes.to_be_bytes());
                info.extend_from_slice(&EXPORT_FLAGS.to_be_bytes());
                answer_option(stream, option, REPLY_INFO, &info)?;
                answer_option(stream, option, REPLY_ACK, &[])?;
                if option == OPTION_GO {
                    return Ok(true);
                }
            }
            OPTION_ABORT => {
                answer_option(stream, option, REPLY_ACK, &[])?;
                return Ok(false);
            }
            _ => answer_option(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn answer_option(
    stream: &mut UnixStream,
    option: u32,
    reply: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut bytes = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
    bytes.extend_from_slice(&option.to_be_bytes());
    bytes.extend_from_slice(&reply.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(content.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(content);
    stream.write_all(&bytes)
}

fn number<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_bytes(stream: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    if length > LENGTH_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Returns nothing when the client takes its leave.
fn read_request(stream: &mut impl Read) -> io::Result<Option<Request>> {
    if u32::from_be_bytes(number(stream)?) != REQUEST_MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    number::<2>(stream)?;
    let command = u16::from_be_bytes(number(stream)?);
    let handle = u64::from_be_bytes(number(stream)?);
    let offset = u64::from_be_bytes(number(stream)?);
    let length = u32::from_be_bytes(number(stream)?);
    let bytes = match command {
        COMMAND_WRITE => read_bytes(stream, length)?,
        COMMAND_DISCONNECT => return Ok(None),
        _ => Vec::new(),
    };
    Ok(Some(Request {
        command,
        handle,
        offset,
        length: usize::try_from(length.min(LENGTH_MAX)).map_err(io::Error::other)?,
        bytes,
    }))
}

fn work(stream: &mut UnixStream, requests: &Receiver<Request>, tape: &Tape) -> io::Result<()> {
    while let Ok(first) = requests.recv() {
        let together: Vec<_> = std::iter::once(first).chain(requests.try_iter()).collect();
        let answered = tape.entries();
        for request in together {
            let mut read = Vec::new();
            let error = match request.command {
                COMMAND_READ => {
                    read = vec![0; request.length];
                    if tape.read(request.offset, &mut read) {
                        0
                    } else {
                        read.clear();
                        ERROR_INVALID
                    }
                }
                COMMAND_WRITE if tape.write(request.offset, &request.bytes) => 0,
                COMMAND_WRITE => ERROR_NO_SPACE,
                COMMAND_FLUSH => {
                    tape.flush(answered);
                    0
                }
                _ => ERROR_INVALID,
            };
            let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
            reply.extend_from_slice(&error.to_be_bytes());
            reply.extend_from_slice(&request.handle.to_be_bytes());
            reply.append(&mut read);
            stream.write_all(&reply)?;
        }
    }
    Ok(())
}
