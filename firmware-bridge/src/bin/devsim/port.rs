//! Where a simulated device is found: a pseudo-terminal behind a link, a TCP port, or somebody else's port.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, isatty, tcgetattr, tcsetattr};

/// Pause between two looks at a port that has nothing or takes nothing.
pub(crate) const TICK: Duration = Duration::from_millis(2);
/// Bytes taken at once.
const READ_BYTES: usize = 16 << 10;

/// A device's port.
#[derive(Debug)]
pub(crate) enum Port {
    /// A pseudo-terminal behind a link.
    Line {
        /// The link.
        link: PathBuf,
        /// Nothing while it is unplugged.
        cable: Option<Cable>,
    },
    /// A TCP port and who is connected.
    Listening {
        listener: TcpListener,
        connections: Vec<TcpStream>,
    },
    /// A connection to somebody.
    Connected(TcpStream),
    /// A device's file.
    Device(File),
}

/// A plugged pseudo-terminal.
#[derive(Debug)]
pub(crate) struct Cable {
    device: File,
    /// Keeps the port alive between two opens, as a driver does.
    _port: File,
}

impl Port {
    /// Makes a pseudo-terminal behind `link`.
    pub(crate) fn plug_in(link: &Path) -> Result<Self> {
        let mut port = Self::Line {
            link: link.to_owned(),
            cable: None,
        };
        port.plug()?;
        Ok(port)
    }

    /// Listens on an address.
    pub(crate) fn listen(address: SocketAddr) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self::Listening {
            listener,
            connections: Vec::new(),
        })
    }

    /// Connects to an address.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self::Connected(stream))
    }

    /// Opens a device's file, raw if it is a terminal.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits())?;
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        make_raw(&device)?;
        Ok(Self::Device(device))
    }

    /// Says where it is found, for people.
    pub(crate) fn shown(&self) -> Result<String> {
        Ok(match self {
            Self::Line { link, .. } => link.display().to_string(),
            Self::Listening { listener, .. } => listener.local_addr()?.to_string(),
            Self::Connected(stream) => stream.peer_addr()?.to_string(),
            Self::Device(_) => "the device".to_owned(),
        })
    }

    /// Pulls the cable of a pseudo-terminal; ends all connections of a TCP port.
    pub(crate) fn unplug(&mut self) -> Result<()> {
        match self {
            Self::Line { link, cable } => {
                if cable.take().is_some() {
                    fs::remove_file(link)?;
                }
            }
            Self::Listening { connections, .. } => connections.clear(),
            Self::Connected(_) | Self::Device(_) => {
                bail!("only a device's own port can be unplugged")
            }
        }
        Ok(())
    }

    /// Plugs the cable in again.
    pub(crate) fn plug(&mut self) -> Result<()> {
        let Self::Line { link, cable } = self else {
            return Ok(());
        };
        if cable.is_some() {
            return Ok(());
        }
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&device)?;
        unlockpt(&device)?;
        let name = PathBuf::from(ptsname(&device, Vec::new())?.into_string()?);
        let port = OpenOptions::new().read(true).write(true).open(&name)?;
        make_raw(&port)?;
        fcntl_setfl(&device, fcntl_getfl(&device)? | OFlags::NONBLOCK)?;
        symlink(&name, &*link).with_context(|| {
            format!(
                "cannot make {}: remove what is there, or name another --link",
                link.display()
            )
        })?;
        *cable = Some(Cable {
            device: device.into(),
            _port: port,
        });
        Ok(())
    }

    /// Takes what has come, from one sender after another; nothing when nothing has.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>> {
        let mut buffer = vec![0; READ_BYTES];
        match self {
            Self::Line { cable: None, .. } => Ok(Vec::new()),
            Self::Line {
                cable: Some(cable), ..
            } => some(cable.device.read(&mut buffer), &buffer),
            Self::Device(device) => some(device.read(&mut buffer), &buffer),
            Self::Connected(stream) => some(stream.read(&mut buffer), &buffer),
            Self::Listening {
                listener,
                connections,
            } => {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    connections.push(stream);
                }
                let mut taken = Vec::new();
                connections.retain_mut(|stream| match stream.read(&mut buffer) {
                    Ok(0) => false,
                    Ok(count) => {
                        taken.extend_from_slice(buffer.get(..count).unwrap_or_default());
                        true
                    }
                    Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                });
                Ok(taken)
            }
        }
    }

    /// Sends bytes, to all who are connected, and waits until they are taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Line { cable: None, .. } => Ok(()),
            Self::Line {
                cable: Some(cable), ..
            } => send_all(&mut cable.device, bytes),
            Self::Device(device) => send_all(device, bytes),
            Self::Connected(stream) => send_all(stream, bytes),
            Self::Listening { connections, .. } => {
                connections.retain_mut(|stream| send_all(stream, bytes).is_ok());
                Ok(())
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Self::Line {
            link,
            cable: Some(_),
        } = self
        {
            // What cannot be removed leads nowhere from now on.
            drop(fs::remove_file(link));
        }
    }
}

fn make_raw(port: &File) -> Result<()> {
    if isatty(port) {
        let mut settings = tcgetattr(port.as_fd())?;
        settings.make_raw();
        tcsetattr(port.as_fd(), OptionalActions::Now, &settings)?;
    }
    Ok(())
}

fn some(read: io::Result<usize>, buffer: &[u8]) -> Result<Vec<u8>> {
    match read {
        Ok(count) => Ok(buffer.get(..count).unwrap_or_default().to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
        Err(error) => Err(error).context("the port is lost"),
    }
}

fn send_all(port: &mut impl Write, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match port.write(rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(TICK),
            Err(error) => return Err(error).context("the port is lost"),
        }
    }
    Ok(())
}
