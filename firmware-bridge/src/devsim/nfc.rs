//! A PN532 on a serial line (NXP UM0701-02): acknowledges commands and answers the few that a reader of
//! UIDs needs.

/// The longest frame that a host sends here.
const FRAME_BYTES_MAX: usize = 265;
const ACK: [u8; 6] = [0x00, 0x00, 0xff, 0x00, 0xff, 0x00];
/// What a PN532 says to a command that it does not have.
const SYNTAX_ERROR: [u8; 8] = [0x00, 0x00, 0xff, 0x01, 0xff, 0x7f, 0x81, 0x00];

/// A simulated reader.
#[derive(Debug, Default)]
pub struct Pn532 {
    received: Vec<u8>,
    card: Option<Vec<u8>>,
    /// A poll that waits for a card, as the chip does when it was told to try for ever.
    polling: bool,
    is_awake: bool,
}

impl Pn532 {
    /// Makes a reader that sleeps, without a card.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds a card to the reader; returns what goes out now.
    pub fn hold(&mut self, uid: &[u8]) -> Vec<u8> {
        self.card = Some(uid.to_vec());
        if std::mem::take(&mut self.polling) {
            return self.targets();
        }
        Vec::new()
    }

    /// Takes the card away.
    pub fn take_away(&mut self) {
        self.card = None;
    }

    /// Takes bytes from the host; returns what goes out now.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.received.extend_from_slice(bytes);
        let mut out = Vec::new();
        loop {
            match look(&self.received) {
                Look::More => return out,
                Look::Skip(count) => {
                    // A wake-up is a row of bytes without a frame.
                    self.is_awake |= self.received.starts_with(&[0x55]);
                    self.received.drain(..count);
                }
                Look::Abort(count) => {
                    self.polling = false;
                    self.received.drain(..count);
                }
                Look::Command { data, used } => {
                    self.received.drain(..used);
                    self.is_awake = true;
                    out.extend_from_slice(&ACK);
                    out.extend(self.command(&data));
                }
            }
        }
    }

    /// Says whether anything has woken it up.
    pub fn is_awake(&self) -> bool {
        self.is_awake
    }

    fn command(&mut self, data: &[u8]) -> Vec<u8> {
        self.polling = false;
        match data {
            // GetFirmwareVersion: IC 32, version 1.6, all features.
            [0x02] => answer(&[0x03, 0x32, 0x01, 0x06, 0x07]),
            [0x14, ..] => answer(&[0x15]),
            [0x32, ..] => answer(&[0x33]),
            [0x4a, _, 0x00, ..] if self.card.is_some() => self.targets(),
            [0x4a, _, 0x00, ..] => {
                self.polling = true;
                Vec::new()
            }
            // Other kinds of cards are never here.
            [0x4a, ..] => answer(&[0x4b, 0x00]),
            [0x44, ..] => answer(&[0x45, 0x00]),
            [0x52, ..] => answer(&[0x53, 0x00]),
            _ => SYNTAX_ERROR.to_vec(),
        }
    }

    fn targets(&self) -> Vec<u8> {
        let Some(uid) = &self.card else {
            return answer(&[0x4b, 0x00]);
        };
        let length = u8::try_from(uid.len()).unwrap_or(u8::MAX);
        let mut data = vec![0x4b, 0x01, 0x01, 0x00, 0x44, 0x00, length];
        data.extend_from_slice(uid);
        answer(&data)
    }
}

enum Look {
    /// The frame is not whole.
    More,
    /// So many bytes are no frame.
    Skip(usize),
    /// An ACK from the host, which ends what is under way.
    Abort(usize),
    /// A command and the bytes that it takes.
    Command { data: Vec<u8>, used: usize },
}

fn look(bytes: &[u8]) -> Look {
    let Some(start) = bytes.windows(2).position(|pair| pair == [0x00, 0xff]) else {
        return match bytes.len() {
            0 | 1 => Look::More,
            count => Look::Skip(count - 1),
        };
    };
    let frame = bytes.get(start + 2..).unwrap_or_default();
    match frame {
        [] | [_] => Look::More,
        [0x00, 0xff, ..] => Look::Abort(start + 4),
        [length, sum, rest @ ..] if length.wrapping_add(*sum) == 0 => {
            let length = usize::from(*length);
            let Some(data) = rest.get(..length) else {
                return if bytes.len() > FRAME_BYTES_MAX {
                    Look::Skip(start + 2)
                } else {
                    Look::More
                };
            };
            let Some(check) = rest.get(length) else {
                return Look::More;
            };
            let total = data.iter().fold(*check, |sum, b| sum.wrapping_add(*b));
            match data {
                [0xd4, command @ ..] if total == 0 => Look::Command {
                    data: command.to_vec(),
                    used: start + 4 + length + 1,
                },
                _ => Look::Skip(start + 2),
            }
        }
        _ => Look::Skip(start + 2),
    }
}

/// Frames an answer of the chip.
fn answer(data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len() + 1).unwrap_or(u8::MAX);
    let sum = data.iter().fold(0xd5u8, |sum, b| sum.wrapping_add(*b));
    let mut frame = vec![0x00, 0x00, 0xff, length, length.wrapping_neg(), 0xd5];
    frame.extend_from_slice(data);
    frame.extend_from_slice(&[sum.wrapping_neg(), 0x00]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: [u8; 11] = [
        0x00, 0x00, 0xff, 0x04, 0xfc, 0xd4, 0x4a, 0x01, 0x00, 0xe1, 0x00,
    ];
    const UID: [u8; 7] = [0x04, 0x16, 0xc6, 0xc2, 0xd7, 0x38, 0x81];

    #[test]
    fn a_poll_is_acknowledged_and_answered_when_a_card_comes() {
        let mut reader = Pn532::new();
        let wake_up = [0x55, 0x55, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00];
        assert!(reader.handle_bytes(&wake_up).is_empty());
        let mut out = Vec::new();
        for byte in POLL {
            out.extend(reader.handle_bytes(&[byte]));
        }
        assert_eq!(out, ACK);
        assert!(reader.is_awake());
        let told = reader.hold(&UID);
        let data = [
            0xd5, 0x4b, 0x01, 0x01, 0x00, 0x44, 0x00, 0x07, 0x04, 0x16, 0xc6, 0xc2, 0xd7, 0x38,
            0x81,
        ];
        assert_eq!(told[5..20], data);
        assert_eq!(told[5..21].iter().fold(0u8, |a, b| a.wrapping_add(*b)), 0);
        // The next poll finds it there, and after it was taken away waits again.
        assert_eq!(reader.handle_bytes(&POLL).len(), ACK.len() + told.len());
        reader.take_away();
        assert_eq!(reader.handle_bytes(&POLL), ACK);
    }

    #[test]
    fn an_unknown_command_and_noise_are_survived() {
        let mut reader = Pn532::new();
        assert!(reader.handle_bytes(&[0xab; 600]).is_empty());
        assert!(
            reader
                .handle_bytes(&[0x00, 0x00, 0xff, 0x03, 0x01])
                .is_empty()
        );
        let firmware = [0x00, 0x00, 0xff, 0x02, 0xfe, 0xd4, 0x02, 0x2a, 0x00];
        let out = reader.handle_bytes(&firmware);
        assert_eq!(out[..6], ACK);
        let unknown = [0x00, 0x00, 0xff, 0x02, 0xfe, 0xd4, 0x99, 0x93, 0x00];
        let out = reader.handle_bytes(&unknown);
        assert_eq!(out[6..], SYNTAX_ERROR);
    }
}
