//! Receipts as a POS prints them: ESC/POS, in the layout that the shipped profile
//! `escpos-plain.toml` reads.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::environment;
use crate::sale::{Sale, decimal};

/// Columns of the paper.
const COLUMNS: usize = 42;
const INITIALISE: &[u8] = b"\x1b@";
const CENTRE: &[u8] = b"\x1ba\x01";
const LEFT: &[u8] = b"\x1ba\x00";
const CUT: &[u8] = b"\x1dV\x42\x00";

/// Returns the shipped profile that reads these receipts.
///
/// # Errors
/// When the project has no such file.
pub fn profile() -> Result<PathBuf> {
    let path = environment::project()?.join("firmware-bridge/profiles/escpos-plain.toml");
    path.canonicalize()
        .with_context(|| path.display().to_string())
}

/// Returns the printed sale.
pub fn printed(sale: &Sale) -> Vec<u8> {
    receipt(sale, None)
}

/// Returns another print of the same receipt.
pub fn reprinted(sale: &Sale) -> Vec<u8> {
    receipt(sale, Some("*** REPRINT ***"))
}

/// Returns the receipt of a sale that was voided before it was paid.
pub fn voided(sale: &Sale) -> Vec<u8> {
    receipt(sale, Some("*** VOIDED RECEIPT ***"))
}

fn receipt(sale: &Sale, mark: Option<&str>) -> Vec<u8> {
    let mut paper = Vec::new();
    paper.extend_from_slice(INITIALISE);
    paper.extend_from_slice(CENTRE);
    paper.extend_from_slice(b"CORNER SHOP\n");
    if let Some(mark) = mark {
        paper.extend_from_slice(mark.as_bytes());
        paper.push(b'\n');
    }
    paper.extend_from_slice(LEFT);
    for line in lines(sale) {
        paper.extend_from_slice(line.as_bytes());
        paper.push(b'\n');
    }
    paper.extend_from_slice(CUT);
    paper
}

/// Returns the text between the shop's name and the cut.
pub fn lines(sale: &Sale) -> Vec<String> {
    rows(sale)
        .into_iter()
        .map(|(left, right)| match right {
            Some(right) => {
                let width = COLUMNS.saturating_sub(left.chars().count() + 1).max(1);
                format!("{left} {right:>width$}")
            }
            None => left,
        })
        .collect()
}

/// Returns the rows between the shop's name and the cut: text on the left, amount on the right.
pub fn rows(sale: &Sale) -> Vec<(String, Option<String>)> {
    let mut rows = vec![
        (
            format!(
                "Store {}  Till {}  Receipt {:06}",
                sale.store, sale.workstation, sale.sequence
            ),
            None,
        ),
        (sale.ended_at.format("%Y-%m-%d %H:%M:%S").to_string(), None),
    ];
    if let Some(card) = &sale.card {
        rows.push((format!("Member {card}"), None));
    }
    let mut amount = |left: &str, minor| rows.push((left.to_owned(), Some(decimal(minor))));
    for goods in &sale.goods {
        let price = decimal(goods.price_minor);
        let left = format!("{} x {price}  {}", goods.quantity, goods.description);
        amount(&left, goods.amount_minor());
    }
    let change = sale.paid_minor() - sale.total_minor();
    amount("TOTAL", sale.total_minor());
    amount("CASH", sale.paid_minor());
    if change > 0 {
        amount("CHANGE", change);
    }
    rows
}

/// Returns a receipt that is one image: 48 bytes wide, 64 dots high, checked.
pub fn image() -> Vec<u8> {
    let mut paper = INITIALISE.to_vec();
    paper.extend_from_slice(b"\x1dv0\x00\x30\x00\x40\x00");
    for row in 0..64u8 {
        let dots = if row % 2 == 0 { 0xaa } else { 0x55 };
        paper.extend(std::iter::repeat_n(dots, 48));
    }
    paper.extend_from_slice(CUT);
    paper
}

/// Prints to a printer or a tap over a connection of its own.
///
/// # Errors
/// When nobody listens.
pub fn print(to: SocketAddr, bytes: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("no printer at {to}"))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn no_line_is_wider_than_the_paper() {
        for sequence in 0..50 {
            let sale = Sale::numbered("S001", "1", DateTime::UNIX_EPOCH, sequence)
                .with_card("6275980000000001");
            for line in lines(&sale) {
                assert!(line.chars().count() <= COLUMNS, "{line:?}");
            }
        }
    }
}
