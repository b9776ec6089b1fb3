//! Printing libraries of other people.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use tillbind_tests::environment;
use tillbind_tests::process::{command, run};
use tillbind_tests::receipt;
use tillbind_tests::sale::Sale;

/// Where a library prints to.
pub(crate) enum Place {
    Network(SocketAddr),
    Port(PathBuf),
}

/// Says what is on the receipt of a sale, as the scripts in `tests/clients` read it.
pub(crate) fn described(sale: &Sale) -> serde_json::Value {
    let rows: Vec<_> = receipt::rows(sale)
        .into_iter()
        .map(|(left, right)| json!({"left": left, "right": right.unwrap_or_default()}))
        .collect();
    json!({
        "heading": "CORNER SHOP",
        "rows": rows,
        "code": format!("https://shop.example/r/{}", sale.sequence),
        "thanks": "Thank you",
    })
}

/// A library.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Client {
    PythonEscpos,
    Receiptline,
    ReceiptlineStarLine,
    ReceiptlineStarPrnt,
    NodeThermalPrinter,
}

impl Client {
    /// Prints what `file` describes.
    pub(crate) fn print(self, clients: &Path, to: &Place, file: &Path) -> Result<()> {
        let scripts = environment::project()?.join("tests/clients");
        let (program, script) = match self {
            Self::PythonEscpos => (clients.join("venv/bin/python"), "print_escpos.py"),
            Self::Receiptline | Self::ReceiptlineStarLine | Self::ReceiptlineStarPrnt => {
                (node(), "print_receiptline.mjs")
            }
            Self::NodeThermalPrinter => (node(), "print_thermal.mjs"),
        };
        let (host, port) = match to {
            Place::Network(address) => (address.ip().to_string(), address.port()),
            Place::Port(path) => (path.display().to_string(), 0),
        };
        let mut command = command(&program);
        command
            .arg(scripts.join(script))
            .arg(host)
            .arg(port.to_string())
            .arg(file)
            .args(self.language())
            .current_dir(clients);
        run(command)?.success()?;
        Ok(())
    }

    /// Returns the printer's language where the library has several.
    fn language(self) -> Option<&'static str> {
        match self {
            Self::ReceiptlineStarLine => Some("starlinesbcs"),
            Self::ReceiptlineStarPrnt => Some("starsbcs"),
            Self::PythonEscpos | Self::Receiptline | Self::NodeThermalPrinter => None,
        }
    }
}

fn node() -> PathBuf {
    environment::program("node").unwrap_or_else(|| PathBuf::from("node"))
}
