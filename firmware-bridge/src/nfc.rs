//! Contactless readers: from a reader's bytes or lines to the chip that lies on it.
//!
//! [`pn532`] speaks with a chip PN532 over a serial line; [`pcsc`] reads what the helper program
//! `tillbind-pcsc` tells of the readers that the system's PC/SC service knows. A read is a
//! [`Uid`], and [`Uid::code`] says what it means: a member's card, or a chip that makes up its
//! number anew at each reading and can be nobody's.
//!
//! A card that rests on the reader is one read. It is told again after it has left.
//!
//! Deliberately lacking: what is stored on a card; its keys and files, which are the issuer's.

pub mod pcsc;
pub mod pn532;
mod uid;

pub use uid::{UID_BYTES_MAX, Uid};
